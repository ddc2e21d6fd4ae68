"""Claims about lesson 05: its trainer, its stored runs, Table 1, its figures and its panel."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import trimesh
from wrong_answers.lesson_05 import by_loop

from benchmarks.studies import own_trainer
from benchmarks.studies import stages as stages_study
from notebooks.tools import build
from privhead_nb import Mesh, Reconstruction, Release, evaluate, load_scene
from privhead_nb.resources import RESULTS, SAMPLES
from privhead_nb.teach import results
from privhead_nb.teach.lesson05 import figures, panel, stages, table1
from privhead_nb.teach.lesson05.checks import first_hit_cases
from privhead_nb.training.profiles import PROFILES
from privhead_nb.training.start import RunOptions, start_run


@pytest.fixture(scope="module")
def scene() -> Any:
    return load_scene(SAMPLES / "scene")


# The trainer on the page --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page() -> Any:
    return own_trainer.page()


def test_the_trainer_fits_a_page_and_needs_torch_and_numpy_alone() -> None:
    (source,) = build.sources(["05"])
    cells = [c for c in build.generate(source).cells if "trainer" in c.metadata.get("tags", [])]
    train = cells[-1].source
    assert train.startswith("def train(release") and len(train.splitlines()) <= 40
    assert all(word in train for word in ("Adam(", ".backward()", "optimiser.step()", "beta_at("))
    assert not any(
        word in c.source for c in cells for word in ("import ", "load_scene", "evaluate", "checks.")
    )


def test_a_seed_gives_one_head(page: Any) -> None:
    release = Release.load(SAMPLES / "release")
    one, again, other = (
        page["train"](release, steps=(5, 5), seed=seed)[1][2].vertices for seed in (3, 3, 4)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_a_further_term_of_the_study_is_added(page: Any) -> None:
    """Each change of the study runs on the page's code and is not without effect."""
    release = Release.load(SAMPLES / "release")
    plain = page["train"](release, steps=(2, 3))[2][2]
    for change in (own_trainer.signal, own_trainer.footprint, *own_trainer.TERMS):
        names = own_trainer.page()
        losses = names["train"](release, steps=(2, 3), more=change(names))[2][2]
        assert np.isfinite(losses).all() and losses != plain, change.__name__


def test_pieces_are_the_packages(page: Any) -> None:
    """Samples near the surface, and the pixel rays; section 1 compares weights and moduli."""
    release = Release.load(SAMPLES / "release")
    pixels = torch.tensor([[3.0, 5.0], [60.0, 31.0]])
    o, d = page["pixel_rays"](release.cameras[4], pixels)
    theirs = release.cameras.rays(torch.full((2,), 4), pixels)
    assert torch.allclose(o, theirs[0], atol=1e-2) and torch.allclose(d, theirs[1], atol=1e-5)
    volume = page["sample_volume"](lambda points: points.norm(dim=1) - 0.55, 48)
    rays = page["unit_rays"](release, [release.sensitive[7]])
    kept, t = page["near_samples"](volume, *rays, 0.003, 12)
    missed = torch.ones(len(rays[0]), dtype=torch.bool)
    missed[kept] = False
    closest = torch.linalg.cross(rays[0], rays[1], dim=1).norm(dim=1)
    assert not missed[closest < 0.55].any() and (t.diff(dim=1) >= 0).all()


def test_a_thin_wall_is_felt_only_near_by(page: Any) -> None:
    felt = {}
    for beta in (0.03, 0.012, 0.0015):
        misses = torch.linspace(0, 0.3, 601, dtype=torch.float64, requires_grad=True)
        opacity = 1 - torch.exp(-0.2 * page["laplace_density"](misses, beta))
        (pull,) = torch.autograd.grad(-opacity.sum(), misses)
        felt[beta] = float((pull > 0.05 * pull.max()).double().mean() * 0.3)
    assert felt[0.03] > 2 * felt[0.012] > 4 * felt[0.0015]


