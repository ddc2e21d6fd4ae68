"""Pinhole cameras and camera rigs: the one camera type of the package.

Conventions, written down once: OpenCV axes (x right, y down, z forward), `c2w` maps camera to
scene coordinates, K is in pixels. K's image coordinates put the centre of pixel (0, 0) at
`pixel_center` (0 or 0.5). Everything outside K speaks pixel INDEX coordinates: (0, 0) is the
centre of the first pixel, whatever `pixel_center` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import SceneError

AXES = ("+x", "-x", "+y", "-y", "+z", "-z")
Vec3 = tuple[float, float, float]
Axis = str | Vec3
"""A direction: one of AXES, or any three numbers."""
Rig = tuple["Cameras", tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Cameras:
    """V pinhole cameras that share an image size.

    Args:
        K: (V, 3, 3) float64, pixels.
        c2w: (V, 4, 4) float64, camera to scene, scene unit (usually mm).
        width: image width in pixels.
        height: image height in pixels.
        pixel_center: image coordinate of the centre of pixel (0, 0): 0 or 0.5.

    Raises:
        SceneError: wrong shapes, NaN, zero focal length, mirrored or sheared axes.
    """

    K: Tensor
    c2w: Tensor
    width: int
    height: int
    pixel_center: float = 0.5

    def __post_init__(self) -> None:
        check_cameras(self.K, self.c2w)
        if self.width < 1 or self.height < 1:
            raise SceneError(
                f"image size {self.width} x {self.height}",
                where="cameras",
                remedy="Use at least 1 pixel.",
            )
        if self.pixel_center not in (0, 0.5):
            raise SceneError(
                f"pixel_center is {self.pixel_center}", where="cameras", remedy="Use 0 or 0.5."
            )

    def __len__(self) -> int:
        return self.K.shape[0]

    def __getitem__(self, idx: int | slice | Sequence[int] | Tensor) -> Cameras:
        """The cameras `idx`; an int too keeps the V axis."""
        rows: slice | Tensor
        if isinstance(idx, slice):
            rows = idx
        else:
            rows = torch.as_tensor([idx] if isinstance(idx, int) else idx, dtype=torch.long)
        return replace(self, K=self.K[rows], c2w=self.c2w[rows])

    @property
    def centers(self) -> Tensor:
        """(V, 3) camera centres, scene unit."""
        return self.c2w[:, :3, 3]

    @property
    def forward(self) -> Tensor:
        """(V, 3) unit viewing directions, scene axes."""
        return self.c2w[:, :3, 2]

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return replace(self, K=self.K.to(device), c2w=self.c2w.to(device))

    def resized(self, width: int, height: int) -> Cameras:
        """The same cameras for pictures resampled to `width` x `height`.

        Pixel edges stay where they are: an image coordinate whose origin is the corner of the
        first pixel (`pixel_center` 0.5) scales by the size ratio; one whose origin is its centre
        (`pixel_center` 0) is shifted by half a pixel before and after.
        """
        if (width, height) == (self.width, self.height):
            return self
        if width < 1 or height < 1:
            raise SceneError(
                f"size {width} x {height}", where="cameras", remedy="Use at least 1 pixel."
            )
        shift = torch.eye(3, dtype=self.K.dtype, device=self.K.device)
        shift[:2, 2] = 0.5 - self.pixel_center
        back = shift.clone()
        back[:2, 2] *= -1
        scale = torch.diag(shift.new_tensor([width / self.width, height / self.height, 1.0]))
        return replace(self, K=back @ scale @ shift @ self.K, width=width, height=height)

    def rays(self, view: Tensor, xy: Tensor) -> tuple[Tensor, Tensor]:
        """Rays through pixels.

        Args:
            view: (N,) long, which camera.
            xy: (N, 2) pixel index coordinates, may be fractional; (0, 0) is the centre of the
                first pixel.

        Returns:
            Origins (N, 3) in the scene unit and unit directions (N, 3), float32.
        """
        # d = R K^-1 (u, v, 1): one 3x3 matrix a camera, folded in float64. Centres are brought to
        # 0.5 there, so that float32 rounds alike whatever a format counts from.
        K = self.K.clone()
        K[:, :2, 2] += 0.5 - self.pixel_center
        image_to_scene = (self.c2w[:, :3, :3] @ torch.linalg.inv(K)).to(xy.device)
        xy = xy.float()
        uv1 = torch.cat([xy + 0.5, torch.ones_like(xy[:, :1])], dim=1)
        view = view.to(xy.device)
        directions = torch.einsum("nij,nj->ni", image_to_scene.float()[view], uv1)
        origins = self.centers.to(xy.device).float()[view]
        return origins, torch.nn.functional.normalize(directions, dim=1)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Where scene points fall in every picture.

        Args:
            points: (P, 3) scene unit.

        Returns:
            Pixel index coordinates (V, P, 2) and depths along the viewing axis (V, P), float64.
            Points with depth <= 0 are behind the camera; their coordinates mean nothing.
        """
        p = points.to(self.c2w)
        camera = torch.einsum("vji,vpj->vpi", self.c2w[:, :3, :3], p[None] - self.centers[:, None])
        image = torch.einsum("vij,vpj->vpi", self.K, camera)
        return image[..., :2] / image[..., 2:] - self.pixel_center, camera[..., 2]

    def world_mats(self) -> Tensor:
        """(V, 4, 4) K [R|t] with last row (0, 0, 0, 1), as H3DS and IDR folders store them."""
        w2c = torch.linalg.inv(self.c2w)
        mats = w2c.clone()
        mats[:, :3] = self.K @ w2c[:, :3]
        return mats


