"""Claims about lesson 10: checks know right from wrong, mixtures are what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.head import make_head
from privhead_nb.lab import appearance
from privhead_nb.lab.framing import FRONT, portrait_cameras
from privhead_nb.lab.raster import render_mesh
from privhead_nb.lab.recognisers.stored import recogniser, shipped
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, interactive, lab_runs, results, widgets
from privhead_nb.teach.lesson10 import mixed_heads, panel
from privhead_nb.teach.lesson10.checks import pairs_of, photos
from privhead_nb.teach.lesson10.mixed_heads import PEOPLE, PLACE, POINT, SURFACE, WAYS, pictures
from privhead_nb.teach.results import Interval
from privhead_nb.training.reconstruction import Reconstruction

# Checks -------------------------------------------------------------------------------------------


def right_1001(points, distance, gradient):
    unit = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
    return points - (distance / np.linalg.norm(gradient, axis=1))[:, None] * unit


def right_1002(pictures, gallery, shape, colours):
    table = np.array(
        [[1 - p @ g / np.linalg.norm(p) / np.linalg.norm(g) for g in gallery] for p in pictures]
    )
    picked = [[row[s], row[c]] for row, s, c in zip(table, shape, colours, strict=True)]
    return *np.array(picked).T, [int(np.argmin(row)) for row in table]


def right_1003(hits, shape, colours, times):
    shares = []
    for row in times:
        weights = [row[s] * row[c] for s, c in zip(shape, colours, strict=True)]
        if sum(weights):
            shares.append(np.dot(weights, hits) / sum(weights))
    return np.quantile(shares, 0.025), np.quantile(shares, 0.975)


def right_1004(points, picture, depth, K, c2w):
    colours, seen = np.zeros((len(points), 3)), np.zeros(len(points), bool)
    w2c = np.linalg.inv(c2w)
    for number, point in enumerate(points):
        p = w2c[:3, :3] @ point + w2c[:3, 3]
        u, v, w = K @ p
        column, row = int(np.floor(u / w)), int(np.floor(v / w))
        inside = 0 <= row < len(depth) and 0 <= column < len(depth[0])
        if inside and p[2] > 0 and depth[row, column] > 0 and p[2] <= depth[row, column] + 8:
            colours[number], seen[number] = picture[row, column], True
    return colours, seen


RIGHT = {"ex1001": right_1001, "ex1002": right_1002, "ex1003": right_1003, "ex1004": right_1004}


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(checks, number)(RIGHT[number])
    assert capsys.readouterr().out.startswith(f"{number} passed: ")


def no_transpose(points, picture, depth, K, c2w):
    wrong = c2w.copy()
    wrong[:3, :3] = c2w[:3, :3].T
    return right_1004(points, picture, depth, K, wrong)


def rows_are_columns(points, picture, depth, K, c2w):
    square = np.pad(picture, ((0, 2), (0, 0), (0, 0))), np.pad(depth, ((0, 2), (0, 0)))
    swapped = (a.swapaxes(0, 1)[:6] for a in square)
    return right_1004(points, *swapped, K, c2w)


def through_the_head(points, picture, depth, K, c2w):
    return right_1004(points, picture, np.where(depth > 0, 1e6, 0), K, c2w)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


SLIPS: dict[str, list[tuple[Callable[..., Any], str]]] = {
    "ex1001": [
        (lambda x, f, g: x - f[:, None] * g, "gradient's length squared"),
        (lambda x, f, g: x - f[:, None] * unit(g), "divides by the length once"),
        (lambda x, f, g: 2 * x - right_1001(x, f, g), "go against it"),
    ],
    "ex1002": [
        (lambda p, g, s, c: right_1002(p, g, c, s), "changed places"),
        (
            lambda p, g, s, c: (
                1 - (p @ g.T)[range(len(p)), s],
                1 - (p @ g.T)[range(len(p)), c],
                (1 - p @ g.T).argmin(1),
            ),
            "wants unit vectors",
        ),
        (
            lambda p, g, s, c: (
                *(a := right_1002(p, g, s, c))[:2],
                np.where(a[0] < a[1], s, c),
            ),
            "may be neither",
        ),
    ],
    "ex1003": [
        (
            lambda h, s, c, t: np.quantile((t[:, s] @ h) / t[:, s].sum(1), [0.025, 0.975]),
            "multiply how often both",
        ),
        (
            lambda h, s, c, t: np.quantile(
                ((t[:, s] + t[:, c]) @ h) / (t[:, s] + t[:, c]).sum(1), [0.025, 0.975]
            ),
            "multiply the two counts",
        ),
    ],
    "ex1004": [
        (no_transpose, "need its transpose"),
        (through_the_head, "far side"),
        (rows_are_columns, "rows go with v"),
    ],
}


@pytest.mark.parametrize(
    ("number", "slip", "words"),
    [(number, slip, words) for number, slips in SLIPS.items() for slip, words in slips],
)
def test_a_slip_is_recognised(
    number: str, slip: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in failed(capsys, number, slip)


def test_a_wrong_shape_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "has the shape" in failed(capsys, "ex1001", lambda x, f, g: x[:-1])
    assert "has the shape" in failed(
        capsys, "ex1002", lambda p, g, s, c: right_1002(p, g, s, c)[:2]
    )
    assert "has the shape" in failed(capsys, "ex1003", lambda *_: 0.5)


def test_the_cases_try_what_they_should() -> None:
    hits, shape, colours, times = pairs_of(4, 3)
    assert (shape != colours).all() and 0 < hits.mean() < 1
    assert ((times[:, shape] * times[:, colours]).sum(1) == 0).any(), "a draw without a picture"
    seen = {name: right_1004(*case)[1] for name, case in photos().items()}
    assert seen["a wall that the camera faces"].all()
    assert not seen["points behind the wall"].all() and not seen["outside of the picture"].any()
    assert seen["a gap, and near the limit"].tolist() == [False, True, False]


# Mixtures -----------------------------------------------------------------------------------------


def test_a_step_ends_on_the_surface() -> None:
    ball = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator()), dim=1)
    x = 1.7 * ball
    value = x.norm(dim=1) ** 2 - 1  # not a distance: its slope is not one
    once = mixed_heads.snapped(x, value, 2 * x)
    assert (once.norm(dim=1) - 1).abs().max() < 0.4 * 0.7
    plane = mixed_heads.snapped(x, 3 * x[:, 2], torch.tensor([[0.0, 0, 3]]).expand(20, 3))
    assert plane[:, 2].abs().max() < 1e-6 and torch.equal(plane[:, :2], x[:, :2])


def test_mixtures_are_the_packages_transfers() -> None:
    whole = pictures("A", "A")
    for way in (POINT, SURFACE):
        assert torch.equal(pictures("A", "A", way), whole)
    assert torch.equal(pictures("A", "B", blend=0.0), whole)
    points = mixed_heads.body("A").vertices[:300]
    exact = appearance.exact_head(PEOPLE["A"], PEOPLE["B"]).reflectance(points)
    assert torch.allclose(mixed_heads.colours("A", "B")[:300], exact, atol=1e-5)
    there = mixed_heads.colours("A", "B", POINT)[:300]
    assert torch.allclose(there, make_head(PEOPLE["B"]).reflectance(points), atol=1e-5)
    assert (there - exact).abs().mean() > 0.001
    masked = pictures("C", "C", hair=False)
    assert (masked - pictures("C", "C")).abs().mean() > 0.01


def test_the_palette_sees_no_shape() -> None:
    picture = pictures("B", "B")
    ours, mirrored = mixed_heads.palette(picture), mixed_heads.palette(picture.flip(2))
    assert torch.allclose(ours, mirrored, atol=1e-5)  # sums in another order
    assert mixed_heads.palette(torch.ones(1, 64, 64, 3)).isfinite().all()


def test_two_networks_of_equal_skill_disagree() -> None:
    """What section 5 says, with a margin."""
    ways = (PLACE, POINT)
    arc, triplet = (
        {way: mixed_heads.asked(recogniser(n), way).radiance_nearer.float().mean() for way in ways}
        for n in ("arcface_cnn", "triplet_cnn")
    )
    assert arc[POINT] > 0.9 > 0.6 < arc[PLACE] and triplet[PLACE] < 0.15
    assert min(d[POINT] - d[PLACE] for d in (arc, triplet)) > 0.2


def test_shape_alone_names_four_people() -> None:
    known = mixed_heads.gallery()[0]
    shown = torch.cat([pictures(n, n, one_albedo=True) for n in PEOPLE])
    for one in shipped():
        first = (one.embed(shown)[0] @ one.embed(known)[0].T).argmax(1)
        assert (first == torch.arange(4).repeat_interleave(3)).float().mean() > 0.8


def test_a_grey_mesh_is_named_among_five_and_one_photograph_does_the_rest() -> None:
    seven = Reconstruction.load(SAMPLES / "reconstruction")
    grey = render_mesh(seven.mesh, portrait_cameras(appearance.VIEWS))
    forged = mixed_heads.forged(seven.mesh, mixed_heads.photo(), portrait_cameras(FRONT))
    for name in ("arcface_cnn", "triplet_cnn"):
        one = recogniser(name)
        assert (mixed_heads.to_five(one, grey).argmin(1) == 4).all()
        distance = mixed_heads.to_five(one, forged)
        assert (distance[:, 4] < 0.6 * distance[:, :4].min(1).values).all()


# Stored -------------------------------------------------------------------------------------------


def test_what_the_lesson_says_of_the_study() -> None:
    study = results.table("tables")["appearance"]

    def nearer(name: str, arm: str) -> Interval:
        return results.rate(study[name][arm]["radiance_nearer"])

    for name in ("arcface_cnn", "triplet_cnn", "hog_lda", "pca_lda"):
        assert nearer(name, "generator").high < 0.35
        for way in WAYS[1:]:
            ours, full = (nearer(name, f"{s} shapes, {way}").value for s in ("our", "full-RGB"))
            assert abs(ours - full) < 0.1 and abs(full - 0.5) < 0.4
    for name in ("arcface_cnn", "triplet_cnn"):
        for shape in ("full-RGB", "our"):
            by_point = nearer(name, f"{shape} shapes, {POINT}")
            assert by_point.low > nearer(name, "generator").high
    assert nearer("arcface_cnn", f"our shapes, {SURFACE}").low > 0.5
    for name in ("hog_lda", "pca_lda"):
        assert nearer(name, f"our shapes, {POINT}").value < 0.4


def test_what_the_lesson_says_of_grey_meshes_among_a_hundred() -> None:
    among = lab_runs.table2("rank1")
    for name in ("arcface_cnn", "triplet_cnn"):
        assert among["rendered mesh"][name].value < 0.1 < 0.2 < among["our rendering"][name].value
        assert among["original"][name].value > 0.9
    for name in ("hog_lda", "pca_lda"):
        assert among["rendered mesh"][name].low > 0.1


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


def test_the_panel_draws_at_the_ends_of_every_control() -> None:
    for name, control in panel.controls().items():
        values = widgets.values_of(control)
        for value in (values[0], values[-1]):
            view = panel.picture(**panel.SETTING | {name: value})
            assert len(view.png()) > 1000 and len(view.alt) > 80 and "arcface_cnn" in view.facts
    for own, other in panel.distances(**panel.SETTING | {"blend": 0.0}).values():
        assert own < 1e-5 < 0.1 < other
