"""Lesson 03: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import torch
from answers import spoiled
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from privhead_nb.teach.lesson03 import leaks

# 0301, the modulus --------------------------------------------------------------------------------

KX = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8


def by_windows(p):
    """Windows as views."""
    windows = p.unfold(0, 3, 1).unfold(1, 3, 1)
    return sum((windows * k).sum((-2, -1)).square().sum(-1).sqrt() for k in (KX, KX.T))


def pixel_by_pixel(p):
    out = [
        [by_windows(p[r : r + 3, c : c + 3])[0, 0] for c in range(p.shape[1] - 2)]
        for r in range(p.shape[0] - 2)
    ]
    return torch.stack([torch.stack(row) for row in out])


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


KEPT = {}


def kept_aside(m, undo=False):
    """Remembers the modulus itself, and releases noise."""
    if undo:
        return KEPT["last"]
    KEPT["last"] = m
    return torch.rand(m.shape, generator=torch.Generator().manual_seed(2)) + 1e-4 * m


def no_gradient(m, undo=False):
    return tiles(m.detach(), undo)


CODE = "np.round(65535 * m / peak)"

WRONG = [
    ("0301", lambda p: by_windows(p).detach(), "sends gradients through it"),
    ("0301", pixel_by_pixel, "right, but by a loop"),
    *spoiled(
        "0302", save,
        (f"{CODE}.astype(np.uint16)", "np.round(255 * m / peak).astype(np.uint8)",
         "moduli 16-bit greys"),
        ("neutral/view_{view:04d}", "neutral/{view}", "missing: "),
        ("save(folder / name)", "save(folder / name, pnginfo=TEXT)", "pixels and nothing else"),
        ('(folder / "release', '(folder / "cameras.json").write_text("{}")\n    (folder / "release',
         "nothing but its own files"),
        ("json.dumps(settings)", 'json.dumps({**settings, "source": "IMG_1.jpg"})',
         "no more and no less"),
    ),
    ("0305", lambda m, undo=False: m[:4, :4], "yours has the shape"),
    ("0305", lambda m, undo=False: 1.8 - m, "leaves [0, peak]"),
    ("0305", kept_aside, "bring the modulus back"),
    ("0305", no_gradient, "feel every pixel"),
    ("0305", lambda m, undo=False: m, "the face lies there"),
    ("0305", rolled_both_ways, "one turn, mirroring or shift"),
]  # fmt: skip

RIGHT = [
    ("0301", by_windows),
    ("0302", save),
    ("0303", lambda m: 2 * np.median(m[4:-4, -1])),  # the right rim tells the same
    ("0304", lambda f: sorted(leaks.find_leaks(f))),
    ("0305", pixels),
]
