"""Lesson 05's trainer on the sample release, and what each term of the package's adds to it (of the
package when the stored runs were made).

    python benchmarks/studies/own_trainer.py run            # some 20 runs, half a minute each
    python benchmarks/studies/own_trainer.py run base ci    # only these
    python benchmarks/studies/own_trainer.py table

The code that trains is the lesson's: its cells that are tagged "trainer" are executed, and a run
changes one function or hands one more term over. Seconds are those of the processor, one thread.
Runs that are stored in benchmarks/results/own_trainer.json are not repeated. The meshes of all
terms with more steps and of the package's cpu profile are stored beside it, for the lesson.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb import Release, evaluate, load_scene, reconstruct, resources
from privhead_nb.field.radiance import LipschitzLinear
from privhead_nb.files import write_json
from privhead_nb.teach.interactive import lighter
from privhead_nb.training.losses import laplacian_loss, lipschitz_loss

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from notebooks.tools import build

RESULTS = resources.RESULTS / "own_trainer.json"
PLY = "own_trainer_{}.ply"
KEPT_FACES = 24_000
STEPS, LONG = (200, 800), (300, 1900)  # of the lesson, and of the package's cpu profile
Term = Callable[..., Tensor]
Page = dict[str, Any]


def page() -> Page:
    """The names that the lesson's trainer cells define."""
    (source,) = build.sources(["05"])
    cells = [c for c in build.generate(source).cells if c.cell_type == "code"]
    names: Page = {"__name__": "lesson 05"}
    for cell in [cells[0], *(c for c in cells if "trainer" in c.metadata.get("tags", []))]:
        exec(cell.source, names)
    return names


# Terms and changes --------------------------------------------------------------------------------


def laplacian(names: Page) -> Term:
    """2e-3 mean |laplace f|, at the eikonal points."""

    def term(head: Any, _shown: Any, points: Tensor, _stage: int) -> Tensor:
        around = (points[:, None] + 0.012 * names["TAPS"]).reshape(-1, 3)
        bend = head(around).reshape(-1, 4).mean(dim=1) - head(points)
        return 2e-3 * laplacian_loss(bend * (2 / 0.012**2))

    return term


def smooth_normals(_: Page) -> Term:
    """0.02 times the mean difference of neighbouring normals where both show the surface, in stage
    2: a term of the package when the stored runs were made."""

    def term(_head: Any, shown: Any, points: Tensor, stage: int) -> Tensor:
        if stage == 1:
            return points.new_zeros(())
        normals = (shown.normals * (shown.opacity > 0.5)).reshape(-1, 10, 10, 3)
        seen = (normals.detach().norm(dim=-1) > 0.5).to(normals.dtype)
        found = points.new_zeros(())
        for along in (1, 2):
            off = normals.diff(dim=along).norm(dim=-1)
            both = seen.unfold(along, 2, 1).amin(dim=-1)
            found = found + (off * both).mean()
        return 0.02 * found

    return term


def lipschitz(names: Page) -> Term:
    """3e-6 times the product of the colour layers' bounds, in stage 2; the layers obey them."""
    plain = names["Head"]

    def bounded() -> Any:
        head = plain()
        head.colours = torch.nn.ModuleList(
            LipschitzLinear(layer.in_features, layer.out_features) for layer in head.colours
        )
        return head

    names["Head"] = bounded

    def term(head: Any, _shown: Any, _points: Tensor, stage: int) -> Tensor:
        bounds = torch.stack([layer.bound() for layer in head.colours])
        return (stage == 2) * 3e-6 * lipschitz_loss(bounds)

    return term


def signal(names: Page) -> None:
    """Patches drawn by the modulus that they hold, a twentieth of the mean to all."""

    def draw_corners(moduli: Tensor, count: int, side: int) -> Tensor:
        held = F.avg_pool2d(moduli[:, None], side, 1)[:, 0]
        odds = held + 0.05 * held.mean()
        drawn = torch.multinomial(odds.flatten(), count, replacement=True)
        return torch.stack(torch.unravel_index(drawn, odds.shape), dim=1)

    names["draw_corners"] = draw_corners


def footprint(names: Page) -> None:
    """A pixel's coverage from how far its ray misses the surface, against the pixel's width."""
    pixel = 1 / float(Release.load(resources.SAMPLES / "release").cameras.K[0, 0, 0])

    def covered(_: Tensor, head: Any, o: Tensor, d: Tensor, beta: float) -> Tensor:
        with torch.no_grad():
            near = o.norm(dim=1, keepdim=True) - 1
            t = names["even_samples"](near, near + 2, len(near), 64)
            f = names["look_up"](names["volume"], names["on_rays"](o, d, t)).reshape(t.shape)
            t = t.gather(1, f.argmin(dim=1, keepdim=True))
        width = 0.32 * (0.55 * pixel * t[:, 0]) + beta
        return torch.sigmoid(-head(o + t * d) / width)

    look = names["near_samples"]

    def near_samples(volume: Tensor, *rest: Any) -> Any:
        names["volume"] = volume
        return look(volume, *rest)

    names["covered"], names["near_samples"] = covered, near_samples


