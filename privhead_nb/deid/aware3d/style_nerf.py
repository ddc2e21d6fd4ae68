"""G_3d: the 3D-aware generator, a small radiance field whose layers a style code w modulates.

After StyleNeRF (Gu et al. 2022): w says who is shown, with which expression and in which light, and
nothing of the camera, so that one w gives one head from all sides. It is no GAN: w are the made
head's own codes, which are known of every training portrait, as the camera is, and it learns by
regression. It is frozen from then on.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.generator import (
    SAMPLES,
    SIDE,
    Upsampler,
    composite,
    portrait_rays,
    samples_along,
)
from privhead_nb.deid.ideudemon.nerf import BALL, FREQUENCIES, encoded
from privhead_nb.heads.codes import ALBEDO_NAMES, EXPRESSION_NAMES, IDENTITY_NAMES
from privhead_nb.heads.light import LIGHT_SIZE

WIDTH, FEATURES, INNER = 128, 32, 48
"""Of the field's layers, of what rays gather, and of the upsampler."""
ROUND = 512
"""Points are filled up to a multiple: matrix products of few sizes are prepared once each."""
SIZES = {
    "shape": len(IDENTITY_NAMES),
    "albedo": len(ALBEDO_NAMES),
    "expression": len(EXPRESSION_NAMES),
    "light": LIGHT_SIZE,
}
"""What w says, and in how many numbers."""
STYLE = sum(SIZES.values())
"""Numbers of w: 125."""
SKIP = 2
"""The layer that gets the place once more."""


class ModulatedLayer(nn.Module):
    """A linear layer whose outputs w scales and shifts (FiLM: Perez et al. 2018)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.scale = nn.Linear(STYLE, outputs)
        self.shift = nn.Linear(STYLE, outputs)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)

    def of(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (N, outputs, inputs) and shifts (N, outputs) of codes w (N, STYLE)."""
        return (1 + self.scale(w))[:, :, None] * self.linear.weight, self.shift(w)


class StyleUpsampler(nn.Module):
    """Maps (N, C, s, s) and w -> sRGB (N, 3, 4 s, 4 s): `Upsampler`, modulated at each size."""

    def __init__(self, channels: int, inner: int = INNER) -> None:
        super().__init__()
        self.plain = Upsampler(channels, inner)
        self.style = nn.ModuleList(nn.Linear(STYLE, 2 * inner) for _ in range(3))
        for style in self.style:
            nn.init.zeros_(style.weight)  # type: ignore[arg-type]
            nn.init.zeros_(style.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor, w: Tensor) -> Tensor:
        """(N, C, s, s), (N, STYLE) -> (N, 3, 4 s, 4 s)."""
        of = self.plain
        x = self._styled(0, of.enter(maps), w)
        for level, (grow, mix) in enumerate(zip(of.grow, of.mix, strict=True), start=1):
            x = self._styled(level, F.pixel_shuffle(grow(x), 2), w)
            x = x + F.leaky_relu(mix(x), 0.2)
        return torch.sigmoid(of.leave(x))

    def _styled(self, level: int, x: Tensor, w: Tensor) -> Tensor:
        scale, shift = self.style[level](w)[:, :, None, None].chunk(2, 1)
        return F.leaky_relu((1 + scale) * x + shift, 0.2)


class StyleNerf(nn.Module):
    """Codes w (N, STYLE) and poses (N, 6) -> pictures (N, 64, 64, 3)."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        place = 3 + 6 * FREQUENCIES
        inputs = (place, width, width + place, width, width)
        self.layers = nn.ModuleList(ModulatedLayer(size, width) for size in inputs)
        self.density = nn.Linear(width, 1)
        self.colour = ModulatedLayer(width, width)
        self.features = nn.Linear(width, FEATURES)
        self.ground = nn.Parameter(torch.zeros(FEATURES))
        self.upsample = StyleUpsampler(FEATURES + place)

    def forward(
        self, w: Tensor, pose: Tensor, random: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Pictures, sRGB in [0, 1], and how opaque each ray is (N, 16, 16).

        Args:
            w: style codes; gradients reach them and the poses.
            pose: cameras, see `deid.portraits.POSE`.
            random: draws the places along rays in their bins, as in training.
        """
        points, depths = samples_along(*portrait_rays(pose), SAMPLES, random)
        modulated = [layer.of(w) for layer in (*self.layers, self.colour)]
        seen, opaque = [], []
        for face, (at, depth) in enumerate(zip(points, depths, strict=True)):
            whole, cover = self._rays(at, depth, [(a[face], b[face]) for a, b in modulated])
            seen.append(whole)
            opaque.append(cover)
        maps = torch.stack(seen).transpose(1, 2).reshape(len(w), -1, SIDE, SIDE)
        picture = self.upsample(maps.contiguous(memory_format=torch.channels_last), w)
        return picture.to(w.dtype).movedim(1, -1), torch.stack(opaque).reshape(-1, SIDE, SIDE)

    def _rays(
        self, points: Tensor, depths: Tensor, modulated: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """What rays see (R, C) and their cover (R,), of one face's samples (R, S, 3).

        Beside the features stands where in the head the ray ends, encoded: a cell is four pixels
        wide, and the upsampler must know which part of it lies where.
        """
        inside = points.norm(dim=-1) < BALL
        at = points[inside]
        density, features = self.field(F.pad(at, (0, 0, 0, -len(at) % ROUND)), modulated)
        whole = points.new_zeros(inside.shape).masked_scatter(inside, density[: len(at)].to(points))
        shown = points.new_zeros(*inside.shape, FEATURES)
        shown = shown.masked_scatter(inside[..., None], features[: len(at)].to(points))
        gathered, cover = composite(whole[None], torch.cat([shown, points], -1)[None], depths[None])
        features = gathered[0, :, :FEATURES] + (1 - cover[0, :, None]) * self.ground
        return torch.cat([features, encoded(gathered[0, :, FEATURES:])], -1), cover[0]

    def field(
        self, points: Tensor, modulated: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Density (P,) and features (P, C) at points (P, 3) of one face."""
        place = x = encoded(points)
        for index, (weight, shift) in enumerate(modulated[:-1]):
            x = torch.cat([x, place], -1) if index == SKIP else x
            x = F.relu(F.linear(x, weight, shift))
        density = F.softplus(self.density(x)[:, 0].to(points) - 1) * 4
        return density, self.features(F.relu(F.linear(x, *modulated[-1])))
