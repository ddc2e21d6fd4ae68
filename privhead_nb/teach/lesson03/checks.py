"""Checks of lesson 3: a modulus, a release by hand, rims, leaks, and a disguise."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
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
from privhead_nb.teach.checks import Array, Function, Slip, check, numbers_differ, same_names
from privhead_nb.teach.lesson03 import detector, leaks
from privhead_nb.teach.lesson03.detector import Picture, Portrait
from privhead_nb.teach.lesson11.traffic import traffic

PEAK = Operator("sobel").peak
MOST_CALLS = 400  # of torch for one picture: by slices it takes about 20


def ex0301(yours: Function) -> None:
    """Eq. 6 with Sobel, no padding: picture (H, W, 3) -> modulus (H - 2, W - 2)."""
    calls = 0

    def spec(picture: Tensor, per_channel: bool = True) -> Tensor:
        return Operator("sobel", per_channel=per_channel).modulus(picture, valid=True)

    def both(picture: Tensor) -> Tensor:
        """Derivatives along x and y: (2, H - 2, W - 2, 3)."""
        windows = picture.unfold(0, 3, 1).unfold(1, 3, 1)
        return torch.einsum("hwcij,dij->dhwc", windows, torch.stack(Operator().kernels()))

    def counted(picture: Tensor) -> Any:
        nonlocal calls
        found: list[Any] = []
        given = picture.clone().requires_grad_()
        calls = traffic(lambda: found.append(yours(given))).launches
        return found[0]

    def differs(got: Any, wanted: Tensor) -> list[str] | None:
        wrong = numbers_differ(got, wanted, 1e-4, 1e-5)
        if wrong is None and not getattr(got, "requires_grad", False):
            return ["slip: leave it a torch tensor, for training sends gradients through it"]
        if wrong is None and calls > MOST_CALLS:
            loop = f"slip: right, but by a loop: {calls:,} calls of torch for a small picture"
            return [loop]
        return wrong

    random = torch.Generator().manual_seed(3)
    x = torch.arange(7.0)
    ramp = torch.stack([0.1 * x, 0 * x, 0 * x], -1).expand(5, 7, 3)
    cases = {
        "a picture of 3 x 3 pixels": (torch.rand(3, 3, 3, generator=random),),
        "red rises by 0.1 a pixel": (ramp,),
        "a picture of 30 x 40 pixels": (torch.rand(30, 40, 3, generator=random),),
    }
    slips: dict[str, Slip] = {
        "divide by the kernel's gain, 8": lambda p: 8 * spec(p),
        "eq. 6 adds two lengths; this is one of all six": lambda p: both(p).norm(dim=(0, -1)),
        "take lengths over the channels, not absolutes": lambda p: both(p).abs().sum((0, -1)),
        "this is luma; keep R, G and B": lambda p: spec(p, per_channel=False),
    }
    check(
        "ex0301",
        counted,
        spec,
        cases,
        same=lambda got, wanted: differs(got, wanted.requires_grad_()),
        slips=slips,
    )


def ex0302(yours: Function) -> None:
    """A release's folder by hand: (folder, neutral, moduli, peak, settings) -> files."""

    def written(function: Function, *arguments: Any) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "release"
            function(folder, *arguments)
            return _files_of(folder)

    random = np.random.default_rng(3)
    neutral = {v: random.random((5, 6, 3)) for v in (20, 23)}
    moduli = {v: PEAK * random.random((5, 6)) for v in (0, 4, 7)}
    dim = {v: 0.3 * modulus for v, modulus in moduli.items()}
    moduli[4][0, :2] = 0, PEAK
    settings = {"size": 6, "modulus_scale": PEAK, "neutral": [20, 23], "sensitive": [0, 4, 7]}
    cases = {
        "two neutral views, three sensitive ones": (neutral, moduli, PEAK, settings),
        "dim moduli": (neutral, dim, PEAK, settings),
        "another operator's peak": (neutral, dim, 1.0, settings | {"modulus_scale": 1.0}),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "round to the nearest code; a change of dtype cuts off": ("np.round(top", "(top"),
        "red comes first, blue last; OpenCV writes them the other way": lambda f, neutral, *a: (
            _save_release(f, {v: c[..., ::-1] for v, c in neutral.items()}, *a)
        ),
        "the scale is the operator's peak; the picture's own maximum is a fact about it":
            ("values / scale", "values / (values.max() if scale == peak else scale)"),
        "the largest of 16 bits is 65,535": ("65535", "65536"),
    }  # fmt: skip
    check("ex0302", yours, _save_release, cases, call=written, same=_same_files, slips=slips)