def check_cameras(K: Tensor, c2w: Tensor, where: str | Path = "cameras") -> None:
    """Raise SceneError for camera matrices that no lens could have; `where` names their file."""
    if K.ndim != 3 or K.shape[1:] != (3, 3) or c2w.shape != (K.shape[0], 4, 4):
        raise SceneError(
            f"K has shape {tuple(K.shape)} and c2w {tuple(c2w.shape)}",
            where=where,
            remedy="They must be (V, 3, 3) and (V, 4, 4).",
        )
    bad = ~(torch.isfinite(K).all((1, 2)) & torch.isfinite(c2w).all((1, 2)))
    refuse_views(bad, "has NaN or infinite numbers", "Calibrate or export it again.", where)
    focal = torch.stack([K[:, 0, 0], K[:, 1, 1]], 1)
    refuse_views(
        (focal <= 1e-6).any(1), "has a focal length of zero or below", "Mend its K.", where
    )
    R = c2w[:, :3, :3]
    det = torch.linalg.det(R)
    refuse_views(
        det < 0,
        "has mirrored axes (det R < 0)",
        "Axes must be OpenCV's, right-handed: x right, y down, z forward; flip none of them alone.",
        where,
    )
    off = (R @ R.transpose(1, 2) - torch.eye(3, dtype=R.dtype, device=R.device)).abs()
    refuse_views(
        off.amax((1, 2)) > 1e-3, "has axes that are no rotation", "Remove scale and shear.", where
    )


def refuse_views(bad: Tensor, problem: str, remedy: str, where: str | Path) -> None:
    """Raise SceneError that names the first view for which `bad` (V,) is true, if there is one."""
    if bool(bad.any()):
        view = int(bad.nonzero()[0, 0])
        raise SceneError(f"camera of view {view} {problem}", where=where, remedy=remedy)


def axis_vector(axis: Axis) -> np.ndarray:
    """ "+y" to (0, 1, 0), and so on, and any other direction to its unit vector: (3,) float64.

    Raises:
        SceneError: any other name, or a direction without a length.
    """
    if not isinstance(axis, str):
        length = float(np.linalg.norm(axis))
        if not 1e-9 < length < 1e9:
            raise SceneError(f"{axis} is no direction", remedy="Give three numbers, not all zero.")
        return np.array(axis, np.float64) / length
    if axis not in AXES:
        raise SceneError(f"unknown axis {axis!r}", remedy=f"Use one of {' '.join(AXES)}.")
    vector = np.zeros(3)
    vector["xyz".index(axis[1])] = 1.0 if axis[0] == "+" else -1.0
    return vector


def turn(axes: tuple[Axis, Axis]) -> np.ndarray:
    """(3, 3) rotation from axes (up, front) to (+y, +z); `front` is brought level first."""
    up, front = map(axis_vector, axes)
    front = front - (front @ up) * up
    front = front / np.linalg.norm(front)
    return np.stack([np.cross(up, front), up, front])


def look_at(eye: Tensor, target: Tensor) -> Tensor:
    """Camera-to-scene matrices (V, 4, 4) at `eye` (V, 3) that look at `target` (V, 3) or (3,).

    The pictures' top is +y, or -z where a camera looks along y.
    """
    eye = eye.double()
    forward = torch.nn.functional.normalize(target.double() - eye, dim=-1)
    upward, spare = eye.new_tensor([[0, 1, 0]]), eye.new_tensor([[0, 0, -1]])
    vertical = torch.linalg.cross(forward, upward).norm(dim=-1, keepdim=True) < 1e-6
    right = torch.linalg.cross(forward, torch.where(vertical, spare, upward))
    right = torch.nn.functional.normalize(right, dim=-1)
    down = torch.linalg.cross(forward, right)
    c2w = torch.eye(4, dtype=torch.float64).repeat(len(eye), 1, 1)
    c2w[:, :3, :] = torch.stack([right, down, forward, eye], dim=-1)
    return c2w


