"""How long must it take? Launches, bytes and arithmetic against what a machine can do.

The model has three queues, and the longest hides the other two:

    time = max(launches * cost of a launch,  bytes / bandwidth,  flops / peak)

Bandwidth and peak are measured ceilings (a large copy, a large float32 product) or a datasheet's,
the cost of a launch is that of a call too small for anything else to matter.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from privhead_nb.bench.harness import Timer, copy_bandwidth, matmul_rate
from privhead_nb.kernels.compositing import composite_sdf_reference
from privhead_nb.kernels.dispatch import interpreting, triton_available
from privhead_nb.resources import RESULTS
from privhead_nb.teach.lesson11.traffic import Traffic, backward_traffic, size, traffic

Result = dict[str, Any]


@dataclass(frozen=True)
class Machine:
    """What a machine can do at best.

    Attributes:
        name: "a data-centre GPU".
        bytes_s: bytes read and written per second by a large copy.
        flop_s: float32 operations per second of a large matrix product.
        launch_s: seconds to start one operation from PyTorch.
    """

    name: str
    bytes_s: float
    flop_s: float
    launch_s: float

    @property
    def ridge(self) -> float:
        """Operations per byte from which on arithmetic is what takes long."""
        return self.flop_s / self.bytes_s


# A GPU that need not be there. Bandwidth and float32 peak stand in its datasheet; the launch is an
# assumption, at the lower end of what is reported for one operation of eager PyTorch.
H200 = Machine("an H200 on paper", bytes_s=4.8e12, flop_s=67e12, launch_s=5e-6)
CPU_LAUNCH = 1e-6  # seconds; by `this_machine` on the cores of the stored benchmark, rounded

# Of one multiprocessor of an H100 or H200 (compute capability 9.0)
REGISTERS, SHARED_BYTES, WARPS, PROGRAMS = 65536, 233472, 64, 32


@dataclass(frozen=True)
class Work:
    """What a call asks of a machine."""

    launches: int
    bytes: int
    flops: int


@dataclass(frozen=True)
class Times:
    """Seconds that each queue takes for itself."""

    launches: float
    memory: float
    arithmetic: float

    @property
    def total(self) -> float:
        """Of the longest queue."""
        return max(self.launches, self.memory, self.arithmetic)

    @property
    def bound(self) -> str:
        """Which queue is the longest."""
        return max(("launches", "memory", "arithmetic"), key=lambda name: getattr(self, name))


def times(work: Work, machine: Machine) -> Times:
    """The model above."""
    return Times(
        work.launches * machine.launch_s, work.bytes / machine.bytes_s, work.flops / machine.flop_s
    )


def render(
    sdf: Tensor, deltas: Tensor, t: Tensor, colours: Tensor, beta: Tensor | float
) -> tuple[Tensor, Tensor, Tensor]:
    """SDF -> density -> weights -> colour, opacity and depth: what eager PyTorch runs."""
    return tuple(composite_sdf_reference(sdf, deltas, t, colours, beta))[:3]  # type: ignore[return-value]


def rays(count: int, samples: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Inputs of `render` for rays that meet a rough wall; sdf, colours and beta want gradients."""
    generator = torch.Generator().manual_seed(seed)
    slope = torch.linspace(0.6, -0.4, samples).expand(count, samples)
    sdf = slope + 0.02 * torch.randn(count, samples, generator=generator)
    deltas = torch.rand(count, samples, generator=generator) / samples + 0.5 / samples
    colours = torch.rand(count, samples, 3, generator=generator)
    return (
        sdf.requires_grad_(),
        deltas,
        torch.cumsum(deltas, -1) - deltas,
        colours.requires_grad_(),
        torch.tensor(0.02, requires_grad=True),
    )


@lru_cache(maxsize=1)
def eager_traffic() -> tuple[Traffic, Traffic, int]:
    """Of `render`: its forward, its backward, and the number of samples that were counted."""
    given = rays(8, 128)
    return traffic(render, *given), backward_traffic(render, *given), given[0].numel()


def floor_bytes() -> tuple[int, int]:
    """Least bytes a sample, forward and backward, for many samples a ray.

    Forward: read sdf, deltas, t and colours, write the weights. Backward: read the inputs again,
    write the gradients of sdf and colours. What is one number a ray is left out.
    """
    sdf, deltas, t, colours, _ = rays(1, 1)
    read = size(sdf, deltas, t, colours)
    return read + size(sdf), read + size(sdf, colours)


def compositing_work(
    count: int, samples: int, function: str, flops_a_sample: float, *, backward: bool = False
) -> Work:
    """`render` for `count` rays: "eager" as counted, or "fused" at the floor.

    With `backward` the way back comes on top; its arithmetic counts twice the forward's, since
    it computes the forward again. Fused, it is a kernel and the sum of beta's parts.
    """
    total, passes = count * samples, 2 if backward else 1
    flops = round((3 if backward else 1) * total * flops_a_sample)
    if function == "fused":
        return Work(3 if backward else 1, sum(floor_bytes()[:passes]) * total, flops)
    forward, back, counted = eager_traffic()
    eager = (forward, back)[:passes]
    moved = sum(t.moved for t in eager) / counted
    return Work(sum(t.launches for t in eager), round(moved * total), flops)


def stored() -> Result:
    """The benchmark that is kept with the project, as `privhead bench --device cpu` wrote it."""
    return _read("kernels_cpu.json")


def compiled() -> list[dict[str, Any]]:
    """What the compiler says of the Triton kernels, as `privhead bench --ahead 90` wrote it."""
    found: list[dict[str, Any]] = _read("kernels_sm90.json")["kernels"]
    return found


