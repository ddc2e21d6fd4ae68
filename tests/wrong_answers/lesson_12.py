"""Lesson 12: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from scipy.stats import norm

# 1201, a fit by descent ---------------------------------------------------------------------------


def on_codes(picture: Any, render: Any, coarse: Any, steps: int, rate: float, near: float) -> Any:
    """Right: the codes themselves are the numbers that learn."""
    codes = coarse.clone().requires_grad_()
    adam = torch.optim.Adam([codes], lr=rate)
    for _ in range(steps):
        loss = F.mse_loss(render(codes.clamp(-1, 1)), picture)
        loss = loss + near * F.mse_loss(codes, coarse)
        (codes.grad,) = torch.autograd.grad(loss, [codes])
        adam.step()
    return codes.detach().clamp(-1, 1)


def descent(
    picture: Any,
    render: Any,
    coarse: Any,
    steps: int,
    rate: float,
    near: float,
    cut_inside: bool = True,
    cut_after: bool = True,
    clear: bool = True,
    optimiser: Any = torch.optim.Adam,
    reduce: Any = torch.mean,
    of_codes: bool = False,
    reduce_near: Any = torch.mean,
) -> Any:
    """Right, with slips to choose."""
    offset = torch.zeros_like(coarse, requires_grad=True)
    stepper = optimiser([offset], lr=rate)
    for _ in range(steps):
        codes = coarse + offset
        shown = render(torch.clamp(codes, -1, 1) if cut_inside else codes)
        far = codes if of_codes else offset
        loss = reduce((shown - picture) ** 2) + near * reduce_near(far**2)
        if clear:
            stepper.zero_grad()
        loss.backward()
        stepper.step()
    found = (coarse + offset).detach()
    return found.clamp(-1, 1) if cut_after else found


def from_nothing(picture: Any, render: Any, coarse: Any, *rest: Any) -> Any:
    return descent(picture, render, torch.zeros_like(coarse), *rest)


def no_price(picture: Any, render: Any, coarse: Any, steps: int, rate: float, near: float) -> Any:
    return descent(picture, render, coarse, steps, rate, 0.0)


def offset_only(picture: Any, render: Any, coarse: Any, *rest: Any) -> Any:
    return descent(picture, render, coarse, *rest, cut_after=False) - coarse


def a_step_more(
    picture: Any, render: Any, coarse: Any, steps: int, rate: float, near: float
) -> Any:
    return descent(picture, render, coarse, steps + 1, rate, near)


def the_loss(picture: Any, render: Any, coarse: Any, *rest: Any) -> Any:
    return ((render(coarse) - picture) ** 2).mean()


# 1203, a Gaussian that is cut ---------------------------------------------------------------------


def by_sums(codes: Any, scale: float) -> Any:
    """Right: no formula, a fine sum over the noise."""
    n = np.linspace(-9, 9, 200_001)
    share = np.exp(-(n**2) / 2)
    share /= share.sum()
    x = np.clip(codes[:, None] + scale * n, -1, 1)
    mean = x @ share
    return mean, (x - mean[:, None]) ** 2 @ share


def formula(
    codes: Any,
    scale: float,
    low: int = 1,
    high: int = 1,
    rim: int = 1,
    pull: int = 1,
    truncated: bool = False,
) -> Any:
    """Right, with slips to choose."""
    a, b = (-1 - codes) / scale, (1 - codes) / scale
    share = norm.cdf(b) - norm.cdf(a)
    n1 = norm.pdf(a) - norm.pdf(b)
    n2 = share + rim * (a * norm.pdf(a) - b * norm.pdf(b))
    mean = codes * share + pull * scale * n1
    square = codes**2 * share + 2 * codes * scale * n1 + scale**2 * n2
    if truncated:
        return mean / share, square / share - (mean / share) ** 2
    mean = mean - low * norm.cdf(a) + high * norm.sf(b)
    square = square + low * norm.cdf(a) + high * norm.sf(b)
    return mean, square - mean**2


def deviations(codes: Any, scale: float) -> Any:
    mean, variance = formula(codes, scale)
    return mean, np.sqrt(variance)


def about_the_code(codes: Any, scale: float) -> Any:
    mean, variance = formula(codes, scale)
    return mean, variance + mean**2 - codes**2


def mean_square(codes: Any, scale: float) -> Any:
    mean, variance = formula(codes, scale)
    return mean, variance + mean**2


def drawn(codes: Any, scale: float) -> Any:
    noise = np.random.default_rng(0).normal(size=(1000, len(codes)))
    x = np.clip(codes + scale * noise, -1, 1)
    return x.mean(0), x.var(0)


# 1204, a hybrid -----------------------------------------------------------------------------------


def pixel_by_pixel(x: Any, p: Any, labels: Any, other: Any, kept: Any, gap: float) -> Any:
    """Right: a loop."""
    out = np.full_like(x, gap)
    for place in np.ndindex(labels.shape):
        if labels[place] in kept:
            out[place] = x[place]
        elif other[place] not in kept:
            out[place] = p[place]
    return out


def by_masks(x: Any, p: Any, labels: Any, other: Any, kept: Any, gap: float) -> Any:
    """Right: three masks that add up to one."""
    keep = np.isin(labels, kept)
    face = ~keep & ~np.isin(other, kept)
    rest = ~keep & ~face
    return x * keep[..., None] + p * face[..., None] + gap * rest[..., None]


def chosen(x: Any, p: Any, labels: Any, other: Any, kept: Any, gap: float, how: str) -> Any:
    keep, face = (np.isin(labels, kept)[..., None], ~np.isin(other, kept)[..., None])
    return {
        "face first": lambda: np.where(face, p, np.where(keep, x, gap)),
        "no gap": lambda: np.where(keep, x, p),
        "own face": lambda: np.where(face & ~keep, p, x),
        "other labels": lambda: np.where(face, p, x),
        "inverse": lambda: np.where(keep, p, np.where(face, x, gap)),
        "black": lambda: np.where(keep, x, np.where(face, p, 0.0)),
        "labels": lambda: np.where(keep, x, gap)[..., 0],
    }[how]()


# 1205, the identity loss --------------------------------------------------------------------------


def by_torch(a: Any, b: Any, weight: float) -> Any:
    """Right: torch's own cosine."""
    return weight * (1 - F.cosine_similarity(a, b, dim=1)).mean()


