"""IDR, NeuS and VolSDF folders: image/, mask/, cameras.npz or cameras_sphere.npz.

The camera file holds world_mat_i = K [R|t] and scale_mat_i, which maps the unit sphere to the
scene: x_scene = s x_unit + o. Cameras come out in the scene's own unit; the sphere's centre o and
radius s are the bounding sphere.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from scipy.linalg import rq

from privhead_nb.errors import SceneError
from privhead_nb.reading import read_npz
from privhead_nb.scenes.camera import Vec3, check_cameras
from privhead_nb.scenes.formats.parts import SceneParts, list_pictures, pair_views
from privhead_nb.scenes.view_files import ViewFiles

_NAMES = r"(world|scale|camera)_mat_(0|[1-9][0-9]{0,8})"
_MOST = 1e15  # of any number in the file: products of focal lengths and coordinates


def looks_like(folder: Path) -> bool:
    """True for a folder with image/ and a camera file."""
    return (folder / "image").is_dir() and camera_file(folder).is_file()


def camera_file(folder: Path) -> Path:
    """cameras_sphere.npz (NeuS) where it stands, else cameras.npz."""
    sphere = folder / "cameras_sphere.npz"
    return sphere if sphere.is_file() else folder / "cameras.npz"


def read(folder: Path, pixel_center: float | None) -> SceneParts:
    """List the views in the order of the numbers in their names.

    Where nobody says a `pixel_center`, IDR's own code is followed, which has 0.
    """
    path = camera_file(folder)
    K, c2w, center, radius = read_npz_cameras(path)
    image_paths = list_pictures(folder / "image")
    mask_paths = pair_views(image_paths, list_pictures(folder / "mask"), len(K), path)
    said = "pixel_center 0 assumed, as IDR's code feeds whole pixel indices to K"
    truth, landmarks = folder / "full_head.obj", folder / "landmarks.txt"
    return SceneParts(
        views=tuple(
            ViewFiles(image.name, image, mask)
            for image, mask in zip(image_paths, mask_paths, strict=True)
        ),
        K=K,
        c2w=c2w,
        pixel_center=pixel_center or 0.0,
        camera_file=path,
        sphere=(center, radius),
        truth_path=truth if os.path.lexists(truth) else None,
        landmarks_path=landmarks if os.path.lexists(landmarks) else None,
        assumptions=(said,) if pixel_center is None else (),
    )


def read_npz_cameras(path: Path) -> tuple[torch.Tensor, torch.Tensor, Vec3, float]:
    """Read K (V, 3, 3), c2w (V, 4, 4), float64, and the bounding sphere's centre and radius.

    Raises:
        SceneError: missing, damaged, or with numbers that no camera could have.
    """
    mats = _load(path)
    views = sorted(int(k[10:]) for k in mats if k.startswith("world_mat_"))
    if not views:
        raise SceneError("holds no world_mat_0", where=path, remedy="See docs/formats.md.")
    if views != list(range(len(views))):
        missing = min(set(range(len(views))) - set(views))
        raise SceneError(
            f"holds {len(views)} cameras but no world_mat_{missing}",
            where=path,
            remedy="Number them 0, 1, 2, ... without gaps.",
        )
    center, radius, scale_mat = _sphere(mats, len(views), path)
    K, c2w = [], []
    for view in views:
        # P = world_mat @ scale_mat sees the unit sphere; its K and R are those of the scene,
        # since scale_mat is a uniform scale and a shift. Its centre is moved back by scale_mat.
        k, pose = decompose(mats[f"world_mat_{view}"] @ scale_mat, view, path)
        pose[:3, 3] = radius * pose[:3, 3] + center
        K.append(k)
        c2w.append(pose)
    if np.allclose(K, np.eye(3), atol=0.1):
        beside = " and K stands in camera_mat_0" if "camera_mat_0" in mats else ""
        raise SceneError(
            f"world_mat_0 is [R|t] without K (its focal length is 1 pixel){beside}: "
            "this looks like the format of DVR or UNISURF",
            where=path,
            remedy="Store K [R|t], in pixels, as world_mat: multiply camera_mat into it.",
        )
    Ks, poses = torch.from_numpy(np.stack(K)), torch.from_numpy(np.stack(c2w))
    check_cameras(Ks, poses, path)
    return Ks, poses, (float(center[0]), float(center[1]), float(center[2])), radius


def decompose(P: np.ndarray, view: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Split P (>= 3, 4) = K [R|t] into K (3, 3), K[2, 2] = 1, and c2w (4, 4) by RQ.

    Raises:
        SceneError: NaN, or zero focal length; mirrored axes are left to `check_cameras`.
    """
    if not np.isfinite(P[:3]).all():
        raise SceneError(
            f"world_mat_{view} has NaN or infinite numbers",
            where=path,
            remedy="Calibrate or export this camera again.",
        )
    K, R = rq(P[:3, :3])
    if np.abs(np.diag(K)).min() <= 1e-9 * max(np.abs(K).max(), 1e-300):
        raise SceneError(
            f"world_mat_{view} has a focal length of zero",
            where=path,
            remedy="Its left 3 x 3 block must be K R with a positive focal length.",
        )
    signs = np.sign(np.diag(K))
    K, R = K * signs, signs[:, None] * R
    c2w = np.eye(4)
    c2w[:3, :3] = R.T
    c2w[:3, 3] = -np.linalg.solve(P[:3, :3], P[:3, 3])
    return K / K[2, 2], c2w


def _load(path: Path) -> dict[str, np.ndarray]:
    remedy = "Write it with numpy.savez, as docs/formats.md shows; pickled objects are refused."
    mats = read_npz(path, error=SceneError, remedy=remedy, names=_NAMES)
    for key, mat in mats.items():
        if key.startswith("camera"):
            continue  # DVR and IDR have K here too, which isn't needed
        if mat.shape not in ((4, 4), (3, 4)):
            raise SceneError(
                f"{key} has shape {mat.shape}",
                where=path,
                remedy="It must be 4 x 4, or its upper 3 x 4.",
            )
        if np.abs(mat).max() > _MOST:
            raise SceneError(
                f"{key} holds numbers beyond {_MOST:g}",
                where=path,
                remedy="Calibrate or export this camera again.",
            )
    return mats


def _sphere(
    mats: dict[str, np.ndarray], views: int, path: Path
) -> tuple[np.ndarray, float, np.ndarray]:
    """Centre (3,), radius and the 4 x 4 matrix of the bounding sphere."""
    scale_mat = mats.get("scale_mat_0")
    if scale_mat is None:
        raise SceneError(
            "holds no scale_mat_0",
            where=path,
            remedy="It maps the unit sphere around the object to the scene (4 x 4).",
        )
    scale_mat = np.vstack([scale_mat[:3], [0, 0, 0, 1]])
    for view in range(1, views):
        other = mats.get(f"scale_mat_{view}", scale_mat)
        if not np.allclose(other[:3], scale_mat[:3], rtol=1e-5, equal_nan=False):
            raise SceneError(
                f"scale_mat_{view} differs from scale_mat_0",
                where=path,
                remedy="One bounding sphere serves all views.",
            )
    radius = float(scale_mat[0, 0])
    uniform = np.allclose(scale_mat[:3, :3], radius * np.eye(3), rtol=1e-5, atol=1e-9)
    if not np.isfinite(scale_mat).all() or not uniform or radius <= 0:
        raise SceneError(
            "scale_mat_0 is no positive uniform scale and shift",
            where=path,
            remedy="Its left 3 x 3 block must be radius times the identity.",
        )
    return scale_mat[:3, 3].copy(), radius, scale_mat
