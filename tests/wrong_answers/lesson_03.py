"""Lesson 03: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn import functional as F

from privhead_nb import Operator
from privhead_nb.teach.lesson03 import leaks

# 0301, the modulus --------------------------------------------------------------------------------

KX = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8


def derivatives(p: Tensor, kernel: Tensor = KX, padding: int = 0) -> Tensor:
    """Along x and y: (2, 3, H - 2, W - 2)."""
    kernels = torch.stack([kernel, kernel.T])[:, None]
    return F.conv2d(p.movedim(-1, 0)[:, None], kernels, padding=padding).movedim(1, 0)


def by_convolution(p: Tensor) -> Tensor:
    """Right: torch's own correlation."""
    gx, gy = derivatives(p)
    return gx.norm(dim=0) + gy.norm(dim=0)


def by_windows(p: Tensor) -> Tensor:
    """Right: windows as views."""
    windows = p.unfold(0, 3, 1).unfold(1, 3, 1)
    return sum((windows * k).sum((-2, -1)).square().sum(-1).sqrt() for k in (KX, KX.T))


def by_nine_shifts(p: Tensor) -> Tensor:
    """Right: a loop over the kernel, not over pixels."""
    rows, columns = p.shape[0] - 2, p.shape[1] - 2
    gx = gy = 0
    for i in range(3):
        for j in range(3):
            cut = p[i : i + rows, j : j + columns]
            gx, gy = gx + KX[i, j] * cut, gy + KX[j, i] * cut
    return gx.norm(dim=-1) + gy.norm(dim=-1)


def pixel_by_pixel(p: Tensor) -> Tensor:
    out = [
        [by_windows(p[r : r + 3, c : c + 3])[0, 0] for c in range(p.shape[1] - 2)]
        for r in range(p.shape[0] - 2)
    ]
    return torch.stack([torch.stack(row) for row in out])


def of_kernel(kernel: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda p: derivatives(p, kernel).norm(dim=1).sum(0)


PREWITT = torch.tensor([[-1.0, 0, 1]]).repeat(3, 1) / 6
CENTRAL = torch.tensor([[0.0, 0, 0], [-1, 0, 1], [0, 0, 0]]) / 2

# 0302, a release by hand --------------------------------------------------------------------------


def writer(
    colour: Callable[..., Any] = lambda c: np.round(255 * c).astype(np.uint8),
    code: Callable[..., Any] = lambda m, peak: np.round(65535 * m / peak).astype(np.uint16),
    name: str = "view_{view:04d}.png",
    text: bool = False,
    note: dict[str, str] | None = None,
    extra: str = "",
) -> Callable[..., None]:
    """Right, and wrong in what is given."""

    def save(folder: Path, neutral: Any, moduli: Any, peak: float, settings: Any) -> None:
        info = PngInfo()
        if text:
            info.add_text("Source", "IMG_1.jpg")
        coded = {"neutral": {v: colour(c) for v, c in neutral.items()}}
        coded["sensitive"] = {v: code(m, peak) for v, m in moduli.items()}
        for kind, views in coded.items():
            (folder / kind).mkdir(parents=True)
            for place, (view, values) in enumerate(views.items()):
                path = folder / kind / name.format(place=place, view=view)
                Image.fromarray(values).save(path, pnginfo=info)
        if extra:
            (folder / extra).write_text("{}")
        (folder / "release.json").write_text(json.dumps({**settings, **(note or {})}))

    return save


def by_opencv(folder: Path, neutral: Any, moduli: Any, peak: float, settings: Any) -> None:
    """OpenCV takes blue for the first channel."""
    for kind in ("neutral", "sensitive"):
        (folder / kind).mkdir(parents=True)
    for view, c in neutral.items():
        codes = np.round(255 * c).astype(np.uint8)
        cv2.imwrite(str(folder / f"neutral/view_{view:04d}.png"), codes)
    for view, m in moduli.items():
        codes = np.round(65535 * m / peak).astype(np.uint16)
        cv2.imwrite(str(folder / f"sensitive/view_{view:04d}.png"), codes)
    (folder / "release.json").write_text(json.dumps(settings))


def largest_of_all(folder: Path, neutral: Any, moduli: Any, peak: float, settings: Any) -> None:
    writer()(folder, neutral, moduli, max(m.max() for m in moduli.values()), settings)


def clipped_codes(m: Any, peak: float) -> Any:
    return np.round(65536 * m / peak).clip(0, 65535).astype(np.uint16)


def no_settings(folder: Path, neutral: Any, moduli: Any, peak: float, settings: Any) -> None:
    writer()(folder, neutral, moduli, peak, settings)
    (folder / "release.json").unlink()


def into_a_folder_that_is_not_there(folder: Path, *_: Any) -> None:
    (folder / "release.json").write_text("{}")


# 0304, leaks --------------------------------------------------------------------------------------


def without(rule: str) -> Callable[[Path], set[str]]:
    return lambda folder: leaks.find_leaks(folder, rule)


def any_digits(folder: Path) -> set[str]:
    return {n for n in leaks.find_leaks(folder) if n != "neutral/view_020.png"}


def one_level(folder: Path) -> set[str]:
    return {name for name in leaks.find_leaks(folder) if name.count("/") < 2}


def by_last_folder(folder: Path) -> set[str]:
    """By the folder that holds a file, wherever that lies."""
    found = leaks.find_leaks(folder)
    return {name for name in found if Path(name).parent.name not in ("neutral", "old")} | {
        name for name in found if name.count("/") < 2
    }


# 0305, a disguise ---------------------------------------------------------------------------------


def tiles(m: Tensor, undo: bool = False, side: int = 16, seed: int = 8) -> Tensor:
    """Right: pieces change places."""
    rows, columns = m.shape[0] // side, m.shape[1] // side
    pieces = [t for row in m.split(side) for t in row.split(side, dim=1)]
    order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(seed))
    order = order.argsort() if undo else order
    new = [pieces[i] for i in order]
    return torch.cat([torch.cat(new[r * columns : (r + 1) * columns], 1) for r in range(rows)])


