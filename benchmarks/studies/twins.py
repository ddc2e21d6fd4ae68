"""Twins: made people who share one shape in groups, but not their colours.

A faithful head names a person whatever is hidden, so a picture leaks *through shape* first. What
tells twins apart leaks *beyond shape*: skin, lips, brows, irises, marks, colour of the hair. A
group's surface is made once and coloured many times, so twins are cheap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from privhead_nb.errors import LabError, check_choice
from privhead_nb.heads.codes import (
    ALBEDO_NAMES,
    EXPRESSION_NAMES,
    GENERATOR_VERSION,
    identity_codes,
    named_code,
)
from privhead_nb.heads.colour import albedo
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS, shade, to_srgb
from privhead_nb.lab.faces import GROUPS, VARIANTS, Rows
from privhead_nb.lab.framing import cameras_at, random_expression, random_light
from privhead_nb.lab.raster import (
    FINE,
    HAIR_LABEL,
    MASKED_HAIR_LIGHT,
    GBuffer,
    rasterize,
    surface_mesh,
)

TWINS_VERSION = 1
"""Changes whenever the same group and plan give other pictures."""
FRONTAL, VIEW, NEUTRAL, BEHIND = range(4)
"""Roles of pictures: gallery, probe, a release's neutral view, gallery from behind."""
COLOURS_FROM = 5_000
"""Colours are those of a group's people from this number on, so that no two twins share theirs."""


@dataclass(frozen=True)
class TwinPlan:
    """How many twins share a shape, and which pictures are taken of each."""

    twins: int = 20
    frontal: bool = True  # one picture from the front, at rest, in studio light: a gallery's
    views: int = 8  # pictures at random angles and lights, the twins' cameras alike
    faces: int = 2  # expressions among them
    yaw: float = 45.0  # most degrees to the left and right
    pitch: tuple[float, float] = (-10.0, 15.0)  # lowest and highest, degrees
    neutral: int = 4  # pictures from behind in studio light
    behind: int = 2  # pictures from behind at random angles and lights

    @property
    def name(self) -> str:
        """Folder of the pictures; another version of the generator or the data gets another."""
        low, high = self.pitch
        return (
            f"heads{GENERATOR_VERSION}_twins{TWINS_VERSION}_{self.twins}_front{int(self.frontal)}"
            f"_views{self.views}_faces{self.faces}_yaw{self.yaw:g}_pitch{low:g}to{high:g}"
            f"_neutral{self.neutral}_behind{self.behind}"
        )


TESTED = TwinPlan()
"""Evaluation: a gallery, eight probes within 45 degrees, neutral views, a gallery from behind."""
LEARNING = TwinPlan(16, frontal=False, views=4, faces=1, yaw=50.0)
"""Training: many colours on many shapes."""


@dataclass(frozen=True, eq=False)
class Twins(Rows):
    """Pictures of twins, N in all."""

    PER_ROW = ("identity", "shape", "albedo", "role", "yaw", "pictures")

    identity: Tensor  # (N,) whose colours: a person's number
    shape: Tensor  # (N,) whose shape: a person's number, the same in a group of twins
    albedo: Tensor  # (N, 24) albedo codes
    role: Tensor  # (N,) FRONTAL, VIEW, NEUTRAL or BEHIND
    yaw: Tensor  # (N,) degrees
    pictures: Tensor  # (N, 3, H, H, 3) uint8, a picture for each of faces.VARIANTS

    def rgb(self, variant: str = "whole") -> Tensor:
        """(N, H, H, 3) float32 in [0, 1]. In "one albedo", twins can't be told apart."""
        check_choice("variant", variant, VARIANTS, where="twins", error=LabError)
        return self.pictures[:, VARIANTS.index(variant)].float() / 255


def colours_of(shape: int, twins: int) -> tuple[int, ...]:
    """The people whose colours the twins of person `shape` wear.

    Raises:
        LabError: the group has no such people left.
    """
    place = shape % 10_000
    first = COLOURS_FROM + place * twins
    if place >= COLOURS_FROM or first + twins > 10_000 or shape < min(GROUPS.values()):
        raise LabError(
            f"{twins} twins of person {shape}",
            where="twins",
            remedy=f"Take a group's first {COLOURS_FROM // max(1, twins)} people, or fewer twins.",
        )
    return tuple(range(shape - place + first, shape - place + first + twins))


