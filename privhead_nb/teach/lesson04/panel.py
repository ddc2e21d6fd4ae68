"""Lesson 4's panel: a picture against itself, moved, scaled, recoloured and blurred."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import torch

from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.scene import load_scene
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson04 import landscape, loss_landscape
from privhead_nb.teach.lesson04.landscape import Curve

if TYPE_CHECKING:
    from torch import Tensor

    from privhead_nb.teach.widgets import View

FRONT = 7  # a sensitive view of the sample head, from the front
REACH = 12
LOSSES = {"gradient loss": "gradient", "RGB loss": "rgb"}
_REST: dict[str, Any] = {"shift": 0, "scale": 1.0, "contrast": 1.0, "blur": 0.0, "loss": "gradient"}
TWIN: list[dict[str, Any]] = [
    _REST | {"shift": 3},
    _REST | {"shift": 3, "loss": "rgb"},
    _REST | {"shift": 3, "blur": 2.0},
    _REST | {"contrast": -1.0},
]


def picture(shift: int, scale: float, contrast: float, blur: float, loss: str) -> View:
    """Target, changed picture, their difference, and the loss on its curve over the shift."""
    batch, steps = _moved(scale), torch.arange(-REACH, REACH + 1).float()
    here = REACH + shift
    original = _original()
    if loss == "gradient":
        # a contrast's modulus is its size times the modulus, and that of an offset is no other
        own, target = abs(contrast) * _moduli(scale, blur), _moduli(1.0, blur)[REACH]
        values = (own - target).abs().mean((1, 2)) / target.mean()
        panes = {"released modulus": target, "yours": own[here]}
        panes["difference"] = (own[here] - target).abs()
        curve = Curve(steps, values, values)
    else:
        changed = landscape.recoloured(batch, contrast)
        values = landscape.rgb_losses(changed, original)
        mine = changed[here].movedim(0, -1)
        panes = {"picture": original, "yours": mine}
        panes["difference"] = (mine - original).abs().mean(-1)
        curve = Curve(steps, values, values)
    value = float(values[here])
    figure = loss_landscape.against_itself(curve, loss, panes, (float(shift), value))
    name = "gradient" if loss == "gradient" else "RGB"
    setting = f"shift {shift}, scale {scale:.2f}, contrast {contrast:.2f}"
    if loss == "gradient":
        setting += f", blur {blur:g}"
    facts = f"{setting}: {name} loss {value:.2f} of an empty picture's"
    alt = (
        f"The front view and the same with {setting}, their difference, and the {name} loss over "
        f"the shift with a point at {value:.2f}; an empty picture has 1."
    )
    return widgets.View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """Shift, scale, contrast, blur, and which loss."""
    return {
        "shift": widgets.whole("shift", -REACH, REACH, 1, 2),
        "scale": widgets.real("scale", 0.8, 1.2, 0.05, 1.0),
        "contrast": widgets.real("contrast", -1.0, 1.0, 0.25, 1.0),
        "blur": widgets.choice("blur", [0.0, 0.5, 1.0, 2.0, 3.0], 0.0),
        "loss": widgets.choice("loss", LOSSES),
    }


@cache
def _original() -> Tensor:
    return load_scene(SAMPLES / "scene").images[FRONT]


@lru_cache(maxsize=16)
def _moved(scale: float) -> Tensor:
    """The picture at all shifts, (n, 3, H, W)."""
    steps = torch.arange(-REACH, REACH + 1).float()
    return landscape.moved(_original(), steps, 0.0, scale)


@lru_cache(maxsize=64)
def _moduli(scale: float, blur: float) -> Tensor:
    """Their moduli, (n, h, w)."""
    return landscape.moduli(_moved(scale), blur)
