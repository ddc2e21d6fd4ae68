"""The figures of lesson 8: templates, everything at once, few views, resolution, and bias.

    python benchmarks/studies/template.py run                # all parts, about an hour of one core
    python benchmarks/studies/template.py run --part views
    python benchmarks/studies/template.py table              # the stored results as Markdown
    python benchmarks/studies/template.py people             # the template's people, for lesson 8

Parts: `start` (what stage 2 starts from, and everything at once), `views` (15, 10, 5 and 2 neutral
views, and 5 on a narrow arc), `signal` (fewer sensitive views on a template), `size` (released
pictures of 16 to 128 pixels), `longer` (as many steps of stage 1 as `cpu` takes), `seeds` (two more
seeds of three starts, on one head). Heads are made, and none of the template's people is among
them. Finished runs are kept in benchmarks/results/templates.json and not repeated.

Every head is rendered once, at 128 pixels with 15 neutral and 20 sensitive views; releases are
made of it at their size, of those views that a run is given. Training is the `cpu` profile with
fewer steps and a smaller field (`study_profile`), so distances are larger than the README's.

`people` writes benchmarks/results/template_people.safetensors: exact signed distances of the ten on
the coarse lattice of lesson 8's panel, which says how they are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from privhead_nb import load_scene, protect, reconstruct, resources
from privhead_nb.files import write_json, write_tensors
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.geometry.metrics import closest_points, evaluate, sample_surface
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach.lesson08 import few_views, panel
from privhead_nb.training.make_template import PEOPLE, Person, person
from privhead_nb.training.profiles import PROFILES, Profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.template import Template
from privhead_nb.training.two_stage import reconstruct_at_once

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.reconstruction import machine

RESULTS = resources.RESULTS / "templates.json"
HEADS = ("103", "104", "105")
PARTS = ("start", "views", "signal", "size", "longer", "seeds")
STARTS = {  # name -> kind of template, stages
    "stage 1, then 2": (None, (1, 2)),
    "mean template": ("mean", (2,)),
    "sphere": (None, (2,)),
    "at once on the template": ("mean", "at once"),
    "at once on a sphere": (None, "at once"),
    "template, stage 1, then 2": ("mean", (1, 2)),
    "trained template": ("trained", (2,)),
    "the template itself": ("mean", ()),
    "longer stage 1, then 2": (None, (1, 2)),
}
LONGER = 300  # steps of its stage 1, the cpu profile's own
NEUTRAL = ("15", "10", "5", "2", "5 in a narrow arc")
SENSITIVE = (20, 5, 3)
SIZES = (16, 32, 64, 128)
RENDERED = 128
POINTS = 6000  # on each mesh
FACE_POINTS = 2000  # of the true surface, for what a template leaves


def study_profile() -> Profile:
    """The cpu profile with a fifth of its steps, a grid of three levels and a coarser mesh."""
    cpu = PROFILES["cpu"]
    return replace(
        cpu,
        field=replace(cpu.field, resolutions=cpu.field.resolutions[:3]),
        stage1=replace(cpu.stage1, steps=120),
        stage2=replace(cpu.stage2, steps=400),
        mesh_resolution=128,
    )


def runs(part: str) -> list[dict[str, Any]]:
    """The runs of a part, head by head."""
    if part == "start":
        return [_run(h, 0, start=s) for h in HEADS for s in STARTS if s != "longer stage 1, then 2"]
    two = ("stage 1, then 2", "template, stage 1, then 2")
    if part == "views":
        rows = [_run(h, 0, start=two[0], neutral=n) for h in HEADS[:2] for n in NEUTRAL]
        few = ("2", "5 in a narrow arc")
        return rows + [_run(h, 0, start=two[1], neutral=n) for h in HEADS[:2] for n in few]
    if part == "signal":
        return [
            _run(h, 0, start="mean template", sensitive=n) for h in HEADS[:2] for n in SENSITIVE
        ]
    if part == "longer":
        start = "longer stage 1, then 2"
        return [_run(h, 0, start=start, neutral=n) for n in ("10", "2") for h in HEADS[:2]]
    if part == "size":
        return [_run(h, 0, start=two[0], size=n) for h in HEADS[:2] for n in SIZES]
    again = ("stage 1, then 2", "mean template", "at once on the template")
    return [_run(HEADS[0], seed, start=s) for seed in (1, 2) for s in again]


def _run(
    head: str, seed: int, *, start: str, neutral: str = "10", sensitive: int = 20, size: int = 64
) -> dict[str, Any]:
    return {
        "head": head, "seed": seed, "start": start, "neutral": neutral, "sensitive": sensitive,
        "size": size,
    }  # fmt: skip


def key(run: dict[str, Any]) -> str:
    """The name of a run among the stored results."""
    return ", ".join(
        f"{name} {run[name]}" for name in ("head", "seed", "start", "neutral", "sensitive", "size")
    )


@cache
def scene_of(head: str) -> Scene:
    """A head with 15 neutral and 20 sensitive views, rendered once and kept as a folder."""
    folder = Path(tempfile.gettempdir()) / f"privhead-templates-v{GENERATOR_VERSION}-{head}"
    if not folder.is_dir():
        synthetic_scene(int(head), neutral=15, sensitive=20, size=RENDERED, samples=1).save(folder)
    scene = load_scene(folder)
    return replace(scene, truth=scene.truth_triangles())  # read once


@cache
def template_of(kind: str) -> Template:
    """The shipped templates."""
    return Template.load(SAMPLES / {"mean": "template", "trained": "template_trained"}[kind])


@cache
def people() -> list[Person]:
    """The template's people, to ask whom a result is near to."""
    return [person(i) for i in PEOPLE]


