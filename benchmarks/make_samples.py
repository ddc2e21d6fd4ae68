"""Make `data_samples/`: one small made scene, its release, a reconstruction, and two templates."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from privhead_nb.files import atomic_file
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import evaluate
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.privacy.protect import protect
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.folder import load_scene
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.make_template import PEOPLE, make_template
from privhead_nb.training.profiles import PROFILES, Profile
from privhead_nb.training.two_stage import reconstruct
from privhead_nb.viz.plots import short

FOLDER = Path(__file__).parents[1] / "data_samples"
IDENTITY, SIZE, SEED = 7, 64, 0
TRUTH_FACES = 50_000  # of some 220,000; the surface moves by 0.013 mm
TEMPLATE_STEPS = 800  # of the trained one

CARD = """# Samples: one made head

- `scene/`: identity {identity} of the parametric head, 30 views of {size} x {size} pixels (20
  sensitive, 10 neutral), masks, cameras, landmarks, and the truth mesh, thinned to {faces:,}
  triangles.
- `release/`: what `privhead protect` made of it, which is Sobel moduli of the sensitive views, and
  the neutral views with their masks.
- `reconstruction/`: what training made of the release, and of nothing else: `mesh.ply`,
  `stage1.ply`, `field.safetensors`, `report.json`.
- `template/`, `template_trained/`: neutral heads of the made people {people}, for releases
  without neutral views: their mean signed distance, and a field trained on all their pictures.

**Provenance.** Nobody's face is in here. The head was made by `privhead_nb.heads.head` (head
generator version {generator}) from the number {identity}; no photograph, scan or trained model went
into it. So were the templates' people, and their pictures, faces too: nobody's privacy was lost.
Every file was written by `make samples` (`python benchmarks/make_samples.py`):

- `synthetic_scene({identity}, size={size})`,
- `protect(scene, size={size})`,
- `reconstruct(release, profile, seed={seed})` with the `cpu` profile, its feature grid cut to the
  levels {levels} and its meshes to {resolution} cells a side, so that the folder stays small,
- `privhead template data_samples/template` and `privhead template data_samples/template_trained
  --kind trained --steps {template_steps}` (`--part templates` makes them alone).

**Measured** (surface protocol, face region, against the truth in `scene/`): stage 1 {stage1},
stage 2 {stage2}. The README's figures are those of the uncut `cpu` profile.

**Licence.** CC0: do with it what you like.
"""


def small_profile() -> Profile:
    """The cpu profile with a small field and coarse meshes."""
    cpu = PROFILES["cpu"]
    levels = tuple(n for n in cpu.field.resolutions if n <= 48)
    return replace(cpu, field=replace(cpu.field, resolutions=levels), mesh_resolution=144)


def thinned(scene: Scene, faces: int = TRUTH_FACES) -> Scene:
    """The scene with a truth mesh of about so many triangles."""
    import igl

    vertices, triangles = scene.truth_triangles()
    done = igl.qslim(np.ascontiguousarray(vertices), np.ascontiguousarray(triangles), faces)
    return replace(scene, truth=(np.asarray(done[0]), np.asarray(done[1], dtype=np.int64)))


def make_scene(folder: Path = FOLDER) -> None:
    """Write scene/ and release/, replacing what is there.

    Processors differ in a grey level here and there, and so do all results that follow.
    """
    scene = thinned(synthetic_scene(IDENTITY, size=SIZE, progress=True))
    scene.save(folder / "scene", overwrite=True)
    protect(load_scene(folder / "scene"), size=SIZE).save(folder / "release", overwrite=True)


def make_reconstruction(folder: Path = FOLDER) -> None:
    """Write reconstruction/, of the release that is there, and README.md."""
    profile = small_profile()
    scene, release = load_scene(folder / "scene"), Release.load(folder / "release")
    made = reconstruct(release, profile, seed=SEED, out=folder / "reconstruction", overwrite=True)
    assert made.stage1_mesh is not None
    card = CARD.format(
        identity=IDENTITY,
        size=SIZE,
        seed=SEED,
        generator=GENERATOR_VERSION,
        faces=len(Mesh.from_trimesh(scene.truth_mesh()).faces),
        levels=", ".join(map(str, profile.field.resolutions)),
        resolution=profile.mesh_resolution,
        people=f"{PEOPLE[0]} to {PEOPLE[-1]}",
        template_steps=TEMPLATE_STEPS,
        stage1=short(evaluate(made.stage1_mesh, scene)),
        stage2=short(evaluate(made.mesh, scene)),
    )
    with atomic_file(folder / "README.md") as aside:
        aside.write_text(card, encoding="utf-8")


def make_templates(folder: Path = FOLDER) -> None:
    """Write template/ and template_trained/, replacing what is there."""
    mean = make_template(PEOPLE, profile="cpu", progress=True)
    mean.save(folder / "template", overwrite=True)
    trained = make_template(PEOPLE, "trained", profile="cpu", steps=TEMPLATE_STEPS, progress=True)
    trained.save(folder / "template_trained", overwrite=True)


PARTS = {
    "scene": make_scene,
    "reconstruction": make_reconstruction,
    "templates": make_templates,
}


def main() -> None:
    """Entry point of `python benchmarks/make_samples.py`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    asked = parser.parse_args()
    for part in asked.part or PARTS:
        PARTS[part](asked.folder)
    print("samples made", file=sys.stderr)


if __name__ == "__main__":
    main()
