"""Claims about lesson 10: checks know right from wrong, mixtures are what they say."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed
from PIL import Image

from privhead_nb.heads.head import make_head
from privhead_nb.lab import appearance
from privhead_nb.lab.recognition.stored import recogniser
from privhead_nb.lab.renders import portrait_cameras, render_mesh
from privhead_nb.teach import checks, lab_runs, widgets
from privhead_nb.teach.lesson10 import mixed_heads, panel, transfer_plots, transfer_runs
from privhead_nb.teach.lesson10.checks import _pairs, _photos
from privhead_nb.teach.lesson10.mixed_heads import PEOPLE, PLACE, POINT, SURFACE

ROOT = Path(__file__).parents[1]
from benchmarks.studies import tables as tables_study  # noqa: E402

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
    "ex1004": [(no_transpose, "need its transpose"), (through_the_head, "far side")],
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
    hits, shape, colours, times = _pairs(4, 3)
    assert (shape != colours).all() and 0 < hits.mean() < 1
    assert ((times[:, shape] * times[:, colours]).sum(1) == 0).any(), "a draw without a picture"
    seen = {name: right_1004(*case)[1] for name, case in _photos().items()}
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
    before, after = mixed_heads.gaps("A", "C")
    assert before > 1.5 and after < 0.5


def test_a_head_in_its_own_colours_is_itself_whatever_the_way() -> None:
    whole = mixed_heads.pictures("A", "A")
    for way in (POINT, SURFACE):
        assert torch.equal(mixed_heads.pictures("A", "A", way), whole)
    assert torch.equal(mixed_heads.pictures("A", "B", blend=0.0), whole)


def test_mixtures_are_the_packages_transfers() -> None:
    points = mixed_heads.body("A").vertices[:300]
    exact = appearance.exact_head(PEOPLE["A"], PEOPLE["B"]).reflectance(points)
    assert torch.allclose(mixed_heads.colours("A", "B")[:300], exact, atol=1e-5)
    there = mixed_heads.colours("A", "B", POINT)[:300]
    assert torch.allclose(there, make_head(PEOPLE["B"]).reflectance(points), atol=1e-5)
    assert (there - exact).abs().mean() > 0.001


def test_one_albedo_hides_the_colours_and_masked_hair_is_grey() -> None:
    a, b = (mixed_heads.pictures("C", n, one_albedo=True) for n in "CB")
    assert torch.equal(a, b)
    masked, whole = (mixed_heads.pictures("C", "C", hair=h) for h in (False, True))
    assert (masked - whole).abs().mean() > 0.01


def test_the_palette_sees_no_shape() -> None:
    picture = mixed_heads.pictures("B", "B")
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
    for name in ("arcface_cnn", "triplet_cnn", "hog_lda", "pca_lda"):
        assert mixed_heads.halves(recogniser(name))["shape alone"] > 0.8
    assert mixed_heads.halves(recogniser("hog_lda"))["colours alone"] < 0.5


def test_a_grey_mesh_is_named_among_five_and_one_photograph_does_the_rest() -> None:
    seven = mixed_heads.sample()
    grey = render_mesh(seven.mesh, portrait_cameras(appearance.VIEWS))
    forged = mixed_heads.forged(seven.mesh, *mixed_heads.photo())
    for name in ("arcface_cnn", "triplet_cnn"):
        one = recogniser(name)
        assert (mixed_heads.to_five(one, grey).argmin(1) == 4).all()
        distance = mixed_heads.to_five(one, forged)
        assert (distance[:, 4] < 0.6 * distance[:, :4].min(1).values).all()


# Stored -------------------------------------------------------------------------------------------

ENTRY = {
    "to_geometry": [0.5, 0.45, 0.55],
    "to_radiance": [0.4, 0.35, 0.45],
    "radiance_nearer": [0.7, 0.6, 0.8],
    "named_geometry": [0.1, 0.05, 0.2],
    "named_radiance": "no face was found",
}


def made_up() -> dict[str, Any]:
    """A part of the study's shape, with numbers that nobody measured."""
    arms = {arm: copy.deepcopy(ENTRY) for arm in transfer_runs.ARMS}
    arms["our shapes, same point"]["radiance_nearer"] = [0.3, 0.2, 0.4]
    arms["generator"]["radiance_nearer"] = [0.5, 0.4, 0.6]
    entry = {"own shape and colours": [0.1, 0.05, 0.15], **arms}
    return {"command": "x", "generator": 1, "study": {"people": 10}, "one": entry, "two": entry}


def test_a_stored_study_is_read(tmp_path: Path) -> None:
    file = tmp_path / "tables.json"
    assert transfer_runs.stored(file) is None
    file.write_text(json.dumps({"cosine": {}}))
    assert transfer_runs.stored(file) is None and "not stored" in transfer_runs.table(None)
    file.write_text(json.dumps({"appearance": made_up()}))
    part = transfer_runs.stored(file)
    assert part is not None and transfer_runs.recognisers(part) == ["one", "two"]
    lines = transfer_runs.table(part).splitlines()
    assert len(lines) == 1 + 2 * len(transfer_runs.ARMS)
    assert [line.split(": ")[-1] for line in lines[1:5]] == [
        "undecided", "colours", "colours", "shape"
    ]  # fmt: skip
    assert transfer_runs.rate(part, "one", "generator", "named_radiance") is None
    assert transfer_runs.side(None) == "not known"


