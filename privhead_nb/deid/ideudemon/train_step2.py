"""Training for step II: the restoring network against its discriminators (eq. 9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from privhead_nb.deid.ideudemon.codes import Codes, Parser, perturbed
from privhead_nb.deid.ideudemon.losses import (
    REGIONS,
    Discriminator,
    Weights,
    adversarial_loss,
    component_loss,
    discriminator_loss,
    eyes,
    identity_loss,
    reconstruction_loss,
    region,
)
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.ideudemon.restore import Restorer, hybrid
from privhead_nb.deid.ideudemon.train_step1 import KEEP_EVERY, Learning, one_cycle
from privhead_nb.deid.portraits import KnownPortraits
from privhead_nb.deid.stored import keep_progress, resume

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
    how, look = variant or Variant(), eyes()
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
    random = torch.Generator().manual_seed(learning.seed)
    file = (folder / "restorer").with_suffix(".safetensors")
    done = resume(file, parts, adams, random)
    both = KnownPortraits.join([portraits, portraits.mirrored()])
    falls = [one_cycle(adam, learning, done) for adam in adams.values()]
    bar = tqdm(range(done, learning.steps), initial=done, total=learning.steps, desc="restorer",
               disable=not progress)  # fmt: skip
    for step in bar:
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
        _step(adams["restorer"], total)
        judged = discriminator_loss(
            whole(original.movedim(-1, 1))[0], whole(made.detach().movedim(-1, 1))[0]
        )
        for name, critic in local.items():
            real, fake = (region(x, marks, name) for x in (original, made.detach()))
            judged = judged + discriminator_loss(critic(real)[0], critic(fake)[0])
        _step(adams["critics"], judged)
        for fall in falls:
            fall.step()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{total.item():.3f}", critics=f"{judged.item():.3f}")
        if (step + 1) % KEEP_EVERY == 0 or step + 1 == learning.steps:
            keep_progress(file, step + 1, parts, adams, random)
    return restorer.eval()


def _step(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()
