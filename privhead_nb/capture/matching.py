"""SIFT points of the pictures, and which of them are the same in pairs of pictures.

Points and their geometric check are COLMAP's. Between them stands a matcher of our own, which needs
a matrix product a pair: pairs that share few of their largest points are passed over, which are
most of a walk around something, and COLMAP's check of unrelated pictures is what takes its time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from privhead_nb.capture.photographs import Picture
from privhead_nb.errors import SceneError

PIP = "pip install pycolmap"
RATIO = 0.8
"""Lowe's: a match is nearer than this share of the second nearest's distance."""
FARTHEST = 0.7
"""Angle between descriptors of a match, radians."""
COARSE = 600
"""Largest points of a picture by which pairs are chosen."""
FEW = 8
"""Coarse matches below which a pair is passed over, but for neighbours in the order of names."""
NEIGHBOURS = 2
LEAST = 20
"""Matches of a pair below which it isn't kept."""
AT_ONCE = 100  # pairs checked between two moves of the progress bar


def colmap() -> Any:
    """pycolmap, quiet; SceneError where it isn't installed."""
    try:
        import pycolmap
    except ImportError as error:
        raise SceneError(
            "pycolmap is not installed",
            where="capture",
            remedy=f"It is optional: {PIP} (or the extra: pip install 'privhead-nb[capture]').",
        ) from error
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    return pycolmap


