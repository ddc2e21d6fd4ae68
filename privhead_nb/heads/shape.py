"""The bare head: skull, jaw, neck, and the warps that make one canonical head into many.

A point goes through `undo_identity` and `undo_expression` first: smooth shifts to the average head
(a wide jaw is the average jaw seen through a squeeze). There the average head is a union of
ellipsoids and capsules. All in mm, origin between the eyes' height and the head's axis, face to +z,
up +y, and +x the person's left.
"""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.heads.codes import Values
from privhead_nb.heads.primitives import (
    bell,
    bell2,
    capsule,
    ellipsoid,
    gate,
    smooth_abs,
    smooth_max,
    smooth_min,
)

MOUTH_Y = -68.0
JAW_DROP = 10.0
NECK_END = -158.0


def jaw_drop(v: Values) -> Tensor:
    """How far the lower lip and chin sink, in mm."""
    return JAW_DROP * torch.clamp(v["jaw_open"], min=0.0)


def undo_expression(x: Tensor, y: Tensor, z: Tensor, v: Values) -> tuple[Tensor, Tensor, Tensor]:
    """Move points of the average head back to where they are on its resting face."""
    ax = smooth_abs(x)
    side = x / ax
    front = gate(z, 22.0, 12.0)
    drop = jaw_drop(v) * front
    drop = drop * gate(y, -134.0, 5.0)  # the neck's end stays
    y = y + drop * gate(MOUTH_Y - 0.5 * drop - y, 0.0, 2.65)
    corner = bell2(ax, y, 30.0, MOUTH_Y + 4, 17.0, 15.0) * front
    smile, pout = v["smile"], v["pout"]
    y = y - (6.0 * smile - 0.5 * pout) * corner
    x = x - side * (5.0 * smile - 5.5 * pout) * corner * (ax / 30.0).clamp(max=1.2)
    apple = bell2(ax, y, 38.0, -34.0, 15.0, 14.0) * front
    z = z - (4.0 * smile - 1.2 * pout) * apple + 2.2 * smile * corner
    y = y - 2.4 * smile * apple
    z = z - 4.5 * pout * bell2(ax, y, 0.0, MOUTH_Y, 17.0, 13.0) * front
    brow = bell2(ax, y, 30.0, 19.0, 30.0, 13.0) * front
    inner = bell2(ax, y, 8.0, 17.0, 13.0, 13.0) * front
    frown = v["frown"]
    y = y - 5.5 * v["brow_raise"] * brow + 5.0 * frown * inner
    x = x + side * 3.0 * frown * inner * (ax / 8.0).clamp(max=1.5)
    z = z - 2.0 * frown * bell2(ax, y, 7.0, 16.0, 7.0, 9.0) * front
    wing = bell2(ax, y, 15.0, -36.0, 11.0, 13.0) * front
    y = y - 4.0 * v["sneer"] * wing
    x = x - 5.5 * v["mouth_shift"] * bell2(ax, y, 0.0, MOUTH_Y - 4, 36.0, 22.0) * front
    puff = bell2(ax, y, 45.0, -62.0, 18.0, 20.0) * gate(z, 15.0, 12.0)
    z = z - 6.0 * v["cheek_puff"] * puff
    x = x - side * 8.0 * v["cheek_puff"] * puff
    return x, y, z


