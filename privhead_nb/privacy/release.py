"""A release: the one type that training reads, in memory and as a folder (docs/release.md).

It holds no sensitive colours, no truth mesh, no landmarks and nothing of the source files' names,
hashes or metadata. `privacy.protect` makes one of a scene.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import PrivheadError, ReleaseError
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release_folder import (
    AGAIN,
    Pictures,
    ReleaseFolder,
    view_file,
    write_folder,
)
from privhead_nb.reading import Record
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.checks import check_description, check_surroundings
from privhead_nb.scenes.images import to_uint8

FORMAT, VERSION = "privhead release", 1
MIN_SIZE, MAX_SIZE = 16, 512
"""Width and height of released views, pixels."""
MASK_CHOICES = ("none", "neutral", "all")
MAX_PIXELS = 300_000_000
"""Pixels of all views together: about 1,100 views of 512 x 512, 3.6 GB as colours."""


@dataclass(frozen=True, eq=False)
class Release:
    """All that training may read. V cameras of H x H pixels, H = `size`.

    Args:
        neutral_images: (Vn, H, H, 3) float32 in [0, 1].
        neutral: their indices into `cameras`.
        moduli: (Vs, H, H) float32, colour per pixel, in [0, operator.peak].
        sensitive: their indices into `cameras`.
        cameras: V cameras, scene unit; view i is called view_%04d.
        masks: (Vn, H, H) float32 where only neutral masks are released, (V, H, H) where all are,
            else None.
        masks_released: "none", "neutral" or "all".
        operator: what was applied to the sensitive views.
        size: H, pixels.
        center: centre of the bounding sphere, scene unit.
        radius: its radius, scene unit.
        background: colour behind the head, in [0, 1].
        unit: name of the scene unit, out of a closed list.
        up: axis towards the crown.
        front: axis that the face looks along.

    Raises:
        ReleaseError: shapes or roles that don't fit together, an unknown unit or axis, or cameras
            and a sphere that can't be right.
    """

    neutral_images: Tensor
    neutral: tuple[int, ...]
    moduli: Tensor
    sensitive: tuple[int, ...]
    cameras: Cameras
    masks: Tensor | None
    masks_released: str
    operator: Operator
    size: int
    center: Vec3
    radius: float
    background: Vec3 = (1.0, 1.0, 1.0)
    unit: str = "mm"
    up: str = "+y"
    front: str = "+z"

    def __post_init__(self) -> None:
        H = self.size
        if self.masks_released not in MASK_CHOICES:
            raise ReleaseError(f"masks_released is {self.masks_released!r}", where="release")
        masks = None if self.masks_released == "none" else (len(self._views()["mask"]), H, H)
        fits = (
            tuple(self.neutral_images.shape) == (len(self.neutral), H, H, 3)
            and tuple(self.moduli.shape) == (len(self.sensitive), H, H)
            and masks == (None if self.masks is None else tuple(self.masks.shape))
            and (self.cameras.width, self.cameras.height) == (H, H)
            and len(self.neutral) + len(self.sensitive) == len(self.cameras)
            and all(0 <= b <= 1 for b in self.background)
        )
        if not fits:
            raise ReleaseError(
                "pictures, masks, cameras and roles don't fit together",
                where="release",
                remedy=AGAIN,
            )
        check_views(self.neutral, self.sensitive, H)
        with _release_errors("release"):
            check_surroundings(self.cameras, self.center, self.radius, "release")
            check_description(self.unit, (self.up, self.front), self.center, None, "release")

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all settings and codes, hex: the same in memory and read from its folder."""
        sha = hashlib.sha256(json.dumps(self._settings()).encode())
        for views in self._codes().values():
            for codes in views.values():
                sha.update(codes.tobytes())
        return sha.hexdigest()

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write the release folder (docs/release.md) with its SHA-256 manifest.

        Raises:
            OutputError: the folder holds something and `overwrite` is false, or a file that is no
                part of a release, or can't be written; nothing half-written is left.
        """
        settings = {"format": FORMAT, "version": VERSION, **self._settings()}
        write_folder(Path(folder), settings, self._codes(), overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> Release:
        """Read a release folder after checking its manifest, settings, cameras and roles.

        Raises:
            ReleaseError: no release, a file that is missing, edited, surplus or damaged, or a
                setting that is out of bounds; it is named.
        """
        files = ReleaseFolder.open(Path(folder))
        path = files.path / "release.json"
        with _release_errors(path):
            settings = _read_settings(files.settings())
        H, choice = settings["size"], settings["masks_released"]
        views = released_views(settings["neutral"], settings["sensitive"], choice)
        codes = files.pictures(views, H)
        colours = _stack(codes["neutral"], (H, H, 3), np.uint8)
        moduli = _stack(codes["sensitive"], (H, H), np.uint16)
        masks = _stack(codes["mask"], (H, H), np.uint8)
        with _release_errors(path):
            return cls(
                neutral_images=as_floats(colours),
                moduli=torch.from_numpy(decode_modulus(moduli, settings["operator"].peak)),
                masks=None if choice == "none" else as_floats(masks),
                **settings,
            )

    def _settings(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "operator": self.operator.to_dict(),
            "modulus_scale": self.operator.peak,
            "masks_released": self.masks_released,
            "neutral": list(self.neutral),
            "sensitive": list(self.sensitive),
            "unit": self.unit,
            "up": self.up,
            "front": self.front,
            "center": [float(c) for c in self.center],
            "radius": float(self.radius),
            "background": [float(b) for b in self.background],
            "pixel_center": float(self.cameras.pixel_center),
            "K": self.cameras.K.tolist(),
            "c2w": self.cameras.c2w.tolist(),
        }

    def _views(self) -> dict[str, tuple[int, ...]]:
        return released_views(self.neutral, self.sensitive, self.masks_released)

    def _codes(self) -> Pictures:
        """What the files hold, by kind and view, in the order of the fields."""
        stored = {
            "neutral": to_uint8(self.neutral_images.numpy()),
            "sensitive": encode_modulus(self.moduli.numpy(), self.operator.peak),
            "mask": () if self.masks is None else to_uint8(self.masks.numpy()),
        }
        views = self._views()
        return {kind: dict(zip(views[kind], stored[kind], strict=True)) for kind in stored}


def released_views(
    neutral: Sequence[int], sensitive: Sequence[int], masks: str
) -> dict[str, tuple[int, ...]]:
    """The views that have a file in each folder of a release; `masks` is one of MASK_CHOICES."""
    masked = {"none": (), "neutral": neutral, "all": sorted([*neutral, *sensitive])}[masks]
    return {"neutral": tuple(neutral), "sensitive": tuple(sensitive), "mask": tuple(masked)}


def check_views(
    neutral: Sequence[int], sensitive: Sequence[int], size: int, where: str | Path = "release"
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


def release_facts(release: Release) -> dict[str, Any]:
    """What `inspect` prints: what was released and how, ready for JSON."""
    center = release.cameras.centers.new_tensor(release.center)
    distance = (release.cameras.centers - center).norm(dim=1)
    return {
        "kind": "release",
        "views": len(release.cameras),
        "neutral_as_rgb": list(release.neutral),
        "sensitive_as_modulus": list(release.sensitive),
        "in_colour": [view_file("neutral", v) for v in release.neutral],
        "size": release.size,
        "operator": release.operator.to_dict(),
        "modulus_scale": release.operator.peak,
        "modulus_max": float(release.moduli.max()) if release.moduli.numel() else 0.0,
        "masks_released": release.masks_released,
        "unit": release.unit,
        "up": release.up,
        "front": release.front,
        "center": list(release.center),
        "radius": release.radius,
        "camera_distance": [float(distance.min()), float(distance.max())],
        "pixel_center": release.cameras.pixel_center,
    }


def encode_modulus(modulus: np.ndarray, peak: float) -> np.ndarray:
    """Moduli in [0, peak] to 16-bit codes: an error of at most peak / 131070."""
    return np.round(np.clip(modulus.astype(np.float64) / peak, 0, 1) * 65535).astype(np.uint16)


def decode_modulus(codes: np.ndarray, peak: float) -> np.ndarray:
    """16-bit codes to moduli, float32."""
    return (codes.astype(np.float64) * (peak / 65535)).astype(np.float32)


def as_floats(codes: np.ndarray) -> Tensor:
    """8-bit codes to float32 in [0, 1]."""
    return torch.from_numpy(codes.astype(np.float32) / 255)


def _read_settings(record: Record) -> dict[str, Any]:
    """What `Release` takes beside its pictures and masks, out of release.json."""
    kind, version = record.data.get("format"), record.data.get("version")
    if (kind, version) != (FORMAT, VERSION):
        raise ReleaseError(
            f"is {str(kind)[:40]!r}, version {str(version)[:20]}",
            where=record.path,
            remedy=f"This package reads {FORMAT!r}, version {VERSION}.",
        )
    words = ("unit", "up", "front")
    record.only(
        ["format", "version", "size", "operator", "modulus_scale", "masks_released", "neutral"]
        + ["sensitive", "center", "radius", "background", "pixel_center", "K", "c2w", *words]
    )
    size = record.whole("size", MIN_SIZE, MAX_SIZE)
    neutral, sensitive = (tuple(record.wholes(k, high=99_999)) for k in ("neutral", "sensitive"))
    check_views(neutral, sensitive, size, record.path)  # before as many pictures are read
    views = len(neutral) + len(sensitive)
    K, c2w = record.array("K", (views, 3, 3)), record.array("c2w", (views, 4, 4))
    pixel_center = record.number("pixel_center")
    chosen, names = record.record("operator"), [field.name for field in fields(Operator)]
    chosen.only(names)
    operator = Operator(**{name: chosen.get(name) for name in names})
    scale = record.number("modulus_scale", low=0)
    if not math.isclose(scale, operator.peak, rel_tol=1e-12):
        raise ReleaseError(
            f"modulus_scale is {scale:g}, not the operator's {operator.peak:g}",
            where=record.path,
            remedy=AGAIN,
        )
    return {
        "size": size,
        "neutral": neutral,
        "sensitive": sensitive,
        "cameras": Cameras(torch.from_numpy(K), torch.from_numpy(c2w), size, size, pixel_center),
        "operator": operator,
        "masks_released": record.text("masks_released", MASK_CHOICES),
        "center": record.vec3("center"),
        "radius": record.number("radius", low=0),
        "background": record.vec3("background", 0, 1),
        **{word: record.text(word) for word in words},
    }


def _stack(pictures: Mapping[int, np.ndarray], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The pictures as one array, which may be of none."""
    return np.stack([*pictures.values()]) if pictures else np.empty((0, *shape), dtype)


@contextmanager
def _release_errors(where: str | Path) -> Iterator[None]:
    """Raise what a scene's checks, too, find wrong as a ReleaseError at `where`."""
    try:
        yield
    except PrivheadError as error:
        raise ReleaseError(error.problem, where=where, remedy=error.remedy or AGAIN) from error
