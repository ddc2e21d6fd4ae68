"""Step I: the codes of a given picture, by descent from the coarse ones (eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from privhead_nb.deid.ideudemon.codes import CoarseRegressor, Codes
from privhead_nb.deid.ideudemon.nerf import ParametricNerf


@dataclass(frozen=True)
class Fitting:
    """How codes are fitted."""

    steps: int = 8  # of Adam
    rate: float = 0.03
    # weight of |offset|^2, a mean over the code, beside the mean squared error of the picture.
    near: float = 0.02


def fitted(
    pictures: Tensor,
    regressor: CoarseRegressor,
    nerf: ParametricNerf,
    fitting: Fitting | None = None,
) -> Codes:
    """Codes (eq. 2) of pictures (N, 64, 64, 3): offsets to the coarse ones, found by Adam.

    The networks must be frozen. The picture's error is its mean square, faces apart, so that each
    is fitted as if it were alone.
    """
    how = fitting or Fitting()
    with torch.no_grad():
        coarse = regressor(pictures).flat()
    offset = torch.zeros_like(coarse, requires_grad=True)
    adam = torch.optim.Adam([offset], lr=how.rate)
    with torch.enable_grad():
        for _ in range(how.steps):
            shown, _ = nerf(bounded(coarse + offset))
            off = (shown - pictures).square().mean((1, 2, 3)).sum()
            loss = off + how.near * offset.square().mean(1).sum()
            (offset.grad,) = torch.autograd.grad(loss, [offset])
            adam.step()
    return bounded(coarse + offset.detach())


def bounded(flat: Tensor) -> Codes:
    """Codes of numbers side by side, identity and albedo cut to [-1, 1]."""
    codes = Codes.split(flat)
    return replace(codes, identity=codes.identity.clamp(-1, 1), albedo=codes.albedo.clamp(-1, 1))
