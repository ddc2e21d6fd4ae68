"""Eyes, nose, mouth and ears, in the average head's space (mm; see shape.py)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from privhead_nb.heads.codes import Values
from privhead_nb.heads.primitives import (
    Number,
    bell,
    bell2,
    capsule,
    ellipsoid,
    gate,
    smooth_abs,
    smooth_max,
    smooth_min,
)
from privhead_nb.heads.shape import MOUTH_Y, jaw_drop

EYE_RADIUS = 12.0
EYE_Z = 72.0  # of the eyeballs' centres, which are at the height 0


class Eye(NamedTuple):
    """The eye at each point: (N,) tensors."""

    right: Tensor  # along the slit from its middle, outward, mm
    up: Tensor  # across the slit, mm
    opening: Tensor  # < 0 between the lids, about mm from the lid's edge
    upper: Tensor  # height above the upper lid's edge, mm
    ball: Tensor  # distance to the eyeball
    shell: Tensor  # distance to the lids' ball


def eye_x(v: Values) -> Tensor:
    """Where the left eyeball's centre lies (x > 0); the right one is its mirror."""
    return 31.0 + 2.8 * v["eye_spacing"]


def eye(x: Tensor, ax: Tensor, y: Tensor, z: Tensor, v: Values) -> Eye:
    """Almond between two lid curves, and the balls of eye and lids."""
    size = 1.0 + 0.10 * v["eye_size"]
    dx, dz = ax - eye_x(v), z - EYE_Z
    tilt = 0.05 + 0.11 * v["eye_tilt"]
    right, up = dx + tilt * y, y - tilt * dx
    left = gate(x, 0.0, 2.0)
    blink = v["blink_left"] * left + v["blink_right"] * (1.0 - left)
    squint = 0.22 * torch.clamp(v["smile"], min=0.0) + 0.15 * torch.clamp(v["frown"], min=0.0)
    wide = (14.2 + 1.5 * v["eye_width"]) * size
    high = (4.9 + 1.2 * v["upper_lid"]) * size
    low = (4.3 + 0.8 * v["lower_lid"]) * size
    closed = torch.clamp(blink, min=0.0)
    high_now = high * (1.0 - 0.22 * torch.clamp(blink, max=0.0)) * (1 - squint)
    high_now = high_now * (1 - closed) - closed * (low - 0.5)
    low_now = low * (1.0 - squint)
    t = right / wide
    # the upper lid peaks towards the nose, the lower one away from it
    upper = up - high_now * (1.0 - (t + 0.12 * (1.0 - t * t)) ** 2)
    lower = -low_now * (1.0 - (t - 0.10 * (1.0 - t * t)) ** 2) - up
    opening = smooth_max(upper, lower, 0.8) / (1.0 + 0.35 * t * t)
    opening = torch.maximum(opening, 0.6 * (right.abs() - wide))  # shut beyond the corners
    ball = torch.sqrt(dx * dx + y * y + dz**2 + 1e-9) - EYE_RADIUS
    cornea = torch.sqrt(dx * dx + y * y + (dz - 5.6) ** 2 + 1e-9) - 7.4
    shell = torch.sqrt((dx * 0.90) ** 2 + y * y + (dz + 0.6) ** 2 + 1e-9) - EYE_RADIUS - 2.3
    return Eye(right, up, opening, upper, smooth_min(ball, cornea, 1.5), shell)


def add_lids(head: Tensor, e: Eye, z: Tensor, v: Values) -> Tensor:
    """Blend the lids' ball into the face, fold the upper lid, cut the slit."""
    head = smooth_min(head, e.shell, 9.0)
    rise = 4.6 + 1.4 * v["lid_crease"]
    along = bell(e.right, 0.0, 14.0)
    front = gate(z, 68.0, 2.5)
    head = head + 1.3 * bell(e.upper, rise, 1.5) * along * front
    head = head - 0.9 * bell(e.upper, rise + 3.2, 2.6) * along * front
    return smooth_max(head, -smooth_max(e.opening, 70.0 - z, 2.0), 0.9)


