"""Attack people from a changed generator with an attacker that was trained on the old one.

    python benchmarks/studies/generator_shift.py              60 people, about 10 minutes on a core
    python benchmarks/studies/generator_shift.py --people 12  does it run?

All other attacks know the generator that made their victims. Here the victims' proportions, skin
texture, camera, or alignment are other ones than any that the attacker saw; the gallery shows the
same changed people. Pictures are kept in out/lab (PRIVHEAD_LAB), figures go to
benchmarks/results/generator_shift.json (with --people to out/lab).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.heads.primitives import noise
from privhead_nb.lab import attackers, faces
from privhead_nb.lab.attacks.parrot import classical_parrot
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.framing import SIZE, TARGET, random_light
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.picture_jobs import score
from privhead_nb.lab.raster import SurfaceMesh, rasterize, surface_mesh
from privhead_nb.privacy.operators import Operator
from privhead_nb.scenes.camera import Cameras, custom_rig

RESULTS = resources.RESULTS / "generator_shift.json"
COMMAND = "python benchmarks/studies/generator_shift.py"
PEOPLE, VIEWS, YAW, PITCH = 60, 8, 45.0, (-10.0, 15.0)
SHIFT_VERSION = 1
"""Changes whenever the same person and shift give other pictures."""


@dataclass(frozen=True)
class Shift:
    """What is changed; each 0 is the generator, the camera and the alignment as they are."""

    says: str
    proportions: float = 0.0  # head narrower and longer by so much, and dents of 25 times it in mm
    texture: float = 0.0  # strength of bands of skin texture that the generator lacks
    distance: float = 885.0  # mm, of the camera; it frames the head as before
    off: float = 0.0  # most that a picture is scaled and moved by, share of its width
    turned: float = 0.0  # most that a picture is turned by, degrees


SHIFTS = {
    "none": Shift("the old generator: a control"),
    "proportions": Shift("7 % narrower, longer, dents of 2 mm", proportions=0.07),
    "texture": Shift("two other bands of skin texture", texture=0.15),
    "camera": Shift("from 450 mm, 49 degrees across", distance=450.0),
    "misaligned": Shift("scaled and moved by up to 5 %, turned by up to 5 degrees",
                        off=0.05, turned=5.0),
    "all": Shift("all four", 0.07, 0.15, 450.0, 0.05, 5.0),
}  # fmt: skip


def changed(body: SurfaceMesh, shift: Shift, identity: int) -> SurfaceMesh:
    """A head's surface with other proportions and another skin."""
    x, y, z = body.vertices.unbind(1)
    if shift.texture > 0:
        place = (x + 37 * (identity % 101), y, z)
        bands = 0.7 * noise(*place, 14.0, 0) + 0.5 * noise(*place, 6.0, 1)
        skin = body.reflectance * torch.exp(shift.texture * bands)[:, None]
        body = replace(body, reflectance=skin.clamp(0.004, 0.95))
    if shift.proportions > 0:
        place = (x, y + 29 * (identity % 103), z)
        dents = 25 * shift.proportions * noise(*place, 30.0, 2).clamp(-1, 1)
        stretch = 1 + shift.proportions * x.new_tensor([-1.0, 1.0, 0.5])
        vertices = body.vertices * stretch + dents[:, None] * body.normals
        bent = Mesh(vertices.double().numpy(), body.faces.numpy())
        normals = torch.from_numpy(np.ascontiguousarray(bent.vertex_normals())).float()
        body = replace(body, vertices=vertices, normals=normals)
    return body


def cameras(angles: Sequence[tuple[float, float]], distance: float) -> Cameras:
    """At (yaw, pitch) degrees, the head as large in the picture as a portrait's."""
    yaw, pitch = np.radians(np.array(angles)).T
    toward = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], 1)
    eyes = np.array(TARGET) + distance * toward
    wide = 885.0 * math.tan(math.radians(12.5))
    fov = 2 * math.degrees(math.atan(wide / distance))
    return custom_rig(eyes, range(len(eyes)), target=TARGET, size=SIZE, fov_deg=fov)[0]


