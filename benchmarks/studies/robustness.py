"""The paper's appendix in kind: one head under ten expressions, lights and skin tones, other rigs.

    python benchmarks/studies/robustness.py run [expressions lights skins rigs]  an hour of one core
    python benchmarks/studies/robustness.py table
    python benchmarks/studies/robustness.py picture         docs/pictures/robustness.webp

Each condition is a scene of its own, reconstructed by the `cpu` profile from its release (stage 2)
and from all of its RGB views (full RGB), seed 0. Head 105 chose nothing of the recipe; the rigs are
tried on heads 221 and 222. Finished runs are kept in benchmarks/results/robustness.json, meshes in
out/robustness/.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.reconstruction import machine
from privhead_nb import evaluate, protect, reconstruct, reconstruct_full_rgb
from privhead_nb.files import write_json
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.resources import RESULTS
from privhead_nb.viz.plots import mesh_row, short

ROOT = Path(__file__).parents[2]
STORED, MESHES = RESULTS / "robustness.json", ROOT / "out" / "robustness"
PICTURE = ROOT / "docs" / "pictures" / "robustness.webp"
HEAD = 105
EXPRESSIONS: dict[str, dict[str, float]] = {
    "rest": {},
    "smile": {"smile": 1.0, "jaw_open": 0.2},
    "anger": {"frown": 1.0, "sneer": 0.4},
    "shock": {"jaw_open": 1.0, "brow_raise": 1.0},
    "disgust": {"sneer": 1.0, "frown": 0.5, "smile": -0.4},
    "sadness": {"smile": -0.8, "frown": 0.4, "brow_raise": 0.3},
    "pout": {"pout": 1.0},
    "eyes shut": {"blink_left": 1.0, "blink_right": 1.0},
    "wink": {"blink_left": 1.0, "smile": 0.5},
    "puffed cheeks": {"cheek_puff": 1.0},
    "mouth to one side": {"mouth_shift": 1.0},
}
PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "expressions": {name: {"expression": entries} for name, entries in EXPRESSIONS.items()},
    "lights": {f"light: {name}": {"light": name} for name in ("left", "dim", "outdoor")},
    "skins": {f"skin tone {tone:+.1f}": {"albedo": {"skin_tone": tone}} for tone in (-1, 1)},
    "rigs": {
        f"head {head}, rig {rig}": {"identity": head, "rig": rig}
        for head, rig in ((221, "h3ds"), (222, "orbit"))
    },
}
SHOWN = ("rest", "smile", "anger", "shock", "light: left", "skin tone +1.0")
METHODS = {"stage 2": "two-stage", "full RGB": "full-rgb"}


def scene_of(condition: dict[str, Any]) -> Any:
    """The scene of a condition; head 105 unless it names another."""
    return synthetic_scene(**{"identity": HEAD, **condition})


def mesh_path(name: str, method: str) -> Path:
    """Where a run's mesh is kept."""
    plain = name.replace("+", "plus ").replace("-", "minus ").replace(":", "").replace(",", "")
    return MESHES / f"{plain} {method}.ply"


def stored() -> dict[str, Any]:
    """Finished runs, by condition and method."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}


def run(part: str) -> None:
    """Reconstruct what is not stored yet."""
    for name, condition in PARTS[part].items():
        if name in stored():
            continue
        scene, found = scene_of(condition), {}
        release = protect(scene, seed=0)
        for words, method in METHODS.items():
            if method == "two-stage":
                made = reconstruct(release, "cpu", seed=0, progress=False)
            else:
                made = reconstruct_full_rgb(scene, "cpu", seed=0, progress=False)
            MESHES.mkdir(parents=True, exist_ok=True)
            made.mesh.save(mesh_path(name, method))
            seen = evaluate(made.mesh, scene)
            found[words] = {
                "mm": round(seen.distance_mean, 4),
                "deg": round(seen.normal_median_deg or 0.0, 3),
            }
        told = {"part": part, "condition": condition, **found, "machine": machine()}
        write_json(STORED, stored() | {name: told})
        print(name, found, flush=True)


def table() -> str:
    """All conditions and the means of the parts, as Markdown."""
    lines = ["| condition | stage 2 | full RGB | ratio |", "| --- | --- | --- | --- |"]
    for part, conditions in PARTS.items():
        rows = {name: stored()[name] for name in conditions if name in stored()}
        cells = {name: [row[words] for words in METHODS] for name, row in rows.items()}
        if len(cells) > 1:
            both = zip(*cells.values(), strict=True)
            cells[f"**{part}, mean**"] = [
                {key: mean(run[key] for run in runs) for key in ("mm", "deg")} for runs in both
            ]
        for name, (two, full) in cells.items():
            lines.append(
                f"| {name} | {two['mm']:.2f} mm {two['deg']:.1f} deg "
                f"| {full['mm']:.2f} mm {full['deg']:.1f} deg | {two['mm'] / full['mm']:.2f} |"
            )
    return "\n".join(lines)


def picture() -> Figure:
    """Stage 2, full RGB and the truth, a column a condition."""
    figure = Figure(figsize=(2.2 * len(SHOWN), 7.2), layout="constrained", dpi=100)
    grid = figure.subplots(3, len(SHOWN))
    conditions = {name: c for part in PARTS.values() for name, c in part.items()}
    for column, name in enumerate(SHOWN):
        scene = scene_of(conditions[name])
        for row, (words, method) in enumerate(METHODS.items()):
            mesh = Mesh.load(mesh_path(name, method))
            title = f"{words}\n{short(evaluate(mesh, scene))}"
            mesh_row([grid[row, column]], {f"{name}\n{title}" if not row else title: mesh}, "front")
        truth = Mesh.from_trimesh(scene.truth_mesh())
        mesh_row([grid[2, column]], {"truth": truth}, "front")
    return figure


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("run", "table", "picture"))
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    given = parser.parse_args()
    if given.command == "table":
        print(table())
    elif given.command == "picture":
        picture().savefig(PICTURE, pil_kwargs={"quality": 85})
    else:
        for part in given.parts or PARTS:
            run(part)


if __name__ == "__main__":
    main()
