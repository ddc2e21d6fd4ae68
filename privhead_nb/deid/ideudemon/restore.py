"""Step II: visual similarity assistance, and the network that restores the hybrid picture.

The paper restores by GFPGAN (Wang et al. 2021): a U-Net takes the degradation away, and a StyleGAN2
that was trained before is led by the U-Net's features through channel-split spatial feature
transforms (CS-SFT). Here the style decoder is small and learns together with the U-Net: there is no
prior from other pictures. It says what to change of the given picture, and not the whole of it.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.heads.surface import LABELS

KEPT = tuple(LABELS.index(name) for name in ("background", "hair", "neck"))
"""Labels that are taken from the original: hair, background, what is below the head."""
NEAR = 15
"""Pixels, the width of the window that colours of gaps are the mean of."""
WIDTHS = (32, 48, 64, 96)
"""Channels at 64, 32, 16 and 8 pixels."""
STYLE = 64
GAIN = 0.05
"""Of what is added: a step of Adam at the last layer, which has 288 inputs, shall be small."""


def hybrid(original: Tensor, fitted: Tensor, labels: Tensor, fitted_labels: Tensor) -> Tensor:
    """X_l of section 3.3: the original's hair and surroundings around the fitted face.

    Where neither has anything, it is the mean colour of the fitted face near by. One pixel of that
    face's rim is left out: it is mixed with hair and background.

    Args:
        original, fitted: X and X_p (N, H, W, 3).
        labels, fitted_labels: their parsing (N, H, W), indices into heads.surface.LABELS.
    """
    keep = one_of(labels, KEPT)[..., None]
    face = (~one_of(fitted_labels, KEPT)).to(fitted)[:, None]
    face = -F.max_pool2d(-face, 3, stride=1, padding=1)
    colours = face * fitted.movedim(-1, 1)
    near, cover = (F.avg_pool2d(x, NEAR, 1, NEAR // 2) for x in (colours, face))
    whole, share = (x.mean((2, 3), keepdim=True) for x in (colours, face))
    mean = torch.where(cover > 0, near / cover.clamp_min(1e-6), whole / share.clamp_min(1e-6))
    x_p = torch.where(face > 0, fitted.movedim(-1, 1), mean).movedim(1, -1)
    return torch.where(keep, original, x_p)


def one_of(labels: Tensor, wanted: tuple[int, ...]) -> Tensor:
    """Where labels are one of those wanted."""
    return torch.stack([labels == label for label in wanted]).any(0)


class SplitTransform(nn.Module):
    """Channel-split spatial feature transform: half of the channels pass, half are changed.

    GFPGAN's eq. 3: [F_0, alpha * F_1 + beta], alpha and beta from the U-Net's features.
    """

    def __init__(self, beside: int, channels: int) -> None:
        super().__init__()
        self.passed = channels // 2
        self.told = nn.Conv2d(beside, 2 * (channels - self.passed), 3, padding=1)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """Features x (N, C, H, W) led by those of the U-Net."""
        alpha, beta = self.told(beside).chunk(2, 1)
        return torch.cat([x[:, : self.passed], (1 + alpha) * x[:, self.passed :] + beta], 1)


class StyleLayer(nn.Module):
    """A convolution whose inputs are scaled by the latent code, and whose outputs are normed.

    StyleGAN2's weight modulation, said of the features, which is the same up to the norm: that is
    taken over each picture's own features and not their expectation.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.style = nn.Linear(STYLE, inputs)
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        x = self.convolution(x * (1 + self.style(latent))[:, :, None, None])
        x = x * torch.rsqrt(x.square().mean((1, 2, 3), keepdim=True) + 1e-6)
        return F.leaky_relu(x, 0.2)


class Restorer(nn.Module):
    """X_l (N, 64, 64, 3) -> X' (N, 64, 64, 3): U-Net, latent code, style decoder with CS-SFT."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, WIDTHS[0], 3, padding=1)
        pairs = list(pairwise(WIDTHS))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.up = nn.ModuleList(nn.Conv2d(a + b, a, 3, padding=1) for a, b in reversed(pairs))
        self.latent = nn.Linear(WIDTHS[-1] * 16, STYLE)
        self.constant = nn.Parameter(torch.randn(1, WIDTHS[-1], 8, 8))
        sizes = (WIDTHS[-1], *reversed(WIDTHS))
        self.styles = nn.ModuleList(StyleLayer(a, b) for a, b in pairwise(sizes))
        self.led = nn.ModuleList(SplitTransform(width, width) for width in reversed(WIDTHS))
        self.leave = nn.Conv2d(WIDTHS[0], 3, 3, padding=1)
        for convolution in (self.enter, *self.down, *self.up):  # torch's own would fade in depth
            nn.init.kaiming_normal_(convolution.weight, 0.2)
        for number in self.leave.parameters():
            nn.init.zeros_(number)

    def forward(self, pictures: Tensor) -> Tensor:
        """Restored pictures: the given ones and what is added; in [0, 1] once it is trained."""
        x = F.leaky_relu(self.enter(pictures.movedim(-1, 1)), 0.2)
        kept = []
        for down in self.down:
            kept.append(x)
            x = F.leaky_relu(down(x), 0.2)
        latent = self.latent(F.adaptive_avg_pool2d(x, 4).flatten(1))
        features = [x]
        for up, beside in zip(self.up, reversed(kept), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.leaky_relu(up(torch.cat([x, beside], 1)), 0.2)
            features.append(x)
        y = self.constant.expand(len(pictures), -1, -1, -1)
        for level, (style, led) in enumerate(zip(self.styles, self.led, strict=True)):
            if level:
                y = F.interpolate(y, scale_factor=2.0, mode="nearest")
            y = led(style(y, latent), features[level])
        out = pictures + GAIN * self.leave(y).movedim(1, -1).to(pictures)
        return out if self.training else out.clamp(0, 1)
