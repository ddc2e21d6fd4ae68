"""Training for step I: the coarse regressor, the parser, the parametric NeRF."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from privhead_nb.deid.generator import SIDE
from privhead_nb.deid.ideudemon.codes import CoarseRegressor, Codes, Parser
from privhead_nb.deid.ideudemon.losses import eyes, perceptual_loss
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.portraits import KnownPortraits
from privhead_nb.deid.stored import keep_progress, resume

KEEP_EVERY = 100
"""Steps after which progress is written."""
WEIGHTS = {"identity": 1.0, "expression": 1.0, "albedo": 1.0, "illumination": 1.0, "camera": 2.0}
"""Of each code's mean squared error."""


@dataclass(frozen=True)
class Learning:
    """One network's training."""

    steps: int
    batch: int
    rate: float
    seed: int = 0


REGRESSOR = Learning(2500, 48, 2e-3)
NERF = Learning(3600, 12, 3e-3)
NERF_SHARPER = Learning(600, 12, 1e-3, seed=1)
"""What follows, with HeadNeRF's perceptual term."""
PERCEPTUAL = 0.1
"""Its weight."""


def train_codes(
    portraits: KnownPortraits, folder: Path, learning: Learning = REGRESSOR, progress: bool = True
) -> tuple[CoarseRegressor, Parser]:
    """The coarse regressor and the parser, from portraits whose codes and labels are known."""
    torch.manual_seed(learning.seed)
    regressor, parser = CoarseRegressor(), Parser()
    both = KnownPortraits.join([portraits, portraits.mirrored()])

    def loss(random: torch.Generator) -> Tensor:
        some = both.only(torch.randint(len(both), (learning.batch,), generator=random))
        rgb = some.rgb()
        told, known = regressor(rgb), Codes.known(some)
        off = torch.stack(
            [weight * F.mse_loss(getattr(told, name), getattr(known, name))
             for name, weight in WEIGHTS.items()]
        ).sum()  # fmt: skip
        few = rgb[:16]
        return off + 0.3 * F.cross_entropy(parser(few), some.parsing[:16].long())

    train({"regressor": regressor, "parser": parser}, loss, learning, folder / "codes", progress)
    return regressor.eval(), parser.eval()


def train_nerf(
    portraits: KnownPortraits,
    folder: Path,
    learning: Learning = NERF,
    sharper: Learning = NERF_SHARPER,
    progress: bool = True,
) -> ParametricNerf:
    """The parametric NeRF, from portraits whose codes are known (HeadNeRF's losses).

    The loss is the mean squared error of the picture, its absolute error in the face, where eyes,
    lips and brows count more, and the error of what is opaque; the `sharper` steps that follow
    also see the distance of phi's features, which HeadNeRF takes from VGG.
    """
    torch.manual_seed(learning.seed)
    nerf = ParametricNerf()
    both = KnownPortraits.join([portraits, portraits.mirrored()])

    def loss(random: torch.Generator) -> Tensor:
        some = both.only(torch.randint(len(both), (learning.batch,), generator=random))
        shown, opaque = nerf(Codes.known(some), random)
        return photometric(shown, opaque, some.rgb(), some.parsing)

    def sharp(random: torch.Generator) -> Tensor:
        some = both.only(torch.randint(len(both), (sharper.batch,), generator=random))
        shown, opaque = nerf(Codes.known(some), random)
        rgb = some.rgb()
        alike = perceptual_loss(look, shown, rgb).mean()
        return photometric(shown, opaque, rgb, some.parsing) + PERCEPTUAL * alike

    train({"nerf": nerf}, loss, learning, folder / "nerf", progress)
    look = eyes()
    train({"nerf": nerf}, sharp, sharper, folder / "nerf_sharper", progress)
    return nerf.eval()


def photometric(shown: Tensor, opaque: Tensor, pictures: Tensor, parsing: Tensor) -> Tensor:
    """HeadNeRF's terms of pictures (N, 64, 64, 3), rays (N, 16, 16) and labels (N, 64, 64)."""
    head = (parsing > 0).float()
    fine = 1 + 3 * ((parsing == 3) | (parsing == 4) | (parsing == 6)).float()  # brows, eyes, lips
    cover = F.avg_pool2d(head[:, None], parsing.shape[-1] // SIDE)[:, 0]
    off = (shown - pictures).abs().mean(-1)
    return (
        4 * F.mse_loss(shown, pictures)
        + (off * head * fine).mean()
        + 0.2 * F.mse_loss(opaque, cover)
    )


def train(
    parts: dict[str, nn.Module],
    loss: Callable[[torch.Generator], Tensor],
    learning: Learning,
    path: Path,
    progress: bool,
) -> None:
    """Adam with one rise and fall of the rate; goes on where it was interrupted."""
    numbers = [p for part in parts.values() for p in part.parameters()]
    adam = torch.optim.Adam(numbers, lr=learning.rate)
    random = torch.Generator().manual_seed(learning.seed)
    file = path.with_suffix(".safetensors")
    done = resume(file, parts, {"adam": adam}, random)
    for part in parts.values():
        part.train()
    schedule = one_cycle(adam, learning, done, momentum=True)
    bar = tqdm(range(done, learning.steps), initial=done, total=learning.steps, desc=path.name,
               disable=not progress)  # fmt: skip
    for step in bar:
        off = loss(random)
        adam.zero_grad(set_to_none=True)
        off.backward()
        adam.step()
        schedule.step()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{off.item():.4f}")
        if (step + 1) % KEEP_EVERY == 0 or step + 1 == learning.steps:
            keep_progress(file, step + 1, parts, {"adam": adam}, random)


def one_cycle(
    adam: torch.optim.Optimizer, learning: Learning, done: int, *, momentum: bool = False
) -> OneCycleLR:
    """A rate that rises and falls once over all steps, of which some are done.

    Args:
        momentum: Adam's first beta falls and rises against it.
    """
    steps = learning.steps + 1
    schedule = OneCycleLR(adam, learning.rate, total_steps=steps, cycle_momentum=momentum)
    with warnings.catch_warnings():  # torch thinks that the optimiser never stepped
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(done):
            schedule.step()
    return schedule
