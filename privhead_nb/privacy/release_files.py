"""The files of a release folder, their manifest, and nothing else.

release.json            settings, cameras, scale of the moduli
neutral/view_0020.png   8-bit RGB
sensitive/view_0000.png 16-bit grey, code / 65535 * modulus_scale = modulus
mask/view_0020.png      8-bit grey
manifest.json           SHA-256 of every other file
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from privhead_nb.errors import ReleaseError
from privhead_nb.files import atomic_folder

FORMAT, VERSION = "privhead release", 1
_AGAIN = "Make the release again with protect."


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
    with atomic_folder(target, overwrite=overwrite) as aside:
        for name, pictures in (("neutral", neutral), ("sensitive", moduli), ("mask", masks)):
            for view, codes in pictures.items():
                path = aside / name / f"view_{view:04d}.png"
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(codes).save(path)
        data = {"format": FORMAT, "version": VERSION, **settings}
        _write(aside / "release.json", data)
        names = sorted(p.relative_to(aside).as_posix() for p in aside.rglob("*") if p.is_file())
        _write(aside / "manifest.json", {"sha256": {n: _sha256(aside / n) for n in names}})


def read_release(folder: Path) -> ReleaseFiles:
    """Check the manifest, then read what release.json names.

    Raises:
        ReleaseError: no release here, or a file is missing, edited, surplus or damaged.
    """
    if not folder.is_dir():
        raise ReleaseError("there is no such folder", where=folder, remedy="Check the path.")
    if not (folder / "release.json").is_file():
        scene = any((folder / n).exists() for n in ("scene.json", "cameras.npz", "image"))
        if scene or (folder / "cameras_sphere.npz").exists():
            raise ReleaseError(
                "this is a scene, not a release",
                where=folder,
                remedy="Run protect on it first, and use the release that it writes.",
            )
        if not (folder / "manifest.json").is_file():
            raise ReleaseError("this is no release", where=folder, remedy=_AGAIN)
    _check_manifest(folder)
    settings = _read(folder / "release.json")
    if settings.get("format") != FORMAT or settings.get("version") != VERSION:
        raise ReleaseError(
            f"is {settings.get('format')!r}, version {settings.get('version')!r}",
            where=folder / "release.json",
            remedy=f"This package reads {FORMAT!r}, version {VERSION}.",
        )
    size, neutral, sensitive = _outline(settings, folder)
    masked = {"none": [], "neutral": neutral, "all": sorted([*neutral, *sensitive])}
    return ReleaseFiles(
        settings=settings,
        neutral={v: _picture(folder / "neutral", v, size, "RGB") for v in neutral},
        moduli={v: _picture(folder / "sensitive", v, size, "I;16") for v in sensitive},
        masks={
            v: _picture(folder / "mask", v, size, "L") for v in masked[settings["masks_released"]]
        },
    )


def _check_manifest(folder: Path) -> None:
    """Raise ReleaseError unless the folder holds exactly the files listed, unchanged."""
    listed = _read(folder / "manifest.json").get("sha256")
    if not isinstance(listed, dict):
        raise ReleaseError("lists no files", where=folder / "manifest.json", remedy=_AGAIN)
    found = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or p.is_file()
    } - {"manifest.json"}
    for name in sorted(set(listed) - found):
        raise ReleaseError("a file of the release is missing", where=folder / name, remedy=_AGAIN)
    for name in sorted(found - set(listed)):
        raise ReleaseError(
            "a file that is not in the manifest",
            where=folder / name,
            remedy="Remove it: a release holds its own files only.",
        )
    for name in sorted(found):
        if (folder / name).is_symlink() or _sha256(folder / name) != listed[name]:
            raise ReleaseError(
                "was changed after the manifest was made", where=folder / name, remedy=_AGAIN
            )


def _outline(settings: dict[str, Any], folder: Path) -> tuple[int, list[int], list[int]]:
    """Size, neutral and sensitive view numbers: all that is needed to find the pictures."""
    size, neutral, sensitive = (settings.get(k) for k in ("size", "neutral", "sensitive"))
    whole = all(
        isinstance(views, list) and all(type(v) is int and v >= 0 for v in views)
        for views in (neutral, sensitive)
    )
    masks = settings.get("masks_released")
    if type(size) is not int or not whole or masks not in ("none", "neutral", "all"):
        raise ReleaseError(
            "size, neutral, sensitive or masks_released is missing or wrong",
            where=folder / "release.json",
            remedy=_AGAIN,
        )
    assert isinstance(neutral, list)
    assert isinstance(sensitive, list)
    return size, neutral, sensitive


def _picture(folder: Path, view: int, size: int, mode: str) -> np.ndarray:
    """Decode one view, after its header was found to be of the stated size and mode."""
    path = folder / f"view_{view:04d}.png"
    try:
        with Image.open(path) as image:
            if image.size != (size, size) or image.mode != mode:
                raise ReleaseError(
                    f"is {image.mode} {image.size}, not {mode} {(size, size)}",
                    where=path,
                    remedy=_AGAIN,
                )
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ReleaseError(f"can't be read ({error})", where=path, remedy=_AGAIN) from error


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ReleaseError("a file of the release is missing", where=path, remedy=_AGAIN)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReleaseError(f"can't be read ({error})", where=path, remedy=_AGAIN) from error
    if not isinstance(data, dict):
        raise ReleaseError("holds no object", where=path, remedy=_AGAIN)
    return data


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError as error:
        raise ReleaseError("can't be read", where=path, remedy="Check its permissions.") from error
