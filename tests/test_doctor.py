"""Claims about what `doctor` says of a machine."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from privhead_nb import doctor


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Let `find_spec` miss some modules."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in modules else real(name)
    )


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, major: int) -> None:
    class Properties:
        name, minor, total_memory = "A GPU", 0, 16 << 30

    Properties.major = major  # type: ignore[attr-defined]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)


def test_this_machine_can_run_and_its_report_is_json() -> None:
    facts = doctor.report()
    assert facts["can_run"]
    assert json.loads(json.dumps(facts)) == facts
    assert facts["packages"]["torch"] == torch.__version__
    assert 1 <= facts["threads"] <= facts["cores"]
    assert facts["profile"] == ("gpu" if torch.cuda.is_available() else "cpu")
    assert "ready" in doctor.text(facts)


def test_a_missing_core_package_stops_and_says_how_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "igl")
    facts = doctor.report()
    assert not facts["can_run"]
    (finding,) = [f for f in facts["findings"] if "libigl" in f["what"]]
    assert finding["needed"]
    assert "pip install" in finding["remedy"]
    assert "Mend what is needed first" in doctor.text(facts)


def test_a_missing_extra_only_advises_and_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "numba")
    facts = doctor.report()
    assert facts["can_run"] and not facts["numba"]
    (finding,) = [f for f in facts["findings"] if "numba" in f["what"]]
    assert not finding["needed"] and "[fast]" in finding["remedy"]


def test_a_kernel_is_tried_and_kept() -> None:
    facts = doctor.report()
    assert facts["kernels"] == {"run": True, "kept": True, "problem": None}
    assert "fast CPU kernels, kept for later runs" in doctor.text(facts)


@pytest.mark.parametrize(
    ("spoil", "run", "remedy"),
    [
        ("from numba.core import caching as c\n"
         "getattr(c, 'CacheImpl', getattr(c, '_CacheImpl', None))._locator_classes = []",
         True, "set NUMBA_CACHE_DIR"),
        ("import sys; sys.modules['numba'] = None", False, "pip install --upgrade numba"),
        ("import os; os.environ['NUMBA_DISABLE_JIT'] = '1'", False, "unset it"),
    ],
)  # fmt: skip
def test_kernels_that_are_not_kept_or_can_not_run_are_told_with_a_remedy(
    spoil: str, run: bool, remedy: str
) -> None:
    code = f"{spoil}\nimport importlib.util, json\nreal = importlib.util.find_spec\n"
    code += "importlib.util.find_spec = lambda name: name == 'numba' or real(name)\n"
    code += "from privhead_nb import doctor\nfacts = doctor.report()\n"
    code += "print(json.dumps([facts, doctor.text(facts)]))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True
    )
    facts, text = json.loads(done.stdout)
    assert facts["can_run"]
    assert (facts["kernels"]["run"], facts["kernels"]["kept"]) == (run, False)
    assert remedy in facts["kernels"]["problem"]["remedy"] and remedy in text
    assert ("compiled again by each run" if run else "plain torch") in text
    assert "Traceback" not in done.stderr


def test_doctor_loads_nothing_where_numba_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from privhead_nb.kernels import lazy

    without(monkeypatch, "numba")
    monkeypatch.setattr(lazy, "numba_problem", lambda: pytest.fail("asked for a kernel"))
    facts = doctor.report()
    assert facts["kernels"] == {"run": False, "kept": False, "problem": None}
    assert "not found: plain torch" in doctor.text(facts)


def test_a_gpu_is_named_and_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch, major=9)
    facts = doctor.report()
    assert facts["profile"] == "gpu"
    assert facts["gpu"]["capability"] == "9.0"
    assert "A GPU, capability 9.0, 16.0 GiB" in doctor.text(facts)


def test_an_old_gpu_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch, major=6)
    facts = doctor.report()
    assert facts["profile"] == "cpu"
    assert any("below 7.0" in f["what"] for f in facts["findings"])


def test_little_memory_and_disk_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_memory_gib", lambda: 1.0)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("U", (), {"free": 1 << 20}))
    told = " ".join(f["what"] for f in doctor.report()["findings"])
    assert "1.0 GiB of memory" in told and "GiB of disk" in told


@pytest.mark.parametrize(
    ("version", "older"), [("2.8.1", True), ("2.9.0", False), ("2.13.0+cpu", False), ("3.0", False)]
)
def test_torch_versions_are_compared_as_numbers(version: str, older: bool) -> None:
    assert doctor._older(version, (2, 9)) is older


def test_doctor_answers_where_the_command_line_can_not_load(tmp_path: Path) -> None:
    """Without typer, `python -m privhead_nb` still says what to install."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no typer', name='typer')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['privhead', 'doctor']; "
    code += "from privhead_nb.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("typer is missing") and "torch" in done.stderr
    assert "Traceback" not in done.stderr
