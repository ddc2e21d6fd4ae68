"""Checks of lesson 4: the gradient loss, its border, its free directions, its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.kernels.gradient_loss import (
    gradient_loss_reference,
    gradient_modulus_reference,
)
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.checks import Function, check
from privhead_nb.teach.lesson04.landscape import moduli, planes

NOTICED = 1e-3  # a mean modulus that changes by more than this share has changed


def derivatives(picture: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
    """Of a picture (C, H, W) along x and y, without padding: (2, C, h, w)."""
    return F.conv2d(picture[:, None], torch.stack([kx, ky])[:, None]).movedim(1, 0)


def ex0401(yours: Function) -> None:
    """Eq. 5 of two pictures: (rendered, photo, kx, ky) -> scalar."""

    def spec(rendered: Tensor, photo: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        target = gradient_modulus_reference(planes(photo), kx, ky)
        return gradient_loss_reference(planes(rendered), target, kx, ky)

    def slip(
        modulus: Function = lambda g: g.norm(dim=1).sum(0), distance: Function = torch.abs
    ) -> Function:
        """Another modulus of derivatives (2, C, h, w), or another distance of two moduli."""

        def answer(rendered: Tensor, photo: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
            a, b = (modulus(derivatives(p.movedim(-1, 0), kx, ky)) for p in (rendered, photo))
            return torch.as_tensor(distance(a - b).mean())

        return answer

    noise = torch.rand(2, 7, 9, 3, generator=torch.Generator().manual_seed(41))
    sobel, wide = Operator("sobel").kernels(), Operator("sobel", blur=0.5).kernels()
    ramp = (torch.arange(6.0) / 6)[None, :, None].expand(5, 6, 3)
    check(
        "ex0401",
        yours,
        spec,
        {
            "a ramp against an even picture": (ramp, torch.full_like(ramp, 0.5), *sobel),
            "a picture against its negative": (noise[0], 1 - noise[0], *sobel),
            "noise against noise": (noise[0], noise[1], *sobel),
            "a wider kernel": (noise[1], noise[0], *wide),
        },
        hint="take lengths over the channels first (one for x, one for y), add them, and only "
        "then compare the two pictures",
        slips={
            "you compare the derivatives; a release has only their lengths": slip(
                lambda g: g, lambda difference: difference.norm(dim=1).sum(0)
            ),
            "eq. 6 adds two lengths; it does not take one root of both": slip(
                lambda g: g.square().sum((0, 1)).sqrt()
            ),
            "a length is the root of the sum of squares over the channels": slip(
                lambda g: g.abs().sum((0, 1))
            ),
            "the difference must be taken absolutely before the mean": slip(
                distance=lambda difference: difference
            ),
            "eq. 5 takes absolute differences, not squares": slip(distance=torch.square),
        },
        rtol=1e-4,
    )


def ex0402(yours: Function) -> None:
    """What the border costs: (patch, kernel, rays) -> patches, compared pixels, border share."""

    def of_inner(side: Callable[[int, int], int]) -> Function:
        """The answer where `side` x `side` pixels of a patch are compared."""

        def answer(patch: int, kernel: int, rays: int) -> tuple[float, ...]:
            patches, inner = rays // patch**2, side(patch, kernel) ** 2
            return patches, patches * inner, 1 - inner / patch**2

        return answer

    spec = of_inner(lambda patch, kernel: patch - kernel + 1)
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
            "the kernel reaches out on both sides of a pixel": of_inner(
                lambda patch, kernel: patch - kernel // 2
            ),
            "the outermost pixels of a patch have no neighbours to be compared by": of_inner(
                lambda patch, _: patch
            ),
            "this is the share that is compared; asked is the rest": lambda *given: (
                *spec(*given)[:2], 1 - spec(*given)[2],
            ),
        },
    )  # fmt: skip


def ex0403(yours: Function) -> None:
    """Free maps: (A, b) -> None if c -> A c + b keeps every modulus, else a picture as proof."""

    def rule(free: Callable[[Tensor, Tensor], Any]) -> Function:
        """Which maps are free, as `_proves` wants to have it."""
        return lambda A, b: (A, b, bool(free(A, b)))

    def turns(A: Tensor) -> bool:
        return torch.allclose(A.T @ A, one, atol=1e-4)

    one, none = torch.eye(3), torch.zeros(3)
    about = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    luma = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    check(
        "ex0403",
        yours,
        rule(lambda A, _: turns(A)),
        {
            "an offset": (one, torch.tensor([0.1, -0.1, 0.2])),
            "the negative": (-one, torch.ones(3)),
            "red and blue swapped": (one.flip(1), none),
            "half the contrast": (0.5 * one, none),
            "a turn of colours about grey": (torch.matrix_exp(0.8 * about), 0.1 * torch.ones(3)),
            "a shear with determinant 1": (
                torch.tensor([[1.0, 0.4, 0], [0, 1, 0], [0, 0, 1]]), none,
            ),
            "a turn with a wrong sign": (
                torch.tensor([[0.8, 0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]), none,
            ),
            "green alone turned over": (torch.diag(torch.tensor([1.0, -1, 1])), none),
            "black and white": (luma, none),
            "blue 2 % stronger": (torch.diag(torch.tensor([1.0, 1, 1.02])), none),
            "red squeezed and blue stretched": (torch.diag(torch.tensor([0.5, 1, 2])), none),
        },
        hint="A keeps all lengths if, and only if, A^T A = 1; if it does not, some direction of "
        "colour is stretched or squeezed: let colours change along that one",
        slips={
            "a determinant of 1 keeps volumes, not lengths": rule(
                lambda A, _: abs(abs(A.det()) - 1) < 1e-4
            ),
            "columns of length 1 are not enough, they must be at right angles, too": rule(
                lambda A, _: torch.allclose(A.norm(dim=0), torch.ones(3), atol=1e-4)
            ),
            "rotations and swaps of colour keep lengths, too": rule(
                lambda A, _: torch.allclose(A.abs(), one, atol=1e-4)
            ),
            "an offset is gone after any derivative": rule(lambda A, b: turns(A) and not b.any()),
        },
        same=_proves,
    )  # fmt: skip


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
    before, after = (moduli(planes(p)).mean() for p in (picture, picture @ A.T + b))
    change = float((after - before).abs() / before.clamp_min(1e-6))
    if free:
        return ["yours is a picture, but this map keeps the modulus of every picture"]
    if change < NOTICED:
        return [f"the mean modulus of your picture changes by {change:.4%}: it proves nothing"]
    return None


def ex0404(yours: Function) -> None:
    """The best contrast: (own, target) -> a >= 0 that makes mean |a own - target| smallest."""

    def best(own: Tensor, target: Tensor) -> float:
        """The median of target / own, weighted by own: sum_i own_i |a - target_i / own_i|."""
        own, target = own[own > 0], target[own > 0]
        ratio, order = (target / own).sort()
        heard = own[order].double().cumsum(0)
        return float(ratio[int((heard < 0.5 * heard[-1]).sum())])

    def with_loss(function: Function, own: Tensor, target: Tensor) -> tuple[float, float]:
        """A contrast and its loss, which is what is compared: several may be equally good."""
        contrast = float(function(own, target))
        return contrast, float((contrast * own - target).abs().mean())

    def as_low(got: tuple[float, float], wanted: tuple[float, float]) -> list[str] | None:
        if got[0] >= 0 and abs(got[1] - wanted[1]) <= 1e-5:
            return None
        return [
            f"yours is {got[0]:.4g} with a loss of {got[1]:.5g}",
            f"a contrast of {wanted[0]:.4g} has {wanted[1]:.5g}",
        ]

    def valued(function: Function) -> Function:
        return lambda own, target: with_loss(function, own, target)

    noise = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(4))
    line = torch.zeros(5, 8)
    line[:, 2] = 1.0
    thin = torch.tensor([[0.1, 0.1, 0.1, 0.1, 0.1, 2.0]])
    check(
        "ex0404",
        yours,
        valued(best),
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
            "this makes squares smallest; eq. 5 takes absolute differences": valued(
                lambda own, target: (own * target).sum() / own.square().sum()
            ),
            "this is the plain median; a ratio counts as much as own is there": valued(
                lambda own, target: (target[own > 0] / own[own > 0]).median()
            ),
        },
        call=with_loss,
        same=as_low,
    )


def ex0405(yours: Function) -> None:
    """d loss / d picture by hand: (picture, target, kx, ky) -> (C, H, W)."""

    def spec(picture: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        wanted = picture.clone().requires_grad_()
        loss = gradient_loss_reference(wanted[None], target[None], kx, ky)
        return torch.autograd.grad(loss, wanted)[0]

    def not_flipped(picture: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        both, reach = derivatives(picture, kx, ky), kx.shape[-1] - 1
        lengths = both.norm(dim=1, keepdim=True)
        unit = both / lengths.clamp_min(1e-30) * (lengths.sum(0)[0] - target).sign()
        around = F.pad(unit, [reach] * 4).movedim(0, 1)
        gathered = F.conv2d(around, torch.stack([kx, ky])[None])[:, 0]
        return gathered / target.numel()

    def no_sign(picture: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        return spec(picture, torch.full_like(target, -1.0), kx, ky)

    def inner_only(picture: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        reach = kx.shape[-1] // 2
        inside = spec(picture, target, kx, ky)[:, reach:-reach, reach:-reach]
        return F.pad(inside, [reach] * 4)

    check(
        "ex0405",
        yours,
        spec,
        _pictures_and_targets(),
        hint="make s g / |g| for each output and direction, 0 where |g| is 0; put k - 1 zeros "
        "around it, and correlate with the flipped kernel",
        slips={
            "what comes back goes through the kernel turned by 180 degrees": not_flipped,
            "the loss is a mean: divide by the number of outputs": lambda *given: (
                given[1].numel() * spec(*given)
            ),
            "you left out the sign of the difference": no_sign,
            "pixels at the border are seen by outputs, too; pad with zeros before gathering": (
                inner_only
            ),
        },
        rtol=1e-4,
    )


def _pictures_and_targets() -> dict[str, tuple[Tensor, ...]]:
    """Pictures (C, H, W), target moduli and kernels, by what is special about them."""
    random = torch.Generator().manual_seed(45)
    sobel, roberts = Operator("sobel").kernels(), Operator("roberts").kernels()
    odd = (torch.randn(5, 5, generator=random), torch.randn(5, 5, generator=random))
    noise = torch.rand(3, 8, 9, generator=random)
    grey = torch.rand(1, 7, 6, generator=random)
    half_flat = noise.clone()
    half_flat[:, :, :5] = 0.5

    def target(height: int, width: int) -> Tensor:
        return 0.3 * torch.rand(height, width, generator=random)

    exact = gradient_modulus_reference(noise[None], *sobel)[0]
    return {
        "noise, Sobel": (noise, target(6, 7), *sobel),
        "one channel": (grey, target(5, 4), *sobel),
        "a picture that is even on its left": (half_flat, target(6, 7) + 0.1, *sobel),
        "a picture that is even everywhere": (torch.full((3, 6, 6), 0.5), target(4, 4), *sobel),
        "a rendering that is exactly right": (noise, exact, *sobel),
        "Roberts' crosses": (noise, target(6, 7), *roberts),
        "kernels without any symmetry": (noise, target(4, 5), *odd),
    }
