"""Claims about what `doctor` says of a machine."""

import importlib.util
import json

import pytest
import torch
from command import python

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

    Properties.major = major
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)


def test_this_machine_can_run_and_its_report_is_json():
    facts = doctor.report()
    assert facts["can_run"]
    assert json.loads(json.dumps(facts)) == facts
    # the wheel's own name for itself may leave the build ("+cu130") out
    assert facts["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert 1 <= facts["threads"] <= facts["cores"]
    assert facts["profile"] == ("gpu" if torch.cuda.is_available() else "cpu")
    assert facts["kernels"] == {"run": True, "kept": True, "problem": None}
    text = doctor.text(facts)
    assert "ready" in text and "fast CPU kernels, kept for later runs" in text


@pytest.mark.parametrize(
    ("module", "name", "needed", "remedy"),
    [("igl", "libigl", True, "pip install"), ("numba", "numba", False, "[fast]")],
)
def test_a_missing_package_is_told_with_its_remedy(monkeypatch, module, name, needed, remedy):
    without(monkeypatch, module)
    facts = doctor.report()
    assert facts["can_run"] is not needed and facts["numba"] is needed
    (finding,) = [f for f in facts["findings"] if name in f["what"]]
    assert finding["needed"] is needed and remedy in finding["remedy"]
    assert ("Mend what is needed first" in doctor.text(facts)) is needed


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
def test_kernels_that_are_not_kept_or_can_not_run_are_told_with_a_remedy(spoil, run, remedy):
    code = f"{spoil}\nimport importlib.util, json\nreal = importlib.util.find_spec\n"
    code += "importlib.util.find_spec = lambda name: name == 'numba' or real(name)\n"
    code += "from privhead_nb import doctor\nfacts = doctor.report()\n"
    code += "print(json.dumps([facts, doctor.text(facts)]))"
    done = python(code)
    facts, text = json.loads(done.stdout)
    assert facts["can_run"]
    assert (facts["kernels"]["run"], facts["kernels"]["kept"]) == (run, False)
    assert remedy in facts["kernels"]["problem"]["remedy"] and remedy in text
    assert ("compiled again by each run" if run else "plain torch") in text
    assert "Traceback" not in done.stderr


def test_doctor_loads_nothing_where_numba_is_missing(monkeypatch):
    from privhead_nb.kernels import lazy

    without(monkeypatch, "numba")
    monkeypatch.setattr(lazy, "numba_problem", lambda: pytest.fail("asked for a kernel"))
    facts = doctor.report()
    assert facts["kernels"] == {"run": False, "kept": False, "problem": None}
    assert "not found: plain torch" in doctor.text(facts)


@pytest.mark.parametrize(("major", "profile"), [(9, "gpu"), (6, "cpu")])
def test_a_gpu_is_named_and_recommended_unless_it_is_old(monkeypatch, major, profile):
    pretend_gpu(monkeypatch, major)
    facts = doctor.report()
    assert facts["profile"] == profile and facts["gpu"]["capability"] == f"{major}.0"
    assert f"A GPU, capability {major}.0, 16.0 GiB" in doctor.text(facts)
    assert any("below 7.0" in f["what"] for f in facts["findings"]) == (profile == "cpu")


def test_little_memory_and_disk_are_told(monkeypatch):
    monkeypatch.setattr(doctor, "_memory_gib", lambda: 1.0)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("U", (), {"free": 1 << 20}))
    told = " ".join(f["what"] for f in doctor.report()["findings"])
    assert "1.0 GiB of memory" in told and "GiB of disk" in told


def test_torch_versions_are_compared_as_numbers():
    versions = {"2.8.1": True, "2.9.0": False, "2.13.0+cpu": False, "3.0": False}
    assert {v: doctor._older(v, (2, 9)) for v in versions} == versions


def test_doctor_answers_where_the_command_line_can_not_load(tmp_path):
    """Without typer, `python -m privhead_nb` still says what to install."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no typer', name='typer')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['privhead', 'doctor']; "
    code += "from privhead_nb.__main__ import main; main()"
    done = python(code, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("typer is missing") and "torch" in done.stderr
    assert "Traceback" not in done.stderr
