"""Claims about lesson 05: its checks, its stored runs, Table 1, its figures and its panel."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from benchmarks.studies import stages as stages_study
from privhead_nb import Mesh, Reconstruction, Release, load_scene
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.checks import CheckFailed
from privhead_nb.teach.lesson05 import panel, reconstruction_plots, stage_plots, stages, table1
from privhead_nb.teach.lesson05.checks import Balls
from privhead_nb.training.profiles import PROFILES
from privhead_nb.training.start import RunOptions, start_run


@pytest.fixture(scope="module")
def scene() -> Any:
    return load_scene(SAMPLES / "scene")


def told(capsys: pytest.CaptureFixture[str], check: Any, answer: Any) -> str:
    """What a check says of a wrong answer."""
    with pytest.raises(CheckFailed):
        check(answer)
    return capsys.readouterr().out


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


def right_0504(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    found = torch.full((len(o),), torch.inf)
    t = torch.linspace(near, far, 4001)
    for ray in range(len(o)):
        inside = (f(o[ray] + t[:, None] * d[ray]) <= 0).nonzero()
        if len(inside):
            found[ray] = t[inside[0, 0]] - (t[1] - t[0]) / 2
    return found


def test_right_answers_pass(capsys: pytest.CaptureFixture[str]) -> None:
    checks.ex0501(right_0501)
    checks.ex0502(right_0502)
    checks.ex0503(right_0503)
    checks.ex0504(right_0504)
    assert capsys.readouterr().out.count("passed") == 4


def test_the_schedule_of_the_check_is_that_of_training() -> None:
    run = start_run(PROFILES["ci"], RunOptions(device="cpu", progress=False), {})
    optimiser = torch.optim.Adam([{"params": [torch.zeros(1)], "lr": 1.0, "start": 1.0}])
    for run.step in (0, 7, 30, 59):
        run._schedule(optimiser, (0.03, 0.003), 60)
        assert float(run.model.beta()) == pytest.approx(
            right_0501(run.step, 60, 0.03, 0.003), rel=1e-5
        )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, n, a, b: a + (b - a) * min(s / max(n - 1, 1) / 0.8, 1), "the same factor"),
        (lambda s, n, a, b: a * (b / a) ** (s / max(n - 1, 1)), "then stays"),
        (lambda s, n, a, b: a * (b / a) ** (s / max(n - 1, 1) / 0.8), "below its last value"),
        (lambda s, n, a, b: (a, b), "the specification (1,)"),
    ],
)
def test_slips_of_the_schedule(answer: Any, words: str, capsys: Any) -> None:
    assert words in told(capsys, checks.ex0501, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, b: np.linalg.norm(a[:, None] - b, axis=-1).min(1).mean(), "from a to b"),
        (lambda a, b: 2 * right_0502(a, b), "the sum of the two means"),
        (lambda a, b: np.zeros(3), "yours has the shape (1, 3)"),
    ],
)
def test_slips_of_the_distance(answer: Any, words: str, capsys: Any) -> None:
    assert words in told(capsys, checks.ex0502, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, b: np.radians(right_0503(a, b)), "radians"),
        (lambda a, b: np.degrees(np.arccos((a * b).sum(1))).mean(), "this is the mean"),
        (lambda a, b: np.degrees(np.median(np.arccos((a * b).sum(1).clip(0, 1)))), "hint"),
        (lambda a, b: np.degrees(np.median(np.arccos((a * b).sum(1)))), "if yours is nan"),
    ],
)
def test_slips_of_the_angle(answer: Any, words: str, capsys: Any) -> None:
    with np.errstate(invalid="ignore"):
        assert words in told(capsys, checks.ex0503, answer).lower()


def test_slips_along_a_ray(capsys: pytest.CaptureFixture[str]) -> None:
    def spec(f: Balls, o: Any, d: Any) -> Any:
        return f.roots(o, d)[0].amin(0)

    def coarse(f: Balls, o: Any, d: Any, near: float, far: float) -> Any:
        t = torch.linspace(near, far, 33)
        inside = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1) <= 0
        return torch.where(inside.any(1), t[inside.int().argmax(1)], torch.inf)

    def sphere_tracing(f: Balls, o: Any, d: Any, near: float, far: float) -> Any:
        t = torch.full((len(o),), near)
        for _ in range(60):
            t = t + f(o + t[:, None] * d)
        return torch.where(t < far, t, torch.inf)

    misses_far = told(capsys, checks.ex0504, lambda f, o, d, n, far: spec(f, o, d).clamp_max(far))
    assert "must give inf, not far" in misses_far
    last = told(
        capsys,
        checks.ex0504,
        lambda f, o, d, *_: (
            torch.where((e := f.roots(o, d)[0]).isfinite(), e, -torch.inf).amax(0).abs()
        ),
    )
    assert "nearer ones hide it" in last
    assert "case: rays at a ball" in told(capsys, checks.ex0504, coarse)
    tracing = told(capsys, checks.ex0504, sphere_tracing)
    assert "grows three times too fast" in tracing or "some of them miss" in tracing
    shape = told(capsys, checks.ex0504, lambda f, o, d, *_: spec(f, o, d)[:, None])
    assert "yours has the shape (9, 1)" in shape


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
    points = stages.plane_points(plane, load_scene(SAMPLES / "scene"))
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
        points = stages.plane_points(plane, scene)
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


def test_rays_of_a_camera_meet_the_head() -> None:
    head = Reconstruction.load(SAMPLES / "reconstruction")
    release = Release.load(SAMPLES / "release")
    camera = release.cameras[release.sensitive[7]]
    rays, near, far = stages.rays_of(head, camera)
    assert len(rays) == 64 * 64 and far - near == pytest.approx(2)
    t = right_0504(head.model.sdf, rays.origins[2080:2090], rays.directions[2080:2090], near, far)
    depth = head.render(release.cameras, release.sensitive[7]).depth.reshape(-1)[2080:2090]
    assert torch.allclose(t * head.radius, depth, atol=1.0)


# Table 1 ------------------------------------------------------------------------------------------


def test_the_papers_means() -> None:
    """FaceScape's are the means of their rows; those printed for H3DS are not."""
    facescape, h3ds = table1.PAPER
    assert facescape.means == pytest.approx(table1.PRINTED["FaceScape"], abs=1e-4)
    assert h3ds.means == pytest.approx((4.566, 3.136, 2.645), abs=1e-3)
    assert abs(h3ds.means[0] - table1.PRINTED["H3DS"][0]) > 0.1
    assert (facescape.ratio, h3ds.ratio) == pytest.approx((1.58, 1.185), abs=0.005)


