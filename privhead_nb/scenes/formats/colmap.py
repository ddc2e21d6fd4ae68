"""COLMAP's sparse models, binary or text: read by pycolmap, which is optional.

Cameras are world to camera, in OpenCV axes, with pixel centres at 0.5. The model is read by a
process of its own (`colmap_model.py`), since a damaged file can keep COLMAP's reader busy for ever;
points, rigs and frames aren't needed and aren't read.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from privhead_nb.errors import SceneError, listed
from privhead_nb.reading import check_file
from privhead_nb.scenes.formats.parts import SceneParts
from privhead_nb.scenes.formats.posed import (
    IMAGE_FOLDERS,
    PosedView,
    assemble,
    check_pose,
    inside,
    mask_of,
    named_picture,
)
from privhead_nb.scenes.formats.transforms import pinhole
from privhead_nb.scenes.images import FORMATS, image_size

PIP = "pip install 'privhead-nb[capture]'"
ENDINGS = (".bin", ".txt")  # COLMAP too takes the binary files where both stand
PLACES = ("sparse/0", "sparse", ".")
FORCED = (*PLACES, "colmap/sparse/0", "dense/sparse")
"""Where a model is looked for where the format was named; nerfstudio keeps its own in colmap/."""
MAX_BYTES = 2_000_000_000
_SECONDS = 15
_BYTES_A_SECOND = 10_000_000
_REMEDY = "Export the model again: cameras and images, both .bin or both .txt."

# Which parameters are f, c and k1 k2 p1 p2 k3 ..., or a fisheye's k1 k2 k3 k4, by camera model.
_PINHOLES = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
    "FULL_OPENCV": "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6",
    "SIMPLE_RADIAL_FISHEYE": "f cx cy k1",
    "RADIAL_FISHEYE": "f cx cy k1 k2",
    "OPENCV_FISHEYE": "fx fy cx cy k1 k2 k3 k4",
}


def looks_like(folder: Path) -> bool:
    """True where a model's cameras stand in the folder, in sparse/ or in sparse/0 and the like."""
    return bool(_models(folder, PLACES)) or bool(_numbered(folder))


def read(folder: Path, pixel_center: float | None) -> SceneParts:
    """The registered pictures of a model; those without a pose are named and left out.

    Raises:
        SceneError: no model, several, a damaged one, a camera model that can't be straightened, or
            pictures that are missing.
    """
    model = _the_model(folder)
    ending = next(e for e in ENDINGS if (model / f"cameras{e}").is_file())
    camera_file, image_file = model / f"cameras{ending}", model / f"images{ending}"
    for path in (camera_file, image_file):
        check_file(path, error=SceneError, remedy=_REMEDY, most=MAX_BYTES)
    read = _read_model(model, ending)
    root = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), folder)
    inside(folder, root.name if root != folder else ".", where=folder, field=root.name)
    views = []
    for image in read["images"]:
        camera = read["cameras"].get(str(image["camera"]))
        field = f"picture {image['name'][:80]!r}"
        if camera is None:
            raise SceneError(
                f"{field} has camera {image['camera']}, which {camera_file.name} doesn't hold",
                where=image_file,
                remedy=_REMEDY,
            )
        if not image["posed"]:
            continue
        path = named_picture(root, image["name"], where=image_file, field=field)
        views.append(_view(folder, path, image, camera, image["camera"], camera_file, image_file))
    if not views:
        raise SceneError("holds no posed picture", where=image_file, remedy=_REMEDY)
    said = [] if pixel_center is not None else ["pixel_center 0.5 assumed, as COLMAP has it"]
    if ending == ".bin" and (model / "cameras.txt").is_file():
        said.append(f"{model.name}/ holds .bin and .txt files: as in COLMAP, .bin are read")
    posed = {view.image for view in views}
    found = [p for p in sorted(root.rglob("*")) if p.suffix.lower() in FORMATS]
    rest = [p.name for p in found if p not in posed and not _is_mask(p, root)]
    if rest:
        said.append(f"{len(rest)} pictures have no pose and are left out: {listed(rest)}")
    return assemble(
        folder,
        views,
        image_file,
        pixel_center=0.5 if pixel_center is None else pixel_center,
        sizes=image_size,
        assumptions=said,
    )


def _is_mask(path: Path, root: Path) -> bool:
    return bool({"mask", "masks"} & {*path.relative_to(root).parts[:-1]})


