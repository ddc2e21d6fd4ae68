"""The parametric head: four codes in; SDF, colour, labels, landmarks and a truth mesh out.

See docs/heads.md for what the codes mean and how the generator was checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from privhead_nb.heads.codes import (
    ALBEDO_NAMES,
    EXPRESSION_NAMES,
    IDENTITY_NAMES,
    Values,
    identity_codes,
    named_code,
)
from privhead_nb.heads.colour import albedo
from privhead_nb.heads.grid import SdfGrid, in_chunks, marching_cubes, sample_grid
from privhead_nb.heads.landmarks import face_landmarks
from privhead_nb.heads.light import light_code, shade, to_srgb
from privhead_nb.heads.surface import Surface, gloss, label, surface

GRID_SPACING = 1.5
FACE_RADIUS = 95.0


@dataclass(frozen=True, eq=False)
class Head:
    """One person with one expression in one light; mm, face to +z, up +y, left ear at +x.

    Everything is a differentiable function of the codes, in the codes' dtype.

    Args:
        identity: (64,) in [-1, 1], see IDENTITY_NAMES.
        albedo: (24,) in [-1, 1], see ALBEDO_NAMES.
        expression: (10,) in [-1, 1], see EXPRESSION_NAMES.
        light: (27,) spherical-harmonic coefficients, R then G then B.

    Raises:
        SceneError: a code of the wrong length or out of its range.
    """

    identity: Tensor
    albedo: Tensor
    expression: Tensor
    light: Tensor

    def __post_init__(self) -> None:
        _ = self.shape_values, self.colour_values
        light_code(self.light)

    @cached_property
    def shape_values(self) -> Values:
        """Identity and expression entries by name."""
        return named_code(self.identity, IDENTITY_NAMES, "identity") | named_code(
            self.expression, EXPRESSION_NAMES, "expression"
        )

    @cached_property
    def colour_values(self) -> Values:
        """Albedo entries by name."""
        return named_code(self.albedo, ALBEDO_NAMES, "albedo")

    def surface(self, points: Tensor) -> Surface:
        """Everything known at (N, 3) points; N in the ten thousands at most."""
        return surface(points, self.shape_values)

    def sdf(self, points: Tensor) -> Tensor:
        """(N, 3) mm -> (N,) mm, negative inside; a bound near, not exact far from the surface."""
        return in_chunks(lambda p: self.surface(p).sdf, points)

    def skin_sdf(self, points: Tensor) -> Tensor:
        """As `sdf`, without hair and eyeballs."""
        return in_chunks(lambda p: self.surface(p).skin, points)

    def normals(self, points: Tensor, step: float = 0.5) -> Tensor:
        """Unit outward normals (N, 3) by four taps of the SDF `step` mm away."""
        taps = _TETRAHEDRON.to(points)
        total = sum(self.sdf(points + step * t)[:, None] * t for t in taps)
        return torch.nn.functional.normalize(torch.as_tensor(total), dim=-1)

    def label(self, points: Tensor) -> Tensor:
        """Parsing label (N,) of surface points, an index into LABELS."""
        return in_chunks(lambda p: label(self.surface(p)), points)

    def reflectance(self, points: Tensor) -> Tensor:
        """Linear RGB albedo (N, 3) at surface points."""
        return in_chunks(lambda p: albedo(self.surface(p), self.colour_values), points)

    def colour(
        self, points: Tensor, normals: Tensor | None = None, view: Tensor | None = None
    ) -> Tensor:
        """sRGB colour (N, 3) in [0, 1] at surface points under the head's light.

        Args:
            points: (N, 3) mm.
            normals: (N, 3) unit; worked out if None.
            view: (N, 3) unit directions from the eye to the points; None leaves gloss out.
        """
        normals = self.normals(points) if normals is None else normals
        open_sky = torch.ones_like(points[:, 0])
        s = self.surface(points)
        painted = albedo(s, self.colour_values)
        return to_srgb(shade(painted, normals, open_sky, self.light, gloss(s), view))

    def landmarks(self) -> Tensor:
        """68 landmarks (68, 3) mm on the skin, in iBUG's order; hair may cover some."""
        return face_landmarks(self.shape_values)

    def nose_tip(self) -> Tensor:
        """(3,) mm, landmark 30."""
        return self.landmarks()[30]

    @cached_property
    def grid(self) -> SdfGrid:
        """The SDF on a grid of GRID_SPACING mm, made once."""
        return sample_grid(self.sdf, GRID_SPACING)

    def truth_mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Watertight mesh: vertices (N, 3) float64 mm and faces (M, 3) int64."""
        return marching_cubes(self.grid)


_TETRAHEDRON = torch.tensor(
    [[1.0, -1.0, -1.0], [-1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, 1.0, 1.0]]
) / (3.0**0.5)


def make_head(
    identity: int | Tensor,
    *,
    albedo: Tensor | None = None,
    expression: Tensor | None = None,
    light: str | Tensor = "studio",
) -> Head:
    """A head from a person's number, or from a code of one's own.

    Args:
        identity: an integer of 0 or more, or a code (64,).
        albedo: (24,); by default the person's own, or 0 where `identity` is a code.
        expression: (10,); by default a resting face.
        light: a name in LIGHTS, or 27 numbers.

    Raises:
        SceneError: a code of the wrong length or range, an unknown light.
    """
    if isinstance(identity, Tensor):
        shape, colour = identity, torch.zeros(len(ALBEDO_NAMES)).to(identity)
    else:
        shape, colour = identity_codes(identity)
    rest = torch.zeros(len(EXPRESSION_NAMES)).to(shape)
    return Head(
        identity=shape,
        albedo=colour if albedo is None else albedo,
        expression=rest if expression is None else expression,
        light=light_code(light).to(shape),
    )