def cameras_of(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Pictures by camera: those of one size and one focal length share it."""
    groups: dict[tuple[Any, ...], list[Picture]] = {}
    for picture in pictures:
        key = (picture.width, picture.height, picture.focal and round(picture.focal, 3))
        groups.setdefault(key, []).append(picture)
    return list(groups.values())


def match_pictures(
    folder: Path,
    pictures: Sequence[Picture],
    database: Path,
    *,
    features: int,
    threads: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Find and match the points of all pictures; writes COLMAP's `database`.

    Args:
        folder: of the pictures' copies.
        pictures: which of them.
        database: the file to make; one that is there is replaced.
        features: points of a picture, at most.
        threads: 0 takes all cores.
        progress: show bars.

    Returns:
        Counts: points a picture (median), pairs of pictures, pairs that fit together.

    Raises:
        SceneError: pycolmap is missing, or the pictures have hardly any points.
    """
    library = colmap()
    database.unlink(missing_ok=True)
    _find_points(library, folder, pictures, database, features, threads, progress)
    with library.Database.open(database) as stored:
        ids = {image.name: image.image_id for image in stored.read_all_images()}
        order = [ids[p.file] for p in pictures]
        points = [_largest_first(stored, image) for image in order]
        counts = np.array([len(d) for d, _ in points])
        if np.median(counts) < 100:
            raise SceneError(
                f"the pictures have hardly any points to tell places by ({np.median(counts):.0f} "
                "in the middle one)",
                where=folder,
                remedy="A plain wall has none: stand before shelves, pictures or patterned "
                "cloth, in good light, and hold the camera still.",
            )
        pairs = _match_all(stored, order, points, progress)
    _verify(library, database, pairs, {i: n for n, i in ids.items()}, progress)
    with library.Database.open(database) as stored:
        fitting = stored.num_verified_image_pairs()
        inliers = stored.num_inlier_matches()
    return {
        "points": float(np.median(counts)),
        "pairs": len(order) * (len(order) - 1) // 2,
        "matched_pairs": len(pairs),
        "fitting_pairs": int(fitting),
        "fitting_matches": int(inliers),
    }


def mutual_matches(one: Tensor, two: Tensor) -> NDArray[np.uint32]:
    """Matches (M, 2) between unit descriptors (N, 128) and (K, 128): rows that are each other's
    nearest, nearer than FARTHEST, and by RATIO nearer than the second nearest."""
    if min(len(one), len(two)) < 2:
        return np.empty((0, 2), np.uint32)
    like = one @ two.T
    best, place = like.topk(2, dim=1)
    back = like.argmax(dim=0)
    angle = torch.acos(best.clamp(-1, 1))
    row = torch.arange(len(one))
    good = (back[place[:, 0]] == row) & (angle[:, 0] < FARTHEST)
    good &= angle[:, 0] < RATIO * angle[:, 1]
    return torch.stack([row, place[:, 0]], 1)[good].numpy().astype(np.uint32)


def _find_points(
    library: Any,
    folder: Path,
    pictures: Sequence[Picture],
    database: Path,
    features: int,
    threads: int,
    progress: bool,
) -> None:
    options = library.FeatureExtractionOptions()
    options.sift.max_num_features = features
    options.num_threads = threads or -1
    # Doubling the picture finds finer points than a large one needs, at four times the time.
    options.sift.first_octave = 0 if max(pictures[0].width, pictures[0].height) > 1000 else -1
    reader = library.ImageReaderOptions()
    reader.camera_model = "SIMPLE_PINHOLE"
    bar = tqdm(total=len(pictures), desc="find points", disable=not progress)
    for group in cameras_of(pictures):
        reader.existing_camera_id = -1
        for start in range(0, len(group), 8):
            some = [p.file for p in group[start : start + 8]]
            library.extract_features(
                database,
                folder,
                image_names=some,
                camera_mode=library.CameraMode.SINGLE,
                reader_options=reader,
                extraction_options=options,
                device=library.Device.cpu,
            )
            if reader.existing_camera_id == -1:
                with library.Database.open(database) as stored:
                    reader.existing_camera_id = stored.read_image_with_name(some[0]).camera_id
            bar.update(len(some))
    bar.close()


def _largest_first(stored: Any, image: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Unit descriptors (N, 128), those of the largest points first, and their rows as stored."""
    found = np.asarray(stored.read_descriptors(image).data, np.float32)
    places = np.asarray(stored.read_keypoints(image), np.float32)
    if not len(found):
        return torch.empty(0, 128), np.empty(0, np.int64)
    size = np.hypot(places[:, 2], places[:, 4]) if places.shape[1] >= 6 else places[:, 2]
    order = np.argsort(-size, kind="stable")
    unit = torch.from_numpy(found[order])
    return torch.nn.functional.normalize(unit, dim=1), order


def _match_all(
    stored: Any,
    order: Sequence[int],
    points: Sequence[tuple[Tensor, NDArray[np.int64]]],
    progress: bool,
) -> list[tuple[int, int]]:
    """Write the matches of all pairs that share enough; returns those pairs' image numbers."""
    kept = []
    places = [*itertools.combinations(range(len(order)), 2)]
    for i, j in tqdm(places, desc="match pictures", disable=not progress, mininterval=0.5):
        (one, rows), (two, columns) = points[i], points[j]
        near = j - i <= NEIGHBOURS or j - i >= len(order) - NEIGHBOURS
        if not near and len(mutual_matches(one[:COARSE], two[:COARSE])) < FEW:
            continue
        matches = mutual_matches(one, two)
        if len(matches) >= LEAST:
            both = np.stack([rows[matches[:, 0]], columns[matches[:, 1]]], 1).astype(np.uint32)
            stored.write_matches(order[i], order[j], both)
            kept.append((order[i], order[j]))
    return kept


def _verify(
    library: Any,
    database: Path,
    pairs: Sequence[tuple[int, int]],
    names: dict[int, str],
    progress: bool,
) -> None:
    """COLMAP's check of matches by the geometry of two views, some pairs at a time."""
    options = library.TwoViewGeometryOptions()
    options.ransac.random_seed = 0
    options.ransac.max_num_trials = 2000
    listed = database.with_suffix(".pairs")
    bar = tqdm(total=len(pairs), desc="check pairs", disable=not progress)
    for start in range(0, len(pairs), AT_ONCE):
        some = pairs[start : start + AT_ONCE]
        listed.write_text("".join(f"{names[a]} {names[b]}\n" for a, b in some), encoding="utf-8")
        library.verify_matches(database, listed, options)
        bar.update(len(some))
    bar.close()
    listed.unlink(missing_ok=True)
