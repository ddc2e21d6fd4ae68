"""Hair: a shell that swells out of the scalp, with hairline, locks, bun and strand relief."""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.heads.codes import Values
from privhead_nb.heads.primitives import (
    bell,
    capsule,
    ellipsoid,
    gate,
    noise,
    smooth_max,
    smooth_min,
)

HIDDEN = 5.0
"""How deep under the skin the shell runs where there is no hair, mm."""


def _turn(v: Values) -> Tensor:
    """Angle at which the hairline falls from the forehead to the sideburn."""
    return 1.20 - 0.16 * gate(v["hair_length"], 0.0, 0.08)


def _hairline(x: Tensor, angle: Tensor, v: Values) -> Tensor:
    """Lowest height with hair at each angle around the head (0 front, pi back), mm."""
    long = gate(v["hair_length"], 0.0, 0.08)
    front = 64.0 + 8.0 * v["hairline_height"]
    fringe = gate(v["hair_fringe"], 0.35, 0.07) * gate(v["hair_length"], -0.45, 0.06)
    sweep = v["hair_part"] * torch.tanh(x / 24.0)
    front = front - fringe * (front - 31.0 - 7.0 * sweep)
    recede = (1.0 - fringe) * (6.0 + 8.0 * v["hairline_height"])
    turn = _turn(v)
    line = front + recede * bell(angle, 0.62, 0.28) - 9.0 * gate(angle, 0.85, 0.12)
    line = line - (front + 12.0 + 60.0 * long) * gate(angle, turn, 0.055)
    line = line + (1.0 - long) * 38.0 * bell(angle, 1.63, 0.24)
    return line - (1.0 - long) * 50.0 * gate(angle, 1.93, 0.06)


def thickness(v: Values) -> Tensor:
    """How far hair stands off the scalp on average, mm: stubble to afro."""
    length = v["hair_length"]
    grown = gate(length, -0.60, 0.06)
    curly = gate(v["hair_curl"], 0.45, 0.08) * gate(length, -0.35, 0.08)
    base = 0.7 + grown * (4.5 + 4.5 * (length + 1.0)) * (1.0 + 0.45 * v["hair_volume"])
    return base + curly * 11.0 * (1.0 + 0.7 * v["hair_volume"])


def strands(x: Tensor, y: Tensor, z: Tensor, v: Values) -> Tensor:
    """Relief of combed strands and of curls, unit size, larger = further out."""
    around = torch.sqrt(x * x + (z + 10.0) ** 2 + 90.0)
    s, c = 75.0 * x / around, 75.0 * (z + 10.0) / around
    # the strands of a parted head run sideways on top
    combed = noise(s + 0.15 * x, 0.14 * y, c + 0.15 * z, 13.0, 0)
    fine = noise(s, 0.10 * y, c, 5.5, 1)
    curls = noise(x, y, z, 12.0, 2)
    curl = gate(v["hair_curl"], 0.25, 0.12)
    return (1.0 - curl) * (0.8 * combed + 0.4 * fine) + curl * (1.0 * curls + 0.35 * fine)


def hair(
    x: Tensor, ax: Tensor, y: Tensor, z: Tensor, base: Tensor, v: Values
) -> tuple[Tensor, Tensor]:
    """Distance to the hair, and its relief.

    Args:
        x, ax, y, z: (N,) canonical coordinates, mm; ax is |x|, rounded at 0.
        base: (N,) distance to the bare scalp, nape and face mass.
    """
    angle = torch.atan2(ax, z + 6.0)
    line = _hairline(x, angle, v) + 1.6 * noise(x, y, z, 9.0, 3)
    cover = gate(y, line + 2.0, 1.9)
    grown = gate(v["hair_length"], -0.60, 0.06)
    long = gate(v["hair_length"], 0.05, 0.07)
    thick = thickness(v)
    curly = gate(v["hair_curl"], 0.45, 0.08)
    # short hair is shorter at the sides and nape than on top
    rise = gate(y - line, 14.0, 7.0)
    behind_turn = gate(angle, _turn(v) + 0.22, 0.10)
    thick = thick * (0.22 + 0.78 * rise * (behind_turn + (1.0 - behind_turn) * gate(y, 48.0, 9.0)))
    sides = 0.45 + 0.55 * gate(y, 45.0, 14.0)
    thick = thick * (sides + (1.0 - sides) * torch.maximum(long, curly))
    crest = gate(y, 80.0, 10.0) * gate(z, 5.0, 25.0)
    thick = thick + grown * 13.0 * gate(v["hair_volume"], 0.35, 0.15) * crest * rise
    side = torch.tanh((x - 34.0 * v["hair_part"]) / 14.0) * gate(y, 60.0, 10.0)
    thick = thick * (1.0 - 0.38 * grown * v["hair_part"] * side)
    parting = bell(x - 34.0 * v["hair_part"], 0.0, 3.0) * gate(y, 70.0, 6.0) * gate(z, -35.0, 12.0)
    thick = thick - grown * (1.0 - curly) * 3.4 * gate(v["hair_part"].abs(), 0.25, 0.05) * parting
    relief = strands(x, y, z, v)
    size = 0.15 + grown * (0.65 + 0.45 * v["hair_relief"]) * (1.0 + 0.8 * curly)
    shell = base - cover * (thick + HIDDEN) + HIDDEN
    shell = shell * 0.8
    # hanging hair: a mass behind the neck and a lock on either side
    end = -20.0 - 120.0 * gate(v["hair_length"], 0.55, 0.22)
    swell = 1.0 + 0.22 * v["hair_volume"]
    mid = 0.5 * (end + 45.0)
    behind = ellipsoid(
        x, y, z, (0.0, mid, -48.0), (72.0 * swell, 0.5 * (45.0 - end) + 22.0, 44.0 * swell)
    )
    root, tip = (66.0, 35.0, -12.0), (63.0 + 10.0 * v["hair_volume"], end - 16.0, -12.0)
    lock = capsule(ax, y, z, root, tip, 20.0 * swell, 19.0 * swell)
    hanging = smooth_max(smooth_min(behind, lock, 24.0), end - y, 9.0) + 60.0 * (1.0 - long)
    full = smooth_min(shell, hanging, 9.0)
    out = gate(v["hair_bun"], 0.45, 0.05) * gate(v["hair_length"], -0.25, 0.06)
    bun_r = 17.0 + 16.0 * (v["hair_bun"] - 0.4)
    bun = ellipsoid(x, y, z, (0.0, 78.0, -92.0), (bun_r * 1.08, bun_r, bun_r)) + 40.0 * (1.0 - out)
    full = smooth_min(full, bun, 5.0)
    # relief only where there is hair, or curls would break through the skin elsewhere
    covered = torch.maximum(cover, gate(shell - torch.minimum(hanging, bun), 0.0, 1.5))
    return full - size * relief * covered, relief
