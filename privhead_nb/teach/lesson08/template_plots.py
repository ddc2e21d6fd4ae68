"""Pictures of lesson 8: what the stored runs of the template study say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privhead_nb.teach.lesson08 import template_runs
from privhead_nb.viz.palette import BLUE, GREEN, NEUTRAL, ORANGE, PURPLE, SENSITIVE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Every head has its own colour and mark, so that neither alone tells them.
HEADS = {"103": (BLUE, "o"), "104": (VERMILLION, "s"), "105": (GREEN, "^")}
STAGES = (("stage1.face_mm", "--", "after stage 1"), ("final.face_mm", "-", "at the end"))


def two_discs(gap: float = 0.9) -> Figure:
    """The mean distance of two discs, its slope, and a true distance with the same zero line."""
    axis = np.linspace(-1.6, 1.6, 161)
    x, y = np.meshgrid(axis, axis)
    left, right = (np.hypot(x - c, y) - 0.6 for c in (-gap / 2, gap / 2))
    mean = (left + right) / 2
    slope = np.hypot(*np.gradient(mean, axis[1] - axis[0]))
    figure, axes = grid(1, 2, width=7.5, height=3.3)
    for ax, title in zip(axes[0], ("mean of two distances", "length of its gradient"), strict=True):
        ax.set_aspect("equal")
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
    levels = np.arange(0.15, 1.3, 0.15)
    lines = axes[0][0].contour(x, y, mean, levels, colors="0.6", linewidths=0.8)
    axes[0][0].clabel(lines, levels[1::2], fontsize=7)
    shown = axes[0][1].pcolormesh(x, y, slope, cmap="cividis", vmin=0, vmax=1, shading="auto")
    figure.colorbar(shown, ax=axes[0][1], shrink=0.8, label="length; a distance has 1")
    for ax in axes[0]:
        for one in (left, right):
            ax.contour(x, y, one, [0], colors=ORANGE, linewidths=1.2, linestyles="--")
        ax.contour(x, y, mean, [0], colors="white" if ax is axes[0][1] else BLUE, linewidths=2.2)
    return figure


def starts(path: str = "final.face_mm", label: str = "face, mm from the truth") -> Figure:
    """One row a start: each head's mark (seeds of one head are joined), and their mean."""
    figure, axes = grid(1, 1, width=8.5, height=3.6)
    ax = axes[0][0]
    names = [s for s in template_runs.STARTS if template_runs.runs(start=s)]
    for row, start in enumerate(names):
        for run in template_runs.runs(start=start):
            colour, mark = HEADS[run["head"]]
            ax.plot(template_runs.value(run, path), row, mark, color=colour, ms=7, alpha=0.85,
                    fillstyle="full" if run["seed"] == 0 else "none")  # fmt: skip
        mean = np.mean(list(template_runs.of_heads(path, start=start).values()))
        ax.plot([mean, mean], [row - 0.32, row + 0.32], color="black", lw=2)
    _legend_of_heads(ax)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel(label)
    ax.grid(axis="x", color="0.9")
    ax.set_xlim(left=0)
    return figure


def neutral_views() -> Figure:
    """Error over the number of neutral views, after stage 1 and at the end, head by head."""
    figure, axes = grid(1, 1, width=8, height=3.4)
    ax, names = axes[0][0], list(template_runs.NEUTRAL)
    for path, dash, _ in STAGES:
        for head in HEADS:
            found = _by(path, "neutral", names, head=head)
            places = [names.index(n) for n in found if n != names[-1]]
            if len(places) < 2:
                continue
            colour, mark = HEADS[head]
            ax.plot(places, list(found.values())[: len(places)], dash, color=colour, marker=mark)
            if names[-1] in found:
                full = "full" if dash == "-" else "none"
                ax.plot(len(names) - 1, found[names[-1]], mark, color=colour, fillstyle=full, ms=8)
    _legend_of_stages(ax)
    ax.set_xticks(range(len(names)), names)
    ax.set(xlabel="neutral views", ylabel="face, mm from the truth", ylim=(0, None))
    ax.grid(axis="y", color="0.9")
    return figure