def undo_identity(x: Tensor, y: Tensor, z: Tensor, v: Values) -> tuple[Tensor, Tensor, Tensor]:
    """Move points into the average head's space, leaving its expression."""
    front = gate(z, 20.0, 10.0)
    x = x - 3.0 * v["asymmetry_nose"] * bell(y, -34.0, 26.0) * front
    y = y - 2.2 * v["asymmetry_mouth"] * torch.tanh(x / 22.0) * bell(y, -70.0, 24.0) * front
    # heights: everything below (or above) a line moves as one
    y = y + 5.0 * v["nose_length"] * gate(-y, 22.0, 6.5)
    above_neck = front * gate(y, -134.0, 5.0)
    y = y + 2.6 * v["philtrum_length"] * gate(-y, 56.0, 2.6) * above_neck
    y = y + 6.2 * v["chin_height"] * gate(-y, 86.0, 5.0) * above_neck
    y = y - (6.5 * v["skull_height"] - 2.5) * gate(y, 58.0, 13.0)
    ax = smooth_abs(x)
    # widths, by height
    width = (
        1.0
        + 0.085 * v["skull_width"] * gate(y, 12.0, 14.0)
        + 0.075 * v["forehead_width"] * bell(y, 48.0, 30.0) * front
        - 0.035 * (1 + v["temple_hollow"]) * bell2(y, z, 16.0, 50.0, 20.0, 26.0)
        + 0.110 * v["cheekbone_width"] * bell(y, -20.0 + 6.0 * v["cheekbone_height"], 24.0)
        + 0.23 * v["jaw_width"] * bell2(y, z, -82.0, 30.0, 30.0, 60.0)
        + 0.25 * v["chin_width"] * bell2(y, z, -106.0, 75.0, 20.0, 30.0)
    )
    x = x / width
    ax = ax / width
    cheekbone = -22.0 + 6.0 * v["cheekbone_height"]
    # depths: the front surface moves out or in
    z = z - front * (
        7.5 * v["midface_depth"] * bell2(ax, y, 0.0, -40.0, 34.0, 32.0)
        + 7.5 * v["cheekbone_prominence"] * bell2(ax, y, 40.0, cheekbone, 17.0, 14.0)
        + 8.8 * v["cheek_fullness"] * bell2(ax, y, 40.0, -58.0, 17.0, 20.0)
        + 4.8 * v["brow_ridge"] * bell2(ax, y, 18.0, 13.0 + 2 * v["brow_height"], 26.0, 8.5)
        - 8.0 * v["forehead_slope"] * bell2(ax, y, 0.0, 66.0, 60.0, 26.0)
        + 6.8 * v["forehead_bulge"] * bell2(ax, y, 18.0, 42.0, 30.0, 19.0)
        + 9.5 * v["chin_protrusion"] * bell2(ax, y, 0.0, -101.0, 27.0, 17.0)
        + 5.4 * v["mouth_protrusion"] * bell2(ax, y, 0.0, -66.0, 26.0, 16.0)
        - 5.0 * v["eye_depth"] * bell2(ax, y, 32.0, -1.0, 20.0, 12.0)
        + 1.5 * v["eye_bags"] * bell2(ax, y, 31.0, -15.0, 11.0, 4.5)
    )
    # the skull's back and top
    z = z + 9.0 * v["skull_length"] * gate(-z, 25.0, 16.0)
    z = z + 6.0 * v["occiput"] * bell2(ax, y, 0.0, 8.0, 45.0, 30.0) * gate(-z, 30.0, 12.0)
    y = y - 4.0 * v["crown_peak"] * bell2(x, z, 0.0, -25.0, 42.0, 45.0) * gate(y, 50.0, 12.0)
    return x, y, z


def from_canonical(points: Tensor, v: Values, rounds: int = 12) -> Tensor:
    """Places (N, 3) on a person's head of points of the average head, by fixed-point rounds.

    Differentiable.
    """
    target = points
    for _ in range(rounds):
        x, y, z = points.unbind(-1)
        there = undo_expression(*undo_identity(x, y, z, v), v)
        points = points + (target - torch.stack(there, dim=-1))
    return points


