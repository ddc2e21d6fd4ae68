"""H3DS folders: the IDR layout in mm with image/img_%04d.* and mask/mask_%04d.*."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from privhead_nb.errors import SceneError
from privhead_nb.scenes.formats import idr
from privhead_nb.scenes.formats.parts import SceneParts, list_pictures


def looks_like(folder: Path) -> bool:
    """True where the views are called img_0000, whatever stands beside them."""
    return idr.looks_like(folder) and any((folder / "image").glob("img_0000.*"))


def read(folder: Path, pixel_center: float | None) -> SceneParts:
    """Read the folder as IDR's, with view i in img_%04d and mask_%04d; the unit is mm.

    Raises:
        SceneError: besides what IDR's loader refuses, the name of the first missing view.
    """
    K, _, _, _ = idr.read_npz_cameras(idr.camera_file(folder))
    for kind, stem in (("image", "img"), ("mask", "mask")):
        there = {path.stem for path in list_pictures(folder / kind)}
        missing = [name for i in range(len(K)) if (name := f"{stem}_{i:04d}") not in there]
        if missing:
            raise SceneError(
                f"the file is missing: {len(K) - len(missing)} {kind}s for {len(K)} cameras",
                where=folder / kind / f"{missing[0]}.png",
                remedy="Give every camera its image and mask (.png or .jpg), or remove the camera.",
            )
    return replace(idr.read(folder, pixel_center), unit="mm")
