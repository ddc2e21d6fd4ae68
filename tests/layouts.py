"""The same scene in the layouts that people bring, written by code of the tests alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.images import to_uint8, write_image
from privhead_nb.scenes.scene import Scene


def write_about(folder: Path, scene: Scene, names: list[str], sphere: bool = True) -> None:
    """scene.json with the roles of the views by name and, unless a file has it, the sphere."""
    roles = {"sensitive": scene.sensitive, "neutral": scene.neutral}
    about: dict[str, Any] = {"unit": scene.unit, "up": scene.up, "front": scene.front}
    about |= {"nose_tip": scene.nose_tip, "face_radius": scene.face_radius}
    about["views"] = {role: [names[v] for v in views] for role, views in roles.items()}
    if sphere:
        about |= {"center": list(scene.center), "radius": scene.radius}
    (folder / "scene.json").write_text(json.dumps(about), encoding="utf-8")


def write_pictures(
    folder: Path, scene: Scene, images: list[str], masks: list[str] | None = None
) -> None:
    """One file a picture and a mask; without `masks`, a picture's transparency is its mask."""
    for view, name in enumerate(images):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if masks is None:
            colour, alpha = to_uint8(scene.images[view].numpy()), scene.masks[view].numpy()
            Image.fromarray(np.dstack([colour, to_uint8(alpha)])).save(path)
            continue
        write_image(path, scene.images[view].numpy())
        (folder / masks[view]).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / masks[view], scene.masks[view].numpy())


def opengl(scene: Scene, view: int) -> list[list[float]]:
    """Camera to world, as transforms.json has it."""
    c2w = scene.cameras.c2w[view].clone()
    c2w[:3, 1:3] *= -1
    found: list[list[float]] = c2w.tolist()
    return found


def write_blender(folder: Path, scene: Scene) -> Path:
    """NeRF's Blender layout: two splits, RGBA, paths without an ending."""
    views = range(len(scene.cameras))
    names = [f"{'train' if v < 4 else 'test'}/r_{v}" for v in views]
    write_pictures(folder, scene, [f"{name}.png" for name in names])
    angle = 2 * np.arctan(scene.cameras.width / 2 / float(scene.cameras.K[0, 0, 0]))
    for split in ("train", "test"):
        frames = [
            {"file_path": f"./{names[v]}", "rotation": 0.01, "transform_matrix": opengl(scene, v)}
            for v in views
            if names[v].startswith(split)
        ]
        data = {"camera_angle_x": float(angle), "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(data), encoding="utf-8")
    write_about(folder, scene, [Path(name).name + ".png" for name in names])
    return folder


def write_nerfstudio(folder: Path, scene: Scene) -> Path:
    """nerfstudio's layout: intrinsics for all views, mask_path for each."""
    images = [f"images/frame_{v + 1:05d}.png" for v in range(len(scene.cameras))]
    masks = [name.replace("images/", "masks/") for name in images]
    write_pictures(folder, scene, images, masks)
    K = scene.cameras.K[0].tolist()
    data = {
        "camera_model": "OPENCV",
        "fl_x": K[0][0],
        "fl_y": K[1][1],
        "cx": K[0][2],
        "cy": K[1][2],
        "w": scene.cameras.width,
        "h": scene.cameras.height,
        "k1": 0,
        "k2": 0,
        "p1": 0,
        "p2": 0,
        "applied_transform": [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]],
        "frames": [
            {"file_path": image, "mask_path": mask, "transform_matrix": opengl(scene, v)}
            for v, (image, mask) in enumerate(zip(images, masks, strict=True))
        ],
    }
    (folder / "transforms.json").write_text(json.dumps(data), encoding="utf-8")
    write_about(folder, scene, [Path(name).name for name in images])
    return folder