def measured_on_gpu() -> Result | None:
    """A benchmark of a GPU, where somebody has run one and stored it."""
    name = "kernels_gpu.json"
    return _read(name) if (RESULTS / name).is_file() else None


def _read(name: str) -> Result:
    path = RESULTS / name
    if not path.is_file():
        raise FileNotFoundError(f"there is no {name} in benchmarks/results: clone the repository")
    found: Result = json.loads(path.read_text(encoding="utf-8"))
    return found


def of_compositing(lines: list[dict[str, Any]], function: str) -> list[dict[str, Any]]:
    """Of rows, or of ratios made of them: those of the whole op ("weights" alone is a part)."""
    return [
        line
        for line in lines
        if (line["op"], line["function"]) == ("compositing", function) and "," not in line["size"]
    ]


def largest(result: Result) -> dict[str, dict[str, Any]]:
    """Op -> the last row of its fused form; sizes grow."""
    fused = [r for r in result["rows"] if r["function"] == "fused" and r["flops"]]
    return {r["op"]: r for r in fused}


def memory_bound(result: Result) -> set[str]:
    """Ops whose last case does less arithmetic per byte than the machine has time for."""
    facts = result["machine"]
    ridge = facts["fp32_gflop_s"] / facts["copy_gb_s"]
    return {op for op, r in largest(result).items() if r["flops"] / r["bytes_forward"] < ridge}


def flops_a_sample(result: Result) -> float:
    """Arithmetic of compositing, a sample, as the benchmark counts it."""
    row = of_compositing(result["rows"], "eager")[0]
    count, samples = (int(n) for n in row["size"].split(" x "))
    return float(row["flops"]) / (count * samples)


def machine_of(result: Result) -> Machine:
    """The machine of a benchmark, by the ceilings that were measured with it."""
    facts = result["machine"]
    on_cpu = facts["kind"] == "cpu"
    return Machine(
        f"{facts['threads']} CPU cores" if on_cpu else "a GPU, measured",
        facts["copy_gb_s"] * 1e9,
        facts["fp32_gflop_s"] * 1e9,
        CPU_LAUNCH if on_cpu else H200.launch_s,
    )


def beside_peers(result: Result) -> list[tuple[str, str, str, float]]:
    """(op, size, peer, its time over the fused form's), forward, for what others' libraries do."""
    rows = result["rows"]
    ours = {(r["op"], r["size"]): r["forward_ms"] for r in rows if r["function"] == "fused"}
    return [
        (r["op"], r["size"], r["function"], r["forward_ms"]["median"] / own["median"])
        for r in rows
        if r["function"] not in ("eager", "compile", "fused")
        and (own := ours.get((r["op"], r["size"])))
    ]


def over_model(result: Result) -> list[tuple[str, float, float]]:
    """(size, eager, fused): measured forward of compositing over what `times` says of it."""
    machine, flops = machine_of(result), flops_a_sample(result)
    found = []
    for pair in zip(*(of_compositing(result["rows"], f) for f in ("eager", "fused")), strict=True):
        factors = []
        for row in pair:
            count, samples = (int(n) for n in row["size"].split(" x "))
            work = compositing_work(count, samples, row["function"], flops)
            factors.append(1e-3 * row["forward_ms"]["median"] / times(work, machine).total)
        found.append((row["size"], *factors))
    return found


def in_flight(kernel: dict[str, Any]) -> int:
    """Programs of a compiled kernel that one multiprocessor can hold at a time.

    Registers are handed out by eights to each of a warp's 32 threads.
    """
    registers = 32 * kernel["warps"] * 8 * math.ceil(kernel["registers"] / 8)
    fit = [REGISTERS // registers, WARPS // kernel["warps"], PROGRAMS]
    if kernel["shared_bytes"]:
        fit.append(SHARED_BYTES // (kernel["shared_bytes"] + 1024))  # a program's fixed share
    return min(fit)


def compiled_table(kernels: list[dict[str, Any]]) -> str:
    """One line an op: the worst of its kernels."""
    lines = [f"{'op':<14}{'kernels':>8}{'most registers':>16}{'most spilled B':>16}"
             f"{'fewest warps':>14}"]  # fmt: skip
    for op in dict.fromkeys(k["op"] for k in kernels):
        own = [k for k in kernels if k["op"] == op]
        registers, spilled = (max(k[n] for k in own) for n in ("registers", "spill_bytes"))
        warps = min(k["warps"] * in_flight(k) for k in own)
        lines.append(f"{op:<14}{len(own):>8}{registers:>16}{spilled:>16}{warps:>14}")
    return "\n".join(lines)


def triton_place() -> str | None:
    """Where a lesson's Triton kernels run: on a GPU, interpreted on the CPU, or nowhere (None).

    Call it first of all: Triton asks once, when it is imported, whether it is to interpret.
    """
    if not triton_available():
        return None
    if torch.cuda.is_available():
        return "cuda"
    if "triton" in sys.modules and not interpreting():
        return None  # too late to tell it
    os.environ["TRITON_INTERPRET"] = "1"
    return "cpu"


def cpu_timer() -> Timer:
    """Times a call on the CPU: gives its median in ms and its 0.2 and 0.8 quantiles."""
    return Timer(torch.device("cpu"), budget=0.2)


def this_machine() -> Machine:
    """Measure the ceilings of the CPU that runs this; takes a few seconds."""
    device, tiny, count = torch.device("cpu"), torch.ones(8), 2000
    with torch.no_grad():
        began = time.perf_counter()
        for _ in range(count):
            tiny.exp()
        launch = (time.perf_counter() - began) / count
    return Machine("this machine's CPU", copy_bandwidth(device), matmul_rate(device), launch)
