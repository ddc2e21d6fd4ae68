"""Checks of lesson 3: moduli, levels, rims, leaks, and a disguise."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import SAMPLES
from privhead_nb.teach.checks import Array, Function, check, same_names
from privhead_nb.teach.lesson03 import detector, disguise, leaks


def ex0301(yours: Function) -> None:
    """Eq. 6 with Sobel, no padding: picture (H, W, 3) -> modulus (H - 2, W - 2)."""

    def spec(picture: Array) -> Array:
        return Operator("sobel").modulus(torch.from_numpy(picture), valid=True).numpy()

    def derivatives(picture: Array) -> tuple[Array, Array]:
        kx, ky = (k.double().numpy() for k in Operator("sobel").kernels())
        windows = np.lib.stride_tricks.sliding_window_view(picture.astype(float), (3, 3), (0, 1))
        return (windows * kx).sum((-2, -1)), (windows * ky).sum((-2, -1))

    def one_length(picture: Array) -> Array:
        gx, gy = derivatives(picture)
        return np.sqrt((gx**2).sum(-1) + (gy**2).sum(-1))

    def absolutes(picture: Array) -> Array:
        gx, gy = derivatives(picture)
        return np.abs(gx).sum(-1) + np.abs(gy).sum(-1)

    def of_luma(picture: Array) -> Array:
        operator = Operator("sobel", per_channel=False)
        return operator.modulus(torch.from_numpy(picture), valid=True).numpy()

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
            "this is one length of all six numbers; eq. 6 adds two lengths, x and y": one_length,
            "you added absolute values; take the length over the three channels": absolutes,
            "this is the modulus of luma; keep R, G and B until the lengths": of_luma,
        },
        rtol=1e-4,
        atol=1e-5,
    )


def ex0302(yours: Function) -> None:
    """Rounding to levels on the operator's scale: (modulus, peak, levels) -> modulus."""

    def own_scale(modulus: Array, _: float, levels: int) -> Array:
        return leaks.quantise(modulus, float(modulus.max()) or 1.0, levels)

    def one_too_many(modulus: Array, peak: float, levels: int) -> Array:
        return leaks.quantise(modulus, peak, levels + 1)

    def floor(modulus: Array, peak: float, levels: int) -> Array:
        step = peak / (levels - 1)
        return np.floor(np.clip(modulus, 0, peak) / step) * step

    def codes(modulus: Array, peak: float, levels: int) -> Array:
        return leaks.quantise(modulus, peak, levels) / peak * (levels - 1)

    random, peak = np.random.default_rng(0), leaks.peak_of("sobel")
    check(
        "ex0302",
        yours,
        leaks.quantise,
        {
            "two levels": (np.array([[0.1, 0.4, 0.6, 1.0]]), 1.0, 2),
            "a dim picture, 5 levels": (0.6 * random.random((4, 6)), peak, 5),
            "a picture, 16 levels": (peak * random.random((8, 8)), peak, 16),
            "noise has carried some below 0 and above the peak": (
                random.normal(0.4, 0.5, (6, 6)), 1.0, 9,
            ),
        },
        hint="the levels lie evenly between 0 and peak, both included: how many steps are between "
        "them? Cut to [0, peak], divide by the step, round, multiply",
        slips={
            "levels must lie between 0 and `peak`, not the picture's own maximum, which would "
            "tell something about the picture": own_scale,
            "n levels have n - 1 steps between them, since both ends are levels": one_too_many,
            "round to the nearest level, don't cut down to the next lower one": floor,
            "give back moduli, not the numbers of the levels": codes,
            "cut to [0, peak] first: noise leaves it": lambda m, p, n: np.round(
                m / (p / (n - 1))
            ) * (p / (n - 1)),
        },
    )  # fmt: skip


