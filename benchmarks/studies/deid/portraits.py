"""Made portraits with everything that is known of them: what the compared systems learn from.

Framed and lit as the lab's (`lab/faces.py`), from people of the group "defender", who are nobody's
test people. Beside each picture stand the codes that made it, its camera, its parsing, its
landmarks, which the papers take from other networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from privhead_nb.deid.ideudemon.codes import Codes
from privhead_nb.deid.portraits import PITCH, POSE, YAW, focal, pose_cameras
from privhead_nb.heads.codes import (
    EXPRESSION_NAMES,
    GENERATOR_VERSION,
    IDENTITY_NAMES,
    identity_codes,
)
from privhead_nb.heads.head import make_head
from privhead_nb.heads.surface import LABELS
from privhead_nb.lab.faces import Rows
from privhead_nb.lab.framing import SIZE, random_expression, random_light
from privhead_nb.lab.raster import rasterize, surface_mesh
from privhead_nb.scenes.camera import Cameras

GROUP = "defender"
VERSION = 1
"""Changes whenever the same person gives other portraits."""
# iBUG's 68 landmarks of a mirrored face: jaw, brows, bridge, nostrils, eyes, lips.
_MIRRORED = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class KnownPortraits(Rows):
    """Portraits with their codes, N in all."""

    PER_ROW = ("identity", "pictures", "parsing", "shape", "albedo", "expression", "light",
               "pose", "landmarks")  # fmt: skip

    identity: Tensor  # (N,) whose
    pictures: Tensor  # (N, H, H, 3) uint8, before white
    parsing: Tensor  # (N, H, H) uint8, index into heads.surface.LABELS; 0 is background
    shape: Tensor  # (N, 64) identity code, in [-1, 1]
    albedo: Tensor  # (N, 24)
    expression: Tensor  # (N, 10)
    light: Tensor  # (N, 27)
    pose: Tensor  # (N, 6) of the camera, see POSE
    landmarks: Tensor  # (N, 68, 2) x and y, pixels; those that are hidden too

    def rgb(self) -> Tensor:
        """(N, H, H, 3) float32 in [0, 1]."""
        return self.pictures.float() / 255

    def codes(self) -> Codes:
        """Those that made the portraits, as `ideudemon` has them."""
        return Codes(self.shape, self.expression, self.albedo, self.light, self.pose)

    def mirrored(self) -> KnownPortraits:
        """The same seen in a mirror: another person, whose codes are known too."""
        sided = ("asymmetry_nose", "asymmetry_mouth", "hair_part")
        shape, expression, light = self.shape.clone(), self.expression.clone(), self.light.clone()
        shape[:, [_index("identity", name) for name in sided]] *= -1
        left, right = (_index("expression", f"blink_{side}") for side in ("left", "right"))
        expression[:, [left, right]] = expression[:, [right, left]]
        expression[:, _index("expression", "mouth_shift")] *= -1
        light.view(-1, 3, 9)[..., [3, 4, 7]] *= -1  # x, xy, xz
        pose = self.pose * torch.tensor([-1.0, 1.0, -1.0, 1.0, 1.0, 1.0])
        marks = self.landmarks[:, list(_MIRRORED)] * torch.tensor([-1.0, 1.0])
        return replace(
            self,
            identity=-1 - self.identity,
            pictures=self.pictures.flip(2),
            parsing=self.parsing.flip(2),
            shape=shape,
            expression=expression,
            light=light,
            pose=pose,
            landmarks=marks + torch.tensor([self.pictures.shape[2] - 1.0, 0.0]),
        )


def project(points: Tensor, pose: Tensor, side: int = SIZE) -> Tensor:
    """(N, K, 2) pixels, centres at whole numbers, of points (N, K, 3) mm in poses (N, 6)."""
    to_world = pose_cameras(pose)
    seen = (points - to_world[:, None, :, 3]) @ to_world[:, :, :3]
    return focal(side) * seen[..., :2] / seen[..., 2:] + (side - 1) / 2


def known_portraits(
    identities: Iterable[int],
    *,
    views: int = 8,
    folder: Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> KnownPortraits:
    """Portraits of many people, half at rest and half with an expression, made once and kept.

    Args:
        identities: who.
        views: of each.
        folder, workers, progress: as in `lab.faces.face_dataset`.
    """
    name = f"known{VERSION}_heads{GENERATOR_VERSION}_views{views}"
    return KnownPortraits.of_people(
        partial(_portraits, views=views),
        identities,
        folder and folder / name,
        {"known": VERSION, "views": views},
        workers=workers,
        progress=progress,
    )


def _portraits(identity: int, views: int) -> KnownPortraits:
    random = torch.Generator().manual_seed(208_993 + identity)
    shape, colour = identity_codes(identity)
    faces = (torch.zeros(len(EXPRESSION_NAMES)), random_expression(random))
    parts = []
    for face, expression in enumerate(faces):
        count = len(range(face, views, len(faces)))
        if count == 0:
            continue
        head = make_head(identity, expression=expression)
        low, high = PITCH
        drawn = torch.rand(count, len(POSE), generator=random) * 2 - 1
        drawn[:, 0] = torch.deg2rad(YAW * drawn[:, 0])
        drawn[:, 1] = torch.deg2rad(low + (high - low) * (drawn[:, 1] + 1) / 2)
        lights = torch.stack([random_light(random) for _ in range(count)])
        seen = rasterize(surface_mesh(head), cameras_of(drawn))
        of_label = torch.nn.functional.one_hot(seen.label, len(LABELS)).float()
        nothing = torch.nn.functional.one_hot(torch.zeros(1, dtype=torch.long), len(LABELS))
        parsing = seen.average(of_label, nothing.float()).argmax(-1)
        marks = head.landmarks().expand(count, -1, -1)
        parts.append(
            KnownPortraits(
                identity=torch.full((count,), identity),
                pictures=seen.pictures(lights).mul(255).round().byte(),
                parsing=parsing.byte(),
                shape=shape.expand(count, -1),
                albedo=colour.expand(count, -1),
                expression=expression.expand(count, -1),
                light=lights,
                pose=drawn,
                landmarks=project(marks, drawn),
            )
        )
    return KnownPortraits.join(parts)


def cameras_of(pose: Tensor) -> Cameras:
    """The cameras (N) of poses (N, 6), of SIZE pixels."""
    middle = (SIZE - 1) / 2
    K = torch.tensor([[focal(), 0, middle], [0, focal(), middle], [0, 0, 1]], dtype=torch.float64)
    bottom = K.new_tensor([0, 0, 0, 1]).expand(len(pose), 1, 4)
    c2w = torch.cat([pose_cameras(pose.double()), bottom], 1)
    return Cameras(K.expand(len(pose), 3, 3), c2w, SIZE, SIZE, 0.0)


def _index(kind: str, name: str) -> int:
    return (IDENTITY_NAMES if kind == "identity" else EXPRESSION_NAMES).index(name)
