"""Lesson 03: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import cv2  # noqa: F401  a wrong answer of 0302 writes by it
import numpy as np
import torch
from answers import edited, spoiled
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch.nn import functional as F

from privhead_nb import Operator
from privhead_nb.teach.lesson03 import leaks

# 0301, the modulus --------------------------------------------------------------------------------

KX = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8


def derivatives(p, kernel=KX, padding=0):
    """Along x and y: (2, 3, H - 2, W - 2)."""
    kernels = torch.stack([kernel, kernel.T])[:, None]
    return F.conv2d(p.movedim(-1, 0)[:, None], kernels, padding=padding).movedim(1, 0)


def by_convolution(p):
    """Torch's own correlation."""
    gx, gy = derivatives(p)
    return gx.norm(dim=0) + gy.norm(dim=0)


def by_windows(p):
    """Windows as views."""
    windows = p.unfold(0, 3, 1).unfold(1, 3, 1)
    return sum((windows * k).sum((-2, -1)).square().sum(-1).sqrt() for k in (KX, KX.T))


def by_nine_shifts(p):
    """A loop over the kernel, not over pixels."""
    rows, columns = p.shape[0] - 2, p.shape[1] - 2
    gx = gy = 0
    for i in range(3):
        for j in range(3):
            cut = p[i : i + rows, j : j + columns]
            gx, gy = gx + KX[i, j] * cut, gy + KX[j, i] * cut
    return gx.norm(dim=-1) + gy.norm(dim=-1)


def pixel_by_pixel(p):
    out = [
        [by_windows(p[r : r + 3, c : c + 3])[0, 0] for c in range(p.shape[1] - 2)]
        for r in range(p.shape[0] - 2)
    ]
    return torch.stack([torch.stack(row) for row in out])


def of_kernel(kernel):
    return lambda p: derivatives(p, kernel).norm(dim=1).sum(0)


PREWITT = torch.tensor([[-1.0, 0, 1]]).repeat(3, 1) / 6
CENTRAL = torch.tensor([[0.0, 0, 0], [-1, 0, 1], [0, 0, 0]]) / 2

# 0302, a release by hand --------------------------------------------------------------------------


def save(folder, neutral, moduli, peak, settings):
    pictures = {}
    for view, c in neutral.items():
        pictures[f"neutral/view_{view:04d}.png"] = np.round(255 * c).astype(np.uint8)
    for view, m in moduli.items():
        pictures[f"sensitive/view_{view:04d}.png"] = np.round(65535 * m / peak).astype(np.uint16)
    for name, codes in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(codes).save(folder / name)
    (folder / "release.json").write_text(json.dumps(settings))


TEXT = PngInfo()
TEXT.add_text("Source", "IMG_1.jpg")

# 0304, leaks --------------------------------------------------------------------------------------


def without(rule):
    return lambda folder: leaks.find_leaks(folder, rule)


def any_digits(folder):
    return {n for n in leaks.find_leaks(folder) if n != "neutral/view_020.png"}


def one_level(folder):
    return {name for name in leaks.find_leaks(folder) if name.count("/") < 2}


def by_last_folder(folder):
    """By the folder that holds a file, wherever that lies."""
    found = leaks.find_leaks(folder)
    return {name for name in found if Path(name).parent.name not in ("neutral", "old")} | {
        name for name in found if name.count("/") < 2
    }


# 0305, a disguise ---------------------------------------------------------------------------------


def tiles(m, undo=False, side=16, seed=8):
    """Pieces change places."""
    rows, columns = m.shape[0] // side, m.shape[1] // side
    pieces = [t for row in m.split(side) for t in row.split(side, dim=1)]
    order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(seed))
    order = order.argsort() if undo else order
    new = [pieces[i] for i in order]
    return torch.cat([torch.cat(new[r * columns : (r + 1) * columns], 1) for r in range(rows)])


@cache
def shuffle(count):
    return torch.randperm(count, generator=torch.Generator().manual_seed(1))


def pixels(m, undo=False):
    """Every pixel changes its place."""
    order = shuffle(m.numel())
    return m.reshape(-1)[order.argsort() if undo else order].reshape(m.shape)


