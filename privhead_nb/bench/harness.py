"""Time the kernels beside their references: the same inputs, the same run, the same answers.

A case is compared before it is timed: every function's outputs and gradients against those of the
reference in the case's own precision. On a GPU the second-level cache is emptied before each call
and events are read on the device; on the CPU the wall clock is read. Medians and the 0.2 and 0.8
quantiles are kept; what is quoted is ratios.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._functorch.config
from torch import Tensor
from tqdm import tqdm

from privhead_nb.bench.case import Case
from privhead_nb.bench.cases import OPS, cases_of
from privhead_nb.errors import PrivheadError, check_choice

FLUSH = 256 << 20  # bytes written between two calls on a GPU: several times its cache
Quantiles = dict[str, float]


class BenchError(PrivheadError):
    """Nothing can be measured: an unknown op, or a function whose answer is not the reference's."""


class Timer:
    """Times calls on one device.

    Args:
        device: where the calls run.
        budget: seconds to spend on one function, warm-up left out.
    """

    def __init__(self, device: torch.device, budget: float = 0.4) -> None:
        self.device, self.budget = device, budget
        cuda = device.type == "cuda"
        self.flush = torch.empty(FLUSH // 4, dtype=torch.int32, device=device) if cuda else None

    def __call__(self, run: Callable[[], Any]) -> Quantiles:
        """Median and 0.2 / 0.8 quantiles of a call, in ms."""
        once = [self._times(run, count)[-1] for count in (3, 1)][-1]
        count = int(min(max(1e3 * self.budget / max(once, 1e-3), 5), 200))
        q20, median, q80 = np.quantile(self._times(run, count), (0.2, 0.5, 0.8))
        found = {"median": median, "q20": q20, "q80": q80}
        return {name: round(float(value), 5) for name, value in found.items()}

    def _times(self, run: Callable[[], Any], count: int) -> list[float]:
        """Of each of some calls, in ms; on a GPU by its own clock, its cache emptied before."""
        times: list[float] = []
        events = []
        for _ in range(count):
            if self.flush is None:
                began = time.perf_counter()
                run()
                times.append(1e3 * (time.perf_counter() - began))
                continue
            self.flush.zero_()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            events.append((start, end))
        if self.flush is not None:
            torch.cuda.synchronize(self.device)
        return times or [start.elapsed_time(end) for start, end in events]


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on, with its own measured ceilings."""
    facts: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "kind": device.type,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
    for name in ("torch", "triton", "numba", "numpy", "opencv-python-headless", "kornia", "scipy"):
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = None
    facts["copy_gb_s"] = round(copy_bandwidth(device) / 1e9, 1)
    facts["fp32_gflop_s"] = round(matmul_rate(device) / 1e9, 1)
    return facts


def copy_bandwidth(device: torch.device) -> float:
    """Bytes read plus bytes written per second by a large copy."""
    size = (1 << 30) if device.type == "cuda" else (1 << 27)
    source = torch.empty(size // 4, device=device).uniform_()
    target = torch.empty_like(source)
    timed = Timer(device)(lambda: target.copy_(source))
    return 2 * size / (1e-3 * timed["median"])


def matmul_rate(device: torch.device) -> float:
    """Operations per second of a large float32 product, without TF32."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    kept = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        timed = Timer(device)(lambda: a @ b)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = kept
    return 2 * side**3 / (1e-3 * timed["median"])


def run(
    ops: tuple[str, ...],
    device: torch.device,
    *,
    quick: bool = False,
    compiled: bool = True,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure ops.

    Args:
        ops: names out of `cases.OPS`.
        device: "cpu" or a CUDA device.
        quick: tiny sizes, to see that everything runs.
        compiled: put `torch.compile` of the reference beside it.
        progress: show a bar.

    Returns:
        {"machine": {...}, "rows": [...], "notes": [...]}; a row a case and function, times in ms.

    Raises:
        BenchError: a function's answer is not that of the reference, no such op, no such device.
    """
    for op in ops:
        check_choice("op", op, OPS, where="--op", error=BenchError)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BenchError(
            "this machine has no CUDA device", where="device", remedy="Use --device cpu."
        )
    timer = Timer(device, 0.02) if quick else Timer(device)
    result: dict[str, Any] = {"machine": machine(device), "rows": [], "notes": []}
    bar = tqdm(desc="bench", unit=" cases", disable=not progress)
    for op in ops:
        for case in cases_of(op, device, quick):
            bar.set_postfix_str(f"{case.op} {case.size}")
            result["rows"] += measure(case, timer, compiled and not quick, result["notes"])
            bar.update()
    bar.close()
    return result


def measure(case: Case, timer: Timer, compiled: bool, notes: list[str]) -> list[dict[str, Any]]:
    """One row a function; the reference first."""
    functions = dict(case.functions)
    wanted = answers(functions["eager"], case.inputs)
    if compiled and case.compile:
        # a backward that is timed alone runs more than once on its graph
        torch._functorch.config.donated_buffer = False
        candidate = torch.compile(functions["eager"], dynamic=False)
        try:
            answers(candidate, case.inputs)
            functions["compile"] = candidate
        except Exception as error:  # no compiler on this machine, or a graph that it can't take
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            notes.append(f"{case.op} {case.size}: torch.compile did not run ({first[:120]})")
    rows = []
    for name, function in functions.items():
        off = _difference(answers(function, case.inputs), wanted)
        if not off <= case.tolerance:
            wrong = (
                f"{case.op} {case.size}: {name} differs from the reference by {off:.1e} "
                f"(relative RMS), more than {case.tolerance:.0e}"
            )
            if name != "compile":
                raise BenchError(wrong)
            notes.append(wrong)  # not ours to mend: timed all the same, with its error beside it
        rows.append(_row(case, name, timer) | _times(case, function, timer) | {"error": off})
    for name, call in case.peers.items():
        rows.append(_row(case, name, timer) | {"forward_ms": timer(call)})
    return rows


def _row(case: Case, name: str, timer: Timer) -> dict[str, Any]:
    """What a row says before anything is measured."""
    told = {k: getattr(case, k) for k in ("op", "size", "bytes_forward", "bytes_backward", "flops")}
    measured = ("forward_ms", "backward_ms", "full_ms", "peak_mb", "error")
    return told | {"function": name, "device": timer.device.type} | dict.fromkeys(measured)


def _times(case: Case, function: Callable[..., Any], timer: Timer) -> dict[str, Any]:
    leaves = [x for x in case.inputs if x.requires_grad]
    with torch.no_grad():
        plain = timer(lambda: function(*case.inputs))
    if not leaves:
        peak = _peak_mb(lambda: function(*case.inputs), timer.device)
        return {"forward_ms": plain, "peak_mb": peak}
    outputs = _differentiable(function(*case.inputs))
    upstream = _upstream(outputs)

    def backward() -> Any:
        return torch.autograd.grad(outputs, leaves, upstream, retain_graph=True, allow_unused=True)

    def full() -> Any:
        return torch.autograd.grad(
            _differentiable(function(*case.inputs)), leaves, upstream, allow_unused=True
        )

    back = timer(backward)
    outputs.clear()  # so that the peak below is that of one call
    return {
        "forward_ms": plain,
        "backward_ms": back,
        "full_ms": timer(full),
        "peak_mb": _peak_mb(full, timer.device),
    }


def _peak_mb(run: Callable[[], Any], device: torch.device) -> float | None:
    """Peak memory that a call takes beyond what is held already; None on the CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    held = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return round((torch.cuda.max_memory_allocated(device) - held) / 1e6, 2)


def _tuple(outputs: Any) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _differentiable(outputs: Any) -> list[Tensor]:
    return [o for o in _tuple(outputs) if o.requires_grad]


def _upstream(outputs: list[Tensor]) -> list[Tensor]:
    """Random gradients, the same for every function: ones would hide a wrong product."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(o.shape, generator=generator).to(o) for o in outputs]


def answers(function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Outputs, then the gradients of the inputs that want one."""
    raw = function(*inputs)
    outputs = [o.detach() for o in _tuple(raw)]
    leaves = [x for x in inputs if x.requires_grad]
    if leaves:
        wanted = _differentiable(raw)
        grads = torch.autograd.grad(wanted, leaves, _upstream(wanted), allow_unused=True)
        outputs += [
            torch.zeros_like(x) if g is None else g for x, g in zip(leaves, grads, strict=True)
        ]
    return outputs


def _difference(got: list[Tensor], wanted: list[Tensor]) -> float:
    """Largest relative RMS difference over outputs and gradients; NaN where there is a NaN."""
    found = []
    for a, b in zip(got, wanted, strict=True):
        scale = b.double().norm().item()
        off = (a.double() - b.double()).norm().item()
        found.append(off / scale if scale else off)
    return float(np.max(found))


def cpu_name() -> str:
    """The processor, as the system calls it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
