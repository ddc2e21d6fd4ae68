"""FaceScape's multi-view data: `<id>/<expression>/<view>.jpg` and params.json, in OpenCV axes.

The cameras come out of structure from motion and have any scale and frame. `Rt_scale_dict.json`,
published beside the data, takes them to millimetres and to the frame of the registered models.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from privhead_nb.errors import SceneError, listed
from privhead_nb.reading import Record, read_json
from privhead_nb.scenes.camera import Axis
from privhead_nb.scenes.formats.parts import SceneParts
from privhead_nb.scenes.formats.posed import (
    PosedView,
    assemble,
    check_pose,
    mask_of,
    named_picture,
)
from privhead_nb.scenes.formats.transforms import pinhole, read_transforms
from privhead_nb.scenes.images import FORMATS, image_size

FILE, SCALES = "params.json", "Rt_scale_dict.json"
LARGEST = 100_000
_REMEDY = "It should be FaceScape's, with 0_K, 0_Rt, 0_distortion, 0_width, 0_height, 0_valid, ..."


def looks_like(folder: Path) -> bool:
    """True for params.json beside pictures that are numbers."""
    if not (folder / FILE).is_file():
        return False
    return any(p.stem.isdecimal() and p.suffix.lower() in FORMATS for p in folder.iterdir())


def read(folder: Path, pixel_center: float | None) -> SceneParts:
    """The valid views of params.json; distortion is taken out as pictures are read.

    Where nobody says a `pixel_center`, 0 is taken: its own code projects with OpenCV.

    Raises:
        SceneError: which field is wrong, which picture or mask is missing.
    """
    path = folder / FILE
    data = read_transforms(path, _REMEDY)
    numbers = sorted({int(m[1]) for key in data.data if (m := re.fullmatch(r"(\d{1,6})_K", key))})
    if not numbers:
        raise SceneError("holds no camera (0_K, 1_K, ...)", where=path, remedy=_REMEDY)
    valid = [n for n in numbers if _valid(data, n)]
    said = [] if pixel_center is not None else ["pixel_center 0 assumed, as OpenCV projects"]
    if len(valid) < len(numbers):
        skipped = [str(n) for n in numbers if n not in valid]
        said.append(f"views that params.json calls invalid are left out: {listed(skipped)}")
    if not valid:
        raise SceneError(
            "calls every view invalid", where=path, remedy="Take another expression of the person."
        )
    stray = sorted(
        p.name
        for p in folder.iterdir()
        if p.suffix.lower() in FORMATS and p.stem.isdecimal() and int(p.stem) not in numbers
    )
    if stray:
        said.append(f"pictures without a camera are left out: {listed(stray)}")
    scale, axes, unit = _published(folder, said)
    views = [_view(folder, data, n, scale) for n in valid]
    truth = folder.resolve().parent / f"{folder.resolve().name}.ply"
    return assemble(
        folder,
        views,
        path,
        pixel_center=0.0 if pixel_center is None else pixel_center,
        sizes=image_size,
        unit=unit,
        axes=axes,
        truth_path=truth if truth.is_file() else None,
        truth_scale=scale,
        assumptions=said,
    )


def _valid(data: Record, number: int) -> bool:
    """A view counts as valid unless the file says that it isn't."""
    key = f"{number}_valid"
    found = data.data.get(key, True)
    if not isinstance(found, bool) and found not in (0, 1):
        raise data.wrong(key, "true or false")
    return bool(found)


def _view(folder: Path, data: Record, number: int, scale: float) -> PosedView:
    image = named_picture(folder, str(number), where=data.path, field=f"view {number}")
    K = _matrix(data, f"{number}_K", (3, 4))
    if abs(K[0, 1]) > 1e-6 * abs(K[0, 0]):
        raise data.wrong(f"{number}_K", "without skew")
    # Documented as 4 x 4, written as 3 x 3.
    w2c = _matrix(data, f"{number}_Rt", (3, 4), columns=4)
    pose = check_pose(w2c, where=data.path, field=f"{number}_Rt")
    pose[:3, :3] = pose[:3, :3].T
    pose[:3, 3] = -scale * pose[:3, :3] @ w2c[:3, 3]
    size = tuple(data.whole(f"{number}_{side}", 1, LARGEST) for side in ("width", "height"))
    key = f"{number}_distortion"
    distortion = data.array(key, (None,)) if key in data else np.zeros(0)
    if len(distortion) not in (0, 4, 5, 8):
        raise data.wrong(key, "k1 k2 p1 p2 k3")
    return PosedView(
        f"view {number}",
        image,
        mask_of(folder, image),
        pinhole(K[0, 0], K[1, 1], K[0, 2], K[1, 2]),
        pose,
        (size[0], size[1]),
        tuple(distortion.tolist()),
    )


def _matrix(
    data: Record, key: str, rows: tuple[int, int], columns: int | None = None
) -> np.ndarray:
    """A matrix of 3 or 4 rows and of as many, or of four, columns."""
    value = data.get(key)
    width = len(value[0]) if isinstance(value, list) and value and isinstance(value[0], list) else 0
    found = data.array(key, (None, columns or width)) if width in (3, 4) else np.zeros((0, 0))
    if len(found) not in rows:
        raise data.wrong(key, f"a matrix of 3 x {columns or 3} numbers")
    return found


def _published(folder: Path, said: list[str]) -> tuple[float, tuple[Axis, Axis], str]:
    """Scale, axes and unit out of Rt_scale_dict.json, looked for here and two folders above."""
    here = folder.resolve()
    path = next((p / SCALES for p in (here, *here.parents[:2]) if (p / SCALES).is_file()), None)
    number = re.match(r"\d+", here.name)
    if path is None or number is None:
        said.append(
            f"without {SCALES} beside them, FaceScape's cameras have any scale and axes: only "
            "scene.json can state unit, up and front"
        )
        return 1.0, ("+y", "+z"), "scene"
    remedy = f"It should be FaceScape's published {SCALES}."
    person = read_json(path, error=SceneError, remedy=remedy).record(here.parent.name)
    entry = person.get(number[0])
    if not isinstance(entry, list) or len(entry) != 2:
        raise person.wrong(number[0], "a scale and a 3 x 4 matrix")
    parts = Record({"scale": entry[0], "Rt": entry[1]}, path, SceneError, remedy, person.within)
    scale = parts.number("scale", 1e-6, 1e9)
    Rt = parts.array("Rt", (None, 4))
    R = check_pose(Rt, where=path, field=f"{person.within}{number[0]}")[:3, :3]
    up, front = (tuple(row.tolist()) for row in R[1:])
    said.append(
        f"scale ({scale:g} mm a unit) and axes are those of {SCALES} for {here.parent.name}, "
        f"expression {number[0]}"
    )
    return scale, (up, front), "mm"
