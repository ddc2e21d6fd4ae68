"""What a sensitive picture becomes: the gradient modulus after a protecting operator (eq. 6).

An operator is a value. Its stages run in one fixed order: blur, derivative, modulus, noise,
quantisation; `blurred`, `with_noise` and `quantised` add a stage and give a new operator.
Blur and derivative are one linear step, so they are folded into one pair of kernels: all that
training has to know is `kernels()`.

Kernels are the classic ones divided by their gain: a ramp that rises by 1 a pixel along the
kernel's direction gives 1. OpenCV's Sobel is this one times its gain (8 for 3 x 3).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d
from scipy.special import binom
from torch import Tensor

from privhead_nb.errors import PrivheadError
from privhead_nb.kernels.gradient_loss import gradient_modulus

KINDS = ("sobel", "scharr", "prewitt", "roberts", "central", "gaussian", "dog")
BORDERS = {"reflect": "reflect", "replicate": "replicate", "zero": "constant"}
"""Our border rules and torch's names: OpenCV's REFLECT_101, REPLICATE and CONSTANT 0."""

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601 on stored values, as OpenCV's RGB2GRAY
_DOG_RATIO = 1.6  # Marr and Hildreth's ratio of the two widths
_MAX_KERNEL = 31


@dataclass(frozen=True)
class Operator:
    """A protecting operator and how it is applied.

    Args:
        kind: sobel, scharr, prewitt, roberts, central (difference), gaussian (derivative) or dog
            (difference of Gaussians; it has no direction and stands alone in eq. 6).
        kernel_size: pixels, odd; 0 takes the kind's own. Sobel has 3, 5 and 7; gaussian and dog 3
            to 31; the others 3 (Roberts' 2 x 2 cross is set into 3 x 3).
        sigma: width of gaussian and of dog's inner Gaussian, pixels; others don't use it.
        per_channel: derivatives of R, G and B, normed over them; else of luma alone.
        border: what stands outside the picture: "reflect" (101), "replicate" or "zero".
        blur: sigma in pixels of a Gaussian blur before the derivative, 0 = none.
        background: "kept", pictures as they are, or "flat", the mask's outside replaced by the
            scene's background colour first.
        downsample: "first", operator on the small picture (what training renders), or "last",
            operator on the full picture, its modulus averaged and scaled to the small pixels.
        noise: sigma of Gaussian noise on the modulus, colour per pixel; sums below 0 are cut.
        levels: number of grey levels the modulus is rounded to between 0 and `peak`, 0 = none.

    Raises:
        PrivheadError: a setting outside of these.
    """

    kind: str = "sobel"
    kernel_size: int = 0
    sigma: float = 1.0
    per_channel: bool = True
    border: str = "reflect"
    blur: float = 0.0
    background: str = "kept"
    downsample: str = "first"
    noise: float = 0.0
    levels: int = 0

    def __post_init__(self) -> None:
        choices = {"kind": KINDS, "border": tuple(BORDERS), "background": ("kept", "flat")}
        choices["downsample"] = ("first", "last")
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise _wrong(field, getattr(self, field), "one of " + ", ".join(known))
        _number("sigma", self.sigma, above=0.0, most=10.0)
        _number("blur", self.blur, least=0.0, most=4.0)
        _number("noise", self.noise, least=0.0, most=10.0)
        for field in ("sigma", "blur", "noise"):  # 1 and 1.0 are one setting, in files too
            object.__setattr__(self, field, float(getattr(self, field)))
        if type(self.per_channel) is not bool:
            raise _wrong("per_channel", self.per_channel, "true or false")
        if type(self.levels) is not int or not (self.levels == 0 or 2 <= self.levels <= 65536):
            raise _wrong("levels", self.levels, "0 or a whole number from 2 to 65536")
        if type(self.kernel_size) is not int:
            raise _wrong("kernel_size", self.kernel_size, "a whole number")
        if self.kernel_size == 0:
            object.__setattr__(self, "kernel_size", _own_size(self.kind, self.sigma))
        sizes = _sizes(self.kind)
        if self.kernel_size not in sizes:
            listed = ", ".join(map(str, sizes)) if len(sizes) < 5 else "odd, from 3 to 31"
            raise _wrong("kernel_size", self.kernel_size, f"{listed} for {self.kind}")

    def blurred(self, sigma: float) -> Operator:
        """This operator after one more Gaussian blur (widths add as squares)."""
        _number("blur", sigma, least=0.0, most=4.0)
        return replace(self, blur=math.hypot(self.blur, sigma))

    def with_noise(self, sigma: float) -> Operator:
        """This operator with one more Gaussian noise on its modulus."""
        _number("noise", sigma, least=0.0, most=10.0)
        return replace(self, noise=math.hypot(self.noise, sigma))

    def quantised(self, levels: int) -> Operator:
        """This operator with its modulus rounded to `levels` levels."""
        return replace(self, levels=levels)

    def kernels(self) -> tuple[Tensor, Tensor]:
        """kx, ky: (k, k) float32 correlation kernels, k odd, blur folded in."""
        kx, ky = _kernels(self.kind, self.kernel_size, self.sigma, self.blur)
        return torch.tensor(kx, dtype=torch.float32), torch.tensor(ky, dtype=torch.float32)

    @property
    def reach(self) -> int:
        """Pixels lost on each side without padding."""
        return self.kernels()[0].shape[0] // 2

    @property
    def peak(self) -> float:
        """A bound on the modulus of colours in [0, 1], not always met: the scale of a release."""
        one = sum(float(k.clamp_min(0).double().sum()) for k in self.kernels())
        return one * math.sqrt(3.0 if self.per_channel else 1.0)

    def channels(self, images: Tensor) -> Tensor:
        """What the derivative sees of `images` (..., H, W, 3): (B, C, H, W), C = 3 or 1 (luma)."""
        x = images.reshape(-1, *images.shape[-3:]).movedim(-1, 1)
        if not self.per_channel:
            x = (x * x.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
        return x

    def modulus(self, images: Tensor, *, valid: bool = False) -> Tensor:
        """Eq. 6, differentiable, without noise and quantisation.

        Args:
            images: (..., H, W, 3) colours.
            valid: no padding.

        Returns:
            (..., H, W), or (..., H - 2 reach, W - 2 reach) where `valid`; colour per pixel.
        """
        batch, r = images.shape[:-3], self.reach
        x = self.channels(images)
        if min(x.shape[-2:]) <= 2 * r:
            raise PrivheadError(
                f"pictures of {x.shape[-1]} x {x.shape[-2]} pixels are too small for a kernel "
                f"of {2 * r + 1}",
                where="operator",
                remedy="Use larger pictures, or a smaller kernel_size or blur.",
            )
        if not valid:
            x = F.pad(x, (r, r, r, r), mode=BORDERS[self.border])
        out = gradient_modulus(x, *self.kernels())
        return out.reshape(*batch, *out.shape[-2:])

    def degrade(self, modulus: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Add the noise, cut to [0, peak], round to the levels; same shape."""
        if self.noise > 0:
            drawn = torch.randn(modulus.shape, generator=generator, dtype=modulus.dtype)
            modulus = modulus + self.noise * drawn.to(modulus.device)
        modulus = modulus.clamp(0, self.peak)
        if self.levels:
            step = self.peak / (self.levels - 1)
            modulus = (modulus / step).round() * step
        return modulus

    def protect(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What is released of `images` (..., H, W, 3): modulus, noise, quantisation."""
        return self.degrade(self.modulus(images), generator)

    def to_dict(self) -> dict[str, Any]:
        """Settings, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Operator:
        """The operator of `to_dict`; PrivheadError for unknown or wrong settings."""
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise PrivheadError(f"unknown settings {sorted(unknown)}", where="operator")
        return cls(**data)


@lru_cache(maxsize=64)
def _kernels(kind: str, size: int, sigma: float, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """(k, k) float64 pair, blur folded in."""
    kx, ky = _derivative_pair(kind, size, sigma)
    if blur > 0:
        g = _gaussian(2 * math.ceil(3 * blur) + 1, blur)
        kx, ky = (convolve2d(k, np.outer(g, g)) for k in (kx, ky))
    return kx, ky


def _derivative_pair(kind: str, size: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """kx, ky of one kind, gain 1 on a ramp."""
    if kind == "roberts":
        # Differences along the two diagonals, which are sqrt(2) long.
        down = np.array([[0, 0, 0], [0, -1, 0], [0, 0, 1]]) / math.sqrt(2)
        up = np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) / math.sqrt(2)
        return down, up
    if kind == "dog":
        inner, outer = _gaussian(size, sigma), _gaussian(size, _DOG_RATIO * sigma)
        dog = np.outer(inner, inner) - np.outer(outer, outer)
        return dog, np.zeros_like(dog)
    ramp = np.arange(size) - size // 2
    if kind == "sobel":
        across = binom(size - 1, np.arange(size))
        along = np.convolve(binom(size - 3, np.arange(size - 2)), [-1.0, 0.0, 1.0])
    elif kind == "gaussian":
        across = _gaussian(size, sigma)
        along = ramp * across
    else:
        across = np.array({"scharr": [3, 10, 3], "prewitt": [1, 1, 1], "central": [0, 1, 0]}[kind])
        along = np.array([-1.0, 0.0, 1.0])
    kx = np.outer(across / across.sum(), along / (ramp * along).sum())
    return kx, kx.T.copy()


def _gaussian(size: int, sigma: float) -> np.ndarray:
    x = np.arange(size) - size // 2
    g = np.exp(-(x**2) / (2 * sigma**2))
    return g / g.sum()


def _sizes(kind: str) -> tuple[int, ...]:
    if kind == "sobel":
        return (3, 5, 7)
    if kind in ("gaussian", "dog"):
        return tuple(range(3, _MAX_KERNEL + 1, 2))
    return (3,)


def _own_size(kind: str, sigma: float) -> int:
    """Three sigmas on each side for Gaussians, 3 for all else."""
    widest = {"gaussian": sigma, "dog": _DOG_RATIO * sigma}.get(kind)
    return 3 if widest is None else min(2 * math.ceil(3 * widest) + 1, _MAX_KERNEL)


def _number(
    field: str, value: float, *, least: float = -math.inf, above: float = -math.inf, most: float
) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not (least <= value <= most and value > above):
        low = f"above {above:g}" if above > -math.inf else f"at least {least:g}"
        raise _wrong(field, value, f"a number {low} and at most {most:g}")


def _wrong(field: str, value: object, expected: str) -> PrivheadError:
    return PrivheadError(
        f"{field} is {value!r}", where="operator", remedy=f"It must be {expected}."
    )