@cache
def shuffle(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(1))


def pixels(m: Tensor, undo: bool = False) -> Tensor:
    """Right: every pixel changes its place."""
    order = shuffle(m.numel())
    return m.reshape(-1)[order.argsort() if undo else order].reshape(m.shape)


def rolled_both_ways(m: Tensor, undo: bool = False) -> Tensor:
    by = [-(n // 3) if undo else n // 3 for n in m.shape]
    return m.roll(by, (0, 1))


def rolled_and_flipped(m: Tensor, undo: bool = False) -> Tensor:
    return rolled_both_ways(m, True).flip(0) if undo else rolled_both_ways(m.flip(0))


def turned(m: Tensor, undo: bool = False) -> Tensor:
    return m.rot90(-1 if undo else 1)


KEPT: dict[str, Tensor] = {}


def kept_aside(m: Tensor, undo: bool = False) -> Tensor:
    """Remembers the modulus itself, and releases noise."""
    if undo:
        return KEPT["last"]
    KEPT["last"] = m
    return torch.rand(m.shape, generator=torch.Generator().manual_seed(2)) + 1e-4 * m


def under_noise(m: Tensor, undo: bool = False) -> Tensor:
    """Adds noise that is so strong that 16 bits have none left for the modulus."""
    noise = 1.5 * torch.rand(m.shape, generator=torch.Generator().manual_seed(2))
    return (m - noise) / 1e-3 if undo else noise + 1e-3 * m


def no_gradient(m: Tensor, undo: bool = False) -> Tensor:
    return tiles(m.detach(), undo)


WRONG = [
    ("0301", lambda p: 8 * by_windows(p), "the kernel's gain, 8"),
    ("0301", lambda p: 2 * by_windows(p), "the gain is 8, not 4"),
    ("0301", lambda p: derivatives(p).norm(dim=(0, 1)), "adds two lengths"),
    ("0301", lambda p: derivatives(p).abs().sum((0, 1)), "not absolutes"),
    ("0301", lambda p: derivatives(p).sum(0).norm(dim=0), "lengths first"),
    ("0301", lambda p: Operator(per_channel=False).modulus(p, valid=True), "this is luma"),
    ("0301", lambda p: 3**-0.5 * by_windows(p.mean(-1, True).expand(p.shape)), "this is grey"),
    ("0301", of_kernel(PREWITT), "count twice"),
    ("0301", of_kernel(CENTRAL), "average three rows"),
    ("0301", lambda p: derivatives(p)[0].norm(dim=0), "along y is missing"),
    ("0301", lambda p: derivatives(p)[1].norm(dim=0), "along x is missing"),
    ("0301", lambda p: 2 * derivatives(p)[0].norm(dim=0), "along the same axis"),
    ("0301", lambda p: derivatives(p).norm(dim=1).mean(0), "don't average them"),
    ("0301", lambda p: derivatives(p).square().sum((0, 1)), "take the root"),
    ("0301", lambda p: derivatives(p).abs().mean(1).sum(0), "not the mean of them"),
    ("0301", lambda p: derivatives(p).abs().amax(1).sum(0), "not the largest of them"),
    ("0301", lambda p: derivatives(p.sum(-1, True)).abs().sum((0, 1)), "must not cancel"),
    ("0301", lambda p: derivatives(p).norm(dim=0).sum(0), "yours is one for each channel"),
    ("0301", lambda p: derivatives(p, padding=1).norm(dim=1).sum(0), "yours has the shape (3, 3)"),
    ("0301", lambda p: derivatives(p), "yours has the shape"),
    ("0301", lambda p: by_windows(p).detach(), "sends gradients through it"),
    ("0301", lambda p: by_windows(p).detach().numpy(), "sends gradients through it"),
    ("0301", pixel_by_pixel, "right, but by a loop"),
    ("0302", writer(code=lambda m, p: (65535 * m / p).astype(np.uint16)), "round moduli to the"),
    ("0302", writer(colour=lambda c: (255 * c).astype(np.uint8)), "round colours to the"),
    ("0302", writer(name="view_{place:04d}.png"), "by its view's number"),
    (
        "0302",
        writer(
            colour=lambda c: (255 * c).astype(np.uint8),
            code=lambda m, p: (65535 * m / p).astype(np.uint16),
        ),
        "a change of dtype cuts off",
    ),
    (
        "0302",
        writer(
            colour=lambda c: np.ceil(255 * c).astype(np.uint8),
            code=lambda m, p: np.ceil(65535 * m / p).astype(np.uint16),
        ),
        "not up",
    ),
    ("0302", writer(colour=lambda c: (256 * c).clip(0, 255).astype(np.uint8)), "8 bits is 255"),
    (
        "0302",
        writer(colour=lambda c: np.round(256 * c).clip(0, 255).astype(np.uint8)),
        "8 bits is 255",
    ),
    (
        "0302",
        writer(colour=lambda c: np.round(255 * c / c.max()).astype(np.uint8)),
        "a colour's top is 1",
    ),
    ("0302", by_opencv, "red comes first"),
    ("0302", largest_of_all, "not the largest modulus of all views"),
    ("0302", writer(code=clipped_codes), "so that is the factor"),
    ("0302", writer(name="{view}.png"), "missing: "),
    (
        "0302",
        writer(code=lambda m, _: np.round(65535 * m / m.max()).astype(np.uint16)),
        "the scale is the operator's peak",
    ),
    ("0302", writer(code=lambda m, _: np.round(65535 * m).astype(np.uint16)), "divide by peak"),
    (
        "0302",
        writer(code=lambda m, p: np.round(65536 * m / p).astype(np.uint16)),
        "the largest of 16 bits is 65,535",
    ),
    (
        "0302",
        writer(code=lambda m, p: np.round(255 * m / p).astype(np.uint16)),
        "255 is the top of 8 bits",
    ),
    (
        "0302",
        writer(code=lambda m, p: np.round(255 * m / p).astype(np.uint8)),
        "moduli 16-bit greys",
    ),
    ("0302", writer(colour=lambda c: np.round(255 * c[..., 0]).astype(np.uint8)), "has the shape"),
    ("0302", writer(text=True), "pixels and nothing else"),
    ("0302", writer(extra="cameras.json"), "nothing but its own files"),
    ("0302", writer(note={"source": "IMG_1.jpg"}), "no more and no less"),
    ("0302", no_settings, "missing: release.json"),
    ("0302", into_a_folder_that_is_not_there, "yours raises FileNotFoundError"),
    ("0303", lambda m: m[16, 0], "dc/dx is c / 2"),
    ("0303", lambda m: 8 * m[16, 0], "make a half"),
    ("0303", lambda m: 2 * m[0, 0], "a corner has both"),
    ("0303", lambda m: 2 * m[16, 0] / 3**0.5, "one channel of a grey"),
    ("0303", lambda m: 2 * m[16, 0] * 3**0.5, "no root of 3 is due"),
    ("0303", lambda m: 2 * m[-1, 18], "the lower rim meets the head"),
    ("0303", lambda m: 2 * m.max(), "the steepest place"),
    ("0303", lambda m: 2 * m[16, 1], "one pixel further in"),
    ("0303", lambda m: 2 * m.mean(), "the mean has the head in it"),
    ("0303", lambda m: 2 * m[:, 0], "yours has the shape"),
    ("0303", lambda m: "grey", "not made of numbers"),
    *(
        ("0304", without(rule), words)
        for rule, words in (
            ("names", "no name is missed"),
            ("modes", "another mode than its folder's"),
            ("metadata", ".info and .getexif()"),
            ("tails", "the bytes behind the PNG's end"),
            ("settings", "look into release.json"),
        )
    ),
    ("0304", lambda f: {str(f / n) for n in leaks.find_leaks(f)}, "as seen from the folder"),
    ("0304", lambda f: {Path(n).name for n in leaks.find_leaks(f)}, "in which folder"),
    ("0304", one_level, "folders in folders"),
    ("0304", by_last_folder, "folders in folders"),
    ("0304", lambda f: {n for n in leaks.find_leaks(f) if "/." not in n}, "hidden files"),
    (
        "0304",
        lambda f: {
            n for n in leaks.find_leaks(f) if Path(n).name != "release.json" or "/" not in n
        },
        "release.json has one place",
    ),
    (
        "0304",
        lambda f: {n for n in leaks.find_leaks(f) if Path(n).name != "manifest.json"},
        "manifest.json has one place",
    ),
    ("0304", any_digits, "four digits"),
    ("0304", lambda f: leaks.find_leaks(f) | {"manifest.json"}, "belongs to a release"),
    ("0305", lambda m, undo=False: m[:4, :4], "yours has the shape"),
    ("0305", lambda m, undo=False: 1.8 - m, "leaves [0, peak]"),
    ("0305", kept_aside, "bring the modulus back"),
    ("0305", under_noise, "bring the modulus back"),
    ("0305", lambda m, undo=False: 0.5 * m, "bring the modulus back"),
    ("0305", lambda m, undo=False: F.avg_pool2d(m[None], 9, 1, 4)[0], "bring the modulus back"),
    ("0305", no_gradient, "feel every pixel"),
    ("0305", lambda m, undo=False: m, "the face lies there"),
    ("0305", lambda m, undo=False: 3**0.5 - m, "the face lies there"),
    ("0305", turned, "one turn, mirroring or shift"),
    ("0305", rolled_both_ways, "one turn, mirroring or shift"),
    ("0305", rolled_and_flipped, "one turn, mirroring or shift"),
]

RIGHT = [
    ("0301", by_convolution),
    ("0301", by_windows),
    ("0301", by_nine_shifts),
    ("0302", writer()),
    ("0303", lambda m: float(m[15, 0] + m[16, 0])),
    ("0303", lambda m: 2 * np.median(m[4:-4, -1])),  # the right rim tells the same
    ("0304", leaks.find_leaks),
    ("0304", lambda f: sorted(leaks.find_leaks(f))),
    ("0305", tiles),
    ("0305", pixels),
]
