"""The head model: a signed distance field, a colour network and the scale of the density."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from privhead_nb.field.density import Beta
from privhead_nb.field.radiance import ColourNetwork
from privhead_nb.field.sdf import GridField, MLPField
from privhead_nb.kernels.grid_encoding import GridLayout

SIZES = {
    "channels": (1, 64),
    "max_entries": (8, 2**26),
    "degree": (1, 2),
    "width": (1, 1024),
    "depth": (1, 32),
    "features": (1, 1024),
    "frequencies": (0, 32),
    "colour_width": (1, 1024),
    "colour_depth": (1, 32),
    "view_frequencies": (-1, 32),
}
"""Smallest and largest of each, so that a wrong file isn't answered with all memory."""
MOST_NUMBERS = 2**28  # of a grid: 1 GB


@dataclass(frozen=True)
class FieldSettings:
    """What the model is made of.

    Args:
        kind: "grid" (feature grid and small head) or "mlp" (VolSDF's network).
        resolutions, channels, max_entries: the grid's levels; larger ones are hashed.
        degree: of the splines between the grid's points: 1 (trilinear) or 2, without creases.
        width, depth: hidden units and layers of the field ("grid" has one hidden layer).
        features: numbers that the field hands to the colour network.
        frequencies: octaves of the "mlp" field's encoding.
        sphere: radius of the starting sphere, in unit-sphere coordinates.
        colour_width, colour_depth: hidden units and layers of the colour network.
        view_frequencies: octaves of the viewing direction; -1 leaves it out.
        learned_beta: beta is trained (VolSDF) or set by each stage's schedule.
        beta: first beta.
    """

    kind: str = "grid"
    resolutions: tuple[int, ...] = (12, 24, 48, 80)
    channels: int = 4
    max_entries: int = 2**20
    degree: int = 1
    width: int = 64
    depth: int = 1
    features: int = 15
    frequencies: int = 6
    sphere: float = 0.55
    colour_width: int = 64
    colour_depth: int = 2
    view_frequencies: int = 0
    learned_beta: bool = False
    beta: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in ("grid", "mlp"):
            raise ValueError(f"FieldSettings.kind is {self.kind!r}; use 'grid' or 'mlp'")
        if self.kind == "grid" and self.depth != 1:
            raise ValueError(f"the grid field has one hidden layer, not depth={self.depth}")
        if not 0 < self.sphere < 1 or self.beta <= 0:
            raise ValueError(f"sphere {self.sphere} must be in (0, 1), beta {self.beta} positive")
        object.__setattr__(self, "resolutions", tuple(self.resolutions))
        for name, (low, high) in SIZES.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}, not {low} to {high}")
        if not self.resolutions or min(self.resolutions) <= self.degree:
            raise ValueError(
                f"resolutions are {self.resolutions}; each must be {self.degree + 1} or more"
            )
        entries = sum(min(r**3, self.max_entries) for r in self.resolutions)
        if self.channels * entries > MOST_NUMBERS:
            raise ValueError(f"resolutions {self.resolutions}: {entries:,} entries are too many")


class HeadModel(nn.Module):
    """Field, colour network and beta, trained together.

    Args:
        settings: sizes.
        seed: of the start values.
    """

    def __init__(self, settings: FieldSettings = FieldSettings(), *, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        # nn.Linear draws from the global generator: fork it, so that a model depends on its seed
        # alone and leaves no trace.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.field = _build_field(settings, torch.Generator().manual_seed(seed))
            self.colour = ColourNetwork(
                settings.features,
                width=settings.colour_width,
                depth=settings.colour_depth,
                view_frequencies=settings.view_frequencies,
            )
        self.beta = Beta(settings.beta, learned=settings.learned_beta)

    def sdf(self, points: Tensor) -> Tensor:
        """Signed distance at points (N, 3) in unit-sphere coordinates -> (N,)."""
        return self.field.sdf(points)


def _build_field(settings: FieldSettings, generator: torch.Generator) -> GridField | MLPField:
    if settings.kind == "grid":
        return GridField(
            GridLayout(
                settings.resolutions, settings.channels, settings.max_entries, settings.degree
            ),
            width=settings.width,
            features=settings.features,
            sphere=settings.sphere,
            generator=generator,
        )
    return MLPField(
        width=settings.width,
        depth=settings.depth,
        frequencies=settings.frequencies,
        features=settings.features,
        sphere=settings.sphere,
        generator=generator,
    )
