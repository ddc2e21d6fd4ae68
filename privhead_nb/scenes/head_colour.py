"""Colour of a head: albedo from the code, shading from spherical-harmonic light."""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.scenes.head_codes import Values, sh_basis
from privhead_nb.scenes.head_primitives import bell, bell2, gate, noise
from privhead_nb.scenes.head_surface import Surface

_SKIN_LIGHT = (0.80, 0.585, 0.46)  # linear reflectance of the lightest, middle and darkest skin
_SKIN_MIDDLE = (0.43, 0.225, 0.128)
_SKIN_DARK = (0.062, 0.032, 0.021)
_HAIR_DARK = (0.010, 0.0085, 0.008)
_HAIR_BROWN = (0.085, 0.040, 0.020)
_HAIR_LIGHT = (0.62, 0.44, 0.22)
_GREY = (0.46, 0.46, 0.47)


def _mix(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """(N, 3) colours between a and b by (N,) or 0-d share."""
    return a + (b - a) * share.reshape(-1, 1)


def _ramp(t: Tensor, low: tuple[float, ...], middle: tuple[float, ...], high: tuple[float, ...]) -> Tensor:
    """Smooth colour ramp through three anchors at t = -1, 0, 1, in log reflectance: (3,)."""
    a, b, c = (torch.tensor(k).to(t).log() for k in (low, middle, high))
    return torch.exp(b + t * (c - a) / 2 + t * t * ((a + c) / 2 - b))


def skin_colour(a: Values) -> Tensor:
    """Mean skin reflectance, linear RGB (3,)."""
    base = _ramp(a["skin_tone"], _SKIN_DARK, _SKIN_MIDDLE, _SKIN_LIGHT)
    warm = torch.tensor([0.05, 0.035, -0.10]).to(base)  # olive and yellow against pink
    base = base * torch.exp(warm * a["skin_undertone"] * 1.2)
    grey = base.mean()
    return grey + (base - grey) * (1.0 + 0.14 * a["skin_saturation"])


def hair_colour(a: Values, greying: float = 0.85) -> Tensor:
    """Mean hair reflectance, linear RGB (3,); `greying` is how far grey hair goes."""
    base = _ramp(a["hair_lightness"], _HAIR_DARK, _HAIR_BROWN, _HAIR_LIGHT)
    red = torch.tensor([0.55, 0.0, -0.35]).to(base)
    base = base * torch.exp(red * gate(a["hair_redness"], 0.5, 0.12))
    grey = gate(a["hair_grey"], 0.72, 0.08)
    return base + (torch.tensor(_GREY).to(base) - base) * greying * grey


def albedo(s: Surface, a: Values) -> Tensor:
    """Linear reflectance at surface points: (N, 3) in (0, 1).

    Texture is anchored to the average head's space, so that it moves with the face.
    """
    x, ax, y, z = s.x, s.ax, s.y, s.z
    skin = skin_colour(a)
    colour = skin.expand(len(x), 3)
    # where blood shows: cheeks, nose, ears
    blood = torch.tensor([-0.06, -0.34, -0.26]).to(skin) * (0.3 + 0.7 * gate(a["skin_tone"], -0.2, 0.2))
    cheek = bell2(ax, y, 40.0, -34.0, 17.0, 15.0) * gate(z, 30.0, 8.0)
    nose_end = bell2(x, y, 0.0, -38.0, 15.0, 11.0) * gate(z, 80.0, 6.0)
    flush = 0.55 * (1 + a["blush"]) * cheek + 0.5 * (1 + a["nose_redness"]) * nose_end
    flush = flush + 0.55 * gate(-s.ear, -2.0, 1.0)
    # mottling and pores, each a band of frequencies, shifted by the person's phases
    px, py, pz = x + 61 * a["texture_phase_a"], y + 47 * a["texture_phase_b"], z
    stretch = 1.0 + 0.25 * a["texture_scale"]
    strength = 0.6 + 0.4 * a["texture_strength"]
    mottle = noise(px, py, pz, 24.0 * stretch, 3)
    blotch = noise(px, py, pz, 9.0 * stretch, 4)
    pores = noise(px, py, pz, 3.6, 5)
    flush = flush + strength * (0.20 * mottle + 0.12 * blotch)
    shade = strength * (0.050 * mottle + 0.065 * blotch + 0.045 * pores)
    colour = colour * torch.exp(flush[:, None] * blood + shade[:, None])
    # freckles over nose and cheeks, moles anywhere
    zone = bell2(ax, y, 22.0, -26.0, 34.0, 20.0) + 0.25
    many = gate(a["freckles"], 0.40, 0.15)
    spots = gate(noise(px + 11, py, pz, 4.4, 6), 1.2 - 0.45 * a["freckles"], 0.2)
    colour = colour * torch.exp(-(0.70 * many * zone * spots)[:, None] * torch.tensor([0.45, 0.8, 1.0]).to(skin))
    mole = gate(noise(px, py + 23, pz, 11.0, 7), 2.98 - 0.42 * a["moles"], 0.045)
    colour = colour * torch.exp(-(1.3 * mole)[:, None] * torch.tensor([0.8, 1.1, 1.2]).to(skin))
    # darker lids and under-eyes, darker folds
    under = bell2(ax, y, 30.0, -10.0, 13.0, 7.0) + 0.7 * bell2(ax, y, 31.0, 8.0, 15.0, 6.0)
    colour = colour * torch.exp(-(0.13 * (1.1 + a["eye_shadow"]) * under * gate(z, 60.0, 5.0))[:, None] * torch.tensor([0.7, 1.0, 0.8]).to(skin))
    socket = bell2(ax, y, 28.0, 5.0, 17.0, 9.0) * gate(z, 60.0, 5.0)
    colour = colour * torch.exp(-0.30 * socket)[:, None]
    hair, beard_hair = hair_colour(a), hair_colour(a, 0.15)
    # beard shadow
    jaw = gate(-y, 52.0 - 8 * bell(ax, 50.0, 16.0), 4.0) * gate(y, -122.0, 6.0) * gate(z, 12.0, 8.0)
    jaw = jaw * (1 - 0.8 * bell2(ax, y, 24.0, -52.0, 12.0, 6.0))
    grain = 0.75 + 0.25 * noise(x, y, z, 3.2, 1)
    beard = 0.62 * gate(a["stubble"], 0.35, 0.12) * jaw * grain
    colour = _mix(colour, colour * 0.3 + 0.7 * torch.minimum(beard_hair, 0.6 * skin), beard.clamp(0, 1))
    colour = colour * torch.exp(-1.6 * gate(-s.nostril, -0.9, 0.4))[:, None]
    # lips
    red = torch.tensor([0.12, -0.50, -0.32]).to(skin)
    lip = skin * torch.exp(red * (0.75 + 0.55 * a["lip_redness"])) * torch.exp(-0.30 - 0.38 * a["lip_darkness"])
    lip = lip * torch.exp(0.10 * noise(2.2 * x, 0.6 * y, z, 4.0, 2))[:, None]
    colour = _mix(colour, lip, s.lip)
    inside = torch.tensor([0.10, 0.018, 0.016]).to(skin)
    colour = _mix(colour, inside.expand_as(colour), gate(-s.seam, -0.35, 0.25))
    # brows
    brow_hair = beard_hair * torch.exp(-0.35 - 0.55 * a["brow_darkness"])
    brow_hair = torch.minimum(brow_hair, 0.13 * skin)
    thick = 1.08 + 0.26 * a["brow_thickness"]
    brow = gate(s.brow, 1.0 - 0.5 * thick, 0.10) * (0.88 + 0.09 * a["brow_density"])
    brow = brow * (0.90 + 0.14 * noise(x + 0.7 * y, 0.3 * y, z, 3.0, 0)).clamp(0, 1)
    colour = _mix(colour, brow_hair.expand_as(colour), brow)
    # lashes
    lash = gate(s.upper_lid, -0.25, 0.2) * gate(-s.upper_lid, -1.9, 0.3) * s.lid_zone
    lash = lash + 0.45 * gate(s.lid, -0.2, 0.2) * gate(-s.lid, -0.9, 0.2) * s.lid_zone
    colour = _mix(colour, (0.25 * torch.minimum(hair, skin * 0.4)).expand_as(colour), 0.85 * lash.clamp(0, 1))
    colour = torch.where((s.part == 1)[:, None], _eye_colour(s, a), colour)
    colour = torch.where((s.part == 3)[:, None], torch.tensor([0.72, 0.68, 0.58]).to(skin).expand_as(colour), colour)
    locks = (0.16 + 0.10 * a["hair_contrast"]) * s.strands + 0.22 * a["hair_contrast"].abs() * noise(x, 0.3 * y, z, 18.0, 4)
    grey_lock = 0.30 * gate(a["hair_grey"], 0.45, 0.1) * gate(s.strands, 0.7, 0.25)
    tress = _mix(hair * torch.exp(locks)[:, None], torch.tensor(_GREY).to(hair).expand_as(colour), grey_lock)
    bald = gate(-s.hair_thickness, -2.6, 0.5)  # shorn hair lets the scalp show
    tress = _mix(tress, torch.exp(0.5 * (tress.log() + colour.log())), 0.75 * bald.expand(len(x)))
    return torch.where((s.part == 2)[:, None], tress, colour).clamp(0.004, 0.95)


def _eye_colour(s: Surface, a: Values) -> Tensor:
    """White, iris with a dark rim, pupil: (N, 3)."""
    r = torch.sqrt(s.eye_right**2 + (s.eye_up - 0.2) ** 2 + 1e-6)
    white = torch.tensor([0.52, 0.475, 0.45]).to(r)
    light = a["iris_lightness"]
    brown = torch.tensor([0.10, 0.042, 0.016]).to(r) * torch.exp(0.7 * light)
    blue = torch.tensor([0.12, 0.21, 0.32]).to(r) * torch.exp(0.5 * light)
    green = torch.tensor([0.13, 0.17, 0.07]).to(r) * torch.exp(0.5 * light)
    hue = a["iris_hue"]
    iris = brown + (green - brown) * gate(hue, 0.2, 0.1) + (blue - green) * gate(hue, 0.6, 0.1)
    spokes = torch.exp(0.25 * torch.cos(13 * torch.atan2(s.eye_up, s.eye_right + 1e-6)))
    iris = iris * (spokes * (1.0 - 0.55 * gate(r, 5.3, 0.3)))[:, None]
    iris = _mix(iris, torch.full_like(iris, 0.006), gate(-r, -2.6, 0.15))
    corner = gate(s.eye_right.abs(), 11.5, 1.0)
    ball = _mix(white.expand_as(iris), torch.tensor([0.42, 0.20, 0.17]).to(r).expand_as(iris), 0.6 * corner)
    ball = _mix(ball, iris, gate(-r, -6.1, 0.18))
    return ball * (1.0 - 0.55 * gate(s.upper_lid, -2.0, 0.6))[:, None]  # the lid's shadow


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
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    )