def add_nose(
    head: Tensor, x: Tensor, ax: Tensor, y: Tensor, z: Tensor, v: Values
) -> tuple[Tensor, Tensor, Tensor]:
    """Bridge, tip, wings, septum and nostrils; also the solid nose and the nostrils alone."""
    out = 5.2 * v["nose_projection"]
    tip_y = -37.0 + 4.2 * v["nose_tip_lift"]
    tip_z = 104.5 + out
    bridge_z = 83.0 + 3.8 * v["nose_bridge_height"]
    thin = 5.4 + 1.5 * v["nose_bridge_width"]
    top = (0.0, 3.0, bridge_z)
    dorsum = capsule(x, y, z, top, (0.0, tip_y + 3, tip_z - 3.0), thin, 7.2)
    hump = 2.6 * v["nose_hump"] * bell(y, -14.0, 9.0) * bell(x, 0.0, 7.0)
    dorsum = dorsum - hump
    size = 8.6 + 1.8 * v["nose_tip_size"]
    tip = ellipsoid(x, y, z, (0.0, tip_y, tip_z - 1.0), (size * 1.06, size * 0.94, size))
    wing_x = 11.4 + 3.6 * v["nose_width"]
    wing_r = 7.0 + 1.3 * v["nostril_flare"]
    wing_y = -41.0 + 1.6 * v["nose_tip_lift"]
    wing = ellipsoid(ax, y, z, (wing_x, wing_y, 92.5 + 0.5 * out), (wing_r, 7.2, 10.5))
    septum = capsule(x, y, z, (0.0, tip_y - 5.0, tip_z - 2.0), (0.0, -47.5, 90.0), 4.0, 4.4)
    root = capsule(
        x, y, z, (0.0, 0.0, bridge_z - 7.0), (0.0, tip_y - 1.0, 89.0 + 0.6 * out), thin + 2.2, 11.5
    )
    dorsum = smooth_min(dorsum, root, 8.0)
    nose = smooth_min(smooth_min(smooth_min(dorsum, tip, 10.0), wing, 6.5), septum, 3.0)
    head = smooth_min(head, nose, 6.0)
    hole_x = 6.3 + 1.5 * v["nose_width"] + 0.6 * v["nostril_flare"]
    hole_at = (hole_x, wing_y - 4.4, 98.0 + 0.6 * out)
    hole_size = (3.2 + 0.6 * v["nostril_flare"], 4.6, 6.2)
    hole = ellipsoid(ax + 0.25 * (z - 96), y, z, hole_at, hole_size)
    return smooth_max(head, -hole, 1.6), nose, hole


class Mouth(NamedTuple):
    """The mouth at each point: (N,) tensors."""

    upper: Tensor  # distance to the upper lip's roll
    lower: Tensor  # distance to the lower lip's roll
    seam: Tensor  # distance to the slot between the lips
    u: Tensor  # 0 in the middle, 1 at a corner


def _roll(y: Tensor, z: Tensor, cy: Number, cz: Number, ry: Number, rz: Number) -> Tensor:
    """Distance to a roll along x that is an ellipse in y and z."""
    a, b = (y - cy) / ry, (z - cz) / rz
    k0 = torch.sqrt(a * a + b * b + 1e-6)
    a, b = a / ry, b / rz
    return k0 * (k0 - 1.0) / torch.sqrt(a * a + b * b + 1e-6)


def mouth(x: Tensor, y: Tensor, z: Tensor, v: Values) -> Mouth:
    """Two tapering rolls along the dental arch, with a slot between them."""
    wide = 25.5 + 3.8 * v["mouth_width"]
    ax = smooth_abs(x, 1.0)
    u = ax / wide
    u2 = (u * u).clamp(max=1.5)
    line = MOUTH_Y + 1.2 * bell(u, 0.0, 0.25) - 1.0 * bell(u, 0.45, 0.3) + 0.6 * u2
    taper = torch.clamp(1.0 - u2, min=0.004) ** 0.55
    full_upper = 4.3 + 1.7 * v["upper_lip"]
    full_lower = 5.1 + 2.0 * v["lower_lip"]
    bow = 1.0 + (0.16 + 0.12 * v["cupid_bow"]) * (bell(u, 0.24, 0.16) - 1.3 * bell(u, 0.0, 0.13))
    high = full_upper * taper * bow
    low = full_lower * taper * (1.0 - 0.18 * u2)
    arc = 86.6 - 0.0110 * x * x
    upper = _roll(y, z, line + 0.80 * high, arc - 0.2, high, 4.6 * taper + 0.8)
    lower = _roll(y, z, line - 0.84 * low, arc - 1.0, low, 5.2 * taper + 0.6)
    past = 6.0 * torch.clamp(u - 0.97, min=0.0)  # nothing beyond the corners
    upper, lower = upper + past * 4.0, lower + past * 4.0
    drop = jaw_drop(v)
    slot = (0.55 + 0.13 * drop) * taper
    depth = 2.2 + 0.9 * drop
    seam = _roll(y, z, line, arc + 3.2 - 0.55 * depth, slot, depth * taper**0.5)
    seam = seam + past * 4.0
    return Mouth(upper, lower, seam, u)


