"""One result for one seed, whether Numba compiles its kernels now, loads them or can't keep them.

Run as a program, this file prints hashes of what kernels give: the tests do so in new processes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from backends import needs_numba

from privhead_nb import Release, reconstruct
from privhead_nb.kernels import compositing, grid_encoding, sdf_head, surface_march
from privhead_nb.training.profiles import get_profile

ROOT = Path(__file__).parents[1]
pytestmark = needs_numba


def digest(*tensors: torch.Tensor | None) -> str:
    """Of the bits of some tensors."""
    there = [x.detach().contiguous() for x in tensors if x is not None]
    return hashlib.sha256(b"".join(x.numpy().tobytes() for x in there)).hexdigest()[:16]


def gradients(*outputs: torch.Tensor, of: list[torch.Tensor], seed: int) -> list[torch.Tensor]:
    rand = torch.Generator().manual_seed(seed)
    ups = [torch.randn(x.shape, generator=rand) for x in outputs]
    return list(torch.autograd.grad(outputs, of, ups))


def head() -> dict[str, str]:
    """The small head: outputs and all gradients."""
    rand = torch.Generator().manual_seed(0)
    sizes = [(700, 3), (700, 16), (16, 19), (16,), (16, 16), (16,)]
    given = [torch.randn(size, generator=rand).requires_grad_() for size in sizes]
    out = sdf_head.sdf_head(*given, backend="numba")
    names = ("points", "encoded", "w1", "b1", "w2", "b2")
    grads = zip(names, gradients(out, of=given, seed=1), strict=True)
    return {"head": digest(out)} | {f"head, gradient to {n}": digest(g) for n, g in grads}


def others() -> dict[str, str]:
    """Kernels that no ci training runs: the grid's Jacobian, whole compositing."""
    rand = torch.Generator().manual_seed(1)
    points = torch.rand(300, 3, generator=rand) * 2 - 1
    layout = grid_encoding.GridLayout((4, 9), channels=4)
    table = torch.randn(layout.entries, 4, generator=rand).requires_grad_()
    features, slope = grid_encoding.encode_grid(points, table, layout, backend="numba")
    assert slope is not None
    sdf, values = (torch.randn(40, 30, *n, generator=rand).requires_grad_() for n in ((), (3,)))
    t = torch.rand(40, 30, generator=rand)
    shown = compositing.composite_sdf(sdf, t, t, values, 0.1, backend="numba")
    return {
        "grid": digest(features, slope),
        "grid, gradient": digest(*gradients(features, slope, of=[table], seed=2)),
        "compositing": digest(*shown),
        "compositing, gradients": digest(*gradients(*shown, of=[sdf, values], seed=3)),
    }


def march() -> dict[str, str]:
    """One small kernel."""
    cloud = torch.randn(500, 3, generator=torch.Generator().manual_seed(2))
    lattice = torch.linspace(-1, 1, 9**3)
    found = surface_march.march(
        lattice, 9, cloud, torch.nn.functional.normalize(-cloud), backend="numba"
    )
    return {"march": digest(found.t, found.closest, found.slope)}


def training() -> dict[str, str]:
    """The weights after six steps of each stage: grid, head, march, compositing, gradient loss."""
    ci = get_profile("ci")
    one, two = (replace(stage, steps=6) for stage in (ci.stage1, ci.stage2))
    profile = replace(ci, stage1=one, stage2=two, mesh_resolution=16)
    release = Release.load(ROOT / "data_samples" / "release")
    made = reconstruct(release, profile, seed=0, progress=False)
    return {"training": digest(*made.model.state_dict().values())}


PARTS = {"head": head, "others": others, "march": march, "training": training}


def hashes(cache: Path | str, *parts: str, before: str = "", threads: int = 1) -> tuple[Any, str]:
    """What a new process prints, with Numba's cache in this folder: hashes, and its stderr."""
    code = f"import sys; sys.path.insert(0, 'tests')\n{before}\nimport test_numba_cache as t\n"
    code += f"t.main({threads}, *{parts!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=400,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PRIVHEAD_PROFILE": "ci"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def main(threads: int, *parts: str) -> None:
    torch.set_num_threads(threads)
    found: dict[str, str] = {}
    for part in parts:
        found |= PARTS[part]()
    print(json.dumps(found))


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """An empty folder for Numba's cache, and what the process that fills it gives."""
    folder = tmp_path_factory.mktemp("numba")
    found, _ = hashes(folder, *PARTS)
    assert list(folder.rglob("*.nbi")), "this run was to fill the cache"
    return folder, found


def test_the_first_run_on_a_machine_gives_the_bits_of_all_later_ones(
    cold: tuple[Path, dict[str, str]],
) -> None:
    folder, first = cold
    again, _ = hashes(folder, *reversed(PARTS))  # what was loaded before changes nothing either
    assert again == first


def test_the_kernels_bits_do_not_depend_on_threads(
    cold: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on a threading layer that is not there: Numba's own threads are not used."""
    folder, first = cold
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "tbb")
    found, said = hashes(folder, "head", "others", "march", threads=2)
    assert found == {name: first[name] for name in found}
    assert "Traceback" not in said and "ValueError" not in said


def test_without_a_place_for_the_cache_a_run_gives_the_same_bits_and_says_what_to_do(
    cold: tuple[Path, dict[str, str]],
) -> None:
    nowhere = (
        "from numba.core import caching as c\n"
        "getattr(c, 'CacheImpl', getattr(c, '_CacheImpl', None))._locator_classes = []"
    )
    found, said = hashes(cold[0], "march", before=nowhere)
    assert found == {"march": cold[1]["march"]}
    assert said.count("NUMBA_CACHE_DIR") == 1 and "no locator available" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("spoiled", [".nbi", ".nbc"])
def test_a_spoiled_cache_is_told_and_left_alone(
    cold: tuple[Path, dict[str, str]], tmp_path: Path, spoiled: str
) -> None:
    """The index of the kernels is cut off, or their code."""
    files = "surface_march*/numba.*"
    for source in cold[0].rglob(files):
        cut = source.suffix == spoiled
        copy = tmp_path / source.parent.name / source.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(source.read_bytes()[: 40 if cut else None])
    before = {path: path.read_bytes() for path in tmp_path.rglob(files)}
    found, said = hashes(tmp_path, "march")
    assert found == {"march": cold[1]["march"]}
    assert said.count("delete *.nbi and *.nbc in") == 1 and str(tmp_path) in said
    assert "Traceback" not in said
    assert before == {path: path.read_bytes() for path in before} and before