def write_colmap(folder: Path, scene: Scene, text: bool = False) -> Path:
    """COLMAP's layout by pycolmap: one camera, sparse/0, masks COLMAP's way."""
    import pycolmap

    names = [f"IMG_{v:03d}.png" for v in range(len(scene.cameras))]
    images = [f"images/{name}" for name in names]
    write_pictures(folder, scene, images, [f"masks/{name}.png" for name in names])
    model, K = pycolmap.Reconstruction(), scene.cameras.K[0].tolist()
    camera = pycolmap.Camera(
        camera_id=1,
        model="PINHOLE",
        width=scene.cameras.width,
        height=scene.cameras.height,
        params=[K[0][0], K[1][1], K[0][2], K[1][2]],
    )
    model.add_camera_with_trivial_rig(camera)
    w2c = torch.linalg.inv(scene.cameras.c2w).numpy()
    for v, name in enumerate(names):
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(w2c[v, :3, :3]), w2c[v, :3, 3])
        keypoints = np.array([[1.0, 2.0], [3.0, 4.0]])
        # Numbers of pictures are any, and not in the order of the names.
        image = pycolmap.Image(name=name, camera_id=1, image_id=90 - 7 * v, keypoints=keypoints)
        model.add_image_with_trivial_frame(image, pose)
    track = pycolmap.Track(elements=[pycolmap.TrackElement(90, 0), pycolmap.TrackElement(83, 1)])
    model.add_point3D(np.zeros(3), track, np.zeros(3, np.uint8))
    (folder / "sparse" / "0").mkdir(parents=True)
    write = model.write_text if text else model.write_binary
    write(str(folder / "sparse" / "0"))
    write_about(folder, scene, names)
    return folder


def write_colmap_text(folder: Path, scene: Scene) -> Path:
    """The same as text files."""
    return write_colmap(folder, scene, text=True)


def write_facescape(folder: Path, scene: Scene) -> Path:
    """FaceScape's layout: pictures that are numbers, params.json, OpenCV's pixel centres."""
    names = [f"{v}.png" for v in range(len(scene.cameras))]
    write_pictures(folder, scene, names, [f"mask/{name}" for name in names])
    w2c = torch.linalg.inv(scene.cameras.c2w)
    data: dict[str, Any] = {}
    for v in range(len(names)):
        K = scene.cameras.K[v].clone()
        K[:2, 2] -= scene.cameras.pixel_center
        data |= {
            f"{v}_K": K.tolist(),
            f"{v}_Rt": w2c[v, :3].tolist(),
            f"{v}_distortion": [0, 0, 0, 0, 0],
            f"{v}_width": scene.cameras.width,
            f"{v}_height": scene.cameras.height,
            f"{v}_valid": True,
            f"{v}_ori": "top",
            f"{v}_match_num": 900,
        }
    (folder / "params.json").write_text(json.dumps(data), encoding="utf-8")
    write_about(folder, scene, names)
    return folder


def write_idr(folder: Path, scene: Scene) -> Path:
    """IDR's layout: pixel centres at 0."""
    names = [f"{v:06d}.png" for v in range(len(scene.cameras))]
    write_pictures(folder, scene, [f"image/{n}" for n in names], [f"mask/{n}" for n in names])
    scale, mats = np.diag([scene.radius, scene.radius, scene.radius, 1.0]), {}
    scale[:3, 3] = scene.center
    w2c = torch.linalg.inv(scene.cameras.c2w)
    for v in range(len(names)):
        world, K = w2c[v].clone(), scene.cameras.K[v].clone()
        K[:2, 2] -= scene.cameras.pixel_center
        world[:3] = K @ w2c[v, :3]
        mats |= {f"world_mat_{v}": world.numpy(), f"scale_mat_{v}": scale}
    np.savez(folder / "cameras.npz", **mats)
    write_about(folder, scene, names, sphere=False)
    return folder


def write_h3ds(folder: Path, scene: Scene) -> Path:
    """As the package writes it."""
    scene.save(folder)
    return folder


