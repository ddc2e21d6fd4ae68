"""Who is in the lab, and their portraits: four groups of made people who never mix.

A portrait is framed as a release's view is: 64 x 64 pixels from 885 mm with 25 degrees across, so
whatever is learned on portraits can be turned on a release. A portrait comes in three variants,
`whole`, with `hair masked` by grey, and in `one albedo` that all people share, so that nobody can
be recognised by hair or colour alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import EXPRESSION_NAMES, GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.lab.busts import bust, shoot
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.kept import AGAIN, read_kept
from privhead_nb.scenes.camera import Cameras, custom_rig

SIZE = 64
DISTANCE, FOV = 885.0, 25.0  # mm and degrees, as `facescape_rig` stands in `synthetic_scene`
TARGET = (0.0, -20.0, -10.0)  # mm: about the middle of a head
VARIANTS = ("whole", "hair masked", "one albedo")

GROUPS = {"recogniser": 10_000, "defender": 20_000, "attacker": 30_000, "evaluation": 40_000}
"""The first number of each group's people; a group has 10,000 numbers, so none is in two."""

ALBUM_VERSION = 1
"""Changes whenever the same person and plan give other portraits."""


def people(group: str, count: int) -> tuple[int, ...]:
    """The first `count` people of a group.

    Raises:
        LabError: no such group, or more than it has.
    """
    if group not in GROUPS or not 1 <= count <= 10_000:
        raise LabError(
            f"{count} people of group {group!r}",
            where="people",
            remedy=f"Groups of 10,000: {', '.join(GROUPS)}.",
        )
    return tuple(range(GROUPS[group], GROUPS[group] + count))


@dataclass(frozen=True)
class Plan:
    """Which portraits are taken of each person.

    Args:
        frontal: also one picture from the front, at rest, in studio light: a gallery's.
        views: pictures at random angles, lights and expressions.
        faces: expressions among them; views are dealt out to them in turn.
        yaw: most degrees to the left and right.
        pitch: lowest and highest, degrees.
        rear: pictures from behind, as a release's neutral views; at rest, studio light.
    """

    frontal: bool = True
    views: int = 8
    faces: int = 2
    yaw: float = 45.0
    pitch: tuple[float, float] = (-10.0, 15.0)
    rear: int = 4


GALLERY = Plan()
"""Evaluation: one frontal picture, and eight probes within 45 degrees."""
LEARNING = Plan(frontal=False, views=12, faces=2, yaw=60.0, pitch=(-20.0, 40.0))
"""Training: as wide as a release's views."""
MANY = Plan(frontal=False, views=6, faces=1, yaw=60.0, pitch=(-20.0, 40.0), rear=0)
"""Training where many people count for more than many portraits of each."""


@dataclass(frozen=True, eq=False)
class Album:
    """Portraits of many people, N in all.

    Args:
        identity: (N,) whose.
        role: (N,) 0 frontal, 1 view, 2 rear.
        yaw: (N,) degrees.
        pictures: (N, 3, H, H, 3) uint8, a picture for each of VARIANTS.
        masks: (N, H, H) uint8 share covered by the head.
        normals: (N, H, H, 3) int8, scene axes, 127 = 1: what an aligned mesh would show.
    """

    identity: Tensor
    role: Tensor
    yaw: Tensor
    pictures: Tensor
    masks: Tensor
    normals: Tensor

    def __len__(self) -> int:
        return len(self.identity)

    def only(self, where: Tensor) -> Album:
        """The portraits that `where` (N,) picks, a mask or indices."""
        return Album(*(getattr(self, name)[where] for name in _FIELDS))

    def frontals(self) -> Album:
        """One frontal picture each: the gallery."""
        return self.only(self.role == 0)

    def views(self) -> Album:
        """The probes."""
        return self.only(self.role == 1)

    def rears(self) -> Album:
        """Pictures from behind."""
        return self.only(self.role == 2)

    def rgb(self, variant: str = "whole") -> Tensor:
        """(N, H, H, 3) float32 in [0, 1] of one variant.

        Raises:
            LabError: no such variant.
        """
        if variant not in VARIANTS:
            raise LabError(
                f"there is no variant {variant!r}",
                where="portraits",
                remedy=f"Variants: {', '.join(VARIANTS)}.",
            )
        return self.pictures[:, VARIANTS.index(variant)].float() / 255


_FIELDS = ("identity", "role", "yaw", "pictures", "masks", "normals")


def portraits(identity: int, plan: Plan = GALLERY) -> Album:
    """All portraits of one person; the same person and plan give the same pictures."""
    random = torch.Generator().manual_seed(104_729 + identity)
    parts = []
    rest = torch.zeros(len(EXPRESSION_NAMES))
    shots: list[tuple[Tensor, list[tuple[int, float, float]]]] = []
    still = [(0, 0.0, 0.0)] if plan.frontal else []
    still += [(2, 105.0 + 150.0 * k / max(1, plan.rear - 1), 5.0) for k in range(plan.rear)]
    for face in range(max(1, plan.faces)):
        count = len(range(face, plan.views, max(1, plan.faces)))
        turns = torch.rand(count, 2, generator=random)
        low, high = plan.pitch
        angles = [
            (1, plan.yaw * (2 * float(a) - 1), low + (high - low) * float(b)) for a, b in turns
        ]
        if face == 0:  # still pictures and a part of the views share one resting face
            shots.append((rest, still + angles))
        elif angles:
            shots.append((random_expression(random), angles))
    for expression, angles in shots:
        seen = shoot(bust(make_head(identity, expression=expression)), cameras_at(angles, random))
        lights = torch.stack(
            [random_light(random) if role == 1 else LIGHTS["studio"] for role, _, _ in angles]
        )
        variants = [
            seen.pictures(lights),
            seen.pictures(lights, hair=False),
            seen.pictures(lights, one_albedo=True),
        ]
        cover, _, normals = seen.maps()
        parts.append(
            Album(
                identity=torch.full((len(angles),), identity),
                role=torch.tensor([role for role, _, _ in angles]),
                yaw=torch.tensor([yaw for _, yaw, _ in angles]),
                pictures=torch.stack(variants, 1).mul(255).round().byte(),
                masks=cover.mul(255).round().byte(),
                normals=normals.mul(127).round().to(torch.int8),
            )
        )
    return join(parts)