def by_euclid(a: Any, b: Any, weight: float) -> Any:
    """Right: half of the squared distance of unit vectors."""
    return weight * (F.normalize(a) - F.normalize(b)).square().sum(1).mean() / 2


# 1206, what was hidden ----------------------------------------------------------------------------


def by_roots(releases: Any, scale: float) -> Any:
    """Right: the root of a function that only rises."""
    found = []
    for mean in releases.mean(0):
        ends = formula(np.array([-1.0, 1.0]), scale)[0]
        if not ends[0] < mean < ends[1]:
            found.append(np.sign(mean))
            continue
        found.append(brentq(lambda z, m=mean: formula(np.array([z]), scale)[0][0] - m, -1, 1))
    return np.array(found)


def by_search(releases: Any, scale: float) -> Any:
    """Right: the nearest of many codes."""
    places = np.linspace(-1, 1, 8001)
    means = formula(places, scale)[0]
    return places[np.abs(releases.mean(0)[:, None] - means).argmin(1)]


def undone(mean: Any, scale: float) -> Any:
    places = np.linspace(-1, 1, 4001)
    return np.interp(mean, formula(places, scale)[0], places)


def one_factor(releases: Any, scale: float) -> Any:
    rise = formula(np.array([0.001]), scale)[0] / 0.001
    return np.clip(releases.mean(0) / rise, -1, 1)


