"""What stands between stage 2 and full RGB, and what takes it away: settings one by one.

    python benchmarks/studies/limit.py run shipped    parts, one trial after another; all: 3 hours
    python benchmarks/studies/limit.py table
    python benchmarks/studies/limit.py picture      docs/pictures/fine.webp: head 7 from 64 and 128
    python benchmarks/studies/limit.py one 201 two-stage field.degree=1      not stored

A trial is a head, a seed, a method, a picture size and settings that differ from the profile's.
Methods: "two-stage" and "full-rgb", and oracles that no release allows: "signed" (stage 2 sees the
derivatives with their signs, channel by channel), "apart" (it sees the two lengths whose sum the
modulus is, one of derivatives along x, one along y), "grey" (full RGB on grey pictures),
"grey-moduli" (two stages on them), "outlines" (two stages, all masks released); and "truth", no
training at all: a made head's own surface as a mesh of the same kind. Heads 201 to 220 are for
choosing, 101 to 110 and the real head (PRIVHEAD_REAL_HEAD) for reporting.

Beside distances and normals stand
    creases   mean angle between adjacent mesh faces within 0.6 mm of a level's cell planes over the
              mean elsewhere, for each level and axis
    dent      how deep the mesh lies inside the truth at its worst place in the face, mean over 4 mm
    regions   mean distance from the truth around eyes, nose and mouth and in the rest of the face
              (made heads only)

Finished trials are kept in benchmarks/results/limit.json and not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any
from unittest import mock

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.reconstruction import REAL, changed, machine, scene_folder
from privhead_nb import evaluate, load_scene, protect, reconstruct, reconstruct_full_rgb
from privhead_nb.files import write_json
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.geometry.metrics import closest_points, sample_surface
from privhead_nb.heads.head import make_head
from privhead_nb.privacy.release import Release
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.scene import Scene
from privhead_nb.training import two_stage
from privhead_nb.training.batches import (
    draw_patches,
    linear_light,
    patch_weights,
    released_views,
)
from privhead_nb.training.losses import eikonal_loss, laplacian_loss
from privhead_nb.training.profiles import PROFILES, Profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.run import Run, Terms
from privhead_nb.training.start import RunOptions, start_run
from privhead_nb.training.steps import eikonal_points, rgb_terms
from privhead_nb.viz.plots import mesh_row, short

STORED = RESULTS / "limit.json"
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "fine.webp"
PLANE = 0.6  # mm, how near to a cell's plane an edge of the mesh is "at" it
SMOOTHED = 4.0  # mm, over which dents are averaged
REGIONS = {"eyes": range(36, 48), "nose": range(27, 36), "mouth": range(48, 68)}
REACH = 10.0  # mm from a landmark, within which a point is of its region


@dataclass(frozen=True)
class Trial:
    """One reconstruction.

    Args:
        head: "real" or a made head's number.
        method: as listed above.
        changes: settings that differ from the profile's, as "part.name=JSON".
        seed: of the training.
        size: of the pictures.
        profile: whose settings are changed.
        after: pixels of the smaller release whose reconstruction stage 2 starts from. 0: none; 64:
            by `cpu` from a sphere; 128: by `fine` from that of 64, and so on.
        rendered: pixels that a made head's pictures have before they are released; 0: as many.
        values: take pixels for means of stored values, whatever the outlines say.
    """

    head: str
    method: str = "two-stage"
    changes: tuple[str, ...] = ()
    seed: int = 0
    size: int = 64
    profile: str = "cpu"
    after: int = 0
    rendered: int = 0
    values: bool = False

    @property
    def key(self) -> str:
        """Its name among the results."""
        where = (self.profile, self.head, self.method, pictures(asdict(self)), f"seed {self.seed}")
        return " ".join((*where, *self.changes))

    def settings(self) -> Profile:
        """The profile with the changes."""
        return changed(PROFILES[self.profile], self.changes)


def pictures(trial: dict[str, Any]) -> str:
    """The size of a trial's pictures, and what else is told of them."""
    size = f"{trial['size']}px" + (f" after {trial['after']}px" if trial["after"] else "")
    size += f" of {trial['rendered']}px" if trial["rendered"] else ""
    return size + (" of values" if trial["values"] else "")


def scene_of(head: str, size: int) -> Scene:
    """The real head's scene, or a made one's, kept on disk once rendered."""
    return load_scene(REAL if head == "real" else scene_folder(head, size))


def grey(scene: Scene) -> Scene:
    """The scene without colour: all channels are the mean of three."""
    return replace(scene, images=scene.images.mean(-1, keepdim=True).expand_as(scene.images))