def finer(names: Page) -> None:
    """A fourth lattice, 80 a side, as in the cpu profile."""
    names["Head"] = partial(names["Head"], (12, 24, 48, 80))


def betas(*ends: tuple[float, float]) -> Callable[[Page], None]:
    """Other first and last betas."""

    def change(names: Page) -> None:
        train = names["train"]
        names["train"] = lambda *given, **more: train(*given, betas=ends, **more)

    return change


TERMS = (laplacian, smooth_normals, lipschitz)
Change = Callable[[Page], Term | None]
# name: what is changed, the steps of both stages, the seed
RUNS: dict[str, tuple[tuple[Change, ...], tuple[int, int], int]] = {
    "base": ((), STEPS, 0),
    "base, seed 1": ((), STEPS, 1),
    "base, seed 2": ((), STEPS, 2),
    "patches with signal": ((signal,), STEPS, 0),
    "Laplacian": ((laplacian,), STEPS, 0),
    "smooth normals": ((smooth_normals,), STEPS, 0),
    "Lipschitz": ((lipschitz,), STEPS, 0),
    "footprint": ((footprint,), STEPS, 0),
    "a finer lattice": ((finer,), STEPS, 0),
    "more steps": ((), LONG, 0),
    "beta ends at a third": ((betas((0.03, 0.001), (0.012, 0.0005)),), STEPS, 0),
    "beta ends at the triple": ((betas((0.03, 0.009), (0.012, 0.0045)),), STEPS, 0),
    "a wall from the start": ((betas((0.003, 0.003), (0.0015, 0.0015)),), STEPS, 0),
    "stage 2 alone": ((), STEPS, 0),
    "all": ((signal, footprint, *TERMS), STEPS, 0),
    "all, more steps": ((finer, signal, footprint, *TERMS), LONG, 0),
}
PROFILES = ("ci", "cpu")  # of the package, for comparison


def execute(name: str) -> dict[str, Any]:
    """Train and evaluate one run; distances in mm, normals in degrees, processor's seconds."""
    scene = load_scene(resources.SAMPLES / "scene")
    release = Release.load(resources.SAMPLES / "release")
    torch.set_num_threads(1)
    began = time.process_time()
    if name in PROFILES:
        found = reconstruct(release, name, seed=0, progress=False)
        assert found.stage1_mesh is not None
        meshes = {1: found.stage1_mesh, 2: found.mesh}
        steps = (found.settings.stage1.steps, found.settings.stage2.steps)
    else:
        changes, steps, seed = RUNS[name]
        names = page()
        terms = [term for change in changes if (term := change(names)) is not None]
        _, meshes, _ = names["train"](
            release,
            steps=steps,
            stages=(2,) if name == "stage 2 alone" else (1, 2),
            seed=seed,
            more=(lambda *given: sum(term(*given) for term in terms)) if terms else None,
        )
    seconds = time.process_time() - began
    if name in ("all, more steps", "cpu"):
        lighter(meshes[2], KEPT_FACES).save(RESULTS.with_name(PLY.format(name.split(",")[0])))
    return {"name": name, "steps": list(steps), "seconds": round(seconds, 1)} | {
        f"stage{stage}": evaluate(mesh, scene).to_dict() for stage, mesh in meshes.items()
    }


def stored() -> dict[str, Any]:
    """The stored results by name."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}


def table() -> str:
    """The runs as Markdown."""
    rows = ["| run | steps | stage 1 | stage 2 | seconds |", "| --- | --- | --- | --- | --- |"]
    for name, run in stored().items():
        cells = [
            f"{run[s]['distance_mean']:.2f} mm {run[s]['normal_median_deg']:.1f} deg"
            if s in run
            else ""
            for s in ("stage1", "stage2")
        ]
        steps = " + ".join(map(str, run["steps"]))
        rows.append(f"| {name} | {steps} | {cells[0]} | {cells[1]} | {run['seconds']:.0f} |")
    return "\n".join(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the runs; default: all")
    given = parser.parse_args()
    if given.command == "table":
        print(table())
        return
    for name in given.names or [*RUNS, *PROFILES]:
        if name not in stored():
            found = execute(name)
            kept = stored() | {name: found}
            write_json(RESULTS, {n: kept[n] for n in (*RUNS, *PROFILES) if n in kept})
            print(name, f"{found['stage2']['distance_mean']:.2f} mm", file=sys.stderr)


if __name__ == "__main__":
    main()
