"""What attacks on released artefacts learn from and search in: rear pictures, scans, skins.

For each person, all from one surface at rest: the neutral views as a release's rig sees them;
pictures from behind at other angles and in other lights; an aligned scan (`scans.py`); and the
reflectance laid out on an atlas of the head (`atlas.py`). Made once, kept beside the portraits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from privhead_nb.files import atomic_file
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.heads.synthetic import RIGS, bounding_sphere
from privhead_nb.lab import albums
from privhead_nb.lab.atlas import reflectance_atlas
from privhead_nb.lab.busts import SPACING, Bust, bust, shoot
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.kept import read_kept
from privhead_nb.lab.scans import scan_of_mesh
from privhead_nb.scenes.camera import Cameras, facescape_rig

NEUTRAL = 10  # views of a release's default rig
BEHIND = 8  # pictures from behind
REAR_YAW = (95.0, 265.0)  # degrees between which they are taken
REAR_PITCH = (-10.0, 30.0)
CAPTURE_VERSION = 1
"""Changes whenever the same person gives another capture."""


@dataclass(frozen=True, eq=False)
class Captures:
    """P people, each at rest.

    Args:
        identity: (P,).
        neutral: (P, NEUTRAL, 3, H, H, 3) uint8 in studio light, a picture for each of
            `albums.VARIANTS`, in the order of a release's neutral views.
        neutral_yaw: (NEUTRAL,) degrees from the front.
        behind: (P, BEHIND, 3, H, H, 3) uint8, the same at random angles in random lights.
        scan: (P, 3, S, S, 4) int8, see `scans.scan`; normals are those of a mesh of 4 mm.
        atlas: (P, A, A, 4) uint8, see `atlas.reflectance_atlas`.
    """

    identity: Tensor
    neutral: Tensor
    neutral_yaw: Tensor
    behind: Tensor
    scan: Tensor
    atlas: Tensor

    def __len__(self) -> int:
        return len(self.identity)

    def only(self, where: Tensor) -> Captures:
        """The people that `where` (P,) picks, a mask or indices."""
        parts = {name: getattr(self, name)[where] for name in _OF_PEOPLE}
        return Captures(**parts, neutral_yaw=self.neutral_yaw)


_OF_PEOPLE = ("identity", "neutral", "behind", "scan", "atlas")
_FIELDS = (*_OF_PEOPLE, "neutral_yaw")


def azimuths(cameras: Cameras, center: Sequence[float]) -> Tensor:
    """(V,) degrees from the front, 0 to 360, of cameras around a head that faces +z."""
    offset = cameras.centers - cameras.centers.new_tensor(list(center))
    return torch.rad2deg(torch.atan2(offset[:, 0], offset[:, 2])).float() % 360


def capture(identity: int, spacing: float = SPACING) -> Captures:
    """Everything of one person; the same person gives the same capture.

    Args:
        identity: who.
        spacing: of the surface's mesh, mm; a coarse one is quick.
    """
    random = torch.Generator().manual_seed(611_953 + identity)
    body = bust(make_head(identity), spacing)
    center, _ = bounding_sphere(body.vertices.double().numpy())
    rig, _, rear = facescape_rig(
        NEUTRAL, 20, size=albums.SIZE, center=center, distance=RIGS["facescape"][1]
    )
    cameras = rig[list(rear)]
    spots = torch.rand(BEHIND, 2, generator=random).tolist()
    angles = [
        (1, *(lo + (hi - lo) * s for (lo, hi), s in zip((REAR_YAW, REAR_PITCH), spot, strict=True)))
        for spot in spots
    ]
    lights = torch.stack([albums.random_light(random) for _ in angles])
    return Captures(
        identity=torch.tensor([identity]),
        neutral=_variants(body, cameras, LIGHTS["studio"].expand(NEUTRAL, -1))[None],
        neutral_yaw=azimuths(cameras, center),
        behind=_variants(body, albums.cameras_at(angles, random), lights)[None],
        scan=scan_of_mesh(Mesh(body.vertices.double().numpy(), body.faces.numpy()))[None],
        atlas=reflectance_atlas(body)[None],
    )


def _variants(body: Bust, cameras: Cameras, lights: Tensor) -> Tensor:
    """(V, 3, H, H, 3) uint8: whole, hair masked, one albedo."""
    seen = shoot(body, cameras)
    made = [
        seen.pictures(lights),
        seen.pictures(lights, hair=False),
        seen.pictures(lights, one_albedo=True),
    ]
    return torch.stack(made, 1).mul(255).round().byte()


def make_captures(
    identities: Iterable[int],
    *,
    folder: Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Captures:
    """Captures of many people, made in parallel and kept.

    Args:
        identities: who.
        folder: where to keep them, one file a person; None keeps nothing and makes them here.
        workers: processes; all cores by default.
        progress: show a bar.

    Raises:
        LabError: a kept file can't be read.
    """
    chosen = list(identities)
    if folder is None:
        return join([capture(i) for i in chosen])
    where = folder / f"heads{GENERATOR_VERSION}_captures{CAPTURE_VERSION}"
    run_jobs(
        {str(i): (i, str(where)) for i in chosen},
        _keep,
        where / "made",
        version={"generator": GENERATOR_VERSION, "captures": CAPTURE_VERSION},
        workers=workers,
        progress=progress,
        desc="captures",
    )
    return join([_read(where / f"{i}.safetensors") for i in chosen])


def join(parts: Sequence[Captures]) -> Captures:
    """Captures of several groups as one."""
    joined = {name: torch.cat([getattr(p, name) for p in parts]) for name in _OF_PEOPLE}
    return Captures(**joined, neutral_yaw=parts[0].neutral_yaw)


def _keep(job: tuple[int, str]) -> dict[str, Any]:
    identity, where = job
    target = Path(where) / f"{identity}.safetensors"
    if not target.is_file():  # the folder's name tells the version
        made = capture(identity)
        with atomic_file(target) as aside:
            save_file({name: getattr(made, name).contiguous() for name in _FIELDS}, aside)
    return {"identity": identity}


def _read(path: Path) -> Captures:
    data = read_kept(path, _FIELDS)
    return Captures(**{name: data[name] for name in _FIELDS})
