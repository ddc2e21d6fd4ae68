"""Whole training steps: with kernels, without them, with `grid_sample`; and how cost grows.

Everything goes through `reconstruct`, on a release made here from a synthetic head. Each row runs
in a process of its own on the CPU, so that its peak memory is its own.
"""

from __future__ import annotations

import multiprocessing
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from tqdm import tqdm

from privhead_nb.bench.cases import sample_volume
from privhead_nb.bench.show import text_table
from privhead_nb.field.model import HeadModel
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.kernels.grid_encoding import GridLayout
from privhead_nb.privacy.protect import protect
from privhead_nb.privacy.release import Release
from privhead_nb.render.volume import render_view
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.batches import rays_through, unit_cameras
from privhead_nb.training.profiles import Profile, get_profile
from privhead_nb.training.run import peak_memory_mb
from privhead_nb.training.two_stage import reconstruct

HEAD, WARM_UP, REPEATS, FEW = 7, 10, 3, 20
Row = dict[str, Any]


class GridSampleEncoding(nn.Module):
    """The grid encoding as most code writes it: one `grid_sample` a level (the peer).

    It is trilinear whatever the layout's degree, so it does less than the encoding of degree 2.
    """

    def __init__(
        self, layout: GridLayout, *, generator: torch.Generator | None = None, **_: Any
    ) -> None:
        super().__init__()
        if any(layout.hashed):
            raise ValueError("grid_sample has no hashed levels")
        self.layout = layout
        shapes = [(1, layout.channels, res, res, res) for res in layout.resolutions]
        starts = (torch.rand(shape, generator=generator) for shape in shapes)
        self.volumes = nn.ParameterList((start * 2 - 1) * 1e-4 for start in starts)

    def forward(self, points: Tensor, *, jacobian: bool = False) -> tuple[Tensor, None]:
        """Features (N, F); there is no Jacobian, as grid_sample has no second derivative."""
        if jacobian:
            raise ValueError("grid_sample gives no Jacobian: use normals='differences'")
        parts = [sample_volume(volume, points) for volume in self.volumes]
        return torch.cat(parts, -1), None


@lru_cache(maxsize=2)
def _scene(quick: bool) -> Scene:
    few: dict[str, Any] = {"size": 32, "neutral": 2, "sensitive": 2, "samples": 1} if quick else {}
    return synthetic_scene(HEAD, **few)


@lru_cache(maxsize=8)
def bench_release(copies: int = 1, quick: bool = False) -> Release:
    """A synthetic head's release; `copies` repeats its views, to see what more views cost."""
    scene = _scene(quick)
    if copies > 1:
        views = list(range(len(scene.cameras))) * copies
        count = len(scene.cameras)
        scene = replace(
            scene,
            images=scene.images[views],
            masks=scene.masks[views],
            cameras=scene.cameras[views],
            names=(),
            sensitive=tuple(v + k * count for k in range(copies) for v in scene.sensitive),
            neutral=tuple(v + k * count for k in range(copies) for v in scene.neutral),
        )
    return protect(scene, size=scene.images.shape[1])


def training_step(profile: Profile, device: str, variant: str, steps: int, release: Release) -> Row:
    """Time of a step of both stages, and peak memory.

    Args:
        profile: its sizes; its numbers of steps are replaced.
        device: "cpu" or "cuda".
        variant: "kernels", "reference" (no kernels) or "grid_sample" (no kernels, and that peer).
        steps: timed steps a stage, after a warm-up.
        release: what is trained on.
    """
    backend: Backend = "auto" if variant == "kernels" else "torch"

    def run(count: int) -> dict[str, float]:
        short = replace(
            profile,
            stage1=replace(profile.stage1, steps=count),
            stage2=replace(profile.stage2, steps=count),
            mesh_resolution=24,
        )
        made = reconstruct(release, short, progress=False, device=device, backend=backend)
        return {name: seconds / count for name, seconds in made.report["seconds"].items()}

    with _variant(variant):
        run(min(WARM_UP, steps))
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        spent = run(steps)
    return {
        "profile": profile.name,
        "variant": variant,
        "device": device,
        "steps": steps,
        "stage1_ms": round(1e3 * spent["stage1"], 3),
        "stage2_ms": round(1e3 * spent["stage2"], 3),
        "peak_mb": peak_memory_mb(torch.device(device)),
    }


def _variant(name: str) -> AbstractContextManager[object]:
    """Fields built inside use `GridSampleEncoding`, if that is asked for."""
    if name == "grid_sample":
        return mock.patch("privhead_nb.field.sdf.GridEncoding", GridSampleEncoding)
    return nullcontext()


