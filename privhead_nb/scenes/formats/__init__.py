"""Loaders, one format a file. A new format is one file here and one line in `FORMATS`.

A loader is a pair of functions: `looks_like(folder) -> bool` and
`read(folder, hints) -> SceneParts`, both reading only. It converts to the package's
conventions once, here at the door, and says in `SceneParts.assumptions` what it took
for granted.
"""

from __future__ import annotations

from pathlib import Path

from privhead_nb.errors import SceneError
from privhead_nb.reading import unreadable
from privhead_nb.scenes.formats import h3ds, idr
from privhead_nb.scenes.formats.parts import Hints, SceneParts

FORMATS = {"h3ds": h3ds, "idr": idr}
"""Tried in this order; NeuS and VolSDF folders are `idr` ones."""


def read_parts(folder: Path, format: str, hints: Hints) -> SceneParts:
    """Read `folder` with the loader named `format`, or with the first that knows it ("auto").

    Raises:
        SceneError: unknown format, no loader knows the folder, or what it holds is wrong.
    """
    if format != "auto" and format not in FORMATS:
        raise SceneError(
            f"unknown scene format {format!r}",
            where=folder,
            remedy=f"Use one of: auto, {', '.join(FORMATS)}.",
        )
    try:
        for name, loader in FORMATS.items():
            if name == format or (format == "auto" and loader.looks_like(folder)):
                return loader.read(folder, hints)
    except OSError as problem:  # a folder that is closed to us says so at any question about it
        raise unreadable(folder, problem, error=SceneError, remedy="Check the folder.") from problem
    raise SceneError(
        "no scene is in this folder",
        where=folder,
        remedy="Expected image/, mask/ and cameras.npz (or cameras_sphere.npz) in it.",
    )