def test_ours_are_read_from_the_study() -> None:
    study = table1.stored()
    made, scan = table1.ours(study)
    assert (len(made.ratios), len(scan.ratios)) == (10, 5)
    two = [study[f"cpu {head} 0 two-stage"]["final"]["distance_mean"] for head in range(101, 111)]
    assert made.means[1] == pytest.approx(mean(two))
    assert all(a > b > c for a, b, c in (g.means for g in (*table1.PAPER, made, scan)))
    pair = table1.without_stage_1(study)["made head 101"]
    assert pair[0] > pair[1] and pair[1] == pytest.approx(two[0])


def test_the_table_leaves_out_what_is_not_there() -> None:
    distances = {"distance_mean": 2.0, "normal_median_deg": 9.0}
    base = {"head": "7", "seed": 0, "profile": "cpu", "setting": "", "final": distances}
    study = {
        "a": base | {"method": "two-stage", "stage1": distances},
        "b": base | {"method": "full-rgb"},
        "c": base | {"method": "two-stage", "stage1": distances, "seed": 1},
        "d": base | {"method": "full-rgb", "profile": "ci", "seed": 1},
    }
    (made,) = table1.ours(study)
    assert made.runs == ((2.0,), (2.0,), (2.0,)) and made.ratio == 1
    text = table1.text((made,))
    assert "1.00  mm" in text and text.splitlines()[2].split() == ["9.0", "9.0", "9.0", "deg"]
    with pytest.raises(FileNotFoundError, match=r"no nothing\.json in benchmarks/results"):
        table1.stored("nothing")


# Figures and panel --------------------------------------------------------------------------------


