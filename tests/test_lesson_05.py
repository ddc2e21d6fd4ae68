"""Claims about lesson 05: its checks, its stored runs, Table 1, its figures and its panel."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import trimesh
from answers import failed

from benchmarks.studies import stages as stages_study
from privhead_nb import Mesh, Reconstruction, Release, load_scene
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, results
from privhead_nb.teach.lesson05 import figures, panel, stages, table1
from privhead_nb.teach.lesson05.checks import Balls
from privhead_nb.training.profiles import PROFILES
from privhead_nb.training.start import RunOptions, start_run


@pytest.fixture(scope="module")
def scene() -> Any:
    return load_scene(SAMPLES / "scene")


# Exercises ----------------------------------------------------------------------------------------


def right_0501(step: int, steps: int, first: float, last: float) -> float:
    arrived = 0.8 * (steps - 1)
    return last if step >= arrived else first * (last / first) ** (step / arrived)


def right_0502(a: Any, b: Any) -> float:
    pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return float(0.5 * pairs.min(axis=1).mean() + 0.5 * pairs.min(axis=0).mean())


def right_0503(a: Any, b: Any) -> float:
    half = np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2, 0, 1))
    return float(np.degrees(np.median(2 * half)))


RIGHT = {"ex0501": right_0501, "ex0502": right_0502, "ex0503": right_0503}


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(checks, number)(RIGHT[number])
    assert capsys.readouterr().out.startswith(f"{number} passed: ")


def first_entry(f: Balls, o: Any, d: Any, *_: float) -> Any:
    return f.roots(o, d)[0].amin(0)


def last_entry(f: Balls, o: Any, d: Any, *_: float) -> Any:
    enter = f.roots(o, d)[0]
    return torch.where(enter.isfinite(), enter, -torch.inf).amax(0).abs()


def coarse(f: Balls, o: Any, d: Any, near: float, far: float) -> Any:
    t = torch.linspace(near, far, 33)
    inside = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1) <= 0
    return torch.where(inside.any(1), t[inside.int().argmax(1)], torch.inf)


def sphere_tracing(f: Balls, o: Any, d: Any, near: float, far: float) -> Any:
    t = torch.full((len(o),), near)
    for _ in range(60):
        t = t + f(o + t[:, None] * d)
    return torch.where(t < far, t, torch.inf)


def cosines(a: Any, b: Any) -> Any:
    return (a * b).sum(1)


def one_way(a: Any, b: Any) -> Any:
    return np.linalg.norm(a[:, None] - b, axis=-1).min(1).mean()


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("ex0501", lambda s, n, a, b: a + (b - a) * min(s / (n - 1) / 0.8, 1), "the same factor"),
        ("ex0501", lambda s, n, a, b: a * (b / a) ** (s / (n - 1)), "then stays"),
        ("ex0501", lambda s, n, a, b: a * (b / a) ** (s / (n - 1) / 0.8), "below its last value"),
        ("ex0501", lambda s, n, a, b: (a, b), "the specification ()"),
        ("ex0502", one_way, "from a to b"),
        ("ex0502", lambda a, b: 2 * right_0502(a, b), "the sum of the two means"),
        ("ex0502", lambda a, b: np.zeros(3), "yours has the shape (3,)"),
        ("ex0503", lambda a, b: np.radians(right_0503(a, b)), "radians"),
        ("ex0503", lambda a, b: np.degrees(np.arccos(cosines(a, b))).mean(), "this is the mean"),
        ("ex0503", lambda a, b: np.degrees(np.median(np.arccos(cosines(a, b).clip(0, 1)))), "hint"),
        ("ex0503", lambda a, b: np.degrees(np.median(np.arccos(cosines(a, b)))), "If yours is nan"),
        ("ex0504", lambda f, o, d, n, far: first_entry(f, o, d).clamp_max(far), "inf, not far"),
        ("ex0504", last_entry, "nearer ones hide it"),
        ("ex0504", coarse, "case: rays at a ball"),
        ("ex0504", sphere_tracing, "case: "),
        ("ex0504", lambda f, o, d, *_: first_entry(f, o, d)[:, None], "has the shape (9, 1)"),
    ],
)
def test_a_wrong_answer_is_named(
    number: str, answer: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.errstate(invalid="ignore"):
        assert words in failed(capsys, number, answer)


def test_the_schedule_of_the_check_is_that_of_training() -> None:
    run = start_run(PROFILES["ci"], RunOptions(device="cpu", progress=False), {})
    optimiser = torch.optim.Adam([{"params": [torch.zeros(1)], "lr": 1.0, "start": 1.0}])
    for run.step in (0, 7, 30, 59):
        run._schedule(optimiser, (0.03, 0.003), 60)
        assert float(run.model.beta()) == pytest.approx(
            right_0501(run.step, 60, 0.03, 0.003), rel=1e-5
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
    import json

    from privhead_nb import evaluate

    report = json.loads((stages.FOLDER / "report.json").read_text(encoding="utf-8"))
    for name, mesh in stages.load_meshes().items():
        told_of = report["full_rgb" if name == "full RGB" else "without_stage1"]
        found = evaluate(mesh, scene, samples=40_000)
        assert found.distance_mean == pytest.approx(told_of["distance_mean"], abs=0.08)


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
    assert (len(made.ratios), len(scan.ratios)) == (10, 5)
    two = [stored[f"cpu {head} 0 two-stage"]["final"] for head in range(101, 111)]
    assert made.means[1] == pytest.approx(mean(run["distance_mean"] for run in two))
    assert made.normals[1].mean() == pytest.approx(mean(run["normal_median_deg"] for run in two))
    assert all(a > b > c for a, b, c in (g.means for g in (*table1.PAPER, made, scan)))
    pair = table1.without_stage_1(table1.study())["made head 101"]
    assert pair[0] > pair[1] and pair[1] == pytest.approx(two[0]["distance_mean"])


def test_the_table_leaves_out_what_is_not_there() -> None:
    run = {"head": "7", "seed": 0, "final.distance_mean": 2.0, "final.normal_median_deg": 9.0}
    run |= {"stage1.distance_mean": 2.0, "stage1.normal_median_deg": 9.0, "method": "two-stage"}
    alone = run | {"seed": 1}  # with no run of full RGB beside it
    made, scan = table1.ours(pd.DataFrame([run, run | {"method": "full-rgb"}, alone]))
    assert made.runs.tolist() == [[2.0], [2.0], [2.0]] and made.ratio == 1
    assert scan.runs.shape == (3, 0)
    text = table1.text((made,))
    assert "1.00  mm" in text and text.splitlines()[2].split() == ["9.0", "9.0", "9.0", "deg"]


# Figures and panel --------------------------------------------------------------------------------


def test_a_thin_wall_is_felt_only_near_by() -> None:
    misses = np.linspace(0, 0.3, 601)
    felt = {}
    for beta in (0.03, 0.012, 0.0015):
        pull = figures.pull_of_a_wall(beta, misses)
        felt[beta] = float((pull > 0.05 * pull.max()).mean() * 0.3)
        step = 1e-6
        opacity = [
            1 - np.exp(-0.2 * 0.5 / beta * np.exp(-(0.01 + s) / beta)) for s in (-step, step)
        ]
        slope = abs(opacity[1] - opacity[0]) / (2 * step)
        assert figures.pull_of_a_wall(beta, np.array([0.01]))[0] == pytest.approx(slope, 1e-3)
    assert felt[0.03] > 2 * felt[0.012] > 4 * felt[0.0015]


def test_errors_are_painted_where_they_are() -> None:
    ball = Mesh.from_trimesh(trimesh.creation.icosphere(subdivisions=3, radius=50.0))
    right = ball.vertices[:, 0] / 50  # -1 at the left of the picture, 1 at its right
    painted, hit = figures.over_pixels(ball, right, "front", 40, np.zeros(3), 60.0)
    assert hit[20, 20] and not hit[0, 0]
    assert painted[20, 6] < -0.6 < 0.6 < painted[20, 33]
    figure = figures.error_row({"a": ball, "plain": ball}, {"a": right}, limits=(0, 1), label="mm")
    assert len(figure.axes) == 3  # two meshes and the colour bar


def test_stage_2_alone_waits_for_stage_1() -> None:
    assert "stage 2 alone: stage 2, step 0" in panel.picture(2, "profile", "distance", 0.0).facts
    end = panel.picture(panel.LAST, "profile", "distance", 0.0).facts
    assert end.count("step 1900") == 2


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
