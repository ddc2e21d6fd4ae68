"""Where each picture was taken from, and the focal length, by pycolmap's incremental mapping.

Two pictures that look at one point fit any longer focal length, and a mapper starts from two: with
it left free, all pictures of a walk are placed at a small error, and wrongly. So it is held, at
what EXIF or the user says, or at a handful of values one after another; the least error wins and is
refined from there, and a profile without a clear least is refused. A small error proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from privhead_nb.capture.matching import colmap
from privhead_nb.capture.photographs import Picture
from privhead_nb.errors import SceneError

SHARES = (0.60, 0.72, 0.86, 1.03, 1.24, 1.49, 1.79, 2.15)
"""Focal lengths that are tried, over the longer side: 80 to 26 degrees, each a fifth longer."""
NEAR = (0.90, 0.95, 1.0, 1.05, 1.11)
"""Those tried around what EXIF says, which is rounded, and knows nothing of a film's crop."""
FLAT = 1.15
"""How much larger than the least error those to both sides of it must be."""
FARTHEST = 1.15
"""Times that bundle adjustment may lengthen or shorten the focal length it starts from."""
POSED, ERROR = 0.8, 1.5
"""Share of pictures that must be placed, and mean reprojection error that mustn't be passed, px."""


@dataclass(frozen=True)
class Poses:
    """Cameras of the pictures that were placed, in a frame and a scale of their own.

    Args:
        names: of the pictures, in the order of the rows below.
        R: (V, 3, 3) from the frame to each camera (x right, y down, z forward).
        centers: (V, 3) camera centres.
        focal: focal length over the longer side, (V,).
        k1: radial distortion of each camera, COLMAP's SIMPLE_RADIAL, (V,).
        error: mean reprojection error, pixels.
        profile: (focal length over the longer side, error, share of pictures placed) as tried.
        known: where the focal length came from: "fov", "exif" or "profile".
        missing: pictures that weren't placed.
    """

    names: tuple[str, ...]
    R: NDArray[np.float64]
    centers: NDArray[np.float64]
    focal: NDArray[np.float64]
    k1: NDArray[np.float64]
    error: float
    known: str
    profile: tuple[tuple[float, float, float], ...] = ()
    missing: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Poses:
        arrays = {k: np.array(data[k], np.float64) for k in ("R", "centers", "focal", "k1")}
        profile = tuple((float(a), float(b), float(c)) for a, b, c in data["profile"])
        names, missing = tuple(data["names"]), tuple(data["missing"])
        return Poses(**(data | arrays | {"profile": profile, "names": names, "missing": missing}))


