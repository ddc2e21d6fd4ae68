"""Which files of the package the data visits on its way, and how often a call climbs back up.

    python benchmarks/studies/rooms.py

Runs load_scene, protect, save, Release.load, reconstruct (ci profile, few steps) and evaluate on
the sample scene, and follows every call. A file counts once it is entered by a call from another
file of the package. A file stands above all that it imports; a call from one file to another that
stands higher is a climb back (a function that was handed down), counted once for each pair.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import privhead_nb
from privhead_nb import PROFILES, Release, evaluate, load_scene, protect, reconstruct

PACKAGE = Path(privhead_nb.__file__).parent
SAMPLES = PACKAGE.parent / "data_samples"


def imported(path: Path) -> Iterator[Path]:
    """The package's files that a file imports as it is loaded."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("privhead_nb."):
            base = PACKAGE.joinpath(*(node.module or "").split(".")[1:])
            inside = [base / f"{alias.name}.py" for alias in node.names]
            own = [base.with_suffix(".py"), base / "__init__.py"]
            whole = all(p.is_file() for p in inside)  # only modules of a folder are named
            yield from (p for p in (inside if whole else own + inside) if p.is_file())


@cache
def floor(path: Path) -> int:
    """One more than the highest floor that a file imports from."""
    return 1 + max((floor(other) for other in imported(path)), default=0)


def whole_way(folder: Path) -> None:
    """From a scene's folder to a distance, as a user's program goes it."""
    scene = load_scene(SAMPLES / "scene")
    protect(scene, size=64).save(folder / "release")
    release = Release.load(folder / "release")
    ci = PROFILES["ci"]
    few = replace(ci, stage1=replace(ci.stage1, steps=3), stage2=replace(ci.stage2, steps=3))
    evaluate(reconstruct(release, few, progress=False), scene, samples=2000)


def main() -> None:
    """Print the files, then the climbs."""
    doors: dict[Path, set[Path]] = defaultdict(set)

    def follow(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or frame.f_code.co_name == "<module>":
            return
        path, caller = Path(frame.f_code.co_filename), frame.f_back
        while caller is not None and PACKAGE not in Path(caller.f_code.co_filename).parents:
            caller = caller.f_back
        if PACKAGE in path.parents and caller is not None:
            if (source := Path(caller.f_code.co_filename)) != path:
                doors[path].add(source)
        elif PACKAGE in path.parents:
            doors[path].add(path)  # entered by the user's program

    with tempfile.TemporaryDirectory() as folder:
        whole_way(Path(folder) / "once")  # imports and compiles
        sys.setprofile(follow)
        whole_way(Path(folder) / "again")
        sys.setprofile(None)
    rooms = sorted(doors, key=lambda p: (floor(p), p))
    for path in rooms:
        print(f"{floor(path):>3}  {path.relative_to(PACKAGE)}")
    climbs = [(s, p) for p in rooms for s in sorted(doors[p]) if s != p and floor(s) < floor(p)]
    print(f"{len(rooms)} files, {len(climbs)} climbs back")
    for source, path in climbs:
        print(f"     {source.relative_to(PACKAGE)} -> {path.relative_to(PACKAGE)}")


if __name__ == "__main__":
    main()
