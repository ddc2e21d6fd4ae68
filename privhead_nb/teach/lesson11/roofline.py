"""How long must it take? Launches, bytes and arithmetic against what a machine can do.

The model has three queues, and the longest hides the other two:

    time = max(launches * cost of a launch,  bytes / bandwidth,  flops / peak)

Bandwidth and peak are measured ceilings (a large copy, a large float32 product) or a datasheet's,
the cost of a launch is that of a call too small for anything else to matter.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import composite_sdf_reference
from privhead_nb.kernels.dispatch import interpreting, triton_available
from privhead_nb.teach.lesson11.traffic import Traffic, backward_traffic, traffic
from privhead_nb.viz.roofline import Result


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

FLOOR_BYTES = {"forward": 4 * (6 + 1), "backward": 4 * (6 + 4)}
"""Least bytes a sample of compositing, for many samples a ray.

Forward: read sdf, delta, t and three colours, write the weight. Backward: read the inputs again,
write the gradients of sdf and colours. What is one number a ray is left out.
"""


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


@cache
def eager_traffic() -> tuple[Traffic, Traffic, int]:
    """Of `render`: its forward, its backward, and the number of samples that were counted."""
    given = rays(8, 128)
    return traffic(render, *given), backward_traffic(render, *given), given[0].numel()


def compositing_work(
    count: int, samples: int, function: str, flops_a_sample: float, *, backward: bool = False
) -> Work:
    """`render` for `count` rays: "eager" as counted, or "fused" at the floor.

    With `backward` the way back comes on top; its arithmetic counts twice the forward's, since
    it computes the forward again. Fused, it is a kernel and the sum of beta's parts.
    """
    total = count * samples
    flops = round((3 if backward else 1) * total * flops_a_sample)
    passes = 2 if backward else 1
    if function == "fused":
        floor = list(FLOOR_BYTES.values())[:passes]
        return Work(3 if backward else 1, sum(floor) * total, flops)
    forward, back, counted = eager_traffic()
    eager = (forward, back)[:passes]
    moved = sum(t.moved for t in eager) / counted
    return Work(sum(t.launches for t in eager), round(moved * total), flops)


def of_compositing(lines: list[dict[str, Any]], function: str) -> list[dict[str, Any]]:
    """Of rows, or of ratios made of them: those of the whole op ("weights" alone is a part)."""
    return [
        line
        for line in lines
        if (line["op"], line["function"]) == ("compositing", function) and "," not in line["size"]
    ]


def rays_and_samples(row: dict[str, Any]) -> tuple[int, int]:
    """The size of a row of compositing: (1024, 98) of "1024 x 98"."""
    rays, samples = (int(n) for n in row["size"].split(" x "))
    return rays, samples


def flops_a_sample(result: Result) -> float:
    """Arithmetic of compositing, a sample, as the benchmark counts it."""
    row = of_compositing(result["rows"], "eager")[0]
    return float(row["flops"]) / math.prod(rays_and_samples(row))


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