def join(parts: Sequence[Album]) -> Album:
    """Albums one after the other."""
    return Album(*(torch.cat([getattr(p, name) for p in parts]) for name in _FIELDS))


def cameras_at(angles: Sequence[tuple[int, float, float]], random: torch.Generator) -> Cameras:
    """Cameras at (role, yaw, pitch) degrees; those of views are placed a little off."""
    eyes, targets = [], []
    for role, yaw, pitch in angles:
        a, b = np.radians(yaw), np.radians(pitch)
        off = (torch.rand(4, generator=random) * 2 - 1) * (role == 1)
        target = np.array(TARGET) + np.array([6.0, 10.0, 6.0]) * off[:3].numpy()
        toward = np.array([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)])
        eyes.append(target + DISTANCE * (1 + 0.04 * float(off[3])) * toward)
        targets.append(tuple(target))
    made = [
        custom_rig([eye], [0], target=target, size=SIZE, fov_deg=FOV)[0]
        for eye, target in zip(eyes, targets, strict=True)
    ]
    K, c2w = torch.cat([c.K for c in made]), torch.cat([c.c2w for c in made])
    return Cameras(K, c2w, SIZE, SIZE, 0.5)


def random_light(random: torch.Generator) -> Tensor:
    """(27,) a mixture of two named lights, brighter or darker by up to a fifth."""
    names = [name for name in LIGHTS if name != "back"]
    one, two = (names[int(torch.randint(len(names), (), generator=random))] for _ in range(2))
    share, gain = torch.rand(2, generator=random).tolist()
    return (0.8 + 0.4 * gain) * (share * LIGHTS[one] + (1 - share) * LIGHTS[two])


def random_expression(random: torch.Generator) -> Tensor:
    """(10,) a few muscles moved."""
    amount = torch.rand(len(EXPRESSION_NAMES), generator=random)
    moved = torch.rand(len(EXPRESSION_NAMES), generator=random) < 0.35
    return 0.7 * amount * moved


def make_album(
    identities: Iterable[int],
    plan: Plan = GALLERY,
    *,
    folder: Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Album:
    """Portraits of many people, made in parallel and kept.

    Args:
        identities: who.
        plan: which portraits.
        folder: where to keep them, one file a person, so that a second call only reads; None
            keeps nothing and makes them here, one after the other.
        workers: processes; all cores by default.
        progress: show a bar.

    Raises:
        LabError: a kept file is of another version or plan.
    """
    chosen = list(identities)
    if folder is None:
        return join([portraits(i, plan) for i in chosen])
    where = folder / plan_name(plan)
    jobs = {str(i): (i, plan, str(where)) for i in chosen}
    run_jobs(
        jobs,
        _photograph,
        where / "made",
        version={"generator": GENERATOR_VERSION, "album": ALBUM_VERSION, "plan": plan_name(plan)},
        workers=workers,
        progress=progress,
        desc="portraits",
    )
    return join([_read(where / f"{i}.safetensors") for i in chosen])


def cache_folder() -> Path:
    """Where the lab keeps portraits: PRIVHEAD_LAB, or out/lab here."""
    return Path(os.environ.get("PRIVHEAD_LAB", "out/lab"))


def plan_name(plan: Plan) -> str:
    """Folder of a plan's portraits; another version of the generator or the album gets another."""
    low, high = plan.pitch
    return (
        f"heads{GENERATOR_VERSION}_album{ALBUM_VERSION}_front{int(plan.frontal)}_views{plan.views}_faces{plan.faces}_yaw{plan.yaw:g}"
        f"_pitch{low:g}to{high:g}_rear{plan.rear}"
    )


def _photograph(job: tuple[int, Plan, str]) -> dict[str, Any]:
    identity, plan, where = job
    target = Path(where) / f"{identity}.safetensors"
    if target.is_file():  # the folder's name tells the version
        return {"identity": identity}
    album = portraits(identity, plan)
    with atomic_file(target) as aside:
        save_file({name: getattr(album, name).contiguous() for name in _FIELDS}, aside)
    return {"identity": identity}


def _read(path: Path) -> Album:
    data = read_kept(path, _FIELDS)
    made = Album(*(data[name] for name in _FIELDS))
    N, H = len(made), SIZE
    shapes = [(N,)] * 3 + [(N, 3, H, H, 3), (N, H, H), (N, H, H, 3)]
    if [tuple(data[name].shape) for name in _FIELDS] != shapes:
        raise LabError("holds no portraits of this size", where=path, remedy=AGAIN)
    return made
