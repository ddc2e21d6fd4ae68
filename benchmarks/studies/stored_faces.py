"""Make the portraits that ship: `gallery.webp` of `privhead attack` and `audit`, and `album.png`.

    python benchmarks/studies/stored_faces.py            both
    python benchmarks/studies/stored_faces.py gallery    one of them

The gallery: the first 100 people that attacks may name, from the front, and the first 50 in four of
their views too. The album, which lessons 6 and 9 read: 24 people, from the front and every other
view. Four minutes on one core, unless the portraits lie in the lab's folder (out/lab) already.
"""

from __future__ import annotations

import argparse
import json
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image, PngImagePlugin

from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.faces import FACES_VERSION, VARIANTS, FaceDataset
from privhead_nb.lab.framing import SIZE
from privhead_nb.lab.sheet import COLUMNS, COMMAND, GALLERY
from privhead_nb.teach import stored_faces

PEOPLE = 24  # of the album
KNOWN, SEEN = 100, 50  # people of the gallery, and how many of them are there in views too


def chosen(everyone: FaceDataset) -> FaceDataset:
    """Frontal pictures, and every other view: with each face, half of its views."""
    views = everyone.views()
    half = views.only(torch.arange(len(views)) % 2 == 0)
    return FaceDataset.join([everyone.frontals(), half])


def known(everyone: FaceDataset) -> FaceDataset:
    """Frontal pictures, and of SEEN people the first two views with each of two faces."""
    views, of_each = everyone.views(), faces.GALLERY.views
    half = of_each // faces.GALLERY.faces  # views of one face stand side by side
    place, person = torch.arange(len(views)) % of_each, torch.arange(len(views)) // of_each
    return FaceDataset.join([everyone.frontals(), views.only((place % half < 2) & (person < SEEN))])


def write_sheet(data: FaceDataset, path: Path, columns: int, variants: int = len(VARIANTS)) -> None:
    """What `read_sheet` reads; the count of pictures must fill its rows."""
    tiles = data.pictures[:, :variants].reshape(-1, columns, SIZE, SIZE, 3)
    sheet = tiles.permute(0, 2, 1, 3, 4).reshape(-1, columns * SIZE, 3)
    facts = {
        "command": COMMAND,
        "generator": GENERATOR_VERSION,
        "album": FACES_VERSION,
        "identity": data.identity.tolist(),
        "role": data.role.tolist(),
        "yaw": [round(yaw, 2) for yaw in data.yaw.tolist()],
    }
    header, packed, told = PngImagePlugin.PngInfo(), BytesIO(), json.dumps(facts)
    header.add_text("facts", told)
    picture = Image.fromarray(sheet.contiguous().numpy())
    if path.suffix == ".webp":
        picture.save(packed, "webp", lossless=True, quality=100, method=6, xmp=told.encode())
    else:
        picture.save(packed, "png", optimize=True, pnginfo=header)
    with atomic_file(path) as aside:
        aside.write_bytes(packed.getvalue())


def write(data: FaceDataset, path: Path) -> None:
    """An album, all variants."""
    write_sheet(data, path, stored_faces.COLUMNS)


def make(name: str) -> Path:
    """One of NAMES; its file."""
    people = faces.people("evaluation", KNOWN if name == "gallery" else PEOPLE)
    made = faces.face_dataset(people, faces.GALLERY, folder=faces.cache_folder(), progress=True)
    if name == "gallery":
        write_sheet(known(made), GALLERY, COLUMNS, 1)
        return GALLERY
    write(chosen(made), stored_faces.SHEET)
    return stored_faces.SHEET


NAMES = ("gallery", "album")


def main() -> None:
    """Make the stored sheets again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NAMES), metavar="NAME")
    for name in parser.parse_args().names:
        path = make(name)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