# Exercises ----------------------------------------------------------------------------------------


def test_no_ray_of_0504_stays_inside_for_less_than_a_tenth() -> None:
    """So that whoever samples every tenth is right, and 12 samples are not."""
    for name, (f, o, d, near, far) in first_hit_cases().items():
        enter, leave = f.roots(o, d)
        assert not (leave - enter < 0.1).any(), name
        assert f(o + near * d).shape == (len(o),) and far > near
    thin, o, d, *_ = first_hit_cases()["balls no thicker than a tenth"]
    enter, leave = thin.roots(o, d)
    assert (leave - enter)[enter.isfinite()].max() < 0.11


def test_the_schedule_of_the_check_is_that_of_training() -> None:
    options = RunOptions(device="cpu", progress=False)
    run = start_run(PROFILES["ci"], options, {}, linear_light=0.0)
    optimiser = torch.optim.Adam([{"params": [torch.zeros(1)], "lr": 1.0, "start": 1.0}])
    for run.step in (0, 7, 30, 59):
        run._schedule(optimiser, (0.03, 0.003), 60)
        assert float(run.model.beta()) == pytest.approx(
            by_loop(run.step, 60, 0.03, 0.003), rel=1e-5
        )


# Stored runs --------------------------------------------------------------------------------------


def test_the_stored_moments_are_whole() -> None:
    moments = stages.load()
    names = [(m.run, m.stage, m.step) for m in moments]
    two = [n for n in names if n[0] == "two stages"]
    alone = [n for n in names if n[0] == "stage 2 alone"]
    assert len(two) == panel.LAST + 1 == 10 and len(alone) == 7
    assert {n[2] for n in two if n[1] == "stage2"} <= {n[2] for n in alone}
    for moment in moments:
        assert set(moment.sdf) == set(stages.PLANES)
        for field in moment.sdf.values():
            assert field.shape == (stages.POINTS, stages.POINTS)
            assert np.isfinite(field).all() and (field < 0).any() and (field > 0).any()
    size = sum(p.stat().st_size for p in stages.FOLDER.iterdir())
    assert (stages.FOLDER / "fields.safetensors").stat().st_size < 1_000_000 and size < 3_000_000


def test_the_stored_run_is_that_of_the_samples() -> None:
    """The last moment is as good as the reconstruction that `make samples` stored."""
    last = [m for m in stages.load() if m.run == "two stages"][-1]
    stored = Reconstruction.load(SAMPLES / "reconstruction")
    assert last.step == stored.settings.stage2.steps
    field = stored.model.sdf(_unit("profile", stored)).detach().numpy() * stored.radius
    near = np.abs(field) < 30
    assert np.median(np.abs(field - last.sdf["profile"].ravel())[near]) < 1.5


def _unit(plane: str, head: Reconstruction) -> Any:
    points = stages_study.plane_points(plane, load_scene(SAMPLES / "scene"))
    return torch.tensor((points.reshape(-1, 3) - head.center) / head.radius).float()


def test_stored_meshes_are_as_good_as_their_report_says(scene: Any) -> None:
    told = {
        stages.FOLDER / "full_rgb.ply": results.table("stages/report")["full_rgb"],
        stages.FOLDER / "without_stage1.ply": results.table("stages/report")["without_stage1"],
        RESULTS / "own_trainer_all.ply": results.table("own_trainer")["all, more steps"]["stage2"],
        RESULTS / "own_trainer_cpu.ply": results.table("own_trainer")["cpu"]["stage2"],
    }
    for path, report in told.items():
        found = evaluate(Mesh.load(path), scene, samples=40_000)
        assert found.distance_mean == pytest.approx(report["distance_mean"], abs=0.08), path.name


