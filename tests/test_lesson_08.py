"""Lesson 8: its checks, its measures, its pictures, and the runs that it tells of."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from answers import failed
from PIL import Image

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.scenes.camera import custom_rig
from privhead_nb.teach import checks
from privhead_nb.teach.lesson08 import blend, few_views, panel, template_plots, template_runs
from privhead_nb.teach.lesson08.redistance import redistance
from privhead_nb.teach.widgets import values_of
from privhead_nb.training.make_template import PEOPLE

# Checks ------------------------------------------------------------------------------------------


def right_0801(points: Any, centers: Any, radii: Any) -> Any:
    away = points[:, None] - centers[None]
    length = np.linalg.norm(away, axis=-1)
    slope = (away / length[..., None]).mean(axis=1)
    return (length - radii).mean(axis=1), np.linalg.norm(slope, axis=-1)


def right_0803(towards: Any, count: int) -> list[int]:
    chosen = [0]
    while len(chosen) < count:
        gaps = [
            -1.0 if i in chosen else min(1 - towards[i] @ towards[j] for j in chosen)
            for i in range(len(towards))
        ]
        chosen.append(int(np.argmax(gaps)))
    return chosen


def right_0804(moduli: Any, shape: Any, reach: int) -> float:
    wide = np.zeros_like(shape)
    for view, row, column in np.argwhere(shape > 0):
        rows = slice(max(0, row - reach), row + reach + 1)
        wide[view, rows, max(0, column - reach) : column + reach + 1] = 1
    return float((moduli * (1 - wide)).sum() / moduli.sum())


def marching_0802(values: Any, step: float) -> Any:
    """Another way than the specification's: dense points on a refined zero line."""
    from scipy.ndimage import zoom
    from scipy.spatial import cKDTree
    from skimage.measure import find_contours

    fine = zoom(values, 8, order=1, grid_mode=False)
    scale = step * (values.shape[0] - 1) / (fine.shape[0] - 1)
    line = np.concatenate(find_contours(fine, 0.0)) * scale
    where = np.indices(values.shape).reshape(2, -1).T * step
    away = cKDTree(line).query(where)[0].reshape(values.shape)
    return np.where(values < 0, -away, away)


RIGHT = {
    "ex0801": (right_0801,),
    "ex0803": (right_0803, few_views.farthest_views),
    "ex0804": (right_0804,),
    "ex0802": (redistance, marching_0802),
}


