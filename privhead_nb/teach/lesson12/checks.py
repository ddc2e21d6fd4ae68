"""Checks of lesson 12: a fit, noise, a cut Gaussian, a hybrid, identity, what was hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from privhead_nb.teach.checks import Array, Function, Slip, check


def cut(x: Any) -> Any:
    """What lies outside of [-1, 1] goes to its edge."""
    return x.clip(-1, 1)


def ex1201(yours: Function) -> None:
    """Adam on an offset: (picture, render, coarse (D,), steps, rate, near) -> codes (D,)."""
    slips: dict[str, Slip] = {
        "start from the coarse codes and not from 0": lambda x, r, c, *rest: (
            _fit(x, r, 0 * c, *rest)
        ),
        "what you return may be out of range: cut it, too":
            ("return cut(coarse + offset.detach())", "return coarse + offset.detach()"),
        "the renderer saw codes outside of [-1, 1]: cut them before it draws":
            ("render(cut(coarse + offset))", "render(coarse + offset)"),
        "the offset costs nothing: near times its mean square": ("near *", "0 *"),
        "gradients add up from step to step: clear them": ("adam.zero_grad()", "pass"),
    }  # fmt: skip
    check("ex1201", yours, _fit, fits(), slips=slips, rtol=1e-4, atol=1e-5)


def ex1202(yours: Function) -> None:
    """Eq. 3: (codes (N, D), scale, noise (N, D)) -> protected codes (N, D)."""
    random = np.random.default_rng(1202)
    codes, noise = random.uniform(-1, 1, (3, 5)), random.normal(size=(3, 5))
    edge = np.array([[0.95, -0.95, 0.2, -0.9]])
    cases = {
        "no noise": (codes, 0.0, noise),
        "in the middle of the range": (0.1 * codes, 0.2, noise),
        "at both edges": (edge, 0.4, np.array([[3.0, -3.5, 0.5, 0.3]])),
        "more noise than the paper's": (codes, 1.6, noise),
    }
    slips: dict[str, Slip] = {
        "cut what comes out: codes live in [-1, 1]": lambda z, s, n: z + s * n,
        "cut the sum, not the noise": lambda z, s, n: z + cut(s * n),
        "scale is the standard deviation, not the variance": (
            lambda z, s, n: cut(z + np.sqrt(s) * n)
        ),
        "where is the scale?": lambda z, _, n: cut(z + n),
    }
    check("ex1202", yours, lambda z, s, n: cut(z + s * n), cases, slips=slips)


def _fit(
    picture: Tensor, render: Function, coarse: Tensor, steps: int, rate: float, near: float
) -> Any:
    offset = torch.zeros_like(coarse, requires_grad=True)
    adam = torch.optim.Adam([offset], lr=rate)
    for _ in range(steps):
        adam.zero_grad()
        shown = render(cut(coarse + offset))
        loss = (shown - picture).square().mean() + near * offset.square().mean()
        loss.backward()
        adam.step()
    return cut(coarse + offset.detach())


def moments(codes: Array, scale: float) -> tuple[Array, Array]:
    """Mean and variance (N,) of codes (N,) plus N(0, scale^2), cut to [-1, 1]."""
    a, b = (-1 - codes) / scale, (1 - codes) / scale
    at_a, at_b = (np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) for x in (a, b))
    below, above, inside = ndtr(a), ndtr(-b), ndtr(b) - ndtr(a)
    first, edges = at_a - at_b, a * at_a - b * at_b
    mean = codes * inside + scale * first + above - below
    square = codes**2 * inside + 2 * codes * scale * first + scale**2 * (inside + edges)
    return mean, square + above + below - mean**2


def ex1203(yours: Function) -> None:
    """A Gaussian that is cut: (codes (N,), scale) -> its mean (N,) and variance (N,)."""
    cases = {
        "in the middle, little noise": (np.array([0.0]), 0.1),
        "in the middle, much noise": (np.array([0.0]), 0.8),
        "across the range": (np.linspace(-0.9, 0.9, 7), 0.4),
        "at the edges": (np.array([-1.0, 1.0]), 0.25),
        "more noise than range": (np.linspace(-1, 1, 5), 3.0),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "the draws beyond the edges don't vanish: they lie on the edges":
            ("= ndtr(a), ndtr(-b),", "= 0, 0,"),
        "the spread about the mean after the cut, not about the code": ("- mean**2", "- codes**2"),
        "that is the mean square; the mean's square is still in it": (" - mean**2", ""),
        "the variance, not the standard deviation":
            ("square + above + below - mean**2", "np.sqrt(square + above + below - mean**2)"),
    }  # fmt: skip
    check("ex1203", yours, moments, cases, slips=slips, rtol=1e-4, atol=1e-6)


def ex1204(yours: Function) -> None:
    """X_l: (original, fitted (H, W, 3), their labels (H, W), kept labels, gap) -> (H, W, 3)."""
    right = "np.where(keep, x, np.where(face, p, gap))"
    slips: dict[str, Slip] = {
        "the original's hair and surroundings go first, also before a fitted face":
            (right, "np.where(face, p, np.where(keep, x, gap))"),
        "hair of the fitted picture comes in: where it has no face there is a gap":
            (right, "np.where(keep, x, p)"),
        "the other way round: hair stays, the face goes":
            (right, "np.where(keep, p, np.where(face, x, gap))"),
        "the gap has the colour that is given": ("p, gap)", "p, 0)"),
    }  # fmt: skip
    check("ex1204", yours, _hybrid, composites(), slips=slips)


def ex1205(yours: Function) -> None:
    """Eq. 8: (features of X' (N, D), of X_l (N, D), weight) -> the loss, a number."""

    def unit(a: Tensor) -> Tensor:
        return a / a.norm(dim=1, keepdim=True)

    def cosines(a: Tensor, b: Tensor) -> Tensor:
        return (unit(a) * unit(b)).sum(1)

    random = torch.Generator().manual_seed(1205)
    a, b = torch.randn(2, 4, 6, generator=random, dtype=torch.float64)
    lengths = torch.tensor([[0.2], [1.0], [3.0], [9.0]], dtype=torch.float64)
    right_angle = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    cases = {
        "one pair, at right angles": (*right_angle, 5.0),
        "the same people": (a, a.clone(), 5.0),
        "vectors of any length": (lengths * a, b, 5.0),
        "unit vectors": (unit(a), unit(b), 1.0),
    }
    slips: dict[str, Slip] = {
        "where is the weight?": lambda a, b, _: (1 - cosines(a, b)).mean(),
        "alike should cost nothing: 1 minus the cosine": lambda a, b, w: w * cosines(a, b).mean(),
        "divide by both lengths": lambda a, b, w: w * (1 - (a * b).sum(1)).mean(),
        "a mean over the pictures, not a sum": lambda a, b, w: w * (1 - cosines(a, b)).sum(),
    }
    check(
        "ex1205",
        yours,
        lambda a, b, weight: weight * (1 - cosines(a, b)).mean(),
        cases,
        slips=slips,
    )


def ex1206(yours: Function) -> None:
    """What was hidden: (releases of one code (K, D), scale) -> the code (D,)."""
    places = np.linspace(-1, 1, 4001)

    def undone(mean: Array, scale: float) -> Array:
        return np.interp(mean, moments(places, scale)[0], places)

    random = np.random.default_rng(1206)

    def released(count: int, scale: float) -> tuple[Array, float]:
        code = np.linspace(-1, 1, 9)
        return cut(code + scale * random.normal(size=(count, len(code)))), scale

    cases = {
        "ten releases": released(10, 0.4),
        "ten, more noise than the paper's": released(10, 0.8),
        "a hundred, much noise": released(100, 1.6),
        "a single one": released(1, 0.25),
    }
    slips: dict[str, Slip] = {
        "the cut pulls the mean inwards: undo that": lambda x, _: x.mean(0),
        "average first: one release says too little to be undone by itself": lambda x, s: undone(
            x, s
        ).mean(0),
        "you went the wrong way: from the mean back to the code": lambda x, s: moments(
            x.mean(0), s
        )[0],
        "scale is the standard deviation, not the variance": lambda x, s: undone(x.mean(0), s**2),
    }
    check(
        "ex1206", yours, lambda x, s: undone(x.mean(0), s), cases, slips=slips, rtol=2e-3, atol=2e-3
    )


def fits() -> dict[str, tuple[Any, ...]]:
    """Small renderers: straight, curved, and codes that would leave the range."""
    random = torch.Generator().manual_seed(1201)
    matrix = torch.randn(8, 3, generator=random, dtype=torch.float64)
    inside, beyond, coarse = torch.tensor(
        [[0.5, -0.3, 0.1], [2.0, -0.4, 0.6], [0.2, -0.6, 0.4]], dtype=torch.float64
    )

    def straight(codes: Tensor) -> Tensor:
        return matrix @ codes

    def curved(codes: Tensor) -> Tensor:
        return torch.sin(matrix @ codes).reshape(2, 4)

    return {
        "a straight renderer": (straight(inside), straight, 0 * coarse, 12, 0.05, 0.0),
        "coarse codes, and near": (straight(inside), straight, coarse, 12, 0.05, 2.0),
        "a curved renderer": (curved(inside), curved, coarse, 15, 0.1, 0.1),
        "a picture of no head": (straight(beyond), straight, coarse, 25, 0.1, 0.05),
    }


def composites() -> dict[str, tuple[Any, ...]]:
    """Two small pictures and labels: 0 and 2 stay, 1 and 3 are a face."""
    random = np.random.default_rng(1204)
    one, two = random.uniform(0.1, 0.9, (2, 4, 5, 3))
    labels, other = random.integers(0, 4, (2, 4, 5))
    kept, face, hair = np.array([0, 2]), np.ones((4, 5), int), np.full((4, 5), 2)
    return {
        "labels of all kinds, a grey gap": (one, two, labels, other, kept, 0.5),
        "two faces that cover each other": (one, two, face, face, kept, 1.0),
        "hair before the fitted face": (one, two, hair, face, kept, 1.0),
        "a face that has shrunk": (one, two, face, hair, kept, 1.0),
    }


def _hybrid(x: Array, p: Array, labels: Array, other: Array, kept: Array, gap: float) -> Array:
    keep, face = np.isin(labels, kept)[..., None], ~np.isin(other, kept)[..., None]
    return np.where(keep, x, np.where(face, p, gap))
