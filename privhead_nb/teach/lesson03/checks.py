"""Checks of lesson 3: moduli, levels, rims, leaks, and a disguise."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import SAMPLES
from privhead_nb.teach.checks import Array, Function, check, same_names
from privhead_nb.teach.lesson03 import detector, leaks

PEAK = Operator("sobel").peak


def ex0301(yours: Function) -> None:
    """Eq. 6 with Sobel, no padding: picture (H, W, 3) -> modulus (H - 2, W - 2)."""

    def spec(picture: Array, per_channel: bool = True) -> Array:
        operator = Operator("sobel", per_channel=per_channel)
        return operator.modulus(torch.from_numpy(picture), valid=True).numpy()

    def derivatives(picture: Array) -> Array:
        """Along x and y: (2, H - 2, W - 2, 3)."""
        kernels = torch.stack(Operator("sobel").kernels()).double().numpy()
        windows = np.lib.stride_tricks.sliding_window_view(picture.astype(float), (3, 3), (0, 1))
        return np.einsum("hwcij,dij->dhwc", windows, kernels)

    random = np.random.default_rng(3)
    x = np.arange(7.0)
    ramp = np.broadcast_to(np.stack([0.1 * x, 0 * x, 0 * x], -1), (5, 7, 3))
    check(
        "ex0301",
        yours,
        spec,
        {
            "red rises by 0.1 a pixel": (ramp.astype(np.float32),),
            "a picture of 3 x 3 pixels": (random.random((3, 3, 3), np.float32),),
            "a picture of 9 x 12 pixels": (random.random((9, 12, 3), np.float32),),
        },
        hint="slice the neighbours out of the picture, such as picture[:-2, 2:] for upper right; "
        "make gx and gy (H - 2, W - 2, 3) of them; then a length over the last axis for each",
        slips={
            "divide by the kernel's gain, 8: a ramp of 1 a pixel must give 1": lambda p: (
                8 * spec(p)
            ),
            "this is one length of all six numbers; eq. 6 adds two lengths, x and y": lambda p: (
                np.sqrt((derivatives(p) ** 2).sum((0, -1)))
            ),
            "you added absolute values; take the length over the three channels": lambda p: np.abs(
                derivatives(p)
            ).sum((0, -1)),
            "this is the modulus of luma; keep R, G and B until the lengths": lambda p: spec(
                p, per_channel=False
            ),
        },
        rtol=1e-4,
        atol=1e-5,
    )


def ex0302(yours: Function) -> None:
    """Rounding to levels on the operator's scale: (modulus, peak, levels) -> modulus."""

    def spec(modulus: Array, peak: float, levels: int, rounded: Function = np.round) -> Array:
        step = peak / (levels - 1)
        return np.asarray(rounded(np.clip(modulus, 0, peak) / step) * step)

    random = np.random.default_rng(0)
    check(
        "ex0302",
        yours,
        spec,
        {
            "two levels": (np.array([[0.1, 0.4, 0.6, 1.0]]), 1.0, 2),
            "a dim picture, 5 levels": (0.6 * random.random((4, 6)), PEAK, 5),
            "a picture, 16 levels": (PEAK * random.random((8, 8)), PEAK, 16),
            "noise has carried some below 0 and above the peak": (
                random.normal(0.4, 0.5, (6, 6)), 1.0, 9,
            ),
        },
        hint="the levels lie evenly between 0 and peak, both included: how many steps are between "
        "them? Cut to [0, peak], divide by the step, round, multiply",
        slips={
            "levels must lie between 0 and `peak`, not the picture's own maximum, which would "
            "tell something about the picture": lambda m, _, n: spec(m, float(m.max()), n),
            "n levels have n - 1 steps between them, since both ends are levels": lambda m, p, n: (
                spec(m, p, n + 1)
            ),
            "round to the nearest level, don't cut down to the next lower one": lambda m, p, n: (
                spec(m, p, n, np.floor)
            ),
            "give back moduli, not the numbers of the levels": lambda m, p, n: (
                spec(m, p, n) / p * (n - 1)
            ),
            "cut to [0, peak] first: noise leaves it": lambda m, p, n: (
                np.round(m / (p / (n - 1))) * (p / (n - 1))
            ),
        },
    )  # fmt: skip


