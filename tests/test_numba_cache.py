"""One result for one seed, whether Numba compiles its kernels now, loads them or can't keep them.

Run as a program, this file prints hashes of what kernels give: the tests do so in new processes.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from backends import DENSE, QUADRATIC, Problem, compositing, grid, head, needs_numba, run
from command import python
from runs import shortened

from privhead_nb import Release, reconstruct
from privhead_nb.kernels import surface_march
from privhead_nb.kernels.grid_encoding import encode_grid
from privhead_nb.resources import SAMPLES
from privhead_nb.training.profiles import get_profile

pytestmark = needs_numba


def digest(*tensors: torch.Tensor | None) -> str:
    """Of the bits of some tensors."""
    there = [x.detach().contiguous() for x in tensors if x is not None]
    return hashlib.sha256(b"".join(x.numpy().tobytes() for x in there)).hexdigest()[:16]


def kernel(problem: Problem) -> list[str]:
    """Outputs and all gradients."""
    outputs, grads = run(problem, "numba")
    return [digest(x) for x in (*outputs, *grads)]


def march() -> list[str]:
    """One small kernel."""
    cloud = torch.randn(500, 3, generator=torch.Generator().manual_seed(2))
    toward, lattice = torch.nn.functional.normalize(-cloud), torch.linspace(-1, 1, 9**3)
    found = surface_march.march(lattice, 9, cloud, toward, backend="numba")
    return [digest(found.t, found.closest, found.slope)]


def training() -> list[str]:
    """The weights after six steps of each stage: grid, head, march, compositing, gradient loss."""
    profile = shortened(get_profile("ci"), steps=6, mesh=16)
    made = reconstruct(Release.load(SAMPLES / "release"), profile, seed=0, progress=False)
    return [digest(*made.model.state_dict().values())]


def features(channels: int) -> list[str]:
    """Features of a spline grid and the table's gradient: each number of channels is compiled."""
    layout = replace(QUADRATIC, channels=channels)
    points, table = grid(layout, 300).inputs
    table = table.requires_grad_()
    found, _ = encode_grid(points, table, layout, jacobian=False, backend="numba")
    found.square().sum().backward()
    return [digest(found, table.grad)]


PARTS = {
    "four channels": lambda: features(4),
    "six channels": lambda: features(6),
    "head": lambda: kernel(head(700, 16, 16, 16)),
    "grid": lambda: kernel(grid(DENSE, 300)),  # its Jacobian and, below, whole compositing:
    "compositing": lambda: kernel(compositing(40, 30)),  # no ci training runs them
    "march": march,
    "training": training,
}


def main(threads: int, *parts: str) -> None:
    torch.set_num_threads(threads)
    print(json.dumps({part: PARTS[part]() for part in parts}))


def hashes(cache: Path | str, *parts: str, before: str = "", threads: int = 1) -> tuple[Any, str]:
    """What a new process prints, with Numba's cache in this folder: hashes, and its stderr."""
    code = f"import sys; sys.path.insert(0, 'tests')\n{before}\nimport test_numba_cache as t\n"
    code += f"t.main({threads}, *{parts!r})"
    done = python(code, NUMBA_CACHE_DIR=str(cache), PRIVHEAD_PROFILE="ci")
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """An empty folder for Numba's cache, and what the process that fills it gives."""
    folder = tmp_path_factory.mktemp("numba")
    found, _ = hashes(folder, *(part for part in PARTS if "channels" not in part))
    assert list(folder.rglob("*.nbi")), "this run was to fill the cache"
    return folder, found


def test_the_first_run_on_a_machine_gives_the_bits_of_all_later_ones(cold):
    folder, first = cold
    again, _ = hashes(folder, *reversed(first))  # what was loaded before changes nothing either
    assert again == first


def test_a_kernel_compiled_after_another_form_of_it_was_loaded_gives_the_same_bits(tmp_path):
    """Four channels alone, and after six that an earlier process compiled."""
    alone, _ = hashes(tmp_path / "alone", "four channels")
    hashes(tmp_path / "both", "six channels")
    after, _ = hashes(tmp_path / "both", "six channels", "four channels")
    assert after["four channels"] == alone["four channels"]


def test_the_kernels_bits_do_not_depend_on_threads(cold, monkeypatch):
    """Nor on a threading layer that is not there: Numba's own threads are not used."""
    folder, first = cold
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "tbb")
    found, said = hashes(folder, "head", "grid", "compositing", "march", threads=2)
    assert found == {name: first[name] for name in found}
    assert "Traceback" not in said and "ValueError" not in said


def test_without_a_place_for_the_cache_a_run_gives_the_same_bits_and_says_what_to_do(cold):
    nowhere = (
        "from numba.core import caching as c\n"
        "getattr(c, 'CacheImpl', getattr(c, '_CacheImpl', None))._locator_classes = []"
    )
    found, said = hashes(cold[0], "march", before=nowhere)
    assert found == {"march": cold[1]["march"]}
    assert said.count("NUMBA_CACHE_DIR") == 1 and "no locator available" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("spoiled", [".nbi", ".nbc"])
def test_a_spoiled_cache_is_told_and_left_alone(cold, tmp_path, spoiled):
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
