"""What may leave the device: `protect` makes a release of a scene, and nothing else does.

Neutral views as RGB, sensitive views only as the modulus after a protecting operator. Numbers are
rounded here already to what the files hold (8-bit colours and masks, 16-bit moduli), so a release
in memory equals its folder bit for bit. Pictures are taken from the scene one at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from privhead_nb.errors import PrivheadError
from privhead_nb.files import claim
from privhead_nb.kernels.dispatch import prefer
from privhead_nb.privacy.consent import check_consent
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import (
    MASK_CHOICES,
    MAX_SIZE,
    MIN_SIZE,
    Release,
    as_floats,
    decode_modulus,
    encode_modulus,
    released_views,
)
from privhead_nb.privacy.release_folder import check_release_target, view_file
from privhead_nb.scenes.folder import SceneFolder, open_scene
from privhead_nb.scenes.images import resize_area, to_uint8
from privhead_nb.scenes.scene import AboutScene, Scene
from privhead_nb.targets import refuse_inside_sources

WHOLE = 2**21
"""Pixels of a picture that the operator sees at once; larger ones go through it in bands."""


def protect(
    scene: Scene | SceneFolder,
    operator: Operator | None = None,
    *,
    size: int = 64,
    masks: str = "neutral",
    seed: int | None = None,
    consent: Iterable[str] = (),
    progress: bool = False,
) -> Release:
    """Make what may leave the device out of a scene.

    Args:
        scene: the owner's pictures; of a scene on disk only one is in memory at a time.
        operator: what sensitive views become; Sobel 3 x 3 by default.
        size: width and height of the released views, pixels, 16 to 512.
        masks: "none", of "neutral" views, or of "all".
        seed: of the operator's noise. By default it is drawn from the system. It is never
            written, since whoever knows it can take the noise off again: set it in tests only.
        consent: file names of neutral views that may go out in colour although their cameras
            see the face (`privacy.consent`).
        progress: show a bar where it takes more than two seconds.

    Raises:
        PrivheadError: a wrong setting, or a neutral view that sees the face without consent.
    """
    operator = Operator() if operator is None else operator
    check_settings(size, masks)
    scene = scene.in_head_frame()
    if not scene.neutral and not scene.sensitive:
        raise PrivheadError(
            "no view is neutral or sensitive, so there is nothing to release",
            where=scene.name,
            remedy="Give the views their roles, in scene.json or by --sensitive.",
        )
    check_consent(scene, consent)
    if min(scene.cameras.width, scene.cameras.height) < size:
        raise PrivheadError(
            f"size {size} is above the pictures' {scene.cameras.width} x {scene.cameras.height}",
            where=scene.name,
            remedy="Released views are never enlarged: use a smaller size.",
        )
    generator = torch.Generator()
    generator.seed() if seed is None else generator.manual_seed(seed)
    bar = partial(tqdm, disable=not progress, delay=2)
    number = _released_numbers(scene)
    views = released_views(scene.neutral, scene.sensitive, masks)
    neutral = np.empty((len(views["neutral"]), size, size, 3), np.uint8)
    for i, view in enumerate(bar(views["neutral"], desc="neutral views")):
        neutral[i] = to_uint8(resize_area(_picture(scene, operator, view), size, size))
    moduli = np.empty((len(views["sensitive"]), size, size), np.uint16)
    # Fast kernels differ from the reference in a 16-bit step now and then, and a release must be
    # the same whether or not they are installed.
    with prefer("torch"):
        for i, view in enumerate(bar(views["sensitive"], desc="sensitive views")):
            modulus = released_modulus(_picture(scene, operator, view), operator, size, generator)
            moduli[i] = encode_modulus(modulus, operator.peak)
    coverage = np.empty((len(views["mask"]), size, size), np.uint8)
    for i, view in enumerate(bar(views["mask"], desc="masks")):
        coverage[i] = to_uint8(scene.mask(view, size))
    return Release(
        neutral_images=as_floats(neutral),
        neutral=tuple(number[v] for v in scene.neutral),
        moduli=torch.from_numpy(decode_modulus(moduli, operator.peak)),
        sensitive=tuple(number[v] for v in scene.sensitive),
        cameras=scene.cameras[list(number)].resized(size, size),
        masks=None if masks == "none" else as_floats(coverage),
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
    overwrite: bool = False,
    sensitive: str | None = None,
    format: str = "auto",
    **settings: Any,
) -> tuple[SceneFolder, Release]:
    """Read a scene folder and write its release beside it, never into it.

    Args:
        scene_folder: only read; `sensitive` and `format` are `open_scene`'s.
        release_folder: what to write; one that holds a release is replaced with `overwrite` only.
        operator, size, masks, settings: as `protect` takes them.

    Returns:
        The opened scene, whose file names the release doesn't hold, and the release.

    Raises:
        OutputError: the target is the scene, lies in it or holds it, or can't be written.
        SceneError: the scene can't be read.
        PrivheadError: as `protect`; nothing is written then.
    """
    check_settings(size, masks)
    refuse_inside_sources(release_folder, [scene_folder])
    check_release_target(Path(release_folder), overwrite)
    with claim(release_folder):
        scene = open_scene(scene_folder, sensitive=sensitive, format=format)
        release = protect(scene, operator, size=size, masks=masks, **settings)
        release.save(release_folder, overwrite=overwrite)
    return scene, release


def in_colour(scene: AboutScene) -> list[dict[str, str]]:
    """The pictures that `protect` releases in colour: file name in the scene and in the release."""
    number = _released_numbers(scene)
    return [
        {"file": scene.names[v], "released_as": view_file("neutral", number[v])}
        for v in scene.neutral
    ]


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


def modulus_in_bands(picture: np.ndarray, operator: Operator, most: int = WHOLE) -> np.ndarray:
    """(H, W) modulus of a picture (H, W, 3); above `most` pixels in bands of about a quarter of it.

    Each band of rows is seen with the rows beside it that the kernel reaches, so that its result is
    that of the whole picture.
    """
    height, width = picture.shape[:2]
    rows = height if height * width <= most else max(most // 4 // width, 4 * operator.reach, 1)
    edges = np.linspace(0, height, math.ceil(height / rows) + 1).astype(int)
    modulus = np.empty((height, width), np.float32)
    for top, end in itertools.pairwise(edges):
        first, last = max(0, top - operator.reach), min(height, end + operator.reach)
        seen = operator.modulus(torch.from_numpy(picture[first:last]))
        modulus[top:end] = seen.numpy()[top - first : end - first]
    return modulus


def _released_numbers(scene: AboutScene) -> dict[int, int]:
    """The scene's views that are released, in order, and their numbers in the release.

    Views without a role stay at home, cameras and all.
    """
    return {view: i for i, view in enumerate(sorted([*scene.neutral, *scene.sensitive]))}


def _picture(scene: Scene | SceneFolder, operator: Operator, view: int) -> np.ndarray:
    """(H, W, 3) picture of a view, its background replaced where the operator says so."""
    picture = scene.picture(view)
    if operator.background == "kept":
        return picture
    mask = scene.mask(view)
    flat = np.empty_like(picture)
    for channel, colour in enumerate(np.array(scene.background, np.float32)):
        flat[..., channel] = picture[..., channel] * mask + colour * (1 - mask)
    return flat


def released_modulus(
    picture: np.ndarray, operator: Operator, size: int, generator: torch.Generator
) -> np.ndarray:
    """(size, size) modulus of a picture (H, W, 3), with the operator's noise and levels."""
    if operator.downsample == "first":
        small = torch.from_numpy(resize_area(picture, size, size))
        return operator.protect(small, generator).numpy()
    # Colour per full pixel, averaged, is scaled to colour per small pixel.
    full = resize_area(modulus_in_bands(picture, operator), size, size)
    per_small_pixel = full * math.sqrt(picture.shape[0] * picture.shape[1]) / size
    return operator.degrade(torch.from_numpy(per_small_pixel), generator).numpy()
