"""Candidates of `studies/defence.py`: what a sensitive picture could be turned into instead.

Each is a measure of small squares of a picture, which training can imitate on what it renders, and
what is done around it: a picture that is prepared before, numbers that are spoilt after. The
package's `Operator` is one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.kernels.gradient_loss import gradient_modulus
from privhead_nb.lab.framing import resized
from privhead_nb.privacy.operators import Operator

SOBEL = Operator()
DEFAULT = "sobel-64"
LUMA = (0.299, 0.587, 0.114)
DARK = 0.05  # added to values and moduli before a logarithm or a division
TINY = 1e-12

Measure = Callable[[Tensor], Tensor]
"""(N, h, w, 3) colours -> (N, h - 2 reach, w - 2 reach, C), differentiable."""
Spoil = Callable[[Tensor, torch.Generator], Tensor]
"""(N, H, H, C) -> the same, with numbers drawn by the generator."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A way to protect sensitive pictures.

    Attributes:
        name, what: how it is called, and what it does, in a line.
        measure: what training imitates on rendered squares.
        reach: pixels that it needs on each side.
        size: of what is released, pixels.
        prepare: (N, H, H, 3) -> (N, H, H, 3), done on the device before; training doesn't know it.
        spoil: done on the device after; training takes what comes as its mean.
        even_views: training divides each released view by its mean, since its scale says nothing.
    """

    name: str
    what: str
    measure: Measure
    reach: int = 1
    size: int = 64
    prepare: Callable[[Tensor], Tensor] | None = None
    spoil: Spoil | None = None
    even_views: bool = False

    @property
    def channels(self) -> int:
        """C, of what is released."""
        side = 2 * self.reach + 1
        return int(self.measure(torch.zeros(1, side, side, 3)).shape[-1])

    @torch.no_grad()
    def release(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        """What leaves the device of pictures (N, H, H, 3): (N, size, size, C)."""
        x = resized(pictures, self.size)
        if self.prepare is not None:
            x = self.prepare(x)
        r = self.reach
        x = F.pad(x.movedim(-1, 1), (r, r, r, r), mode="reflect").movedim(1, -1)
        out = self.measure(x)
        return out if self.spoil is None else self.spoil(out, random)


# Measures -----------------------------------------------------------------------------------------


def modulus(x: Tensor, weights: tuple[float, ...] | None = None) -> Tensor:
    """The paper's eq. 6 of colours (N, h, w, 3), or of one weighted sum of them; C = 1."""
    channels = x.movedim(-1, 1)
    if weights is not None:
        channels = (channels * x.new_tensor(weights)[:, None, None]).sum(1, keepdim=True)
    return gradient_modulus(channels.contiguous(), *SOBEL.kernels())[..., None]


def log_modulus(x: Tensor, weights: tuple[float, ...] | None = None) -> Tensor:
    """Eq. 6 of logarithms: a multiple of a picture has the same, but for DARK."""
    return modulus((x.clamp_min(0) + DARK).log(), weights)


