"""How scenes and releases are broken, and how they are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from privhead_nb.errors import PrivheadError, ReleaseError, SceneError
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach.lesson03.leaks import renew_manifest

SAMPLE_SCENE = Path(__file__).parents[1] / "data_samples" / "scene"


def refused(
    call: Callable[[], object], *words: str, error: type[PrivheadError] = SceneError
) -> PrivheadError:
    """The error that `call` must end in: of this kind, with a remedy and every word in it."""
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{word!r} isn't in {caught.value}"
    assert caught.value.remedy
    return caught.value


def refusal(call: Callable[[], object]) -> SceneError | None:
    """The error that a call ends in; None where it succeeds. Any other exception passes through."""
    try:
        call()
    except SceneError as error:
        return error
    return None


def release_refused(folder: Path, *words: str) -> None:
    """Load a release, expect ReleaseError, and find every word in its message."""
    refused(lambda: Release.load(folder), *words, error=ReleaseError)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by name."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def edit_json(path: Path, **change: Any) -> None:
    """Change fields of a JSON file; one that is to be `...` goes."""
    data = json.loads(path.read_text(encoding="utf-8")) | change
    kept = {name: value for name, value in data.items() if value is not ...}
    path.write_text(json.dumps(kept), encoding="utf-8")


def edit_scene(folder: Path, **change: Any) -> None:
    """Change fields of scene.json."""
    edit_json(folder / "scene.json", **change)


def edit_release(folder: Path, **change: Any) -> None:
    """Change fields of release.json and make the manifest fit, as one who knows it would."""
    edit_json(folder / "release.json", **change)
    renew_manifest(folder)


def edit_cameras(folder: Path, **mats: object) -> None:
    """Replace, add or (None) remove single matrices of cameras.npz."""
    with np.load(folder / "cameras.npz") as data:
        kept = {key: data[key] for key in data.files} | mats
    kept = {key: np.asarray(mat) for key, mat in kept.items() if mat is not None}
    np.savez(folder / "cameras.npz", **kept)


def set_sphere(folder: Path, radius: float, center: Any = (0, 0, 0), views: int = 6) -> None:
    """Write one bounding sphere into cameras.npz."""
    scale = np.diag([radius, radius, radius, 1.0])
    scale[:3, 3] = center
    edit_cameras(folder, **{f"scale_mat_{view}": scale for view in range(views)})


def rename_views(folder: Path, images: list[str], masks: list[str] | None = None) -> None:
    """Call picture i images[i], and its mask masks[i], or as the picture."""
    for kind, names in (("image", images), ("mask", masks or images)):
        for old, new in zip(sorted((folder / kind).iterdir()), names, strict=True):
            old.rename(folder / kind / f"new {new}")
        for path in (folder / kind).iterdir():
            path.rename(path.with_name(path.name.removeprefix("new ")))


def moved(scene: Scene, place: Any) -> Scene:
    """The scene with all of it elsewhere, as in a map's coordinates."""
    shift = np.array(place, float)
    c2w = scene.cameras.c2w.clone()
    c2w[:, :3, 3] += torch.from_numpy(shift)
    assert scene.truth is not None and scene.landmarks is not None
    return replace(
        scene,
        cameras=replace(scene.cameras, c2w=c2w),
        center=tuple(shift.tolist()),
        nose_tip=tuple((shift + scene.nose_tip).tolist()),
        landmarks=scene.landmarks + shift,
        truth=(scene.truth[0] + shift, scene.truth[1]),
    )


def repeated(scene: Scene, views: Sequence[int], **change: Any) -> Scene:
    """The scene with these of its views, one after the other, and no truth."""
    pick = list(views)
    change = {"names": (), "truth": None} | change
    return replace(
        scene,
        images=scene.images[pick],
        masks=scene.masks[pick],
        cameras=scene.cameras[pick],
        **change,
    )


def enlarged(scene: Scene, times: int) -> Scene:
    """The scene with each pixel repeated `times` times along both sides."""
    side = times * scene.cameras.width
    return replace(
        scene,
        images=scene.images.repeat_interleave(times, 1).repeat_interleave(times, 2),
        masks=scene.masks.repeat_interleave(times, 1).repeat_interleave(times, 2),
        cameras=scene.cameras.resized(side, side),
    )


def enlarge_files(folder: Path, side: int, paths: Sequence[Path] | None = None) -> None:
    """Make a folder's square pictures `side` pixels wide, and its cameras fit."""
    pictures = paths or [*folder.glob("image/*"), *folder.glob("mask/*")]
    with Image.open(pictures[0]) as image:
        stretch = np.diag([side / image.width, side / image.width, 1, 1])
    with np.load(folder / "cameras.npz") as data:
        mats = {key: stretch @ data[key] for key in data.files if key.startswith("world_mat")}
    edit_cameras(folder, **mats)
    for path in pictures:
        with Image.open(path) as image:
            image.resize((side, side), Image.Resampling.NEAREST).save(path, compress_level=1)


def own_process(code: str, *arguments: object) -> float:
    """The number that Python code prints in a process of its own, whose peak memory is its own."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout)


def as_idr(folder: Path) -> None:
    """IDR's names, 000000.png and 000.png; no scene.json, no mesh."""
    rename_views(folder, [f"{i:06d}.png" for i in range(6)], [f"{i:03d}.png" for i in range(6)])
    for name in ("scene.json", "full_head.obj", "landmarks.txt"):
        (folder / name).unlink()


def picture(
    path: Path, size: tuple[int, int] = (32, 32), mode: str = "RGB", value: int = 0
) -> Path:
    """Write a picture of one value."""
    Image.new(mode, size, value).save(path)
    return path


def cut(path: Path, bytes_left: int) -> None:
    """Truncate a file to so many bytes or, below 0, by so many."""
    path.write_bytes(path.read_bytes()[:bytes_left])