def given(run: dict[str, Any]) -> Scene:
    """The scene with the views that a run may see."""
    scene = scene_of(run["head"])
    towards = few_views.directions(scene.cameras, scene.center)
    behind = np.array(scene.neutral)
    if run["neutral"] == "5 in a narrow arc":  # those that stand nearest to straight behind
        order = (towards[behind] @ np.array([0.0, 0.0, -1.0])).argsort()[::-1]
        neutral = behind[order[:5]]
    else:
        neutral = behind[few_views.farthest_views(towards[behind], int(run["neutral"]))]
    front = np.array(scene.sensitive)
    sensitive = front[few_views.farthest_views(towards[front], run["sensitive"])]
    views = (tuple(sorted(some.tolist())) for some in (neutral, sensitive))
    return replace(scene, neutral=next(views), sensitive=next(views))


def execute(run: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one run, in this process, with one thread."""
    torch.set_num_threads(1)
    began = time.process_time()
    scene = given(run)
    release = protect(scene, size=run["size"], seed=0)
    kind, stages = STARTS[run["start"]]
    template = None if kind is None else template_of(kind)
    settings = study_profile()
    if run["start"].startswith("longer"):
        settings = replace(settings, stage1=replace(settings.stage1, steps=LONGER))
    made: Reconstruction
    if template is not None and not stages:  # looked at, not trained
        made = untrained(template, scene, settings)
    elif stages == "at once":
        made = reconstruct_at_once(
            release, settings, seed=run["seed"], template=template, progress=False
        )
    else:
        made = reconstruct(
            release, settings, seed=run["seed"], template=template, stages=stages, progress=False
        )
    out: dict[str, Any] = {"final": _distances(made.mesh, scene)}
    out["looks"] = few_views.stage_looks(made.mesh, release)
    if made.stage1_mesh is not None:
        out["stage1"] = _distances(made.stage1_mesh, scene)
        out["stage1_looks"] = few_views.stage_looks(made.stage1_mesh, release)
    out["losses"] = {
        stage: {term: round(float(np.mean(values[-5:])), 5) for term, values in terms.items()}
        for stage, terms in made.history.items()
    }
    out["bias"] = bias(made, scene)
    out["cpu_seconds"] = round(time.process_time() - began, 1)
    return {**run, **out, "machine": machine()}


def untrained(template: Template, scene: Scene, settings: Profile) -> Reconstruction:
    """The template as it is, put into a scene's sphere."""
    model = template.model()
    center, radius = scene.center, scene.radius
    mesh = extract_mesh(model.sdf, center, radius, resolution=settings.mesh_resolution)
    return Reconstruction(model, mesh, None, center, radius, scene.background, settings)


def _distances(mesh: Mesh, scene: Scene) -> dict[str, float]:
    """Two-way mean distance, mm, and median angle of normals, degrees: face and whole head."""
    face = evaluate(mesh, scene, samples=POINTS)
    head = evaluate(mesh, scene, samples=POINTS, region="head")
    return {
        "face_mm": round(face.distance_mean, 4),
        "face_deg": round(float(face.normal_median_deg or 0), 3),
        "head_mm": round(head.distance_mean, 4),
    }


def bias(made: Reconstruction, scene: Scene) -> dict[str, Any]:
    """What is left of the template in a result, and whom of its people the result is near to.

    `share` compares signed distances at points of the true face (and of the rest of the head).
    `nearest` are mean distances, mm, of those points moved onto the result to each person's
    surface, all in the release's sphere, and to the truth itself.
    """
    truth = Mesh.from_trimesh(scene.truth_mesh())
    points, _ = sample_surface(truth, 5 * FACE_POINTS, 0)
    nose, reach = scene.face_region()
    near = np.linalg.norm(points - np.array(nose), axis=1) < reach
    share = {}
    for name, some in (("face", points[near]), ("rest", points[~near])):
        result = _field(made.model, some[:FACE_POINTS], scene)
        template = _field(template_of("mean").model(), some[:FACE_POINTS], scene)
        # the b of "the truth with a share b of the template's error left" that fits best
        share[name] = float(result @ template / max(float(template @ template), 1e-12))
    on, _ = sample_surface(made.mesh, 5 * FACE_POINTS, 0)
    on = on[np.linalg.norm(on - np.array(nose), axis=1) < reach][:FACE_POINTS]
    unit = (on - np.array(scene.center)) / scene.radius
    to_people = [float(np.abs(p.sdf(unit)).mean()) * scene.radius for p in people()]
    return {
        "share_face": round(share["face"], 4),
        "share_rest": round(share["rest"], 4),
        "to_truth_mm": round(float(closest_points(on, truth)[0].mean()), 4),
        "to_people_mm": [round(d, 3) for d in to_people],
    }


@torch.no_grad()
def _field(model: Any, points: Any, scene: Scene) -> Any:
    """Signed distance, mm, of a model at scene points."""
    unit = torch.from_numpy((points - np.array(scene.center)) / scene.radius).float()
    return model.sdf(unit).numpy().astype(np.float64) * scene.radius


def write_people() -> None:
    """Measure the template's people on the panel's lattice and write their file."""
    where = np.stack(np.meshgrid(*panel.axes(), indexing="ij"), axis=-1).astype(np.float64)
    found = np.stack([p.sdf(where.reshape(-1, 3)).reshape(where.shape[:3]) for p in people()])
    codes = np.round(127.5 * np.tanh(found / panel.SCALE)).clip(-127, 127).astype(np.int8)
    write_tensors(panel.FILE, {"codes": torch.from_numpy(codes)})


def stored() -> dict[str, Any]:
    """The stored results by `key`."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def study(parts: list[str], again: bool) -> None:
    """Run what is not stored yet, and store after each run."""
    for run in sorted({key(r): r for part in parts for r in runs(part)}.values(), key=_turn):
        if key(run) in stored() and not again:
            continue
        result = execute(run)
        write_json(RESULTS, stored() | {key(run): result})
        print(
            f"{key(run)}: face {result['final']['face_mm']:.2f} mm, "
            f"{result['cpu_seconds']:.0f} s of the processor",
            flush=True,
        )


def _turn(run: dict[str, Any]) -> int:
    """What comes first: one head's runs, then the others' starts, so that a part answers much."""
    head, usual = HEADS.index(run["head"]), (run["neutral"], run["sensitive"], run["size"])
    if run["seed"]:
        return 4
    if run["start"].startswith("longer"):
        return 2
    return (0, 2, 3)[head] if usual == ("10", 20, 64) else (1, 5)[head]


def table() -> str:
    """The stored results as Markdown."""
    rows = [
        "| head | seed | start | neutral | sensitive | size | stage 1 | end | left of template |"
    ]
    rows += ["| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in stored().values():
        first = f"{r['stage1']['face_mm']:.2f} mm" if "stage1" in r else ""
        rows.append(
            f"| {r['head']} | {r['seed']} | {r['start']} | {r['neutral']} | {r['sensitive']} "
            f"| {r['size']} | {first} | {r['final']['face_mm']:.2f} mm "
            f"{r['final']['face_deg']:.1f} deg | {r['bias']['share_face']:.2f} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table", "people"))
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--again", action="store_true", help="repeat runs that are stored")
    asked = parser.parse_args()
    if asked.command == "run":
        study(asked.part or list(PARTS), asked.again)
    elif asked.command == "people":
        write_people()
    else:
        print(table())


if __name__ == "__main__":
    main()
