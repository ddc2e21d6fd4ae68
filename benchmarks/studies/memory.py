"""How much memory each command takes on a scene of large photos: 60 views of 4,000 x 4,000 pixels.

    python benchmarks/studies/memory.py run            makes the scene (1 GB in a temporary folder)
    python benchmarks/studies/memory.py run --small    6 views of 1,000 pixels: a quick look

Every command runs as a process of its own; its peak resident memory is the operating system's
figure. Writes benchmarks/results/memory.json, or with --small only prints. Exit status 1 where a
command fails or takes more than GOAL.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from privhead_nb import resources
from privhead_nb.files import write_json
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene

OUT = resources.RESULTS / "memory.json"
GOAL = 1200.0  # MB
PROTECT = {
    "protect": [],
    "protect --background flat": ["--background", "flat"],
    "protect --downsample last": ["--downsample", "last"],
    "protect --downsample last --background flat": [
        "--downsample", "last", "--background", "flat",
    ],
    "protect --masks all": ["--masks", "all"],
    "protect --noise 0.1": ["--noise", "0.1"],
    "protect --blur 2": ["--blur", "2"],
    "protect --size 512": ["--size", "512"],
}  # fmt: skip


def make_scene(folder: Path, views: int, side: int) -> None:
    """The sample head's views, over and over, enlarged to `side` x `side`: JPEG, masks as PNG."""
    sample = load_scene(SAMPLES / "scene")
    faces = views * 2 // 3
    order = [sample.sensitive[i % len(sample.sensitive)] for i in range(faces)]
    order += [sample.neutral[i % len(sample.neutral)] for i in range(views - faces)]
    replace(
        sample,
        images=sample.images[order],
        masks=sample.masks[order],
        cameras=sample.cameras[order],
        names=tuple(f"img_{i:04d}.png" for i in range(views)),
        sensitive=tuple(range(faces)),
        neutral=tuple(range(faces, views)),
    ).save(folder)
    with np.load(folder / "cameras.npz") as file:
        cameras = {name: file[name] for name in file.files}
    larger = np.diag([side / sample.cameras.width, side / sample.cameras.height, 1.0, 1.0])
    enlarged = {
        name: larger @ matrix if name.startswith("world_mat") else matrix
        for name, matrix in cameras.items()
    }
    np.savez(folder / "cameras.npz", **enlarged)
    for path in sorted(folder.glob("*/*.png")):
        with Image.open(path) as image:
            pixels = cv2.resize(np.asarray(image), (side, side), interpolation=cv2.INTER_LINEAR)
        if path.parent.name == "mask":
            Image.fromarray(pixels).save(path, compress_level=1)
        else:
            Image.fromarray(pixels).save(path.with_suffix(".jpg"), quality=90)
            path.unlink()


def commands(scene: Path, room: Path) -> dict[str, list[str]]:
    """By the name that they are stored under."""
    found = {
        name: ["protect", str(scene), str(room / f"release{i}"), *more]
        for i, (name, more) in enumerate(PROTECT.items())
    }
    return found | {
        "inspect": ["inspect", str(scene)],
        "inspect --picture": ["inspect", str(scene), "--picture", str(room / "views.png")],
        "inspect a release": ["inspect", str(room / "release0")],
        "evaluate": ["evaluate", str(scene / "full_head.obj"), "--truth", str(scene)],
    }


def measured(arguments: list[str]) -> dict[str, Any]:
    """Peak memory in MB, seconds, exit status, and what was said if that isn't 0."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "privhead_nb", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    found: dict[str, Any] = {
        "peak_mb": round(used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)),
        "seconds": round(time.perf_counter() - began, 1),
        "exit": process.returncode,
    }
    return found if found["exit"] == 0 else found | {"said": said[-500:]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    run = parser.add_subparsers(dest="command", required=True).add_parser("run")
    run.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    views, side = (6, 1000) if asked.small else (60, 4000)
    with tempfile.TemporaryDirectory() as made:
        scene = Path(made) / "scene"
        make_scene(scene, views, side)
        size = sum(path.stat().st_size for path in scene.rglob("*") if path.is_file())
        found = {}
        for name, arguments in commands(scene, Path(made)).items():
            found[name] = measured(arguments)
            print(name, json.dumps(found[name]), flush=True)
    high = [n for n, one in found.items() if one["peak_mb"] > GOAL or one["exit"] != 0]
    if not asked.small:
        story = {
            "command": "python benchmarks/studies/memory.py run",
            "views": views,
            "side": side,
            "scene_mb": round(size / 1e6),
            "goal_mb": GOAL,
            "above_goal": high,
            "commands": found,
        }
        write_json(OUT, story)
    return 1 if high else 0


if __name__ == "__main__":
    sys.exit(main())
