"""Training for step II: the restoring network against its discriminators (eq. 9).

The fit without noise shall become the original (eq. 5). After WARM of the steps the discriminators
come in, and half of each batch has noise and only its own identity to keep (eq. 8): if it had to
become the original too, the restorer would learn to bring the person back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.studies.deid.ideudemon_losses import (
    REGIONS,
    Discriminator,
    adversarial_loss,
    component_loss,
    discriminator_loss,
    identity_loss,
    region,
    steepness,
)
from benchmarks.studies.deid.ideudemon_step1 import FINE as FINE_LABELS
from benchmarks.studies.deid.learning import Learning, Turn, fast, step_down, train_in_turns
from benchmarks.studies.deid.portraits import KnownPortraits
from privhead_nb.deid.features import recogniser
from privhead_nb.deid.ideudemon.codes import Codes, Parser, perturbed
from privhead_nb.deid.ideudemon.losses import Weights, reconstruction_loss
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.ideudemon.restore import KEPT, Restorer, hybrid, one_of

RESTORER = Learning(500, 8, 1e-3)
SCALES = (0.05, 1.6)
"""Least and most noise of the hybrids that the restorer learns from."""
SMALL = Weights(l1=1.0, perceptual=0.3, adversarial=0.1, local=0.1, style=5.0, identity=0.05)
"""The paper's weights draw coloured stripes over eyes and mouth in a training as short as this."""
WARM = 0.1
"""Share of the steps before the discriminators come in, over a tenth of all steps."""
STEEP = 0.1
"""Weight of R1."""
FACE, FINE = 4.0, 10.0
"""Weights of the absolute error in the face, and of its brows, eyes and lips, beside eq. 5."""
JITTER = 0.02
"""Standard deviation of what is added to all codes, since fitted ones are never exact."""


@dataclass(frozen=True)
class Variant:
    """What an ablation leaves out (Table 2)."""

    weights: Weights = SMALL
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
    plain: int = 0,
) -> Tensor:
    """X_l (or X_p) of portraits: noise of a scale drawn from SCALES, but none in the first `plain`.

    These too have the outline of a noisy face, so that there are gaps to be filled.
    """
    flat = some.codes().flat()
    near = Codes.split(flat + JITTER * torch.randn(flat.shape, generator=random))
    low, high = SCALES
    scale = low * (high / low) ** float(torch.rand((), generator=random))
    noisy, _ = nerf(perturbed(near, scale, random))
    fitted = noisy
    if plain:
        fitted = torch.cat([nerf(Codes.split(near.flat()[:plain]))[0], noisy[plain:]])
    if not assistance:
        return fitted
    return hybrid(some.rgb(), fitted, some.parsing.long(), parser(noisy).argmax(1))


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
        part.to(memory_format=torch.channels_last)
    critics = [p for part in (whole, *local.values()) for p in part.parameters()]
    adams = {
        "restorer": torch.optim.Adam(restorer.parameters(), learning.rate, betas=(0.9, 0.99)),
        "critics": torch.optim.Adam(critics, learning.rate, betas=(0.5, 0.99)),
    }
    both = KnownPortraits.join([portraits, portraits.mirrored()])

    def turn(step: int, random: torch.Generator) -> Turn:
        ramp = min(1.0, max(0.0, 10 * (step / learning.steps - WARM)))
        some = both.drawn(learning.batch, random)
        original, marks = some.rgb(), some.landmarks
        plain = len(some) // 2 if ramp else len(some)
        with fast():
            source = hybrids(some, nerf, parser, random, how.assistance, plain)
            made = restorer(source)
        total = 0 * made.mean()
        if how.reconstruction:
            given = made[:plain], original[:plain]
            total = total + reconstruction_loss(*given, look, how.weights)
            total = total + face_loss(*given, some.parsing[:plain])
        if ramp and how.identity:
            total = total + identity_loss(made[plain:], source[plain:], look, how.weights)
        if ramp and how.adversarial:
            total = total + ramp * adversarial_loss(whole(made.movedim(-1, 1))[0], how.weights)
        if ramp and how.components:
            total = total + ramp * component_loss(made, original, marks, local, how.weights)

        def critics_turn() -> dict[str, Tensor]:
            if not ramp:
                return {}
            pair = original, made.detach()
            judged = _judged(whole, *(x.movedim(-1, 1) for x in pair))
            for name, critic in local.items():
                judged = judged + _judged(critic, *(region(x, marks, name) for x in pair))
            step_down(adams["critics"], judged)
            return {"critics": judged.detach()}

        return total, critics_turn

    train_in_turns(parts, adams, turn, learning, folder / "restorer", progress)
    return restorer


def face_loss(made: Tensor, original: Tensor, parsing: Tensor) -> Tensor:
    """Absolute error of pictures (N, 64, 64, 3) in the face; most pixels are surroundings."""
    face, fine = ~one_of(parsing, KEPT), one_of(parsing, FINE_LABELS)
    return ((made - original).abs().mean(-1) * (FACE * face + FINE * fine)).mean()


def _judged(critic: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    loss = discriminator_loss(critic(real)[0], critic(fake)[0])
    return loss + STEEP * steepness(critic, real)
