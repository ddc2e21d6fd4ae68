"""The lab's people and their pictures: groups of made people who never mix, and one cache.

A picture comes in three variants, `whole`, with `hair masked` by grey, and in `one albedo` that all
people share, so that nobody can be recognised by hair or colour alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import save_file
from torch import Tensor

from privhead_nb.errors import LabError, check_choice
from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import EXPRESSION_NAMES, GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.lab.framing import SIZE, cameras_at, random_expression, random_light, resized
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.raster import GBuffer, rasterize, surface_mesh
from privhead_nb.lab.recognisers.network import AGAIN
from privhead_nb.reading import read_tensors

VARIANTS = ("whole", "hair masked", "one albedo")
GROUPS = {
    "recogniser": 10_000,
    "defender": 20_000,
    "attacker": 30_000,
    "evaluation": 40_000,
    "fresh": 50_000,
}
"""The first number of each group's people; a group has 10,000 numbers, so none is in two.

Recipes were chosen while looking at "evaluation"; "fresh" is measured once, when they are frozen.
"""
FACES_VERSION = 1
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


def cache_folder() -> Path:
    """Where the lab keeps pictures of people: PRIVHEAD_LAB, or out/lab here."""
    return Path(os.environ.get("PRIVHEAD_LAB", "out/lab"))


def read_kept(path: Path, names: Iterable[str] = (), remedy: str = AGAIN) -> dict[str, Tensor]:
    """The tensors of a kept file, `names` among them.

    Raises:
        LabError: missing, damaged, or without one of `names`.
    """
    tensors, _ = read_tensors(path, error=LabError, remedy=remedy)
    for name in names:
        if name not in tensors:
            raise LabError(f"lacks {name}", where=path, remedy=remedy)
    return tensors


class Rows:
    """A frozen dataclass of tensors with a row for each of PER_ROW, the rest shared by all rows."""

    PER_ROW: ClassVar[tuple[str, ...]]
    SHARED: ClassVar[tuple[str, ...]] = ()
    identity: Tensor

    def __len__(self) -> int:
        return len(self.identity)

    def only(self, where: Tensor) -> Self:
        """The rows that `where` (N,) picks, a mask or indices."""
        rows = {name: getattr(self, name)[where] for name in self.PER_ROW}
        return type(self)(**rows, **{name: getattr(self, name) for name in self.SHARED})

    def drawn(self, count: int, random: torch.Generator) -> Self:
        """`count` rows drawn at random, some more than once: a training's batch."""
        return self.only(torch.randint(len(self), (count,), generator=random))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Several, one after the other."""
        rows = {name: torch.cat([getattr(p, name) for p in parts]) for name in cls.PER_ROW}
        return cls(**rows, **{name: getattr(parts[0], name) for name in cls.SHARED})

    def save(self, path: Path) -> None:
        """Write all tensors to a safetensors file, aside first."""
        names = (*self.PER_ROW, *self.SHARED)
        with atomic_file(path) as aside:
            save_file({name: getattr(self, name).contiguous() for name in names}, aside)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            LabError: missing, damaged, or something else.
        """
        names = (*cls.PER_ROW, *cls.SHARED)
        tensors = read_kept(path, names)
        return cls(**{name: tensors[name] for name in names})

    @classmethod
    def of_people(
        cls,
        make: Callable[[int], Self],
        identities: Iterable[int],
        folder: Path | None,
        version: dict[str, Any],
        *,
        workers: int | None = None,
        progress: bool = False,
        desc: str = "portraits",
        seconds: int = 2,
    ) -> Self:
        """Everybody's rows, read where they are kept; what is missing is made, in parallel.

        Args:
            make: what gives a person's rows; picklable.
            version: what must be the same for a kept file to count.
            desc, seconds: what is made, and how long a person takes a core.
            identities, folder, workers, progress: as in `face_dataset`.
        """
        if folder is None:
            return cls.join([make(i) for i in identities])
        files = {i: folder / f"{i}.safetensors" for i in identities}
        missing = sum(not path.is_file() for path in files.values())
        if progress and missing:
            print(
                f"Making {desc} of {missing} made people, once: about {missing * seconds} s on one "
                f"core, less on several. They are kept in {folder.parent}.",
                file=sys.stderr,
            )
        run_jobs(
            {str(i): (make, i, path) for i, path in files.items()},
            _keep,
            folder / "made",
            version={"generator": GENERATOR_VERSION, **version},
            workers=workers,
            progress=progress and missing > 0,
            desc=desc,
        )
        return cls.join([cls.load(path) for path in files.values()])


@dataclass(frozen=True)
class PortraitPlan:
    """Which portraits are taken of each person."""

    frontal: bool = True  # also one picture from the front, at rest, in studio light: a gallery's
    views: int = 8  # pictures at random angles, lights and expressions
    faces: int = 2  # expressions among them; views are dealt out to them in turn
    yaw: float = 45.0  # most degrees to the left and right
    pitch: tuple[float, float] = (-10.0, 15.0)  # lowest and highest, degrees
    rear: int = 4  # pictures from behind, as a release's neutral views; at rest, studio light

    @property
    def name(self) -> str:
        """Folder of the portraits; another version of the generator or the data gets another."""
        low, high = self.pitch
        return (
            f"heads{GENERATOR_VERSION}_album{FACES_VERSION}_front{int(self.frontal)}"
            f"_views{self.views}_faces{self.faces}_yaw{self.yaw:g}_pitch{low:g}to{high:g}"
            f"_rear{self.rear}"
        )