def mesh_of(trial: Trial, scene: Scene) -> tuple[Mesh, dict[str, float]]:
    """The trained mesh, and seconds by stage."""
    profile, before = trial.settings(), {}
    if trial.method == "truth":
        return true_surface(int(trial.head), scene, profile.mesh_resolution), {}
    if trial.method in ("signed", "apart"):
        release = protect(scene, size=trial.size, seed=0)
        return derivatives_oracle(release, scene, profile, trial.seed, trial.method == "apart")
    if trial.method in ("grey", "grey-moduli"):
        scene = grey(scene)
    if trial.method in ("full-rgb", "grey"):
        made = reconstruct_full_rgb(
            scene, profile, size=trial.size, seed=trial.seed, progress=False
        )
    else:
        masks = "all" if trial.method == "outlines" else "neutral"
        release = protect(scene, size=trial.size, seed=0, masks=masks)
        start = None
        if trial.after:
            start, before = start_of(scene, trial.after, trial.seed, masks)
        made = reconstruct(release, profile, seed=trial.seed, progress=False, start=start)
    return made.mesh, before | made.report["seconds"]


def true_surface(identity: int, scene: Scene, resolution: int) -> Mesh:
    """A made head's surface from its distances, as meshes are taken from a trained field."""
    head, center = make_head(identity), torch.tensor(scene.center, dtype=torch.float32)

    def sdf(points: Tensor) -> Tensor:
        return head.sdf(points * scene.radius + center) / scene.radius

    with torch.no_grad():
        return extract_mesh(sdf, scene.center, scene.radius, resolution=resolution)