def test_its_arms_are_those_of_the_study() -> None:
    """The names that `transfers.field_transfers` and the study write."""
    source = (ROOT / "privhead_nb/lab/transfers.py").read_text(encoding="utf-8")
    for word in {a.split(", ")[0] for a in transfer_runs.ARMS[1:]} | {POINT, SURFACE}:
        assert f'"{word}"' in source or f"'{word}'" in source
    assert '"generator": mixed' in Path(tables_study.__file__).read_text(encoding="utf-8")


def test_what_is_stored_can_be_shown() -> None:
    part = transfer_runs.stored()
    assert part is not None and len(transfer_runs.recognisers(part)) == 4
    for name in transfer_runs.recognisers(part):
        for arm in transfer_runs.ARMS:
            share = transfer_runs.rate(part, name, arm, "radiance_nearer")
            assert share is not None and 0 <= share[1] <= share[0] <= share[2] <= 1
    assert drawn(transfer_plots.study(part)) and drawn(transfer_plots.kept_sheet())
    assert transfer_runs.named(part).count("\n") == 8


def test_what_the_lesson_says_of_the_study() -> None:
    part = transfer_runs.stored()
    assert part is not None

    def share(name: str, arm: str) -> transfer_runs.Three:
        found = transfer_runs.rate(part, name, arm, "radiance_nearer")
        assert found is not None
        return found

    for name in transfer_runs.recognisers(part):
        assert share(name, "generator")[2] < 0.35
        for shape in ("full-RGB", "our"):
            assert abs(share(name, f"{shape} shapes, {POINT}")[0] - 0.5) < 0.4
    for name in ("arcface_cnn", "triplet_cnn"):
        for shape in ("full-RGB", "our"):
            assert share(name, f"{shape} shapes, {POINT}")[1] > share(name, "generator")[2]
    assert transfer_runs.side(share("arcface_cnn", f"our shapes, {SURFACE}")) == "colours"
    for name in ("hog_lda", "pca_lda"):
        assert share(name, f"our shapes, {POINT}")[0] < 0.4
    for way in (POINT, SURFACE):
        for name in transfer_runs.recognisers(part):
            ours, full = (share(name, f"{s} shapes, {way}")[0] for s in ("our", "full-RGB"))
            assert abs(ours - full) < 0.1


def test_what_the_lesson_says_of_grey_meshes_among_a_hundred() -> None:
    among = lab_runs.table2("rank1")
    assert among is not None
    for name in ("arcface_cnn", "triplet_cnn"):
        assert among[name]["rendered mesh"].value < 0.1 < 0.2 < among[name]["our rendering"].value
        assert among[name]["original"].value > 0.9
    for name in ("hog_lda", "pca_lda"):
        assert among[name]["rendered mesh"].low > 0.1


# Pictures -----------------------------------------------------------------------------------------


def drawn(figure: Any) -> bool:
    image = np.asarray(Image.open(BytesIO(widgets.View(figure, "").png())).convert("L"))
    return bool(image.std() > 10)


def test_the_figures_draw() -> None:
    one = recogniser("pca_lda")
    assert drawn(transfer_plots.table_of_mixtures())
    assert drawn(transfer_plots.steps_to_surface("A", "C"))
    assert drawn(transfer_plots.scatter({"one": {PLACE: mixed_heads.asked(one)}}))
    assert drawn(transfer_plots.study(made_up()))


def test_a_page_that_turns_is_small() -> None:
    mesh, colours = mixed_heads.to_turn("B")
    figure = transfer_plots.turning(mesh, {name: colours[name] for name in "BCD"})
    assert len(figure.to_json()) < 1_000_000 and len(mesh.vertices) < 2**15
    assert [b["label"] for b in figure.layout.updatemenus[0].buttons] == list("BCD")
    assert sum(trace.visible for trace in figure.data) == 1


def test_the_panel_draws_at_the_ends_of_every_control() -> None:
    for name, control in panel.controls().items():
        values = widgets.values_of(control)
        for value in (values[0], values[-1]):
            view = panel.picture(**panel._REST | {name: value})
            assert drawn(view.figure) and len(view.alt) > 80 and "arcface_cnn" in view.facts


def test_the_panels_distances_are_zero_for_oneself() -> None:
    shown = mixed_heads.pictures("B", "B", angles=((0.0, 0.0),))
    for one in panel.judges():
        own, other = transfer_plots.distances(one, shown, "B", "D")
        assert own < 1e-5 < 0.1 < other


def test_the_twin_tells_all_its_settings() -> None:
    image = widgets.twin(panel.picture, panel.TWIN, columns=1)
    alt = image._repr_mimebundle_()[1]["image/png"]["alt"]
    assert alt.count("Three portraits") == len(panel.TWIN)
