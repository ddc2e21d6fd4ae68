"""nerfstudio's and instant-ngp's transforms.json: intrinsics for all views, or for each its own.

Cameras are OpenGL's (x right, y up, z back), camera to world; the world's z is up. Poses are read
as they stand: never re-centred, re-scaled or turned. `applied_transform` and `applied_scale` say
what was done to them before, and are not undone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from privhead_nb.errors import SceneError
from privhead_nb.reading import Record
from privhead_nb.scenes.formats.parts import SceneParts
from privhead_nb.scenes.formats.posed import PosedView, assemble, mask_of
from privhead_nb.scenes.formats.transforms import (
    focal_of_angle,
    frame_picture,
    frame_pose,
    frames_of,
    pinhole,
    read_transforms,
)
from privhead_nb.scenes.images import image_size

FILE = "transforms.json"
MODELS = ("OPENCV", "OPENCV_FISHEYE", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE")
LARGEST = 100_000


def looks_like(folder: Path) -> bool:
    """True for a folder with transforms.json."""
    return (folder / FILE).is_file()


def read(folder: Path, pixel_center: float | None) -> SceneParts:
    """The views of transforms.json; nerfstudio has pixel centres at 0.5.

    Raises:
        SceneError: which field is wrong, which picture or mask is missing.
    """
    path = folder / FILE
    data = read_transforms(path)
    if data.data.get("from_na"):
        raise data.wrong("from_na", "left out: NeuS2's own turn of the axes isn't read")
    frames = frames_of(data)
    named = [frame for frame in frames if "mask_path" in frame]
    if named and len(named) < len(frames):
        frame = next(frame for frame in frames if "mask_path" not in frame)
        raise SceneError(
            f"{len(named)} of {len(frames)} frames have a mask_path, and "
            f"{frame.within[:-1]} ({frame.text('file_path')[:80]}) has none",
            where=path,
            remedy="Give every frame its mask, or take mask_path out of all of them.",
        )
    views = []
    for frame in frames:
        image = frame_picture(folder, frame)
        mask = frame_picture(folder, frame, "mask_path") if named else mask_of(folder, image)
        views.append(_view(data, frame, image, mask))
    said = [] if pixel_center is not None else ["pixel_center 0.5 assumed, as nerfstudio has it"]
    for key in ("applied_transform", "applied_scale"):
        if key in data:
            said.append(f"{key} is left as it is: poses are read as they stand in the file")
    if any("cx" not in frame and "cx" not in data for frame in frames):
        said.append("the principal point is taken to be the middle of the pictures")
    return assemble(
        folder,
        views,
        path,
        pixel_center=0.5 if pixel_center is None else pixel_center,
        sizes=image_size,
        axes=("+z", "-y"),
        assumptions=said,
    )


def _view(data: Record, frame: Record, image: Path, mask: Path) -> PosedView:
    """One frame; what it doesn't say of its camera, the file says for all."""

    def source(key: str) -> Record:
        return frame if key in frame else data

    def number(key: str, otherwise: float) -> float:
        return source(key).number(key) if key in source(key) else otherwise

    size = None
    if "w" in source("w") or "h" in source("h"):
        # Some tools write whole numbers as 800.0.
        w, h = (source(key).number(key, 1, LARGEST) for key in ("w", "h"))
        size = round(w), round(h)
    width, height = size or image_size(image)
    angle = "camera_angle_x"
    if "fl_x" in source("fl_x"):
        fx = source("fl_x").number("fl_x", 1e-6)
    elif angle in source(angle):
        fx = focal_of_angle(source(angle), angle, width)
    else:
        raise SceneError(
            f"neither the file nor {frame.within[:-1]} has fl_x or camera_angle_x",
            where=frame.path,
            remedy="Write the focal length, in pixels, as fl_x (and fl_y).",
        )
    fy = fx
    if "fl_y" in source("fl_y"):
        fy = source("fl_y").number("fl_y", 1e-6)
    elif "fl_x" not in source("fl_x") and "camera_angle_y" in source("camera_angle_y"):
        fy = focal_of_angle(source("camera_angle_y"), "camera_angle_y", height)
    K = pinhole(fx, fy, number("cx", width / 2), number("cy", height / 2))
    distortion, fisheye = _distortion(source, number)
    return PosedView(
        frame.within[:-1], image, mask, K, frame_pose(frame), size, distortion, fisheye
    )


def _distortion(
    source: Callable[[str], Record], number: Callable[[str, float], float]
) -> tuple[tuple[float, ...], bool]:
    """Coefficients in OpenCV's order, and whether they are a fisheye's."""
    model = source("camera_model")
    name = model.text("camera_model") if "camera_model" in model else "OPENCV"
    if name not in MODELS:
        raise model.wrong(
            "camera_model",
            f"one of {', '.join(MODELS)}; undistort pictures of other lenses first",
        )
    fisheye = name == "OPENCV_FISHEYE" or bool(source("is_fisheye").data.get("is_fisheye"))
    k1, k2, k3, k4, p1, p2 = (number(key, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if fisheye:
        return (k1, k2, k3, k4), True
    if k4 != 0:
        raise source("k4").wrong("k4", "0 unless camera_model is OPENCV_FISHEYE")
    return (k1, k2, p1, p2, k3), False