def find_poses(
    folder: Path,
    pictures: Sequence[Picture],
    database: Path,
    *,
    fov: float | None = None,
    threads: int = 0,
    progress: bool = False,
) -> Poses:
    """Place the pictures, whose points `match_pictures` wrote into `database`.

    Args:
        folder: of the pictures' copies.
        pictures: which of them.
        database: COLMAP's; its cameras are changed.
        fov: angle of view over the longer side, degrees; None where unknown.
        threads: 0 takes all cores.
        progress: show a bar.

    Raises:
        SceneError: too few pictures could be placed, the error is too large, or it says nothing
            of the focal length.
    """
    library = colmap()
    mapper = _Mapper(library, folder, pictures, database, threads)
    if fov is not None:
        shares, known = [0.5 / float(np.tan(np.radians(fov) / 2))], "fov"
    elif all(p.focal for p in pictures):
        shares, known = [float(np.median([p.focal for p in pictures if p.focal]))], "exif"
        shares = [shares[0] * near for near in NEAR]
    else:
        shares, known = [*SHARES], "profile"
    tried = [
        mapper.held(s, quick=len(shares) > 1)
        for s in tqdm(shares, desc="place cameras", disable=not progress)
    ]
    profile = tuple(
        (s, _error(m), _placed(m, pictures)) for s, m in zip(shares, tried, strict=True)
    )
    most = max(p[2] for p in profile)
    if most < POSED:
        raise _unplaced(folder, pictures, tried[int(np.argmax([p[2] for p in profile]))])
    errors, best = _least(profile)
    if known == "profile":
        start, free = check_profile(profile, folder), True
    elif known == "exif" and _clear(errors, best):
        start, free = shares[best], True
    else:
        start, free = shares[len(shares) // 2], False  # as stated: nothing contradicts it clearly
    final = mapper.refined(mapper.held(start), free=free)
    found = mapper.read(final, known, profile)
    if free and not 1 / FARTHEST < float(np.median(found.focal)) / start < FARTHEST:
        # Let go, it runs away: only the held value is worth anything.
        found = mapper.read(mapper.refined(mapper.held(start), free=False), known, profile)
    if found.error > ERROR or len(found.names) < POSED * len(pictures):
        raise SceneError(
            f"{len(found.names)} of {len(pictures)} pictures were placed, with a mean error of "
            f"{found.error:.2f} pixels (at most {ERROR} is trusted)",
            where=folder,
            remedy="The head must hold still while the camera moves, the light must stay, and "
            "the room must not move; give --fov where the camera's angle of view is known.",
        )
    return found


def check_profile(profile: Sequence[tuple[float, float, float]], where: Path) -> float:
    """The focal length of least error, by a parabola through it and its neighbours.

    Raises:
        SceneError: the profile is flat, or falls to its end.
    """
    errors, best = _least(profile)
    said = ", ".join(f"{_degrees(s):.0f} degrees: {e:.2f} px" for s, e, _ in profile)
    if not _clear(errors, best):
        raise SceneError(
            f"the pictures don't tell the camera's angle of view ({said})",
            where=where,
            remedy="Walk around the head a second time with the camera higher or lower by half "
            "a metre, or give the angle of view over the longer side with --fov (a phone's "
            "main camera: 65 to 70 for photographs, about 60 for films).",
        )
    shares = np.log([s for s, _, _ in profile])
    if not 0 < best < len(errors) - 1 or not np.isfinite(errors[best - 1 : best + 2]).all():
        return float(np.exp(shares[best]))
    # Errors rise like |distance| from the least: two lines of one slope meet at it.
    left, middle, right = errors[best - 1 : best + 2]
    width = (shares[best + 1] - shares[best - 1]) / 2
    shift = 0.5 * (left - right) / (max(left, right) - middle) * width
    return float(np.exp(shares[best] + np.clip(shift, -0.5 * width, 0.5 * width)))


def _least(profile: Sequence[tuple[float, float, float]]) -> tuple[NDArray[np.float64], int]:
    """Errors, and the place of the least among maps that hold (nearly) all pictures."""
    errors = np.array([error for _, error, _ in profile])
    placed = np.array([share for _, _, share in profile])
    return errors, int(np.where(placed >= 0.95 * placed.max(), errors, np.inf).argmin())


def _clear(errors: NDArray[np.float64], best: int) -> bool:
    """Whether errors rise to both sides of the least: by FLAT, three values away at the latest.

    A map of fewer pictures has less to fit, so its larger error counts all the more.
    """
    sides = (errors[max(0, best - 3) : best], errors[best + 1 : best + 4])
    known = [side[np.isfinite(side)] for side in sides]
    return all(len(side) > 0 and bool(side.max() > FLAT * errors[best]) for side in known)


class _Mapper:
    """pycolmap's mapping of one database, with its cameras set before each run."""

    def __init__(
        self, library: Any, folder: Path, pictures: Sequence[Picture], database: Path, threads: int
    ) -> None:
        self.library, self.folder, self.database = library, folder, database
        self.pictures = {p.file: p for p in pictures}
        self.threads = threads
        focals = [p.focal for p in pictures if p.focal]
        middle = float(np.median(focals)) if len(focals) == len(pictures) else None
        self.zoom: dict[int, float] = {}
        """Focal length of each of COLMAP's cameras over the middle one's, by EXIF."""
        with library.Database.open(database) as stored:
            for image in stored.read_all_images():
                focal = self.pictures[image.name].focal
                self.zoom[image.camera_id] = focal / middle if focal and middle else 1.0

    def held(self, share: float, *, quick: bool = False) -> Any | None:
        """The largest map with the focal length held at a share of the longer side, or None.

        A `quick` one settles less between pictures: enough to compare errors by.
        """
        with self.library.Database.open(self.database) as stored:
            for camera in stored.read_all_cameras():
                longer = max(camera.width, camera.height)
                camera.params = [
                    share * self.zoom[camera.camera_id] * longer,
                    camera.width / 2,
                    camera.height / 2,
                ]
                camera.has_prior_focal_length = True
                stored.update_camera(camera)
        options = self.library.IncrementalPipelineOptions()
        options.ba_refine_focal_length = False
        options.ba_refine_extra_params = False
        options.mapper.abs_pose_refine_focal_length = False
        options.mapper.abs_pose_refine_extra_params = False
        options.extract_colors = False
        options.num_threads = self.threads or -1
        options.random_seed = 0
        options.min_model_size = 3
        options.max_num_models = 3
        options.mapper.init_min_num_inliers = 50
        if quick:
            options.ba_local_max_refinements = 1
            options.ba_global_max_refinements = 2
            options.ba_global_max_num_iterations = 25
            options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.3
        with TemporaryDirectory() as out:
            maps = self.library.incremental_mapping(
                self.database, self.folder, out, options=options
            )
        return max(maps.values(), key=lambda m: m.num_reg_images(), default=None)

    def refined(self, found: Any, *, free: bool) -> Any:
        """A map after bundle adjustment: of the focal length too, and of distortion, if `free`.

        Distortion stays only where it takes a twentieth of the error.
        """
        options = self.library.BundleAdjustmentOptions()
        options.print_summary = False
        options.refine_focal_length = free
        options.refine_extra_params = False
        if free:
            self._adjust(found, options)
        error = found.compute_mean_reprojection_error()
        bent = type(found)(found)
        for camera in bent.cameras.values():
            focal, x, y = camera.params
            camera.model = self.library.CameraModelId.SIMPLE_RADIAL
            camera.params = [focal, x, y, 0.0]
        options.refine_extra_params = True
        self._adjust(bent, options)
        after = bent.compute_mean_reprojection_error()
        return bent if after < 0.95 * error else found

    def _adjust(self, found: Any, options: Any) -> None:
        """Bundle adjustment in place (pycolmap's own function of that name prints its steps)."""
        config = self.library.BundleAdjustmentConfig()
        for image in found.reg_image_ids():
            config.add_image(image)
        config.fix_gauge(self.library.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        self.library.create_default_bundle_adjuster(options, config, found).solve()
        found.update_point_3d_errors()

    def read(
        self, found: Any, known: str, profile: tuple[tuple[float, float, float], ...]
    ) -> Poses:
        """What `Poses` holds of a map."""
        rows: dict[str, tuple[Any, Any]] = {}
        for image in found.images.values():
            if image.has_pose:
                rows[self.pictures[image.name].name] = (image, found.cameras[image.camera_id])
        names = tuple(p.name for p in self.pictures.values() if p.name in rows)
        poses = [rows[name][0].cam_from_world() for name in names]
        cameras = [rows[name][1] for name in names]
        R = np.stack([p.rotation.matrix() for p in poses])
        shift = np.stack([p.translation for p in poses])
        return Poses(
            names=names,
            R=R,
            centers=-np.einsum("vji,vj->vi", R, shift),
            focal=np.array([c.params[0] / max(c.width, c.height) for c in cameras]),
            k1=np.array([c.params[3] if len(c.params) > 3 else 0.0 for c in cameras]),
            error=float(found.compute_mean_reprojection_error()),
            known=known,
            profile=profile,
            missing=tuple(p.name for p in self.pictures.values() if p.name not in rows),
        )


def _error(found: Any | None) -> float:
    return float("inf") if found is None else float(found.compute_mean_reprojection_error())


def _placed(found: Any | None, pictures: Sequence[Picture]) -> float:
    return 0.0 if found is None else found.num_reg_images() / len(pictures)


def _degrees(share: float) -> float:
    return float(np.degrees(2 * np.arctan(0.5 / share)))


def _unplaced(folder: Path, pictures: Sequence[Picture], found: Any | None) -> SceneError:
    placed = set() if found is None else {i.name for i in found.images.values() if i.has_pose}
    lost = [p.name for p in pictures if p.file not in placed]
    some = ", ".join(lost[:5]) + (" ..." if len(lost) > 5 else "")
    return SceneError(
        f"only {len(placed)} of {len(pictures)} pictures could be placed; not: {some}",
        where=folder,
        remedy="Neighbouring pictures must overlap: take one every 5 to 10 degrees, all around. "
        "What is behind the head must have texture (shelves, patterned cloth; no plain wall), "
        "and neither head, light nor room may move.",
    )
