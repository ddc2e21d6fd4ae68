"""Figures of lesson 6: signals with the same steps, pictures with one modulus, and rates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.teach import lab_runs, results
from privhead_nb.teach.lab_runs import TAKEN, WORST
from privhead_nb.viz.style import BLUE, dots, grid, images, modulus_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def walks(steps: Sequence[float]) -> Figure:
    """Every signal with these steps, started at the middle; bold where one shift fits all of it."""
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
    paths = np.cumsum(np.pad(signs * steps, ((0, 0), (1, 0))), axis=1) + 0.5
    low, high = paths.min(axis=1), paths.max(axis=1)
    fits = high - low <= 1
    paths[fits] += 0.5 - ((low + high) / 2)[fits, None]
    figure, ((left, right),) = grid(1, 2, width=9, height=3.2, sharey=True)
    left.plot(paths[~fits].T, color="0.7", lw=1.2)
    left.set_title(f"all {len(paths)} signals", fontsize=10)
    right.set_title(f"the {fits.sum()} that fit into 0 to 1 (dotted)", fontsize=10)
    for ax in (left, right):
        ax.plot(paths[fits].T, color=BLUE, lw=2)
        ax.hlines([0, 1], 0, len(steps), color="black", lw=1, ls=":")
        ax.set(xticks=range(len(steps) + 1), xlabel="pixel")
    left.set(ylabel="grey value", ylim=(-0.9, 1.9))
    return figure


def drawn(picture: Tensor) -> NDArray[np.float64]:
    """(H, W, 3) to look at: a modulus (H, W) by its square root, colours cut to [0, 1]."""
    if picture.dim() == 2:
        return modulus_picture(picture.detach().clamp_min(0).sqrt().float().numpy()).astype(float)
    return np.asarray(picture.detach().clamp(0, 1).double().numpy())


def gallery(rows: Sequence[Mapping[str, Tensor]], *, width: float = 10.0) -> Figure:
    """Rows of pictures by title: colours (H, W, 3), cut to [0, 1], or a modulus (H, W) as lines."""
    pictures = [[drawn(picture) for picture in row.values()] for row in rows]
    return images(pictures, [title for row in rows for title in row], width=width)


def by_setting(attack: str = "parrot-classical") -> Figure:
    """Rank-1 of one attack at each setting, with intervals; where another one was stronger; meshes.

    A dagger marks the settings at which nothing stronger was tried.
    """
    rows, meshes = {}, results.table("artefacts")["heads"]
    for name in lab_runs.settings():
        found = {taken: lab_runs.rate(name, attack, taken=taken) for taken in TAKEN}
        for taken in TAKEN:
            if lab_runs.strongest(name, taken=taken) != attack:
                best = lab_runs.rate(name, WORST, taken=taken)
                found[f"{taken}, a stronger attack"] = best
        if name in meshes:
            found["its mesh (10 people)"] = results.rate(meshes[name]["worst_rank1"])
        rows[name + (" \u2020" if len(found) == len(TAKEN) else "")] = found
    figure, ((ax,),) = grid(1, 1, width=9, height=0.36 * len(rows) + 1.1)
    words = f"named rightly among {lab_runs.people()} people"
    if any("\u2020" in name for name in rows):
        words += " (\u2020: nothing stronger was tried)"
    dots(ax, rows, chance=1 / lab_runs.people(), xlabel=words)
    return figure