def test_a_thin_wall_is_felt_only_near_by() -> None:
    misses = np.linspace(0, 0.3, 601)
    felt = {}
    for beta in (0.03, 0.012, 0.0015):
        pull = reconstruction_plots.reach(beta, misses)
        felt[beta] = float((pull > 0.05 * pull.max()).mean() * 0.3)
        step = 1e-6
        opacity = [
            1 - np.exp(-0.2 * 0.5 / beta * np.exp(-(0.01 + s) / beta)) for s in (-step, step)
        ]
        slope = abs(opacity[1] - opacity[0]) / (2 * step)
        assert reconstruction_plots.reach(beta, np.array([0.01]))[0] == pytest.approx(slope, 1e-3)
    assert felt[0.03] > 2 * felt[0.012] > 4 * felt[0.0015]


def test_errors_are_painted_where_they_are() -> None:
    ball = Mesh.from_trimesh(trimesh.creation.icosphere(subdivisions=3, radius=50.0))
    right = ball.vertices[:, 0] / 50  # -1 at the left of the picture, 1 at its right
    painted, hit = reconstruction_plots._painted(ball, right, "front", 40, np.zeros(3), 60.0)
    assert hit[20, 20] and not hit[0, 0]
    assert painted[20, 6] < -0.6 < 0.6 < painted[20, 33]
    figure = reconstruction_plots.error_row(
        {"a": ball, "plain": ball}, {"a": right}, limits=(0, 1), label="mm"
    )
    assert len(figure.axes) == 3  # two meshes and the colour bar


def test_figures_draw() -> None:
    groups = (*table1.PAPER, *table1.ours(table1.stored()))
    grey = np.full((8, 8, 3), 0.5, np.float32)
    for figure in (
        reconstruction_plots.who_feels(),
        reconstruction_plots.ratios(groups),
        reconstruction_plots.schedules(table1.stored("beta_schedule")),
        reconstruction_plots.bias([10, 100], {"a": [3.0, 2.0], "b": [2.0, 1.0]}, 1.5),
        reconstruction_plots.whose_colours(grey, grey, Operator("sobel"), normals=0 * grey),
        reconstruction_plots.two_depths(grey[..., 0], grey[..., 1] + np.eye(8)),
        stage_plots.progress(stages.load(), 300),
    ):
        assert len(widgets.View(figure, "").png()) > 1000


def test_the_panel_draws_every_setting() -> None:
    controls = panel.controls()
    rest = {name: control.value for name, control in controls.items()}
    for name, control in controls.items():
        for value in widgets.values_of(control):
            view = panel.picture(**rest | {name: value})
            assert "two stages: stage" in view.facts and "stage 2 alone: stage 2" in view.facts
            assert "dashed" in view.alt
    fog = panel.picture(panel.LAST, "level", "fog", 10.0)
    assert "fog that a beta of 10 mm" in fog.alt and len(fog.png()) > 1000


def test_stage_2_alone_waits_for_stage_1() -> None:
    assert "stage 2 alone: stage 2, step 0" in panel.picture(2, "profile", "distance", 0.0).facts
    end = panel.picture(panel.LAST, "profile", "distance", 0.0).facts
    assert end.count("step 1900") == 2


def test_the_twin_tells_all_its_settings() -> None:
    image = widgets.twin(panel.picture, panel.TWIN)
    assert image.alt.count("Two pictures of the") == len(panel.TWIN) == 4


def test_the_study_of_beta_says_what_the_lesson_says() -> None:
    """With footprints schedules are alike; with fog alone a wall from the start fails."""
    study = table1.stored("beta_schedule")
    ends = {
        coverage: [
            run["stage2"]["distance_mean"]
            for run in study.values()
            if run["coverage"] == coverage and run["seed"] == 0
        ]
        for coverage in ("footprint", "volume")
    }
    assert all(len(found) == 4 for found in ends.values())
    assert max(ends["footprint"]) - min(ends["footprint"]) < 0.2
    assert min(ends["volume"]) > max(ends["footprint"]) + 0.3
    assert study["volume, always a wall, seed 0"]["stage2"]["distance_mean"] > 5