def start_of(
    scene: Scene, size: int, seed: int, masks: str
) -> tuple[Reconstruction, dict[str, float]]:
    """The reconstruction from `size` pixels that a larger one starts from, and seconds by stage."""
    start, before = None, {}
    if size > 64:
        start, before = start_of(scene, size // 2, seed, masks)
    made = reconstruct(
        protect(scene, size=size, seed=0, masks=masks),
        "cpu" if start is None else "fine",
        seed=seed,
        progress=False,
        start=start,
    )
    took = made.report["seconds"]
    return made, before | {f"{name}, {size}px": took[name] for name in took}


def derivatives_oracle(
    release: Release, scene: Scene, profile: Profile, seed: int, apart: bool
) -> tuple[Mesh, dict[str, float]]:
    """Two stages, the second on more of the derivatives than a release shows."""
    options = RunOptions(seed, progress=False)
    neutral = released_views(release, "neutral", options.place)
    run = start_run(profile, options, {}, "oracle", linear_light=linear_light(neutral))
    one, two = profile.stage1, profile.stage2
    run.train("stage1", one.steps, one.beta, rgb_terms(run, neutral, one))
    colours = scene.resized(release.size).images[list(release.sensitive)]
    run.train("stage2", two.steps, two.beta, derivatives_terms(run, release, colours, apart))
    mesh = extract_mesh(
        run.model.sdf, release.center, release.radius, resolution=profile.mesh_resolution
    )
    return mesh, run.report()["seconds"]


def derivatives_terms(
    run: Run, release: Release, colours: Tensor, apart: bool
) -> Callable[[], Terms]:
    """Stage 2's terms with another gradient loss than eq. 5, lengths over the channels:

    |dx - dx'| + |dy - dy'|, or, apart, ||dx| - |dx'|| + ||dy| - |dy'||.
    """
    stage, side = run.settings.stage2, run.settings.stage2.patch
    views = released_views(release, "sensitive", run.device)
    weights = patch_weights(views.values, side)
    kernels = torch.stack(release.operator.kernels())[:, None].to(colours)
    target = colours.reshape(-1, 3)

    def slopes(patches: Tensor) -> Tensor:  # (B, P, P, 3) -> (B, 3, 2, Q, Q)
        channels = patches.permute(0, 3, 1, 2).reshape(-1, 1, side, side)
        inner = side - kernels.shape[-1] + 1
        return F.conv2d(channels, kernels).reshape(-1, 3, 2, inner, inner)

    def lengths(slopes: Tensor) -> Tensor:  # (B, 3, 2, Q, Q) -> (B, 2, Q, Q)
        return slopes.square().sum(1).add(1e-12).sqrt()

    def step() -> Terms:
        flat = draw_patches(views, weights, stage.patches, side, run.generator)
        points = eikonal_points(run, stage.eikonal_points)
        shown = run.render(views, flat.reshape(-1), points)
        rendered = slopes(shown.colour.reshape(stage.patches, side, side, 3))
        known = slopes(target[flat])
        off = (lengths(rendered) - lengths(known)).abs() if apart else lengths(rendered - known)
        terms = {
            "gradient": stage.gradient * off.sum(1).mean(),
            "eikonal": stage.eikonal * eikonal_loss(shown.gradients),
        }
        if shown.laplacians is not None:
            terms["laplacian"] = stage.laplacian * laplacian_loss(shown.laplacians)
        return terms

    return step


def execute(trial: Trial, save: Path | None = None) -> dict[str, Any]:
    """Train and measure."""
    scene = scene_of(trial.head, trial.rendered or trial.size)
    of_values = mock.patch.object(two_stage, "linear_light", return_value=0.0)
    with of_values if trial.values else nullcontext():
        mesh, seconds = mesh_of(trial, scene)
    if save is not None:
        mesh.save(save)
    found = evaluate(mesh, scene)
    return {
        **asdict(trial),
        "mm": round(found.distance_mean, 4),
        "deg": round(found.normal_median_deg or 0.0, 3),
        "deg_mean": round(found.normal_mean_deg or 0.0, 3),
        "creases": creases(mesh, scene, trial.settings().field.resolutions),
        **on_the_face(mesh, scene, trial.head),
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "machine": machine(),
    }


def creases(mesh: Mesh, scene: Scene, levels: tuple[int, ...]) -> dict[str, list[float]]:
    """Mean face angle at each level's cell planes over the mean elsewhere, for x, y, z."""
    found = mesh.to_trimesh()
    angle = found.face_adjacency_angles
    ends = found.vertices[found.face_adjacency_edges]
    at = (ends.mean(1) - np.asarray(scene.center)) / scene.radius
    out = {}
    for level in levels:
        cells = (at + 1) * (level - 1) / 2
        off = np.abs(cells - np.rint(cells)) * 2 / (level - 1) * scene.radius
        out[str(level)] = [
            float(angle[off[:, k] < PLANE].mean() / angle[off[:, k] >= PLANE].mean())
            for k in range(3)
        ]
    return out


def on_the_face(mesh: Mesh, scene: Scene, head: str) -> dict[str, Any]:
    """`dent` and, on a made head, `regions`; mm."""
    truth = Mesh.from_trimesh(scene.truth_mesh())
    points, face = sample_surface(truth, 60_000, 0)
    center, radius = scene.face_region()
    normals = truth.face_normals()[face]
    # what is seen of the face from before it: not the ears, nor the inside of hair
    near = (np.linalg.norm(points - center, axis=1) < radius) & (normals[:, 2] > 0.3)
    points, normals = points[near], normals[near]
    distance, closest, _ = closest_points(points, mesh)
    inward = ((points - closest) * normals).sum(1)
    around = cKDTree(points).query_ball_point(points, SMOOTHED)
    out: dict[str, Any] = {"dent": round(float(max(inward[rows].mean() for rows in around)), 3)}
    if head == "real":
        return out
    marks = make_head(int(head)).landmarks().detach().numpy()
    rest, regions = np.ones(len(points), bool), {}
    for name, rows in REGIONS.items():
        here = cKDTree(marks[list(rows)]).query(points)[0] < REACH
        regions[name] = round(float(distance[here].mean()), 3)
        rest &= ~here
    return out | {"regions": regions | {"rest": round(float(distance[rest].mean()), 3)}}


# Parts --------------------------------------------------------------------------------------------

CHOOSING, REPORTED = ("201", "202", "203"), ("real", "101", "102", "103")
SHIPPED, BASELINE, APART = Trial(""), Trial("", "full-rgb"), Trial("", "apart")
BOTH = (SHIPPED, BASELINE)
FINE = Trial("", size=128, profile="fine", after=64)
FINE_BASELINE = Trial("", "full-rgb", size=128, profile="fine")
TRILINEAR = ("field.degree=1",)
ONE_RAY = ("render.supersampling=1", "render.samples=8")


def _each(heads: tuple[str, ...], *trials: Trial) -> list[Trial]:
    return [replace(trial, head=head) for head in heads for trial in trials]


PARTS: dict[str, list[Trial]] = {
    "shipped": [
        *_each(CHOOSING, *BOTH, APART, Trial("", "signed")),
        *_each(REPORTED, *BOTH, APART),
        *_each(CHOOSING, *(replace(trial, rendered=256) for trial in BOTH)),
        *_each(REPORTED, FINE, FINE_BASELINE),
    ],
    "truth": _each((*CHOOSING, *REPORTED[1:]), Trial("", "truth")),
    "values": _each(REPORTED[1:], *(replace(trial, values=True) for trial in BOTH)),
    "without": _each(
        (*CHOOSING, "real"),
        *(replace(trial, changes=changes) for changes in (TRILINEAR, ONE_RAY) for trial in BOTH),
    ),
    "oracles": _each(
        CHOOSING,
        *(Trial("", method) for method in ("grey", "grey-moduli", "outlines")),
        replace(SHIPPED, seed=1),
        replace(SHIPPED, changes=("stage2.steps=3800",)),
    ),
    "sizes": _each(
        ("real",),
        *(Trial("", size=size) for size in (128, 256)),
        *(replace(trial, size=256) for trial in (FINE, replace(FINE, after=128), FINE_BASELINE)),
    ),
}


def stored() -> dict[str, Any]:
    """Finished trials by key."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}


def said(key: str, found: dict[str, Any]) -> str:
    """A trial in one line."""
    worst = max(x for axes in found["creases"].values() for x in axes)
    parts = " ".join(f"{name} {mm:.2f}" for name, mm in found.get("regions", {}).items())
    return (
        f"{key}: {found['mm']:.3f} mm {found['deg']:.2f} deg, dent {found['dent']:.1f}, creases "
        f"{worst:.2f}, {sum(found['seconds'].values()):.0f} s; {parts}"
    )


def run_part(name: str) -> None:
    """What is not stored yet, by one thread."""
    torch.set_num_threads(1)
    for trial in PARTS[name]:
        if trial.key not in stored():
            found = execute(trial)
            write_json(STORED, stored() | {trial.key: found})
            print(said(trial.key, found), flush=True)


def table() -> str:
    """Means over the heads of all settings, of those for choosing and for reporting; Markdown."""
    rows: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for found in stored().values():
        settings = ", ".join(found["changes"])
        heads = "real" if found["head"] == "real" else f"made {found['head'][0]}xx"
        size = pictures(found).replace("px", "")
        what = (heads, size, found["profile"], found["method"], settings, found["seed"])
        rows.setdefault(what, []).append(found)
    lines = [
        "| heads | pixels | profile | method | changed | seed | mm | deg | dent, mm | crease |",
        "| --- |" + " --- |" * 9,
    ]
    for what, found in sorted(rows.items(), key=str):
        heads, size, profile, method, settings, seed = what
        crease = mean(max(x for axes in f["creases"].values() for x in axes) for f in found)
        lines.append(
            f"| {len(found)} {heads} | {size} | {profile} | {method} | {settings or '-'} | {seed} "
            f"| {mean(f['mm'] for f in found):.2f} | {mean(f['deg'] for f in found):.1f} "
            f"| {mean(f['dent'] for f in found):.1f} | {crease:.2f} |"
        )
    return "\n".join(lines)


def picture() -> Figure:
    """Head 7, the demo's, from front and three-quarter: 64 pixels, 128, full RGB of 128, truth."""
    small, large = Trial("7"), Trial("7", size=128, profile="fine", after=64)
    scene = scene_of("7", large.size)
    trials = {
        "stage 2, 64 pixels": small,
        "stage 2, 128 after 64": large,
        "full RGB, 128": replace(large, method="full-rgb", after=0),
    }
    meshes = {name: mesh_of(one, scene_of("7", one.size))[0] for name, one in trials.items()}
    titles = {n: f"{n}\n{short(evaluate(mesh, scene))}" for n, mesh in meshes.items()}
    shown = {titles[n]: mesh for n, mesh in meshes.items()}
    shown["truth"] = Mesh.from_trimesh(scene.truth_mesh())
    figure = Figure(figsize=(12, 6.4), layout="constrained", dpi=110)
    for row, view in zip(figure.subplots(2, 4), ("front", "three-quarter"), strict=True):
        mesh_row(list(row), shown, view, titles=view == "front")
    return figure


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("run", "table", "picture", "one"))
    parser.add_argument("what", nargs="*", help="parts; or a head, a method and settings")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--save", type=Path, help="of `one`: write the mesh there")
    given = parser.parse_args()
    if given.command == "table":
        print(table())
    elif given.command == "picture":
        picture().savefig(PICTURE, pil_kwargs={"quality": 88})
    elif given.command == "one":
        head, method, *changes = given.what
        trial = Trial(head, method, tuple(changes), given.seed, given.size, given.profile)
        print(said(trial.key, execute(trial, given.save)))
    else:
        for name in given.what or PARTS:
            run_part(name)


if __name__ == "__main__":
    main()
