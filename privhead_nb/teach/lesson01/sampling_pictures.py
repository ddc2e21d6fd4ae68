"""Pictures of lesson 1: where depth is uncertain, and what too few samples do to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.teach.lesson01.head_pictures import around
from privhead_nb.teach.lesson01.sampling_error import SURE, Depths, HeadRays
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Every placing has its own colour, dash and mark, so that none alone tells them.
LINES = {
    "even": (BLUE, "-", "o"),
    "jittered": (VERMILLION, "--", "s"),
    "random": (PURPLE, ":", "v"),
    "by weight": (ORANGE, "-.", "^"),
    "by weight, widened": (GREEN, (0, (5, 1, 1, 1)), "D"),
}


def spread_maps(rays: HeadRays, seen: Mapping[float, Depths], most: float = 16.0) -> Figure:
    """The depth's spread in mm at every pixel, one picture for each beta; paper where no head.

    Args:
        rays: of the picture.
        seen: by beta, what its rays show.
        most: mm at the bright end.
    """
    figure, axes = grid(1, len(seen), width=3.3 * len(seen), height=3.4)
    pictures = {
        beta: rays.picture(torch.where(s.opacity > 0.5, s.spread, torch.nan))
        for beta, s in seen.items()
    }
    window = around(torch.stack([~p.isnan() for p in pictures.values()]).any(0), 2)
    for ax, (beta, picture) in zip(axes[0], pictures.items(), strict=True):
        shown = ax.imshow(_head_only(picture)[window], cmap="cividis", vmin=0, vmax=most)
        ax.set_title(f"beta = {beta * rays.head.radius:.1f} mm", fontsize=10)
        ax.set_axis_off()
    bar = figure.colorbar(shown, ax=axes[0], shrink=0.8, extend="max")
    bar.set_label("spread of the depth [mm]", fontsize=9)
    return figure


def terraces(
    rays: HeadRays, errors: Mapping[str, Tensor], exact: Depths, most: float = 30.0
) -> Figure:
    """Depth pictures shaded as if they were surfaces, and their errors below.

    Args:
        rays: of the picture.
        errors: name -> depth minus true depth, (N,) mm, NaN where the head isn't surely met.
        exact: what the rays truly show.
        most: mm at the bright end of the errors.
    """
    true = torch.where(exact.opacity > SURE, exact.depth, torch.nan)
    depths = {**{name: true + off for name, off in errors.items()}, "truth": true}
    figure, axes = grid(2, len(depths), width=11, height=6.0)
    window = around(~rays.picture(true).isnan())
    for ax, (name, depth) in zip(axes[0], depths.items(), strict=True):
        ax.imshow(shaded(rays.picture(depth).numpy())[window], cmap="gray", vmin=0, vmax=1)
        ax.set_title(name, fontsize=10)
    for ax, off in zip(axes[1], errors.values(), strict=False):
        shown = ax.imshow(_head_only(rays.picture(off))[window], cmap="cividis", vmin=0, vmax=most)
    for ax in axes[0] + axes[1]:
        ax.set_axis_off()
    place = axes[1][-1].inset_axes((0.05, 0.1, 0.09, 0.8))
    bar = figure.colorbar(shown, cax=place, extend="both")
    bar.set_label("too deep by [mm]", fontsize=9)
    return figure


def shaded(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """A depth picture (H, W), mm, lit from the upper left; white where it is NaN."""
    down, right = np.gradient(depth)
    light = np.clip(0.62 - 0.055 * (right + down), 0.0, 1.0)
    return np.where(np.isnan(depth) | np.isnan(light), 1.0, light).astype(np.float32)


def error_curves(
    counts: Sequence[int],
    errors: Mapping[str, Mapping[str, Sequence[float]]],
    points: Mapping[str, tuple[int, float]] | None = None,
) -> Figure:
    """Mean absolute error of the depth over the number of samples, one panel for each beta.

    Args:
        counts: of samples.
        errors: title of a panel -> placing -> mm at each count.
        points: further (count, mm) for the first panel, by name.
    """
    figure, axes = grid(1, len(errors), width=10, height=3.9)
    for ax, (title, lines) in zip(axes[0], errors.items(), strict=True):
        for name, values in lines.items():
            colour, dash, mark = LINES[name]
            ax.loglog(counts, values, mark, ls=dash, color=colour, ms=6, lw=1.6, label=name)
        _style(ax, counts, title)
    for name, (count, error) in (points or {}).items():
        axes[0][0].plot(count, error, "*", color="black", ms=13)
        axes[0][0].annotate(name, (count, error), (8, -3), textcoords="offset points", fontsize=8)
    low = min(ax.get_ylim()[0] for ax in axes[0])
    for ax in axes[0]:
        ax.set_ylim(low, 80)
    axes[0][0].set_ylabel("mean error of the depth [mm]", fontsize=9)
    axes[0][-1].legend(fontsize=8, frameon=False, loc="lower left")
    return figure


def _style(ax: Axes, counts: Sequence[int], title: str) -> None:
    ax.set_title(title, fontsize=10)
    ax.set_xticks(list(counts), [str(n) for n in counts])
    ax.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    ax.minorticks_off()
    ax.set_xlabel("samples on a ray", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


def inverse_cdf_picture(t: Tensor, weights: Tensor, u: Tensor, drawn: Tensor) -> Figure:
    """How quantiles become samples: the weights, their running sum, and arrows through it.

    Args:
        t: (S + 1,) section ends.
        weights: (S,) mass of the sections.
        u: (n,) quantiles.
        drawn: (n,) the samples that belong to them.
    """
    figure, axes = grid(1, 2, width=10, height=3.1)
    mass, total = axes[0]
    mass.stairs(weights.numpy(), t.numpy(), fill=True, color="0.8")
    mass.plot(drawn, torch.zeros_like(drawn), "|", color=VERMILLION, ms=16, mew=1.5)
    mass.set_title("weights of the sections, and the new samples", fontsize=10)
    edges = torch.nn.functional.pad(torch.cumsum(weights, 0), (1, 0)) / weights.sum()
    total.plot(t, edges, color="black", lw=1.8)
    for quantile, place in zip(u, drawn, strict=True):
        total.plot([t[0], place, place], [quantile, quantile, 0], color=VERMILLION, lw=0.8, ls="--")
    total.set_title("their running sum: read it backwards", fontsize=10)
    total.set_ylabel("u", fontsize=9)
    for ax in axes[0]:
        ax.set_xlim(float(t[0]), float(t[-1]))
        ax.set_ylim(0, None)
        ax.set_xlabel("depth t", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _head_only(values: Tensor) -> Any:
    return np.ma.masked_invalid(values.numpy())