WRITERS = {
    "h3ds": write_h3ds,
    "idr": write_idr,
    "facescape": write_facescape,
    "blender": write_blender,
    "nerfstudio": write_nerfstudio,
    "colmap": write_colmap,
    "colmap text": write_colmap_text,
}
"""A function (folder, scene) -> folder for each format."""


def rays(cameras: Cameras) -> torch.Tensor:
    """(V, 2, 3) directions through two pixels, float64 but for what `rays` itself rounds."""
    K = cameras.K.clone()
    K[:, :2, 2] -= cameras.pixel_center
    xy1 = K.new_tensor([[0, 0, 1], [cameras.width - 1, 3, 1]])
    return torch.einsum("vij,vjk,nk->vni", cameras.c2w[:, :3, :3], torch.linalg.inv(K), xy1)


def same(found: Scene, wanted: Scene) -> None:
    """Pictures to the byte, masks, cameras to 1e-6 of their size, sphere, roles."""
    assert np.array_equal(to_uint8(found.images.numpy()), to_uint8(wanted.images.numpy()))
    assert np.array_equal(to_uint8(found.masks.numpy()), to_uint8(wanted.masks.numpy()))
    assert torch.allclose(found.cameras.c2w, wanted.cameras.c2w, rtol=1e-6, atol=1e-6)
    assert torch.allclose(rays(found.cameras), rays(wanted.cameras), rtol=1e-6, atol=1e-6)
    assert (found.sensitive, found.neutral) == (wanted.sensitive, wanted.neutral)
    assert (*found.center, found.radius) == pytest.approx((*wanted.center, wanted.radius), 1e-6)
    assert (found.unit, found.up, found.front) == (wanted.unit, wanted.up, wanted.front)


# Edits of what the writers wrote


def edit_frame(path: Path, number: int, **change: Any) -> None:
    """Change fields of one frame of a transforms file; one that is to be `...` goes."""
    data = json.loads(path.read_text(encoding="utf-8"))
    frame = data["frames"][number] | change
    data["frames"][number] = {k: v for k, v in frame.items() if v is not ...}
    path.write_text(json.dumps(data), encoding="utf-8")


def edit_poses(folder: Path, turn: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put every pose of all transforms files through a function of its 4 x 4 matrix."""
    for path in folder.glob("transforms*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        for frame in data["frames"]:
            frame["transform_matrix"] = turn(np.array(frame["transform_matrix"])).tolist()
        path.write_text(json.dumps(data), encoding="utf-8")


def edit_facescape(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put one matrix of every view of params.json, K or Rt, through a function."""
    data = json.loads((folder / "params.json").read_text(encoding="utf-8"))
    for key in data:
        if key.endswith(f"_{name}"):
            data[key] = change(np.array(data[key])).tolist()
    (folder / "params.json").write_text(json.dumps(data), encoding="utf-8")


MODEL = Path("sparse/0")
"""Where COLMAP's model is."""


def edit_colmap_lines(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Put the lines of images.txt that are no comments through a function."""
    path = folder / MODEL / "images.txt"
    lines = [line for line in path.read_text().split("\n") if not line.startswith("#")]
    path.write_text("\n".join(change(lines)))


def colmap_view(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """A spoiler that puts the words of a picture's line in images.txt through a function."""

    def changed(lines: list[str]) -> list[str]:
        return [" ".join(change(i.split(" "))) if i.endswith(name) else i for i in lines]

    return lambda folder: edit_colmap_lines(folder, changed)


def colmap_camera(folder: Path, line: str) -> None:
    """Write cameras.txt with one camera, number 1."""
    (folder / MODEL / "cameras.txt").write_text(line + "\n")


def by_stem(folder: Path) -> None:
    """Call COLMAP's masks a.png, as others do; a.png.png is its own way."""
    for path in (folder / "masks").iterdir():
        path.rename(path.with_name(path.name.removesuffix(".png")))