def scalp(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Cranium and nape alone, what hair lies on; canonical coordinates."""
    cranium = ellipsoid(x, y, z, (0.0, 31.0, -8.0), (74.0, 79.0, 96.0))
    cranium = smooth_min(cranium, ellipsoid(x, y, z, (0.0, 40.0, 26.0), (66.0, 60.0, 65.0)), 10.0)
    back = ellipsoid(x, y, z, (0.0, -22.0, -22.0), (66.0, 66.0, 62.0))
    return smooth_min(cranium, back, 22.0)


def neck(x: Tensor, ax: Tensor, y: Tensor, z: Tensor, v: Values) -> Tensor:
    """Neck with its two sternomastoid ridges, cut flat below."""
    thick = 1.0 + 0.16 * v["neck_width"]
    lean = -24.0 + 0.13 * (y + 60.0)  # the neck comes forward as it rises
    u, w = x / (49.0 * thick), (z - lean) / (51.0 * thick)
    column = (torch.sqrt(u * u + w * w + 1e-6) - 1.0) * 50.0
    column = column - 8.0 * gate(-y, 138.0, 8.0)
    ridge = capsule(ax, y, z, (56.0, -40.0, -18.0), (10.0, -195.0, 16.0), 10.0, 8.0)
    column = smooth_min(column, ridge, 17.0)
    column = column - 2.5 * bell2(x, y, 0.0, -122.0, 9.0, 9.0) * gate(z, 0.0, 10.0)
    return smooth_max(smooth_max(column, NECK_END - y, 5.0), y - 10.0, 20.0)


def face_mass(x: Tensor, ax: Tensor, y: Tensor, z: Tensor, v: Values) -> Tensor:
    """Face below the brow without its features; canonical coordinates."""
    face = ellipsoid(x, y, z, (0.0, -24.0, 22.0), (58.0, 66.0, 61.0))
    jaw_y = -62.0 + 7.0 * v["jaw_angle"]
    round_jaw = 14.0 + 2.0 * v["jaw_line"]
    jaw = capsule(ax, y, z, (44.0, jaw_y, 4.0), (13.0, -98.0, 66.0), round_jaw, 13.5)
    ramus = capsule(ax, y, z, (55.0, -22.0, 4.0), (46.0, jaw_y, 4.0), 12.0, round_jaw)
    face = smooth_min(face, smooth_min(jaw, ramus, 8.0), 23.0 - 5.0 * v["jaw_line"])
    chin = ellipsoid(x, y, z, (0.0, -98.0, 70.0), (21.0, 16.0, 17.0))
    face = smooth_min(face, chin, 16.0)
    cheek = ellipsoid(ax, y, z, (39.0, -24.0, 47.0), (23.0, 19.0, 29.0))
    face = smooth_min(face, cheek, 16.0)
    muzzle = ellipsoid(x, y, z, (0.0, -59.0, 56.5), (34.0, 31.0, 34.0))
    face = smooth_min(face, muzzle, 14.0)
    cleft = bell2(x, y, 0.0, -101.0, 4.0, 9.0) * gate(z, 70.0, 4.0)
    return face + 0.9 * (1.0 + v["chin_cleft"]) * cleft


def brow_line(ax: Tensor, v: Values) -> Tensor:
    """Height of the eyebrow's middle over the face's half width, mm."""
    t = (ax - 31.0) / 20.0
    return (
        18.0
        + 3.0 * v["brow_height"]
        + (2.2 + 2.4 * v["brow_arch"]) * (1.0 - t * t).clamp(min=-0.6)
        + 2.6 * v["brow_tilt"] * t
    )


def bare_head(x: Tensor, ax: Tensor, y: Tensor, z: Tensor, v: Values) -> tuple[Tensor, Tensor]:
    """Distances to the bare head with brow ridge and eye sockets, and to what hair lies on."""
    base = smooth_min(scalp(x, y, z), face_mass(x, ax, y, z, v), 18.0)
    base = smooth_min(base, neck(x, ax, y, z, v), 16.0)
    ridge_in = (7.0, 13.0, 81.0)
    ridge_out = (45.0, 11.0, 63.0)
    head = smooth_min(base, capsule(ax, y, z, ridge_in, ridge_out, 9.5, 9.0), 12.0)
    socket = ellipsoid(ax, y, z, (31.5, -2.0, 95.0), (18.0, 11.5, 15.0))
    return smooth_max(head, -socket, 12.0), base