def _files_of(folder: Path) -> dict[str, Any]:
    """What a folder holds: name -> numbers of a PNG, JSON, words about it, or None."""
    out: dict[str, Any] = {}
    for path in (p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".json":
            out[name] = json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".png":
            with Image.open(path) as image:
                out[name] = (
                    f"text or metadata: {', '.join(map(str, image.info))}" if image.info else None
                )
                out[name] = out[name] or np.asarray(image)
        else:
            out[name] = None
    return out


def _same_files(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str] | None:
    """What differs between two folders, in words."""
    extra, missing = sorted(set(got) - set(wanted)), sorted(set(wanted) - set(got))
    if missing:
        return [
            f"slip: missing: {', '.join(missing)}",
            f"there is: {', '.join(sorted(got)) or 'nothing'}",
        ]
    if extra:
        return [f"slip: too many: {', '.join(extra)}; a release has nothing but its own files"]
    if got["release.json"] != wanted["release.json"]:
        return ["slip: release.json holds the settings as they were given, no more and no less"]
    for name in sorted(set(wanted) - {"release.json"}):
        mine, theirs = got[name], wanted[name]
        if isinstance(mine, str):
            return [f"slip: {name} holds {mine}; a picture holds pixels and nothing else"]
        if (mine.dtype, mine.shape) != (theirs.dtype, theirs.shape):
            return [
                f"{name} has the shape {mine.shape} of {mine.dtype}, "
                f"the specification {theirs.shape} of {theirs.dtype}",
                "slip: neutral views are 8-bit colours, moduli 16-bit greys",
            ]
        wrong = numbers_differ(mine, theirs, 0, 0)
        if wrong:
            return [f"in {name}:", *wrong]
    return None


def _save_release(
    folder: Path, neutral: dict[int, Array], moduli: dict[int, Array], peak: float, settings: Any
) -> None:
    pictures = ("neutral", neutral, 255, 1.0, "u1"), ("sensitive", moduli, 65535, peak, "u2")
    for kind, views, top, scale, dtype in pictures:
        (folder / kind).mkdir(parents=True)
        for view, values in views.items():
            codes = np.round(top * values / scale).astype(dtype)
            Image.fromarray(codes).save(folder / kind / f"view_{view:04d}.png")
    (folder / "release.json").write_text(json.dumps(settings))


def ex0303(yours: Function) -> None:
    """Length of a plain background's colour from a modulus with zeros outside: (H, W) -> number."""

    def spec(modulus: Array) -> float:
        # Half-way down the left rim, what lies outside is 0 and all else is c: dc/dx = c / 2.
        return 2.0 * float(modulus[modulus.shape[0] // 2, 0])

    def released(*colour: float) -> tuple[Array]:
        picture = torch.tensor(colour).expand(32, 36, 3).clone()
        picture[10:, 9:28] = torch.tensor([0.2, 0.1, 0.6])  # a head, down to the lower rim
        return (Operator("sobel", border="zero").modulus(picture).numpy(),)

    cases = {
        "a black wall": released(0.0, 0.0, 0.0),
        "a white wall": released(1.0, 1.0, 1.0),
        "a grey wall": released(0.5, 0.5, 0.5),
        "a green wall": released(0.1, 0.7, 0.2),
    }
    slips: dict[str, Slip] = {
        "4 of 8 weights meet zeros: dc/dx is c / 2, not c": lambda m: spec(m) / 2,
        "a corner has both derivatives; half-way down dc/dy is 0": lambda m: 2 * m[0, 0],
        "one pixel further in no zero is in sight": lambda m: 2 * m[m.shape[0] // 2, 1],
        "the mean has the head in it; read one pixel": lambda m: 2 * m.mean(),
    }
    check("ex0303", yours, spec, cases, slips=slips, rtol=1e-4)


def ex0304(yours: Function) -> None:
    """Which files of a folder are no release's, or hold too much: folder -> set of names."""
    slips = {
        "give names as seen from the folder": lambda f: {str(f / n) for n in leaks.find_leaks(f)},
        "rule 1: a file for which a release has no name is missed": (
            'name != "manifest.json"', "False",
        ),
        "rule 2: a picture of another mode than its folder's is missed": (
            "_mode_fits(path) and ", "",
        ),
        "rule 3: look at what travels with the pixels, .info and .getexif()": (
            "_bare(path) and ", "",
        ),
        "rule 3: look at the bytes behind the PNG's end, which no viewer shows": (
            "path.read_bytes().endswith(END_OF_PNG)", "True",
        ),
        "rule 4: look into release.json": ("set(json.loads(path.read_text()))", "set()"),
    }  # fmt: skip
    with _releases() as cases:
        check("ex0304", yours, leaks.find_leaks, cases, slips=slips, same=same_names)


@contextmanager
def _releases() -> Iterator[dict[str, tuple[Path]]]:
    """A good release, copies with one leak each, and one with all of them."""
    with tempfile.TemporaryDirectory() as place:
        cases = {"a good release": (SAMPLES / "release",)}
        groups = {name: [plant] for name, plant in leaks.PLANTS.items()}
        groups["all of these at once"] = [*leaks.PLANTS.values(), _misname]
        for number, (name, plants) in enumerate(groups.items()):
            copy = Path(place) / f"release_{number}"
            shutil.copytree(SAMPLES / "release", copy)
            for plant in plants:
                plant(copy)
            cases[name] = (copy,)
        yield cases


def _misname(folder: Path) -> None:
    """Names that are nearly a release's own."""
    (folder / "neutral/manifest.json").write_text("{}")
    (folder / "neutral/view_0020.png").rename(folder / "neutral/view_020.png")


Disguise = Callable[..., Tensor]  # (modulus (H, W), undo) -> (H, W)
BLUR = 2.0  # pixels: what an attacker may try before looking
PEOPLE = 4  # whose drawings the attacker turns and shifts


def ex0305(yours: Function) -> None:
    """No face is found in it, and it comes back: (modulus, undo=False) -> modulus."""
    cases: dict[str, Any] = {
        "what is released": (fits_a_release, 256),
        "undo=True": (comes_back, 256),
        "undo=True at 64 pixels": (comes_back, 64),
        "a loss on it": (gradients_flow, 64),
    }
    lines = detector.LINES
    cases |= {f"drawn with {how} lines": (hides_faces, how, 0.0) for how in lines}
    cases |= {f"{how} lines, turned, mirrored, side by side": (hides_moved, how) for how in lines}
    cases |= {f"{how} lines, blurred by {BLUR:g} pixels": (hides_faces, how, BLUR) for how in lines}
    check(
        "ex0305",
        lambda question, *options: question(yours, *options),
        lambda *_: "",
        cases,
        slips={},
        same=lambda wrong, _: [wrong] if wrong else None,
    )


def fits_a_release(disguise: Disguise, size: int) -> str:
    """What is wrong with the shape or range of what is released; "" where nothing is."""
    modulus = _modulus(1, size)
    out = disguise(modulus, False)
    if out.shape != modulus.shape:
        return f"yours has the shape {tuple(out.shape)}, the modulus {tuple(modulus.shape)}"
    inside = ((out >= -1e-5) & (out <= PEAK * (1 + 1e-5))).all()
    return "" if inside else "slip: it leaves [0, peak], and a release can't hold it"


def comes_back(disguise: Disguise, size: int) -> str:
    """What is wrong if `undo` makes of a release's codes no modulus within 1/1000 of the peak."""
    modulus = _modulus(0, size)
    released = disguise(modulus, False).detach()
    disguise(_modulus(1, size), False)  # nothing but the release may remember the first
    back = disguise((released * 65535 / PEAK).round() * PEAK / 65535, True)
    good = back.shape == modulus.shape and (back - modulus).abs().max() <= 1e-3 * PEAK
    return (
        "" if good else "slip: a release's 16 bits don't bring the modulus back; none may be lost"
    )


def gradients_flow(disguise: Disguise, size: int) -> str:
    """What is wrong if a loss on what is released does not feel nearly every pixel."""
    modulus = _modulus(2, size).requires_grad_()
    out = disguise(modulus, False)
    if out.requires_grad:
        weight = torch.rand(out.shape, generator=torch.Generator().manual_seed(1)) + 0.5
        (gradient,) = torch.autograd.grad((out * weight).sum(), modulus)
        if gradient.isfinite().all() and (gradient.abs() > 1e-6).float().mean() > 0.99:
            return ""
    return "slip: it does not feel every pixel; stay in torch, don't detach or round"


def hides_faces(disguise: Disguise, lines: str, blur: float) -> str:
    """What is wrong if the detector finds more than one of the stored portraits' faces.

    The modulus is drawn with `lines`, and the drawing blurred by sigma `blur` pixels.
    """
    fronts, found = detector.stored_portraits()[0], 0
    for number, portrait in enumerate(fronts):
        drawn = _drawn(disguise, number, lines)
        if blur > 0:
            drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), blur), np.float32)
        found += detector.finds(portrait, drawn)
    slip = "a small blur brings the face back" if blur > 0 else "the face lies there, as it did"
    return _count(found, len(fronts), slip)


def hides_moved(disguise: Disguise, lines: str) -> str:
    """What is wrong if a turn or a shift of the whole drawing brings faces back.

    The attacker lays the drawing beside and below itself, so that what was shifted over a rim is
    whole again, in all four turns and mirrored. A box counts if the nose is in it.
    """
    found = 0
    for number, portrait in enumerate(detector.stored_portraits()[0][:PEOPLE]):
        drawn, nose = _drawn(disguise, number, lines), _around_the_nose(portrait, number, lines)
        ways = (np.rot90(side, k) for side in (drawn, drawn[:, ::-1]) for k in range(4))
        found += any(_shows(np.tile(way, (2, 2, 1)), nose) for way in ways)
    slip = "one turn, mirroring or shift of the whole: the attacker tries them all"
    return _count(found, PEOPLE, slip)


def _count(found: int, tried: int, slip: str) -> str:
    words = f"the detector finds {found} of {tried} faces; 1 is allowed\n  slip: {slip}"
    return "" if found <= 1 else words


def _shows(picture: Picture, nose: Picture) -> bool:
    """Whether some box of the detector holds the nose."""
    codes = np.ascontiguousarray(picture)
    for box in detector.boxes(codes):
        inside = codes[box.y : box.y + box.width, box.x : box.x + box.width]
        if cv2.matchTemplate(inside, nose, cv2.TM_CCOEFF_NORMED).max() > 0.9:
            return True
    return False


def _around_the_nose(portrait: Portrait, number: int, lines: str) -> Picture:
    """The nose of a stored portrait's own drawing: 25 x 25 pixels."""
    x, y = (round(place) for place in portrait.nose or (0, 0))
    own = detector.drawing(_modulus(number, detector.SIDE).numpy(), lines)
    return np.ascontiguousarray(own[y - 12 : y + 13, x - 12 : x + 13])


def _drawn(disguise: Disguise, number: int, lines: str) -> Picture:
    out = disguise(_modulus(number, detector.SIDE), False).detach().numpy()
    return detector.drawing(np.ascontiguousarray(out, np.float32), lines)


def _modulus(number: int, size: int) -> Tensor:
    portrait = detector.stored_portraits()[0][number]
    return torch.from_numpy(detector.released(portrait.picture, Operator(), size))
