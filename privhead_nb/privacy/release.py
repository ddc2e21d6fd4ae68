"""What may leave the device: `protect` makes a release, and one type holds it.

Neutral views as RGB, sensitive views only as the modulus after a protecting operator. Training
reads this type and nothing else. Numbers are rounded to what the files hold (8-bit colours and
masks, 16-bit moduli) in `protect` already, so a release in memory equals its folder bit for bit.
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
from privhead_nb.scenes.images import resize_area, to_uint8
from privhead_nb.scenes.scene import Scene, load_scene

MIN_SIZE, MAX_SIZE = 16, 512
MASK_CHOICES = ("none", "neutral", "all")


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
            and math.isfinite(self.radius)
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
        except (KeyError, TypeError, ValueError, PrivheadError) as error:
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


def protect(
    scene: Scene,
    operator: Operator | None = None,
    *,
    size: int = 64,
    masks: str = "neutral",
    seed: int | None = None,
) -> Release:
    """Make what may leave the device out of a scene.

    Args:
        scene: the owner's pictures.
        operator: what sensitive views become; Sobel 3 x 3 by default.
        size: width and height of the released views, pixels, 16 to 512.
        masks: "none", of "neutral" views, or of "all".
        seed: of the operator's noise. By default it is drawn from the system. It is never
            written, since whoever knows it can take the noise off again: set it in tests only.

    Raises:
        PrivheadError: a wrong setting.
    """
    operator = Operator() if operator is None else operator
    check_settings(size, masks)
    if min(scene.cameras.width, scene.cameras.height) < size:
        raise PrivheadError(
            f"size {size} is above the pictures' {scene.cameras.width} x {scene.cameras.height}",
            where=scene.name,
            remedy="Released views are never enlarged: use a smaller size.",
        )
    generator = torch.Generator()
    generator.seed() if seed is None else generator.manual_seed(seed)
    # Views without a role stay at home, cameras and all; the others keep their order.
    used = sorted([*scene.neutral, *scene.sensitive])
    number = {view: i for i, view in enumerate(used)}
    pictures = {view: _picture(scene, operator, view) for view in used}
    neutral = [_small(pictures[v], size) for v in scene.neutral]
    moduli = [_modulus(pictures[v], operator, size, generator) for v in scene.sensitive]
    masked = {"none": [], "neutral": list(scene.neutral), "all": used}[masks]
    coverage = [_small(scene.masks[v].numpy(), size) for v in masked]
    codes = encode_modulus(_array(moduli, (size, size)), operator.peak)
    return Release(
        neutral_images=_eight_bit(_array(neutral, (size, size, 3))),
        neutral=tuple(number[v] for v in scene.neutral),
        moduli=torch.from_numpy(decode_modulus(codes, operator.peak)),
        sensitive=tuple(number[v] for v in scene.sensitive),
        cameras=scene.cameras[used].resized(size, size),
        masks=None if masks == "none" else _eight_bit(_array(coverage, (size, size))),
        masks_released=masks,
        operator=operator,
        size=size,
        center=scene.center,
        radius=scene.radius,
        background=scene.background,
        unit=scene.unit,
        up=scene.up,
        front=scene.front,
    )


def protect_folder(
    scene_folder: str | Path,
    release_folder: str | Path,
    operator: Operator | None = None,
    *,
    size: int = 64,
    masks: str = "neutral",
    seed: int | None = None,
    overwrite: bool = False,
    sensitive: str | None = None,
    format: str = "auto",
) -> Release:
    """Read a scene folder and write its release beside it, never into it.

    Raises:
        OutputError: the target is the scene, lies in it or holds it, or can't be written.
        SceneError: the scene can't be read.
    """
    check_settings(size, masks)
    source, target = Path(scene_folder).resolve(), Path(release_folder).resolve()
    if source == target or source in target.parents or target in source.parents:
        raise OutputError(
            "the release would be written into its own scene, or over it",
            where=release_folder,
            remedy="Name a folder outside of the scene.",
        )
    operator = Operator() if operator is None else operator
    # Shrinking while reading keeps memory flat; these settings need the full pictures.
    whole = operator.downsample == "last" or operator.background == "flat"
    scene = load_scene(
        scene_folder, sensitive=sensitive, format=format, size=None if whole else size
    )
    release = protect(scene, operator, size=size, masks=masks, seed=seed)
    release.save(release_folder, overwrite=overwrite)
    return release


def check_settings(size: int, masks: str) -> None:
    """Raise PrivheadError for a size or mask choice that `protect` doesn't know."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise PrivheadError(
            f"size is {size}", where="protect", remedy=f"Use {MIN_SIZE} to {MAX_SIZE} pixels."
        )
    if masks not in MASK_CHOICES:
        raise PrivheadError(
            f"masks is {masks!r}", where="protect", remedy=f"Use {', '.join(MASK_CHOICES)}."
        )


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


def _picture(scene: Scene, operator: Operator, view: int) -> np.ndarray:
    """(H, W, 3) picture of a view, its background replaced where the operator says so."""
    image = scene.images[view]
    if operator.background == "flat":
        mask = scene.masks[view][..., None]
        image = image * mask + image.new_tensor(scene.background) * (1 - mask)
    return image.numpy()


def _modulus(
    picture: np.ndarray, operator: Operator, size: int, generator: torch.Generator
) -> np.ndarray:
    """(size, size) released modulus of a picture (H, W, 3)."""
    if operator.downsample == "first":
        return operator.protect(torch.from_numpy(_small(picture, size)), generator).numpy()
    # Colour per full pixel, averaged, is scaled to colour per small pixel.
    full = _small(operator.modulus(torch.from_numpy(picture)).numpy(), size)
    per_small_pixel = full * math.sqrt(picture.shape[0] * picture.shape[1]) / size
    return operator.degrade(torch.from_numpy(per_small_pixel), generator).numpy()


def _small(pixels: np.ndarray, size: int) -> np.ndarray:
    return resize_area(pixels, size, size)


def _array(rows: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(rows) if rows else np.empty((0, *shape), np.float32)


def _eight_bit(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(to_uint8(pixels).astype(np.float32) / 255)


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
