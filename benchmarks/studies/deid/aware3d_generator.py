"""Training of what is frozen afterwards: the generator G_3d, and the face parser E_mask."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies.deid.ideudemon_step1 import photometric
from benchmarks.studies.deid.learning import Learning, fast, train
from benchmarks.studies.deid.portraits import KnownPortraits
from privhead_nb.deid.aware3d.losses import distance, perceptual_loss
from privhead_nb.deid.aware3d.style_nerf import FEATURES, SIZES, SKIP, StyleNerf
from privhead_nb.deid.features import layers_and_identity, recogniser
from privhead_nb.deid.ideudemon.codes import Parser
from privhead_nb.deid.ideudemon.nerf import ParametricNerf

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
    nerf.upsample.to(memory_format=torch.channels_last)

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
    parser.to(memory_format=torch.channels_last)

    def loss(random: torch.Generator) -> Tensor:
        some = portraits.drawn(learning.batch, random)
        with fast():
            scores = parser(some.rgb())
        return F.cross_entropy(scores.float(), some.parsing.long())

    train({"parser": parser}, loss, learning, folder / "parser", progress)
    return parser.requires_grad_(False)


@torch.no_grad()
def start_from(field: ParametricNerf, nerf: StyleNerf) -> None:
    """Make a style generator give what a parametric NeRF gives.

    All that is new, scales of layers and the upsampler's styles, starts without effect.
    """
    who = _columns("shape", "expression")
    look = _columns("albedo", "light")
    entries = zip(
        nerf.layers,
        (field.place[0], field.layers[0], field.layers[1], field.layers[2], field.layers[3]),
        strict=True,
    )
    for layer, plain in entries:
        layer.shift.weight.zero_()
        layer.linear.weight[:, : plain.weight.shape[1]] = plain.weight
        layer.shift.bias.copy_(plain.bias)
    nerf.layers[0].shift.weight[:, who] = field.shape[0].weight
    again = nerf.layers[SKIP]
    again.shift.weight[:, who] = field.shape[1].weight
    again.shift.bias.add_(field.place[1].bias)
    again.linear.weight[:, field.hidden.in_features :] = field.place[1].weight
    nerf.density.load_state_dict(field.density.state_dict())
    nerf.colour.linear.weight.copy_(field.hidden.weight)
    nerf.colour.shift.weight.zero_()
    nerf.colour.shift.weight[:, look] = field.look.weight
    nerf.colour.shift.bias.copy_(field.hidden.bias)
    nerf.features.load_state_dict(field.features.state_dict())
    nerf.ground.copy_(field.ground)
    into = nerf.upsample.plain
    wide = into.enter.weight.new_zeros(into.enter.weight.shape)
    wide[:, :FEATURES] = field.upsample.enter.weight
    numbers = field.upsample.state_dict() | {"enter.weight": wide}
    into.load_state_dict(numbers)


def _columns(*names: str) -> Tensor:
    """Where numbers of these names stand in w, in this order."""
    starts, place = {}, 0
    for name, size in SIZES.items():
        starts[name] = torch.arange(place, place + size)
        place += size
    return torch.cat([starts[name] for name in names])


def known_codes(portraits: KnownPortraits) -> Tensor:
    """w (N, 125) of portraits: shape, albedo, expression and light."""
    return torch.cat([getattr(portraits, name) for name in SIZES], 1)
