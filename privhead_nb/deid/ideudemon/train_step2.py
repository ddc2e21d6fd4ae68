"""Training for step II: the restoring network against its discriminators (eq. 9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from privhead_nb.deid.features import recogniser
from privhead_nb.deid.ideudemon.codes import Codes, Parser, perturbed
from privhead_nb.deid.ideudemon.losses import (
    REGIONS,
    Discriminator,
    Weights,
    adversarial_loss,
    component_loss,
    discriminator_loss,
    identity_loss,
    reconstruction_loss,
    region,
)
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.ideudemon.restore import Restorer, hybrid
from privhead_nb.deid.learning import Learning, Turn, step_down, train_in_turns
from privhead_nb.deid.portraits import KnownPortraits

RESTORER = Learning(600, 8, 2e-3)
SCALES = (0.0, 0.4)
"""Least and most noise of the hybrids that the restorer learns from."""
JITTER = 0.05
"""Standard deviation of what is added to all codes, since fitted ones are never exact."""


@dataclass(frozen=True)
class Variant:
    """What an ablation leaves out (Table 2)."""

    weights: Weights = field(default_factory=Weights)
    assistance: bool = True  # False: the restorer gets X_p and not X_l ("w/o vsa")
    reconstruction: bool = True
    adversarial: bool = True
    components: bool = True
    identity: bool = True


@torch.no_grad()
def hybrids(
    some: KnownPortraits,
    nerf: ParametricNerf,
    parser: Parser,
    random: torch.Generator,
    assistance: bool = True,
) -> Tensor:
    """X_l (or X_p) of portraits under noise of a scale drawn from SCALES."""
    flat = Codes.known(some).flat()
    near = Codes.split(flat + JITTER * torch.randn(flat.shape, generator=random))
    low, high = SCALES
    scale = low + (high - low) * float(torch.rand((), generator=random))
    fitted, _ = nerf(perturbed(near, scale, random))
    if not assistance:
        return fitted
    return hybrid(some.rgb(), fitted, some.parsing.long(), parser(fitted).argmax(1))


def train_restorer(
    portraits: KnownPortraits,
    nerf: ParametricNerf,
    parser: Parser,
    folder: Path,
    learning: Learning = RESTORER,
    variant: Variant | None = None,
    progress: bool = True,
) -> Restorer:
    """The restoring network; goes on where it was interrupted."""
    how, look = variant or Variant(), recogniser()
    torch.manual_seed(learning.seed)
    restorer, whole = Restorer(), Discriminator(64, 64)
    local = {name: Discriminator(height, width) for name, (_, height, width) in REGIONS.items()}
    parts: dict[str, nn.Module] = {"restorer": restorer, "discriminator": whole, **local}
    for part in parts.values():
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    critics = [p for part in (whole, *local.values()) for p in part.parameters()]
    adams = {
        "restorer": torch.optim.Adam(restorer.parameters(), learning.rate, betas=(0.5, 0.99)),
        "critics": torch.optim.Adam(critics, learning.rate, betas=(0.5, 0.99)),
    }
    both = KnownPortraits.join([portraits, portraits.mirrored()])

    def turn(_step: int, random: torch.Generator) -> Turn:
        some = both.only(torch.randint(len(both), (learning.batch,), generator=random))
        source = hybrids(some, nerf, parser, random, how.assistance)
        original, marks = some.rgb(), some.landmarks
        made = restorer(source)
        total = made.new_zeros(())
        if how.reconstruction:
            total = total + reconstruction_loss(made, original, look, how.weights)
        if how.adversarial:
            total = total + adversarial_loss(whole(made.movedim(-1, 1))[0], how.weights)
        if how.components:
            total = total + component_loss(made, original, marks, local, how.weights)
        if how.identity:
            total = total + identity_loss(made, source, look, how.weights)

        def critics_turn() -> dict[str, Tensor]:
            real, fake = original, made.detach()
            judged = discriminator_loss(
                whole(real.movedim(-1, 1))[0], whole(fake.movedim(-1, 1))[0]
            )
            for name, critic in local.items():
                of_real, of_fake = (critic(region(x, marks, name))[0] for x in (real, fake))
                judged = judged + discriminator_loss(of_real, of_fake)
            step_down(adams["critics"], judged)
            return {"critics": judged.detach()}

        return total, critics_turn

    train_in_turns(parts, adams, turn, learning, folder / "restorer", progress)
    return restorer
