"""Lesson 11's panel: where the time of one compositing goes, on two machines."""

from __future__ import annotations

from typing import Any

from privhead_nb.teach import results, widgets
from privhead_nb.teach.lesson11 import roofline
from privhead_nb.teach.widgets import View
from privhead_nb.viz.roofline import FUNCTIONS, roof
from privhead_nb.viz.style import BLUE, GREEN, PURPLE, grid

MACHINES = ("2 CPU cores", "H200 on paper")
QUEUES = {"launches": (PURPLE, "//"), "memory": (BLUE, ""), "arithmetic": (GREEN, "..")}
"""Colour and hatch of each queue."""
TWIN: list[dict[str, Any]] = [
    {"rays": rays, "samples": 96, "function": function, "machine": "H200 on paper"}
    for rays in (1024, 262144)
    for function in ("eager", "fused")
]


def picture(rays: int, samples: int, function: str, machine: str) -> View:
    """The place of one compositing under the roof, and the three queues.

    Args:
        rays, samples: the size.
        function: "eager" or "fused".
        machine: one of MACHINES.
    """
    stored = results.table("kernels_cpu")
    place = roofline.H200 if machine == "H200 on paper" else roofline.machine_of(stored)
    work = roofline.compositing_work(rays, samples, function, roofline.flops_a_sample(stored))
    spent = roofline.times(work, place)
    figure, axes = grid(1, 2, width=8, height=3.1)
    left, right = axes[0]
    roof(left, place.bytes_s, place.flop_s)
    colour, mark = FUNCTIONS[function]
    x, y = work.flops / work.bytes, work.flops / spent.total
    left.plot([x, x], [y, min(x * place.bytes_s, place.flop_s)], color=colour, ls=":", lw=1.2)
    left.plot(x, y, mark, color=colour, mec="black", ms=10)
    left.set_ylim(1e-5 * place.flop_s, 4 * place.flop_s)
    left.set_title(f"{function} on {place.name}", fontsize=10)
    for row, (name, (shade, hatch)) in enumerate(QUEUES.items()):
        seconds, longest = getattr(spent, name), name == spent.bound
        right.barh(row, seconds, 0.6, left=1e-8, color=shade, hatch=hatch, edgecolor="white",
                   alpha=1.0 if longest else 0.45)  # fmt: skip
        right.text(seconds * 1.2 + 1e-8, row, _short(seconds), va="center", fontsize=9,
                   weight="bold" if longest else "normal")  # fmt: skip
    right.set_yticks(range(3), list(QUEUES))
    right.set(xscale="log", xlim=(1e-8, 30), ylim=(2.43, -0.43))
    right.set_xticks([1e-6, 1e-3, 1], ["1 us", "1 ms", "1 s"])
    right.set_title(f"{rays} rays x {samples} samples", fontsize=10)
    facts = (
        f"{function}: launches {work.launches}, {work.bytes / 1e6:.3g} MB, "
        f"{work.flops / 1e6:.3g} Mflop; {_short(spent.total)}, bound by {spent.bound}"
    )
    alt = (
        f"{rays} rays of {samples} samples, {function}, on {place.name}: a point under a "
        f"roofline at {x:.2g} operations per byte, three bars, "
        f"of which {spent.bound} is the longest."
    )
    return View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """Rays and samples, the function, the machine."""
    return {
        "rays": widgets.choice("rays", [4**k for k in range(4, 11)], 1024),
        "samples": widgets.whole("samples", 32, 256, 32, 96),
        "function": widgets.choice("function", ["eager", "fused"]),
        "machine": widgets.choice("machine", MACHINES),
    }


def _short(seconds: float) -> str:
    """ "1.2 ms"."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
