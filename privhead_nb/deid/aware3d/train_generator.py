"""Training of what is frozen afterwards: the generator G_3d, and the face parser E_mask."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.deid.aware3d.losses import distance, perceptual_loss
from privhead_nb.deid.aware3d.style_nerf import StyleNerf, known_codes, start_from
from privhead_nb.deid.features import layers_and_identity, recogniser
from privhead_nb.deid.ideudemon.codes import Parser
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.ideudemon.train_step1 import photometric
from privhead_nb.deid.learning import Learning, fast, train
from privhead_nb.deid.portraits import KnownPortraits

GENERATOR = Learning(1400, 8, 4e-4)
PARSER = Learning(700, 24, 3e-3)
ALIKE, SAME = 0.2, 0.03
"""Weights of the distances of E_id's inner features and of its vectors."""


def train_generator(
    portraits: KnownPortraits,
    field: ParametricNerf,
    folder: Path,
    learning: Learning = GENERATOR,
    progress: bool = True,
) -> StyleNerf:
    """G_3d, from portraits whose codes and cameras are known.

    The loss is that of HeadNeRF's pictures, with the look and the identity of E_id's features.

    Args:
        field: what it starts from.
    """
    torch.manual_seed(learning.seed)
    nerf, look = StyleNerf(), recogniser()
    start_from(field, nerf)
    nerf.upsample.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(random: torch.Generator) -> Tensor:
        some = portraits.drawn(learning.batch, random)
        rgb = some.rgb()
        with fast():
            shown, opaque = nerf(known_codes(some), some.pose, random)
            seen, identity = layers_and_identity(look, shown)
            with torch.no_grad():
                known, own = layers_and_identity(look, rgb)
        return (
            photometric(shown, opaque, rgb, some.parsing)
            + ALIKE * perceptual_loss(known, seen)
            + SAME * distance(own.float(), identity.float()).mean()
        )

    train({"nerf": nerf}, loss, learning, folder / "generator", progress)
    return nerf.requires_grad_(False)


def train_parser(
    portraits: KnownPortraits, folder: Path, learning: Learning = PARSER, progress: bool = True
) -> Parser:
    """E_mask, from portraits whose parsing is known."""
    torch.manual_seed(learning.seed)
    parser = Parser()
    parser.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(random: torch.Generator) -> Tensor:
        some = portraits.drawn(learning.batch, random)
        with fast():
            scores = parser(some.rgb())
        return F.cross_entropy(scores.float(), some.parsing.long())

    train({"parser": parser}, loss, learning, folder / "parser", progress)
    return parser.requires_grad_(False)
