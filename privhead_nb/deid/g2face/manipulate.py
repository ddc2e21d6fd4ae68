"""Dual prior-guided identity manipulation: encoder, mappers, style decoder, feature fusion.

The paper's decoder is a StyleGAN2 trained before on photographs. This one is trained before too, on
made portraits whose face is covered, so that it knows how the face of an identity looks.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.g2face.identity import GEOMETRY
from privhead_nb.deid.g2face.payload import BITS
from privhead_nb.lab.recognisers.network import DIMENSIONS

WIDTHS = (96, 80, 64, 40, 16)
"""Channels at 4, 8, 16, 32 and 64 pixels."""
STYLE = 64
FAINT = 0.02
"""What the picture's hiding features are multiplied with: the password is about 5 of 255."""
LEVELS = {"low": (0, 1), "mid": (2, 3), "high": (4,)}
"""Which levels each mapper of eq. 3 leads."""


class Mapper(nn.Module):
    """z_gid (N, 144) -> latent codes of each level, (N, 64) each: three MLPs (eq. 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(DIMENSIONS + GEOMETRY, 128), nn.LeakyReLU(0.2),
                    nn.Linear(128, 128), nn.LeakyReLU(0.2),
                    nn.Linear(128, 128), nn.LeakyReLU(0.2),
                    nn.Linear(128, STYLE * len(levels)),
                )
                for name, levels in LEVELS.items()
            }
        )  # fmt: skip

    def forward(self, z: Tensor) -> list[Tensor]:
        """One for each of WIDTHS."""
        return [w for name in LEVELS for w in self.parts[name](z).split(STYLE, dim=1)]


class StyleConvolution(nn.Module):
    """StyleGAN2's convolution: weights modulated by the latent code, and demodulated (eq. 4)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / (3 * inputs**0.5))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = nn.Linear(STYLE, inputs)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W); each picture has its own scales."""
        scale = 1 + self.style(latent)
        y = F.conv2d(x * scale[:, :, None, None], self.weight, padding=1)
        norm = torch.rsqrt(scale.square() @ self.weight.square().sum((2, 3)).T + 1e-8)
        return F.leaky_relu(y * norm[:, :, None, None] + self.bias[:, None, None], 0.2)


class FaceEncoder(nn.Module):
    """Pictures (N, 64, 64, 3) -> features at 4, 8, 16, 32 and 64 pixels (eq. 5)."""

    def __init__(self) -> None:
        super().__init__()
        wide = tuple(reversed(WIDTHS))
        self.enter = nn.Conv2d(3, wide[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(wide)
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """From the coarsest to the finest."""
        features = [F.leaky_relu(self.enter(pictures.movedim(-1, 1)), 0.2)]
        for down in self.down:
            features.append(F.leaky_relu(down(features[-1]), 0.2))
        return features[::-1]


class FeatureFusion(nn.Module):
    """Identity-aware feature fusion (IFF) at one level: eq. 6 to 8."""

    def __init__(self, width: int, side: int, blends: bool = True) -> None:
        super().__init__()
        self.blends = blends  # False is the ablation of Table VI: the original is left out
        self.hide = nn.Conv2d(BITS // min(side, 32) ** 2, width, 3, padding=1)
        self.mask = nn.Conv2d(3 * width, 1, 1)

    def forward(self, generated: Tensor, original: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Blended features (N, C, H, W), and the mask (N, 1, H, W).

        Args:
            generated, original: features of the decoder and of the encoder.
            bits: (N, 1024) the password, of 0 and 1.
        """
        hidden = self.hide(password_map(bits, generated.shape[-1]))  # eq. 6
        if not self.blends:
            return generated + hidden, torch.ones_like(generated[:, :1])
        mask = torch.sigmoid(self.mask(torch.cat([generated, original, hidden], 1)))  # eq. 7
        return mask * generated + (1 - mask) * original + hidden, mask  # eq. 8


def password_map(bits: Tensor, side: int) -> Tensor:
    """m_i (N, D, side, side) of -1 and 1, of bits (N, 1024): D = 1,024 / side^2.

    Finer than 32 pixels a bit would have no channel of its own: there it is repeated.
    """
    coarse = min(side, 32)
    password = (2 * bits - 1).reshape(len(bits), -1, coarse, coarse)
    if side > coarse:
        password = F.interpolate(password, scale_factor=float(side // coarse), mode="nearest")
    return password


class ToPicture(nn.Module):
    """Features (N, C, 64, 64) -> colours (N, 3, 64, 64) in [0, 1], with a faint password on them.

    Nothing of the original is blended in here: a mask of the picture itself learns to be 0 within
    some hundred steps, and then nobody is anonymised.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.leave = nn.Conv2d(width, 3, 3, padding=1)
        self.hide = nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, features: Tensor, bits: Tensor) -> Tensor:
        """Of features and bits (N, 1024)."""
        hidden = FAINT * self.hide(password_map(bits, features.shape[-1]))
        return _clamped(torch.sigmoid(self.leave(features)) + hidden)


def even(features: Tensor) -> Tensor:
    """Features (N, C, H, W) whose mean square over the channels is 1 (ProGAN's pixel norm).

    Else they grow from level to level, until each mask stands at 0 or 1 and learns no more.
    """
    return features * torch.rsqrt(features.square().mean(1, keepdim=True) + 1e-6)


def _clamped(x: Tensor) -> Tensor:
    """Numbers in [0, 1], whose gradient is 1 outside too."""
    return x + (x.clamp(0, 1) - x).detach()


class Manipulator(nn.Module):
    """A picture with another identity, and bits hidden in it: Y = F(X, z_gid, m)."""

    def __init__(self, fusion: bool = True) -> None:
        super().__init__()
        self.encoder, self.mapper = FaceEncoder(), Mapper()
        self.constant = nn.Parameter(torch.randn(1, WIDTHS[0], 4, 4))
        inputs = (WIDTHS[0], *WIDTHS[:-1])
        self.first = nn.ModuleList(
            StyleConvolution(a, b) for a, b in zip(inputs, WIDTHS, strict=True)
        )
        self.second = nn.ModuleList(StyleConvolution(b, b) for b in WIDTHS)
        self.fuse = nn.ModuleList(FeatureFusion(b, 4 * 2**k, fusion) for k, b in enumerate(WIDTHS))
        self.last = ToPicture(WIDTHS[-1])

    def forward(self, pictures: Tensor, z: Tensor, bits: Tensor) -> Tensor:
        """(N, 64, 64, 3) in [0, 1]."""
        return self.with_masks(pictures, z, bits)[0]

    def with_masks(self, pictures: Tensor, z: Tensor, bits: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The same, with the mask (N, 1, H, W) of each level."""
        original, latents = self.encoder(pictures), self.mapper(z)
        y, masks = self.constant.expand(len(pictures), -1, -1, -1), []
        for level, latent in enumerate(latents):
            if level:
                y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = self.first[level](y, latent)
            y, mask = self.fuse[level](even(y), even(original[level]), bits)
            y = self.second[level](y, latent)
            masks.append(mask)
        return self.last(y, bits).movedim(1, -1), masks


class PasswordExtractor(nn.Module):
    """Five convolutions: pictures (N, 64, 64, 3) -> logits of 1,024 bits."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, width, width, width)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2 if k == 1 else 1, padding=1)
            for k, (a, b) in enumerate(pairwise(widths))
        )
        self.out = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 1024): above 0 where a bit is 1."""
        x = 2 * pictures.movedim(-1, 1) - 1
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return self.out(x).flatten(1)
