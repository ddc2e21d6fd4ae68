"""Light on a head: 27 spherical-harmonic numbers, presets, and shading with them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from privhead_nb.errors import SceneError, check_choice

LIGHT_SIZE = 27


def sh_basis(directions: Tensor) -> Tensor:
    """Real spherical harmonics up to degree 2: (..., 3) unit vectors -> (..., 9).

    Order: 1; y, z, x; xy, yz, 3z^2 - 1, xz, x^2 - y^2, each orthonormal on the sphere.
    """
    x, y, z = directions.unbind(-1)
    return torch.stack(
        [
            torch.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        dim=-1,
    )


def _lights(ambient: tuple[float, float, float], *lamps: tuple[float, ...]) -> Tensor:
    """Radiance in spherical harmonics of an even surround and lamps (x, y, z, r, g, b).

    A lamp gives irradiance (r, g, b) x pi on a surface that faces it.
    """
    coefficients = torch.zeros(9, 3)
    coefficients[0] = torch.tensor(ambient) / 0.282095
    for x, y, z, r, g, b in lamps:
        length = math.sqrt(x * x + y * y + z * z)
        direction = torch.tensor([x / length, y / length, z / length])
        coefficients += sh_basis(direction)[:, None] * torch.tensor([r, g, b]) * math.pi
    return coefficients.T.reshape(-1)


LIGHTS: dict[str, Tensor] = {
    "studio": _lights(
        (0.46, 0.46, 0.47),
        (-0.5, 0.65, 0.8, 0.80, 0.78, 0.75),
        (0.9, 0.1, 0.4, 0.22, 0.23, 0.26),
    ),
    "even": _lights((0.85, 0.85, 0.85)),
    "left": _lights((0.24, 0.24, 0.25), (1.0, 0.25, 0.45, 1.00, 0.98, 0.95)),
    "right": _lights((0.24, 0.24, 0.25), (-1.0, 0.25, 0.45, 1.00, 0.98, 0.95)),
    "top": _lights((0.34, 0.34, 0.35), (0.0, 1.0, 0.45, 1.00, 1.00, 0.98)),
    "warm": _lights((0.48, 0.39, 0.30), (-0.5, 0.5, 0.9, 0.84, 0.66, 0.46)),
    "cool": _lights((0.38, 0.43, 0.52), (0.5, 0.5, 0.9, 0.60, 0.68, 0.80)),
    "dim": _lights((0.18, 0.18, 0.19), (-0.3, 0.5, 0.9, 0.30, 0.29, 0.27)),
    "outdoor": _lights(
        (0.52, 0.56, 0.64),
        (0.6, 0.9, 0.6, 0.90, 0.84, 0.70),
        (0.0, -1.0, 0.2, 0.12, 0.10, 0.07),
    ),
    "back": _lights(
        (0.38, 0.38, 0.40),
        (-0.4, 0.5, -0.9, 0.75, 0.75, 0.72),
        (0.3, 0.3, 0.9, 0.32, 0.32, 0.32),
    ),
}
"""Named lights: 27 numbers each, three runs (R, G, B) of nine spherical-harmonic coefficients.

Left and right are the person's own: the face looks to +z, and +x is its left side.
"""


def light_code(light: str | Tensor) -> Tensor:
    """A named light, or 27 finite numbers of one's own.

    Raises:
        SceneError: unknown name, wrong length, or not finite.
    """
    if isinstance(light, str):
        check_choice("light", light, LIGHTS, where="light", error=SceneError)
        return LIGHTS[light].clone()
    if light.shape != (LIGHT_SIZE,) or not bool(torch.isfinite(light).all()):
        raise SceneError(
            f"is not {LIGHT_SIZE} finite numbers (shape {tuple(light.shape)})",
            where="light code",
            remedy="Give 9 spherical-harmonic coefficients for R, then G, then B.",
        )
    return light


def shade(
    reflectance: Tensor,
    normals: Tensor,
    occlusion: Tensor,
    light: Tensor,
    gloss: Tensor,
    view: Tensor | None = None,
) -> Tensor:
    """Light reflected to the eye, linear RGB (N, 3).

    Diffuse: irradiance from degree-2 harmonics (Ramamoorthi and Hanrahan 2001: factors 1, 2/3, 1/4
    per degree, after division by pi). Gloss: the same harmonics seen in the mirror direction.

    Args:
        reflectance: (N, 3) linear albedo.
        normals: (N, 3) unit.
        occlusion: (N,) 1 = open to the sky, 0 = shut in.
        light: (27,).
        gloss: (N,) strength of the mirror term, 0 to 1; above 1, the rest is a sharp highlight.
        view: (N, 3) unit directions from the eye to the points; None leaves gloss out.
    """
    harmonics = light.reshape(3, 9).T.to(normals)
    band = torch.tensor([1.0] + [2 / 3] * 3 + [1 / 4] * 5).to(normals)
    irradiance = (sh_basis(normals) * band) @ harmonics
    irradiance = torch.nn.functional.softplus(irradiance, beta=30.0) * occlusion[:, None]
    colour = reflectance * irradiance
    if view is None:
        return colour
    facing = -(normals * view).sum(-1, keepdim=True)
    mirror = view + 2 * facing * normals
    radiance = torch.nn.functional.softplus((sh_basis(mirror) * band.sqrt()) @ harmonics, beta=30.0)
    lamp = harmonics[[3, 1, 2]].sum(-1)
    lamp = lamp / (lamp.norm() + 1e-6)
    spark = torch.exp(60.0 * ((mirror * lamp).sum(-1, keepdim=True) - 1.0))
    fresnel = 0.04 + 0.3 * (1 - facing.clamp(0, 1)) ** 5
    sheen = fresnel * gloss[:, None].clamp(max=1.0) * radiance * radiance
    sheen = sheen + 1.5 * (gloss[:, None] - 1.0).clamp(min=0.0) * spark * radiance
    return colour + sheen * occlusion[:, None]


def to_srgb(linear: Tensor) -> Tensor:
    """Linear light to sRGB values in [0, 1]."""
    linear = linear.clamp(0.0, 1.0)
    return torch.where(
        linear <= 0.0031308,
        12.92 * linear,
        1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055,
    )


def to_linear(srgb: Tensor) -> Tensor:
    """sRGB values in [0, 1] to linear light."""
    srgb = srgb.clamp(0.0, 1.0)
    return torch.where(
        srgb <= 0.04045, srgb / 12.92, ((srgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    )
