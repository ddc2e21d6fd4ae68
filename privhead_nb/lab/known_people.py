"""Whom an attack may name: the gallery, of made people or of a folder of pictures.

    40000, 40001, ...      the first people of the group "evaluation", one frontal portrait each
    FOLDER                 PNG pictures called after their person: anna.png, bert_1.png, bert_2.png

Beside the gallery stand other pictures of the same people, where there are any. They are protected
as the release is, and tell how alike two people look to an attack: what a threshold is made of.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from privhead_nb.errors import LabError
from privhead_nb.lab import albums
from privhead_nb.lab.albums import Album, Plan
from privhead_nb.reading import unreadable
from privhead_nb.scenes.images import image_size, read_image, resize_area

SECONDS = 2  # a person and core
MOST = 10_000  # pictures in a folder
LEAST = 16  # pixels a side
MAX_PIXELS = 16_000_000  # of one of them
_NUMBERED = re.compile(r"(.+?)_\d+")


@dataclass(frozen=True, eq=False)
class Known:
    """Known people.

    Args:
        gallery: their pictures, all of role 0; identities are places in `names`.
        probes: other pictures of them, or the gallery itself where there are none.
        names: a person each.
        made: their numbers, where they are made people; empty for a folder.
        source: where they come from, in words.
    """

    gallery: Album
    probes: Album
    names: tuple[str, ...]
    made: tuple[int, ...]
    source: str

    def place(self, name: str) -> int:
        """Where a person stands in `names`.

        Raises:
            LabError: not among them.
        """
        if name not in self.names:
            first = ", ".join(self.names[:5])
            raise LabError(
                f"{name} is not in the gallery ({self.source}: {first}, ...)",
                where="--truth",
                remedy="Name someone who is, or make the gallery larger.",
            )
        return self.names.index(name)


def known_people(gallery: str, truth: str | None = None, *, workers: int | None = None) -> Known:
    """The gallery that the command line names.

    Args:
        gallery: a count of made people, or a folder of pictures.
        truth: who is shown, if that is known: checked before anything is made.
        workers: processes that make portraits.

    Raises:
        LabError: fewer than two people, no pictures, or `truth` isn't among them.
        SceneError: a picture can't be read.
    """
    if not (gallery.isascii() and gallery.isdecimal()):
        known = _of_folder(Path(gallery))
        if truth is not None:
            known.place(truth)
        return known
    if len(gallery) > 9:
        raise LabError("too large a gallery", where="--gallery", remedy="Give at most 10000.")
    if int(gallery) < 2:
        raise LabError(
            f"a gallery of {gallery} people",
            where="--gallery",
            remedy="Give at least 2: of one person every answer is right.",
        )
    who = albums.people("evaluation", int(gallery))
    if truth is not None and truth not in map(str, who):
        raise LabError(
            f"{truth} is not in the gallery (made people {who[0]} to {who[-1]})",
            where="--truth",
            remedy="Name someone who is, or make the gallery larger.",
        )
    album = portraits(who, albums.GALLERY, workers=workers)
    numbered = _placed(album, who)
    return Known(
        gallery=numbered.frontals(),
        probes=numbered.views(),
        names=tuple(map(str, who)),
        made=who,
        source=f"made people {who[0]} to {who[-1]}",
    )


def attackers(count: int, *, workers: int | None = None) -> Album:
    """Portraits of the attacker's people.

    Raises:
        LabError: fewer than two.
    """
    if count < 2:
        raise LabError(
            f"{count} people to learn from", where="--people", remedy="Give at least 2; 100 do."
        )
    return portraits(albums.people("attacker", count), albums.LEARNING, workers=workers)


def portraits(who: Sequence[int], plan: Plan, *, workers: int | None = None) -> Album:
    """Portraits from the lab's folder; what is missing is made, and a message says how long."""
    folder = albums.cache_folder()
    missing = sum(not (folder / albums.plan_name(plan) / f"{i}.safetensors").is_file() for i in who)
    if missing:
        tell(f"portraits of {missing} made people", missing * SECONDS)
    return albums.make_album(who, plan, folder=folder, workers=workers, progress=missing > 0)


def tell(what: str, seconds: float) -> None:
    """Say on stderr what is made once, and how long one core takes."""
    print(
        f"Making {what}, once: about {max(1, round(seconds))} s on one core, less on several. "
        f"They are kept in {albums.cache_folder()}.",
        file=sys.stderr,
    )


def _placed(album: Album, who: Sequence[int]) -> Album:
    """The album with places in `who` for identities."""
    where = {number: place for place, number in enumerate(who)}
    identity = torch.tensor([where[int(i)] for i in album.identity])
    return Album(identity, album.role, album.yaw, album.pictures, album.masks, album.normals)


def _of_folder(folder: Path) -> Known:
    """PNG pictures, each called after its person."""
    remedy = "--gallery takes a number of made people, or a folder of PNG pictures."
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LabError("there is no such folder", where=folder, remedy=remedy) from error
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
    called = [found[1] if (found := _NUMBERED.fullmatch(p.stem)) else p.stem for p in paths]
    names = sorted(set(called))
    if len(names) < 2:
        raise LabError(
            f"all pictures are called after one person, {names[0]}",
            where=folder,
            remedy="Give pictures of at least two: anna.png, bert_1.png, bert_2.png.",
        )
    pictures = torch.from_numpy(np.stack([_picture(path) for path in paths]))
    N = len(paths)
    album = Album(
        identity=torch.tensor([names.index(name) for name in called]),
        role=torch.zeros(N, dtype=torch.long),
        yaw=torch.zeros(N),
        pictures=pictures[:, None].expand(-1, 3, -1, -1, -1),
        masks=torch.zeros(N, albums.SIZE, albums.SIZE, dtype=torch.uint8),
        normals=torch.zeros(N, albums.SIZE, albums.SIZE, 3, dtype=torch.int8),
    )
    return Known(album, album, tuple(names), (), str(folder))


def _picture(path: Path) -> np.ndarray:
    """(64, 64, 3) uint8."""
    wide, high = image_size(path, MAX_PIXELS)
    if wide != high or wide < LEAST:
        raise LabError(
            f"is {wide} x {high} pixels",
            where=path,
            remedy=f"Give square pictures of {LEAST} pixels and more, framed as a release's views.",
        )
    small = resize_area(read_image(path, MAX_PIXELS), albums.SIZE, albums.SIZE)
    return np.round(small * 255).astype(np.uint8)
