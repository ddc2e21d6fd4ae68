"""The whole way once: make a head, protect it, reconstruct it, measure it, draw it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from privhead_nb.files import atomic_file, write_json
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import Distances, evaluate
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.privacy.protect import protect
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.two_stage import reconstruct, reconstruct_full_rgb
from privhead_nb.viz.plots import result_page

STAGE1, STAGE2, FULL, TRUTH = "stage 1", "stage 2", "full RGB", "truth"
SEES = {STAGE1: "neutral views", STAGE2: "gradient moduli too", FULL: "every picture"}


def run_demo(
    out: str | Path,
    *,
    identity: int = 7,
    profile: str | None = None,
    seed: int = 0,
    size: int = 64,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run the whole way into a folder and return what `table` prints.

    Writes scene/, release/, reconstruction/, full_rgb/, mesh.ply, page.png and demo.json.

    Raises:
        PrivheadError: a step says what is wrong.
    """
    out, began = Path(out), time.perf_counter()
    _say(1, f"making head {identity}, which belongs to nobody")
    scene = synthetic_scene(identity, size=size)
    scene.save(out / "scene", overwrite=overwrite)
    _say(2, "protecting it: this is all that leaves the device")
    release = protect(scene, size=size)
    release.save(out / "release", overwrite=overwrite)
    _say(3, "reconstructing from the release, in two stages")
    ours = reconstruct(release, profile, seed=seed, out=out / "reconstruction", overwrite=overwrite)
    _say(4, "training the baseline that sees every picture, to compare with")
    full = reconstruct_full_rgb(
        scene, profile, size=size, seed=seed, out=out / "full_rgb", overwrite=overwrite
    )
    _say(5, "measuring against the truth and drawing")
    assert ours.stage1_mesh is not None, "both stages ran"
    meshes = {STAGE1: ours.stage1_mesh, STAGE2: ours.mesh, FULL: full.mesh}
    distances = {name: evaluate(mesh, scene) for name, mesh in meshes.items()}
    meshes[TRUTH] = Mesh.from_trimesh(scene.truth_mesh())
    ours.mesh.save(out / "mesh.ply")
    page = result_page(
        release,
        dict(ours.history) | dict(full.history),
        meshes,
        distances,
        title=f"Head {identity}, {size} x {size} pixels, profile {ours.settings.name}",
    )
    with atomic_file(out / "page.png") as aside:
        page.savefig(aside)
    result = summary(distances, ours, full)
    result |= {"identity": identity, "size": size, "profile": ours.settings.name, "seed": seed}
    result["seconds_in_all"] = round(time.perf_counter() - began, 1)
    write_json(out / "demo.json", result)
    return result


def summary(
    distances: dict[str, Distances], ours: Reconstruction, full: Reconstruction
) -> dict[str, Any]:
    """One row for each mesh, and the ratio that the paper reports."""
    seconds = {
        STAGE1: ours.report["seconds"]["stage1"],
        STAGE2: ours.report["seconds_total"],
        FULL: full.report["seconds_total"],
    }
    rows = [
        {"what": name, "sees": SEES[name], "seconds": seconds[name], **distance.to_dict()}
        for name, distance in distances.items()
    ]
    ratio = distances[STAGE2].distance_mean / distances[FULL].distance_mean
    return {"rows": rows, "stage2_over_full": ratio}


def table(result: dict[str, Any]) -> str:
    """The small table that the demo prints."""
    unit = result["rows"][0]["unit"]
    within = f"within 2 {unit}"
    head = f"{'':<10}{'sees':<21}{'distance':>10}{'normals':>9}{within:>13}{'seconds':>9}"
    lines = [
        f"{row['what']:<10}{row['sees']:<21}{row['distance_mean']:>7.2f} {unit:<2}"
        f"{row['normal_median_deg']:>5.1f} deg{100 * row['within']['2']:>11.0f} %"
        f"{row['seconds']:>9.0f}"
        for row in result["rows"]
    ]
    end = f"stage 2 / full RGB: {result['stage2_over_full']:.2f}"
    return "\n".join([head, *lines, end, f"{result['seconds_in_all']:.0f} seconds in all"])


def _say(step: int, what: str) -> None:
    print(f"[{step}/5] {what}", file=sys.stderr, flush=True)
