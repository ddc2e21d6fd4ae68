"""Answers to lesson 06's exercises: wrong ones with words of the message, and right ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from answers import spoiled
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from privhead_nb.lab.attacks.prior_free import signed_gradients
from privhead_nb.privacy.operators import Operator

Array = NDArray[Any]

# 0601, count the signals --------------------------------------------------------------------------


def count_by_hand(steps: Array) -> int:
    count, steps = 0, steps[steps != 0]
    for signs in itertools.product((1, -1), repeat=len(steps)):
        low = high = here = 0.0
        for sign, step in zip(signs, steps, strict=True):
            here += sign * step
            low, high = min(low, here), max(high, here)
        count += high - low < 1 + 1e-7
    return count


# 0602, flip a part --------------------------------------------------------------------------------


def flip(picture: Array, inside: Array) -> Array:
    rim = ndimage.binary_dilation(inside) & ~inside
    return np.where(inside[..., None], 2 * picture[rim].mean(0) - picture, picture)


# 0603, the score ----------------------------------------------------------------------------------


def score_by_sign(guess: Array, truth: Array) -> float:
    x, y = guess - guess.mean(), truth - truth.mean()
    sign = -1 if (x * y).sum() < 0 else 1
    return float(1 - np.mean((sign * x - y) ** 2) / np.var(truth))


# 0604, Poisson ------------------------------------------------------------------------------------


def poisson_least_squares(right: Array, down: Array) -> Array:
    height, width = len(right), down.shape[1]
    units = np.eye(height * width).reshape(-1, height, width)
    rows = [np.diff(units, axis=axis).reshape(len(units), -1) for axis in (2, 1)]
    target = np.concatenate([right.ravel(), down.ravel()])
    found = np.linalg.lstsq(np.concatenate(rows, axis=1).T, target, rcond=None)[0]
    return np.asarray((found - found.mean()).reshape(height, width))


# 0605, the loss of the attack ---------------------------------------------------------------------


def loss_by_hypot(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    total = -released - 2 * e
    for g in signed_gradients(pictures, Operator()):
        with_e = torch.cat([g, torch.full_like(g[:, :1], e)], dim=1)
        total = total + torch.linalg.vector_norm(with_e, dim=1)
    return total.abs().flatten(1).mean(1)


# 0606, how long a list ----------------------------------------------------------------------------


def list_by_quantile(similarity: Array, own: Array, share: float) -> int:
    mine = similarity[np.arange(len(own)), own][:, None]
    return int(np.quantile((similarity >= mine).sum(axis=1), share, method="inverted_cdf"))


WRONG = spoiled(
    "0605", loss_by_hypot,
    ("(pictures, Operator())", "(pictures.detach(), Operator())", "raises no gradient"),
    ("mean(1)", "mean()", "has the shape ()"),
)  # fmt: skip

RIGHT = [
    ("0601", count_by_hand),
    ("0602", flip),
    ("0603", score_by_sign),
    ("0604", poisson_least_squares),
    ("0605", loss_by_hypot),
    ("0606", list_by_quantile),
]
