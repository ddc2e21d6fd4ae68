"""Answers to lesson 06's exercises: wrong ones with words of the message, and right ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from answers import edited, spoiled
from numpy.typing import NDArray
from scipy import ndimage
from scipy.fft import dctn, idctn
from torch import Tensor

from privhead_nb.lab.attacks.prior_free import signed_gradients
from privhead_nb.privacy.operators import Operator

Array = NDArray[Any]

# 0601, count the signals --------------------------------------------------------------------------


def count(steps: Array) -> int:
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
    walks = np.cumsum(np.hstack([np.zeros((len(signs), 1)), signs * steps]), axis=1)
    fits = walks[np.ptp(walks, axis=1) <= 1 + 1e-9]
    return len({tuple(walk) for walk in (fits.round(9) + 0.0).tolist()})


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


def flip_rolled(picture: Array, inside: Array) -> Array:
    grown = inside.copy()
    for axis in (0, 1):
        grown |= np.roll(inside, 1, axis) | np.roll(inside, -1, axis)
    return np.where(inside[..., None], 2 * picture[grown & ~inside].mean(0) - picture, picture)


# 0603, the score ----------------------------------------------------------------------------------


def score(guess: Array, truth: Array) -> float:
    x, y = guess - guess.mean(), truth - truth.mean()
    rest = min(((x - y) ** 2).sum(), ((x + y) ** 2).sum())
    return float(1 - rest / (y**2).sum())


def score_correlation(guess: Array, truth: Array) -> float:
    if guess.std() == 0:
        return 0.0
    return float(np.corrcoef(guess.ravel(), truth.ravel())[0, 1] ** 2)


def score_by_sign(guess: Array, truth: Array) -> float:
    x, y = guess - guess.mean(), truth - truth.mean()
    sign = -1 if (x * y).sum() < 0 else 1
    return float(1 - np.mean((sign * x - y) ** 2) / np.var(truth))


# 0604, Poisson ------------------------------------------------------------------------------------


def waves(height: int, width: int, turns: float = 1.0) -> Array:
    u, v = (turns * np.pi * np.arange(n) / n for n in (height, width))
    bottom = 4 - 2 * np.cos(u)[:, None] - 2 * np.cos(v)
    bottom[0, 0] = np.inf
    return np.asarray(bottom)


def poisson(right: Array, down: Array) -> Array:
    pulled = np.zeros((len(right), down.shape[1]))
    pulled[:, 1:] += right
    pulled[:, :-1] -= right
    pulled[1:] += down
    pulled[:-1] -= down
    u, v = (np.pi * np.arange(n) / n for n in pulled.shape)
    bottom = 4 - 2 * np.cos(u)[:, None] - 2 * np.cos(v)
    bottom[0, 0] = np.inf
    found = idctn(dctn(pulled, norm="ortho") / bottom, norm="ortho")
    return np.asarray(found)


def poisson_fourier(right: Array, down: Array) -> Array:
    x, y = np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))
    target = np.roll(x, 1, 1) - x + np.roll(y, 1, 0) - y
    bottom = waves(*target.shape, turns=2.0)
    return np.asarray(np.fft.ifft2(np.fft.fft2(target) / bottom).real)


def poisson_summed(right: Array, down: Array) -> Array:
    first = np.concatenate([[0], np.cumsum(down[:, 0])])
    rows = first[:, None] + np.pad(np.cumsum(right, axis=1), ((0, 0), (1, 0)))
    return rows - rows.mean()


def poisson_late(right: Array, down: Array) -> Array:
    x, y = np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))
    late = -np.diff(x, axis=1, append=0) - np.diff(y, axis=0, append=0)
    return np.asarray(idctn(dctn(late, norm="ortho") / waves(*late.shape), norm="ortho"))


def poisson_least_squares(right: Array, down: Array) -> Array:
    height, width = len(right), down.shape[1]
    units = np.eye(height * width).reshape(-1, height, width)
    rows = [np.diff(units, axis=axis).reshape(len(units), -1) for axis in (2, 1)]
    target = np.concatenate([right.ravel(), down.ravel()])
    found = np.linalg.lstsq(np.concatenate(rows, axis=1).T, target, rcond=None)[0]
    return np.asarray((found - found.mean()).reshape(height, width))


# 0605, the loss of the attack ---------------------------------------------------------------------


def loss(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    gx, gy = signed_gradients(pictures, Operator())
    both = sum((g.square().sum(1) + e**2).sqrt() - e for g in (gx, gy))
    return (both - released).abs().mean((1, 2))


def loss_by_hypot(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    total = -released - 2 * e
    for g in signed_gradients(pictures, Operator()):
        with_e = torch.cat([g, torch.full_like(g[:, :1], e)], dim=1)
        total = total + torch.linalg.vector_norm(with_e, dim=1)
    return total.abs().flatten(1).mean(1)


# 0606, how long a list ----------------------------------------------------------------------------


def listed(similarity: Array, own: Array, share: float) -> int:
    mine = similarity[np.arange(len(own)), own][:, None]
    ranks = np.sort((similarity >= mine).sum(axis=1))
    return int(ranks[int(np.ceil(share * len(own) - 1e-9)) - 1])


def list_ties_by_place(similarity: Array, own: Array, share: float) -> int:
    order = np.argsort(-similarity, axis=1, kind="stable")
    place = np.sort(np.array([list(row).index(who) for row, who in zip(order, own, strict=True)]))
    return int(place[int(np.ceil(share * len(own) - 1e-9)) - 1]) + 1


def list_by_quantile(similarity: Array, own: Array, share: float) -> int:
    mine = similarity[np.arange(len(own)), own][:, None]
    return int(np.quantile((similarity >= mine).sum(axis=1), share, method="inverted_cdf"))


LEVEL = "2 * picture[rim].mean(0)"
RESTS = "min(((x - y) ** 2).sum(), ((x + y) ** 2).sum())"
PLACE = "int(np.ceil(share * len(own) - 1e-9)) - 1"

WRONG = [
    ("0601", lambda steps: 2 ** len(steps), "some leave the range"),
    ("0601", lambda steps: count(steps) // 2, "its mirror image are two"),
    ("0601", lambda steps: count(steps) if (steps > 0).all() else 0, "goes on at the same value"),
    *spoiled(
        "0601", count,
        ("np.ptp(walks, axis=1) <= 1 + 1e-9", "((walks >= 0) & (walks <= 1 + 1e-9)).all(axis=1)",
         "may start anywhere"),
        ("np.ptp(walks,", "np.ptp(walks[:, 1:],", "don't forget the start"),
        ("np.ptp(walks, axis=1)", "abs(walks[:, -1])", "on its way"),
        ("<= 1 + 1e-9", "< 1 - 1e-9", "just reaches both 0 and 1"),
        ("{tuple(walk) for walk in (fits.round(9) + 0.0).tolist()}", "fits",
         "neither up nor down"),
    ),
    *spoiled(
        "0602", flip,
        (LEVEL, "picture[rim].mean(0)", "is 2 b - x"),
        ("ndimage.binary_dilation(inside) & ~inside",
         "inside & ~ndimage.binary_erosion(inside, border_value=1)", "the part's own rim"),
        ("mean(0)", "mean()", "a level of its own"),
        ("picture[rim]", "picture[inside]", "about the level around the part"),
        (LEVEL, "2 * picture[0, 0]", "corner may be in another sea"),
        ("picture[rim]", "picture[~inside]", "only the rim of the part"),
        (LEVEL, "1", "mirror about 0.5"),
        (LEVEL, "0", "mirror about 0; the sea"),
        ("- picture, picture)", f"- picture, {LEVEL} - picture)",
         "only the part is to be mirrored"),
        ("inside[..., None]", "inside", "raises ValueError"),
    ),
    ("0602", flip_rolled, "round the picture's edge"),
    *spoiled(
        "0603", score,
        (RESTS, "((x - y) ** 2).sum()", "try the negative"),
        ("(y**2)", "(truth**2)", "around its mean"),
        ("1 - rest", "rest", "explained is 1 minus that"),
        ("rest / (y**2).sum()", "(rest / (y**2).sum()) ** 0.5", "a root of a share"),
        ("min(", "max(", "the smaller rest"),
    ),
    ("0603", edited(score, ("guess - guess.mean(), truth - truth.mean()", "guess, truth"),
                    ("(y**2)", "((y - y.mean()) ** 2)")), "c is free"),
    ("0603", score_correlation, "forgives a wrong contrast"),
    *spoiled(
        "0604", poisson,
        ("    pulled[1:]", "    down = 0 * down\n    pulled[1:]", "add both directions"),
        ("/ bottom,", "/ bottom**0.5,", "not by its root"),
        (" / bottom", "", "still to be divided"),
        ("found)", "-found)", "minus the divergence"),
        ("found)", "found - found[0, 0])", "the mean is to be 0"),
        ("(np.pi", "(2 * np.pi", "half a turn"),
        ("/ n for n in pulled.shape", "/ m for n, m in (pulled.shape, pulled.shape[::-1])",
         "divided by the other"),
        ("    bottom[0, 0] = np.inf\n", "", "nan: a 0 / 0"),
        ('dctn(pulled, norm="ortho")', "dctn(pulled)", "the same norm"),
    ),
    ("0604", poisson_late, "moved by a pixel"),
    ("0604", poisson_fourier, "goes round the borders"),
    ("0604", poisson_summed, "every error runs along the row"),
    *spoiled(
        "0605", loss,
        (".sqrt() - e", ".sqrt()", "take e away again"),
        ("(g.square().sum(1) + e**2).sqrt() - e for", "((g**2 + e**2).sqrt() - e).sum(1) for",
         "runs over the three channels"),
        ("sum((g.square().sum(1) + e**2).sqrt() - e for g in (gx, gy))",
         "((gx**2 + gy**2).sum(1) + e**2).sqrt() - e", "adds two lengths"),
        ("e**2", "e", "e is squared"),
        (".abs()", ".square()", "not of their squares"),
        (".abs().mean((1, 2))", ".mean((1, 2)).abs()", "signs cancel"),
        ("both =", "e = 1e-12\n    both =", "without smoothing"),
        ("g.square().sum(1)", "g.square().sum(1).sqrt() ** 2", "nan: a 0 / 0"),
        ("mean((1, 2))", "mean()", "has the shape ()"),
        ("mean((1, 2))", "sum((1, 2))", "not their sum"),
        ("(pictures,", "(pictures.detach(),", "raises no gradient"),
    ),
    *spoiled(
        "0606", listed,
        (PLACE, "max(int(share * len(own) + 1e-9) - 1, 0)", "half of five is three"),
        (PLACE, "max(round(share * len(own)) - 1, 0)", "half of five is three"),
        (PLACE, "min(int(share * len(own) + 1e-9), len(own) - 1)", "one probe more"),
        ("(similarity >= mine).sum(axis=1)", "(similarity > mine).sum(axis=1) + 1",
         "count >=, not >"),
        ("- 1])", "- 1]) - 1", "the first has rank 1"),
        ("- 1])", "- 1]) + 1", "that one included"),
        (">= mine", "<= mine", "the most similar comes first"),
        (f"int(ranks[{PLACE}])", "float(np.quantile(ranks, share))", "people come whole"),
        (f"int(ranks[{PLACE}])", "float(ranks.mean())", "a mean rank is no answer"),
        ("share * len", "max(1 - share, 1e-6) * len", "it is to be below"),
    ),
    ("0606", list_ties_by_place, "breaks ties by place"),
]  # fmt: skip

RIGHT = [
    ("0601", count),
    ("0601", count_by_hand),
    ("0602", flip),
    ("0603", score),
    ("0603", score_by_sign),
    ("0604", poisson),
    ("0604", poisson_least_squares),
    ("0605", loss),
    ("0605", loss_by_hypot),
    ("0606", listed),
    ("0606", list_by_quantile),
]