def sizes() -> Figure:
    """Error over the size of the released pictures, head by head."""
    figure, axes = grid(1, 2, width=9, height=3.3)
    for ax, measure in zip(axes[0], ("face_mm", "face_deg"), strict=True):
        for part, dash in (("stage1", "--"), ("final", "-")):
            for head, (colour, mark) in HEADS.items():
                found = _by(f"{part}.{measure}", "size", (16, 32, 64, 128), head=head)
                if len(found) > 1:
                    ax.plot(list(found), list(found.values()), dash, color=colour, marker=mark)
        ax.set_xscale("log", base=2)
        ax.set_xticks([16, 32, 64, 128], ["16", "32", "64", "128"])
        ax.set(xlabel="released pixels along a side", ylim=(0, None))
        ax.grid(axis="y", color="0.9")
    axes[0][0].set_ylabel("face, mm from the truth")
    axes[0][1].set_ylabel("median angle of normals, degrees")
    _legend_of_stages(axes[0][0])
    return figure


def looks() -> Figure:
    """What a release says of stage 1, without the truth, against what the truth says."""
    figure, axes = grid(1, 2, width=9, height=3.5)
    measures = (
        ("stage1_looks.signal_outside", "released signal outside of stage 1's outline"),
        ("stage1_looks.empty_border", "share of its outline without a released line"),
    )
    found = [r for r in template_runs.runs(start=None, neutral=None) if "stage1" in r]
    for ax, (path, label) in zip(axes[0], measures, strict=True):
        for run in found:
            colour, mark = HEADS[run["head"]]
            few = run["neutral"] in ("2", "5 in a narrow arc")
            mark = "*" if run["start"].startswith("template") else mark
            ax.plot(template_runs.value(run, path), template_runs.value(run, "stage1.head_mm"),
                    mark, color=colour, fillstyle="none" if few else "full",
                    ms=11 if mark == "*" else 7)  # fmt: skip
        ax.set(xlabel=label, ylim=(0, None), xlim=(-0.01, None))
        ax.grid(color="0.92")
    axes[0][0].set_ylabel("stage 1: whole head, mm")
    for mark, fill, name in (
        ("o", "full", "from a sphere, 5 to 15 views"),
        ("o", "none", "from a sphere, 2 views or an arc"),
        ("*", "full", "from the template, 10 views"),
        ("*", "none", "from the template, 2 views or an arc"),
    ):
        axes[0][1].plot([], [], mark, color="black", fillstyle=fill, label=name)
    axes[0][1].legend(frameon=False, fontsize=7, loc="lower right")
    return figure


def left_of_template() -> Figure:
    """Share of the template's error that is left: by start, and over the sensitive views."""
    figure, axes = grid(1, 2, width=10, height=3.3)
    by_start, by_views = axes[0]
    names = [s for s in template_runs.STARTS[:-1] if template_runs.runs(start=s)]
    parts = (
        ("bias.share_face", SENSITIVE, "o", "face"),
        ("bias.share_rest", NEUTRAL, "D", "rest of the head"),
    )
    for path, colour, mark, name in parts:
        for row, start in enumerate(names):
            found = list(template_runs.of_heads(path, start=start).values())
            by_start.plot(found, [row] * len(found), mark, color=colour, ms=6, alpha=0.8)
        rows = template_runs.runs(start="mean template", sensitive=None)
        counts = sorted({r["sensitive"] for r in rows})
        values = [
            np.mean([template_runs.value(r, path) for r in rows if r["sensitive"] == n])
            for n in counts
        ]
        by_views.plot(counts, values, "-" if name == "face" else "--", color=colour, marker=mark,
                      label=name)  # fmt: skip
    by_start.set_yticks(range(len(names)), names)
    by_start.invert_yaxis()
    by_start.set_xlabel("share of the template's error left")
    by_views.set(xlabel="sensitive views, start: mean template", ylabel="share left")
    by_views.legend(frameon=False, fontsize=8)
    for ax in axes[0]:
        ax.grid(color="0.92")
    by_start.axvline(0, color="0.5", lw=0.8)
    by_views.axhline(0, color="0.5", lw=0.8)
    return figure


