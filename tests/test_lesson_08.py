"""Lesson 8: its checks, its measures, its pictures, and the runs that it tells of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.head import make_head
from privhead_nb.heads.synthetic import bounding_sphere
from privhead_nb.scenes.camera import custom_rig
from privhead_nb.teach.lesson08 import few_views, panel
from privhead_nb.teach.lesson08.runs import STARTS, means, runs
from privhead_nb.teach.results import frame
from privhead_nb.teach.widgets import values_of
from privhead_nb.training.make_template import PEOPLE, person

# Measures ----------------------------------------------------------------------------------------


def test_views_are_spread_and_refused() -> None:
    ring = np.radians(np.arange(0, 360, 30.0))
    towards = np.stack([np.sin(ring), 0 * ring, np.cos(ring)], axis=1)
    assert few_views.farthest_views(towards, 4) == [0, 6, 3, 9]
    for count in (0, 13):
        with pytest.raises(ValueError, match="of 12 views"):
            few_views.farthest_views(towards, count)


def test_a_silhouette_is_where_the_ball_is() -> None:
    cameras, _, _ = custom_rig([(0, 0, 400), (400, 0, 0)], [0], size=64, fov_deg=30)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=60.0)
    shape = few_views.silhouettes(Mesh(np.array(ball.vertices), np.array(ball.faces)), cameras)
    assert shape.shape == (2, 64, 64)
    # a ball of radius r seen from d covers a disc of radius f r / sqrt(d^2 - r^2)
    focal = 32 / np.tan(np.radians(15))
    wanted = np.pi * (focal * 60 / np.sqrt(400**2 - 60**2)) ** 2
    assert shape.sum(dim=(1, 2)).numpy() == pytest.approx([wanted, wanted], rel=0.08)


def test_what_a_release_says_of_a_shape() -> None:
    away = np.hypot(*np.indices((33, 33)) - 16)
    small, whole, large = (torch.from_numpy(away < r)[None].float() for r in (5, 9, 14))
    moduli = torch.from_numpy(np.abs(away - 8.5) < 0.7)[None].float()  # a ring at the disc's edge
    assert few_views.signal_outside(moduli, small) > 0.9
    for shape in (whole, large):
        assert few_views.signal_outside(moduli, shape) == 0
    assert few_views.empty_border(moduli, whole) < 0.1 < 0.9 < few_views.empty_border(moduli, large)


def test_the_stored_people_are_the_templates() -> None:
    """Ten lattices, under a megabyte; head 901's is what its formula says near the surface."""
    assert panel.FILE.stat().st_size < 1_000_000
    values = panel.lattices()
    assert values.shape == (len(PEOPLE), *panel.COUNTS)
    # the sphere from the stored outline itself: its lowest and highest, foremost and last points
    center, radius = bounding_sphere(panel.surface(values[0]).vertices / panel.RADIUS)
    assert abs(radius - 1) < 0.05 and np.abs(center).max() < 0.05
    one = person(PEOPLE[0])
    where = np.stack(np.meshgrid(*panel.axes(), indexing="ij"), axis=-1).reshape(-1, 3)[::97]
    stored = values[0].reshape(-1)[::97]
    near = np.abs(stored) < 0.03
    points = torch.from_numpy(where[near] * one.radius + np.array(one.center)).float()
    with torch.no_grad():
        formula = make_head(PEOPLE[0]).sdf(points).numpy() / one.radius
    assert np.median(np.abs(formula - stored[near])) < 0.004


# Pictures ----------------------------------------------------------------------------------------


def test_the_panel_says_how_steep_a_mean_is() -> None:
    controls = panel.controls()
    slopes = {}
    for people in (values_of(controls["people"])[0], values_of(controls["people"])[-1]):
        for plane in values_of(controls["plane"]):
            view = panel.picture(people, plane)
            assert f"{people} of 10 people" in view.facts and "grey head" in view.alt
            slopes[people] = float(view.facts.split()[-1])
    assert 0.9 < slopes[1] > slopes[10] + 0.02, "a mean is less steep the more people it has"


# Stored runs -------------------------------------------------------------------------------------


def test_the_stored_runs_are_of_held_out_heads_and_complete_in_themselves() -> None:
    found = frame("templates")
    assert set(found["head"]) == {"103", "104", "105"}
    assert not set(found["head"].astype(int)) & set(PEOPLE)
    whole = ["final.face_mm", "bias.share_face", "looks.empty_border", "machine", "cpu_seconds"]
    assert found[whole].notna().all(axis=None)
    assert (found["bias.to_people_mm"].map(len) == len(PEOPLE)).all()
    assert (found["stage1.face_mm"].notna() == found["start"].str.contains("stage 1")).all()


def test_means_are_over_the_heads_that_have_every_option() -> None:
    found, heads = means("final.face_mm", "start", STARTS)
    assert heads == ["103", "104"] and list(found.index) == list(STARTS)
    mine = [runs(start="sphere", head=head)["final.face_mm"].mean() for head in heads]
    assert found["sphere"] == pytest.approx(np.mean(mine))


def test_a_template_succeeds_and_a_sphere_fails_on_each_head() -> None:
    """Sections 4 and 5, at once and in stage 2 alone; the lesson's table has the means."""
    for head in ("103", "104", "105"):
        whole = {start: runs(start=start, head=head)["final.head_mm"].mean() for start in STARTS}
        assert whole["at once on a sphere"] > 3 * whole["at once on the template"]
        assert whole["sphere"] > 4 * whole["mean template"]
