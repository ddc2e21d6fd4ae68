"""Loaders, one format a file. A new format is one file here and one line in `FORMATS`.

A loader is a pair of functions: `looks_like(folder) -> bool` and
`read(folder, pixel_center) -> SceneParts`, both reading only; `pixel_center` is scene.json's, None
where it says nothing. A loader converts to the package's conventions once, here at the door, and
says in `SceneParts.assumptions` what it took for granted.
"""

from __future__ import annotations

from pathlib import Path

from privhead_nb.errors import SceneError, check_choice
from privhead_nb.reading import unreadable
from privhead_nb.scenes.formats import blender, colmap, facescape, h3ds, idr, nerfstudio
from privhead_nb.scenes.formats.parts import SceneParts

FORMATS = {
    "h3ds": h3ds,
    "idr": idr,
    "facescape": facescape,
    "blender": blender,
    "nerfstudio": nerfstudio,
    "colmap": colmap,
}
"""NeuS and VolSDF folders are `idr` ones, and H3DS folders too: where both fit, `h3ds` is meant."""


def read_parts(folder: Path, format: str, pixel_center: float | None) -> SceneParts:
    """Read `folder` with the loader named `format`, or with the one that knows it ("auto").

    Raises:
        SceneError: unknown format, no loader knows the folder or several do, or what it holds is
            wrong.
    """
    check_choice("format", format, ["auto", *FORMATS], where=folder, error=SceneError)
    try:
        name = recognised(folder) if format == "auto" else format
        return FORMATS[name].read(folder, pixel_center)
    except OSError as problem:  # a folder that is closed to us says so at any question about it
        raise unreadable(folder, problem, error=SceneError, remedy="Check the folder.") from problem


def recognised(folder: Path) -> str:
    """The name of the one format whose files stand in `folder`; SceneError for none or several."""
    fits = [name for name, loader in FORMATS.items() if loader.looks_like(folder)]
    if "h3ds" in fits:
        fits.remove("idr")
    if len(fits) > 1:
        raise SceneError(
            f"the files of {len(fits)} formats are here, {' and '.join(fits)}",
            where=folder,
            remedy=f"Say which is meant, as --format {fits[0]}.",
        )
    if not fits:
        raise SceneError(
            "no scene is in this folder",
            where=folder,
            remedy="Expected image/, mask/ and cameras.npz (or cameras_sphere.npz) in it, or the "
            "files of another format: transforms.json, transforms_train.json, params.json, or "
            "COLMAP's sparse/0.",
        )
    return fits[0]
