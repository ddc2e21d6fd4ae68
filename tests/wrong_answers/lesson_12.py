"""Lesson 12: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from answers import edited, spoiled
from scipy.optimize import brentq
from scipy.stats import norm

# 1201, a fit by descent ---------------------------------------------------------------------------


def on_codes(picture, render, coarse, steps, rate, near):
    """The codes themselves are the numbers that learn."""
    codes = coarse.clone().requires_grad_()
    adam = torch.optim.Adam([codes], lr=rate)
    for _ in range(steps):
        loss = F.mse_loss(render(codes.clamp(-1, 1)), picture)
        loss = loss + near * F.mse_loss(codes, coarse)
        (codes.grad,) = torch.autograd.grad(loss, [codes])
        adam.step()
    return codes.detach().clamp(-1, 1)


def descent(picture, render, coarse, steps, rate, near):
    offset = torch.zeros_like(coarse, requires_grad=True)
    adam = torch.optim.Adam([offset], lr=rate)
    for _ in range(steps):
        made = render((coarse + offset).clamp(-1, 1))
        loss = (made - picture).square().mean() + near * offset.square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return (coarse + offset.detach()).clamp(-1, 1)


# 1203, a Gaussian that is cut ---------------------------------------------------------------------


def by_sums(codes, scale):
    """No formula, a fine sum over the noise."""
    n = np.linspace(-9, 9, 200_001)
    share = np.exp(-(n**2) / 2)
    share /= share.sum()
    x = np.clip(codes[:, None] + scale * n, -1, 1)
    mean = x @ share
    return mean, (x - mean[:, None]) ** 2 @ share


def formula(codes, scale):
    a, b = (-1 - codes) / scale, (1 - codes) / scale
    inside = norm.cdf(b) - norm.cdf(a)
    below, above = norm.cdf(a), norm.sf(b)
    first = norm.pdf(a) - norm.pdf(b)
    second = inside + a * norm.pdf(a) - b * norm.pdf(b)
    mean = codes * inside + scale * first
    square = codes**2 * inside + 2 * codes * scale * first + scale**2 * second
    mean, square = mean + above - below, square + above + below
    return mean, square - mean**2


# 1204, a hybrid -----------------------------------------------------------------------------------


def pixel_by_pixel(x, p, labels, other, kept, gap):
    out = np.full_like(x, gap)
    for place in np.ndindex(labels.shape):
        if labels[place] in kept:
            out[place] = x[place]
        elif other[place] not in kept:
            out[place] = p[place]
    return out


def by_masks(x, p, labels, other, kept, gap):
    """Three masks that add up to one."""
    keep = np.isin(labels, kept)[..., None]
    face = ~np.isin(other, kept)[..., None]
    return keep * x + ~keep * face * p + ~keep * ~face * gap


# 1205, the identity loss --------------------------------------------------------------------------


def by_torch(a, b, weight):
    return weight * (1 - F.cosine_similarity(a, b, dim=1)).mean()


def by_euclid(a, b, weight):
    """Half of the squared distance of unit vectors."""
    return weight * (F.normalize(a) - F.normalize(b)).square().sum(1).mean() / 2


# 1206, what was hidden ----------------------------------------------------------------------------


def by_roots(releases, scale):
    """The root of a function that only rises."""
    found = []
    for mean in releases.mean(0):
        ends = formula(np.array([-1.0, 1.0]), scale)[0]
        if not ends[0] < mean < ends[1]:
            found.append(np.sign(mean))
            continue
        found.append(brentq(lambda z, m=mean: formula(np.array([z]), scale)[0][0] - m, -1, 1))
    return np.array(found)


def by_search(releases, scale):
    """The nearest of many codes."""
    places = np.linspace(-1, 1, 8001)
    means = formula(places, scale)[0]
    return places[np.abs(releases.mean(0)[:, None] - means).argmin(1)]


def undone(mean, scale):
    places = np.linspace(-1, 1, 4001)
    return np.interp(mean, formula(places, scale)[0], places)


def one_factor(releases, scale):
    rise = formula(np.array([0.001]), scale)[0] / 0.001
    return np.clip(releases.mean(0) / rise, -1, 1)


SHOWN, FOUND = "(coarse + offset).clamp(-1, 1)", "(coarse + offset.detach()).clamp(-1, 1)"
PILES = "norm.cdf(a), norm.sf(b)"
HYBRID = "keep * x + ~keep * face * p + ~keep * ~face * gap"

WRONG = [
    *spoiled(
        "1201", descent,
        ("    offset =", "    coarse = torch.zeros_like(coarse)\n    offset =",
         "start from the coarse"),
        ("near * ", "0 * ", "costs nothing"),
        (FOUND, "offset.detach()", "the offset alone"),
        ("range(steps)", "range(steps + 1)", "one step too many"),
        (FOUND, "coarse + offset.detach()", "cut it, too"),
        (SHOWN, "coarse + offset", "before it draws"),
        ("        adam.zero_grad()\n", "", "clear them"),
        ("optim.Adam", "optim.SGD", "Adam was asked for"),
        ("(made - picture).square().mean()", "(made - picture).square().sum()",
         "a mean over the picture"),
        ("offset.square().mean()", "offset.square().sum()", "a mean over the code"),
        ("offset.square()", "(coarse + offset).square()", "not the codes"),
        (FOUND, "(render(coarse) - picture).square().mean()", "has the shape"),
    ),
    ("1201", edited(descent, (SHOWN, "coarse + offset"), (FOUND, "coarse + offset.detach()")),
     "never cut"),
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
    *spoiled(
        "1203", formula,
        (PILES, "0, 0", "don't vanish"),
        ("mean + above - below, square + above + below", "mean / inside, square / inside",
         "draws anew"),
        (PILES, "norm.cdf(a), 0", "pile at 1"),
        (PILES, "0, norm.sf(b)", "pile at -1"),
        (" + a * norm.pdf(a) - b * norm.pdf(b)", "", "is missing"),
        ("inside + scale * first", "inside - scale * first", "the other way"),
        ("square - mean**2", "np.sqrt(square - mean**2)", "not the standard deviation"),
        ("mean**2", "codes**2", "not about the code"),
        ("square - mean**2", "square", "mean square"),
        ("return mean,", "return codes,", "moves the mean"),
        ("return mean, square - mean**2", "return mean", "has the shape"),
    ),
    *spoiled(
        "1204", by_masks,
        (HYBRID, "face * p + ~face * keep * x + ~keep * ~face * gap", "before a fitted face"),
        (HYBRID, "keep * x + ~keep * p", "there is a gap"),
        ("~face * gap", "~face * x", "was to be hidden"),
        (HYBRID, "face * p + ~face * x", "the original's labels"),
        (HYBRID, "keep * p + ~keep * face * x + ~keep * ~face * gap", "the other way round"),
        (" + ~keep * ~face * gap", "", "the colour that is given"),
        (HYBRID, "keep", "has the shape"),
    ),
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
]  # fmt: skip

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
