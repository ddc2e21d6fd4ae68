"""IDR, NeuS and VolSDF folders: image/, mask/, cameras.npz or cameras_sphere.npz."""

from __future__ import annotations

from pathlib import Path

from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.formats.npz_cameras import read_npz_cameras
from privhead_nb.scenes.formats.parts import (
    WHITE,
    SceneParts,
    check_counts,
    list_pictures,
    read_views,
)


def looks_like(folder: Path) -> bool:
    """True for a folder with image/ and a camera file."""
    return (folder / "image").is_dir() and camera_file(folder).is_file()


def camera_file(folder: Path) -> Path:
    """cameras_sphere.npz (NeuS) where it stands, else cameras.npz."""
    sphere = folder / "cameras_sphere.npz"
    return sphere if sphere.is_file() else folder / "cameras.npz"


def read(folder: Path, pixel_center: float | None, background: Vec3 | None) -> SceneParts:
    """Read the views in the order of the numbers in their names.

    `pixel_center` and `background` come from scene.json; where they are None, IDR's own code
    is followed, which feeds whole pixel indices to K (0), and white is taken.
    """
    path = camera_file(folder)
    K, c2w, center, radius = read_npz_cameras(path)
    image_paths, mask_paths = list_pictures(folder / "image"), list_pictures(folder / "mask")
    check_counts(image_paths, mask_paths, len(K), path)
    images, masks = read_views(image_paths, mask_paths, background or WHITE)
    said = []
    if pixel_center is None:
        said.append("pixel_center 0 assumed, as IDR's code feeds whole pixel indices to K")
    if background is None:
        said.append("background assumed to be white")
    cameras = Cameras(K, c2w, images.shape[2], images.shape[1], pixel_center or 0.0)
    said += _normalisation(cameras, center, radius)
    truth, landmarks = folder / "full_head.obj", folder / "landmarks.txt"
    return SceneParts(
        images=images,
        masks=masks,
        cameras=cameras,
        camera_file=path,
        center=center,
        radius=radius,
        unit="scene",
        truth_path=truth if truth.is_file() else None,
        landmarks_path=landmarks if landmarks.is_file() else None,
        assumptions=tuple(said),
    )


def _normalisation(cameras: Cameras, center: Vec3, radius: float) -> list[str]:
    """Say so where scale_mat seems to fit the cameras, not the object, into a sphere."""
    far = (cameras.centers - cameras.centers.new_tensor(center)).norm(dim=1).max() / radius
    if not 2.5 <= float(far) <= 3.1:
        return []
    said = (
        f"VolSDF-like normalisation: the farthest camera is {float(far):.2f} sphere radii away, as "
        "VolSDF's script puts cameras near radius 3; scale_mat may then fit the cameras and not "
        "the object. The sphere is taken as it stands: check it with `privhead inspect`"
    )
    return [said]
