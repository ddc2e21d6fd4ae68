"""Checks of lesson 00: how a check works, what a release holds, and pictures that look alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from privhead_nb import Operator, protect
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.teach.checks import Function, Slip, check

APART = 0.05  # mean difference of two pictures that count as two


def ex0001(yours: Function) -> None:
    """The negative of a picture: (H, W, 3) in [0, 1] -> the same."""
    noise = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(0))
    cases = {
        "4 x 5 random colours": (noise,),
        "a dark grey": (torch.full((2, 2, 3), 0.4),),
        "black": (torch.zeros(1, 1, 3),),
    }
    slips: dict[str, Slip] = {
        "this makes colours negative; a negative turns 0 into 1 and 1 into 0": lambda p: -p,
        "colours are numbers from 0 to 1 here, not to 255": lambda p: 255 - p,
        "this is the picture as it was": lambda p: p,
        "this turns the picture upside down": lambda p: p.flip(0),
    }
    check("ex0001", yours, lambda photo: 1 - photo, cases, slips=slips)


def ex0002(yours: Function) -> None:
    """Numbers that leave the device: (neutral, sensitive, size) -> number of them."""
    scene = load_scene(SAMPLES / "scene")

    def spec(neutral: int, sensitive: int, size: int) -> int:
        some, face = scene.neutral[:neutral], scene.sensitive[:sensitive]
        release = protect(replace(scene, neutral=some, sensitive=face), size=size)
        return release.neutral_images.numel() + release.moduli.numel()

    cases = {
        "3 neutral views, 5 sensitive, 32 pixels": (3, 5, 32),
        "1 neutral view, 1 sensitive, 16 pixels": (1, 1, 16),
        "10 neutral views, 20 sensitive, 64 pixels": (10, 20, 64),
    }
    slips: dict[str, Slip] = {
        "of a sensitive view's pixel one number leaves, not three": lambda n, s, size: (
            3 * (n + s) * size**2
        ),
        "a neutral view's pixel has three numbers: red, green, blue": lambda n, s, size: (
            (n + s) * size**2
        ),
        "a view is size x size pixels": lambda n, s, size: (3 * n + s) * size,
        "it is the sensitive views that lose their colours": lambda n, s, size: (
            (n + 3 * s) * size**2
        ),
    }
    check("ex0002", yours, spec, cases, slips=slips, rtol=0)


def ex0003(yours: Function) -> None:
    """A stranger: a picture (H, W, 3) -> another with the same modulus."""
    operator = Operator("sobel")
    noise = torch.rand(16, 20, 3, generator=torch.Generator().manual_seed(3))
    across = torch.linspace(0.1, 0.9, 24).expand(24, 24)
    ramps = torch.stack([across, across.square().T, 1 - across], -1)

    def complaints(stranger: Any, photo: Tensor) -> list[str] | None:
        if not isinstance(stranger, Tensor) or stranger.shape != photo.shape:
            given = tuple(getattr(stranger, "shape", ())) or type(stranger).__name__
            return [f"yours has the shape {given}, not a picture's {tuple(photo.shape)}"]
        off = (operator.modulus(stranger) - operator.modulus(photo)).abs().max().item()
        if not off < 1e-4:
            return [f"slip: its modulus differs by up to {off:.3g}"]
        if stranger.min() < -1e-6 or stranger.max() > 1 + 1e-6:
            low, high = stranger.min().item(), stranger.max().item()
            return [f"slip: colours go from {low:.2g} to {high:.2g}; a picture's lie in 0 to 1"]
        shift = stranger - photo
        if (shift - shift.mean(dim=(0, 1))).abs().mean() < APART:
            return ["slip: the picture itself, or the picture with a constant colour added"]
        both = stranger + photo
        if (both - both.mean(dim=(0, 1))).abs().mean() < APART:
            return ["slip: the negative, or it with a constant colour added: find another one"]
        return None

    check(
        "ex0003",
        yours,
        lambda photo: photo,
        {"made of ramps": (ramps,), "16 x 20 random colours": (noise,)},
        slips={},
        same=complaints,
    )