@dataclass(frozen=True)
class Layout:
    """A rig around a head that faces +z with +y up; degrees, azimuth 0 is the front.

    Args:
        front: first and last azimuth of the sensitive views.
        front_rows: elevation of each of their rows.
        back, back_rows: the same for the neutral views.
        distance: of the cameras, mm: every head of the generator fits the picture.
        fov_deg: angle over the whole width.
    """

    front: tuple[float, float]
    front_rows: tuple[float, ...]
    back: tuple[float, float]
    back_rows: tuple[float, ...]
    distance: float
    fov_deg: float


RIGS = {
    "facescape": Layout((-75, 75), (-18, 2, 20, 38), (105, 255), (-6, 26), 885, 25),
    "h3ds": Layout((-80, 80), (-12, 8, 30), (108, 252), (-8, 22), 750, 30),
    "orbit": Layout((-95, 95), (10,), (105, 255), (10,), 750, 30),
}
"""FaceScape-like (10 + 20 views in the paper), H3DS-like (16 + 20), and one plain ring."""


def make_rig(
    name: str,
    neutral: int = 10,
    sensitive: int = 20,
    *,
    size: int = 64,
    center: Vec3 = (0.0, 0.0, 0.0),
    distance: float | None = None,
) -> Rig:
    """The rig `name` out of RIGS, sensitive views first; `distance` in place of its own, mm."""
    layout = RIGS[name]
    rows = _dome(sensitive, layout.front, layout.front_rows)
    rows += _dome(neutral, layout.back, layout.back_rows)
    azimuth, elevation = np.radians(np.array(rows, dtype=np.float64).reshape(-1, 2)).T
    distance = layout.distance if distance is None else distance
    eyes = np.array(center) + distance * directions(azimuth, elevation)
    return custom_rig(eyes, range(sensitive), target=center, size=size, fov_deg=layout.fov_deg)


def parts_of_pixel(count: int) -> Tensor:
    """Middles of `count` equal parts along a pixel's side, from its centre, (count,)."""
    return (torch.arange(count) - (count - 1) / 2) / count


def directions(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """(N, 3) unit vectors; radians, azimuth 0 is +z, a quarter turn +x."""
    ring = np.cos(elevation)
    return np.stack([np.sin(azimuth) * ring, np.sin(elevation), np.cos(azimuth) * ring], axis=1)


def custom_rig(
    eyes: Sequence[Vec3] | np.ndarray,
    sensitive: Sequence[int],
    *,
    target: Vec3 = (0.0, 0.0, 0.0),
    size: int = 64,
    fov_deg: float = 30.0,
) -> Rig:
    """Cameras at given places, scene unit, all looking at `target`.

    Args:
        eyes: (V, 3) camera centres.
        sensitive: which of them show the face; the others are neutral.
        target: the point they look at.
        size: width and height in pixels.
        fov_deg: angle over the whole width.
    """
    where = torch.as_tensor(np.asarray(eyes, dtype=np.float64)).reshape(-1, 3)
    chosen = tuple(sorted(int(i) for i in sensitive))
    if any(not 0 <= i < len(where) for i in chosen):
        raise SceneError(
            f"sensitive views {chosen} of {len(where)} cameras",
            where="custom_rig",
            remedy="Views count from 0.",
        )
    focal = 0.5 * size / float(np.tan(np.radians(fov_deg) / 2))
    K = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]], dtype=torch.float64)
    cameras = Cameras(
        K.repeat(len(where), 1, 1), look_at(where, torch.tensor(target)), size, size, 0.5
    )
    return cameras, chosen, tuple(i for i in range(len(where)) if i not in chosen)


def _dome(
    count: int, azimuths: tuple[float, float], elevations: tuple[float, ...]
) -> list[tuple[float, float]]:
    """`count` views in rows of one elevation each, at least three a row; the first take the rest.

    Few views take the rows nearest to eye level.
    """
    level = sorted(elevations, key=abs)[: max(1, count // 3)]
    elevations = tuple(e for e in elevations if e in level)
    shares = [len(part) for part in np.array_split(np.arange(count), len(elevations))]
    return [
        (azimuth, elevation)
        for share, elevation in zip(shares, elevations, strict=True)
        for azimuth in _spread(*azimuths, share)
    ]


def _spread(first: float, last: float, count: int) -> list[float]:
    if count == 1:
        return [(first + last) / 2]
    return [float(a) for a in np.linspace(first, last, count)]
