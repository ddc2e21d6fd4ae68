"""release.json: the settings of a release, read with the checks that a scene passes."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from privhead_nb.errors import PrivheadError, ReleaseError
from privhead_nb.privacy.operators import Operator
from privhead_nb.reading import Record, read_json
from privhead_nb.scenes.about import check_description
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.checks import check_surroundings

FORMAT, VERSION = "privhead release", 1
AGAIN = "Make the release again with protect."
MIN_SIZE, MAX_SIZE = 16, 512
MASK_CHOICES = ("none", "neutral", "all")
MAX_PIXELS = 300_000_000
"""Pixels of all views together: about 1,100 views of 512 x 512, 3.6 GB as colours."""
FIELDS = (
    *("format", "version", "size", "operator", "modulus_scale", "masks_released", "neutral"),
    *("sensitive", "unit", "up", "front", "center", "radius", "background", "pixel_center"),
    *("K", "c2w"),
)


def read_settings(path: Path) -> dict[str, Any]:
    """What `Release` takes beside its pictures and masks, out of release.json.

    Raises:
        ReleaseError: a field that is unknown, missing, of a wrong type or out of bounds, cameras
            that can't be right, or more pixels than MAX_PIXELS.
    """
    record = read_json(path, error=ReleaseError, remedy=AGAIN)
    kind, version = record.data.get("format"), record.data.get("version")
    if (kind, version) != (FORMAT, VERSION):
        raise ReleaseError(
            f"is {str(kind)[:40]!r}, version {str(version)[:20]}",
            where=path,
            remedy=f"This package reads {FORMAT!r}, version {VERSION}.",
        )
    record.only(FIELDS)
    size = record.whole("size", MIN_SIZE, MAX_SIZE)
    neutral, sensitive = (tuple(record.wholes(k, high=99_999)) for k in ("neutral", "sensitive"))
    check_views(neutral, sensitive, size, path)
    views = len(neutral) + len(sensitive)
    K, c2w = record.array("K", (views, 3, 3)), record.array("c2w", (views, 4, 4))
    pixel_center = record.number("pixel_center")
    center, radius = record.vec3("center"), record.number("radius", low=0)
    try:
        cameras = Cameras(torch.from_numpy(K), torch.from_numpy(c2w), size, size, pixel_center)
        operator = _operator(record.record("operator"))
    except ReleaseError:
        raise
    except PrivheadError as error:
        raise ReleaseError(error.problem, where=path, remedy=error.remedy or AGAIN) from error
    words = {key: record.text(key) for key in ("unit", "up", "front")}
    check_geometry(cameras, center, radius, words, path)
    scale = record.number("modulus_scale", low=0)
    if not math.isclose(scale, operator.peak, rel_tol=1e-12):
        raise ReleaseError(
            f"modulus_scale is {scale:g}, not the operator's {operator.peak:g}",
            where=path,
            remedy=AGAIN,
        )
    return {
        "size": size,
        "neutral": neutral,
        "sensitive": sensitive,
        "cameras": cameras,
        "operator": operator,
        "masks_released": record.text("masks_released", MASK_CHOICES),
        "center": center,
        "radius": radius,
        "background": record.vec3("background", 0, 1),
        **words,
    }


def masked_views(choice: str, neutral: tuple[int, ...], views: int) -> tuple[int, ...]:
    """The views whose masks are released, for one of MASK_CHOICES."""
    return {"none": (), "neutral": neutral, "all": tuple(range(views))}[choice]


def check_views(
    neutral: tuple[int, ...], sensitive: tuple[int, ...], size: int, where: str | Path
) -> None:
    """Raise ReleaseError unless the views are 0 to N - 1, each once, and not too many."""
    chosen = sorted([*neutral, *sensitive])
    if not chosen or chosen != list(range(len(chosen))):
        raise ReleaseError(
            "neutral and sensitive don't number the views from 0, each once",
            where=where,
            remedy=AGAIN,
        )
    if len(chosen) * size * size > MAX_PIXELS:
        raise ReleaseError(
            f"{len(chosen)} views of {size} x {size} pixels are too many",
            where=where,
            remedy=f"Use fewer or smaller views: {MAX_PIXELS:,} pixels together are the limit.",
        )


def check_geometry(
    cameras: Cameras, center: Vec3, radius: float, words: dict[str, str], where: str | Path
) -> None:
    """Raise ReleaseError for cameras, a sphere, a unit or axes that a scene may not have either."""
    try:
        check_surroundings(cameras, center, radius, where)
        check_description(words["unit"], (words["up"], words["front"]), center, None, where)
    except PrivheadError as error:
        raise ReleaseError(error.problem, where=where, remedy=error.remedy) from error


def _operator(record: Record) -> Operator:
    known = [field.name for field in fields(Operator)]
    record.only(known)
    return Operator(**{name: record.get(name) for name in known})
