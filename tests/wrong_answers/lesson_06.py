"""Answers to lesson 06's exercises: wrong ones with words of the message, and right ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.fft import dctn, idctn
from torch import Tensor

from privhead_nb.lab.attacks.prior_free import signed_gradients
from privhead_nb.privacy.operators import Operator

Array = NDArray[Any]

# 0601, count the signals --------------------------------------------------------------------------


def walks(steps: Array) -> Array:
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
    return np.cumsum(np.hstack([np.zeros((len(signs), 1)), signs * steps]), axis=1)


def count_all(steps: Array) -> int:
    return 2 ** len(steps)


def count_from_zero(steps: Array) -> int:
    w = walks(steps)
    return int(((w >= 0) & (w <= 1 + 1e-9)).all(axis=1).sum())


def count_without_start(steps: Array) -> int:
    return int((np.ptp(walks(steps)[:, 1:], axis=1) <= 1 + 1e-9).sum())


def count_by_the_end(steps: Array) -> int:
    return int((abs(walks(steps)[:, -1]) <= 1 + 1e-9).sum())


def count_strictly(steps: Array) -> int:
    return int((np.ptp(walks(steps), axis=1) < 1 - 1e-9).sum())


def count_pairs_once(steps: Array) -> int:
    return count_right(steps) // 2


def count_zeros_twice(steps: Array) -> int:
    return int((np.ptp(walks(steps), axis=1) <= 1 + 1e-9).sum())


def count_no_zeros(steps: Array) -> int:
    return count_right(steps) if (steps > 0).all() else 0


def count_right(steps: Array) -> int:
    fits = walks(steps)[np.ptp(walks(steps), axis=1) <= 1 + 1e-9]
    return len({tuple(walk) for walk in (fits.round(9) + 0.0).tolist()})


def count_right_by_hand(steps: Array) -> int:
    count, steps = 0, steps[steps != 0]
    for signs in itertools.product((1, -1), repeat=len(steps)):
        low = high = here = 0.0
        for sign, step in zip(signs, steps, strict=True):
            here += sign * step
            low, high = min(low, here), max(high, here)
        count += high - low < 1 + 1e-7
    return count


# 0602, flip a part --------------------------------------------------------------------------------


def flip_about_mean(picture: Array, inside: Array) -> Array:
    return np.where(inside[..., None], 2 * picture[inside].mean(0) - picture, picture)


def flip_about_corner(picture: Array, inside: Array) -> Array:
    return np.where(inside[..., None], 2 * picture[0, 0] - picture, picture)


def flip_about_outside(picture: Array, inside: Array) -> Array:
    return np.where(inside[..., None], 2 * picture[~inside].mean(0) - picture, picture)


def flip_negative(picture: Array, inside: Array) -> Array:
    return np.where(inside[..., None], 1 - picture, picture)


def flip_signs(picture: Array, inside: Array) -> Array:
    return np.where(inside[..., None], -picture, picture)


def flip_everything(picture: Array, inside: Array) -> Array:
    return 2 * picture[0, 0] - picture


def flip_grey(picture: Array, inside: Array) -> Array:
    return np.where(inside, 2 * picture[0, 0] - picture, picture)


def rim_of(inside: Array) -> Array:
    return np.asarray(ndimage.binary_dilation(inside) & ~inside)


def flip_about_half(picture: Array, inside: Array) -> Array:
    return np.where(inside[..., None], picture[rim_of(inside)][0] - picture, picture)


def flip_about_own_rim(picture: Array, inside: Array) -> Array:
    own = inside & ~ndimage.binary_erosion(inside, border_value=1)
    return np.where(inside[..., None], 2 * picture[own].mean(0) - picture, picture)


def flip_rolled(picture: Array, inside: Array) -> Array:
    grown = inside.copy()
    for axis in (0, 1):
        grown |= np.roll(inside, 1, axis) | np.roll(inside, -1, axis)
    return np.where(inside[..., None], 2 * picture[grown & ~inside].mean(0) - picture, picture)


def flip_one_level(picture: Array, inside: Array) -> Array:
    return np.where(inside[..., None], 2 * picture[rim_of(inside)].mean() - picture, picture)


def flip_right(picture: Array, inside: Array) -> Array:
    rim = ndimage.binary_dilation(inside) & ~inside
    out = picture.copy()
    out[inside] = 2 * picture[rim].mean(0) - picture[inside]
    return out


# 0603, the score ----------------------------------------------------------------------------------


def rests(guess: Array, truth: Array) -> list[float]:
    x, y = guess - guess.mean(), truth - truth.mean()
    return [float(((x - y) ** 2).sum()), float(((x + y) ** 2).sum())]


def spread(truth: Array) -> float:
    return float(((truth - truth.mean()) ** 2).sum())


def score_without_sign(guess: Array, truth: Array) -> float:
    return 1 - rests(guess, truth)[0] / spread(truth)


def score_without_constant(guess: Array, truth: Array) -> float:
    left = min(((guess - truth) ** 2).sum(), ((guess + truth) ** 2).sum())
    return float(1 - left / spread(truth))


def score_correlation(guess: Array, truth: Array) -> float:
    if guess.std() == 0:
        return 0.0
    return float(np.corrcoef(guess.ravel(), truth.ravel())[0, 1] ** 2)


def score_raw_truth(guess: Array, truth: Array) -> float:
    return 1 - min(rests(guess, truth)) / float((truth**2).sum())


def score_left_over(guess: Array, truth: Array) -> float:
    return min(rests(guess, truth)) / spread(truth)


def score_root(guess: Array, truth: Array) -> float:
    return 1 - (min(rests(guess, truth)) / spread(truth)) ** 0.5


def score_worst(guess: Array, truth: Array) -> float:
    return 1 - max(rests(guess, truth)) / spread(truth)


def score_right(guess: Array, truth: Array) -> float:
    return 1 - min(rests(guess, truth)) / spread(truth)


def score_right_by_sign(guess: Array, truth: Array) -> float:
    x, y = guess - guess.mean(), truth - truth.mean()
    sign = -1 if (x * y).sum() < 0 else 1
    return float(1 - np.mean((sign * x - y) ** 2) / np.var(truth))


# 0604, Poisson ------------------------------------------------------------------------------------


def pulled(right: Array, down: Array) -> Array:
    out = np.zeros((len(right), down.shape[1]))
    out[:, 1:] += right
    out[:, :-1] -= right
    out[1:] += down
    out[:-1] -= down
    return out


def waves(height: int, width: int, turns: float = 1.0) -> Array:
    u, v = (turns * np.pi * np.arange(n) / n for n in (height, width))
    return np.asarray(4 - 2 * np.cos(u)[:, None] - 2 * np.cos(v))


def solve(right: Array, down: Array, bottom: Array, kind: int = 2) -> Array:
    bottom[0, 0] = np.inf
    return np.asarray(
        idctn(dctn(pulled(right, down), kind, norm="ortho") / bottom, kind, norm="ortho")
    )


def poisson_right(right: Array, down: Array) -> Array:
    return solve(right, down, waves(len(right), down.shape[1]))


def poisson_negative(right: Array, down: Array) -> Array:
    return -poisson_right(right, down)


def poisson_fourier(right: Array, down: Array) -> Array:
    x, y = np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))
    target = np.roll(x, 1, 1) - x + np.roll(y, 1, 0) - y
    bottom = waves(*target.shape, turns=2.0)
    bottom[0, 0] = np.inf
    return np.asarray(np.fft.ifft2(np.fft.fft2(target) / bottom).real)


def poisson_first_is_0(right: Array, down: Array) -> Array:
    found = poisson_right(right, down)
    return found - found[0, 0]


def poisson_summed(right: Array, down: Array) -> Array:
    first = np.concatenate([[0], np.cumsum(down[:, 0])])
    rows = first[:, None] + np.pad(np.cumsum(right, axis=1), ((0, 0), (1, 0)))
    return rows - rows.mean()


def poisson_full_turns(right: Array, down: Array) -> Array:
    return solve(right, down, waves(len(right), down.shape[1], turns=2.0))


def poisson_divides_by_0(right: Array, down: Array) -> Array:
    spectrum = dctn(pulled(right, down), norm="ortho") / waves(len(right), down.shape[1])
    return np.asarray(idctn(spectrum, norm="ortho"))


def poisson_not_orthogonal(right: Array, down: Array) -> Array:
    spectrum = dctn(pulled(right, down)) / (waves(len(right), down.shape[1]) + 1e-30)
    spectrum[0, 0] = 0
    return np.asarray(idctn(spectrum, norm="ortho"))


def poisson_exchanged(right: Array, down: Array) -> Array:
    height, width = len(right), down.shape[1]
    u, v = np.arange(height)[:, None], np.arange(width)
    bottom = 4 - 2 * np.cos(np.pi * u / width) - 2 * np.cos(np.pi * v / height)
    return solve(right, down, bottom)


def poisson_late(right: Array, down: Array) -> Array:
    x, y = np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))
    late = -np.diff(x, axis=1, append=0) - np.diff(y, axis=0, append=0)
    bottom = waves(*late.shape)
    bottom[0, 0] = np.inf
    return np.asarray(idctn(dctn(late, norm="ortho") / bottom, norm="ortho"))


def poisson_rows_only(right: Array, down: Array) -> Array:
    return solve(right, np.zeros_like(down), waves(len(right), down.shape[1]))


def poisson_by_root(right: Array, down: Array) -> Array:
    return solve(right, down, np.sqrt(waves(len(right), down.shape[1])))


def poisson_undivided(right: Array, down: Array) -> Array:
    return pulled(right, down)


def poisson_least_squares(right: Array, down: Array) -> Array:
    height, width = len(right), down.shape[1]
    units = np.eye(height * width).reshape(-1, height, width)
    rows = [np.diff(units, axis=axis).reshape(len(units), -1) for axis in (2, 1)]
    target = np.concatenate([right.ravel(), down.ravel()])
    found = np.linalg.lstsq(np.concatenate(rows, axis=1).T, target, rcond=None)[0]
    return np.asarray((found - found.mean()).reshape(height, width))


# 0605, the loss of the attack ---------------------------------------------------------------------


def smoothed(pictures: Tensor, e: float) -> Tensor:
    gx, gy = signed_gradients(pictures, Operator())
    return sum((g.square().sum(1) + e**2).sqrt() - e for g in (gx, gy))  # type: ignore[return-value]


def loss_without_minus_e(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return (smoothed(pictures, e) + 2 * e - released).abs().mean((1, 2))


def loss_by_channel(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    gx, gy = signed_gradients(pictures, Operator())
    both = sum(((g**2 + e**2).sqrt() - e).sum(1) for g in (gx, gy))
    return (both - released).abs().mean((1, 2))


def loss_one_length(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    gx, gy = signed_gradients(pictures, Operator())
    length = ((gx**2 + gy**2).sum(1) + e**2).sqrt() - e
    return (length - released).abs().mean((1, 2))


def loss_e_not_squared(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    gx, gy = signed_gradients(pictures, Operator())
    both = sum(((g**2).sum(1) + e).sqrt() - e for g in (gx, gy))
    return (both - released).abs().mean((1, 2))


def loss_squared(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return (smoothed(pictures, e) - released).square().mean((1, 2))


def loss_cancels(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return (smoothed(pictures, e) - released).mean((1, 2)).abs()


def loss_not_smooth(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return (smoothed(pictures, 1e-12) - released).abs().mean((1, 2))


def loss_kink(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    gx, gy = signed_gradients(pictures, Operator())
    both = sum((g.square().sum(1).sqrt() ** 2 + e**2).sqrt() - e for g in (gx, gy))
    return (both - released).abs().mean((1, 2))


def loss_of_all(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return (smoothed(pictures, e) - released).abs().mean()


def loss_sum(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return (smoothed(pictures, e) - released).abs().sum((1, 2))


def loss_detached(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return loss_right(pictures.detach(), released, e)


def loss_right(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    return (smoothed(pictures, e) - released).abs().mean((1, 2))


def loss_right_by_hypot(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    total = -released - 2 * e
    for g in signed_gradients(pictures, Operator()):
        with_e = torch.cat([g, torch.full_like(g[:, :1], e)], dim=1)
        total = total + torch.linalg.vector_norm(with_e, dim=1)
    return total.abs().flatten(1).mean(1)


# 0606, how long a list ----------------------------------------------------------------------------


def ranks(similarity: Array, own: Array) -> Array:
    mine = similarity[np.arange(len(own)), own][:, None]
    return np.sort((similarity >= mine).sum(axis=1))


def list_floor(similarity: Array, own: Array, share: float) -> int:
    return int(ranks(similarity, own)[max(int(np.floor(share * len(own) + 1e-9)) - 1, 0)])


def list_round(similarity: Array, own: Array, share: float) -> int:
    return int(ranks(similarity, own)[max(round(share * len(own)) - 1, 0)])


def list_one_place_late(similarity: Array, own: Array, share: float) -> int:
    return int(ranks(similarity, own)[min(int(share * len(own) + 1e-9), len(own) - 1)])


def list_ties_behind(similarity: Array, own: Array, share: float) -> int:
    mine = similarity[np.arange(len(own)), own][:, None]
    before = np.sort((similarity > mine).sum(axis=1) + 1)
    return int(before[int(np.ceil(share * len(own) - 1e-9)) - 1])


def list_ties_by_place(similarity: Array, own: Array, share: float) -> int:
    order = np.argsort(-similarity, axis=1, kind="stable")
    place = np.sort(np.array([list(row).index(who) for row, who in zip(order, own, strict=True)]))
    return int(place[int(np.ceil(share * len(own) - 1e-9)) - 1]) + 1


def list_from_0(similarity: Array, own: Array, share: float) -> int:
    return list_right(similarity, own, share) - 1


def list_one_more(similarity: Array, own: Array, share: float) -> int:
    return list_right(similarity, own, share) + 1


def list_least_similar(similarity: Array, own: Array, share: float) -> int:
    return list_right(-similarity, own, share)


def list_quantile(similarity: Array, own: Array, share: float) -> float:
    return float(np.quantile(ranks(similarity, own), share))


def list_mean(similarity: Array, own: Array, share: float) -> float:
    return float(ranks(similarity, own).mean())


def list_above(similarity: Array, own: Array, share: float) -> int:
    return list_right(similarity, own, max(1 - share, 1e-6))


def list_right(similarity: Array, own: Array, share: float) -> int:
    found = ranks(similarity, own)
    return next(k for k in range(1, 100) if (found <= k).mean() >= share - 1e-9)


def list_right_by_quantile(similarity: Array, own: Array, share: float) -> int:
    return int(np.quantile(ranks(similarity, own), share, method="inverted_cdf"))


WRONG = [
    ("0601", count_all, "some leave the range"),
    ("0601", count_from_zero, "may start anywhere"),
    ("0601", count_without_start, "don't forget the start"),
    ("0601", count_by_the_end, "on its way"),
    ("0601", count_strictly, "just reaches both 0 and 1"),
    ("0601", count_pairs_once, "its mirror image are two"),
    ("0601", count_zeros_twice, "neither up nor down"),
    ("0601", count_no_zeros, "goes on at the same value"),
    ("0602", flip_about_half, "is 2 b - x"),
    ("0602", flip_about_own_rim, "the part's own rim"),
    ("0602", flip_rolled, "round the picture's edge"),
    ("0602", flip_one_level, "a level of its own"),
    ("0602", flip_about_mean, "about the level around the part"),
    ("0602", flip_about_corner, "corner may be in another sea"),
    ("0602", flip_about_outside, "only the rim of the part"),
    ("0602", flip_negative, "mirror about 0.5"),
    ("0602", flip_signs, "mirror about 0; the sea"),
    ("0602", flip_everything, "only the part is to be mirrored"),
    ("0602", flip_grey, "raises ValueError"),
    ("0603", score_without_sign, "try the negative"),
    ("0603", score_without_constant, "c is free"),
    ("0603", score_correlation, "forgives a wrong contrast"),
    ("0603", score_raw_truth, "around its mean"),
    ("0603", score_left_over, "explained is 1 minus that"),
    ("0603", score_root, "a root of a share"),
    ("0603", score_worst, "the smaller rest"),
    ("0604", poisson_exchanged, "divided by the other"),
    ("0604", poisson_late, "moved by a pixel"),
    ("0604", poisson_rows_only, "add both directions"),
    ("0604", poisson_by_root, "not by its root"),
    ("0604", poisson_undivided, "still to be divided"),
    ("0604", poisson_negative, "minus the divergence"),
    ("0604", poisson_fourier, "goes round the borders"),
    ("0604", poisson_first_is_0, "the mean is to be 0"),
    ("0604", poisson_summed, "every error runs along the row"),
    ("0604", poisson_full_turns, "half a turn"),
    ("0604", poisson_divides_by_0, "nan: a 0 / 0"),
    ("0604", poisson_not_orthogonal, "the same norm"),
    ("0605", loss_without_minus_e, "take e away again"),
    ("0605", loss_by_channel, "runs over the three channels"),
    ("0605", loss_one_length, "adds two lengths"),
    ("0605", loss_e_not_squared, "e is squared"),
    ("0605", loss_squared, "not of their squares"),
    ("0605", loss_cancels, "signs cancel"),
    ("0605", loss_not_smooth, "without smoothing"),
    ("0605", loss_kink, "nan: a 0 / 0"),
    ("0605", loss_of_all, "has the shape ()"),
    ("0605", loss_sum, "not their sum"),
    ("0605", loss_detached, "raises no gradient"),
    ("0606", list_floor, "half of five is three"),
    ("0606", list_round, "half of five is three"),
    ("0606", list_one_place_late, "one probe more"),
    ("0606", list_ties_behind, "count >=, not >"),
    ("0606", list_ties_by_place, "breaks ties by place"),
    ("0606", list_from_0, "the first has rank 1"),
    ("0606", list_one_more, "that one included"),
    ("0606", list_least_similar, "the most similar comes first"),
    ("0606", list_quantile, "people come whole"),
    ("0606", list_mean, "a mean rank is no answer"),
    ("0606", list_above, "it is to be below"),
]

RIGHT = [
    ("0601", count_right),
    ("0601", count_right_by_hand),
    ("0602", flip_right),
    ("0603", score_right),
    ("0603", score_right_by_sign),
    ("0604", poisson_right),
    ("0604", poisson_least_squares),
    ("0605", loss_right),
    ("0605", loss_right_by_hypot),
    ("0606", list_right),
    ("0606", list_right_by_quantile),
]