def test_planes_and_outlines_fit(scene: Any) -> None:
    """A ball's outline is where its distance on the plane is zero."""
    nose = np.array(scene.face_region()[0])
    ball = trimesh.creation.icosphere(subdivisions=4, radius=30.0)
    ball.apply_translation(nose)
    for plane in stages.PLANES:
        points = stages_study.plane_points(plane, scene)
        assert points.shape == (stages.POINTS, stages.POINTS, 3)
        lines = stages.outline(Mesh.from_trimesh(ball), plane, scene)
        assert len(lines) == 1
        column, row = (
            (lines[0] / stages.SIDE + 0.5) * (stages.POINTS - 1)
        ).T  # of the picture, from its corner
        i, j = row.round().astype(int), column.round().astype(int)
        off = np.linalg.norm(points[i, j] - nose, axis=1) - 30
        assert np.abs(off).max() < 3  # half a grid cell's diagonal


def test_watching_training_does_not_change_it(scene: Any, monkeypatch: Any) -> None:
    """The moments' run ends with the mesh that `reconstruct` gives, to the bit."""
    from privhead_nb import reconstruct

    ci = PROFILES["ci"]
    tiny = replace(
        ci,
        stage1=replace(ci.stage1, steps=6, rays=128),
        stage2=replace(ci.stage2, steps=6, patches=2),
        mesh_resolution=32,
    )
    monkeypatch.setattr(stages_study, "MOMENTS", {"stage1": (0, 3), "stage2": (0, 2)})
    release = Release.load(SAMPLES / "release")
    moments, mesh = stages_study.watch(scene, release, tiny, "two stages")
    assert [(m.stage, m.step) for m in moments] == [
        ("stage1", 0), ("stage1", 3), ("stage1", 6), ("stage2", 2), ("stage2", 6),
    ]  # fmt: skip
    assert np.array_equal(
        mesh.vertices, reconstruct(release, tiny, seed=stages_study.SEED).mesh.vertices
    )


# Table 1 ------------------------------------------------------------------------------------------


def test_the_papers_means() -> None:
    """FaceScape's are the means of their rows; those printed for H3DS are not."""
    facescape, h3ds = table1.PAPER
    assert facescape.means == pytest.approx(table1.PRINTED["FaceScape"], abs=1e-4)
    assert h3ds.means == pytest.approx((4.566, 3.136, 2.645), abs=1e-3)
    assert abs(h3ds.means[0] - table1.PRINTED["H3DS"][0]) > 0.1
    assert (facescape.ratio, h3ds.ratio) == pytest.approx((1.58, 1.185), abs=0.005)


def test_ours_are_read_from_the_study() -> None:
    stored = results.table("reconstruction")
    made, scan = table1.ours(table1.study())
    assert (len(made.ratios), len(scan.ratios)) == (20, 5)
    runs = [(seed, head) for seed in range(2) for head in range(101, 111)]
    two = [stored[f"cpu {head} {seed} two-stage"]["final"] for seed, head in runs]
    assert made.means[1] == pytest.approx(mean(run["distance_mean"] for run in two))
    assert made.normals[1].mean() == pytest.approx(mean(run["normal_median_deg"] for run in two))
    assert all(a > b > c for a, b, c in (g.means for g in (*table1.PAPER, made, scan)))
    pair = table1.without_stage_1(table1.study())["made head 101"]
    assert pair[0] > pair[1] and pair[1] == pytest.approx(two[0]["distance_mean"])


def test_the_groups_leave_out_what_is_not_there() -> None:
    run = {"head": "7", "seed": 0, "final.distance_mean": 2.0, "final.normal_median_deg": 9.0}
    run |= {"stage1.distance_mean": 2.0, "stage1.normal_median_deg": 9.0, "method": "two-stage"}
    alone = run | {"seed": 1}  # with no run of full RGB beside it
    made, scan = table1.ours(pd.DataFrame([run, run | {"method": "full-rgb"}, alone]))
    assert made.runs.tolist() == [[2.0], [2.0], [2.0]] and made.ratio == 1
    assert made.normals is not None and made.normals.tolist() == [[9.0], [9.0], [9.0]]
    assert scan.runs.shape == (3, 0)


