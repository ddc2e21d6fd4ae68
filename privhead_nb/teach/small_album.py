"""Lesson 9's stored portraits: 24 made people of the group "evaluation", five pictures of each.

    python -m privhead_nb.teach.small_album       makes benchmarks/results/album.png again

One frontal picture and four views within 45 degrees, in the lab's three variants: the frontal ones
and every other view of the album that the lab's studies test on. A minute on one core, unless the
portraits lie in the lab's folder (out/lab) already.
"""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import albums
from privhead_nb.lab.albums import GALLERY, SIZE, VARIANTS, Album

SHEET = resources.RESULTS / "album.png"
COMMAND = "python -m privhead_nb.teach.small_album"
PEOPLE = 24
COLUMNS = 15  # pictures in a row of the sheet: five portraits in three variants


def chosen(everyone: Album) -> Album:
    """Frontal pictures, and every other view: with each face, half of its views."""
    views = everyone.views()
    return albums.join([everyone.frontals(), views.only(torch.arange(len(views)) % 2 == 0)])


def write(album: Album, path: Path) -> None:
    """Pictures side by side as one PNG; whose they are stands in its header."""
    tiles = album.pictures.reshape(-1, COLUMNS, SIZE, SIZE, 3)
    sheet = tiles.permute(0, 2, 1, 3, 4).reshape(-1, COLUMNS * SIZE, 3)
    facts = {
        "command": COMMAND,
        "generator": GENERATOR_VERSION,
        "album": albums.ALBUM_VERSION,
        "identity": album.identity.tolist(),
        "role": album.role.tolist(),
        "yaw": [round(yaw, 2) for yaw in album.yaw.tolist()],
    }
    header, data = PngImagePlugin.PngInfo(), BytesIO()
    header.add_text("facts", json.dumps(facts))
    picture = Image.fromarray(sheet.contiguous().numpy())
    picture.save(data, format="png", optimize=True, pnginfo=header)
    with atomic_file(path) as aside:
        aside.write_bytes(data.getvalue())


@cache
def stored(path: Path = SHEET) -> Album:
    """The album of a sheet that `write` wrote; it has no masks and no normals: (N, 0, 0).

    Raises:
        LabError: no such file, or of another generator or album.
    """
    try:
        with Image.open(path) as picture:
            facts: dict[str, Any] = json.loads(picture.text["facts"])  # type: ignore[attr-defined]
            sheet = torch.from_numpy(np.array(picture.convert("RGB")))
    except Exception as error:
        raise LabError(f"can't be read: {error}", where=path, remedy=COMMAND) from error
    found = (facts["generator"], facts["album"])
    if found != (GENERATOR_VERSION, albums.ALBUM_VERSION):
        raise LabError(
            f"generator and album are {found}, not this package's", where=path, remedy=COMMAND
        )
    tiles = sheet.reshape(-1, SIZE, COLUMNS, SIZE, 3).permute(0, 2, 1, 3, 4)
    count = len(facts["identity"])
    return Album(
        identity=torch.tensor(facts["identity"]),
        role=torch.tensor(facts["role"]),
        yaw=torch.tensor(facts["yaw"]),
        pictures=tiles.reshape(count, len(VARIANTS), SIZE, SIZE, 3).contiguous(),
        masks=torch.zeros(count, 0, 0, dtype=torch.uint8),
        normals=torch.zeros(count, 0, 0, 3, dtype=torch.int8),
    )


def contact_sheet(album: Album, people: int, variant: str = "whole") -> Tensor:
    """(people, 5, H, H, 3) in [0, 1]: of each person the frontal picture, then the views."""
    rgb = album.rgb(variant)
    rows = [rgb[album.identity == i] for i in album.identity.unique()[:people]]
    return torch.stack(rows)


def main() -> None:
    """Make the stored sheet again."""
    everyone = albums.make_album(
        albums.people("evaluation", PEOPLE), GALLERY, folder=albums.cache_folder(), progress=True
    )
    write(chosen(everyone), SHEET)
    print(f"{SHEET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