def _view(
    folder: Path,
    path: Path,
    image: dict[str, Any],
    camera: dict[str, Any],
    number: int,
    camera_file: Path,
    image_file: Path,
) -> PosedView:
    names = _PINHOLES.get(camera["model"], "").split()
    if not names or len(names) != len(camera["params"]):
        raise SceneError(
            f"camera {number} is a {camera['model']}, which isn't straightened here",
            where=camera_file,
            remedy="Run `colmap image_undistorter` and take the folder that it writes.",
        )
    numbers = dict(zip(names, camera["params"], strict=True))
    if not np.isfinite(camera["params"]).all():
        raise SceneError(
            f"camera {number} has NaN or infinite numbers", where=camera_file, remedy=_REMEDY
        )
    fx, fy = (numbers.get(key, numbers.get("f", 0.0)) for key in ("fx", "fy"))
    fisheye = camera["model"].endswith("FISHEYE")
    order = "k1 k2 k3 k4" if fisheye else "k1 k2 p1 p2 k3 k4 k5 k6"
    w2c = np.array(image["cam_from_world"], np.float64)
    pose = check_pose(w2c, where=image_file, field=f"picture {image['name'][:80]!r}")
    pose[:3, :3] = pose[:3, :3].T
    pose[:3, 3] = -pose[:3, :3] @ w2c[:, 3]
    return PosedView(
        f"picture {image['name'][:80]!r} (camera {number})",
        path,
        mask_of(folder, path),
        pinhole(fx, fy, numbers["cx"], numbers["cy"]),
        pose,
        (camera["width"], camera["height"]),
        tuple(numbers.get(key, 0.0) for key in order.split()),
        fisheye,
    )


def _models(folder: Path, places: tuple[str, ...]) -> list[Path]:
    """Folders with cameras.bin or cameras.txt beside images of the same kind, or points."""
    paths = [folder / place for place in places]
    return [p for p in paths if any((p / f"cameras{e}").is_file() for e in ENDINGS)]


def _numbered(folder: Path) -> list[Path]:
    """The models sparse/0, sparse/1, ..."""
    try:
        names = sorted(p.name for p in (folder / "sparse").iterdir() if p.name.isdecimal())
    except OSError:
        return []
    return _models(folder, tuple(f"sparse/{name}" for name in names))


def _the_model(folder: Path) -> Path:
    """The one model of a scene; SceneError where there is none, or nobody knows which is meant."""
    several = _numbered(folder)
    if len(several) > 1:
        raise SceneError(
            f"COLMAP made {len(several)} models ({listed(p.name for p in several)}), which share "
            "no coordinates",
            where=folder / "sparse",
            remedy="Keep the one that has your pictures, and move the others away.",
        )
    found = several or _models(folder, FORCED)
    if not found:
        raise SceneError(
            "there is no COLMAP model",
            where=folder,
            remedy="Expected cameras.bin and images.bin, or .txt, here, in sparse/ or in sparse/0.",
        )
    return found[0]


def _read_model(model: Path, ending: str) -> dict[str, Any]:
    """Cameras and images, by pycolmap in a process of its own; see `colmap_model`."""
    require_pycolmap(model)
    files = [model / f"{name}{ending}" for name in ("cameras", "images")]
    seconds = _SECONDS + sum(p.stat().st_size for p in files) / _BYTES_A_SECOND
    program = Path(__file__).with_name("colmap_model.py")
    with tempfile.TemporaryDirectory() as aside:
        for path in files:
            shutil.copyfile(path, Path(aside) / path.name)
        # No points: a count of none in binary, nothing in text.
        (Path(aside) / f"points3D{ending}").write_bytes(b"\0" * 8 if ending == ".bin" else b"")
        command = [sys.executable, str(program), aside]
        try:
            done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
            if done.returncode == 0:
                found: dict[str, Any] = json.loads(done.stdout)
                return found
            why = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it crashed"])[
                -1
            ]
        except (subprocess.TimeoutExpired, ValueError):
            why = f"no end after {seconds:.0f} seconds"
    two_lines = (
        " In images.txt every picture has two lines; the second, of its points, may be empty; no "
        "number may be NaN or infinite."
        if ending == ".txt"
        else ""
    )
    raise SceneError(
        f"cameras{ending} and images{ending} can't be read as a COLMAP model ({why[:200]})",
        where=model,
        remedy=_REMEDY + two_lines,
    )


def require_pycolmap(where: Path) -> None:
    """Raise SceneError, with the command that mends it, where pycolmap isn't installed."""
    if importlib.util.find_spec("pycolmap") is None:
        raise SceneError(
            "COLMAP models are read and written by pycolmap, which isn't installed",
            where=where,
            remedy=f"Run: {PIP}.",
        )
