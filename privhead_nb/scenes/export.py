"""A scene in the formats of other tools: every picture in full colour, for use on this device.

Nothing here protects anybody: what may leave the device is `privacy.protect`'s release.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from privhead_nb.errors import OutputError, SceneError, check_choice
from privhead_nb.files import atomic_folder, json_text
from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.folder import SceneFolder
from privhead_nb.scenes.formats.colmap import require_pycolmap
from privhead_nb.scenes.images import write_image
from privhead_nb.scenes.scene import AboutScene, Scene, write_idr
from privhead_nb.targets import check_target, refuse_foreign, refuse_inside_sources

LAYOUTS = {
    "nerfstudio": ("images", "masks"),
    "colmap": ("images", "masks"),
    "idr": ("image", "mask"),
}
"""Folders of pictures and masks, by format."""
CENTERS = {"nerfstudio": 0.5, "colmap": 0.5, "idr": 0.0}
"""Image coordinate of the first pixel's centre that the tools of each format take for granted."""
_OWN = re.compile(
    r"(images?|masks?)(/\d{4,}\.png(\.png)?)?|scene\.json|transforms\.json|cameras(_sphere)?\.npz"
    r"|sparse(/0(/(cameras|images|points3D|rigs|frames)\.bin)?)?"
)


def export_scene(
    scene: Scene | SceneFolder,
    out: str | Path,
    format: str,
    *,
    overwrite: bool = False,
    sources: Iterable[str | Path] = (),
    progress: bool = False,
) -> None:
    """Write all views, masks and cameras of a scene for other tools, and a scene.json for us.

    Pictures are 8-bit PNGs, numbered in the order of the views, without metadata and without lens
    distortion. Cameras are in the frame and unit of the scene as it was loaded, and their K in
    the format's own pixel centres: the rays stay the same. The truth mesh isn't written.

    Args:
        scene: in memory, or on disk: then one picture is in memory at a time.
        out: folder to make.
        format: "nerfstudio", "colmap" (binary, in sparse/0) or "idr" (NeuS's too).
        overwrite: replace what such an export wrote there before.
        sources: folders that `out` may not lie in.
        progress: show a bar where it takes more than two seconds.

    Raises:
        OutputError: the target is a source, holds something else, or can't be written.
        SceneError: a camera has a skew, which only "idr" can hold; or pycolmap is missing.
    """
    check_choice("format", format, LAYOUTS, where=out, error=OutputError)
    target = Path(out)
    refuse_inside_sources(target, sources)
    check_target(target, overwrite=overwrite)
    if overwrite and target.is_dir():
        refuse_foreign(target, _OWN, "an export")
    if format == "colmap":
        require_pycolmap(target)
    cameras = _centred(scene.cameras, CENTERS[format])
    if format != "idr" and bool((cameras.K[:, 0, 1].abs() > 1e-9 * cameras.K[:, 0, 0]).any()):
        raise SceneError(
            f"a camera has a skew, for which {format} has no place",
            where=scene.name,
            remedy="Export as idr, or calibrate without skew.",
        )
    names = [f"{view:04d}.png" for view in range(len(cameras))]
    with atomic_folder(target, overwrite=overwrite) as aside:
        images, masks = (aside / name for name in LAYOUTS[format])
        images.mkdir()
        masks.mkdir()
        for view, name in enumerate(tqdm(names, desc="views", delay=2, disable=not progress)):
            write_image(images / name, scene.picture(view))
            write_image(masks / _mask_name(name, format), scene.mask(view))
        if format == "nerfstudio":
            _write_nerfstudio(aside, cameras, names)
        elif format == "colmap":
            _write_colmap(aside / "sparse" / "0", cameras, names)
        else:
            for name in ("cameras.npz", "cameras_sphere.npz"):  # IDR's name and NeuS's
                write_idr(aside / name, cameras, scene.center, scene.radius)
        text = json_text(_about(scene, names, format), indent=1)
        (aside / "scene.json").write_text(text + "\n", encoding="utf-8")


def _mask_name(name: str, format: str) -> str:
    """COLMAP calls the mask of a.png a.png.png."""
    return name + ".png" if format == "colmap" else name


def _centred(cameras: Cameras, pixel_center: float) -> Cameras:
    """The same rays, with the first pixel's centre elsewhere in K's coordinates."""
    K = cameras.K.clone()
    K[:, :2, 2] += pixel_center - cameras.pixel_center
    return Cameras(K, cameras.c2w, cameras.width, cameras.height, pixel_center)


def _about(scene: AboutScene, names: list[str], format: str) -> dict[str, Any]:
    """scene.json: what the format has no place for. What was only assumed isn't stated."""
    roles = {"sensitive": scene.sensitive, "neutral": scene.neutral, "unused": scene.unused}
    about: dict[str, Any] = {
        "unit": scene.unit,
        "pixel_center": CENTERS[format],
        "background": [round(255 * b, 4) for b in scene.background],
        "axes": "opencv",
        "up": scene.up,
        "licence": scene.licence,
        "face_radius": scene.face_radius,
        "views": {role: [names[v] for v in views] for role, views in roles.items()},
    }
    if format != "idr":  # which has a scale_mat
        about |= {"center": scene.center, "radius": scene.radius}
    if not scene.doubts:
        # Where nobody said which way the face looks, nobody is to think that somebody did.
        about |= {"front": scene.front, "nose_tip": scene.nose_tip}
    if scene.landmarks is not None:
        about["landmarks"] = scene.landmarks.tolist()
    return about


def _write_nerfstudio(folder: Path, cameras: Cameras, names: list[str]) -> None:
    frames = []
    for view, name in enumerate(names):
        c2w, K = cameras.c2w[view].clone(), cameras.K[view]
        c2w[:3, 1:3] *= -1  # OpenGL's axes
        frames.append(
            {
                "file_path": f"images/{name}",
                "mask_path": f"masks/{name}",
                "w": cameras.width,
                "h": cameras.height,
                "fl_x": float(K[0, 0]),
                "fl_y": float(K[1, 1]),
                "cx": float(K[0, 2]),
                "cy": float(K[1, 2]),
                "transform_matrix": c2w.tolist(),
            }
        )
    text = json.dumps({"camera_model": "OPENCV", "frames": frames}, indent=1)
    (folder / "transforms.json").write_text(text + "\n", encoding="utf-8")


def _write_colmap(folder: Path, cameras: Cameras, names: list[str]) -> None:
    import pycolmap

    model = pycolmap.Reconstruction()
    w2c = torch.linalg.inv(cameras.c2w).numpy()
    for view, name in enumerate(names):
        K = cameras.K[view]
        camera = pycolmap.Camera(
            camera_id=view + 1,
            model="PINHOLE",
            width=cameras.width,
            height=cameras.height,
            params=[float(K[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))],
        )
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=name, camera_id=view + 1, image_id=view + 1)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(w2c[view, :3, :3]), w2c[view, :3, 3])
        model.add_image_with_trivial_frame(image, pose)
    folder.mkdir(parents=True)
    model.write_binary(str(folder))