def near_whom() -> Figure:
    """Distance of a result's face to the truth, and to each of the template's ten people."""
    figure, axes = grid(1, 1, width=8.5, height=3.2)
    ax = axes[0][0]
    rows = [
        (f"{start}, {n} views" if n != 20 else start, template_runs.runs(start=start, sensitive=n))
        for start, n in (
            ("stage 1, then 2", 20), ("mean template", 20), ("mean template", 5),
            ("mean template", 3),
        )
    ]  # fmt: skip
    rows = [(name, found) for name, found in rows if found]
    for row, (_, found) in enumerate(rows):
        people = np.concatenate([r["bias"]["to_people_mm"] for r in found])
        truth = [r["bias"]["to_truth_mm"] for r in found]
        ax.plot(people, np.full(len(people), row), "|", color="0.45", ms=12)
        ax.plot(truth, np.full(len(truth), row), "o", color=PURPLE, ms=7)
    ax.plot([], [], "|", color="0.45", ms=12, label="the template's people")
    ax.plot([], [], "o", color=PURPLE, label="the truth")
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.7)
    ax.set(xlabel="mean distance from the result's face, mm", xlim=(0, None))
    ax.grid(axis="x", color="0.92")
    return figure


def view_choices(towards: NDArray[np.float64], choices: dict[str, Sequence[int]]) -> Figure:
    """Directions of neutral views seen from above and behind, and those that are chosen."""
    figure, axes = grid(1, len(choices), width=3.2 * len(choices), height=2.9)
    azimuth = np.degrees(np.arctan2(towards[:, 0], -towards[:, 2]))
    height = np.degrees(np.arcsin(towards[:, 1]))
    for ax, (name, chosen) in zip(axes[0], choices.items(), strict=True):
        ax.plot(azimuth, height, "o", color="0.75", ms=6, fillstyle="none")
        ax.plot(azimuth[list(chosen)], height[list(chosen)], "o", color=NEUTRAL, ms=8)
        for order, view in enumerate(chosen):
            ax.annotate(str(order + 1), (azimuth[view], height[view]), (0, 7),
                        textcoords="offset points", ha="center", fontsize=8)  # fmt: skip
        ax.set_title(name, fontsize=10)
        ax.set(xlabel="degrees from straight behind", xlim=(-90, 90), ylim=(-20, 45))
    axes[0][0].set_ylabel("degrees above")
    return figure


def _by(path: str, setting: str, order: Sequence[Any], *, head: str) -> dict[Any, float]:
    """Setting -> mean over seeds, of two-stage runs of a head."""
    found = {}
    for wanted in order:
        asked: dict[str, Any] = {setting: wanted}
        values = template_runs.of_heads(path, start="stage 1, then 2", head=head, **asked)
        if values:
            found[wanted] = values[head]
    return found


def _legend_of_heads(ax: Axes) -> None:
    for head, (colour, mark) in HEADS.items():
        if template_runs.runs(head=head):
            ax.plot([], [], mark, color=colour, label=f"head {head}")
    ax.plot([], [], "ko", fillstyle="none", label="other seeds")
    ax.plot([], [], color="black", lw=2, label="mean of heads")
    ax.legend(frameon=False, fontsize=8)


def _legend_of_stages(ax: Axes) -> None:
    for _, dash, name in STAGES:
        ax.plot([], [], dash, color="0.3", label=name)
    for head, (colour, mark) in list(HEADS.items())[:2]:
        ax.plot([], [], mark, color=colour, label=f"head {head}")
    ax.legend(frameon=False, fontsize=8, ncols=2)