def without_low_frequencies(x: Tensor, window: int = 7) -> Tensor:
    """Eq. 6 of logarithms less their mean in a window (homomorphic filter)."""
    logs = (x.clamp_min(0) + DARK).log()
    return modulus(_inner(logs, window // 2) - _mean(logs, window))


def over_local_contrast(x: Tensor, window: int = 5, least: float = 0.02) -> Tensor:
    """Eq. 6 over its own mean in a window (local contrast normalisation)."""
    m = modulus(x)
    return _inner(m, window // 2) / (_mean(m, window) + least)


def direction(x: Tensor) -> Tensor:
    """Cosine and sine of twice the gradient's angle, of all channels; no length; C = 2.

    Twice the angle, since dark to light and light to dark are one.
    """
    gx, gy = _gradients(x)
    turned = torch.stack([(gx * gx - gy * gy).sum(1), (2 * gx * gy).sum(1)], -1)
    return turned / (turned.square().sum(-1, keepdim=True) + TINY).sqrt()


def edges(x: Tensor, above: float, soft: float = 0.02) -> Tensor:
    """1 where eq. 6 is above a threshold, else 0; `soft` is the step's width, for training."""
    return torch.sigmoid((modulus(x) - above) / soft)


def saturating(x: Tensor, half: float = 0.05) -> Tensor:
    """m / (m + half): long gradients are all about 1."""
    m = modulus(x)
    return m / (m + half)


def _gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3, h - 2, w - 2) derivatives along x and y."""
    channels = x.movedim(-1, 1)
    N, C, h, w = channels.shape
    kernels = torch.stack(SOBEL.kernels())[:, None].to(x)
    both = F.conv2d(channels.reshape(N * C, 1, h, w), kernels)
    return both[:, 0].unflatten(0, (N, C)), both[:, 1].unflatten(0, (N, C))


def _mean(x: Tensor, window: int) -> Tensor:
    return F.avg_pool2d(x.movedim(-1, 1), window, 1).movedim(1, -1)


def _inner(x: Tensor, r: int) -> Tensor:
    return x[:, r : x.shape[1] - r, r : x.shape[2] - r]


# What is drawn ------------------------------------------------------------------------------------


def _normal(x: Tensor, random: torch.Generator, *, per_view: bool) -> Tensor:
    shape = (len(x), 1, 1, 1) if per_view else x.shape
    return torch.randn(shape, generator=random)


def noise(sigma: float, *, per_view: bool = False) -> Spoil:
    """A normal number added to each pixel, or one to all of a view; below 0 is cut."""
    return lambda x, random: (x + sigma * _normal(x, random, per_view=per_view)).clamp_min(0)


def gain(sigma: float) -> Spoil:
    """Each view times exp(sigma n), n normal."""
    return lambda x, random: x * (sigma * _normal(x, random, per_view=True)).exp()


def dither(levels: int, *, per_view: bool = False) -> Spoil:
    """Rounded to `levels` levels, after a shift drawn for each pixel or for each view."""
    step = SOBEL.peak / (levels - 1)

    def spoil(x: Tensor, random: torch.Generator) -> Tensor:
        shape = (len(x), 1, 1, 1) if per_view else x.shape
        return (x / step + torch.rand(shape, generator=random)).floor() * step

    return spoil


def hard(x: Tensor, _: torch.Generator) -> Tensor:
    """Rounded to 0 or 1: of soft edges, edges."""
    return x.round()


# Without red and brown ----------------------------------------------------------------------------


def pigment_free(whole: Tensor, flat: Tensor, ridge: float = 0.02) -> tuple[float, float, float]:
    """Weights of log R, G, B, sum 1, whose gradient reflectance disturbs least.

    Light and shade move all three logarithms alike. Melanin and blood move them in two other
    directions (Tsumura et al. 1999), and what stands upright on these sees only the shading. Here
    the weights w minimise w' S w, S the scatter of the gradients of log whole - log flat, so
    w = S^-1 1 / (1' S^-1 1); `ridge`, a share of S's trace, keeps camera noise small.

    Args:
        whole, flat: (N, H, H, 3) the same people as they are and in one reflectance.
    """
    difference = (whole + DARK).log() - (flat + DARK).log()
    gx, gy = _gradients(difference)
    rows = torch.cat([g.movedim(1, -1).reshape(-1, 3) for g in (gx, gy)]).double()
    scatter = rows.T @ rows / len(rows)
    scatter = scatter + ridge * scatter.trace() * torch.eye(3).double()
    w = torch.linalg.solve(scatter, torch.ones(3).double())
    r, g, b = (w / w.sum()).tolist()
    return round(r, 4), round(g, 4), round(b, 4)


def pigment_free_candidate(whole: Tensor, flat: Tensor) -> Candidate:
    """Eq. 6 of the logarithms so weighted; arguments as of `pigment_free`."""
    weights = pigment_free(whole, flat)
    said = ", ".join(f"{w:.2f}" for w in weights)
    return Candidate(
        "pigment-free",
        f"of the logarithms, weighed {said}, so that pigments cancel",
        partial(log_modulus, weights=weights),
    )


# All of them --------------------------------------------------------------------------------------

PLAIN = Candidate(DEFAULT, "the paper's default", modulus)
OF_PICTURES = "one-albedo"
"""Not a candidate but a bound: the default of pictures in which all people have one reflectance."""


def fixed_candidates() -> list[Candidate]:
    """The candidates that learn nothing."""
    after = partial(replace, PLAIN)
    return [
        PLAIN,
        after(name="noise-0.02", what="noise of 0.02 a pixel", spoil=noise(0.02)),
        after(name="noise-0.05", what="noise of 0.05 a pixel", spoil=noise(0.05)),
        after(
            name="offset-0.05",
            what="one offset of 0.05 a view",
            spoil=noise(0.05, per_view=True),
        ),
        after(name="gain-0.5", what="one gain a view", spoil=gain(0.5), even_views=True),
        after(name="dither-16", what="16 levels, dithered by pixel", spoil=dither(16)),
        after(
            name="dither-16-view",
            what="16 levels, shifted by view",
            spoil=dither(16, per_view=True),
        ),
        after(name="size-48-noise", what="48 pixels, noise 0.02", size=48, spoil=noise(0.02)),
        after(name="size-32-noise", what="32 pixels, noise 0.02", size=32, spoil=noise(0.02)),
        after(name="luma", what="of luma", measure=partial(modulus, weights=LUMA)),
        after(name="red", what="of the red channel", measure=partial(modulus, weights=(1, 0, 0))),
        after(name="log", what="of logarithms", measure=log_modulus),
        after(
            name="homomorphic",
            what="of logarithms less their local mean",
            measure=without_low_frequencies,
            reach=4,
        ),
        after(
            name="over-contrast",
            what="over its own local mean",
            measure=over_local_contrast,
            reach=3,
        ),
        after(name="direction", what="direction alone", measure=direction),
        after(
            name="edges-0.1",
            what="1 where the modulus is above 0.1",
            measure=partial(edges, above=0.1),
            spoil=hard,
        ),
        after(name="saturating", what="m / (m + 0.05)", measure=saturating),
    ]
