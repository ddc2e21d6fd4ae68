"""Checks of lesson 4: the loss, its border, free directions, fading, descent, the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from privhead_nb.kernels.gradient_loss import gradient_loss_reference, gradient_modulus_reference
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.checks import Function, Slip, check, numbers_differ
from privhead_nb.teach.lesson04.landscape import moduli
from privhead_nb.teach.lesson11.traffic import size, traffic

NOTICED = 1e-3  # a mean modulus that changes by more than this share has changed
PASSES = 100  # over all numbers: one sort takes a dozen, a search hundreds


def derivatives(patches: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
    """Of patches (P, H, W, C) along x and y, without padding: (P, C, 2, h, w)."""
    planes = patches.movedim(-1, 1)
    both = F.conv2d(planes.flatten(0, 1)[:, None], torch.stack([kx, ky])[:, None])
    return both.unflatten(0, planes.shape[:2])


def lengths(g: Tensor, tiny: float = 1e-12) -> Tensor:
    """Over the colours, of derivatives (P, C, 2, h, w): (P, 2, h, w)."""
    return (g.square().sum(1) + tiny).sqrt()


def ex0401(yours: Function) -> None:
    """Eq. 5: (patches (P, k, k, 3), moduli (P, k - 2, k - 2)) -> scalar, and its slope."""
    sobel = Operator("sobel").kernels()

    def spec(patches: Tensor, moduli: Tensor) -> Tensor:
        return gradient_loss_reference(patches.movedim(-1, 1), moduli, *sobel)

    def with_gradient(function: Function, patches: Tensor, moduli: Tensor) -> tuple[Tensor, Tensor]:
        given = patches.clone().requires_grad_()
        loss = function(given, moduli)
        return loss, torch.autograd.grad(loss, given)[0]

    def slip(
        modulus: Function = lambda g: lengths(g).sum(1), distance: Function = torch.abs
    ) -> Function:
        """Another modulus of derivatives (P, C, 2, h, w), or another distance of two moduli."""
        return lambda p, m: distance(modulus(derivatives(p, *sobel)) - m).mean()

    random = torch.Generator().manual_seed(41)
    noise, wanted = torch.rand(4, 8, 8, 3, generator=random), torch.rand(4, 6, 6, generator=random)
    half_flat = noise.clone()
    half_flat[:, :, :5] = 0.5
    across, colours = torch.arange(6.0), torch.tensor([1.0, 0.7, -0.4])
    hill = ((across**2 + 0.5 * across[:, None] ** 2)[..., None] / 40 * colours).expand(3, 6, 6, 3)
    hill = hill * torch.tensor([1.0, 0.5, 0.2])[:, None, None, None]
    cases = {
        "three hills, and a target without lines": (hill, torch.zeros(3, 4, 4)),
        "noise": (noise, 0.5 * wanted),
        "patches that are even on their left": (half_flat, 0.3 * wanted + 0.1),
        "an even patch": (torch.full((2, 5, 5, 3), 0.5), wanted[:2, :3, :3] + 0.1),
    }
    slips: dict[str, Slip] = {
        "eq. 6 adds two lengths; it does not take one root of both": slip(
            lambda g: (g.square().sum((1, 2)) + 1e-12).sqrt()
        ),
        "colours are not averaged before the length is taken": slip(
            lambda g: g.mean(1).abs().sum(1)
        ),
        "Sobel's weights are divided by 8": slip(lambda g: lengths(8 * g).sum(1)),
        "eq. 5 takes absolute differences, not squares": slip(distance=torch.square),
        "the root has no slope at 0; put a tiny number, 1e-12, under it": slip(
            lambda g: lengths(g, 0.0).sum(1)
        ),
    }
    check("ex0401", yours, spec, cases, slips=slips, call=with_gradient, rtol=1e-4, atol=1e-5)


def ex0402(yours: Function) -> None:
    """What the border costs: (patch, kernel, rays) -> patches, compared pixels, border share."""
    cases = {
        "the package's patches": (10, 3, 1000),
        "a pixel and its neighbours": (3, 3, 1000),
        "a budget that leaves rays over": (7, 3, 120),
        "a wider kernel": (12, 7, 4096),
        "a budget too small for one patch": (32, 5, 1000),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "the kernel reaches out on both sides of a pixel": ("kernel + 1", "kernel // 2"),
        "this takes the whole kernel away; a side that fits once leaves one place":
            ("kernel + 1", "kernel"),
        "only whole patches can be rendered": ("rays //", "rays /"),
        "this is the share that is compared; asked is the rest": ("1 - side**2", "side**2"),
    }  # fmt: skip
    check("ex0402", yours, _patch_count, cases, slips=slips)


def _patch_count(patch: int, kernel: int, rays: int) -> tuple[float, ...]:
    side, patches = patch - kernel + 1, rays // patch**2
    return patches, patches * side**2, 1 - side**2 / patch**2


def ex0403(yours: Function) -> None:
    """Free maps: (A, b) -> None if c -> A c + b keeps every modulus, else a picture as proof."""

    def rule(free: Callable[[Tensor, Tensor], Any]) -> Function:
        """Which maps are free, as `_proves` wants to have it."""
        return lambda A, b: (A, b, bool(free(A, b)))

    def turns(A: Tensor, _: Tensor) -> bool:
        return torch.allclose(A.T @ A, one, atol=1e-4)

    def ask(A: Tensor, b: Tensor) -> Any:
        """The answer; from a picture, also the map that it can't tell from a free one."""
        found = yours(A.clone(), b.clone())
        if A is not unseen and isinstance(found, Tensor | np.ndarray):
            picture = torch.as_tensor(found).float()
            if _shape_fits(picture) and picture.isfinite().all():
                unseen.copy_(_unseen_by(picture))
        return found

    unseen = torch.diag(torch.tensor([1.0, 1, 0.5]))
    one, none = torch.eye(3), torch.zeros(3)
    about = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    luma = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    slight = torch.diag(torch.tensor([0.997, 1, 1.003]))  # which a picture of all colours hides
    aside = torch.matrix_exp(0.7 * torch.tensor([[0.0, 1, 2], [-1, 0, -1], [-2, 1, 0]]))
    shear = torch.tensor([[1.0, 0.4, 0], [0, 1, 0], [0, 0, 1]])
    wrong_sign = torch.tensor([[0.8, 0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    cases = {
        "an offset": (one, torch.tensor([0.1, -0.1, 0.2])),
        "the negative": (-one, torch.ones(3)),
        "red and blue swapped": (one.flip(1), none),
        "half the contrast": (0.5 * one, none),
        "a turn of colours about grey": (torch.matrix_exp(0.8 * about), 0.1 * torch.ones(3)),
        "a shear with determinant 1": (shear, none),
        "a turn with a wrong sign": (wrong_sign, none),
        "green alone turned over": (torch.diag(torch.tensor([1.0, -1, 1])), none),
        "black and white": (luma, none),
        "blue 2 % stronger": (torch.diag(torch.tensor([1.0, 1, 1.02])), none),
        "red squeezed and blue stretched": (torch.diag(torch.tensor([0.5, 1, 2])), none),
        "0.3 % less red and more blue": (slight, none),
        "0.3 % less of one colour and more of another": (aside @ slight @ aside.T, none),
        "a map that your last picture does not show": (unseen, none),
    }
    slips: dict[str, Slip] = {
        "a determinant of 1 keeps volumes, not lengths": rule(
            lambda A, _: abs(abs(A.det()) - 1) < 1e-4
        ),
        "columns of length 1 are not enough, they must be at right angles, too": rule(
            lambda A, _: torch.allclose(A.norm(dim=0), torch.ones(3), atol=1e-4)
        ),
        "rotations and swaps of colour keep lengths, too": rule(
            lambda A, _: torch.allclose(A.abs(), one, atol=1e-4)
        ),
        "an offset is gone after any derivative": rule(lambda A, b: turns(A, b) and not b.any()),
    }
    check("ex0403", ask, rule(turns), cases, slips=slips, same=_proves)


def _proves(got: Any, wanted: tuple[Tensor, Tensor, bool]) -> list[str] | None:
    """What is wrong with an answer to ex0403; a slip's answer has the specification's form."""
    A, b, free = wanted
    if isinstance(got, tuple) and len(got) == 3 and isinstance(got[2], bool):
        return None if got[2] == free else ["the other way round"]
    if got is None:
        if not free:
            return ["slip: yours is None, but this map changes the modulus of some pictures"]
        return None
    try:
        picture = torch.as_tensor(got, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        return [f"slip: yours is {got!r}, neither None nor a picture"]
    if not _shape_fits(picture):
        return [f"yours has the shape {tuple(picture.shape)}, not (H, W, 3) with H, W >= 3"]
    if not bool(((picture > -1e-5) & (picture < 1 + 1e-5)).all()):  # NaN fails, too
        return ["slip: the colours of your picture are not all in [0, 1]"]
    before, after = (moduli(p[None]).mean() for p in (picture, picture @ A.T + b))
    change = float((after - before).abs() / before.clamp_min(1e-6))
    if free:
        return ["slip: yours is a picture, but this map keeps the modulus of every picture"]
    if change < NOTICED:
        stretched = "its colours change along no stretched line; take the direction from A"
        words = "it has no lines" if before < 1e-5 else stretched
        return [f"slip: it proves nothing: its mean modulus changes by {change:.4%}; {words}"]
    return None


def _shape_fits(picture: Tensor) -> bool:
    return picture.ndim == 3 and picture.shape[-1] == 3 and min(picture.shape[:2]) >= 3


def _unseen_by(picture: Tensor) -> Tensor:
    """A (3, 3) that is no turn, and yet keeps the mean modulus of this picture (H, W, 3).

    It squeezes the colour direction that the picture has least of, and stretches the one that it
    has most of until both balance.
    """
    flat = picture.flatten(0, 1)
    axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=True)[2]
    before, low, high = moduli(picture[None]).mean(), 1.0, 2.0

    def made(stretch: float) -> Tensor:
        return axes.T @ torch.diag(torch.tensor([stretch, 1.0, 0.7])) @ axes

    for _ in range(30):
        middle = (low + high) / 2
        more = moduli((picture @ made(middle).T)[None]).mean() > before
        low, high = (low, middle) if more else (middle, high)
    return made(low)


def ex0404(yours: Function) -> None:
    """The best contrast: (own, target) -> a >= 0 that makes mean |a own - target| smallest."""

    def best(own: Tensor, target: Tensor) -> float:
        """The median of target / own, weighted by own: sum_i own_i |a - target_i / own_i|."""
        own, target = own[own > 0], target[own > 0]
        ratio, order = (target / own).sort()
        heard = own[order].double().cumsum(0)
        return float(ratio[int((heard < 0.5 * heard[-1]).sum())])

    def with_loss(function: Function, own: Tensor, target: Tensor) -> tuple[float, float, float]:
        """A contrast, its loss over that of silence's unit, and the passes over the numbers."""
        found: list[float] = []
        moved = traffic(lambda: found.append(float(function(own, target))))
        contrast, passes = found[0], moved.written / size(own)
        own, target, seen = own[own > 0].double(), target[own > 0].double(), own.numel()
        loss = (contrast * own - target).abs().sum() / own.sum()
        return contrast, float(loss), passes if seen > 1000 else 0.0

    def as_low(got: Any, wanted: Any) -> list[str] | None:
        if got[2] > PASSES:
            return [f"slip: this is a search: it went over all numbers {got[2]:.0f} times"]
        off = abs(got[1] - wanted[1]) / max(wanted[0], 1e-3)
        if got[0] >= 0 and off <= 1e-6:
            return None
        near = "; slip: near, but not at it: a search is too coarse for this"
        return [
            f"yours is {got[0]:.6g} with a loss of {got[1]:.7g}",
            f"the best contrast has {wanted[1]:.7g}" + near * (off < 2e-3),
        ]

    random = torch.Generator().manual_seed(4)
    noise, many = torch.rand(2, 9, 9, generator=random), torch.rand(2, 60, 60, generator=random)
    line = torch.zeros(5, 8)
    line[:, 2] = 1.0
    thin = torch.tensor([[0.1, 0.1, 0.1, 0.1, 0.1, 2.0]])
    apart = torch.cat([noise[0], torch.zeros(9, 9)])
    loud = torch.cat([0.123457 * noise[0] + 1e-4 * noise[1], torch.full((9, 9), 1e6)])
    cases = {
        "many lines": (many[0], many[1]),
        "the same lines, 0.4 times as strong": (noise[0], 0.4 * noise[0]),
        "noise against noise": (noise[0], noise[1]),
        "the same lines, 37 times as strong": (noise[0], 37.037 * noise[0]),
        "a line one pixel off": (line, line.roll(1, 1)),
        "a strong line that fits, weak ones that don't": (
            thin,
            torch.tensor([[0.0, 0, 0, 0, 0, 1.4]]),
        ),
        "a target with lines where own has none": (line, line + 0.5 * line.roll(3, 1)),
        "very strong lines where own has none": (apart, loud),
    }
    slips: dict[str, Slip] = {
        "this makes squares smallest; eq. 5 takes absolute differences": lambda own, target: (
            (own * target).sum() / own.square().sum()
        ),
        "this is the plain median; a ratio counts as much as own is there": (
            lambda own, target: (target[own > 0] / own[own > 0]).median()
        ),
        "this compares sums; eq. 5 compares place by place": (
            lambda own, target: target.sum() / own.sum()
        ),
        "a contrast may be larger than 1": lambda own, target: min(best(own, target), 1.0),
    }
    check("ex0404", yours, best, cases, slips=slips, call=with_loss, same=as_low)


class _Line(nn.Module):
    """A head with six parameters that is asked by two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.3, -0.2, 0.5]))
        self.bias = nn.Parameter(torch.tensor([0.1, 0.0, -0.1]))

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        return torch.tanh(origins * self.weight + directions * self.bias)


def ex0405(yours: Function) -> None:
    """Descent: (head, loss, batches, rate) -> losses; the head's parameters are changed."""

    def run(function: Function, loss: Function, steps: int, rate: float) -> tuple[Any, ...]:
        """Losses, and the parameters after them."""
        random = torch.Generator().manual_seed(steps)
        drawn = torch.rand(steps, 3, 4, 3, generator=random)
        batches = (((a - 0.5, b), 0.5 * c) for a, b, c in drawn)
        head = _Line()
        losses = function(head, loss, batches, rate)
        if any(isinstance(one, Tensor) and one.requires_grad for one in losses):
            return "kept", losses
        return torch.as_tensor(losses), torch.cat([p.detach() for p in head.parameters()])

    def alike(got: Any, wanted: Any) -> list[str] | None:
        if isinstance(got[0], str):
            return ["slip: a loss that stays a tensor keeps its whole graph: store numbers"]
        if isinstance(wanted[0], str) or got[0].shape != wanted[0].shape:
            return [f"slip: {len(got[0])} losses, not one for each of {len(wanted[0])} batches"]
        return numbers_differ(got, wanted, 1e-4, 1e-6)

    cases = {
        "one batch": (F.l1_loss, 1, 0.05),
        "twelve batches": (F.l1_loss, 12, 0.05),
        "another loss, another rate": (F.mse_loss, 12, 0.01),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "slopes pile up over the batches: clear them before each .backward()":
            ("adam.zero_grad()", "pass"),
        "this is plain gradient descent (SGD), not Adam": ("optim.Adam", "optim.SGD"),
        "nothing has moved: the optimiser must step, with slopes that are still there":
            ("adam.step()", "pass"),
        "the rate is not used": ("lr=rate", "lr=1e-3"),
    }  # fmt: skip
    check("ex0405", yours, _descend, cases, slips=slips, call=run, same=alike)


def _descend(head: nn.Module, loss: Function, batches: Iterable[Any], rate: float) -> list[float]:
    adam, losses = torch.optim.Adam(head.parameters(), lr=rate), []
    for rays, wanted in batches:
        value = loss(head(*rays), wanted)
        adam.zero_grad()
        value.backward()
        adam.step()
        losses.append(value.item())
    return losses


def ex0406(yours: Function) -> None:
    """d loss / d patches by hand: (patches (P, H, W, C), moduli, kx, ky) -> like the patches."""

    def spec(patches: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        wanted = patches.clone().requires_grad_()
        loss = gradient_loss_reference(wanted.movedim(-1, 1), target, kx, ky)
        return torch.autograd.grad(loss, wanted)[0]

    def not_flipped(patches: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        both, reach = derivatives(patches, kx, ky), kx.shape[-1] - 1
        size = both.norm(dim=1, keepdim=True)
        sign = (size.sum((1, 2)) - target).sign()[:, None, None] / target.numel()
        around = F.pad(both / size.clamp_min(1e-30) * sign, [reach] * 4).flatten(0, 1)
        gathered = F.conv2d(around, torch.stack([kx, ky])[None])
        return gathered.reshape(patches.movedim(-1, 1).shape).movedim(1, -1)

    def no_sign(patches: Tensor, target: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        return spec(patches, torch.full_like(target, -1.0), kx, ky)

    slips: dict[str, Slip] = {
        "what comes back goes through the kernel turned by 180 degrees": not_flipped,
        "the loss is a mean: divide by the number of outputs": lambda *given: (
            given[1].numel() * spec(*given)
        ),
        "you left out the sign of the difference": no_sign,
        "this is the gradient upside down: the sign is that of yours less the target": (
            lambda *given: -spec(*given)
        ),
    }
    check("ex0406", partial(_by_hand, yours), spec, _patches_and_targets(), slips=slips, rtol=1e-4)


def _by_hand(function: Function, *given: Tensor) -> Any:
    """The answer, if autograd has no part in it."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("write it without autograd: from the chain rule")

    ways = ("autograd.grad", "autograd.backward", "Tensor.backward", "func.grad", "func.vjp")
    with ExitStack() as stack:
        for way in ways:
            stack.enter_context(mock.patch(f"torch.{way}", refuse))
        return function(*given)


def _patches_and_targets() -> dict[str, tuple[Tensor, ...]]:
    """Patches (P, H, W, C), target moduli and kernels, by what is special about them."""
    random = torch.Generator().manual_seed(45)
    sobel, roberts = Operator("sobel").kernels(), Operator("roberts").kernels()
    odd = (torch.randn(5, 5, generator=random), torch.randn(5, 5, generator=random))
    noise = torch.rand(2, 8, 9, 3, generator=random)
    grey = torch.rand(1, 7, 6, 1, generator=random)
    half_flat = noise.clone()
    half_flat[:, :, :5] = 0.5

    def target(height: int, width: int, count: int = 2) -> Tensor:
        return 0.3 * torch.rand(count, height, width, generator=random)

    sixteenths = (16 * noise).round() / 16  # whose sums have no rounding errors
    exact = gradient_modulus_reference(sixteenths.movedim(-1, 1), *sobel)
    return {
        "kernels without any symmetry": (noise, target(4, 5), *odd),
        "noise, Sobel": (noise, target(6, 7), *sobel),
        "one channel": (grey, target(5, 4, 1), *sobel),
        "patches that are even on their left": (half_flat, target(6, 7) + 0.1, *sobel),
        "a patch that is even everywhere": (torch.full((1, 6, 6, 3), 0.5), target(4, 4, 1), *sobel),
        "a rendering that is exactly right": (sixteenths, exact, *sobel),
        "Roberts' crosses": (noise, target(6, 7), *roberts),
    }