GALLERY = PortraitPlan()
"""Evaluation: one frontal picture, and eight probes within 45 degrees."""
LEARNING = PortraitPlan(frontal=False, views=12, faces=2, yaw=60.0, pitch=(-20.0, 40.0))
"""Training: as wide as a release's views."""
MANY = PortraitPlan(frontal=False, views=6, faces=1, yaw=60.0, pitch=(-20.0, 40.0), rear=0)
"""Training where many people count for more than many portraits of each."""


@dataclass(frozen=True, eq=False)
class FaceDataset(Rows):
    """Portraits of many people, N in all."""

    PER_ROW = ("identity", "role", "yaw", "pictures", "masks")

    identity: Tensor  # (N,) whose
    role: Tensor  # (N,) 0 frontal, 1 view, 2 rear
    yaw: Tensor  # (N,) degrees
    pictures: Tensor  # (N, 3, H, H, 3) uint8, a picture for each of VARIANTS
    masks: Tensor  # (N, H, H) uint8 share covered by the head

    @classmethod
    def of_pictures(cls, identity: Tensor, role: Tensor, pictures: Tensor) -> Self:
        """Of pictures alone, (N, H, H, 3) or one a variant, uint8; yaw and masks are 0."""
        if pictures.dim() == 4:
            pictures = pictures[:, None].expand(-1, len(VARIANTS), -1, -1, -1)
        N, _, H, W, _ = pictures.shape
        masks = torch.zeros(N, H, W, dtype=torch.uint8)
        return cls(identity, role, torch.zeros(N), pictures, masks)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            LabError: missing, damaged, or portraits of another size than 64 pixels.
        """
        made, H = super().load(path), SIZE
        shapes = [(len(made), *shape) for shape in ((), (), (), (3, H, H, 3), (H, H))]
        if [tuple(getattr(made, name).shape) for name in cls.PER_ROW] != shapes:
            raise LabError("holds no portraits of this size", where=path, remedy=AGAIN)
        return made

    def frontals(self) -> Self:
        """One frontal picture each: the gallery."""
        return self.only(self.role == 0)

    def views(self) -> Self:
        """The probes."""
        return self.only(self.role == 1)

    def resized(self, size: int) -> Self:
        """The same with pictures of `size` pixels: area means, or interpolated where larger."""
        parts = [resized(self.rgb(v), size).mul(255).round().byte() for v in VARIANTS]
        return replace(self, pictures=torch.stack(parts, 1))

    def rgb(self, variant: str = "whole") -> Tensor:
        """(N, H, H, 3) float32 in [0, 1] of one variant.

        Raises:
            LabError: no such variant.
        """
        check_choice("variant", variant, VARIANTS, where="portraits", error=LabError)
        return self.pictures[:, VARIANTS.index(variant)].float() / 255


# One person ---------------------------------------------------------------------------------------


def portraits(identity: int, plan: PortraitPlan = GALLERY) -> FaceDataset:
    """All portraits of one person; the same person and plan give the same pictures."""
    random = torch.Generator().manual_seed(104_729 + identity)
    rest, (low, high) = torch.zeros(len(EXPRESSION_NAMES)), plan.pitch
    still = [(0, 0.0, 0.0)] if plan.frontal else []
    still += [(2, 105.0 + 150.0 * k / max(1, plan.rear - 1), 5.0) for k in range(plan.rear)]
    sessions: list[tuple[Tensor, list[tuple[int, float, float]]]] = []
    for face in range(max(1, plan.faces)):
        count = len(range(face, plan.views, max(1, plan.faces)))
        turns = torch.rand(count, 2, generator=random).tolist()
        angles = [(1, plan.yaw * (2 * a - 1), low + (high - low) * b) for a, b in turns]
        if face == 0:  # still pictures and a part of the views share one resting face
            sessions.append((rest, still + angles))
        elif angles:
            sessions.append((random_expression(random), angles))
    parts = []
    for expression, angles in sessions:
        body = surface_mesh(make_head(identity, expression=expression))
        seen = rasterize(body, cameras_at(angles, random))
        roles = torch.tensor([role for role, _, _ in angles])
        lights = [random_light(random) if role == 1 else LIGHTS["studio"] for role in roles]
        parts.append(
            FaceDataset(
                identity=torch.full((len(angles),), identity),
                role=roles,
                yaw=torch.tensor([yaw for _, yaw, _ in angles]),
                pictures=variants(seen, torch.stack(lights)),
                masks=seen.maps()[0].mul(255).round().byte(),
            )
        )
    return FaceDataset.join(parts)


def variants(seen: GBuffer, lights: Tensor) -> Tensor:
    """(V, 3, H, H, 3) uint8 in lights (V, 27): whole, hair masked, one albedo."""
    made = [seen.pictures(lights, **how) for how in ({}, {"hair": False}, {"one_albedo": True})]
    return torch.stack(made, 1).mul(255).round().byte()


# Many people --------------------------------------------------------------------------------------


def face_dataset(
    identities: Iterable[int],
    plan: PortraitPlan = GALLERY,
    *,
    folder: Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> FaceDataset:
    """Portraits of many people, made in parallel and kept.

    Args:
        identities, plan: who, and which portraits.
        folder: where to keep them, one file a person; None keeps nothing and makes them here, one
            after the other.
        workers: processes; all cores by default.
        progress: show a bar, and say how long it takes, where something is missing.

    Raises:
        LabError: a kept file is of another version or plan.
    """
    return FaceDataset.of_people(
        partial(portraits, plan=plan),
        identities,
        folder and folder / plan.name,
        {"album": FACES_VERSION, "plan": plan.name},
        workers=workers,
        progress=progress,
    )


def _keep(job: tuple[Callable[[int], Rows], int, Path]) -> dict[str, Any]:
    make, identity, path = job
    if not path.is_file():
        make(identity).save(path)
    return {"identity": identity}