def add_mouth(head: Tensor, m: Mouth, x: Tensor, y: Tensor, z: Tensor, v: Values) -> Tensor:
    """Philtrum, lips, the fold under the lower lip, corners and the slot."""
    front = gate(z, 74.0, 4.0)
    deep = 0.9 + 0.7 * v["philtrum_depth"]
    groove = bell(x, 0.0, 2.8) - 0.7 * bell(smooth_abs(x, 0.5), 5.0, 2.2)
    head = head + deep * groove * bell(y, -56.5, 6.0) * front
    head = head + 1.8 * bell2(x, y, 0.0, -82.0, 17.0, 4.2) * front
    lips = smooth_min(m.upper, m.lower, 0.6)
    head = smooth_min(head, lips, 2.6)
    corner = bell2(smooth_abs(x, 1.0), y, 27.5 + 3.8 * v["mouth_width"], MOUTH_Y, 3.6, 4.5)
    head = head + 1.6 * corner * gate(z, 60.0, 4.0)
    return smooth_max(head, -m.seam, 1.0)


def teeth(x: Tensor, y: Tensor, z: Tensor, v: Values) -> Tensor:
    """Upper row of teeth; `y` is before the jaw's drop."""
    arc = 80.0 - 0.016 * x * x + 5.4 * v["mouth_protrusion"]
    gaps = 0.25 * torch.cos(x * (6.2832 / 8.0)) ** 8
    row = _roll(y, z, MOUTH_Y + 2.0, arc, 5.5, 2.4)
    return smooth_max(row + gaps, x.abs() - 19.0, 1.0)


def ear(ax: Tensor, y: Tensor, z: Tensor, v: Values) -> Tensor:
    """Distance to the ears: a tilted plate with helix, antihelix, concha and lobe."""
    size = 1.0 + 0.16 * v["ear_size"]
    cy = -9.0 + 4.0 * v["ear_height"]
    cx, cz = 74.0, -8.0
    open_angle = 0.50 + 0.22 * v["ear_angle"]
    dx, dy, dz = ax - cx, (y - cy) / size, z - cz
    # p runs back along the plate, q up, n out of it
    c, s = torch.cos(open_angle), torch.sin(open_angle)
    p, n = (-c * dz + s * dx) / size, c * dx + s * dz
    q = dy * 0.97 - 0.17 * p
    p = p + 0.17 * dy
    narrow = 15.5 + 0.12 * q  # wide above, narrow at the lobe
    a, b = p / narrow, q / 30.0
    rim = torch.sqrt(a * a + b * b + 1e-5)  # 0 in the ear's middle, 1 at its outline
    behind = gate(a + 0.35 * b, -0.45, 0.16)
    helix = bell(rim, 0.90, 0.13) * behind
    anti = bell(rim, 0.56, 0.13) * gate(a, 0.02, 0.10) * gate(b, -0.62, 0.12)
    concha = bell2(p, q, -2.0, -3.0, 7.5, 9.5)
    tragus = bell2(p, q, -11.5, -4.0, 3.6, 5.0)
    lobe = bell2(p, q, -4.0, -24.0, 8.0, 7.0)
    surface = 3.8 * helix + 3.4 * anti - 5.0 * concha + 3.0 * tragus + 1.2 * lobe
    thick = 2.2 + 0.9 * helix + 1.2 * lobe
    plate = (n - surface).abs() - thick
    outline = (rim - 1.0) * 15.0
    return smooth_max(plate, outline, 2.6) * 0.85
