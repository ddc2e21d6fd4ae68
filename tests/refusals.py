"""How scenes and releases are broken, and how they are refused."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import python
from PIL import Image

from privhead_nb.errors import PrivheadError, ReleaseError, SceneError
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach.lesson03.leaks import renew_manifest

Spoil = Callable[[Path], object]
"""What is done to a folder."""

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


def set_sphere(folder: Path, radius: float, center: Any = (0, 0, 0)) -> None:
    """Write one bounding sphere into cameras.npz."""
    scale = np.diag([radius, radius, radius, 1.0])
    scale[:3, 3] = center
    edit_cameras(folder, **{f"scale_mat_{view}": scale for view in range(6)})


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
    return replace(
        scene,
        cameras=replace(scene.cameras, c2w=c2w),
        center=tuple(shift.tolist()),
        nose_tip=tuple((shift + scene.nose_tip).tolist()),
        landmarks=scene.landmarks + shift,
        truth=(scene.truth[0] + shift, scene.truth[1]),
    )


def in_a_room(scene: Scene) -> Scene:
    """The scene with noise for a room behind the head."""
    room = torch.rand(scene.images.shape, generator=torch.Generator().manual_seed(0))
    return replace(scene, images=torch.where(scene.masks[..., None] > 0, scene.images, room))


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


PEAK = """
import contextlib, resource, sys
def peak():
    try:  # on Linux ru_maxrss is at least the parent's
        return 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""


def own_peak(imports: str, code: str, *arguments: object) -> tuple[int, int]:
    """Peak memory in bytes, Pillow's included, of a process of its own: before and after code."""
    pytest.importorskip("resource", reason="peak memory is asked of Unix")
    done = python(f"{PEAK}{imports}\nbefore = peak()\n{code}\nprint(before, peak())", *arguments)
    before, after = map(int, done.stdout.split())
    return before, after


def traced_peak(call: Callable[[], object]) -> int:
    """Peak memory in bytes of what Python and NumPy take in a call; Pillow's own isn't traced."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@contextmanager
def held(target: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is writing to this target, as `claim` says."""
    code = "import sys\nfrom privhead_nb.files import claim\n"
    code += "with claim(sys.argv[1]): print('held', flush=True), sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def as_idr(folder: Path) -> None:
    """IDR's names, 000000.png and 000.png; no scene.json, no mesh."""
    rename_views(folder, [f"{i:06d}.png" for i in range(6)], [f"{i:03d}.png" for i in range(6)])
    for name in ("scene.json", "full_head.obj", "landmarks.txt"):
        (folder / name).unlink()


def gone(*names: str) -> Spoil:
    return lambda f: [(f / name).unlink() for name in names]


def fields(name: str, **change: object) -> Spoil:
    """Other fields of a JSON file; `...` takes one out."""
    return lambda f: edit_json(f / name, **change)


def in_turn(*spoilers: Spoil) -> Spoil:
    return lambda f: [spoil(f) for spoil in spoilers]


def picture(
    path: Path, size: tuple[int, int] = (32, 32), mode: str = "RGB", value: int = 0
) -> Path:
    """Write a picture of one value."""
    Image.new(mode, size, value).save(path)
    return path


def flip(path: Path, at: float = 0.5) -> None:
    """One bit of a file, at this share of its length."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1
    path.write_bytes(data)


def cut(path: Path, bytes_left: int) -> None:
    """Truncate a file to so many bytes or, below 0, by so many."""
    path.write_bytes(path.read_bytes()[:bytes_left])
