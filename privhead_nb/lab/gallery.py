"""The gallery: whom an attack may name, made people or a folder of pictures.

    40000, 40001, ...      the first people of "evaluation", one frontal portrait each; a hundred of
                           them ship (`sheet.py`), portraits of more are made
    FOLDER                 PNG pictures called after their person: anna.png, bert_1.png, bert_2.png

Thresholds come from other pictures of them, protected as the release is, where there are any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.errors import LabError, no_folder
from privhead_nb.lab import faces
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.framing import SIZE
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.reading import unreadable
from privhead_nb.scenes.images import image_size, read_image, resize_area

MOST = 10_000  # pictures in a folder
LEAST = 16  # pixels a side
BLANK = 0.01  # spread of a picture's colours, 0 to 1, below which nothing is seen in it
MAX_PIXELS = 16_000_000  # of one of them
_NUMBERED = re.compile(r"(.+?)_\d+")


@dataclass(frozen=True, eq=False)
class Gallery:
    """Known people."""

    enrolled: FaceDataset  # their pictures, all of role 0; identities are places in `names`
    probes: FaceDataset  # other pictures of them, or the same ones where there are none
    names: tuple[str, ...]  # a person each
    made: tuple[int, ...]  # their numbers, where they are made people; empty for a folder
    source: str  # where they come from, in words


def read_gallery(gallery: str, truth: str | None = None, *, workers: int | None = None) -> Gallery:
    """The gallery that the command line names.

    Args:
        gallery: a count of made people, or a folder of pictures.
        truth: who is shown, if that is known; checked before anything is made.
        workers: processes that make portraits.

    Raises:
        LabError: fewer than two people, no pictures, or `truth` isn't among them.
        SceneError: a picture can't be read.
    """
    if not (gallery.isascii() and gallery.isdecimal()):
        known = _of_folder(Path(gallery))
        _check_truth(truth, known.names, f"{known.source}: {', '.join(known.names[:5])}, ...")
        return known
    if len(gallery) > 9:
        raise LabError("too large a gallery", where="--gallery", remedy="Give at most 10000.")
    if int(gallery) < 2:
        raise LabError(
            f"a gallery of {gallery} people",
            where="--gallery",
            remedy="Give at least 2: of one person every answer is right.",
        )
    who = faces.people("evaluation", int(gallery))
    names, source = tuple(map(str, who)), f"made people {who[0]} to {who[-1]}"
    _check_truth(truth, names, source)
    made = _shipped(len(who)) or faces.face_dataset(
        who, faces.GALLERY, folder=faces.cache_folder(), workers=workers, progress=True
    )
    placed = replace(made, identity=torch.searchsorted(torch.tensor(who), made.identity))
    return Gallery(placed.frontals(), placed.views(), names, who, source)


def _shipped(count: int) -> FaceDataset | None:
    """The first `count` people of the gallery that ships; None where it doesn't reach."""
    try:
        kept = shipped_gallery()
    except LabError:  # of another version, say: their portraits are made anew
        return None
    who = torch.tensor(faces.people("evaluation", count))
    if not bool(torch.isin(who, kept.identity).all()):
        return None
    return kept.only(torch.isin(kept.identity, who))


def _check_truth(name: str | None, names: Sequence[str], source: str) -> None:
    if name is not None and name not in names:
        raise LabError(
            f"{name} is not in the gallery ({source})",
            where="--truth",
            remedy="Name someone who is, or make the gallery larger.",
        )


def _of_folder(folder: Path) -> Gallery:
    """PNG pictures, each called after its person."""
    remedy = "--gallery takes a number of made people, or a folder of PNG pictures."
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LabError(no_folder(folder), where=folder, remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise unreadable(folder, error, error=LabError, remedy=remedy) from error
    paths = [p for p in entries if p.suffix.lower() == ".png" and not p.name.startswith(".")]
    for path in paths:
        if not path.name.isprintable():
            raise LabError(
                f"the name {path.name!r} can't be shown", where=folder, remedy="Rename the file."
            )
    if not paths:
        raise LabError(
            "holds no PNG picture",
            where=folder,
            remedy="Put one picture of each known person into it: anna.png, bert.png.",
        )
    if len(paths) > MOST:
        raise LabError(f"holds {len(paths)} pictures", where=folder, remedy=f"Give at most {MOST}.")
    called = [match[1] if (match := _NUMBERED.fullmatch(p.stem)) else p.stem for p in paths]
    names = sorted(set(called))
    if len(names) < 2:
        raise LabError(
            f"all pictures are called after one person, {names[0]}",
            where=folder,
            remedy="Give pictures of at least two: anna.png, bert_1.png, bert_2.png.",
        )
    pictures = FaceDataset.of_pictures(
        identity=torch.tensor([names.index(name) for name in called]),
        role=torch.zeros(len(paths), dtype=torch.long),
        pictures=torch.from_numpy(np.stack([_picture(path) for path in paths])),
    )
    return Gallery(pictures, pictures, tuple(names), (), str(folder))


def square_picture(path: Path, least: int) -> NDArray[np.float32]:
    """(64, 64, 3) sRGB in [0, 1] of a square picture.

    Raises:
        LabError: not square, or of fewer than `least` pixels a side.
        SceneError: no picture, or damaged.
    """
    wide, high = image_size(path, MAX_PIXELS)
    if wide != high or wide < least:
        raise LabError(
            f"is {wide} x {high} pixels",
            where=path,
            remedy=f"Give square pictures of {least} pixels and more, framed as a release's views.",
        )
    return resize_area(read_image(path, MAX_PIXELS), SIZE, SIZE)


def _picture(path: Path) -> NDArray[np.uint8]:
    """(64, 64, 3)."""
    small = square_picture(path, LEAST)
    if float(small.std()) < BLANK:
        raise LabError(
            "shows one colour and nobody",
            where=path,
            remedy="Put a picture of a face in its place.",
        )
    return np.round(small * 255).astype(np.uint8)