def ex0303(yours: Function) -> None:
    """Length of a plain background's colour from a modulus with zeros outside: (H, W) -> number."""

    def spec(modulus: Array) -> float:
        # Half-way down the left rim, what lies outside is 0 and all else is c: dc/dx = c / 2.
        return 2.0 * float(modulus[modulus.shape[0] // 2, 0])

    def released(*colour: float) -> tuple[Array]:
        picture = torch.tensor(colour).expand(32, 32, 3).clone()
        picture[10:22, 9:24] = torch.tensor([0.2, 0.1, 0.6])
        return (Operator("sobel", border="zero").modulus(picture).numpy(),)

    check(
        "ex0303",
        yours,
        spec,
        {
            "a white wall": released(1.0, 1.0, 1.0),
            "a black wall": released(0.0, 0.0, 0.0),
            "a grey wall": released(0.5, 0.5, 0.5),
            "a green wall": released(0.1, 0.7, 0.2),
        },
        hint="write down dc/dx and dc/dy for a pixel half-way down the left rim: its column and "
        "the one to the right have the colour c, the one to the left is 0",
        slips={
            "Sobel is divided by 8, and three of its weights meet zeros: dc/dx is c / 2, not c": (
                lambda m: spec(m) / 2
            ),
            "a corner has both derivatives; half-way down the rim dc/dy is 0": lambda m: (
                2 * m[0, 0]
            ),
            "this is one channel of a grey; give the length over three": lambda m: (
                spec(m) / np.sqrt(3)
            ),
        },
        rtol=1e-4,
    )


def ex0304(yours: Function) -> None:
    """Which files of a folder are no release's, or hold too much: folder -> set of names."""

    def by_names_and_modes(folder: Path) -> set[str]:
        return {name for name in leaks.find_leaks(folder) if not looks_right(folder, name)}

    def looks_right(folder: Path, name: str) -> bool:
        if not leaks.PICTURE_NAME.fullmatch(name):
            return False
        with Image.open(folder / name) as image:
            return image.mode == leaks.MODES[Path(name).parent.name]

    with _releases() as cases:
        check(
            "ex0304",
            yours,
            leaks.find_leaks,
            cases,
            hint="go through all files with folder.rglob('*'); ask of each: may a release have "
            "this name? If it is a picture: Image.open(path).mode, .info, .getexif(), and the last "
            "bytes of path.read_bytes(); if it is release.json: its keys",
            slips={
                "modes are right; now look at what travels with the pixels: .info, .getexif(), and "
                "bytes behind the end": by_names_and_modes,
            },
            same=same_names,
        )


@contextmanager
def _releases() -> Iterator[dict[str, tuple[Path]]]:
    """A good release, copies with one leak each, and one with all of them."""
    with tempfile.TemporaryDirectory() as place:
        cases = {"a good release": (SAMPLES / "release",)}
        groups = {name: [plant] for name, plant in leaks.PLANTS.items()}
        groups["all of these at once"] = list(leaks.PLANTS.values())
        for number, (name, plants) in enumerate(groups.items()):
            copy = Path(place) / f"release_{number}"
            shutil.copytree(SAMPLES / "release", copy)
            for plant in plants:
                plant(copy)
            cases[name] = (copy,)
        yield cases


Disguise = Callable[..., Tensor]  # (modulus (H, W), undo) -> (H, W)
BLUR = 2.0  # pixels: what an attacker may try before looking


def ex0305(yours: Function) -> None:
    """No face is found in it, and it comes back: (modulus, undo=False) -> modulus."""
    cases: dict[str, Any] = {
        "what is released has the modulus' shape and lies in [0, peak]": (fits_a_release, 256),
        "undo=True brings the modulus back": (comes_back, 256),
        "undo=True brings it back at 64 pixels": (comes_back, 64),
        "a loss feels every pixel": (gradients_flow, 64),
    }
    for lines in detector.LINES:
        for blur in (0.0, BLUR):
            words = f", blurred by {blur:g} pixels" if blur else ""
            cases[f"drawn with {lines} lines{words}"] = (hides_faces, lines, 1, blur)
    for lines in detector.LINES:  # seven more looks, more lucky hits
        cases[f"drawn with {lines} lines, turned and mirrored"] = (hides_faces, lines, 4, 0.0, True)
    check(
        "ex0305",
        yours,
        lambda *_: "",
        cases,
        hint="the detector compares neighbouring blocks of a face; what could you do to blocks "
        "that can be undone, and that neither a small blur nor a turn of the whole removes?",
        slips={},
        call=lambda disguise, question, *options: question(disguise, *options),
        same=lambda wrong, _: [wrong] if wrong else None,
    )


def fits_a_release(disguise: Disguise, size: int) -> str:
    """What is wrong with the shape or range of what is released; "" where nothing is."""
    modulus = _modulus(1, size)
    out = disguise(modulus, False)
    inside = out.shape == modulus.shape and ((out >= -1e-5) & (out <= PEAK * (1 + 1e-5))).all()
    return "" if inside else "it does not"


def comes_back(disguise: Disguise, size: int) -> str:
    """What is wrong if `undo` misses a stored portrait's modulus by over 1/1000 of the peak."""
    modulus = _modulus(0, size)
    back = disguise(disguise(modulus, False), True)
    good = back.shape == modulus.shape and (back - modulus).abs().max() <= 1e-3 * PEAK
    return "" if good else "it does not"


def gradients_flow(disguise: Disguise, size: int) -> str:
    """What is wrong if a loss on what is released does not feel nearly every pixel."""
    modulus = _modulus(2, size).requires_grad_()
    out = disguise(modulus, False)
    if not out.requires_grad:
        return "it does not"
    weight = torch.rand(out.shape, generator=torch.Generator().manual_seed(1)) + 0.5
    (gradient,) = torch.autograd.grad((out * weight).sum(), modulus)
    good = gradient.isfinite().all() and (gradient.abs() > 1e-6).float().mean() > 0.99
    return "" if good else "it does not"


def hides_faces(
    disguise: Disguise, lines: str, allowed: int, blur: float, turned: bool = False
) -> str:
    """What is wrong if the detector finds the faces of too many stored portraits, at full size.

    Args:
        disguise: applied to the Sobel modulus.
        lines: how it is drawn.
        allowed: how many faces may be found.
        blur: sigma in pixels of what the attacker blurs the drawing with first.
        turned: the attacker tries all other quarter turns of the drawing and of its mirror image.
    """
    fronts, found = detector.stored_portraits()[0], 0
    for number, portrait in enumerate(fronts):
        out = disguise(_modulus(number, detector.SIDE), False).detach().numpy()
        drawn = detector.drawing(np.ascontiguousarray(out, np.float32), lines)
        if blur > 0:
            drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), blur), np.float32)
        ways = [np.rot90(side, k) for side in (drawn, drawn[:, ::-1]) for k in range(4)]
        pictures = [np.ascontiguousarray(way) for way in (ways[1:] if turned else ways[:1])]
        found += any(detector.finds(portrait, picture) for picture in pictures)
    if found <= allowed:
        return ""
    return f"the detector finds {found} of {len(fronts)} faces; {allowed} is allowed"


def _modulus(number: int, size: int) -> Tensor:
    portrait = detector.stored_portraits()[0][number]
    return torch.from_numpy(detector.released(portrait.picture, Operator(), size))
