"""The files of a release folder, their manifest, and nothing else.

release.json            settings, cameras, scale of the moduli
neutral/view_0020.png   8-bit RGB
sensitive/view_0000.png 16-bit grey, code / 65535 * modulus_scale = modulus
mask/view_0020.png      8-bit grey
manifest.json           SHA-256 of every other file
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from privhead_nb.errors import OutputError, ReleaseError
from privhead_nb.files import atomic_folder
from privhead_nb.privacy.release_json import AGAIN, FORMAT, VERSION, masked_views, read_settings
from privhead_nb.reading import MAX_JSON, read_bytes, read_json, unreadable
from privhead_nb.targets import check_target, contents, explain, left_over, resolved

MAX_PICTURE = 4_000_000
"""Bytes of a view's file; one of 512 x 512 pixels has less than 1 MB."""
_MODES = {"neutral": "RGB", "sensitive": "I;16", "mask": "L"}
_OWN = re.compile(r"release\.json|manifest\.json|(neutral|sensitive|mask)/view_\d{4,5}\.png")


@dataclass(frozen=True)
class ReleaseFiles:
    """The checked contents of a release folder; pictures by view number, as stored."""

    settings: dict[str, Any]
    neutral: dict[int, np.ndarray]
    moduli: dict[int, np.ndarray]
    masks: dict[int, np.ndarray]


def write_release(
    target: Path,
    *,
    settings: dict[str, Any],
    neutral: dict[int, np.ndarray],
    moduli: dict[int, np.ndarray],
    masks: dict[int, np.ndarray],
    overwrite: bool,
) -> None:
    """Write all files and the manifest aside, then rename; pictures are made from bare arrays."""
    check_release_target(target, overwrite)
    with atomic_folder(target, overwrite=overwrite) as aside:
        for kind, pictures in (("neutral", neutral), ("sensitive", moduli), ("mask", masks)):
            for view, codes in pictures.items():
                path = aside / view_file(kind, view)
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(codes).save(path)
        data = {"format": FORMAT, "version": VERSION, **settings}
        _write(aside / "release.json", data)
        names = sorted(p.relative_to(aside).as_posix() for p in aside.rglob("*") if p.is_file())
        sums = {n: hashlib.sha256((aside / n).read_bytes()).hexdigest() for n in names}
        _write(aside / "manifest.json", {"sha256": sums})


def view_file(kind: str, view: int) -> str:
    """A view's file in a release, of kind "neutral", "sensitive" or "mask"."""
    return f"{kind}/view_{view:04d}.png"


def check_release_target(target: Path, overwrite: bool) -> None:
    """Refuse a target that can't be written, or where replacing it would lose foreign files.

    Raises:
        OutputError: occupied, or with `overwrite` something else than a release's own files.
    """
    check_target(target, overwrite=overwrite)
    target = resolved(target)
    try:
        if not target.is_dir() or not contents(target):
            return
    except OSError as error:
        raise explain(error, target) from error
    try:
        own = set(_listed(target)) | {"manifest.json"}
        foreign = [n for n in _found(target)[0] if n not in own or not _OWN.fullmatch(n)]
    except ReleaseError as error:
        raise OutputError(
            "holds something that is no release, and won't be replaced "
            f"({Path(str(error.where)).name}: {error.problem})",
            where=target,
            remedy="Name a new folder, or remove this one yourself.",
        ) from error
    if foreign:
        raise OutputError(
            f"holds {foreign[0]!r}, which is no part of a release and would be lost",
            where=target,
            remedy="Move it elsewhere, or name a new folder.",
        )


def read_release(folder: Path) -> ReleaseFiles:
    """Check that the folder holds the files of its manifest and of release.json, and read them.

    Raises:
        ReleaseError: no release here, or a file is missing, edited, surplus or damaged.
    """
    _check_kind(folder)
    listed, found = _listed(folder), _found(folder)[0]
    for name in sorted(set(listed) - set(found)):
        raise ReleaseError("a file of the release is missing", where=folder / name, remedy=AGAIN)
    for name in sorted(set(found) - set(listed) - {"manifest.json"}):
        raise ReleaseError(
            "a file that is not in the manifest",
            where=folder / name,
            remedy="Remove it: a release holds its own files only.",
        )
    _checked(folder, "release.json", listed, MAX_JSON)
    settings = read_settings(folder / "release.json")
    views = {"neutral": settings["neutral"], "sensitive": settings["sensitive"]}
    views["mask"] = masked_views(
        settings["masks_released"], views["neutral"], len(settings["cameras"])
    )
    expected = {view_file(kind, v) for kind, chosen in views.items() for v in chosen}
    for name in sorted((set(listed) - {"release.json"}) ^ expected):
        said = "isn't in the manifest" if name in expected else "is none of this release's views"
        raise ReleaseError(said, where=folder / name, remedy=AGAIN)
    pictures = {
        kind: {v: _picture(folder, kind, v, settings["size"], listed) for v in chosen}
        for kind, chosen in views.items()
    }
    return ReleaseFiles(settings, pictures["neutral"], pictures["sensitive"], pictures["mask"])


