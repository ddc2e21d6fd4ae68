"""The 68 landmarks of a head in iBUG's order, laid on its skin."""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.heads.codes import Values
from privhead_nb.heads.features import EYE_Z, eye_x
from privhead_nb.heads.shape import MOUTH_Y, brow_line, from_canonical
from privhead_nb.heads.surface import surface

# the jaw's contour from the right ear to the chin: x, y, z of the average head
_JAW = (
    (-69.0, -4.0, 6.0), (-67.5, -22.0, 8.0), (-64.0, -42.0, 10.0), (-60.0, -60.0, 14.0),
    (-52.0, -76.0, 24.0), (-42.0, -91.0, 38.0), (-29.0, -103.0, 56.0), (-15.0, -110.0, 72.0),
    (0.0, -113.0, 80.0),
)  # fmt: skip


def _mirror(points: Tensor) -> Tensor:
    return points * torch.tensor([-1.0, 1.0, 1.0]).to(points)


def _guess(v: Values) -> Tensor:
    """Canonical places close to the skin, (68, 3); iBUG starts on the person's right."""
    zero = 0.0 * v["eye_size"]

    def row(*xyz: float | Tensor) -> Tensor:
        return torch.stack([zero + c for c in xyz])

    right_jaw = torch.stack([row(*p) for p in _JAW])
    jaw = torch.cat([right_jaw, _mirror(right_jaw[:8]).flip(0)])
    across = torch.stack([zero + k for k in (50.0, 41.0, 31.0, 21.5, 12.5)])
    left_brow = torch.stack([across, brow_line(across, v), 88.0 - 0.0085 * across * across], dim=1)
    brows = torch.cat([_mirror(left_brow), left_brow.flip(0)])
    tip_y, tip_z = -37.0 + 4.2 * v["nose_tip_lift"], 112.5 + 5.2 * v["nose_projection"]
    bridge_z = 89.0 + 3.8 * v["nose_bridge_height"]
    nasion, tip = row(zero, 2.0, bridge_z), row(zero, tip_y, tip_z)
    bridge = torch.stack([nasion + (tip - nasion) * t for t in (0.0, 0.33, 0.67, 1.0)])
    wing = 11.4 + 3.6 * v["nose_width"]
    left_wing = torch.stack([row(0.55 * wing, -47.0, 98.0), row(1.25 * wing, -45.5, 92.0)])
    base = torch.cat([_mirror(left_wing).flip(0), row(zero, -49.5, 98.0)[None], left_wing])
    wide = (14.2 + 1.5 * v["eye_width"]) * (1 + 0.10 * v["eye_size"])
    tilt = 0.05 + 0.11 * v["eye_tilt"]
    high, low = 4.9 + 1.2 * v["upper_lid"], 4.3 + 0.8 * v["lower_lid"]

    def lid(t: float, up: float | Tensor) -> Tensor:
        return row(eye_x(v) + t * wide, up + tilt * t * wide, EYE_Z + 13.0 - 4.5 * t * t)

    inner, outer = lid(-1.0, 0.0), lid(1.0, 0.0)
    above = [lid(-0.4, 0.86 * high), lid(0.35, 0.80 * high)]
    below = [lid(0.35, -0.9 * low), lid(-0.4, -0.8 * low)]
    left_eye = torch.stack([inner, *above, outer, *below])
    right_eye = _mirror(left_eye)[[3, 2, 1, 0, 5, 4]]
    reach = 25.5 + 3.8 * v["mouth_width"]
    up, down = 1.65 * (4.3 + 1.7 * v["upper_lip"]), 1.7 * (5.1 + 2.0 * v["lower_lip"])

    def lip(t: float, dy: float | Tensor) -> Tensor:
        x = t * reach
        return row(x, MOUTH_Y + dy, 90.0 - 0.0110 * x * x)

    upper = [lip(-1.0, 0.0), lip(-0.62, 0.68 * up), lip(-0.24, 1.0 * up), lip(0.0, 0.86 * up)]
    upper += [lip(0.24, 1.0 * up), lip(0.62, 0.68 * up), lip(1.0, 0.0)]
    lower = [lip(0.62, -0.72 * down), lip(0.28, -0.96 * down), lip(0.0, -down)]
    lower += [lip(-0.28, -0.96 * down), lip(-0.62, -0.72 * down)]
    gap = 0.8
    inner_lips = [lip(-0.85, 0.0), lip(-0.35, gap), lip(0.0, gap), lip(0.35, gap), lip(0.85, 0.0)]
    inner_lips += [lip(0.35, -gap), lip(0.0, -gap), lip(-0.35, -gap)]
    return torch.cat(
        [jaw, brows, bridge, base, right_eye, left_eye, torch.stack(upper + lower + inner_lips)]
    )


def face_landmarks(v: Values, rounds: int = 20) -> Tensor:
    """Landmarks (68, 3) mm on the skin: guesses carried along, then dropped onto the surface.

    Each round is a Newton step along the SDF's gradient, p <- p - f grad f / |grad f|^2, bounded to
    3 mm, with the gradient by central differences so that the result stays differentiable.
    """
    points = from_canonical(_guess(v), v)
    step = 0.25 * torch.eye(3).to(points)
    for _ in range(rounds):
        shifted = torch.cat([points, *(points + s for s in step), *(points - s for s in step)])
        f = surface(shifted, v).skin.reshape(7, -1)
        gradient = (f[1:4] - f[4:7]).T / 0.5
        move = f[0][:, None] * gradient / (gradient.square().sum(-1, keepdim=True) + 1e-4)
        points = points - move * torch.clamp(
            3.0 / (move.norm(dim=-1, keepdim=True) + 1e-9), max=1.0
        )
    return points
