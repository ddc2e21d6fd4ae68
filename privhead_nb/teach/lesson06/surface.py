"""Walking among the pictures of one modulus: H W equations leave 2 H W ways to go.

Eq. 6 gives one number a pixel, and a picture has three. So around a picture the pictures with its
modulus form a surface of about 2 H W dimensions, on which `wander` walks: a step along what the
modulus does not see, and Newton's way back. The equations are solved with all moduli at once, in
float64, to 1e-9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from privhead_nb.privacy.operators import Operator

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def derivative_matrices(
    height: int, width: int, operator: Operator
) -> tuple[sparse.csr_array, ...]:
    """gx and gy of one channel as sparse (H W, H W) matrices, borders and all, float64."""
    reach = operator.reach
    mode = {"reflect": "reflect", "replicate": "edge", "zero": "constant"}[operator.border]
    fill = {"constant_values": -1} if mode == "constant" else {}
    number = np.arange(height * width).reshape(height, width)
    padded = np.pad(number, reach, mode=mode, **fill)  # type: ignore[call-overload]
    found = []
    for kernel in operator.kernels():
        rows, columns, values = [], [], []
        for (i, j), tap in np.ndenumerate(kernel.double().numpy()):
            seen = padded[i : i + height, j : j + width].ravel()
            there = (seen >= 0) & (tap != 0)
            rows.append(number.ravel()[there])
            columns.append(seen[there])
            values.append(np.full(int(there.sum()), tap))
        where = (np.concatenate(rows), np.concatenate(columns))
        shape = (height * width, height * width)
        found.append(sparse.csr_array(sparse.coo_array((np.concatenate(values), where), shape)))
    return tuple(found)


def unseen_dimensions(height: int, width: int, operator: Operator) -> int:
    """How many independent pictures of one channel have the gradient 0 everywhere."""
    both = np.vstack([m.toarray() for m in derivative_matrices(height, width, operator)])
    return int((np.linalg.svd(both, compute_uv=False) < 1e-6).sum())


@dataclass(frozen=True, eq=False)
class Wandered:
    """A picture far from its start, with the start's modulus.

    Attributes:
        picture: (H, W, 3) float64 in [0, 1].
        residual: largest |m(picture) - m(start)|.
        moved: root mean square of picture - start over the pixels that were free to move.
        path: (looks, H, W, 3), from the start.
    """

    picture: Tensor
    residual: float
    moved: float
    path: Tensor


def wander(
    picture: Tensor,
    operator: Operator,
    towards: Tensor,
    *,
    steps: int = 60,
    length: float = 0.02,
    looks: int = 6,
    flat: float = 1e-6,
) -> Wandered:
    """Walk on the surface of equal moduli, each step as far towards another picture as it allows.

    With J the derivative of the modulus by the colours, a step keeps of (towards - x) what J does
    not see, v - J'(J J')^{-1} J v, and Newton's steps of least length, J'(J J')^{-1} (m - m(x)),
    bring it back to the surface. Pixels that a flat window sees don't move (there eq. 6 has no
    derivative). A step that leaves [0, 1], or from which Newton doesn't return, is halved.

    Args:
        picture: (H, W, 3), the start.
        operator: whose modulus stays; norms per channel.
        towards: (H, W, 3).
        steps: at most.
        length: of the first step, root mean square of the free pixels' colours.
        looks: pictures of the way to keep.
        flat: modulus that counts as 0.
    """
    surface = _Surface(picture, operator, flat)
    x = start = picture.detach().double().reshape(-1, 3).numpy()
    goal = towards.detach().double().reshape(-1, 3).numpy()
    path, pace = [start], length
    for _ in range(steps):
        wanted = goal - x
        free = surface.free & ~((x <= 0) & (wanted < 0)) & ~((x >= 1) & (wanted > 0))
        along = surface.tangent(x, wanted, free)
        size = float(np.sqrt((along[surface.free] ** 2).mean()))
        if size < 1e-6 or pace < 1e-4:
            break
        step = surface.back(x + along * min(1.0, pace / size))
        if step is None:
            pace /= 2
            continue
        x, pace = step, min(length, 1.5 * pace)
        path.append(x)
    kept = np.linspace(0, len(path) - 1, min(looks, len(path))).round().astype(int)
    shaped = torch.from_numpy(np.stack([path[i] for i in kept])).reshape(-1, *picture.shape)
    off = float(np.abs(surface.modulus(x) - surface.target).max())
    moved = float(np.sqrt(((x - start)[surface.free] ** 2).mean()))
    return Wandered(shaped[-1], off, moved, shaped)


class _Surface:
    """Pictures with one modulus: its derivative, its tangent, and the way back to it."""

    def __init__(self, picture: Tensor, operator: Operator, flat: float) -> None:
        if not operator.per_channel:
            raise ValueError("wander needs an operator with norms per channel")
        start = picture.detach().double().reshape(-1, 3).numpy()
        self.kx, self.ky = derivative_matrices(picture.shape[0], picture.shape[1], operator)
        self.target = self.modulus(start)
        self.rows = np.flatnonzero(self.target > flat)
        seen_flat = (abs(self.kx) + abs(self.ky))[self.target <= flat].sum(axis=0) > 0
        moves = ~np.asarray(seen_flat).ravel() & (self.target > flat)
        self.free = np.repeat(moves[:, None], 3, axis=1)

    def modulus(self, x: Floats) -> Floats:
        """(H W,) of colours (H W, 3)."""
        return np.linalg.norm(self.kx @ x, axis=1) + np.linalg.norm(self.ky @ x, axis=1)

    def tangent(self, x: Floats, v: Floats, free: Mask) -> Floats:
        """What of v (H W, 3) on the free colours leaves the modulus as it is, to first order."""
        j = self._derivative(x, free)
        kept = v.T[free.T]
        return _spread(kept - _least(j, j @ kept), free)

    def back(self, x: Floats, rounds: int = 20, most: float = 0.05) -> Floats | None:
        """Newton's way to the surface, colours that leave [0, 1] held at its end; None if lost.

        No colour moves by more than `most` at a time: eq. 6 has kinks.
        """
        free = self.free.copy()
        for _ in range(rounds):
            out = (x < 0) | (x > 1)
            x, free = np.clip(x, 0, 1), free & ~out
            off = self.modulus(x) - self.target
            if float(np.abs(off).max()) < 1e-9:
                return x
            by = _least(self._derivative(x, free), off[self.rows])
            x = x - _spread(by * min(1.0, most / max(float(np.abs(by).max()), 1e-12)), free)
        return None

    def _derivative(self, x: Floats, free: Mask) -> sparse.csr_array:
        """(rows, free): d modulus / d colour, channel after channel."""
        gx, gy = self.kx @ x, self.ky @ x
        nx, ny = (np.linalg.norm(g, axis=1, keepdims=True) for g in (gx, gy))
        ux, uy = gx / np.maximum(nx, 1e-12), gy / np.maximum(ny, 1e-12)
        blocks = []
        for c in range(3):
            of_x = sparse.diags_array(ux[self.rows, c]) @ self.kx[self.rows]
            of_y = sparse.diags_array(uy[self.rows, c]) @ self.ky[self.rows]
            blocks.append(sparse.csr_array(of_x + of_y)[:, free[:, c]])
        return sparse.csr_array(sparse.hstack(blocks))


def _least(j: sparse.csr_array, wanted: Floats) -> Floats:
    """The shortest (free,) with j @ it = wanted; a trace of damping for rows that depend."""
    normal = (j @ j.T).toarray()
    normal[np.diag_indices_from(normal)] += 1e-9
    return np.asarray(j.T @ np.linalg.solve(normal, wanted))


def _spread(values: Floats, free: Mask) -> Floats:
    """(free,) to (H W, 3), the others 0."""
    out = np.zeros((3, len(free)))
    out[free.T] = values
    return out.T
