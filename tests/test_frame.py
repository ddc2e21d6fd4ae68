"""Claims about the project's frame: requirements, pins, commands, floors, licences."""

import ast
import contextlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from command import python
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import privhead_nb
from privhead_nb.cli import app

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()

# PyPI's name and conda-forge's, where they differ.
CONDA_NAMES = {
    "torch": "pytorch",
    "opencv-python-headless": "opencv",
    "libigl": "igl",
    "matplotlib": "matplotlib-base",
    "playwright": "playwright-python",
    "dlib-bin": "dlib",
    "face-recognition-models": "face_recognition_models",
}


def requirements() -> dict[str, Requirement]:
    """Everything that `.[all]` asks for directly, by canonical name."""
    lines = list(PROJECT["dependencies"])
    (everything,) = PROJECT["optional-dependencies"]["all"]
    for extra in Requirement(everything).extras:
        lines += PROJECT["optional-dependencies"][extra]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    split = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(parts) == 2 for parts in split)
    return {canonicalize_name(name): version for name, version in split}


def test_every_pin_lies_in_its_range_and_is_installed():
    torch = requirements()["torch"].specifier
    assert "2.9.0" in torch and "2.8.0" not in torch and pins()["torch"] == "2.13.0"
    for name, requirement in requirements().items():
        version = importlib.metadata.version(name)
        assert pins()[name] in requirement.specifier, name
        assert requirement.specifier.contains(version, prereleases=True), name


def wanted(requirement: Requirement, *extras: str) -> bool:
    """Whether it holds on this machine, with some of the extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or ("",))


def test_the_pins_cover_all_that_gets_installed():
    """Walk the requirements of the requirements, as far as they are installed here."""
    pinned, seen, todo = pins(), set[str](), list(requirements().values())
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name in seen or not wanted(requirement, *requirement.extras):
            continue
        seen.add(name)
        try:
            further = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        if re.match(r"nvidia-|cuda-|triton", name):
            continue  # come with torch's GPU builds, which pin them exactly
        assert name in pinned, f"{name} is installed but not in constraints.txt"
        for inner in map(Requirement, further):
            if wanted(inner, "", *requirement.extras):
                inner.marker = None
                todo.append(inner)
    assert len(seen) > 50


def test_the_pins_run_on_every_python_that_is_promised():
    """Debian's is 3.11.2; a pin that asks for 3.11.5 ends the first command of the README."""
    oldest = re.search(r"\d+\.\d+", PROJECT["requires-python"])
    assert oldest is not None
    checked = 0
    for name, version in pins().items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            about = importlib.metadata.distribution(name)
            # A package may ask for nothing; some readers of metadata then raise KeyError.
            if about.version == version and "Requires-Python" in about.metadata:
                asked = SpecifierSet(about.metadata["Requires-Python"])
                checked += 1
                assert f"{oldest[0]}.0" in asked and "3.12.0" in asked, f"{name} asks for {asked}"
    assert checked > 50