@torch.no_grad()
def group_of_twins(shape: int, plan: TwinPlan = TESTED) -> Twins:
    """All pictures of the twins of one shape; the same shape and plan give the same pictures."""
    random = torch.Generator().manual_seed(1_299_709 + shape)
    wearers = colours_of(shape, plan.twins)
    codes = torch.stack([identity_codes(n)[1] for n in wearers])
    rest, (low, high) = torch.zeros(len(EXPRESSION_NAMES)), plan.pitch
    still = [(FRONTAL, 0.0, 0.0)] if plan.frontal else []
    still += [
        (NEUTRAL, 105.0 + 150.0 * k / max(1, plan.neutral - 1), 5.0) for k in range(plan.neutral)
    ]
    spots = torch.rand(plan.behind, 2, generator=random).tolist()
    still += [(BEHIND, 100.0 + 160.0 * a, -10.0 + 40.0 * b) for a, b in spots]
    parts, studio = [], LIGHTS["studio"]
    for face in range(max(1, plan.faces)):
        count = len(range(face, plan.views, max(1, plan.faces)))
        turns = torch.rand(count, 2, generator=random).tolist()
        angles = [(VIEW, plan.yaw * (2 * a - 1), low + (high - low) * b) for a, b in turns]
        # of one face alone, every other group has it moved
        moved = face > 0 or (plan.faces == 1 and shape % 2 == 1)
        expression = random_expression(random) if moved else rest
        if face == 0:
            angles = still + angles
        head = make_head(shape, expression=expression)
        body = surface_mesh(head)
        surface = head.surface(body.vertices)
        painted = [albedo(surface, named_code(code, ALBEDO_NAMES, "albedo")) for code in codes]
        placed = [(int(role in (VIEW, BEHIND)), yaw, pitch) for role, yaw, pitch in angles]
        seen = rasterize(
            replace(body, reflectance=torch.cat(painted, 1)), cameras_at(placed, random)
        )
        role = torch.tensor([role for role, _, _ in angles])
        for k, wearer in enumerate(wearers):
            own = replace(seen, reflectance=seen.reflectance[:, 3 * k : 3 * k + 3])
            lights = [random_light(random) if r in (VIEW, BEHIND) else studio for r in role]
            parts.append(
                Twins(
                    identity=torch.full_like(role, wearer),
                    shape=torch.full_like(role, shape),
                    albedo=codes[k].expand(len(role), -1),
                    role=role,
                    yaw=torch.tensor([yaw for _, yaw, _ in angles]),
                    pictures=lit(own, torch.stack(lights)),
                )
            )
    return Twins.join(parts)


def lit(seen: GBuffer, lights: Tensor) -> Tensor:
    """(V, 3, H, H, 3) uint8 in lights (V, 27): what `faces.variants` gives, in half the time.

    Light does not depend on what it falls on, so it is worked out once for all three.
    """
    _, H, W = seen.size
    view = seen.pixel // (FINE * FINE * H * W)
    falling, sheen = torch.empty_like(seen.view), torch.empty_like(seen.view)
    for v in range(len(lights)):
        at = view == v
        n, open_sky, shine = seen.normals[at], seen.occlusion[at], seen.gloss[at]
        one, none = torch.ones_like(n), torch.zeros_like(n)
        falling[at] = shade(one, n, open_sky, lights[v], shine)
        sheen[at] = shade(none, n, open_sky, lights[v], shine, seen.view[at])
    whole = seen.reflectance * falling + sheen
    masked = whole.clone()
    masked[seen.label == HAIR_LABEL] = MASKED_HAIR_LIGHT
    three = torch.cat([whole, masked, seen.plain * falling + sheen], 1)
    averaged = to_srgb(seen.average(three.clamp(0, 1), 1.0))
    return averaged.unflatten(-1, (3, 3)).movedim(3, 1).mul(255).round().byte()


def twins(
    shapes: Iterable[int],
    plan: TwinPlan = TESTED,
    *,
    folder: Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Twins:
    """Twins of many shapes, made in parallel and kept; arguments as of `faces.face_dataset`."""
    return Twins.of_people(
        partial(group_of_twins, plan=plan),
        shapes,
        folder and folder / plan.name,
        {"twins": TWINS_VERSION, "plan": plan.name},
        workers=workers,
        progress=progress,
        desc="twins",
        seconds=4,
    )