def misaligned(pictures: Tensor, shift: Shift, random: torch.Generator) -> Tensor:
    """(N, H, H, 3), each scaled, moved and turned a little; white comes in at the edges."""
    count = len(pictures)
    drawn = 2 * torch.rand(count, 4, generator=random) - 1
    angle = torch.deg2rad(shift.turned * drawn[:, 0])
    scale = 1 + shift.off * drawn[:, 1]
    place = torch.zeros(count, 2, 3)
    place[:, 0, 0] = place[:, 1, 1] = scale * torch.cos(angle)
    place[:, 1, 0] = scale * torch.sin(angle)
    place[:, 0, 1] = -place[:, 1, 0]
    place[:, :, 2] = 2 * shift.off * drawn[:, 2:]
    grid = F.affine_grid(place, [count, 3, SIZE, SIZE], align_corners=False)
    dark = F.grid_sample((1 - pictures).movedim(-1, 1), grid, align_corners=False)
    return (1 - dark.movedim(1, -1)).clamp(0, 1)


def person(identity: int, shift: Shift) -> FaceDataset:
    """A frontal picture and VIEWS probes of a changed person; always the same."""
    random = torch.Generator().manual_seed(330_017 + identity)
    turns = torch.rand(VIEWS, 2, generator=random).tolist()
    angles = [(0.0, 0.0)]
    angles += [(YAW * (2 * a - 1), PITCH[0] + (PITCH[1] - PITCH[0]) * b) for a, b in turns]
    lights = [LIGHTS["studio"], *(random_light(random) for _ in turns)]
    body = changed(surface_mesh(make_head(identity)), shift, identity)
    seen = rasterize(body, cameras(angles, shift.distance)).pictures(torch.stack(lights))
    if shift.off > 0:  # an attacker aligns the gallery; the release is as it came
        seen = torch.cat([seen[:1], misaligned(seen[1:], shift, random)])
    role = torch.tensor([0] + [1] * VIEWS)
    who = torch.full((len(angles),), identity)
    return FaceDataset.of_pictures(who, role, seen.mul(255).round().byte())


def people(name: str, count: int) -> FaceDataset:
    """Pictures of the fresh people under one of SHIFTS, kept."""
    folder = faces.cache_folder() / f"shift{SHIFT_VERSION}_{name}"
    return FaceDataset.of_people(
        partial(person, shift=SHIFTS[name]),
        faces.people("fresh", count),
        folder,
        {"shift": SHIFT_VERSION, "name": name},
        progress=True,
        desc=f"pictures ({name})",
        seconds=1,
    )


def table() -> str:
    """What is stored, as a Markdown table: a row for each shift."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))["shifts"]
    lines = [
        "| changed | informed, one picture | FNMR at FMR 0.1 % | 8 together | classical, one |"
    ]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, one in found.items():
        mine, cheap = one["parrot-informed"], one["parrot-classical"]
        value, low, high = mine["tar"]
        rates = (mine["rank1"], (1 - value, 1 - high, 1 - low), mine["release"], cheap["rank1"])
        lines.append(f"| {name}: {one['says']} | {' | '.join(percent(*r) for r in rates)} |")
    return "\n".join(lines)


def main() -> None:
    """Make the pictures, attack them, store the rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=PEOPLE)
    count = parser.parse_args().people
    informed = attackers.for_release(Operator(), SIZE).attack
    learn = faces.face_dataset(
        faces.people("attacker", 200), faces.LEARNING, folder=faces.cache_folder(), progress=True
    )
    tried = {
        "parrot-informed": informed,
        "parrot-classical": classical_parrot(learn.views(), Operator()),
    }
    found = {}
    for name, shift in SHIFTS.items():
        data = people(name, count)
        rates = {attack: score(one, data, 1000)["whole"] for attack, one in tried.items()}
        found[name] = {"says": shift.says, **rates}
        print(name, {attack: (r["rank1"], r["release"]) for attack, r in rates.items()}, flush=True)
    facts = {"command": COMMAND, "cpu": cpu_name(), "generator": GENERATOR_VERSION, "seed": 0}
    facts |= {"people": count, "people_from": faces.GROUPS["fresh"], "views": VIEWS}
    path = RESULTS if count == PEOPLE else faces.cache_folder() / RESULTS.name
    write_json(path, {**facts, "shifts": found})


if __name__ == "__main__":
    main()