# Figures and panel --------------------------------------------------------------------------------


def test_errors_are_painted_where_they_are() -> None:
    ball = Mesh.from_trimesh(trimesh.creation.icosphere(subdivisions=3, radius=50.0))
    figure = figures.error_row(
        {"a": ball, "grey": ball}, {"a": ball.vertices[:, 1]}, top=50, label="mm"
    )
    assert len(figure.axes) == 3  # two meshes and the colour bar
    painted, grey = (ax.collections[0] for ax in figure.axes[:2])
    colours, corners = painted.get_facecolor(), [p.vertices[:3] for p in painted.get_paths()]
    height = np.array([corner[:, 1].mean() for corner in corners])
    blue = colours[:, 2] / (colours[:, 0] + 0.01)
    assert blue[height < -20].min() > blue[height > 35].max()  # cividis ends in yellow
    assert np.ptp(grey.get_facecolor()[:, :3], axis=1).max() < 1e-6


def test_stage_2_alone_waits_for_stage_1() -> None:
    assert "stage 2 alone: stage 2, step 0" in panel.picture(2, "profile", "distance", 0.0).facts
    end = panel.picture(panel.LAST, "profile", "distance", 0.0).facts
    assert end.count("step 1900") == 2


def test_stage_2_alone_is_late_and_catches_up() -> None:
    """Section 8: by its own steps it is behind at first, and by a tenth of a mm at the end."""
    own = {(m.run, m.stage, m.step): m.distance for m in stages.load()}
    assert own["stage 2 alone", "stage2", 0] > 10
    end = [own[run, "stage2", 1900] for run in figures.RUNS]
    assert abs(end[0] - end[1]) < 0.15


def test_the_study_of_terms_says_what_the_lesson_says() -> None:
    """No single term leaves the band of three seeds on the good side; all with more steps do."""
    runs = results.table("own_trainer")
    mm = {name: run["stage2"]["distance_mean"] for name, run in runs.items()}
    degrees = {name: run["stage2"]["normal_median_deg"] for name, run in runs.items()}
    seeds = [mm[name] for name in mm if name.startswith("base")]
    assert len(seeds) == 3 and 0.15 < max(seeds) - min(seeds) < 0.3
    alone = ("patches with signal", "Laplacian", "smooth normals", "Lipschitz", "footprint",
             "a finer lattice", "more steps")  # fmt: skip
    assert all(mm[name] >= min(seeds) for name in alone)
    worse = ("beta ends at a third", "beta ends at the triple", "a wall from the start")
    mean = sum(seeds) / 3
    assert all(0.25 < mm[name] - mean < 0.75 for name in worse)
    assert mm["stage 2 alone"] - mean > 0.9
    assert mm["all"] < min(seeds) and mm["all, more steps"] < mm["cpu"] < mm["all"]
    assert all(0.1 < seed - mm["cpu"] < 0.45 for seed in seeds)
    behind = [degrees[name] - degrees["cpu"] for name in degrees if name.startswith("base")]
    assert all(1.5 < degree < 3.5 for degree in behind)
    assert mm["ci"] > 2 * max(seeds) and runs["ci"]["steps"] == [60, 80]


def test_the_study_of_beta_says_what_the_lesson_says() -> None:
    """With footprints schedules are alike; with fog alone a wall from the start fails."""
    runs = results.frame("beta_schedule")
    ends = results.where(runs, seed=0).groupby("coverage")["stage2.distance_mean"]
    assert list(ends.size()) == [4, 4]
    low, high = ends.min(), ends.max()
    assert high["footprint"] - low["footprint"] < 0.2
    assert low["volume"] > high["footprint"] + 0.3
    wall = results.where(runs, coverage="volume", schedule="always a wall", seed=0)
    assert wall["stage2.distance_mean"].item() > 5
