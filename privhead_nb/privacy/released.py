"""A release: the one type that training reads, in memory and as a folder.

It holds no sensitive colours, no truth mesh, no landmarks and nothing of the source files' names,
hashes or metadata.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import OutputError, PrivheadError, ReleaseError
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release_files import read_release, write_release
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
        unit: name of the scene unit.
        up: axis towards the crown.
        front: axis that the face looks along.

    Raises:
        ReleaseError: shapes or roles that don't fit together.
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
        masked = {"none": None, "neutral": len(self.neutral), "all": views}
        if self.masks_released not in masked:
            raise ReleaseError(f"masks_released is {self.masks_released!r}", where="release")
        count = masked[self.masks_released]
        mask_shape = None if self.masks is None else tuple(self.masks.shape)
        fits = (
            tuple(self.neutral_images.shape) == (len(self.neutral), H, H, 3)
            and tuple(self.moduli.shape) == (len(self.sensitive), H, H)
            and mask_shape == (None if count is None else (count, H, H))
            and (self.cameras.width, self.cameras.height) == (H, H)
            and sorted([*self.neutral, *self.sensitive]) == list(range(views))
            and all(map(math.isfinite, (*self.center, *self.background, self.radius)))
            and self.radius > 0
        )
        if not fits:
            raise ReleaseError(
                "pictures, masks, cameras and roles don't fit together",
                where="release",
                remedy="Make the release again with protect.",
            )

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write the release folder (docs/release.md) with its SHA-256 manifest.

        Raises:
            OutputError: the folder holds something and `overwrite` is false, or something that is
                no release, or can't be written; nothing half-written is left.
        """
        target = Path(folder)
        foreign = target.is_dir() and any(target.iterdir())
        if overwrite and foreign and not (target / "release.json").is_file():
            raise OutputError(
                "holds something that is no release, and won't be replaced",
                where=target,
                remedy="Name a new folder, or remove this one yourself.",
            )
        moduli = encode_modulus(self.moduli.numpy(), self.operator.peak)
        write_release(
            target,
            settings=self._settings(),
            neutral=dict(zip(self.neutral, to_uint8(self.neutral_images.numpy()), strict=True)),
            moduli=dict(zip(self.sensitive, moduli, strict=True)),
            masks=dict(zip(self._masked(), self._mask_codes(), strict=True)),
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, folder: str | Path) -> Release:
        """Read a release folder after checking its manifest.

        Raises:
            ReleaseError: no release, or a file that is missing, edited or not listed; it is named.
        """
        folder = Path(folder)
        files = read_release(folder)
        try:
            return cls._from_files(files.settings, files.neutral, files.moduli, files.masks)
        except (KeyError, IndexError, TypeError, ValueError, PrivheadError) as error:
            raise ReleaseError(
                f"doesn't describe a release ({error})",
                where=folder / "release.json",
                remedy="Make the release again with protect.",
            ) from error

    @classmethod
    def _from_files(
        cls,
        settings: dict[str, Any],
        neutral: dict[int, np.ndarray],
        moduli: dict[int, np.ndarray],
        masks: dict[int, np.ndarray],
    ) -> Release:
        H, operator = int(settings["size"]), Operator.from_dict(settings["operator"])
        if not math.isclose(settings["modulus_scale"], operator.peak, rel_tol=1e-12):
            raise ValueError("modulus_scale isn't the operator's peak")
        cameras = Cameras(
            torch.tensor(settings["K"], dtype=torch.float64),
            torch.tensor(settings["c2w"], dtype=torch.float64),
            H,
            H,
            settings["pixel_center"],
        )
        released = settings["masks_released"]
        return cls(
            neutral_images=_floats(neutral, (H, H, 3)),
            neutral=tuple(neutral),
            moduli=torch.from_numpy(
                decode_modulus(_stack(moduli, (H, H), np.uint16), operator.peak)
            ),
            sensitive=tuple(moduli),
            cameras=cameras,
            masks=None if released == "none" else _floats(masks, (H, H)),
            masks_released=released,
            operator=operator,
            size=H,
            center=_vec3(settings["center"]),
            radius=float(settings["radius"]),
            background=_vec3(settings["background"]),
            unit=str(settings["unit"]),
            up=str(settings["up"]),
            front=str(settings["front"]),
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
            "center": list(self.center),
            "radius": self.radius,
            "background": list(self.background),
            "pixel_center": self.cameras.pixel_center,
            "K": self.cameras.K.tolist(),
            "c2w": self.cameras.c2w.tolist(),
        }

    def _masked(self) -> tuple[int, ...]:
        """Views whose masks are released, in the order of `masks`."""
        whole = tuple(range(len(self.cameras)))
        return {"none": (), "neutral": self.neutral, "all": whole}[self.masks_released]

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
        if picture.shape != shape or picture.dtype != dtype:
            raise ValueError(f"a view is {picture.dtype} {picture.shape}, not {dtype} {shape}")
        row[...] = picture
    return out


def _vec3(values: Any) -> Vec3:
    return (float(values[0]), float(values[1]), float(values[2]))
