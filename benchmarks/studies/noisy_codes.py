"""Make the pictures that lesson 12 attacks: people drawn again from noisy identity codes.

    python benchmarks/studies/noisy_codes.py        three minutes of one core

The first 20 people of "evaluation", each in a light and from a side of their own, and ten times
with Gaussian noise on the identity code, cut to [-1, 1] (IDeudemon, eq. 3). The made head itself
draws them from the true codes: a fit without error. Beside each picture stands its parsing; and the
parsing of the gallery's first 50 frontal portraits. All in one sheet,
benchmarks/results/noisy_codes.webp.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import identity_codes
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.heads.surface import LABELS
from privhead_nb.lab import faces
from privhead_nb.lab.framing import FRONT, portrait_cameras
from privhead_nb.lab.raster import rasterize, surface_mesh
from privhead_nb.teach.lesson12.releases import (
    COLUMNS,
    KNOWN,
    PEOPLE,
    SCALE,
    SHEET,
    STEP,
    Releases,
    session,
)

SPACING = 5.0  # mm, of a head's mesh


def seen(
    identity: Tensor, albedo: Tensor, angles: tuple[float, float], light: Tensor
) -> tuple[Tensor, Tensor]:
    """A head's picture (64, 64, 3) and its labels (64, 64), both uint8."""
    body = surface_mesh(make_head(identity, albedo=albedo), SPACING)
    buffer = rasterize(body, portrait_cameras([angles]))
    of_label = F.one_hot(buffer.label, len(LABELS)).float()
    nothing = F.one_hot(torch.zeros(1, dtype=torch.long), len(LABELS)).float()
    labels = buffer.average(of_label, nothing).argmax(-1)[0].byte()
    return buffer.pictures(light[None])[0].clamp(0, 1).mul(255).round().byte(), labels


def of_person(number: int) -> tuple[Tensor, Tensor]:
    """(1 + DRAWS, 64, 64, 3) a person as they are, then noisy; and the labels."""
    identity, albedo = identity_codes(number)
    angles, light, noise = session(number)
    codes = torch.cat([identity[None], (identity + SCALE * noise).clamp(-1, 1)])
    made = [seen(code, albedo, angles, light) for code in codes]
    pictures, labels = zip(*made, strict=True)
    return torch.stack(pictures), torch.stack(labels)


def make(people: tuple[int, ...], known: tuple[int, ...]) -> Releases:
    """Everybody's pictures, and the labels of the known people's frontal portraits."""
    found = [of_person(number) for number in tqdm(people)]
    pictures, labels = (torch.stack(parts) for parts in zip(*found, strict=True))
    frontal = [seen(*identity_codes(n), FRONT[0], LIGHTS["studio"])[1] for n in tqdm(known)]
    return Releases(
        pictures[:, 0], labels[:, 0], pictures[:, 1:], labels[:, 1:], torch.stack(frontal)
    )


def save(releases: Releases, path: Path = SHEET) -> None:
    """Write what `releases.load` reads; labels are greys."""
    tiles = []
    for field in fields(releases):
        found = getattr(releases, field.name)
        if "labels" in field.name:
            found = (STEP * found)[..., None].expand(*found.shape, 3)
        tiles.append(found.reshape(-1, 64, 64, 3))
    every = torch.cat(tiles)
    blank = every.new_zeros(-len(every) % COLUMNS, 64, 64, 3)
    rows = torch.cat([every, blank]).reshape(-1, COLUMNS, 64, 64, 3)
    sheet = rows.permute(0, 2, 1, 3, 4).reshape(-1, COLUMNS * 64, 3)
    with atomic_file(path) as aside:
        Image.fromarray(sheet.numpy()).save(aside, "webp", lossless=True, quality=100, method=6)


def main() -> None:
    """Make the sheet again."""
    everyone = faces.people("evaluation", KNOWN)
    save(make(everyone[:PEOPLE], everyone))


if __name__ == "__main__":
    main()
