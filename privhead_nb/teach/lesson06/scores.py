"""How near a guess comes to the truth, where the release can't tell some guesses apart.

A modulus is the same for x, for c + x and for c - x, and, where the norms run over three channels,
for Q x + t with any orthogonal Q. A score that counted such differences would call a perfect attack
a failure. So the guess is first moved by the best of these, which no attacker knows, but whoever
measures can; what is left over is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Score:
    """A guess, moved as near to the truth as the ambiguity allows.

    Attributes:
        picture: the moved guess, of the truth's shape.
        explained: 1 - sum of squares left / sum of squares of the truth around its mean; 1 is a
            perfect guess, 0 that of a plain picture, below 0 worse than that.
        error: root mean square of what is left, in units of colour.
    """

    picture: Tensor
    explained: float
    error: float


def up_to_constant_and_sign(guess: Tensor, truth: Tensor, where: Tensor | None = None) -> Score:
    """The best of c + x and c - x, c a constant for each channel.

    Args:
        guess: (H, W) or (H, W, C).
        truth: the same shape.
        where: (H, W) weights; by default each pixel counts once.
    """
    x, y, w = _rows(guess, truth, where)
    center_x, center_y = _mean(x, w), _mean(y, w)
    dot = (w * (x - center_x) * (y - center_y)).sum()
    sign = 1.0 if float(dot) >= 0 else -1.0
    return _score(sign * (x - center_x) + center_y, y, w, truth)


def up_to_colours(guess: Tensor, truth: Tensor, where: Tensor | None = None) -> Score:
    """The best of Q x + t, Q orthogonal (rotations and mirrors, so also -1), t a colour.

    The best Q is U V' of the singular value decomposition of the weighted covariance of guess and
    truth (orthogonal Procrustes).

    Args:
        guess, truth: (H, W, 3).
        where: (H, W) weights.
    """
    x, y, w = _rows(guess, truth, where)
    center_x, center_y = _mean(x, w), _mean(y, w)
    u, _, v = torch.linalg.svd((w * (x - center_x)).T @ (y - center_y))
    return _score((x - center_x) @ (u @ v) + center_y, y, w, truth)


def _rows(guess: Tensor, truth: Tensor, where: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels as rows (H W, C), in float64, and weights (H W, 1)."""
    if guess.shape != truth.shape:
        raise ValueError(f"the guess is {tuple(guess.shape)}, the truth {tuple(truth.shape)}")
    channels = 1 if truth.dim() == 2 else truth.shape[-1]
    x, y = guess.detach().double(), truth.detach().double()
    w = torch.ones(truth.shape[:2], dtype=torch.float64) if where is None else where.double()
    return x.reshape(-1, channels), y.reshape(-1, channels), w.reshape(-1, 1)


def _mean(x: Tensor, w: Tensor) -> Tensor:
    return (w * x).sum(0) / w.sum()


def _score(moved: Tensor, y: Tensor, w: Tensor, truth: Tensor) -> Score:
    left, all_of_it = (w * (moved - y) ** 2).sum(), (w * (y - _mean(y, w)) ** 2).sum()
    return Score(
        picture=moved.reshape(truth.shape).to(truth.dtype),
        explained=float(1 - left / all_of_it.clamp_min(1e-12)),
        error=float((left / (w.sum() * y.shape[1])).sqrt()),
    )
