"""Does bounding the colour network (eq. 7 and 8) help the geometry? Arms over heads and seeds.

    python benchmarks/studies/lipschitz.py run              # all parts, an hour of one core
    python benchmarks/studies/lipschitz.py run --part main
    python benchmarks/studies/lipschitz.py table            # what is stored, as Markdown

Stage 1 does not use the term: it is trained once for a head and seed (with the shipped layers),
and every arm's stage 2 starts from that one model, so that arms differ in stage 2 alone and can
be compared in pairs. An arm is what stage 2 starts with:

    slack   bounds as multiples of the layers' largest row sums; "shipped": as stage 1 left them
            (it starts them at twice the row sums of untrained weights); "none": out of reach,
            which is the network without eq. 7; "again": the same, with other pixels drawn in
            stage 2, which shows by how much two runs differ that differ in nothing
    weight  of eq. 8 in the loss; "log" in front: of the sum of logarithms instead
    bare    without our Laplacian (and, in the stored runs, without the smoothness of normals)

Stage 2 is `STEPS` steps long instead of the cpu profile's 1900, but in the parts `weights` and
`long`. All else is the cpu profile; when the stored runs were made it had one ray a pixel,
trilinear grids, a smoothness of normals in stage 2, and rates that fell to 0.03. Finished runs are
kept in benchmarks/results/lipschitz.json and not repeated, so a study can be interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from privhead_nb import Reconstruction, evaluate, load_scene, protect, reconstruct, resources
from privhead_nb.field.lipschitz import (
    NEVER,
    Seen,
    composed_bound,
    jacobians,
    local_constants,
    row_sums,
    seen_from,
    used_weights,
)
from privhead_nb.field.model import HeadModel
from privhead_nb.field.radiance import ColourNetwork
from privhead_nb.files import write_json
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.scene import Scene

# No public way starts stage 2 from a trained stage 1 with settings of its own.
from privhead_nb.training.batches import released_views
from privhead_nb.training.checkpoint import fingerprint
from privhead_nb.training.profiles import PROFILES, Profile
from privhead_nb.training.start import RunOptions, start_run
from privhead_nb.training.steps import modulus_terms

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.reconstruction import machine, scene_folder

RESULTS = resources.RESULTS / "lipschitz.json"
STEPS = 400
WATCH = 12  # equally spaced looks at bounds and row sums during stage 2
HEADS = (201, 202, 203, 204)
PLACES = 4096  # of a surface, where a network's slope is sampled
STEP = 0.004  # half the distance of two taps of `painted_slopes`, unit-sphere coordinates
NONE, SHIPPED = ("none", 0.0), ("shipped", 3e-6)
AGAIN, QUARTER, HALF, TIGHT = ("again", 0.0), ("0.25", 1e-2), ("0.5", 1e-2), ("1.0", 3e-6)
FIRST, THEN = (NONE, QUARTER, AGAIN), (HALF, TIGHT)


def runs(part: str) -> list[dict[str, Any]]:
    """The runs of a part, in the order in which they are worth having."""
    if part == "weights":  # with bounds where stage 1 leaves them, and longer than the others
        arms = (NONE, SHIPPED, ("shipped", 1e-2), ("shipped", "log 0.01"))
        return [_run(201, 0, *arm, steps=600) for arm in arms]
    if part == "main":
        return [_run(h, 0, *arm) for h in HEADS for arm in FIRST]
    if part == "bare":
        return [_run(h, 0, *arm, bare=True) for h in HEADS[:2] for arm in (NONE, QUARTER)]
    if part == "bounds":
        return [_run(h, 0, *arm) for h in HEADS for arm in THEN]
    if part == "seeds":
        return [_run(h, 1, *arm) for h in HEADS for arm in (*FIRST, *THEN)]
    if part == "shipped":
        return [_run(h, 0, *SHIPPED) for h in HEADS[1:]]
    return [_run(h, 0, *arm, steps=1900) for h in HEADS for arm in (SHIPPED, NONE)]


PARTS = ("weights", "main", "bare", "bounds", "seeds", "shipped", "long")


def _run(head: int, seed: int, slack: str, weight: float | str, **more: Any) -> dict[str, Any]:
    run = {"head": head, "seed": seed, "slack": slack, "weight": weight}
    return run | {"bare": False, "steps": STEPS} | more


def key(run: dict[str, Any]) -> str:
    """The name of a run among the stored results."""
    return " ".join(f"{k}={run[k]}" for k in ("head", "seed", "slack", "weight", "bare", "steps"))


def settings_of(run: dict[str, Any]) -> Profile:
    """The cpu profile with a run's stage 2."""
    weight = run["weight"]
    log = isinstance(weight, str)
    profile = PROFILES["cpu"]
    stage = replace(
        profile.stage2,
        steps=run["steps"],
        lipschitz=float(weight.split()[1]) if isinstance(weight, str) else weight,
        lipschitz_log=log,
    )
    if run["bare"]:
        stage = replace(stage, laplacian=0.0)
    return replace(profile, stage2=stage)


