"""A film: sharp frames, spread over its motion, chosen without holding more than one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from privhead_nb.capture.photographs import (
    LONGER,
    Picture,
    Pixels,
    check_enough,
    sharpness,
    smaller,
    thumbnail,
    unfit,
)
from privhead_nb.errors import SceneError

LOOKED_AT = 900
"""Frames of a film that are looked at, at most; they are evenly spaced."""
_SMALL = 320  # pixels of the longer side for the flow
MAX_FRAMES = 100_000


def read_film(
    path: Path, out: Path, frames: int, *, progress: bool = False
) -> tuple[list[Picture], dict[str, str]]:
    """Copy the sharpest frames of a film, evenly spread over its motion, into `out`.

    Args:
        path: the film; its rotation is applied.
        out: folder for the copies.
        frames: how many to take.
        progress: show a bar.

    Returns:
        The frames, named by their places in the film, and why others were left out.

    Raises:
        SceneError: it can't be decoded, is too short, or nothing moves in it.
    """
    motion, sharp, looked = _survey(path, progress)
    chosen, left_out = choose_frames(motion, sharp, looked, frames)
    pictures, thumbs = [], []
    wanted = set(chosen)
    for number, pixels in _frames(path, wanted, "take frames", progress):
        rgb = smaller(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), LONGER)
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        file = f"{number:06d}.png"
        Image.fromarray(rgb).save(out / file, compress_level=1)
        height, width = rgb.shape[:2]
        name = f"frame_{number:06d}"
        pictures.append(Picture(name, file, width, height, None, sharpness(grey)))
        thumbs.append(thumbnail(grey))
    why = unfit(pictures, thumbs)
    for picture in pictures:
        if picture.name in why:
            (out / picture.file).unlink(missing_ok=True)
    kept = [p for p in pictures if p.name not in why]
    check_enough(kept, left_out | why, path, "frames")
    return kept, left_out | why


def choose_frames(
    motion: NDArray[np.float64], sharp: NDArray[np.float64], numbers: list[int], frames: int
) -> tuple[list[int], dict[str, str]]:
    """Of each of `frames` equal parts of the way that the picture moves, the sharpest frame.

    Args:
        motion: (N,) how far the picture moved since the frame before, shares of its width.
        sharp: (N,) sharpness.
        numbers: of the N frames in the film.
        frames: how many to take, at most.

    Returns:
        Numbers of the frames taken, and a sentence on the others.
    """
    way = np.cumsum(motion)
    parts = np.minimum((way / max(way[-1], 1e-9) * frames).astype(int), frames - 1)
    best = [int(np.flatnonzero(parts == p)[sharp[parts == p].argmax()]) for p in np.unique(parts)]
    rest = len(numbers) - len(best)
    said = {"other frames": f"{rest} of {len(numbers)} looked at: less sharp than a neighbour"}
    return [numbers[i] for i in best], said if rest else {}


def _survey(
    path: Path, progress: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """Motion and sharpness of evenly spaced frames, and their numbers."""
    with _opened(path) as film:
        count = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    step = max(1, round(count / LOOKED_AT))
    motion: list[float] = []
    sharp: list[float] = []
    numbers: list[int] = []
    before: Pixels | None = None
    every = set(range(0, max(count, 1), step)) if count > 0 else None
    for number, pixels in _frames(path, every, "look through the film", progress):
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        sharp.append(sharpness(grey))
        small = smaller(grey, _SMALL)
        motion.append(0.0 if before is None else _moved(before, small))
        before = small
        numbers.append(number)
    if not numbers:
        raise _undecodable(path)
    if sum(motion) < 0.2:
        raise SceneError(
            f"nothing moves in it: {len(numbers)} frames, whose picture shifts by "
            f"{sum(motion):.0%} of its width in all",
            where=path,
            remedy="Walk around the head with the camera while it films.",
        )
    return np.array(motion), np.array(sharp), numbers


def _moved(before: Any, after: Any) -> float:
    """How far corners moved from one picture to the next, median, in shares of the width."""
    corners = cv2.goodFeaturesToTrack(before, 200, 0.01, 7)
    if corners is None or len(corners) < 8:
        return 0.0
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)  # type: ignore[call-overload]
    ok = found.ravel() == 1
    if ok.sum() < 8:
        return 0.05  # a jump: nothing of the one is found in the other
    way = np.linalg.norm((there - corners).reshape(-1, 2)[ok], axis=1)
    return float(np.median(way)) / before.shape[1]


def _frames(
    path: Path, wanted: set[int] | None, desc: str, progress: bool
) -> Iterator[tuple[int, Any]]:
    """Number and pixels (H, W, 3), blue first, of the frames wanted; all where None."""
    last = MAX_FRAMES if wanted is None else max(wanted, default=-1)
    with _opened(path) as film:
        for number in tqdm(range(last + 1), desc=desc, disable=not progress):
            if not film.grab():
                return
            if wanted is None or number in wanted:
                ok, pixels = film.retrieve()
                if ok and pixels is not None:
                    yield number, pixels


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    film = cv2.VideoCapture(str(path))
    try:
        if not film.isOpened():
            raise _undecodable(path)
        yield film
    finally:
        film.release()


def _undecodable(path: Path) -> SceneError:
    return SceneError(
        "can't be decoded as a film",
        where=path,
        remedy="Save it as MP4 (H.264), or name a folder of photographs.",
    )
