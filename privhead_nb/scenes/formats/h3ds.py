"""H3DS folders: the IDR layout in mm with image/img_%04d.*, full_head.obj and landmarks.txt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from privhead_nb.errors import SceneError
from privhead_nb.scenes.formats import idr
from privhead_nb.scenes.formats.npz_cameras import read_npz_cameras
from privhead_nb.scenes.formats.parts import SUFFIXES, Hints, SceneParts


def looks_like(folder: Path) -> bool:
    """True where the views are called img_0000, or a truth mesh full_head.obj stands by."""
    named = any((folder / "image" / f"img_0000{suffix}").is_file() for suffix in SUFFIXES)
    return idr.looks_like(folder) and (named or (folder / "full_head.obj").is_file())


def read(folder: Path, hints: Hints) -> SceneParts:
    """Read the folder as IDR's, with view i in img_%04d and mask_%04d; the unit is mm.

    Raises:
        SceneError: besides what IDR's loader refuses, the name of the first missing view.
    """
    K, _, _, _ = read_npz_cameras(idr.camera_file(folder))
    for kind, stem in (("image", "img"), ("mask", "mask")):
        paths = [_find(folder / kind, f"{stem}_{i:04d}") for i in range(len(K))]
        found = [p for p in paths if p is not None]
        if len(found) != len(K):
            raise SceneError(
                f"the file is missing: {len(found)} {kind}s for {len(K)} cameras",
                where=folder / kind / f"{stem}_{paths.index(None):04d}.png",
                remedy="Give every camera its image and mask (.png or .jpg), or remove the camera.",
            )
    return replace(idr.read(folder, hints), unit="mm")


def _find(folder: Path, stem: str) -> Path | None:
    return next((p for s in SUFFIXES if (p := folder / f"{stem}{s}").is_file()), None)