def picture(profile: Profile, device: str, side: int, release: Release) -> Row:
    """Seconds to render one view of side x side pixels with an untrained model, in chunks."""
    model = HeadModel(profile.field, seed=0).to(device)
    cameras = unit_cameras(release.cameras[[0]], release.center, release.radius).resized(side, side)
    fine = profile.render.supersampling
    rays = rays_through(cameras.to(device), torch.arange(side * side, device=device), fine)
    background = torch.tensor(release.background, device=device)
    model.beta.set(0.01)
    render_view(model, rays[slice(0, 256)], background, profile.render)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    began = time.perf_counter()
    shown = render_view(model, rays, background, profile.render, rays_a_pixel=fine**2)
    float(shown.colour.sum())  # waits for the device
    return {
        "what": "picture",
        "size": f"{side} x {side}",
        "ms": round(1e3 * (time.perf_counter() - began), 2),
        "peak_mb": peak_memory_mb(torch.device(device)),
    }


def growth(profile: Profile, device: str, steps: int, quick: bool = False) -> list[Row]:
    """What a step or a picture costs as its pixels, samples and views double."""
    rows: list[Row] = []

    def step(what: str, factor: int, some: Profile, copies: int = 1) -> None:
        release = bench_release(copies, quick)
        row = _apart(device, training_step, some, device, "kernels", steps, release)
        keep = {k: row[k] for k in ("stage1_ms", "stage2_ms", "peak_mb")}
        rows.append({"what": what, "size": f"x {factor}", **keep})

    one, two, render = profile.stage1, profile.stage2, profile.render
    times = (1, 2) if quick else (1, 2, 4)
    for k in times:
        stage1, stage2 = replace(one, rays=one.rays * k), replace(two, patches=two.patches * k)
        step("pixels a step", k, replace(profile, stage1=stage1, stage2=stage2))
    for k in times:
        more = replace(render, samples=render.samples * k)
        step("samples a ray", k, replace(profile, render=more))
    for k in times:
        step("views", k, profile, k)
    for side in (32, 64) if quick else (64, 128, 256, 512):
        rows.append(_apart(device, picture, profile, device, side, bench_release(1, quick)))
    return rows


def _apart(device: str, function: Any, *arguments: Any) -> Row:
    """In a process of its own on the CPU, where peak memory can't be reset."""
    if device == "cuda":
        return function(*arguments)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, _same_threads, (torch.get_num_threads(),)) as pool:
        return pool.apply(function, arguments)


def _same_threads(threads: int) -> None:
    torch.set_num_threads(threads)


def run(
    device: str, profiles: tuple[str, ...], *, steps: int = 60, quick: bool = False,
    progress: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Measure whole steps.

    Args:
        device: "cpu" or "cuda".
        profiles: names; `paper` is measured without `grid_sample`, as it has no grid.
        steps: timed steps a stage; below 20 each variant runs once, and growth is left out.
        quick: few and small, to see that everything runs.
        progress: show a bar.

    Returns:
        {"steps": rows of `training_step` with `per_run_s`, "growth": rows of `growth`}.
    """
    jobs = [
        (get_profile(name), variant)
        for name in profiles
        for variant in ("kernels", "reference", "grid_sample")
        if not (variant == "grid_sample" and get_profile(name).field.kind == "mlp")
    ]
    best: dict[tuple[str, str], Row] = {}
    # In turns, and the best of each: a machine's speed drifts, and others' work only slows it.
    turns = jobs * (1 if quick or steps < FEW else REPEATS)
    for profile, variant in tqdm(turns, desc="training steps", disable=not progress):
        count = 2 if quick else steps
        release = bench_release(1, quick)
        row = _apart(device, training_step, profile, device, variant, count, release)
        seconds = profile.stage1.steps * row["stage1_ms"] + profile.stage2.steps * row["stage2_ms"]
        row["per_run_s"] = round(seconds / 1e3, 1)
        key = (profile.name, variant)
        if key not in best or row["per_run_s"] < best[key]["per_run_s"]:
            best[key] = row
    rows = list(best.values())
    if steps < FEW and not quick:
        return {"steps": rows, "growth": []}
    first = get_profile(profiles[0])
    return {"steps": rows, "growth": growth(first, device, 2 if quick else steps, quick)}


def table(result: dict[str, Any]) -> str:
    """Both tables, with ratios to the reference of the same profile."""
    slow = {r["profile"]: r["per_run_s"] for r in result["steps"] if r["variant"] == "reference"}
    steps = [
        {
            "profile": r["profile"],
            "variant": r["variant"],
            "stage 1 ms": f"{r['stage1_ms']:.2f}",
            "stage 2 ms": f"{r['stage2_ms']:.2f}",
            "peak MB": "-" if r["peak_mb"] is None else f"{r['peak_mb']:.0f}",
            "a run s": f"{r['per_run_s']:.1f}",
            "x reference": f"{slow[r['profile']] / max(r['per_run_s'], 1e-9):.2f}",
        }
        for r in result["steps"]
    ]
    growth = [
        {
            "growth": r["what"],
            "size": r["size"],
            "ms": f"{r['ms']:.1f}" if "ms" in r else f"{r['stage1_ms']:.2f} + {r['stage2_ms']:.2f}",
            "peak MB": "-" if r["peak_mb"] is None else f"{r['peak_mb']:.0f}",
        }
        for r in result["growth"]
    ]
    return "\n\n".join(text_table(rows) for rows in (steps, growth) if rows)
