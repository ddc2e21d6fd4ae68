"""What attacks on neutral views, meshes and fields learn from and search in, all of made people.

Of one surface at rest: neutral views, pictures from behind, a scan of the shape, and an atlas of
the reflectance. Made once, kept beside the portraits. A scan shows a mesh, turned by the axes that
its release states and moved so that its nose tip is the origin, from the front and from both sides
by a camera that the face fills. An atlas is the head unrolled from the nose tip: azimuth to the
right, height downward. Points of two heads in one cell are taken for the same place: coarse, but it
needs nothing of a head but its surface.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS, to_srgb
from privhead_nb.heads.synthetic import bounding_sphere
from privhead_nb.lab.faces import Rows, variants
from privhead_nb.lab.framing import DISTANCE, SIZE, cameras_around, cameras_at, random_light, yaw_of
from privhead_nb.lab.raster import (
    SPACING,
    SurfaceMesh,
    filling,
    grey_surface,
    rasterize,
    surface_mesh,
)
from privhead_nb.scenes.camera import make_rig
from privhead_nb.scenes.scene import HEAD_AXES, turn

NEUTRAL = 10  # views of a release's default rig
BEHIND = 8  # pictures from behind
REAR_YAW, REAR_PITCH = (95.0, 265.0), (-10.0, 30.0)  # degrees between which they are taken
ATTACKER_VERSION = 1
"""Changes whenever the same person gives other data."""
FOLDER = f"heads{GENERATOR_VERSION}_captures{ATTACKER_VERSION}"
"""Where they are kept, in `faces.cache_folder()`."""

YAWS = (-30.0, 0.0, 30.0)  # degrees, of a scan
ACROSS = 230.0  # mm across the picture, at the face
DEPTH = 80.0  # mm of depth at a code of 127
_FOV = 2 * float(np.degrees(np.arctan(ACROSS / 2 / DISTANCE)))
_BELOW, _BEHIND = 6.0, -35.0  # mm from the nose tip to the picture's middle
SIDE = 96  # cells of an atlas
HALF_TURN = 100.0  # degrees of azimuth to each side
TOP, BOTTOM = 130.0, -110.0  # mm above the nose tip
AXIS = -100.0  # mm from the nose tip back to the axis of the unrolling


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
    scan: Tensor  # (P, 3, S, S, 4) int8, see `scan_of_mesh`; of a mesh of 4 mm
    atlas: Tensor  # (P, A, A, 4) uint8, see `reflectance_atlas`
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


# Scans and the atlas ------------------------------------------------------------------------------


def nose_tip(vertices: Tensor) -> Tensor:
    """(3,) of vertices (N, 3) mm that face +z: the middle of the foremost 1.5 mm near x = middle.

    Raises:
        LabError: no vertex there.
    """
    middle = (vertices[:, 0].amin() + vertices[:, 0].amax()) / 2
    height = vertices[:, 1].amax() - vertices[:, 1].amin()
    low = vertices[:, 1].amin() + 0.25 * height  # neck and chin stay out
    near = vertices[((vertices[:, 0] - middle).abs() < 25) & (vertices[:, 1] > low)]
    if len(near) == 0:
        raise LabError(
            "the mesh has no vertex near its middle", where="scan", remedy="Give a whole head."
        )
    return near[near[:, 2] > near[:, 2].amax() - 1.5].mean(0)


def scan_of_mesh(mesh: Mesh, axes: tuple[str, str] = HEAD_AXES) -> Tensor:
    """(3, S, S, 4) int8 from -30, 0 and 30 degrees: normals of length 127, then depth.

    Of a mesh in mm whose crown and face point along `axes`.
    """
    upright, figure = torch.from_numpy(turn(axes)), grey_surface(mesh)
    turned = figure.vertices.double() @ upright.T
    placed = (turned - nose_tip(turned)).float()
    body = replace(figure, vertices=placed, normals=figure.normals @ upright.float().T)
    cameras = cameras_around((0.0, _BELOW, _BEHIND), YAWS, _FOV)
    cover, depth, seen = rasterize(body, cameras).maps()
    relief = torch.where(cover > 0.5, (DISTANCE - depth) / DEPTH, torch.full_like(depth, -1.0))
    both = torch.cat([seen, relief.clamp(-1, 1)[..., None]], -1)
    return both.mul(127).round().to(torch.int8)


def places(points: Tensor) -> Tensor:
    """Where points (N, 3) mm from the nose tip lie: (N, 2) column and row, in [-1, 1] if inside."""
    azimuth = torch.rad2deg(torch.atan2(points[:, 0], points[:, 2] - AXIS))
    row = (TOP - points[:, 1]) / (TOP - BOTTOM) * 2 - 1
    return torch.stack([azimuth / HALF_TURN, row], -1)


def lookup(atlas: Tensor, where: Tensor) -> Tensor:
    """Values (N, C) of an atlas (A, A, C) at places (N, 2), bilinear; outside its border's."""
    picture = atlas.movedim(-1, 0)[None]
    found = F.grid_sample(
        picture, where[None, None].to(picture), align_corners=False, padding_mode="border"
    )
    return found[0, :, 0].T


def reflectance_atlas(body: SurfaceMesh) -> Tensor:
    """(A, A, 4) uint8 of a surface: mean reflectance as sRGB, and 255 where it is known.

    Cells that no surface point falls into are filled from their neighbours.
    """
    shares = filling(6)

    def dense(values: Tensor) -> Tensor:
        return torch.einsum("sk,fkd->fsd", shares, values[body.faces]).reshape(-1, 3)

    points = dense(body.vertices - nose_tip(body.vertices))
    colour, outward = dense(body.reflectance), dense(body.normals)
    cell = ((places(points) + 1) / 2 * SIDE).floor().long()
    inside = ((cell >= 0) & (cell < SIDE)).all(1)
    radial = points - torch.tensor([0.0, 0.0, AXIS])
    inside &= (outward[:, [0, 2]] * radial[:, [0, 2]]).sum(1) > 0  # no inner side of ears and lips
    number = cell[inside, 1] * SIDE + cell[inside, 0]
    total = torch.zeros(SIDE * SIDE, 4)
    total.index_add_(0, number, torch.cat([colour[inside], torch.ones(len(number), 1)], 1))
    known = (total[:, 3:] > 0).reshape(SIDE, SIDE, 1)
    mean = (total[:, :3] / total[:, 3:].clamp_min(1)).reshape(SIDE, SIDE, 3)
    coded = torch.cat([to_srgb(_filled(mean, known)), known.float()], -1)
    return coded.mul(255).round().byte()


def _filled(values: Tensor, known: Tensor) -> Tensor:
    """Unknown cells (A, A, 1) of values (A, A, C) become the mean of known neighbours, outward."""
    x, k = values.movedim(-1, 0)[None], known.movedim(-1, 0)[None].float()
    for _ in range(40):
        summed = F.avg_pool2d(x * k, 3, stride=1, padding=1)
        weight = F.avg_pool2d(k, 3, stride=1, padding=1)
        fresh = (k == 0) & (weight > 0)
        x = torch.where(fresh, summed / weight.clamp_min(1e-6), x)
        k = torch.where(fresh, torch.ones_like(k), k)
    return x[0].movedim(0, -1)