def rolled_both_ways(m, undo=False):
    by = [-(n // 3) if undo else n // 3 for n in m.shape]
    return m.roll(by, (0, 1))


def rolled_and_flipped(m, undo=False):
    return rolled_both_ways(m, True).flip(0) if undo else rolled_both_ways(m.flip(0))


def turned(m, undo=False):
    return m.rot90(-1 if undo else 1)


KEPT = {}


def kept_aside(m, undo=False):
    """Remembers the modulus itself, and releases noise."""
    if undo:
        return KEPT["last"]
    KEPT["last"] = m
    return torch.rand(m.shape, generator=torch.Generator().manual_seed(2)) + 1e-4 * m


def under_noise(m, undo=False):
    """Adds noise that is so strong that 16 bits have none left for the modulus."""
    noise = 1.5 * torch.rand(m.shape, generator=torch.Generator().manual_seed(2))
    return (m - noise) / 1e-3 if undo else noise + 1e-3 * m


def no_gradient(m, undo=False):
    return tiles(m.detach(), undo)


COLOUR, CODE = "np.round(255 * c)", "np.round(65535 * m / peak)"

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
    *spoiled(
        "0302", save,
        (CODE, "(65535 * m / peak)", "round moduli to the"),
        (COLOUR, "(255 * c)", "round colours to the"),
        (COLOUR, "(256 * c).clip(0, 255)", "8 bits is 255"),
        (COLOUR, "np.round(256 * c).clip(0, 255)", "8 bits is 255"),
        (COLOUR, "np.round(255 * c / c.max())", "a colour's top is 1"),
        (COLOUR, "np.round(255 * c[..., 0])", "has the shape"),
        ("Image.fromarray(codes).save(folder / name)", "cv2.imwrite(str(folder / name), codes)",
         "red comes first"),  # OpenCV takes blue for the first channel
        ("pictures = {}", "pictures, peak = {}, max(m.max() for m in moduli.values())",
         "not the largest modulus of all views"),
        (CODE, "np.round(65536 * m / peak).clip(0, 65535)", "so that is the factor"),
        (CODE, "np.round(65536 * m / peak)", "the largest of 16 bits is 65,535"),
        (CODE, "np.round(65535 * m / m.max())", "the scale is the operator's peak"),
        (CODE, "np.round(65535 * m)", "divide by peak"),
        (CODE, "np.round(255 * m / peak)", "255 is the top of 8 bits"),
        (f"{CODE}.astype(np.uint16)", "np.round(255 * m / peak).astype(np.uint8)",
         "moduli 16-bit greys"),
        ("neutral/view_{view:04d}", "neutral/{view}", "missing: "),
        ("save(folder / name)", "save(folder / name, pnginfo=TEXT)", "pixels and nothing else"),
        ('(folder / "release', '(folder / "cameras.json").write_text("{}")\n    (folder / "release',
         "nothing but its own files"),
        ("json.dumps(settings)", 'json.dumps({**settings, "source": "IMG_1.jpg"})',
         "no more and no less"),
        ('(folder / "release.json").write_text(json.dumps(settings))', "",
         "missing: release.json"),
        ("        (folder / name).parent.mkdir(parents=True, exist_ok=True)\n", "",
         "yours raises FileNotFoundError"),
    ),
    ("0302", edited(save, (COLOUR, "(255 * c)"), (CODE, "(65535 * m / peak)")),
     "a change of dtype cuts off"),
    ("0302", edited(save, (COLOUR, "np.ceil(255 * c)"), (CODE, "np.ceil(65535 * m / peak)")),
     "not up"),
    ("0302", edited(save, ("in neutral.items()", "in enumerate(neutral.values())"),
                    ("in moduli.items()", "in enumerate(moduli.values())")),
     "by its view's number"),
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
    ("0304", without("names"), "no name is missed"),
    ("0304", without("modes"), "another mode than its folder's"),
    ("0304", without("metadata"), ".info and .getexif()"),
    ("0304", without("tails"), "the bytes behind the PNG's end"),
    ("0304", without("settings"), "look into release.json"),
    ("0304", lambda f: {str(f / n) for n in leaks.find_leaks(f)}, "as seen from the folder"),
    ("0304", lambda f: {Path(n).name for n in leaks.find_leaks(f)}, "in which folder"),
    ("0304", one_level, "folders in folders"),
    ("0304", by_last_folder, "folders in folders"),
    ("0304", lambda f: {n for n in leaks.find_leaks(f) if "/." not in n}, "hidden files"),
    ("0304", lambda f: {n for n in leaks.find_leaks(f) if "/release.json" not in n},
     "release.json has one place"),
    ("0304", lambda f: {n for n in leaks.find_leaks(f) if "/manifest.json" not in n},
     "manifest.json has one place"),
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
]  # fmt: skip

RIGHT = [
    ("0301", by_convolution),
    ("0301", by_windows),
    ("0301", by_nine_shifts),
    ("0302", save),
    ("0303", lambda m: float(m[15, 0] + m[16, 0])),
    ("0303", lambda m: 2 * np.median(m[4:-4, -1])),  # the right rim tells the same
    ("0304", leaks.find_leaks),
    ("0304", lambda f: sorted(leaks.find_leaks(f))),
    ("0305", tiles),
    ("0305", pixels),
]
