"""Make the portraits that lessons 6 and 9 read, `benchmarks/results/album.png`.

    python benchmarks/studies/stored_faces.py

The frontal pictures and every other view of the first 24 people that the lab's studies test on. A
minute on one core, unless the portraits lie in the lab's folder (out/lab) already.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image, PngImagePlugin

from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.faces import FACES_VERSION, FaceDataset
from privhead_nb.lab.framing import SIZE
from privhead_nb.teach.stored_faces import COLUMNS, COMMAND, SHEET

PEOPLE = 24


def chosen(everyone: FaceDataset) -> FaceDataset:
    """Frontal pictures, and every other view: with each face, half of its views."""
    views = everyone.views()
    half = views.only(torch.arange(len(views)) % 2 == 0)
    return FaceDataset.join([everyone.frontals(), half])


def write(data: FaceDataset, path: Path) -> None:
    """Pictures side by side as one PNG; whose they are stands in its header."""
    tiles = data.pictures.reshape(-1, COLUMNS, SIZE, SIZE, 3)
    sheet = tiles.permute(0, 2, 1, 3, 4).reshape(-1, COLUMNS * SIZE, 3)
    facts = {
        "command": COMMAND,
        "generator": GENERATOR_VERSION,
        "album": FACES_VERSION,
        "identity": data.identity.tolist(),
        "role": data.role.tolist(),
        "yaw": [round(yaw, 2) for yaw in data.yaw.tolist()],
    }
    header, packed = PngImagePlugin.PngInfo(), BytesIO()
    header.add_text("facts", json.dumps(facts))
    picture = Image.fromarray(sheet.contiguous().numpy())
    picture.save(packed, format="png", optimize=True, pnginfo=header)
    with atomic_file(path) as aside:
        aside.write_bytes(packed.getvalue())


def main() -> None:
    """Make the stored sheet again."""
    people = faces.people("evaluation", PEOPLE)
    folder = faces.cache_folder()
    write(chosen(faces.face_dataset(people, faces.GALLERY, folder=folder, progress=True)), SHEET)
    print(f"{SHEET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
