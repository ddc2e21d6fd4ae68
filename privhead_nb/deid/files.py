"""De-identification of picture files: folders in, folders out, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from privhead_nb.deid import deidentifier, g2face
from privhead_nb.deid.domain import faces_found, verdicts
from privhead_nb.errors import LabError
from privhead_nb.files import atomic_folder, write_json
from privhead_nb.lab.framing import SIZE
from privhead_nb.lab.gallery import MAX_PIXELS, square_picture
from privhead_nb.reading import unreadable
from privhead_nb.scenes.images import exif_orientation, image_size, write_image

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
BATCH = 50  # pictures at a time, so that progress can be shown
NO_PORTRAIT = (
    "Give square portraits of made heads, framed as a release's views, before white "
    "(privhead synth makes some), or --force to go on all the same."
)


@dataclass(frozen=True)
class Request:
    """What is to be done.

    Attributes:
        method: one of `deid.NAMES`.
        strength: of the method's own kind; None is its default.
        group: all pictures show one person.
        seed: of what is drawn.
        force: go on where a picture is not of the kind that the system knows.
        passphrase: locks what G2Face hides; None leaves it open to anyone with the extractor.

    Raises:
        LabError: a passphrase for a method that hides nothing.
    """

    method: str
    strength: float | None = None
    group: bool = False
    seed: int = 0
    force: bool = False
    passphrase: str | None = None

    def __post_init__(self) -> None:
        if self.passphrase is not None and self.method != g2face.NAME:
            raise LabError(
                f"{self.method} hides nothing that a passphrase could lock",
                where="--passphrase",
                remedy=f"Leave it out, or use --method {g2face.NAME}.",
            )


def picture_paths(source: Path) -> list[Path]:
    """The pictures of a folder, by name, or one picture.

    Raises:
        LabError: there are none, or the folder can't be read.
    """
    remedy = f"Give a picture, or a folder of them: {', '.join(ENDINGS)}."
    try:
        if source.is_file():
            return [source]
        entries = sorted(source.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LabError("there is no such file or folder", where=source, remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise unreadable(source, error, error=LabError, remedy=remedy) from error
    paths = [p for p in entries if p.suffix.lower() in ENDINGS and not p.name.startswith(".")]
    if not paths:
        raise LabError("holds no picture", where=source, remedy=remedy)
    twice = {p.stem for p in paths if sum(q.stem == p.stem for q in paths) > 1}
    if twice:
        raise LabError(
            f"two pictures are called {min(twice)}",
            where=source,
            remedy="Results are PNG: give each picture a name of its own.",
        )
    return paths


def read_portrait(path: Path) -> Tensor:
    """(64, 64, 3) sRGB in [0, 1] of a square picture.

    Raises:
        LabError: not square, too small, or turned by EXIF.
        SceneError: no picture, or damaged.
    """
    picture = square_picture(path, SIZE)
    if exif_orientation(path) != 1:
        raise LabError(
            "is turned by its EXIF orientation",
            where=path,
            remedy="Save it upright, without EXIF.",
        )
    return torch.from_numpy(picture).clamp(0, 1)


def out_of_domain(pictures: Tensor, paths: list[Path]) -> dict[Path, str]:
    """Which pictures (N, 64, 64, 3) no system knows the kind of, and what is seen in each."""
    seen = {0: "no face is found in it", 1: "a face is found in it, of another kind or framing"}
    out = {}
    for picture, path, verdict in zip(pictures, paths, verdicts(pictures), strict=True):
        if not verdict.known:
            count = int(faces_found(picture[None])[0])
            out[path] = (
                f"{seen.get(count, f'{count} faces are found in it')} (distance from made "
                f"portraits {verdict.distance:.3f}, at most {verdict.most:.3f})"
            )
    return out


def deidentify(
    source: Path, out: Path, request: Request, *, overwrite: bool = False, progress: bool = True
) -> dict[str, Any]:
    """Write de-identified PNG pictures and deidentified.json.

    Returns:
        What was done: method, strength, group, seed, names of the pictures, whether a passphrase
        locks them, and "out_of_domain": those that `force` let through, with what is seen in them.

    Raises:
        LabError: as in the functions above, or as the system itself; or a picture is not of the
            kind that the systems know.
        OutputError: `out` can't be written; nothing half-written is left.
    """
    paths = picture_paths(source)
    system = deidentifier(request.method)
    strength = system.default if request.strength is None else request.strength
    pictures = torch.stack([read_portrait(path) for path in paths])
    foreign = out_of_domain(pictures, paths)
    if foreign and not request.force:
        path, why = next(iter(foreign.items()))
        more = f"; nor are {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise LabError(
            f"is not of the kind that these models know: {why}{more}",
            where=path,
            remedy=NO_PORTRAIT,
        )
    random = torch.Generator().manual_seed(request.seed)
    at_once = len(pictures) if request.group or request.method == "k-same" else BATCH
    parts = pictures.split(at_once)
    with tqdm(parts, request.method, delay=1, disable=not progress, unit="batch") as bar:
        changed = [_changed(system, part, strength, random, request) for part in bar]
    facts: dict[str, Any] = {
        "method": request.method,
        "strength": strength,
        "group": request.group,
        "seed": request.seed,
        "pictures": [f"{path.stem}.png" for path in paths],
        "locked": request.passphrase is not None,
        "out_of_domain": {path.name: why for path, why in foreign.items()},
    }
    with atomic_folder(out, overwrite=overwrite) as aside:
        for name, picture in zip(facts["pictures"], torch.cat(changed), strict=True):
            write_image(aside / name, picture.numpy())
        write_json(aside / "deidentified.json", facts)
    return facts


def recover(
    source: Path, out: Path, passphrase: str | None = None, *, overwrite: bool = False
) -> dict[str, Any]:
    """Recover the faces that G2Face hid in PNG pictures, and write recovered.json.

    Returns:
        How many pictures there were, which were recovered, and of the others why not, by name.

    Raises:
        LabError: not one could be recovered: `out` is then as it was; or a picture of another size.
        OutputError: as in `deidentify`.
    """
    paths = picture_paths(source)
    pictures = torch.stack([_as_saved(path) for path in paths])
    found = g2face.deidentifier().recover(pictures, passphrase)
    failed = {path.name: one.why for path, one in zip(paths, found, strict=True) if one.why}
    if len(failed) == len(paths):
        of_all = f", nor is any other of {len(paths)} pictures" if len(paths) > 1 else ""
        raise LabError(
            f"not recovered{of_all}: {found[0].why}",
            where=paths[0],
            remedy="Give PNG pictures as privhead deidentify --method g2face wrote them, and the "
            "passphrase of then.",
        )
    facts: dict[str, Any] = {
        "pictures": len(paths),
        "recovered": [f"{path.stem}.png" for path in paths if path.name not in failed],
        "not_recovered": failed,
    }
    with atomic_folder(out, overwrite=overwrite) as aside:
        for path, one in zip(paths, found, strict=True):
            if one.picture is not None:
                write_image(aside / f"{path.stem}.png", one.picture.numpy())
        write_json(aside / "recovered.json", facts)
    return facts


def _as_saved(path: Path) -> Tensor:
    """(64, 64, 3) of a picture that was never resized, or nothing is left of what it hides."""
    wide, high = image_size(path, MAX_PIXELS)
    if (wide, high) != (SIZE, SIZE):
        raise LabError(
            f"is {wide} x {high} pixels, and what is hidden in a picture is lost with its size",
            where=path,
            remedy=f"Give the {SIZE} x {SIZE} PNG that privhead deidentify wrote.",
        )
    return read_portrait(path)


def _changed(
    system: Any, pictures: Tensor, strength: float, random: torch.Generator, request: Request
) -> Tensor:
    if request.passphrase is None:
        made: Tensor = system(pictures, strength, random, group=request.group)
        return made
    locked: Tensor = system.anonymise(
        pictures, strength, random, passphrase=request.passphrase, group=request.group
    )
    return locked
