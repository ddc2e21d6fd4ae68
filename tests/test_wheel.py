"""Claims about the wheel: it holds what lessons, `protect` and the lab read, and works alone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest

from privhead_nb.resources import RESULTS, SAMPLES

ROOT = Path(__file__).parents[1]
NOTEBOOK = "00_start_here.ipynb"
RUN = """
import nbformat, sys
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print("done")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps",
         "--disable-pip-version-check", "-w", folder, ROOT],
        check=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_samples_results_and_weights(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in ((SAMPLES, "samples"), (RESULTS, "results")):
        for path in folder.rglob("*"):
            if path.is_file():
                assert f"privhead_nb/shipped/{inside}/{path.relative_to(folder)}" in names
    assert {n for n in names if n.endswith("cnn.safetensors")}, "no recogniser"
    assert "privhead_nb/py.typed" in names
    assert not [n for n in names if n.startswith(("tests/", "benchmarks/", "notebooks/"))]
    assert wheel.stat().st_size < 30e6  # the compared systems bring up to 4 MB of weights each


@pytest.mark.slow
def test_a_notebook_runs_from_the_wheel_without_the_repository(wheel, tmp_path):
    home = tmp_path / "environment"
    venv.create(home, symlinks=os.name != "nt")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps",
         "--disable-pip-version-check", wheel],
        check=True,
    )  # fmt: skip
    place = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    theirs = subprocess.run([python, "-c", place], capture_output=True, text=True, check=True)
    # a path in a .pth file is searched, but the .pth files there are not read: no editable install
    (Path(theirs.stdout.strip()) / "ours.pth").write_text(sysconfig.get_paths()["purelib"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, elsewhere)
    notebook = nbformat.read(elsewhere / NOTEBOOK, as_version=4)
    where = (
        f"import privhead_nb\nassert {str(home)!r} in privhead_nb.__file__, privhead_nb.__file__"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(where))
    nbformat.write(notebook, elsewhere / NOTEBOOK)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", RUN, NOTEBOOK],
        cwd=elsewhere, env=environment | {"PRIVHEAD_PROFILE": "ci"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stderr[-2000:]