def ex0303(yours: Function) -> None:
    """Length of a plain background's colour from a modulus with zeros outside: (H, W) -> number."""

    def released(colour: tuple[float, float, float]) -> Array:
        picture = torch.tensor(colour).expand(32, 32, 3).clone()
        picture[10:22, 9:24] = torch.tensor([0.2, 0.1, 0.6])
        return Operator("sobel", border="zero").modulus(picture).numpy()

    def row(function: Function) -> Function:
        return lambda modulus: np.atleast_1d(function(modulus))

    check(
        "ex0303",
        yours,
        row(leaks.rim_colour),
        {
            "a white wall": (released((1.0, 1.0, 1.0)),),
            "a black wall": (released((0.0, 0.0, 0.0)),),
            "a grey wall": (released((0.5, 0.5, 0.5)),),
            "a green wall": (released((0.1, 0.7, 0.2)),),
        },
        hint="write down dc/dx and dc/dy for a pixel half-way down the left rim: its column and "
        "the one to the right have the colour c, the one to the left is 0",
        slips={
            "Sobel is divided by 8, and three of its weights meet zeros: dc/dx is c / 2, not c": (
                row(lambda m: m[m.shape[0] // 2, 0])
            ),
            "a corner has both derivatives; half-way down the rim dc/dy is 0": (
                row(lambda m: 2 * m[0, 0])
            ),
            "this is one channel of a grey; give the length over three": (
                row(lambda m: leaks.rim_colour(m) / np.sqrt(3))
            ),
        },
        call=lambda function, modulus: np.atleast_1d(function(modulus)),
        rtol=1e-4,
    )


def ex0304(yours: Function) -> None:
    """Which files of a folder are no release's, or hold too much: folder -> set of names."""

    def mode_only(folder: Path) -> set[str]:
        found = set()
        for path in leaks.find_leaks(folder):
            home = (folder / path).parent.name
            with_mode = home in leaks.MODES and _mode(folder / path) == leaks.MODES[home]
            if not (with_mode and (folder / path).stem.startswith("view_")):
                found.add(path)
        return found

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
                "bytes behind the end": mode_only,
            },
            same=same_names,
        )


def ex0305(yours: Function) -> None:
    """No face is found in it, and it comes back: (modulus, undo=False) -> modulus."""
    count = detector.STORED

    def measured(function: Function) -> Function:
        def ask(question: str, *options: Any) -> Any:
            if question == "faces":
                return disguise.faces_left(function, *options)
            return getattr(disguise, question)(function, *options)

        return ask

    def verdict(got: Any, wanted: Any) -> list[str] | None:
        if isinstance(wanted, bool):
            return None if got else ["it does not"]
        if got <= wanted:
            return None
        return [f"the detector finds {got} of {count} faces; {wanted} is allowed"]

    def allowed(question: str, *options: Any) -> int | bool:
        if question != "faces":
            return True
        return 4 if options[2:] == (True,) else 1  # seven more looks, more lucky hits

    cases: dict[str, Any] = {
        "what is released has the modulus' shape and lies in [0, peak]": ("fits_a_release", 256),
        "undo=True brings the modulus back": ("comes_back", 256),
        "undo=True brings it back at 64 pixels": ("comes_back", 64),
        "a loss feels every pixel": ("gradients_flow", 64),
    }
    for lines in detector.LINES:
        for blur in (0.0, disguise.BLUR):
            words = f", blurred by {blur:g} pixels" if blur else ""
            cases[f"drawn with {lines} lines{words}"] = ("faces", lines, blur)
    for lines in detector.LINES:
        cases[f"drawn with {lines} lines, turned and mirrored"] = ("faces", lines, 0.0, True)
    check(
        "ex0305",
        measured(yours),
        allowed,
        cases,
        hint="the detector compares neighbouring blocks of a face; what could you do to blocks "
        "that can be undone, and that neither a small blur nor a turn of the whole removes?",
        slips={},
        same=verdict,
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


def _mode(path: Path) -> str:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode
    except OSError:
        return ""
