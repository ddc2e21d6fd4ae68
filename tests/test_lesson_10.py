"""Claims about lesson 10: checks know right from wrong, mixtures are what they say."""

from __future__ import annotations

import pytest
import torch
from wrong_answers.lesson_10 import one_by_one

from benchmarks.studies import transfers
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.head import make_head
from privhead_nb.lab import appearance
from privhead_nb.lab.framing import FRONT, portrait_cameras
from privhead_nb.teach import interactive, results
from privhead_nb.teach.lesson10 import mixed_heads, panel
from privhead_nb.teach.lesson10.checks import pairs_of, photos
from privhead_nb.teach.lesson10.mixed_heads import PEOPLE, PLACE, POINT, pictures

# Checks -------------------------------------------------------------------------------------------


def test_the_cases_try_what_they_should() -> None:
    hits, shape, colours, times = pairs_of(4, 3)
    assert (shape != colours).all() and 0 < hits.mean() < 1
    assert ((times[:, shape] * times[:, colours]).sum(1) == 0).any(), "a draw without a picture"
    for number in (3, 6):  # where an empty draw would move the interval
        _, shape, colours, times = pairs_of(number, 2 if number == 3 else 1, hit=1.0)
        assert 0.025 < ((times[:, shape] * times[:, colours]).sum(1) == 0).mean() < 0.5
    seen = {name: one_by_one(*case)[1] for name, case in photos().items()}
    assert seen["a wall that the camera faces"].all()
    assert not seen["points behind the wall"].all() and not seen["outside of the picture"].any()
    assert seen["a gap, and near the limit"].tolist() == [False, True, False]


# Mixtures -----------------------------------------------------------------------------------------


def test_mixtures_are_the_packages_transfers() -> None:
    whole = pictures("A")
    for way in (PLACE, POINT):
        assert torch.allclose(pictures("A", mixed_heads.colours("A", "A", way)), whole, atol=1e-5)
    points = mixed_heads.body("A").vertices[:300]
    exact = appearance.exact_head(PEOPLE["A"], PEOPLE["B"]).reflectance(points)
    assert torch.allclose(mixed_heads.colours("A", "B")[:300], exact, atol=1e-5)
    there = mixed_heads.colours("A", "B", POINT)[:300]
    assert torch.allclose(there, make_head(PEOPLE["B"]).reflectance(points), atol=1e-5)
    assert (there - exact).abs().mean() > 0.001
    assert (pictures("C", hair=False) - pictures("C")).abs().mean() > 0.01


def test_the_palette_sees_no_shape() -> None:
    picture = pictures("B")
    ours, mirrored = mixed_heads.palette(picture), mixed_heads.palette(picture.flip(2))
    assert torch.allclose(ours, mirrored, atol=1e-5)  # sums in another order
    assert mixed_heads.palette(torch.ones(1, 64, 64, 3)).isfinite().all()


# Stored -------------------------------------------------------------------------------------------


def test_who_learns_on_portraits_names_one_of_ten_meshes() -> None:
    """A network that learned on meshes names ten: the page prints it."""
    found = results.table("artefacts")["attacks"]["shape"]["mesh, two stems"]["sobel-64"]
    assert results.rate(found["rank1"]).value == pytest.approx(0.1)


def test_the_control_of_section_9_is_of_one_photograph_each_of_twenty_people() -> None:
    control = results.table("tables")["photograph"]
    for name in ("arcface_cnn", "triplet_cnn", "hog_lda", "pca_lda"):
        counted = [control[name][k]["pictures"] for k in ("own mesh", "another person's mesh")]
        assert counted == [40, 120]


def test_the_study_paints_what_a_photograph_sees() -> None:
    """A head's own photograph on its own surface: from aside near to a true portrait."""
    body, camera = mixed_heads.body("B"), portrait_cameras(FRONT)
    own = transfers.forged(body, pictures("B", angles=FRONT)[0], camera)
    true = pictures("B", angles=appearance.VIEWS[1:])
    other = transfers.forged(body, pictures("D", angles=FRONT)[0], camera)
    assert own.shape == true.shape
    assert (own - true).abs().mean() < 0.5 * (other - true).abs().mean()


# Pictures -----------------------------------------------------------------------------------------


def test_a_page_that_turns_is_small() -> None:
    body = mixed_heads.body("B", 8.0)
    mesh = Mesh(body.vertices.double().numpy(), body.faces.numpy())
    paint = {name: mixed_heads.colours("B", name, spacing=8.0).numpy() for name in "BCD"}
    figure = interactive.turning(dict.fromkeys(paint, mesh), paint)
    assert len(figure.to_json()) < 1_000_000
    assert [b["label"] for b in figure.layout.updatemenus[0].buttons] == list("BCD")
    assert sum(trace.visible for trace in figure.data) == 1
    assert len(figure.data[1].vertexcolor) == len(mesh.vertices)


def test_without_a_blend_the_panel_shows_the_shapes_owner() -> None:
    for own, other in panel.distances(**panel.SETTING | {"blend": 0.0}).values():
        assert own < 1e-5 < 0.1 < other