@pytest.mark.parametrize("number", RIGHT)
def test_right_answers_pass(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    for answer in RIGHT[number]:
        getattr(checks, number)(answer)
        assert f"{number} passed" in capsys.readouterr().out


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("ex0801", lambda p, c, r: (right_0801(p, c, r)[0], np.ones(len(p))), "gradients first"),
    ("ex0801", lambda p, c, r: (-right_0801(p, c, r)[0], right_0801(p, c, r)[1]), "negative"),
    ("ex0801", lambda p, c, r: right_0801(p, c, r)[0], "the shape"),
    ("ex0803", lambda t, n: list(np.argsort(t @ t[0], kind="stable")[::-1][:1]) + list(
        np.argsort(t @ t[0], kind="stable")[: n - 1]), "not only with the first"),
    ("ex0803", lambda t, n: list(range(n)), "nearest view each time"),
    ("ex0803", lambda t, n: [0], "the shape"),
    ("ex0804", lambda m, s, r: 1 - right_0804(m, s, r), "share inside"),
    ("ex0804", lambda m, s, r: right_0804(m, s, 0), "not widened"),
    ("ex0802", lambda v, h: v, "that came in"),
    ("ex0802", lambda v, h: np.abs(redistance(v, h)), "negative"),
    ("ex0802", lambda v, h: redistance(v, h)[1:], "the shape"),
    ("ex0802", lambda v, h: "far", "not made of numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_slips_are_named(
    number: str, answer: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in failed(capsys, number, answer)


# Measures ----------------------------------------------------------------------------------------


def test_views_are_spread_and_refused() -> None:
    ring = np.radians(np.arange(0, 360, 30.0))
    towards = np.stack([np.sin(ring), 0 * ring, np.cos(ring)], axis=1)
    assert few_views.farthest_views(towards, 4) == [0, 6, 3, 9]
    assert few_views.largest_gap(towards, [0, 3, 6, 9]) == pytest.approx(30)
    assert few_views.largest_gap(towards, [0, 1, 2]) == pytest.approx(150)
    for count in (0, 13):
        with pytest.raises(ValueError, match="of 12 views"):
            few_views.farthest_views(towards, count)


def test_a_silhouette_is_where_the_ball_is() -> None:
    cameras, _, _ = custom_rig([(0, 0, 400), (400, 0, 0)], [0], size=64, fov_deg=30)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=60.0)
    mesh = Mesh(np.array(ball.vertices), np.array(ball.faces))
    shape = few_views.silhouettes(mesh, cameras)
    assert shape.shape == (2, 64, 64)
    # a ball of radius r seen from d covers a disc of radius f r / sqrt(d^2 - r^2)
    focal = 32 / np.tan(np.radians(15))
    wanted = np.pi * (focal * 60 / np.sqrt(400**2 - 60**2)) ** 2
    assert shape.sum(dim=(1, 2)).numpy() == pytest.approx([wanted, wanted], rel=0.08)


def test_what_a_release_says_of_a_shape() -> None:
    disc = (np.hypot(*np.indices((33, 33)) - 16) < 9)[None].astype(np.float32)
    edge = disc - disc * np.roll(disc, 1, 1) * np.roll(disc, -1, 1)
    edge = np.maximum(edge, disc - disc * np.roll(disc, 1, 2) * np.roll(disc, -1, 2))
    moduli, whole = torch.from_numpy(edge), torch.from_numpy(disc)
    small = torch.from_numpy((np.hypot(*np.indices((33, 33)) - 16) < 5)[None].astype(np.float32))
    large = torch.from_numpy((np.hypot(*np.indices((33, 33)) - 16) < 14)[None].astype(np.float32))
    assert few_views.signal_outside(moduli, whole) == 0
    assert few_views.signal_outside(moduli, small) > 0.9
    assert few_views.signal_outside(moduli, large) == 0
    assert few_views.empty_border(moduli, whole) < 0.1 < 0.9 < few_views.empty_border(moduli, large)


def test_what_is_left_of_a_template() -> None:
    rng = np.random.default_rng(0)
    template, noise = rng.normal(size=5000), rng.normal(size=5000)
    assert few_views.template_share(template, template) == pytest.approx(1)
    assert few_views.template_share(0.3 * template + 0.5 * noise, template) == pytest.approx(
        0.3, abs=0.03
    )
    assert abs(few_views.template_share(noise, template)) < 0.05


def test_a_repaired_distance_has_slope_one() -> None:
    axis = np.arange(-1, 1.001, 0.05)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    egg = (x / 0.7) ** 2 + (y / 0.4) ** 2 - 1
    repaired = redistance(egg, 0.05)
    assert np.array_equal(repaired < 0, egg < 0)
    slope = np.hypot(*np.gradient(repaired, 0.05))
    assert np.median(np.abs(slope - 1)) < 0.02
    disc = np.hypot(x, y) - 0.52
    assert np.abs(redistance(disc, 0.05) - disc).max() < 0.01
    with pytest.raises(ValueError, match="do not change"):
        redistance(np.ones((5, 5)), 1.0)


def test_the_stored_people_are_the_templates() -> None:
    """Ten lattices, under a megabyte; head 901's is what its formula says near the surface."""
    assert blend.FILE.stat().st_size < 1_000_000
    values = blend.people()
    assert values.shape == (len(PEOPLE), *(len(a) for a in blend.axes()))
    from privhead_nb.heads.head import make_head
    from privhead_nb.heads.synthetic import bounding_sphere

    head = make_head(PEOPLE[0])
    where = blend.points()[::97]
    stored = values[0].reshape(-1)[::97]
    near = np.abs(stored) < 0.03
    # the sphere from the stored outline itself: its lowest and highest, foremost and last points
    mesh = blend.surface_of(values[0])
    center, radius = bounding_sphere(mesh.vertices / blend.RADIUS)
    assert abs(radius - 1) < 0.05 and np.abs(center).max() < 0.05
    from privhead_nb.training.make_template import person

    one = person(PEOPLE[0])
    points = torch.from_numpy(where[near] * one.radius + np.array(one.center)).float()
    with torch.no_grad():
        formula = head.sdf(points).numpy() / one.radius
    assert np.median(np.abs(formula - stored[near])) < 0.004


@pytest.mark.parametrize("count", [0, 11])
def test_means_of_one_to_ten(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 10 people"):
        blend.mean_of(count)


def test_a_mean_is_less_steep_the_more_people_it_has() -> None:
    slopes = []
    for count in (1, 10):
        values = blend.mean_of(count)
        slopes.append(blend.slope_of(values)[np.abs(values) < blend.STEP].mean())
    assert slopes[0] > slopes[1] + 0.02 and slopes[0] > 0.9


# Pictures ----------------------------------------------------------------------------------------


def test_the_panel_draws_its_extremes() -> None:
    controls = panel.controls()
    assert set(controls) == {"people", "plane"}
    for people in (values_of(controls["people"])[0], values_of(controls["people"])[-1]):
        for plane in values_of(controls["plane"]):
            view = panel.picture(people, plane)
            image = Image.open(BytesIO(view.png()))
            assert image.size == (630, 285) and np.asarray(image.convert("L")).std() > 5
            assert f"{people} of 10 people" in view.facts and plane not in view.facts
            assert "grey head" in view.alt
    assert {frozenset(setting) for setting in panel.TWIN} == {frozenset(controls)}


@pytest.mark.parametrize(
    "draw",
    [
        template_plots.two_discs,
        template_plots.starts,
        template_plots.neutral_views,
        template_plots.sizes,
        template_plots.looks,
        template_plots.left_of_template,
        template_plots.near_whom,
    ],
)
def test_pictures_of_stored_runs_are_drawn(draw: Callable[[], Any]) -> None:
    figure = draw()
    figure.canvas.draw()
    data = BytesIO()
    figure.savefig(data, format="png")
    assert np.asarray(Image.open(data).convert("L")).std() > 5
    assert all(ax.has_data() for ax in figure.axes)


# Stored runs -------------------------------------------------------------------------------------


def test_the_stored_runs_are_of_held_out_heads_and_complete_in_themselves() -> None:
    found = template_runs.stored()
    assert {run["head"] for run in found} <= set(template_plots.HEADS)
    assert not {int(run["head"]) for run in found} & set(PEOPLE)
    for run in found:
        assert {"final", "losses", "bias", "looks", "machine", "cpu_seconds"} <= set(run)
        assert len(run["bias"]["to_people_mm"]) == len(PEOPLE)
        assert ("stage1" in run) == ("stage 1" in run["start"])


def test_intervals_and_differences() -> None:
    mean, half = template_runs.interval([1.0, 2.0, 3.0])
    assert (mean, round(half, 2)) == (2.0, 2.48)  # t of 2 degrees of freedom is 4.30
    assert np.isnan(template_runs.interval([1.0])[1])
    same = template_runs.differences("final.face_mm", "mean template", "mean template")
    assert same and not any(same)
