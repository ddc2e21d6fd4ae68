"""Lesson 4's panel: a picture against itself, moved, scaled, recoloured and blurred."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson04 import figures, landscape
from privhead_nb.viz.style import GREEN, grid, image

if TYPE_CHECKING:
    from torch import Tensor

    from privhead_nb.teach.widgets import View

FRONT = 7  # a sensitive view of the sample head, from the front
REACH = 12
_UNITS = {"gradient loss": "modulus", "RGB loss": "mean of colours"}
_REST: dict[str, Any] = {
    "shift": 0, "scale": 1.0, "contrast": 1.0, "blur": 0.0, "loss": "gradient loss",
}  # fmt: skip
TWIN: list[dict[str, Any]] = [
    _REST | {"shift": 3},
    _REST | {"shift": 3, "loss": "RGB loss"},
    _REST | {"shift": 3, "blur": 2.0},
    _REST | {"contrast": -1.0},
]


def picture(shift: int, scale: float, contrast: float, blur: float, loss: str) -> View:
    """Target, changed picture, their difference, and the loss on its curve over the shift."""
    original, steps = _original(), torch.arange(-REACH, REACH + 1).float()
    batch = 0.5 + contrast * (landscape.moved(original, steps, 0.0, scale) - 0.5)
    here, gradient = REACH + shift, loss == "gradient loss"
    if gradient:
        theirs, ours = landscape.moduli(original[None], blur), landscape.moduli(batch, blur)
        losses = (ours - theirs).abs().mean((1, 2)) / theirs.mean()
        panes = [theirs[0], ours[here], (ours[here] - theirs[0]).abs()]
        titles = ("released modulus", "yours", "difference")
    else:
        losses = (batch - original).abs().mean((1, 2, 3)) / (1 - original).abs().mean()
        panes = [original, batch[here], (batch[here] - original).abs().mean(-1)]
        titles = ("picture", "yours", "difference")
    figure, (axes,) = grid(1, 4, width=9.6, height=2.3, width_ratios=[1, 1, 1.25, 1.5])
    top = float(panes[0].quantile(0.995)) if gradient else 1.0
    for ax, pane, title in zip(axes, panes, titles, strict=False):
        image(ax, pane, title, cmap="gray_r", vmax=top)
    figure.colorbar(axes[2].images[0], ax=axes[2], shrink=0.8, label=_UNITS[loss])
    value = float(losses[here])
    figures.loss_lines(axes[3], (steps, {loss: losses}), [loss])
    axes[3].plot(shift, value, "o", color=GREEN, mec="black", ms=9, clip_on=False, zorder=5)
    axes[3].set(xlim=(-REACH, REACH), ylim=(-0.05, max(2.0, 1.05 * value)), xlabel="shift, pixels")
    axes[3].set_title("loss; 1 = an empty picture", fontsize=9)
    setting = f"shift {shift}, scale {scale:.2f}, contrast {contrast:.2f}"
    if gradient:
        setting += f", blur {blur:g}"
    alt = (
        f"The front view and the same with {setting}, their difference, and the {loss} over "
        f"the shift with a point at {value:.2f}; an empty picture has 1."
    )
    return widgets.View(figure, alt, f"{setting}: {loss} {value:.2f} of an empty picture's")


def controls() -> dict[str, Any]:
    """Shift, scale, contrast, blur, and which loss."""
    return {
        "shift": widgets.whole("shift", -REACH, REACH, 1, 2),
        "scale": widgets.real("scale", 0.8, 1.2, 0.05, 1.0),
        "contrast": widgets.real("contrast", -1.0, 1.0, 0.25, 1.0),
        "blur": widgets.choice("blur", [0.0, 0.5, 1.0, 2.0, 3.0], 0.0),
        "loss": widgets.choice("loss", list(_UNITS)),
    }


@cache
def _original() -> Tensor:
    return load_scene(SAMPLES / "scene").images[FRONT]
