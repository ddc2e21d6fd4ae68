"""The losses of G2Face, eq. 11 to 23. LPIPS is `deid.features` here."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.deid.g2face.identity import GeometryRegressor, geometry
from privhead_nb.deid.ideudemon.codes import Codes


@dataclass(frozen=True)
class Weights:
    """Lambda of each term in eq. 22 and 23, and of the landmarks in eq. 20.

    The paper's are 1 1 1 1 1 10. Three quarters of a portrait here are white, where nothing is to
    be reconstructed, so that the first counts twice. Identity must count too: with 10 and 1 the
    networks learn to leave every picture as it is (docs/compared-systems.md).
    """

    reconstruction: float = 2.0
    adversarial: float = 1.0
    identity: float = 1.5
    diversity: float = 1.0
    geometry: float = 1.0
    hiding: float = 10.0
    landmarks: float = 1.0


def reconstruction_loss(
    made: Tensor, original: Tensor, made_layers: list[Tensor], original_layers: list[Tensor]
) -> Tensor:
    """Eq. 11: L1 and perceptual distance of the recovered picture.

    Args:
        made, original: (N, 64, 64, 3).
        made_layers, original_layers: their features, of `features.layers_and_identity`.
    """
    pairs = zip(made_layers, original_layers, strict=True)
    alike = torch.stack([F.l1_loss(a, b) for a, b in pairs]).mean()
    return F.l1_loss(made, original) + alike


def adversarial_loss(logits: Tensor) -> Tensor:
    """Eq. 12, the generator's side: StyleGAN2's softplus(-D(Y))."""
    return F.softplus(-logits).mean()


def anonymous_identity_loss(made: Tensor, original: Tensor, dummy: Tensor) -> Tensor:
    """Eq. 13 of unit vectors (N, 64): away from the original, near to the dummy."""
    away, near = (made * original).sum(1), (made * dummy).sum(1)
    return (away.clamp_min(0) + 1 - near).mean()


def recovered_identity_loss(made: Tensor, original: Tensor) -> Tensor:
    """Eq. 14: 1 - cosine."""
    return (1 - (made * original).sum(1)).mean()


def diversity_loss(dummies: Tensor) -> Tensor:
    """Eq. 15 and 16: the mean cosine of all pairs of a batch's dummy identities (N, 64)."""
    alike = dummies @ dummies.T
    others = 1 - torch.eye(len(dummies)).to(alike)
    return (alike * others).abs().sum() / others.sum().clamp_min(1)


def geometry_loss(
    made: Codes, original: Codes, model: GeometryRegressor, weights: Weights
) -> Tensor:
    """Eq. 17 to 20: shapes and colours by their codes, and landmarks of the face model."""
    shape = F.l1_loss(geometry(made), geometry(original))
    colour = F.l1_loss(
        torch.cat([made.albedo, made.illumination], 1),
        torch.cat([original.albedo, original.illumination], 1),
    )
    apart = (model.landmarks(made) - model.landmarks(original)).square().sum(-1).mean()
    return shape + colour + weights.landmarks * apart


def gradient_penalty(logits: Tensor, pictures: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018, eq. 9): a critic's squared slope at what is real, (N, ...)."""
    (slope,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


def shaken(
    pictures: Tensor, random: torch.Generator, reach: int = 2, noise: float = 0.02
) -> Tensor:
    """Pictures (N, H, W, 3) moved by up to `reach` pixels, all alike, and with Gaussian noise.

    An identity is read from these, or a network learns a pattern of noise that the recogniser takes
    for somebody, instead of a face.
    """
    down, right = (int(v) for v in torch.randint(-reach, reach + 1, (2,), generator=random))
    moved = pictures.roll((down, right), (1, 2))
    return moved + noise * torch.randn(pictures.shape, generator=random).to(pictures)


def hiding_loss(logits: Tensor, bits: Tensor) -> Tensor:
    """Eq. 21: binary cross-entropy of the extracted password."""
    return F.binary_cross_entropy_with_logits(logits, bits)


def as_saved(pictures: Tensor, noise: float, random: torch.Generator) -> Tensor:
    """Pictures after 8-bit rounding, whose gradient is 1, and Gaussian noise (the e of eq. 21)."""
    rounded = (pictures * 255).round() / 255
    saved = pictures + (rounded - pictures).detach()
    if noise == 0:
        return saved
    return saved + noise * torch.randn(pictures.shape, generator=random).to(pictures)
