"""Make and read `benchmarks/results/stages/`: a head's signed distance while it was trained.

    python -m privhead_nb.teach.stages            make it again; some minutes on one core

Three runs on the sample release, or scene: both stages, stage 2 alone, and full RGB. Of the first
two the distance is kept on two planes through the nose tip at a few steps, with what `evaluate`
says of the mesh there; of the last two the mesh is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from privhead_nb.evaluation import evaluate
from privhead_nb.field.model import HeadModel
from privhead_nb.files import atomic_file, write_json
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.privacy.release import Release
from privhead_nb.render.volume import Rays
from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.scene import Scene, load_scene
from privhead_nb.teach import samples
from privhead_nb.teach.interactive import lighter
from privhead_nb.training import two_stage
from privhead_nb.training.batches import camera_rays, unit_cameras
from privhead_nb.training.profiles import Profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.run import Terms
from privhead_nb.training.start import start_run

Array = NDArray[np.float64]

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results" / "stages"
PLANES = ("profile", "level")  # x = nose tip's, seen from the side; y = nose tip's, from above
SIDE, POINTS = 300.0, 120  # mm along a plane's side, and grid points along it
MOMENTS = {"stage1": (0, 30, 100), "stage2": (0, 20, 60, 200, 600, 1200)}  # and the end
SEED, KEPT_FACES = 0, 24_000
README = """# A head while it was trained

Made from the scene and release of data_samples/ by `python -m privhead_nb.teach.stages`,
with the profile that `samples.py` calls small and seed 0; nobody's face is in it, and CC0.

- `fields.safetensors`: the signed distance in mm on two planes through the nose tip, 120 x 120
  points over 300 mm, at the steps that `report.json` lists;
- `full_rgb.ply`, `without_stage1.ply`: meshes of the baseline and of stage 2 alone, thinned to
  24,000 triangles;
- `report.json`: run, stage, step, beta and distances to the truth of each.
"""


@dataclass(frozen=True)
class Moment:
    """One step of a run.

    Attributes:
        run: "two stages" or "stage 2 alone".
        stage, step: where in it; the stage's last step is its number of steps.
        beta: the wall's width, mm.
        sdf: plane -> signed distance (POINTS, POINTS), mm, rows from the top (or front) down.
        distance, normal_deg: two-way mean in mm and median in degrees, face region.
    """

    run: str
    stage: str
    step: int
    beta: float
    sdf: dict[str, NDArray[np.float32]]
    distance: float
    normal_deg: float

    @property
    def name(self) -> str:
        """ "stage 2, step 60"."""
        return f"{self.stage[:-1]} {self.stage[-1]}, step {self.step}"


def plane_points(plane: str, scene: Scene) -> Array:
    """Where a plane asks, (POINTS, POINTS, 3) in scene units; up is +y, front is +z.

    Seen as a picture: "profile" has the nose at the left and the crown above, "level" has the nose
    below and the left of the picture at -x. Its middle is that of the bounding sphere.
    """
    along = np.linspace(-SIDE / 2, SIDE / 2, POINTS)
    right, down = np.meshgrid(along, along)
    (x, y, z), nose = scene.center, scene.face_region()[0]
    if plane == "profile":
        return np.stack([np.full_like(right, nose[0]), y - down, z - right], -1)
    return np.stack([x + right, np.full_like(right, nose[1]), z + down], -1)


def outline(mesh: Mesh, plane: str, scene: Scene) -> list[Array]:
    """Where a mesh cuts a plane: lines (K, 2) of right and down, mm, as in `plane_points`."""
    (x, y, z), nose = scene.center, scene.face_region()[0]
    normal = (1.0, 0.0, 0.0) if plane == "profile" else (0.0, 1.0, 0.0)
    section = mesh.to_trimesh().section(normal, nose)
    lines = [] if section is None else [np.asarray(line) for line in section.discrete]
    if plane == "profile":
        return [np.stack([z - line[:, 2], y - line[:, 1]], -1) for line in lines]
    return [np.stack([line[:, 0] - x, line[:, 2] - z], -1) for line in lines]


def load(folder: Path = FOLDER) -> list[Moment]:
    """All moments, in the order of training, run by run."""
    facts = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    fields = load_file(folder / "fields.safetensors")
    moments = []
    for number, fact in enumerate(facts["moments"]):
        sdf = {p: fields[f"{number:02d} {p}"].astype(np.float32) for p in PLANES}
        moments.append(Moment(sdf=sdf, **fact))
    return moments


def load_meshes(folder: Path = FOLDER) -> dict[str, Mesh]:
    """ "full RGB" and "without stage 1"."""
    names = {"full RGB": "full_rgb", "without stage 1": "without_stage1"}
    return {name: Mesh.load(folder / f"{file}.ply") for name, file in names.items()}


def rays_of(head: Reconstruction, camera: Cameras) -> tuple[Rays, float, float]:
    """Rays through all pixels of one camera, and between which depths they meet the unit sphere.

    Depths and rays are in unit-sphere coordinates, as the head's field is.
    """
    y, x = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    xy = torch.stack([x, y], -1).reshape(-1, 2)
    unit = unit_cameras(camera, head.center, head.radius)
    rays = camera_rays(unit, torch.zeros(len(xy), dtype=torch.long), xy)
    middle = float(unit.c2w[0, :3, 3].norm())
    return rays, middle - 1, middle + 1


def watch(
    scene: Scene, release: Release, profile: Profile, run_name: str
) -> tuple[list[Moment], Mesh]:
    """Train as `reconstruct` does, and look at the field on the way; moments and the last mesh."""
    alone = run_name != "two stages"
    run = start_run(profile, SEED, None, False, False, "cpu", False, "auto", {}, "")
    background = torch.tensor(release.background)
    neutral = two_stage._neutral_views(release, run.device)
    sensitive = two_stage._sensitive_views(release, run.device)
    one, two = profile.stage1, profile.stage2
    moments: list[Moment] = []

    def watched(stage: str, terms: Callable[[], Terms]) -> Callable[[], Terms]:
        def step() -> Terms:
            if run.step in MOMENTS[stage]:
                moments.append(look(run.model, scene, profile, run_name, stage, run.step))
            return terms()

        return step

    if not alone:
        terms = two_stage._rgb_step(run, neutral, background, one)
        run.train("stage1", one.steps, one.beta, watched("stage1", terms))
        moments.append(look(run.model, scene, profile, run_name, "stage1", one.steps))
    terms = two_stage._modulus_step(run, sensitive, release.operator, background, two)
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
    profile = samples.small_profile() if profile is None else profile
    scene = load_scene(samples.FOLDER / "scene")
    release = Release.load(samples.FOLDER / "release")
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
    """Entry point of `python -m privhead_nb.teach.stages`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    make(parser.parse_args().folder)
    print("stages made", file=sys.stderr)


if __name__ == "__main__":
    main()
