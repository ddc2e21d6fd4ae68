"""Different pictures, and different colourings, with one and the same modulus (eq. 6).

Three families, each exact, and each with the reason why it exists; `surface.py` has a fourth.

    turns     Q x + t: norms over three channels don't change under an orthogonal Q
    flips     2 b - x inside a part that lies in a sea of constant colour b: a sign for each part
    unseen    (-1)^y f(x) + (-1)^x g(y): Sobel smooths it away before it takes the difference

They take the picture itself, since they show what a release leaves open, and attack nobody. How
alike such pictures are is another question, and `scores.py` measures it.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from privhead_nb.privacy.operators import Operator

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
MOST_STEPS = 20  # of a signal: 2^20 walks fit into memory


def signals(steps: Floats, *, first: float | None = None, last: float | None = None) -> Floats:
    """All signals in [0, 1] whose neighbours differ by `steps`, up or down.

    Where `first` is not given, signals that differ by a constant count once, and are moved to the
    middle of the range.

    Args:
        steps: (n,) |x_{i+1} - x_i|, none of them 0, n at most 20.
        first, last: values at the two ends, where they are known; `last` needs `first`.

    Returns:
        (K, n + 1), K from 0 to 2^n.
    """
    steps = np.asarray(steps, dtype=np.float64)
    if len(steps) > MOST_STEPS or (steps <= 0).any():
        raise ValueError(f"give at most {MOST_STEPS} steps, all above 0")
    if last is not None and first is None:
        raise ValueError("last needs first")
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
    walks = np.concatenate([np.zeros((len(signs), 1)), np.cumsum(signs * steps, axis=1)], axis=1)
    low, high = walks.min(axis=1), walks.max(axis=1)
    start = 0.5 - (low + high) / 2 if first is None else np.full(len(walks), float(first))
    fits = (low + start >= -1e-9) & (high + start <= 1 + 1e-9)
    if last is not None:
        fits &= np.abs(walks[:, -1] + start - last) < 1e-9
    return np.asarray(walks[fits] + start[fits, None])


def turn(degrees: float, axis: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Tensor:
    """(3, 3) rotation of colours around an axis, float64; around grey it turns the hue."""
    n = np.array(axis) / np.linalg.norm(axis)
    across = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
    angle = np.radians(degrees)
    return torch.from_numpy(
        np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across
    )


def random_turn(generator: torch.Generator) -> Tensor:
    """A random orthogonal (3, 3), every one as likely (QR of normal numbers), float64."""
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()


def recoloured(picture: Tensor, q: Tensor) -> Tensor:
    """Q x + t, t such that every channel lies in the middle of [0, 1]; it may stick out of it.

    Args:
        picture: (H, W, 3).
        q: (3, 3) orthogonal.
    """
    x = picture @ q.T.to(picture)
    return x + 0.5 - (x.amax((0, 1)) + x.amin((0, 1))) / 2


def in_range(picture: Tensor, slack: float = 1e-6) -> bool:
    """Whether all colours lie in [0, 1]."""
    return bool(picture.min() >= -slack and picture.max() <= 1 + slack)


def parts(modulus: Tensor, flat: float = 1e-6) -> tuple[NDArray[np.int64], int]:
    """Number the connected parts whose modulus is above `flat`: (H, W) labels from 1, how many."""
    labels, count = ndimage.label(modulus.detach().numpy() > flat, structure=np.ones((3, 3)))
    return labels.astype(np.int64), int(count)


def flipped(picture: Tensor, operator: Operator, part: int, flat: float = 1e-6) -> Tensor:
    """The picture with one part, and all that it encloses, mirrored about the level around it.

    Every pixel outside the part is flat, so its window sees nothing of the change; every window
    inside sees colours that are all mirrored, or equal to the level.

    Args:
        picture: (H, W, 3).
        operator: whose modulus is to stay.
        part: a label of `parts`.
        flat: as in `parts`.

    Raises:
        ValueError: no such part, or one that isn't surrounded by one constant colour.
    """
    labels, count = parts(operator.modulus(picture), flat)
    if not 1 <= part <= count:
        raise ValueError(f"there are parts 1 to {count}, not {part}")
    return mirrored(picture, torch.from_numpy(ndimage.binary_fill_holes(labels == part)), flat)


def mirrored(picture: Tensor, inside: Tensor, flat: float = 1e-6) -> Tensor:
    """The picture (H, W, 3) with 2 b - x inside (H, W), b the one colour that lies around it.

    Raises:
        ValueError: around it lies no colour, or more than one.
    """
    seen = inside.numpy()
    rim = torch.from_numpy(ndimage.binary_dilation(seen, np.ones((3, 3))) & ~seen)
    around = picture[rim]
    if len(around) == 0 or float((around - around[0]).abs().max()) > flat:
        raise ValueError("the part is not surrounded by one constant colour")
    return torch.where(inside[..., None], 2 * around[0] - picture, picture)


def islands(size: int = 48, across: int = 3, seed: int = 0) -> Tensor:
    """(size, size, 3) grey picture of across x across bumps in a flat sea of 0.5: float64.

    Each bump has its own width, height and lean, and ends two pixels before its cell does.
    """
    random, cell = np.random.default_rng(seed), size // across
    picture = np.full((size, size), 0.5)
    y, x = np.mgrid[:cell, :cell] - (cell - 1) / 2
    for row, column in np.ndindex(across, across):
        lean = 0.4 * random.normal(size=2)
        reach = (cell / 2 - 2) * random.uniform(0.8, 1.0)
        round_bump = np.clip(1 - (x**2 + y**2) / reach**2, 0, None) ** 2
        bump = round_bump * (1 + (lean[0] * x + lean[1] * y) / reach)
        where = np.s_[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        picture[where] += random.uniform(0.2, 0.3) * bump
    return torch.from_numpy(picture)[..., None].expand(size, size, 3).clone()


def unseen(rows: Tensor, columns: Tensor) -> Tensor:
    """(H, W) stripes that Sobel 3 x 3 gives the gradient 0, signs and all: (-1)^y f + (-1)^x g.

    Args:
        rows: (W,) f, the amplitude of stripes that change from row to row.
        columns: (H,) g, of those that change from column to column.
    """
    y = 1.0 - 2.0 * (torch.arange(len(columns)) % 2)
    x = 1.0 - 2.0 * (torch.arange(len(rows)) % 2)
    return y[:, None] * rows + x * columns[:, None]
