"""Training for step I: the coarse regressor, the parser, the parametric NeRF."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies.deid.learning import Learning, fast, train
from benchmarks.studies.deid.portraits import KnownPortraits
from privhead_nb.deid.features import recogniser
from privhead_nb.deid.generator import SIDE
from privhead_nb.deid.ideudemon.codes import CoarseRegressor, Parser
from privhead_nb.deid.ideudemon.losses import perceptual_loss
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.ideudemon.restore import one_of
from privhead_nb.heads.surface import LABELS

WEIGHTS = {"identity": 1.0, "expression": 1.0, "albedo": 1.0, "illumination": 1.0, "camera": 2.0}
"""Of each code's mean squared error."""
FINE = tuple(LABELS.index(name) for name in ("brows", "eyes", "lips"))
"""Labels whose pixels count four times."""


REGRESSOR = Learning(900, 48, 2e-3)
NERF = Learning(3400, 8, 3e-3)
FEWER = 12
"""Samples along a ray until `sharper` begins: much faster."""
NERF_SHARPER = Learning(700, 8, 1e-3, seed=1)
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
        some = both.drawn(learning.batch, random)
        rgb = some.rgb()
        known, few = some.codes(), rgb[:16]
        with fast():
            told, scores = regressor(rgb), parser(few)
        off = torch.stack(
            [weight * F.mse_loss(getattr(told, name), getattr(known, name))
             for name, weight in WEIGHTS.items()]
        ).sum()  # fmt: skip
        return off + 0.3 * F.cross_entropy(scores.float(), some.parsing[:16].long())

    train({"regressor": regressor, "parser": parser}, loss, learning, folder / "codes", progress)
    return regressor, parser


def train_field(
    portraits: KnownPortraits, folder: Path, learning: Learning = NERF, progress: bool = True
) -> ParametricNerf:
    """A parametric NeRF, from portraits whose codes are known, by `photometric` alone."""
    torch.manual_seed(learning.seed)
    nerf = ParametricNerf()

    def loss(random: torch.Generator) -> Tensor:
        some = portraits.drawn(learning.batch, random)
        with fast():
            shown, opaque = nerf(some.codes(), random, FEWER)
        return photometric(shown, opaque, some.rgb(), some.parsing)

    train({"nerf": nerf}, loss, learning, folder / "nerf", progress)
    return nerf


def train_nerf(
    portraits: KnownPortraits,
    folder: Path,
    learning: Learning = NERF,
    sharper: Learning = NERF_SHARPER,
    progress: bool = True,
) -> ParametricNerf:
    """The parametric NeRF, from portraits whose codes are known and their mirrors.

    The `sharper` steps that follow those of `train_field` also see the distance of phi's features,
    which HeadNeRF takes from VGG.
    """
    both, look = KnownPortraits.join([portraits, portraits.mirrored()]), recogniser()
    nerf = train_field(both, folder, learning, progress)

    def loss(random: torch.Generator) -> Tensor:
        some = both.drawn(sharper.batch, random)
        with fast():
            shown, opaque = nerf(some.codes(), random)
        rgb = some.rgb()
        alike = perceptual_loss(look, shown, rgb).mean()
        return photometric(shown, opaque, rgb, some.parsing) + PERCEPTUAL * alike

    train({"nerf": nerf}, loss, sharper, folder / "nerf_sharper", progress)
    return nerf


def photometric(shown: Tensor, opaque: Tensor, pictures: Tensor, parsing: Tensor) -> Tensor:
    """HeadNeRF's terms of pictures (N, 64, 64, 3), rays (N, 16, 16) and labels (N, 64, 64).

    The mean squared error of the picture, its absolute error in the face, where brows, eyes and
    lips count more, and the error of what is opaque.
    """
    head = (parsing > 0).float()
    fine = 1 + 3 * one_of(parsing, FINE).float()
    cover = F.avg_pool2d(head[:, None], parsing.shape[-1] // SIDE)[:, 0]
    off = (shown - pictures).abs().mean(-1)
    return (
        4 * F.mse_loss(shown, pictures)
        + (off * head * fine).mean()
        + 0.2 * F.mse_loss(opaque, cover)
    )
