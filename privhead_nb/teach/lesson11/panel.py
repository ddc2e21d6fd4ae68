"""Lesson 11's panel: where the time of one compositing goes, on two machines."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson11 import kernel_plots, roofline

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

MACHINES = ("2 CPU cores", "H200 on paper")
TWIN: list[dict[str, Any]] = [
    {"rays": rays, "samples": 96, "function": function, "machine": "H200 on paper"}
    for rays in (1024, 262144)
    for function in ("eager", "fused")
]


def picture(rays: int, samples: int, function: str, machine: str) -> View:
    """The point under the roofline, and the three queues."""
    place = roofline.H200 if machine == "H200 on paper" else roofline.machine_of(_stored())
    flops = roofline.flops_a_sample(_stored())
    return kernel_plots.budget(rays, samples, function, place, flops)


def controls() -> dict[str, Any]:
    """Rays and samples, the function, the machine."""
    return {
        "rays": widgets.choice("rays", [4**k for k in range(4, 11)], 1024),
        "samples": widgets.whole("samples", 32, 256, 32, 96),
        "function": widgets.choice("function", ["eager", "fused"]),
        "machine": widgets.choice("machine", MACHINES),
    }


@cache
def _stored() -> roofline.Result:
    return roofline.stored()
