"""A release: the one type that training reads, in memory and as a folder.

It holds no sensitive colours, no truth mesh, no landmarks and nothing of the source files' names,
hashes or metadata.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import ReleaseError
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release_files import read_release, view_file, write_release
from privhead_nb.privacy.release_json import (
    AGAIN,
    MASK_CHOICES,
    check_geometry,
    check_views,
    masked_views,
)
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.images import to_uint8


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
        H, views = self.size, len(self.cameras)
        if self.masks_released not in MASK_CHOICES:
            raise ReleaseError(f"masks_released is {self.masks_released!r}", where="release")
        count = None if self.masks_released == "none" else len(self._masked())
        mask_shape = None if self.masks is None else tuple(self.masks.shape)
        fits = (
            tuple(self.neutral_images.shape) == (len(self.neutral), H, H, 3)
            and tuple(self.moduli.shape) == (len(self.sensitive), H, H)
            and mask_shape == (None if count is None else (count, H, H))
            and (self.cameras.width, self.cameras.height) == (H, H)
            and len(self.neutral) + len(self.sensitive) == views
            and all(0 <= b <= 1 for b in self.background)
        )
        if not fits:
            raise ReleaseError(
                "pictures, masks, cameras and roles don't fit together",
                where="release",
                remedy=AGAIN,
            )
        check_views(self.neutral, self.sensitive, H, "release")
        words = {"unit": self.unit, "up": self.up, "front": self.front}
        check_geometry(self.cameras, self.center, self.radius, words, "release")

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all settings and codes, hex: the same in memory and read from its folder."""
        sha = hashlib.sha256(json.dumps(self._settings()).encode())
        for codes in (to_uint8(self.neutral_images.numpy()), self._modulus_codes()):
            sha.update(codes.tobytes())
        sha.update(self._mask_codes().tobytes())
        return sha.hexdigest()

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write the release folder (docs/release.md) with its SHA-256 manifest.

        Raises:
            OutputError: the folder holds something and `overwrite` is false, or a file that is no
                part of a release, or can't be written; nothing half-written is left.
        """
        write_release(
            Path(folder),
            settings=self._settings(),
            neutral=dict(zip(self.neutral, to_uint8(self.neutral_images.numpy()), strict=True)),
            moduli=dict(zip(self.sensitive, self._modulus_codes(), strict=True)),
            masks=dict(zip(self._masked(), self._mask_codes(), strict=True)),
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, folder: str | Path) -> Release:
        """Read a release folder after checking its manifest, settings, cameras and roles.

        Raises:
            ReleaseError: no release, a file that is missing, edited, surplus or damaged, or a
                setting that is out of bounds; it is named.
        """
        files = read_release(Path(folder))
        H, peak = files.settings["size"], files.settings["operator"].peak
        return cls(
            neutral_images=_floats(files.neutral, (H, H, 3)),
            moduli=torch.from_numpy(decode_modulus(_stack(files.moduli, (H, H), np.uint16), peak)),
            masks=None
            if files.settings["masks_released"] == "none"
            else _floats(files.masks, (H, H)),
            **files.settings,
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

    def _masked(self) -> tuple[int, ...]:
        """Views whose masks are released, in the order of `masks`."""
        return masked_views(self.masks_released, self.neutral, len(self.cameras))

    def _modulus_codes(self) -> np.ndarray:
        return encode_modulus(self.moduli.numpy(), self.operator.peak)

    def _mask_codes(self) -> np.ndarray:
        return np.empty((0,), np.uint8) if self.masks is None else to_uint8(self.masks.numpy())


def release_facts(release: Release) -> dict[str, Any]:
    """What `inspect` prints: what was released and how, ready for JSON."""
    distance = (release.cameras.centers - release.cameras.centers.new_tensor(release.center)).norm(
        dim=1
    )
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


def _floats(codes: dict[int, np.ndarray], shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(_stack(codes, shape, np.uint8).astype(np.float32) / 255)


def _stack(codes: dict[int, np.ndarray], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    out = np.empty((len(codes), *shape), dtype)
    for row, picture in zip(out, codes.values(), strict=True):
        row[...] = picture
    return out
