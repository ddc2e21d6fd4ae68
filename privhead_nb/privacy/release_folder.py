"""The folder of a release: its files, their manifest, and nothing else.

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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from privhead_nb.errors import OutputError, ReleaseError
from privhead_nb.files import atomic_folder
from privhead_nb.reading import MAX_JSON, Record, read_bytes, read_json, unreadable
from privhead_nb.targets import check_target, contents, explain, left_over, resolved

AGAIN = "Make the release again with protect."
MODES = {"neutral": "RGB", "sensitive": "I;16", "mask": "L"}
"""The folders of pictures, and the colour mode of those in each."""
MAX_PICTURE = 4_000_000
"""Bytes of a view's file; one of 512 x 512 pixels has less than 1 MB."""

_OWN = re.compile(r"release\.json|manifest\.json|(neutral|sensitive|mask)/view_\d{4,5}\.png")

Pictures = Mapping[str, Mapping[int, np.ndarray]]
"""Stored numbers of the views, by folder and by view."""


def view_file(kind: str, view: int) -> str:
    """A view's file in a release, of kind "neutral", "sensitive" or "mask"."""
    return f"{kind}/view_{view:04d}.png"


def write_folder(
    target: Path, settings: Mapping[str, Any], pictures: Pictures, overwrite: bool
) -> None:
    """Write all files and the manifest aside, then rename; pictures are made from bare arrays.

    Raises:
        OutputError: as `check_release_target`, or the disk says no.
    """
    check_release_target(target, overwrite)
    with atomic_folder(target, overwrite=overwrite) as aside:
        for kind, views in pictures.items():
            for view, codes in views.items():
                path = aside / view_file(kind, view)
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(codes).save(path)
        _write(aside / "release.json", settings)
        names = sorted(p.relative_to(aside).as_posix() for p in aside.rglob("*") if p.is_file())
        sums = {n: hashlib.sha256((aside / n).read_bytes()).hexdigest() for n in names}
        _write(aside / "manifest.json", {"sha256": sums})


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
        own = {*_manifest(target), "manifest.json"}
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


@dataclass(frozen=True)
class ReleaseFolder:
    """A release on disk, whose manifest lists just the files that are in it.

    Args:
        path: the folder.
        sums: SHA-256 by file name, hex.
    """

    path: Path
    sums: dict[str, str]

    @classmethod
    def open(cls, path: Path) -> ReleaseFolder:
        """Compare the folder's files with its manifest by name.

        Raises:
            ReleaseError: no release here, or a file is missing or surplus.
        """
        _check_kind(path)
        sums, found = _manifest(path), _found(path)[0]
        for name in sorted(set(sums) - set(found)):
            raise ReleaseError("a file of the release is missing", where=path / name, remedy=AGAIN)
        for name in sorted(set(found) - set(sums) - {"manifest.json"}):
            raise ReleaseError(
                "a file that is not in the manifest",
                where=path / name,
                remedy="Remove it: a release holds its own files only.",
            )
        return cls(path, sums)

    def settings(self) -> Record:
        """The fields of release.json; ReleaseError where it was edited or is no JSON."""
        self._bytes("release.json", MAX_JSON)
        return read_json(self.path / "release.json", error=ReleaseError, remedy=AGAIN)

    def pictures(self, views: Mapping[str, Iterable[int]], size: int) -> Pictures:
        """The stored numbers of these views, which must be all that the folder holds.

        Args:
            views: by kind; the others' files are refused.
            size: width and height that each picture must have.

        Raises:
            ReleaseError: a view is missing, surplus, edited, damaged or of another size or mode.
        """
        expected = {view_file(kind, v) for kind, chosen in views.items() for v in chosen}
        for name in sorted((set(self.sums) - {"release.json"}) ^ expected):
            said = (
                "isn't in the manifest" if name in expected else "is none of this release's views"
            )
            raise ReleaseError(said, where=self.path / name, remedy=AGAIN)
        return {
            kind: {v: self._picture(view_file(kind, v), MODES[kind], size) for v in chosen}
            for kind, chosen in views.items()
        }

    def _bytes(self, name: str, most: int) -> bytes:
        """A file's bytes, at most `most`, which have the manifest's SHA-256."""
        path = self.path / name
        data = read_bytes(path, error=ReleaseError, remedy=AGAIN, most=most)
        if hashlib.sha256(data).hexdigest() == self.sums[name]:
            return data
        if hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest() == self.sums[name]:
            raise ReleaseError(
                "its line ends were changed from LF to CRLF",
                where=path,
                remedy="Copy the release again, in binary mode (git: mark it as -text).",
            )
        raise ReleaseError("was changed after the manifest was made", where=path, remedy=AGAIN)

    def _picture(self, name: str, mode: str, size: int) -> np.ndarray:
        """Decode one view, after its header was found to be of this size and mode."""
        path, data = self.path / name, self._bytes(name, MAX_PICTURE)
        try:
            # PNG only: Pillow would open any format, and start other programs for some.
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                stored = f"{image.mode} {image.size}"
                if stored == f"{mode} {(size, size)}":
                    return np.asarray(image)
        except Exception as error:  # Pillow's decoders raise whatever they trip over
            problem = f"can't be read as PNG ({str(error).split(' <')[0]})"
            raise ReleaseError(problem, where=path, remedy=AGAIN) from error
        raise ReleaseError(f"is {stored}, not {mode} {(size, size)}", where=path, remedy=AGAIN)


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


def _manifest(folder: Path) -> dict[str, str]:
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
    for base in (folder, *(folder / kind for kind in MODES)):
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
            elif name not in MODES:
                raise ReleaseError(
                    "is a folder that no release has",
                    where=entry,
                    remedy="Move it elsewhere: a release holds its own files only.",
                )
    return files, system


def _is_systems(name: str) -> bool:
    return name.startswith("._") or name.lower() in (".ds_store", "thumbs.db", "desktop.ini")


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
