"""A head's signed distance while it is trained, for lesson 5.

    python benchmarks/studies/stages.py            make it again; some minutes on one core

Three runs on the sample release, or scene: both stages, stage 2 alone, and full RGB. Of the first
two the distance is kept on two planes through the nose tip at a few steps, with what `evaluate`
says of the mesh there; of the last two the mesh is kept. Writes benchmarks/results/stages/.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from privhead_nb.field.model import HeadModel
from privhead_nb.files import atomic_file, write_json
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.geometry.metrics import evaluate
from privhead_nb.privacy.release import Release
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach.interactive import lighter
from privhead_nb.teach.lesson05.stages import FOLDER, PLANES, POINTS, SIDE, Moment
from privhead_nb.training import two_stage
from privhead_nb.training.batches import linear_light, released_views
from privhead_nb.training.profiles import Profile
from privhead_nb.training.run import Terms
from privhead_nb.training.start import RunOptions, start_run
from privhead_nb.training.steps import modulus_terms, rgb_terms

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.make_samples import small_profile

MOMENTS = {"stage1": (0, 30, 100), "stage2": (0, 20, 60, 200, 600, 1200)}  # and the end
SEED, KEPT_FACES = 0, 24_000
README = """# A head while it was trained

Made from the scene and release of data_samples/ by `python benchmarks/studies/stages.py`,
with the profile that `make_samples.py` calls small and seed 0; nobody's face is in it, and CC0.

- `fields.safetensors`: the signed distance in mm on two planes through the nose tip, 120 x 120
  points over 300 mm, at the steps that `report.json` lists;
- `full_rgb.ply`, `without_stage1.ply`: meshes of the baseline and of stage 2 alone, thinned to
  24,000 triangles;
- `report.json`: run, stage, step, beta and distances to the truth of each.
"""


def plane_points(plane: str, scene: Scene) -> NDArray[np.float64]:
    """Where a plane asks, (POINTS, POINTS, 3) in scene units; up is +y, front is +z.

    A picture as `privhead_nb.teach.lesson05.stages.outline` describes it.
    """
    along = np.linspace(-SIDE / 2, SIDE / 2, POINTS)
    right, down = np.meshgrid(along, along)
    (x, y, z), nose = scene.center, scene.face_region()[0]
    if plane == "profile":
        return np.stack([np.full_like(right, nose[0]), y - down, z - right], -1)
    return np.stack([x + right, np.full_like(right, nose[1]), z + down], -1)


def watch(
    scene: Scene, release: Release, profile: Profile, run_name: str
) -> tuple[list[Moment], Mesh]:
    """Train as `reconstruct` does, and look at the field on the way; moments and the last mesh."""
    alone = run_name != "two stages"
    neutral = released_views(release, "neutral", torch.device("cpu"))
    options = RunOptions(SEED, device="cpu", progress=False)
    run = start_run(profile, options, {}, linear_light=linear_light(neutral))
    sensitive = released_views(release, "sensitive", run.device)
    one, two = profile.stage1, profile.stage2
    moments: list[Moment] = []

    def watched(stage: str, terms: Callable[[], Terms]) -> Callable[[], Terms]:
        def step() -> Terms:
            if run.step in MOMENTS[stage]:
                moments.append(look(run.model, scene, profile, run_name, stage, run.step))
            return terms()

        return step

    if not alone:
        terms = rgb_terms(run, neutral, one)
        run.train("stage1", one.steps, one.beta, watched("stage1", terms))
        moments.append(look(run.model, scene, profile, run_name, "stage1", one.steps))
    terms = modulus_terms(run, sensitive, release.operator, two)
    run.train("stage2", two.steps, two.beta, watched("stage2", terms))
    moments.append(look(run.model, scene, profile, run_name, "stage2", two.steps))
    mesh = _mesh(run.model, scene, profile)
    return [m for m in moments if alone or (m.stage, m.step) != ("stage2", 0)], mesh


@torch.no_grad()
def look(
    model: HeadModel, scene: Scene, profile: Profile, run: str, stage: str, step: int
) -> Moment:
    """The field as it is: two planes, and the distances of its mesh."""
    sdf = {}
    for plane in PLANES:
        unit = (plane_points(plane, scene) - scene.center) / scene.radius
        found = model.sdf(torch.from_numpy(unit.reshape(-1, 3)).float()) * scene.radius
        sdf[plane] = found.reshape(POINTS, POINTS).numpy()
    measured = evaluate(_mesh(model, scene, profile), scene)
    assert measured.normal_median_deg is not None
    return Moment(
        run=run,
        stage=stage,
        step=step,
        beta=round(float(model.beta()) * scene.radius, 4),
        sdf=sdf,
        distance=round(measured.distance_mean, 4),
        normal_deg=round(measured.normal_median_deg, 3),
    )


def _mesh(model: HeadModel, scene: Scene, profile: Profile) -> Mesh:
    return extract_mesh(model.sdf, scene.center, scene.radius, resolution=profile.mesh_resolution)


def make(folder: Path = FOLDER, profile: Profile | None = None) -> None:
    """Train three times, and write the folder."""
    profile = small_profile() if profile is None else profile
    scene = load_scene(SAMPLES / "scene")
    release = Release.load(SAMPLES / "release")
    moments, _ = watch(scene, release, profile, "two stages")
    more, without_stage1 = watch(scene, release, profile, "stage 2 alone")
    moments += more
    full = two_stage.reconstruct_full_rgb(scene, profile, seed=SEED, progress=False)
    meshes = {"without_stage1": without_stage1, "full_rgb": full.mesh}
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"seed": SEED, "profile": profile.to_dict(), "moments": []}
    for moment in moments:
        facts = {k: v for k, v in vars(moment).items() if k != "sdf"}
        report["moments"].append(facts)
    for name, mesh in meshes.items():
        report[name] = evaluate(mesh, scene).to_dict()
        lighter(mesh, KEPT_FACES).save(folder / f"{name}.ply")
    fields = {
        f"{number:02d} {plane}": moment.sdf[plane].astype(np.float16)
        for number, moment in enumerate(moments)
        for plane in PLANES
    }
    with atomic_file(folder / "fields.safetensors") as aside:
        save_file(fields, aside)
        aside.chmod(0o644)
    write_json(folder / "report.json", report)
    (folder / "README.md").write_text(README, encoding="utf-8")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    make(parser.parse_args().folder)
    print("stages made", file=sys.stderr)


if __name__ == "__main__":
    main()
