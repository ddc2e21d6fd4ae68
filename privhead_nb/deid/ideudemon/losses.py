"""The loss of step II that needs no discriminator, eq. 5, and the weights of all of them.

phi, VGG-19 in the paper, is `deid.features` here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.deid.features import perceptual_features
from privhead_nb.lab.recognisers.network import FaceNetwork


@dataclass(frozen=True)
class Weights:
    """Lambda of each term, the paper's (section 3.4); `local` is GFPGAN's."""

    l1: float = 0.1
    perceptual: float = 2.0
    adversarial: float = 0.1
    local: float = 1.0
    style: float = 200.0
    identity: float = 5.0
    identity_l1: bool = False  # GFPGAN's L1 in the place of the cosine: the ablation "idloss"


def perceptual_loss(network: FaceNetwork, made: Tensor, original: Tensor) -> Tensor:
    """(N,) mean absolute difference of phi's features of two stacks of pictures."""
    pairs = zip(
        perceptual_features(network, made), perceptual_features(network, original), strict=True
    )
    return torch.stack([(a - b).abs().mean((1, 2, 3)) for a, b in pairs]).mean(0)


def reconstruction_loss(
    made: Tensor, original: Tensor, network: FaceNetwork, weights: Weights
) -> Tensor:
    """Eq. 5: L1 of pictures, and of phi's features."""
    near = F.l1_loss(made, original)
    alike = perceptual_loss(network, made, original).mean()
    return weights.l1 * near + weights.perceptual * alike
