"""What may leave the device: `protect` makes a release of a scene, and nothing else does.

Neutral views as RGB, sensitive views only as the modulus after a protecting operator. Numbers are
rounded here already to what the files hold (8-bit colours and masks, 16-bit moduli), so a release
in memory equals its folder bit for bit.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import OutputError, PrivheadError
from privhead_nb.kernels.dispatch import prefer
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.released import Release, decode_modulus, encode_modulus, release_facts
from privhead_nb.scenes.images import resize_area, to_uint8
from privhead_nb.scenes.scene import Scene, load_scene

__all__ = ["Release", "protect", "protect_folder", "release_facts"]

MIN_SIZE, MAX_SIZE = 16, 512
MASK_CHOICES = ("none", "neutral", "all")


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
    with prefer("torch"):  # the same bytes whether or not the fast kernels are installed
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
