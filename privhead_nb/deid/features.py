"""How the compared systems look at a face: the lab's `arcface_cnn`, frozen.

It stands where the papers take ArcFace, and its inner features where they take VGG-19 or LPIPS: no
weights come from elsewhere. Recognisers that score took no part.
"""

from __future__ import annotations

from functools import cache

import torch.nn.functional as F
from torch import Tensor

from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.recognisers.stored import network_in
from privhead_nb.resources import WEIGHTS


@cache
def recogniser() -> FaceNetwork:
    """The lab's `arcface_cnn`, frozen."""
    return network_in(WEIGHTS / "arcface_cnn.safetensors").requires_grad_(False)


def identity_of(network: FaceNetwork, pictures: Tensor) -> Tensor:
    """z_id: unit vectors (N, 64) of pictures (N, 64, 64, 3)."""
    return F.normalize(network(head_crop(pictures)), dim=1)


def perceptual_features(network: FaceNetwork, pictures: Tensor) -> list[Tensor]:
    """phi: features of three layers of a frozen recogniser of pictures (N, 64, 64, 3)."""
    return network.layers(head_crop(pictures))


def layers_and_identity(network: FaceNetwork, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
    """`perceptual_features` and `identity_of` in one pass."""
    layers = perceptual_features(network, pictures)
    return layers, F.normalize(network.vector(layers[-1]), dim=1)