def system_files(folder: Path) -> list[str]:
    """Files in a release that an operating system leaves behind; they are never read."""
    return _found(folder)[1]


def _check_kind(folder: Path) -> None:
    """Say what is here where it is no release folder."""
    try:
        there = {p.name for p in folder.iterdir()} if folder.exists() else set()
    except NotADirectoryError as error:
        raise ReleaseError("is no folder", where=folder, remedy="Name the folder.") from error
    except OSError as error:
        raise unreadable(folder, error, error=ReleaseError, remedy=AGAIN) from error
    if "release.json" in there:
        return
    for old in left_over(folder):
        if (old / "release.json").is_file():
            raise ReleaseError(
                "is gone: a run that was to replace it was killed",
                where=folder,
                remedy=f"Rename {old} to {folder.name}: it holds the old release.",
            )
    if not folder.exists():
        raise ReleaseError("there is no such folder", where=folder, remedy="Check the path.")
    if there & {"scene.json", "cameras.npz", "cameras_sphere.npz", "image"}:
        raise ReleaseError(
            "this is a scene, not a release",
            where=folder,
            remedy="Run protect on it first, and use the release that it writes.",
        )
    if "manifest.json" not in there:
        raise ReleaseError("this is no release", where=folder, remedy=AGAIN)


def _listed(folder: Path) -> dict[str, str]:
    """SHA-256 by file name, as the manifest lists them."""
    path = folder / "manifest.json"
    record = read_json(path, error=ReleaseError, remedy=AGAIN)
    record.only(["sha256"])
    sums = record.record("sha256").data
    if "release.json" not in sums:
        raise ReleaseError("doesn't list release.json", where=path, remedy=AGAIN)
    return sums


def _found(folder: Path) -> tuple[list[str], list[str]]:
    """Names of all files below a release folder: those to be checked, and an operating system's."""
    files: list[str] = []
    system: list[str] = []
    folder = resolved(folder)
    for base in (folder, *(folder / kind for kind in _MODES)):
        if base != folder and not base.is_dir():
            continue
        try:
            entries = sorted(contents(base))
        except OSError as error:
            raise unreadable(base, error, error=ReleaseError, remedy=AGAIN) from error
        for entry in entries:
            name = entry.relative_to(folder).as_posix()
            if entry.is_symlink():
                raise ReleaseError(
                    "is a link",
                    where=entry,
                    remedy="Copy the files themselves, not links to them (cp -rL).",
                )
            if not entry.is_dir():
                (system if _is_systems(entry.name) else files).append(name)
            elif name not in _MODES:
                raise ReleaseError(
                    "is a folder that no release has",
                    where=entry,
                    remedy="Move it elsewhere: a release holds its own files only.",
                )
    return files, system


def _is_systems(name: str) -> bool:
    return name.startswith("._") or name.lower() in (".ds_store", "thumbs.db", "desktop.ini")


def _checked(folder: Path, name: str, listed: dict[str, str], most: int) -> bytes:
    """A file's bytes, at most `most`, which have the manifest's SHA-256."""
    path = folder / name
    data = read_bytes(path, error=ReleaseError, remedy=AGAIN, most=most)
    if hashlib.sha256(data).hexdigest() == listed[name]:
        return data
    if hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest() == listed[name]:
        raise ReleaseError(
            "its line ends were changed from LF to CRLF",
            where=path,
            remedy="Copy the release again, in binary mode (git: mark it as -text).",
        )
    raise ReleaseError("was changed after the manifest was made", where=path, remedy=AGAIN)


def _picture(folder: Path, kind: str, view: int, size: int, listed: dict[str, str]) -> np.ndarray:
    """Decode one view, after its header was found to be of the stated size and mode."""
    name, mode = view_file(kind, view), _MODES[kind]
    data = _checked(folder, name, listed, MAX_PICTURE)
    try:
        # PNG only: Pillow would open any format, and start other programs for some.
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.size != (size, size) or image.mode != mode:
                raise ReleaseError(
                    f"is {image.mode} {image.size}, not {mode} {(size, size)}",
                    where=folder / name,
                    remedy=AGAIN,
                )
            return np.asarray(image)
    except ReleaseError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they trip over
        raise ReleaseError(
            f"can't be read as PNG ({str(error).split(' <')[0]})", where=folder / name, remedy=AGAIN
        ) from error


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