@dataclass(frozen=True)
class Start:
    """What all arms of a head and seed begin with.

    Attributes:
        scene, release: the made head, and what training may see of it.
        first: after stage 1.
        facts: its distances and constants.
    """

    scene: Scene
    release: Release
    first: Reconstruction
    facts: dict[str, Any]


def start_of(head: int, seed: int) -> Start:
    """Scene, release and stage 1 of a head and seed."""
    scene = load_scene(scene_folder(str(head)))
    release = protect(scene, seed=0)
    first = first_stage(release, head, seed)
    facts = {
        "stage1": evaluate(first, scene).to_dict(),
        "start": constants(first.model, first.mesh, release),
    }
    return Start(scene, release, first, facts)


def first_stage(release: Release, head: int, seed: int) -> Reconstruction:
    """Stage 1 of a head and seed: trained once, kept beside the made scenes."""
    name = f"privhead-study-v{GENERATOR_VERSION}-{head}-stage1-light-{seed}"
    folder = Path(tempfile.gettempdir()) / name
    if not (folder / "report.json").is_file():
        reconstruct(release, PROFILES["cpu"], seed=seed, stages=(1,), progress=False).save(folder)
    return Reconstruction.load(folder)


def execute(run: dict[str, Any], start: Start) -> dict[str, Any]:
    """Stage 2 of one run from its stage 1, watched and evaluated."""
    settings, release = settings_of(run), start.release
    mark = fingerprint(release.neutral_images, release.moduli, release.cameras.c2w)
    described = {"input": "release", "stages": [2]}
    free = run["slack"] in ("none", "again")
    drawn = run["seed"] + 1000 * (run["slack"] == "again")
    options = RunOptions(drawn, device="cpu", progress=False)
    light = start.first.linear_light
    training = start_run(settings, options, described, mark, linear_light=light)
    training.model.load_state_dict(start.first.model.state_dict())
    if run["slack"] != "shipped":
        loosen(training.model.colour, None if free else float(run["slack"]))
    watched: dict[str, list[Any]] = {"step": [], "bounds": [], "row_sums": []}
    views = released_views(release, "sensitive", training.device)
    step = modulus_terms(training, views, release.operator, settings.stage2)

    def look() -> None:
        watched["step"].append(training.step)
        watched["bounds"].append(_rounded(training.model.colour.bounds()))
        watched["row_sums"].append(_rounded(row_sums(training.model.colour)))

    def watched_step() -> dict[str, torch.Tensor]:
        if training.step % (run["steps"] // WATCH) == 0:
            look()
        return step()

    training.train("stage2", run["steps"], settings.stage2.beta, watched_step)
    look()
    mesh = extract_mesh(
        training.model.sdf, release.center, release.radius, resolution=settings.mesh_resolution
    )
    losses = training.history["stage2"]["gradient"][-6:]
    return run | {
        **start.facts,
        "final": evaluate(mesh, start.scene).to_dict(),
        "gradient_loss": sum(losses) / len(losses),
        "watched": watched,
        "constants": constants(training.model, mesh, release),
        "field": fingerprint(*training.model.field.state_dict().values())[:16],
        "seconds": round(training.seconds["stage2"], 1),
        "threads": torch.get_num_threads(),
        "machine": machine(),
    }


def loosen(network: ColourNetwork, slack: float | None) -> None:
    """Set all bounds to `slack` times their layer's largest row sum; None: never to be met.

    What a bound had cut off before is cut off for good, so that a looser bound alone changes no
    colour.
    """
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.copy_(layer.normalised_weight())
            bound = NEVER if slack is None else slack * layer.weight.abs().sum(1).max()
            layer.m.copy_(torch.log(torch.expm1(torch.as_tensor(bound).double())))


def painted_slopes(model: HeadModel, seen: Seen) -> tuple[torch.Tensor, torch.Tensor]:
    """How fast features and colours change over the surface, normal and view held still.

    Returns:
        (N,), (N,): the field's features, and the colours that the network makes of position and
        features; infinity norms of central differences, per unit-sphere radius.
    """
    features, colours = [], []
    with torch.no_grad():
        for axis in torch.eye(3):
            sides = []
            for sign in (1.0, -1.0):
                points = seen.points + sign * STEP * axis
                _, there = model.field.sdf_and_features(points)
                sides.append((there, model.colour(points, seen.normals, seen.views, there)))
            features.append((sides[0][0] - sides[1][0]).abs() / (2 * STEP))
            colours.append((sides[0][1] - sides[1][1]).abs() / (2 * STEP))
    return torch.stack(features).sum(0).amax(-1), torch.stack(colours).sum(0).amax(-1)


def constants(model: HeadModel, mesh: Mesh, release: Release) -> dict[str, Any]:
    """Bounds of the colour network, and what sampling the surface finds."""
    network = model.colour
    seen = seen_on(model, mesh, release)
    jacobian = jacobians(network, seen.points, seen.normals, seen.views, seen.features)
    steep = local_constants(jacobian)
    features, painted = painted_slopes(model, seen)
    norms = row_sums(network).detach()
    with torch.no_grad():
        colours = seen.colours(network)
        spectral = torch.stack([torch.linalg.matrix_norm(w, 2) for w in used_weights(network)])
        groups = jacobian.abs().mean((0, 1)).split([3, 3, 3, seen.features.shape[1]])
    return {
        "bounds": _rounded(network.bounds()),
        "row_sums": _rounded(norms),
        "spectral": _rounded(spectral),
        "promised": _number(composed_bound(network, network.bounds().detach())),
        "composed": _number(composed_bound(network, norms)),
        "true_max": _number(steep.max()),
        "true_mean": _number(steep.mean()),
        "by_input": [_number(g.sum()) for g in groups],
        "feature_size": _number(seen.features.abs().amax(-1).mean()),
        "feature_slope": _number(features.mean()),
        "painted_slope": _number(painted.mean()),
        "painted_slope_99": _number(painted.quantile(0.99)),
        "colour_spread": _number(colours.std(0).mean()),
    }


def seen_on(model: HeadModel, mesh: Mesh, release: Release) -> Seen:
    """What the colour network is asked at vertices drawn from a mesh, one camera for each.

    Vertices that face none of the release's cameras are left out.
    """
    center, generator = torch.tensor(release.center), torch.Generator().manual_seed(0)
    drawn = torch.randint(len(mesh.vertices), (PLACES,), generator=generator)
    points = torch.as_tensor(mesh.vertices).float()[drawn]
    cameras = release.cameras.c2w[:, :3, 3].float()
    return seen_from(model, (points - center) / release.radius, (cameras - center) / release.radius)


def _number(value: torch.Tensor) -> float:
    return float(f"{value.item():.5g}")


def _rounded(values: torch.Tensor) -> list[float]:
    return [_number(v) for v in values]


def stored() -> dict[str, Any]:
    """The stored results by `key`."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def study(parts: list[str], heads: list[int], again: bool, say: Callable[[str], None]) -> None:
    """Run what is not stored yet, one after the other on one thread."""
    torch.set_num_threads(1)
    known: dict[tuple[int, int], Start] = {}
    for run in (r for part in parts for r in runs(part)):
        if run["head"] not in heads or (key(run) in stored() and not again):
            continue
        began, who = time.perf_counter(), (run["head"], run["seed"])
        if who not in known:
            known[who] = start_of(*who)
        result = execute(run, known[who])
        write_json(RESULTS, stored() | {key(run): result})
        final, found = result["final"], result["constants"]
        say(
            f"{key(run)}: {final['distance_mean']:.4f} {final['unit']}, "
            f"{final['normal_median_deg']:.2f} deg, product {_product(found['bounds']):.0f}, "
            f"true {found['true_max']:.2f}, painted {found['painted_slope']:.2f}, "
            f"field {result['field']}, {time.perf_counter() - began:.0f} s"
        )


def _product(values: list[float]) -> float:
    return float(torch.tensor(values).prod())


def table() -> str:
    """The stored results as a Markdown table."""
    rows = ["| head | seed | slack | weight | bare | steps | distance | normals | product | true |"]
    rows += ["| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    rows += [
        f"| {r['head']} | {r['seed']} | {r['slack']} | {r['weight']} | {r['bare']} | {r['steps']} "
        f"| {r['final']['distance_mean']:.3f} mm | {r['final']['normal_median_deg']:.2f} deg "
        f"| {_product(r['constants']['bounds']):.0f} | {r['constants']['true_max']:.2f} |"
        for r in stored().values()
    ]
    return "\n".join(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--head", type=int, choices=HEADS, action="append", help="only this one")
    parser.add_argument("--again", action="store_true", help="repeat runs that are stored")
    given = parser.parse_args()
    if given.command == "run":
        heads = given.head or list(HEADS)
        study(given.part or list(PARTS), heads, given.again, lambda line: print(line, flush=True))
    else:
        print(table())


if __name__ == "__main__":
    main()