def test_environment_yml_asks_for_the_same_as_pyproject_and_admits_the_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert [c for c in environment["channels"] if c != "nodefaults"] == ["conda-forge"]
    listed = {}
    for line in environment["dependencies"]:
        name, _, constraint = line.partition(" ")
        listed[name] = SpecifierSet(constraint)
    python = listed.pop("python")
    assert "3.11.0" in python and "3.12.0" in python and "3.10.0" not in python
    assert "pip" in listed and listed.pop("pip") == SpecifierSet("")
    wanted = {CONDA_NAMES.get(n, n): r.specifier for n, r in requirements().items()}
    assert listed == wanted
    pinned = {CONDA_NAMES.get(n, n): version for n, version in pins().items()}
    assert all(pinned[name] in constraint for name, constraint in listed.items())


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", "-m privhead_nb demo"),
        ("test", "-m pytest --nbval"),
        ("test-slow", "-m pytest tests -m slow"),
        ("lab", "notebooks/00_start_here.ipynb"),
        ("lint", "mypy"),
    ],
)
def test_make_sets_up_the_environment_before_each_command(target, command):
    done = subprocess.run(
        ["make", "-n", target, "VENV=.no_such_environment"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    torch = [i for i, line in enumerate(lines) if "-c constraints.txt torch==2.13.0" in line]
    package = [i for i, line in enumerate(lines) if "-c constraints.txt -e '.[all]'" in line]
    alone = [i for i, line in enumerate(lines) if "--no-deps facenet-pytorch" in line]
    wanted = [i for i, line in enumerate(lines) if command in line]
    assert torch and package and alone and wanted
    assert torch[0] < package[0] < alone[0] < wanted[0]


def test_ci_runs_the_readmes_test_command_and_hooks_are_local():
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in script and "\nmake test " in README
    assert "set -euo pipefail" in script and "||" not in script  # the exit code passes through
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]


def test_what_the_readme_says_exists():
    """Its first commands, its links and its commands."""
    block = re.search(r"```bash\n(.*?)```", README, re.DOTALL)
    commands = [line.split("#")[0].strip() for line in block[1].strip().splitlines()]
    assert commands == ["make demo", "make test", "make lab"]
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    known = {c.callback.__name__ for c in app.registered_commands if c.callback}
    shown = set(re.findall(r"^privhead (\w+)", README, re.MULTILINE))
    assert shown and shown <= known


def test_citation_and_licences():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == privhead_nb.__version__
    paper = citation["preferred-citation"]
    assert paper["title"].startswith("Do Not DeepFake Me") and paper["year"] == 2025
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Kong", "Song", "Huai", "Xu", "Luo", "He"]
    assert "MIT License" in (ROOT / "LICENSE").read_text()
    assert "CC BY 4.0" in (ROOT / "notebooks" / "LICENSE").read_text()


# A file imports only from lower floors, and from its own folder.
FLOORS = (
    ("errors", "resources", "threads"),
    ("locks", "targets"),
    ("files", "reading"),
    ("kernels", "scenes"),
    ("field", "heads", "privacy"),
    ("geometry", "render"),
    ("training",),
    ("bench", "lab"),
    ("capture", "deid"),
    ("viz", "doctor"),
    ("cli", "teach", "__main__"),
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
DRAWING = {"typer", "matplotlib", "plotly", "ipywidgets", "trimesh", "igl", "IPython"}


def modules() -> dict[str, ast.Module]:
    """Every file of the package but its front door, which names all floors."""
    paths = sorted((ROOT / "privhead_nb").rglob("*.py"))
    named = {str(p.relative_to(ROOT / "privhead_nb").with_suffix("")): p for p in paths}
    return {name: ast.parse(p.read_text()) for name, p in named.items() if name != "__init__"}


def imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == "privhead_nb":
        return [f"privhead_nb.{alias.name}" for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_a_file_imports_only_from_lower_floors():
    """And nothing private, nothing of the lessons; pictures and widgets only on the top floors."""
    for name, tree in modules().items():
        own = name.split("/")[0]
        nodes = list(ast.walk(tree))
        for other in {n for node in nodes for n in imports(node)}:
            part = other.split(".")[1] if other.startswith("privhead_nb.") else own
            if part in FLOOR and part != own:
                assert FLOOR[part] < FLOOR[own] or own == "__main__", (name, other)
            assert own == "teach" or part != "teach", (name, other)
            assert other.split(".")[0] not in {"notebooks", "benchmarks", "tests"}, (name, other)
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("privhead_nb"):
                private = {a.name for a in node.names if a.name.startswith("_")}
                assert private <= {"__version__"}, (name, private)
        # training on a server must not load plotting or mesh libraries at import
        if FLOOR[own] < FLOOR["viz"]:
            found = {n.split(".")[0] for node in tree.body for n in imports(node)}
            assert not found & DRAWING, name


def test_the_package_is_loaded_quickly_and_without_pictures():
    """At most 1.5 s once torch is there; measured as a share of torch's own time, which varies."""
    code = (
        "import sys, time; t = time.perf_counter(); import torch; a = time.perf_counter(); "
        "import privhead_nb; [getattr(privhead_nb, n) for n in privhead_nb.__all__]; "
        "b = time.perf_counter(); "
        "print(a - t, b - a, [m for m in ('matplotlib', 'plotly') if m in sys.modules])"
    )
    torch, ours, loaded = python(code).stdout.split(maxsplit=2)
    assert loaded.strip() == "[]"
    assert float(ours) < max(1.5, 3 * float(torch))


def test_the_container_is_pinned_and_serves_a_user_without_rights():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    assert f"torch=={pins()['torch']}" in text and text.count("-c constraints.txt") == 2
    (python,) = re.findall(r"^FROM python:(\d+\.\d+)-slim-\w+$", text, re.MULTILINE)
    assert python in SpecifierSet(PROJECT["requires-python"])
    (uid,) = re.findall(r"useradd .*--uid (\d+) (?:\w+)", text)
    assert int(uid) >= 1000 and text.index("\nUSER student") < text.index("\nCMD ")
    assert "--allow-root" not in text and "://" not in text
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv"} <= set(ignored) and "benchmarks" not in ignored
