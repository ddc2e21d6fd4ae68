"""Analysis by synthesis with what can be learned from pictures: a linear decoder of portraits.

Principal components of other people's portraits (eigenfaces: Turk and Pentland 1991), around a mean
that turns with yaw, make a decoder
    x(z, yaw) = M (1, sin yaw, sin^2 yaw) + B z,   z_k of variance s_k^2.
z and yaw are sought so that the decoded picture, protected, gives the released modulus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.attacks.no_attack import by_pictures
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.fit import fit
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.privacy.operators import Operator

YAW = 30.0  # most degrees to either side of the portraits that a decoder knows


@dataclass(frozen=True, eq=False)
class Decoder:
    """A linear decoder of portraits."""

    # (3, H H 3) M: the mean portrait's part that is constant, and that grows with sin yaw and with
    # its square.
    mean: Tensor
    basis: Tensor  # (K, H H 3) B, orthonormal rows
    spread: Tensor  # (K,) s, standard deviations of z
    size: int  # H, pixels
    people: int  # whom it learned from

    def __call__(self, z: Tensor, sine: Tensor) -> Tensor:
        """(N, H, H, 3) colours of z (N, K), in spreads, and of the sine of yaw (N,)."""
        flat = _turn(sine) @ self.mean + (z * self.spread) @ self.basis
        return flat.reshape(len(z), self.size, self.size, 3)


@dataclass(frozen=True)
class Descent:
    """How z is sought."""

    steps: int = 200  # of Adam
    rate: float = 0.1  # its learning rate, in spreads
    starts: int = 2  # random ones for each modulus
    prior: float = 0.004  # weight of |z|^2 / K beside the relative misfit
    seed: int = 0  # of the starts


DESCENT = Descent()


def learn(others: FaceDataset, *, components: int = 400, seed: int = 0) -> Decoder:
    """A decoder of portraits within YAW degrees of the front; mirrored ones count too.

    Raises:
        LabError: fewer such portraits than it takes.
    """
    near = others.only((others.yaw.abs() <= YAW) & (others.role < 2))
    if len(near) < 8:
        raise LabError(
            f"{len(near)} portraits within {YAW:g} degrees of the front",
            where="decoder",
            remedy="Give portraits of more people.",
        )
    rgb = near.rgb()
    sine = torch.sin(torch.deg2rad(torch.cat([near.yaw, -near.yaw]).float()))
    x = torch.cat([rgb, rgb.flip(2)]).flatten(1)
    turn = _turn(sine)
    mean = torch.linalg.solve(turn.T @ turn + 1e-6 * torch.eye(3), turn.T @ x)
    torch.manual_seed(seed)
    rank = min(components, len(x) - 3)
    _, size, v = torch.svd_lowrank(x - turn @ mean, q=min(rank + 8, *x.shape), niter=3)
    spread = size[:rank] / len(x) ** 0.5
    people = len(torch.unique(near.identity))
    return Decoder(mean, v[:, :rank].T.contiguous(), spread, rgb.shape[1], people)


def decode(
    decoder: Decoder,
    operator: Operator,
    targets: Tensor,
    how: Descent = DESCENT,
    *,
    colours: bool = False,
) -> tuple[Tensor, Tensor]:
    """The decoder's best picture for each of N moduli `targets` (N, H, H).

    With `colours` they are (N, H, H, 3) colours instead: the positive control.

    Returns:
        Pictures (N, H, H, 3) in [0, 1], and their misfit (N,): root mean square of m(picture) -
        modulus, over that of the modulus.

    Raises:
        LabError: targets of another size.
    """
    H = decoder.size
    if targets.shape[1:] != ((H, H, 3) if colours else (H, H)):
        raise LabError(
            f"targets of shape {tuple(targets.shape)}",
            where="decoder",
            remedy=f"This decoder makes {H} x {H} pixels: give (N, {H}, {H}) moduli.",
        )
    random = torch.Generator().manual_seed(how.seed)
    count, K, S = len(targets), len(decoder.spread), how.starts
    limit = float(torch.sin(torch.deg2rad(torch.tensor(YAW))))
    z = 0.3 * torch.randn(count * S, K, generator=random)
    turn = limit * torch.linspace(-0.7, 0.7, S).repeat(count) if S > 1 else torch.zeros(count)
    z.requires_grad_()
    turn.requires_grad_()
    wanted = targets.repeat_interleave(S, 0)
    power = wanted.flatten(1).square().mean(1).clamp_min(1e-12)

    def off() -> tuple[Tensor, Tensor]:
        pictures = decoder(z, turn.clamp(-limit, limit))
        seen = pictures if colours else operator.modulus(pictures)
        return (seen - wanted).flatten(1).square().mean(1) / power, pictures

    parts: list[dict[str, Any]] = [{"params": [z]}, {"params": [turn], "lr": 0.2 * how.rate}]
    adam = torch.optim.Adam(parts, how.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, how.steps, 0.05 * how.rate)
    fit(adam, lambda _: off()[0] + how.prior * z.square().mean(1), how.steps, schedule=schedule)
    with torch.no_grad():
        left, pictures = off()
        cost = (left + how.prior * z.square().mean(1)).reshape(count, S)
        best = cost.argmin(1) + S * torch.arange(count)
        return pictures[best].clamp(0, 1), left[best].sqrt()


def attack(
    decoder: Decoder, recogniser: Recogniser, operator: Operator, how: Descent = DESCENT
) -> Attack:
    """A guess at the colours, which the recogniser holds against known people."""

    def picture(moduli: Tensor) -> Tensor:
        return torch.cat([decode(decoder, operator, p, how)[0] for p in moduli.split(32)])

    card = Card(
        attack="analysis by synthesis (learned decoder)",
        knowledge="the operator",
        data=f"portraits of {decoder.people} other people",
        cost=f"{len(decoder.spread)} components, {how.starts} starts of {how.steps} "
        "steps a picture",
        seed=how.seed,
    )
    return by_pictures(card, picture, recogniser, operator, decoder.size)


def _turn(sine: Tensor) -> Tensor:
    """(N,) -> (N, 3) what the mean portrait depends on."""
    return torch.stack([torch.ones_like(sine), sine, sine.square()], dim=1)
