"""Damaged inputs: 200 of the mutants of `benchmarks/studies/fuzz.py`, other ones than it stores.

And files of the kinds that the study has not, or not alone, with wrong bits.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from conftest import ball_scene
from layouts import MODEL, write_colmap
from PIL import Image

from benchmarks.studies import fuzz as fuzz_study
from benchmarks.studies.fuzz_mutations import BYTES, FILES, KINDS
from privhead_nb.errors import PrivheadError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.scenes.folder import open_scene
from privhead_nb.scenes.formats import colmap
from privhead_nb.scenes.images import exif_orientation, read_image

EACH = 200 // len(fuzz_study.KINDS) + 1
FIRST = 1_000_000  # seeds that the stored study doesn't use


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> fuzz_study.Bench:
    inputs = tmp_path_factory.mktemp("inputs")
    fuzz_study.make_inputs(inputs)
    return fuzz_study.Bench(inputs, tmp_path_factory.mktemp("room"))


@pytest.mark.parametrize("kind", fuzz_study.KINDS)
def test_damage_ends_in_an_answer_never_in_a_traceback_a_hang_or_another_program(bench, kind):
    judged = [bench.judge(kind, FIRST + seed) for seed in range(EACH)]
    fallen = [one for one in judged if one["verdict"] in ("traceback", "hang", "child", "vague")]
    assert not fallen, fallen[0]
    assert sum(one["verdict"] == "refused" for one in judged) > EACH / 4
    assert sum(one["verdict"] == "absurd" for one in judged) <= 1


def test_the_same_seed_gives_the_same_mutant(bench):
    one, two = (bench.judge("release", FIRST + 5) for _ in range(2))
    assert one | {"seconds": 0} == two | {"seconds": 0}


# Wrong bits in single files ----------------------------------------------------------------------


def a_picture(path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(colours).save(path)


def a_mesh(path: Path) -> None:
    trimesh.creation.icosphere(subdivisions=1).export(path)


def a_model(path: Path) -> None:
    pytest.importorskip("pycolmap", reason="the extra `capture` is not installed")
    write_colmap(path.parents[2], ball_scene())


def read_model(path: Path) -> None:
    open_scene(path.parents[2])


IMAGE = (a_picture, (read_image, exif_orientation), 240)
MESH = (a_mesh, (Mesh.load,), 60)
FILES_READ: dict[str, tuple[Callable[[Path], None], tuple[Callable[..., Any], ...], int]] = {
    "a.png": IMAGE, "a.jpg": IMAGE,
    "a.glb": MESH, "a.stl": MESH, "a.ply": MESH, "a.obj": MESH,
    f"{MODEL}/cameras.bin": (a_model, (read_model,), 4),
    f"{MODEL}/images.bin": (a_model, (read_model,), 4),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES_READ)
@pytest.mark.parametrize("bits", [1, 3])
def test_a_file_with_wrong_bits_is_read_or_refused_and_nothing_else(
    tmp_path, monkeypatch, name, bits
):
    monkeypatch.setattr(colmap, "_SECONDS", 3)
    make, readers, count = FILES_READ[name]
    make(tmp_path / name)
    told: list[PrivheadError] = []
    data, generator = (tmp_path / name).read_bytes(), np.random.default_rng(bits)
    for _ in range(count):
        changed = bytearray(data)
        for at in generator.integers(0, len(data), bits):
            changed[at] ^= 1 << generator.integers(8) if bits == 1 else generator.integers(1, 256)
        (tmp_path / name).write_bytes(changed)
        for read in readers:
            try:
                read(tmp_path / name)
            except PrivheadError as error:  # nothing else may come
                told.append(error)
    assert all(error.remedy and str(tmp_path) in str(error) for error in told)


# The judge can tell ------------------------------------------------------------------------------


def _raise(problem: BaseException) -> Any:
    raise problem


def _spin() -> Any:
    while True:
        pass


def _start() -> Any:
    import subprocess

    subprocess.run(["true"], check=True)
    return {}


@pytest.mark.parametrize(
    ("reader", "verdict"),
    [
        (lambda folder: _raise(PrivheadError("no", where=folder, remedy="Mend it.")), "refused"),
        (lambda folder: _raise(PrivheadError("no")), "vague"),
        (lambda folder: _raise(KeyError("K")), "traceback"),
        (lambda folder: _raise(MemoryError()), "traceback"),
        (lambda folder: _spin(), "hang"),
        (lambda folder: _start(), "child"),
    ],
    ids=["refused", "vague", "KeyError", "MemoryError", "endless", "program"],
)
def test_the_judge_tells_what_falls(bench, monkeypatch, reader, verdict):
    monkeypatch.setitem(fuzz_study.READERS, "gallery", reader)
    monkeypatch.setattr(fuzz_study, "LIMIT", 0.5)
    assert bench.judge("gallery", FIRST)["verdict"] == verdict


def test_the_judge_tells_absurd_contents(bench):
    valid = bench.valid["release"]
    sphere = valid["sphere"].copy()
    sphere[3] = 1e10
    assert not fuzz_study.out_of_bounds("release", valid, valid)
    assert fuzz_study.out_of_bounds("release", valid | {"sphere": sphere}, valid)


def test_every_way_of_damage_changes_what_it_is_meant_for(tmp_path, bench):
    files = {p.suffix: p for p in sorted(bench.inputs.rglob("*")) if p.is_file()}
    for ending, ways in KINDS.items():
        for name, change in (BYTES | FILES | ways).items():
            for seed in range(3):
                folder = tmp_path / f"{name} {seed}"
                folder.mkdir()
                path = folder / files[ending].name
                shutil.copy(files[ending], path)
                change(path, random.Random(seed))
                there = list(folder.iterdir())
                same = there == [path] and path.is_file() and path.stat().st_size < 10**9
                if same and path.read_bytes() == files[ending].read_bytes():
                    assert name in ("swap", "zeros", "JSON exchange", "JSON scaled"), name
                shutil.rmtree(folder)
