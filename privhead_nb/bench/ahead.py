"""Compile the Triton kernels for a GPU that need not be there, and read what the compiler says.

Each op's benchmark cases are run with every launch recorded instead of made (kernel, argument
types, block sizes); each recorded launch is then compiled for the capability asked for, and
NVIDIA's assembler, which Triton brings along, reports registers, spills and shared memory. So a
kernel that a GPU's compiler refuses, or that spills, is found on a machine without one.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from privhead_nb.bench.cases import OPS, cases_of
from privhead_nb.bench.harness import BenchError, answers
from privhead_nb.bench.show import text_table
from privhead_nb.kernels.dispatch import interpreting, triton_available
from privhead_nb.kernels.lazy import TritonKernel

OPTIONS = ("num_warps", "num_stages", "num_ctas")
TYPES = {
    torch.float32: "*fp32", torch.float64: "*fp64", torch.int32: "*i32", torch.int64: "*i64",
    torch.bool: "*i1", torch.uint8: "*u8",
}  # fmt: skip
Launch = tuple[TritonKernel, tuple[Any, ...], dict[str, Any]]


def compile_all(capability: int = 90, ops: tuple[str, ...] = OPS) -> list[dict[str, Any]]:
    """Compile what the ops' benchmark cases launch.

    Args:
        capability: 80 for an A100, 90 for an H100 or H200.
        ops: names out of `cases.OPS`.

    Returns:
        A row a kernel and set of block sizes: op, kernel (names), blocks (the constants that it was
        compiled with), warps (a program's), registers (a thread's), spill_bytes (what a thread
        spills to memory; 0 in a good kernel), shared_bytes (a program's).

    Raises:
        BenchError: Triton is missing, or runs in its interpreter, which compiles nothing.
    """
    if not triton_available():
        raise BenchError("Triton is not installed", remedy="On Linux: pip install triton.")
    if interpreting():
        raise BenchError(
            "Triton runs in its interpreter, which compiles nothing",
            remedy="Unset TRITON_INTERPRET.",
        )
    rows = []
    for op in ops:
        with _recorded() as launches:
            _run_cases(op)
        rows += [{"op": op} | _compile(*launch, capability) for launch in launches.values()]
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """One line a kernel and set of block sizes."""
    lines = []
    for row in rows:
        blocks = ", ".join(f"{name} {value}" for name, value in row["blocks"].items())
        others = {name: value for name, value in row.items() if name != "blocks"}
        lines.append(others | {"blocks": blocks})
    return text_table(lines)


def _run_cases(op: str) -> None:
    """Forward and backward of the op's CPU cases, sent to Triton; what they return is zeros."""
    with (
        mock.patch("privhead_nb.kernels.dispatch.why_not", return_value=None),
        mock.patch("torch.empty", torch.zeros),
        mock.patch("torch.empty_like", torch.zeros_like),
        mock.patch.object(torch.Tensor, "new_empty", torch.Tensor.new_zeros),
    ):
        for case in cases_of(op, torch.device("cpu"), own="triton"):
            answers(case.functions["fused"], case.inputs)


@contextmanager
def _recorded() -> Iterator[dict[str, Launch]]:
    """Launches by kernel and block sizes; none of them is made."""
    seen: dict[str, Launch] = {}

    def record(self: TritonKernel, grid: Any) -> Callable[..., None]:  # noqa: ARG001
        def launch(*arguments: Any, **named: Any) -> None:
            key = f"{self.python.__module__}.{self.python.__name__} {sorted(named.items())!r}"
            seen.setdefault(key, (self, arguments, named))

        return launch

    with mock.patch.object(TritonKernel, "__getitem__", record):
        yield seen


def _compile(
    kernel: TritonKernel, arguments: tuple[Any, ...], named: dict[str, Any], capability: int
) -> dict[str, Any]:
    """A row of `compile_all`, but for its op."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    compiled = kernel.compiled
    options = {k: v for k, v in named.items() if k in OPTIONS}
    given = dict(zip(compiled.arg_names, arguments, strict=False))
    given |= {k: v for k, v in named.items() if k not in OPTIONS}
    fixed = {p.name for p in compiled.params if p.is_constexpr}
    signature, constants, attributes = {}, {}, {}
    for place, name in enumerate(compiled.arg_names):
        value = given[name]
        if name in fixed or value is None:
            signature[name], constants[(place,)] = "constexpr", value
            continue
        signature[name] = _type_of(value)
        whole = isinstance(value, int) and value % 16 == 0
        if isinstance(value, torch.Tensor) or whole:
            attributes[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(compiled, signature, constants, attributes)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    registers, spills = _assembled(made.asm["ptx"], capability)
    return {
        "kernel": kernel.python.__name__.strip("_"),
        "blocks": {k: v for k, v in given.items() if k in fixed},
        "warps": made.metadata.num_warps,
        "registers": registers,
        "spill_bytes": spills,
        "shared_bytes": made.metadata.shared,
    }


def _type_of(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return TYPES[value.dtype]
    if isinstance(value, bool):
        return "i1"
    if isinstance(value, int):
        return "i32" if abs(value) < 2**31 else "i64"
    return "fp32"


def _assembled(ptx: str, capability: int) -> tuple[int, int]:
    """Registers and spilled bytes (stores plus loads) of a thread."""
    from triton.backends.nvidia.compiler import get_ptxas

    tool = get_ptxas(capability)
    arch = f"sm_{capability}a" if capability >= 90 else f"sm_{capability}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        said = subprocess.run(
            [tool.path, "-v", f"--gpu-name={arch}", str(source), "-o", str(source) + ".cubin"],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
    registers = int(re.findall(r"Used (\d+) registers", said)[-1])
    spills = sum(int(n) for n in re.findall(r"(\d+) bytes spill", said))
    return registers, spills
