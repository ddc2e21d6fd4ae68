"""NeRF's Blender scenes: transforms_train.json, _val and _test, and a field of view.

Cameras are OpenGL's (x right, y up, z back), camera to world; the world's z is up. A view's mask
is its transparency, unless the scene has a folder masks/.
"""

from __future__ import annotations

from pathlib import Path

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

FILES = ("transforms_train.json", "transforms_val.json", "transforms_test.json")


def looks_like(folder: Path) -> bool:
    """True where one of its three files stands."""
    return any((folder / name).is_file() for name in FILES)


def read(folder: Path, pixel_center: float | None) -> SceneParts:
    """The views of all three files that there are; their lists are one set of views here.

    Where nobody says a `pixel_center`, 0.5 is taken, as Blender renders: the principal point is
    the middle of the picture. (NeRF's own code takes whole pixels, half a pixel off.)

    Raises:
        SceneError: which file and field is wrong, or which picture is missing.
    """
    views = []
    files = [folder / name for name in FILES if (folder / name).is_file()] or [folder / FILES[0]]
    for split, path in enumerate(files):
        data = read_transforms(path)
        for frame in frames_of(data):
            image = frame_picture(folder, frame)
            width, height = image_size(image)
            source = frame if "camera_angle_x" in frame else data
            focal = focal_of_angle(source, "camera_angle_x", width)
            view = PosedView(
                f"{path.name}: {frame.within[:-1]}",
                image,
                mask_of(folder, image),
                pinhole(focal, focal, width / 2, height / 2),
                frame_pose(frame),
                group=split,
            )
            views.append(view)
    said = ["the principal point is taken to be the middle of the pictures, and pixels square"]
    if pixel_center is None:
        said.append("pixel_center 0.5 assumed, as Blender renders")
    if len(files) > 1:
        said.append(f"views of {', '.join(path.name for path in files)} are taken together")
    return assemble(
        folder,
        views,
        files[0],
        pixel_center=0.5 if pixel_center is None else pixel_center,
        sizes=image_size,
        axes=("+z", "-y"),
        assumptions=said,
    )
