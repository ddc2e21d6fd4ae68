"""What attacks on neutral views, meshes and fields learn from and search in, all of made people.

Of one surface at rest: neutral views, pictures from behind, a scan of the shape, and an atlas of
the reflectance (`scans.py`). Made once, kept beside the portraits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.heads.synthetic import bounding_sphere
from privhead_nb.lab.faces import Rows, variants
from privhead_nb.lab.framing import SIZE, cameras_at, random_light, yaw_of
from privhead_nb.lab.raster import SPACING, rasterize, surface_mesh
from privhead_nb.lab.scans import reflectance_atlas, scan_of_mesh
from privhead_nb.scenes.camera import make_rig

NEUTRAL = 10  # views of a release's default rig
BEHIND = 8  # pictures from behind
REAR_YAW, REAR_PITCH = (95.0, 265.0), (-10.0, 30.0)  # degrees between which they are taken
ATTACKER_VERSION = 1
"""Changes whenever the same person gives other data."""
FOLDER = f"heads{GENERATOR_VERSION}_captures{ATTACKER_VERSION}"
"""Where they are kept, in `faces.cache_folder()`."""


@dataclass(frozen=True, eq=False)
class AttackerData(Rows):
    """What attacks on neutral views, meshes and fields learn from: P people, each at rest."""

    PER_ROW = ("identity", "neutral", "behind", "scan", "atlas")
    SHARED = ("neutral_yaw",)

    identity: Tensor  # (P,)
    # (P, NEUTRAL, 3, H, H, 3) uint8 in studio light, a picture for each of VARIANTS, in the order
    # of a release's neutral views.
    neutral: Tensor
    behind: Tensor  # (P, BEHIND, 3, H, H, 3) uint8, the same at random angles in random lights
    scan: Tensor  # (P, 3, S, S, 4) int8, see `scans.scan_of_mesh`; of a mesh of 4 mm
    atlas: Tensor  # (P, A, A, 4) uint8, see `scans.reflectance_atlas`
    neutral_yaw: Tensor  # (NEUTRAL,) degrees from the front


def attacker_person(identity: int, spacing: float = SPACING) -> AttackerData:
    """The attacker's data of one person, of a surface mesh of `spacing` mm; always the same."""
    random = torch.Generator().manual_seed(611_953 + identity)
    body = surface_mesh(make_head(identity), spacing)
    center, _ = bounding_sphere(body.vertices.double().numpy())
    rig, _, rear = make_rig("facescape", NEUTRAL, 20, size=SIZE, center=center)
    cameras = rig[list(rear)]
    (left, right), (low, high) = REAR_YAW, REAR_PITCH
    spots = torch.rand(BEHIND, 2, generator=random).tolist()
    angles = [(1, left + (right - left) * a, low + (high - low) * b) for a, b in spots]
    lights = torch.stack([random_light(random) for _ in angles])
    return AttackerData(
        identity=torch.tensor([identity]),
        neutral=variants(rasterize(body, cameras), LIGHTS["studio"].expand(NEUTRAL, -1))[None],
        behind=variants(rasterize(body, cameras_at(angles, random)), lights)[None],
        scan=scan_of_mesh(Mesh(body.vertices.double().numpy(), body.faces.numpy()))[None],
        atlas=reflectance_atlas(body)[None],
        neutral_yaw=yaw_of(cameras, center).float() % 360,
    )


def attacker_data(
    identities: Iterable[int],
    *,
    folder: Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> AttackerData:
    """The attacker's data of many people, made in parallel and kept; arguments as `face_dataset`.

    Raises:
        LabError: a kept file can't be read.
    """
    return AttackerData.of_people(
        attacker_person,
        identities,
        folder and folder / FOLDER,
        {"captures": ATTACKER_VERSION},
        workers=workers,
        progress=progress,
        desc="captures",
        seconds=5,
    )