WRONG = [
    ("1201", from_nothing, "start from the coarse"),
    ("1201", no_price, "costs nothing"),
    ("1201", offset_only, "the offset alone"),
    ("1201", a_step_more, "one step too many"),
    ("1201", partial(descent, cut_after=False), "cut it, too"),
    ("1201", partial(descent, cut_inside=False), "before it draws"),
    ("1201", partial(descent, cut_inside=False, cut_after=False), "never cut"),
    ("1201", partial(descent, clear=False), "clear them"),
    ("1201", partial(descent, optimiser=torch.optim.SGD), "Adam was asked for"),
    ("1201", partial(descent, reduce=torch.sum), "a mean over the picture"),
    ("1201", partial(descent, reduce_near=torch.sum), "a mean over the code"),
    ("1201", partial(descent, of_codes=True), "not the codes"),
    ("1201", the_loss, "has the shape"),
    ("1202", lambda z, s, n: z + s * n, "cut what comes out"),
    ("1202", lambda z, s, n: z + np.clip(s * n, -1, 1), "not the noise"),
    ("1202", lambda z, s, n: np.minimum(z + s * n, 1), "at 1 alone"),
    ("1202", lambda z, s, n: np.clip(z + s**0.5 * n, -1, 1), "not the variance"),
    ("1202", lambda z, s, n: np.clip(z + s * s * n, -1, 1), "not squared"),
    ("1202", lambda z, s, n: np.clip(z * (1 + s * n), -1, 1), "is added"),
    ("1202", lambda z, s, n: np.tanh(z + s * n), "not a squeeze"),
    ("1202", lambda z, s, n: np.clip(z + n, -1, 1), "where is the scale?"),
    ("1202", lambda z, s, n: np.clip(z + s * n, -1, 1)[0], "has the shape"),
    ("1203", lambda z, s: (z, np.full_like(z, s**2)), "before the cut"),
    ("1203", partial(formula, low=0, high=0), "don't vanish"),
    ("1203", partial(formula, truncated=True), "draws anew"),
    ("1203", partial(formula, high=0), "pile at 1"),
    ("1203", partial(formula, low=0), "pile at -1"),
    ("1203", partial(formula, rim=0), "is missing"),
    ("1203", partial(formula, pull=-1), "the other way"),
    ("1203", deviations, "not the standard deviation"),
    ("1203", about_the_code, "not about the code"),
    ("1203", mean_square, "mean square"),
    ("1203", lambda z, s: (z, formula(z, s)[1]), "moves the mean"),
    ("1203", lambda z, s: formula(z, s)[0], "has the shape"),
    ("1204", partial(chosen, how="face first"), "before a fitted face"),
    ("1204", partial(chosen, how="no gap"), "there is a gap"),
    ("1204", partial(chosen, how="own face"), "was to be hidden"),
    ("1204", partial(chosen, how="other labels"), "the original's labels"),
    ("1204", partial(chosen, how="inverse"), "the other way round"),
    ("1204", partial(chosen, how="black"), "the colour that is given"),
    ("1204", partial(chosen, how="labels"), "has the shape"),
    ("1205", lambda a, b, w: (1 - F.cosine_similarity(a, b)).mean(), "where is the weight?"),
    ("1205", lambda a, b, w: w * F.cosine_similarity(a, b).mean(), "cost nothing"),
    ("1205", lambda a, b, w: w * (1 - (a * b).sum(1)).mean(), "both lengths"),
    ("1205", lambda a, b, w: w * F.l1_loss(a, b), "L1 distance"),
    ("1205", lambda a, b, w: w * F.l1_loss(F.normalize(a), F.normalize(b)), "of unit vectors"),
    ("1205", lambda a, b, w: w * (1 - F.cosine_similarity(a, b)).sum(), "not a sum"),
    ("1205", lambda a, b, w: w * (1 - F.cosine_similarity(a, b).abs()).mean(), "keep the sign"),
    ("1205", lambda a, b, w: w * (1 - F.normalize(a) @ F.normalize(b).T).mean(), "all pairs"),
    ("1205", lambda a, b, w: w * (1 - F.cosine_similarity(a, b)), "has the shape"),
    ("1206", lambda x, s: x.mean(0), "undo that"),
    ("1206", lambda x, s: undone(x, s).mean(0), "average first"),
    ("1206", lambda x, s: formula(x.mean(0), s)[0], "the wrong way"),
    ("1206", lambda x, s: undone(np.median(x, 0), s), "a median"),
    ("1206", lambda x, s: undone(x.mean(0), s**2), "not the variance"),
    ("1206", lambda x, s: undone(x.sum(0), s), "how many there are"),
    ("1206", lambda x, s: undone(x[0], s), "not the first"),
    ("1206", one_factor, "one factor"),
    ("1206", undone, "has the shape"),
]

RIGHT = [
    ("1201", on_codes),
    ("1201", descent),
    ("1202", lambda z, s, n: np.maximum(np.minimum(z + s * n, 1), -1)),
    ("1203", by_sums),
    ("1203", formula),
    ("1204", pixel_by_pixel),
    ("1204", by_masks),
    ("1205", by_torch),
    ("1205", by_euclid),
    ("1206", by_roots),
    ("1206", by_search),
]
