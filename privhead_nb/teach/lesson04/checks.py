"""Checks of lesson 4: the gradient loss, its border, its free directions, its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.kernels.gradient_loss import (
    gradient_loss_reference,
    gradient_modulus_reference,
)
from privhead_nb.teach.checks import Function, check
from privhead_nb.teach.lesson04 import cases as lesson04_cases
from privhead_nb.teach.lesson04 import landscape

NOTICED = 1e-3  # a mean modulus that changes by more than this share has changed


def ex0401(yours: Function) -> None:
    """Eq. 5 of two pictures: (rendered, photo, kx, ky) -> scalar."""

    def spec(rendered: Tensor, photo: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        target = gradient_modulus_reference(landscape.planes(photo), kx, ky)
        return gradient_loss_reference(landscape.planes(rendered), target, kx, ky)

    def parts(*given: Tensor) -> list[tuple[Tensor, Tensor]]:
        rendered, photo, kx, ky = given
        return [_derivatives(p.movedim(-1, 0), kx, ky) for p in (rendered, photo)]

    def of_derivatives(*given: Tensor) -> Tensor:
        (ax, ay), (bx, by) = parts(*given)
        return ((ax - bx).norm(dim=0) + (ay - by).norm(dim=0)).mean()

    def one_root(*given: Tensor) -> Tensor:
        a, b = ((x.square() + y.square()).sum(0).sqrt() for x, y in parts(*given))
        return (a - b).abs().mean()

    def sums(*given: Tensor) -> Tensor:
        a, b = (x.abs().sum(0) + y.abs().sum(0) for x, y in parts(*given))
        return (a - b).abs().mean()

    def signed(*given: Tensor) -> Tensor:
        a, b = (x.norm(dim=0) + y.norm(dim=0) for x, y in parts(*given))
        return (a - b).mean()

    def squared(*given: Tensor) -> Tensor:
        a, b = (x.norm(dim=0) + y.norm(dim=0) for x, y in parts(*given))
        return (a - b).square().mean()

    check(
        "ex0401",
        yours,
        spec,
        lesson04_cases.pictures(),
        hint="take lengths over the channels first (one for x, one for y), add them, and only "
        "then compare the two pictures",
        slips={
            "you compare the derivatives; a release has only their lengths": of_derivatives,
            "eq. 6 adds two lengths; it does not take one root of both": one_root,
            "a length is the root of the sum of squares over the channels": sums,
            "the difference must be taken absolutely before the mean": signed,
            "eq. 5 takes absolute differences, not squares": squared,
        },
        same=_one_number,
    )


def ex0402(yours: Function) -> None:
    """What the border costs: (patch, kernel, rays) -> patches, compared pixels, border share."""

    def spec(patch: int, kernel: int, rays: int) -> tuple[float, ...]:
        taps = torch.zeros(kernel, kernel)
        inner = gradient_modulus_reference(torch.zeros(1, 1, patch, patch), taps, taps).numel()
        return rays // patch**2, rays // patch**2 * inner, 1 - inner / patch**2

    def one_side(patch: int, kernel: int, rays: int) -> tuple[float, ...]:
        inner = (patch - kernel // 2) ** 2
        return rays // patch**2, rays // patch**2 * inner, 1 - inner / patch**2

    def no_border(patch: int, _kernel: int, rays: int) -> tuple[float, ...]:
        return rays // patch**2, rays // patch**2 * patch**2, 0.0

    def kept(patch: int, kernel: int, rays: int) -> tuple[float, ...]:
        patches, pixels, border = spec(patch, kernel, rays)
        return patches, pixels, 1 - border

    check(
        "ex0402",
        yours,
        spec,
        {
            "the package's patches": (10, 3, 1000),
            "a pixel and its neighbours": (3, 3, 1000),
            "a budget that leaves rays over": (7, 3, 120),
            "a wider kernel": (12, 7, 4096),
            "a budget too small for one patch": (32, 5, 1000),
        },
        hint="a kernel of side k fits at p - k + 1 places along a side of p pixels",
        slips={
            "the kernel reaches out on both sides of a pixel": one_side,
            "the outermost pixels of a patch have no neighbours to be compared by": no_border,
            "this is the share that is compared; asked is the rest": kept,
        },
    )


def ex0403(yours: Function) -> None:
    """Free maps: (A, b) -> None if c -> A c + b keeps every modulus, else a picture as proof."""

    def spec(A: Tensor, b: Tensor) -> tuple[Tensor, Tensor, bool]:
        return A, b, bool(torch.allclose(A.T @ A, torch.eye(3), atol=1e-4))

    def by_determinant(A: Tensor, b: Tensor) -> tuple[Tensor, Tensor, bool]:
        return A, b, bool((A.det().abs() - 1).abs() < 1e-4)

    def by_columns(A: Tensor, b: Tensor) -> tuple[Tensor, Tensor, bool]:
        return A, b, bool(torch.allclose(A.norm(dim=0), torch.ones(3), atol=1e-4))

    def only_offsets(A: Tensor, b: Tensor) -> tuple[Tensor, Tensor, bool]:
        return A, b, bool(torch.allclose(A.abs(), torch.eye(3), atol=1e-4))

    def no_offset(A: Tensor, b: Tensor) -> tuple[Tensor, Tensor, bool]:
        return A, b, spec(A, b)[2] and not bool(b.any())

    check(
        "ex0403",
        yours,
        spec,
        lesson04_cases.maps(),
        hint="A keeps all lengths if, and only if, A^T A = 1; if it does not, some direction of "
        "colour is stretched or squeezed: let colours change along that one",
        slips={
            "a determinant of 1 keeps volumes, not lengths": by_determinant,
            "columns of length 1 are not enough, they must be at right angles, too": by_columns,
            "rotations and swaps of colour keep lengths, too": only_offsets,
            "an offset is gone after any derivative": no_offset,
        },
        same=_proves,
    )


def ex0404(yours: Function) -> None:
    """The best contrast: (own, target) -> a >= 0 that makes mean |a own - target| smallest."""

    def spec(own: Tensor, target: Tensor) -> tuple[Tensor, Tensor, float]:
        return own, target, landscape.best_contrast(own, target)

    def least_squares(own: Tensor, target: Tensor) -> tuple[Tensor, Tensor, float]:
        return own, target, float((own * target).sum() / own.square().sum())

    def unweighted(own: Tensor, target: Tensor) -> tuple[Tensor, Tensor, float]:
        return own, target, float((target[own > 0] / own[own > 0]).median())

    noise = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(4))
    line = torch.zeros(5, 8)
    line[:, 2] = 1.0
    thin = torch.tensor([[0.1, 0.1, 0.1, 0.1, 0.1, 2.0]])
    check(
        "ex0404",
        yours,
        spec,
        {
            "the same lines, 0.4 times as strong": (noise[0], 0.4 * noise[0]),
            "noise against noise": (noise[0], noise[1]),
            "a line one pixel off": (line, line.roll(1, 1)),
            "a strong line that fits, weak ones that don't": (
                thin,
                torch.tensor([[0.0, 0, 0, 0, 0, 1.4]]),
            ),
            "a target with lines where own has none": (line, line + 0.5 * line.roll(3, 1)),
        },
        hint="sort target / own, where own > 0; walk along with a running sum of own, and stop "
        "where it reaches half of the whole",
        slips={
            "this makes squares smallest; eq. 5 takes absolute differences": least_squares,
            "this is the plain median; a ratio counts as much as own is there": unweighted,
        },
        same=_as_low,
    )


def ex0405(yours: Function) -> None:
    """d loss / d picture by hand: (picture, target, kx, ky) -> (C, H, W)."""

    def spec(picture: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        wanted = picture.clone().requires_grad_()
        loss = gradient_loss_reference(wanted[None], target[None], kx, ky)
        return torch.autograd.grad(loss, wanted)[0]

    def gathered(
        picture: Tensor, target: Tensor, kx: Tensor, ky: Tensor, *, flip: bool = True
    ) -> Tensor:
        reach = kx.shape[-1] - 1
        both = _derivatives(picture, kx, ky)
        off = both[0].norm(dim=0) + both[1].norm(dim=0) - target
        found = torch.zeros_like(picture)
        for g, k in zip(both, (kx, ky), strict=True):
            unit = g / g.norm(dim=0).clamp_min(1e-30) * off.sign()
            k = k.flip(0, 1) if flip else k
            found += F.conv2d(F.pad(unit, [reach] * 4)[:, None], k[None, None])[:, 0]
        return found / target.numel()

    def not_flipped(*given: Tensor) -> Tensor:
        return gathered(*given, flip=False)

    def not_a_mean(*given: Tensor) -> Tensor:
        return given[1].numel() * gathered(*given)

    def no_sign(picture: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        return gathered(picture, torch.full_like(target, -1.0), kx, ky)

    def inner_only(*given: Tensor) -> Tensor:
        reach = given[2].shape[-1] // 2
        found = torch.zeros_like(given[0])
        middle = (slice(None), slice(reach, -reach), slice(reach, -reach))
        found[middle] = gathered(*given)[middle]
        return found

    check(
        "ex0405",
        yours,
        spec,
        lesson04_cases.for_gradients(),
        hint="make s g / |g| for each output and direction, 0 where |g| is 0; put k - 1 zeros "
        "around it, and correlate with the flipped kernel",
        slips={
            "what comes back goes through the kernel turned by 180 degrees": not_flipped,
            "the loss is a mean: divide by the number of outputs": not_a_mean,
            "you left out the sign of the difference": no_sign,
            "pixels at the border are seen by outputs, too; pad with zeros before gathering": (
                inner_only
            ),
        },
        rtol=1e-4,
        atol=1e-6,
    )


def _derivatives(planes: Tensor, kx: Tensor, ky: Tensor) -> tuple[Tensor, Tensor]:
    """Of (C, H, W) along x and y, each (C, h, w)."""
    gx, gy = (F.conv2d(planes[:, None], k[None, None])[:, 0] for k in (kx, ky))
    return gx, gy


def _one_number(got: Any, wanted: Tensor) -> list[str] | None:
    """What differs between two scalars."""
    try:
        mine = torch.as_tensor(got, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        return [f"yours is {got!r}, not a number"]
    if mine.ndim:
        return [f"yours has the shape {tuple(mine.shape)}, the specification is one number"]
    if torch.allclose(mine, wanted, rtol=1e-4, atol=1e-6):
        return None
    return [f"yours {float(mine):.6g}, specification {float(wanted):.6g}"]


def _proves(got: Any, wanted: tuple[Tensor, Tensor, bool]) -> list[str] | None:
    """What is wrong with an answer to ex0403; a slip's answer has the specification's form."""
    A, b, free = wanted
    if isinstance(got, tuple) and len(got) == 3 and isinstance(got[2], bool):
        return None if got[2] == free else ["the other way round"]
    if got is None:
        return None if free else ["yours is None, but some pictures change their modulus"]
    try:
        picture = torch.as_tensor(got, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        return [f"yours is {got!r}, neither None nor a picture"]
    if picture.ndim != 3 or picture.shape[-1] != 3 or min(picture.shape[:2]) < 3:
        return [f"yours has the shape {tuple(picture.shape)}, not (H, W, 3) with H, W >= 3"]
    if not bool(((picture > -1e-5) & (picture < 1 + 1e-5)).all()):  # NaN fails, too
        return ["the colours of your picture are not all in [0, 1]"]
    before = landscape.moduli(landscape.planes(picture)).mean()
    after = landscape.moduli(landscape.planes(picture @ A.T + b)).mean()
    change = float((after - before).abs() / before.clamp_min(1e-6))
    if free:
        return ["yours is a picture, but this map keeps the modulus of every picture"]
    if change < NOTICED:
        return [f"the mean modulus of your picture changes by {change:.4%}: it proves nothing"]
    return None


def _as_low(got: Any, wanted: tuple[Tensor, Tensor, float]) -> list[str] | None:
    """What is wrong with a contrast: its loss is not the smallest."""
    own, target, best = wanted
    mine = got[2] if isinstance(got, tuple) and len(got) == 3 else got
    try:
        contrast = float(mine)
    except (TypeError, ValueError):
        return [f"yours is {mine!r}, not a number"]

    def loss(a: float) -> float:
        return float((a * own - target).abs().mean())

    if loss(best) > loss(landscape.best_contrast(own, target)) + 1e-5:  # a slip's
        return None if abs(contrast - best) < 1e-4 else ["another slip"]
    if contrast >= 0 and loss(contrast) <= loss(best) + 1e-5:
        return None
    return [
        f"yours is {contrast:.4g} with a loss of {loss(contrast):.5g}",
        f"a contrast of {best:.4g} has {loss(best):.5g}",
    ]
