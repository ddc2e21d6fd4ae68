"""Reflectance of a head: skin, lips, brows, eyes and hair, painted from the albedo code."""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.heads.codes import Values
from privhead_nb.heads.primitives import bell, bell2, gate, noise
from privhead_nb.heads.surface import EYE, HAIR, TEETH, Surface

Rgb = tuple[float, float, float]

_SKIN_LIGHT = (0.80, 0.585, 0.46)  # linear reflectance of the lightest, middle and darkest skin
_SKIN_MIDDLE = (0.43, 0.225, 0.128)
_SKIN_DARK = (0.062, 0.032, 0.021)
_HAIR_DARK = (0.010, 0.0085, 0.008)
_HAIR_BROWN = (0.085, 0.040, 0.020)
_HAIR_LIGHT = (0.62, 0.44, 0.22)
_GREY = (0.46, 0.46, 0.47)
_TEETH = (0.72, 0.68, 0.58)


def _mix(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """(N, 3) colours between a and b, (N, 3) or (3,), by (N,) or 0-d share."""
    return a + (b - a) * share.reshape(-1, 1)


def _ramp(t: Tensor, low: Rgb, middle: Rgb, high: Rgb) -> Tensor:
    """Smooth colour ramp through three anchors at t = -1, 0, 1, in log reflectance: (3,)."""
    a, b, c = (_rgb(k, t).log() for k in (low, middle, high))
    return torch.exp(b + t * (c - a) / 2 + t * t * ((a + c) / 2 - b))


def skin_colour(a: Values) -> Tensor:
    """Mean skin reflectance, linear RGB (3,)."""
    base = _ramp(a["skin_tone"], _SKIN_DARK, _SKIN_MIDDLE, _SKIN_LIGHT)
    warm = _rgb((0.05, 0.035, -0.10), base)  # olive and yellow against pink
    base = base * torch.exp(warm * a["skin_undertone"] * 1.2)
    grey = base.mean()
    return grey + (base - grey) * (1.0 + 0.14 * a["skin_saturation"])


def hair_colour(a: Values, greying: float = 0.85) -> Tensor:
    """Mean hair reflectance, linear RGB (3,); `greying` is how far grey hair goes."""
    base = _ramp(a["hair_lightness"], _HAIR_DARK, _HAIR_BROWN, _HAIR_LIGHT)
    red = _rgb((0.55, 0.0, -0.35), base)
    base = base * torch.exp(red * gate(a["hair_redness"], 0.5, 0.12))
    grey = gate(a["hair_grey"], 0.72, 0.08)
    return base + (_rgb(_GREY, base) - base) * greying * grey


def _rgb(values: Rgb, like: Tensor) -> Tensor:
    return torch.tensor(values).to(like)


def _darken(colour: Tensor, amount: Tensor, rgb: Rgb) -> Tensor:
    """Colours (N, 3) after absorption `amount` (N,) x `rgb`."""
    return colour * torch.exp(-amount[:, None] * _rgb(rgb, colour))


def albedo(s: Surface, a: Values) -> Tensor:
    """Linear reflectance at surface points: (N, 3) in (0, 1).

    Texture is anchored to the average head's space, so that it moves with the face.
    """
    hair, beard_hair = hair_colour(a), hair_colour(a, 0.15)
    colour = _beard(s, a, _spots(s, a, _flesh(s, a)), beard_hair)
    colour = _lips(s, a, colour)
    colour = _brows_and_lashes(s, a, colour, hair, beard_hair)
    colour = torch.where((s.part == EYE)[:, None], _eye_colour(s, a), colour)
    colour = torch.where((s.part == TEETH)[:, None], _rgb(_TEETH, colour), colour)
    tress = _tress(s, a, colour, hair)
    return torch.where((s.part == HAIR)[:, None], tress, colour).clamp(0.004, 0.95)


def _texture_place(s: Surface, a: Values) -> tuple[Tensor, Tensor, Tensor]:
    """Where to look up skin texture: shifted by the person's phases."""
    return s.x + 61 * a["texture_phase_a"], s.y + 47 * a["texture_phase_b"], s.z


def _flesh(s: Surface, a: Values) -> Tensor:
    """Skin with blood in cheeks, nose and ears, and three bands of texture: (N, 3)."""
    skin = skin_colour(a)
    # red shows through pale skin more
    blood = _rgb((-0.06, -0.34, -0.26), skin) * (0.3 + 0.7 * gate(a["skin_tone"], -0.2, 0.2))
    cheek = bell2(s.ax, s.y, 40.0, -34.0, 17.0, 15.0) * gate(s.z, 30.0, 8.0)
    nose_end = bell2(s.x, s.y, 0.0, -38.0, 15.0, 11.0) * gate(s.z, 80.0, 6.0)
    flush = 0.55 * (1 + a["blush"]) * cheek + 0.5 * (1 + a["nose_redness"]) * nose_end
    flush = flush + 0.55 * gate(-s.ear, -2.0, 1.0)
    px, py, pz = _texture_place(s, a)
    stretch = 1.0 + 0.25 * a["texture_scale"]
    strength = 0.6 + 0.4 * a["texture_strength"]
    mottle = noise(px, py, pz, 24.0 * stretch, 3)
    blotch = noise(px, py, pz, 9.0 * stretch, 4)
    pores = noise(px, py, pz, 3.6, 5)
    flush = flush + strength * (0.20 * mottle + 0.12 * blotch)
    tint = strength * (0.050 * mottle + 0.065 * blotch + 0.045 * pores)
    return skin.expand(len(s.x), 3) * torch.exp(flush[:, None] * blood + tint[:, None])


def _spots(s: Surface, a: Values, colour: Tensor) -> Tensor:
    """Freckles over nose and cheeks, moles anywhere, shade around the eyes."""
    px, py, pz = _texture_place(s, a)
    zone = bell2(s.ax, s.y, 22.0, -26.0, 34.0, 20.0) + 0.25
    many = gate(a["freckles"], 0.40, 0.15)
    spots = gate(noise(px + 11, py, pz, 4.4, 6), 1.2 - 0.45 * a["freckles"], 0.2)
    colour = _darken(colour, 0.70 * many * zone * spots, (0.45, 0.8, 1.0))
    mole = gate(noise(px, py + 23, pz, 11.0, 7), 2.98 - 0.42 * a["moles"], 0.045)
    colour = _darken(colour, 1.3 * mole, (0.8, 1.1, 1.2))
    front = gate(s.z, 60.0, 5.0)
    under = bell2(s.ax, s.y, 30.0, -10.0, 13.0, 7.0)
    under = under + 0.7 * bell2(s.ax, s.y, 31.0, 8.0, 15.0, 6.0)
    colour = _darken(colour, 0.13 * (1.1 + a["eye_shadow"]) * under * front, (0.7, 1.0, 0.8))
    socket = bell2(s.ax, s.y, 28.0, 5.0, 17.0, 9.0) * front
    return _darken(colour, 0.30 * socket, (1.0, 1.0, 1.0))


def _beard(s: Surface, a: Values, colour: Tensor, beard_hair: Tensor) -> Tensor:
    """Stubble on jaw and upper lip; dark nostrils."""
    edge = 52.0 - 8 * bell(s.ax, 50.0, 16.0)
    jaw = gate(-s.y, edge, 4.0) * gate(s.y, -122.0, 6.0) * gate(s.z, 12.0, 8.0)
    jaw = jaw * (1 - 0.8 * bell2(s.ax, s.y, 24.0, -52.0, 12.0, 6.0))
    grain = 0.75 + 0.25 * noise(s.x, s.y, s.z, 3.2, 1)
    beard = (0.62 * gate(a["stubble"], 0.35, 0.12) * jaw * grain).clamp(0, 1)
    shaft = torch.minimum(beard_hair, 0.6 * skin_colour(a))
    colour = _mix(colour, colour * 0.3 + 0.7 * shaft, beard)
    return _darken(colour, 1.6 * gate(-s.nostril, -0.9, 0.4), (1.0, 1.0, 1.0))


def _lips(s: Surface, a: Values, colour: Tensor) -> Tensor:
    """Lips with fine upright creases; the slot between them."""
    skin = skin_colour(a)
    red = _rgb((0.12, -0.50, -0.32), skin) * (0.75 + 0.55 * a["lip_redness"])
    lip = skin * torch.exp(red) * torch.exp(-0.30 - 0.38 * a["lip_darkness"])
    creases = torch.exp(0.10 * noise(2.2 * s.x, 0.6 * s.y, s.z, 4.0, 2))
    colour = _mix(colour, lip * creases[:, None], s.lip)
    return _mix(colour, _rgb((0.10, 0.018, 0.016), skin), gate(-s.seam, -0.35, 0.25))


def _brows_and_lashes(s: Surface, a: Values, colour: Tensor, hair: Tensor, beard: Tensor) -> Tensor:
    skin = skin_colour(a)
    brow_hair = torch.minimum(beard * torch.exp(-0.35 - 0.55 * a["brow_darkness"]), 0.13 * skin)
    thick = 1.08 + 0.26 * a["brow_thickness"]
    brow = gate(s.brow, 1.0 - 0.5 * thick, 0.10) * (0.88 + 0.09 * a["brow_density"])
    stroke = 0.90 + 0.14 * noise(s.x + 0.7 * s.y, 0.3 * s.y, s.z, 3.0, 0)
    colour = _mix(colour, brow_hair, brow * stroke.clamp(0, 1))
    upper, slit = s.eye.upper, s.eye.opening
    lash = gate(upper, -0.25, 0.2) * gate(-upper, -1.9, 0.3) * s.lid_zone
    lash = lash + 0.45 * gate(slit, -0.2, 0.2) * gate(-slit, -0.9, 0.2) * s.lid_zone
    lash_hair = 0.25 * torch.minimum(hair, skin * 0.4)
    return _mix(colour, lash_hair, 0.85 * lash.clamp(0, 1))


def _tress(s: Surface, a: Values, colour: Tensor, hair: Tensor) -> Tensor:
    """Hair: light ridges, dark grooves, grey locks; shorn hair lets the scalp show."""
    contrast = a["hair_contrast"]
    locks = (0.16 + 0.10 * contrast) * s.strands
    locks = locks + 0.22 * contrast.abs() * noise(s.x, 0.3 * s.y, s.z, 18.0, 4)
    grey_lock = 0.30 * gate(a["hair_grey"], 0.45, 0.1) * gate(s.strands, 0.7, 0.25)
    tress = _mix(hair * torch.exp(locks)[:, None], _rgb(_GREY, hair), grey_lock)
    bald = gate(-s.hair_thickness, -2.6, 0.5)
    return _mix(tress, torch.exp(0.5 * (tress.log() + colour.log())), 0.75 * bald)


def _eye_colour(s: Surface, a: Values) -> Tensor:
    """White, iris with a dark rim, pupil: (N, 3)."""
    r = torch.sqrt(s.eye.right**2 + (s.eye.up - 0.2) ** 2 + 1e-6)
    hue, light = a["iris_hue"], a["iris_lightness"]
    brown = _rgb((0.10, 0.042, 0.016), r) * torch.exp(0.7 * light)
    blue = _rgb((0.12, 0.21, 0.32), r) * torch.exp(0.5 * light)
    green = _rgb((0.13, 0.17, 0.07), r) * torch.exp(0.5 * light)
    iris = brown + (green - brown) * gate(hue, 0.2, 0.1) + (blue - green) * gate(hue, 0.6, 0.1)
    spokes = torch.exp(0.25 * torch.cos(13 * torch.atan2(s.eye.up, s.eye.right + 1e-6)))
    iris = iris * (spokes * (1.0 - 0.55 * gate(r, 5.3, 0.3)))[:, None]
    iris = _mix(iris, torch.full_like(iris, 0.006), gate(-r, -2.6, 0.15))
    corner = gate(s.eye.right.abs(), 11.5, 1.0)
    ball = _mix(_rgb((0.52, 0.475, 0.45), r), _rgb((0.42, 0.20, 0.17), r), 0.6 * corner)
    ball = _mix(ball, iris, gate(-r, -6.1, 0.18))
    return ball * (1.0 - 0.55 * gate(s.eye.upper, -2.0, 0.6))[:, None]  # the lid's shadow
