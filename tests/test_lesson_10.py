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
from privhead_nb.lab.recognisers.stored import recogniser, shipped
from privhead_nb.teach import interactive, lab_runs, results
from privhead_nb.teach.lesson10 import mixed_heads, panel
from privhead_nb.teach.lesson10.checks import pairs_of, photos
from privhead_nb.teach.lesson10.mixed_heads import PEOPLE, PLACE, POINT, SURFACE, WAYS, pictures
from privhead_nb.teach.results import Interval

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


def everyone(way: str, **how: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures of everyone in the colours of each other one, and whose shape and colours."""
    pairs = [(a, b) for a in PEOPLE for b in PEOPLE if a != b]
    shown = [pictures(a, mixed_heads.colours(a, b, way), **how) for a, b in pairs]
    numbers = [
        torch.tensor([PEOPLE[pair[k]] for pair in pairs]).repeat_interleave(3) for k in (0, 1)
    ]
    return torch.cat(shown), *numbers


def known() -> torch.Tensor:
    return torch.cat([pictures(n, angles=FRONT) for n in PEOPLE])


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


def test_two_networks_of_equal_skill_disagree() -> None:
    """What section 5 says, with a margin."""
    nearer = {}
    for name in ("arcface_cnn", "triplet_cnn"):
        one = recogniser(name)
        gallery, numbers = one.embed(known())[0], torch.tensor(list(PEOPLE.values()))
        for way in (PLACE, POINT):
            shown, shape, whose = everyone(way)
            said = appearance.nearer(one.embed(shown)[0], shape, whose, gallery, numbers)
            nearer[name, way] = float(said.radiance_nearer.float().mean())
    assert nearer["arcface_cnn", POINT] > 0.9 > 0.6 < nearer["arcface_cnn", PLACE]
    assert nearer["triplet_cnn", PLACE] < 0.15
    for name in ("arcface_cnn", "triplet_cnn"):
        assert nearer[name, POINT] - nearer[name, PLACE] > 0.2


def test_shape_alone_names_four_people() -> None:
    shown = torch.cat([pictures(n, one_albedo=True) for n in PEOPLE])
    for one in shipped():
        first = (one.embed(shown)[0] @ one.embed(known())[0].T).argmax(1)
        assert (first == torch.arange(4).repeat_interleave(3)).float().mean() > 0.8


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


def test_who_learns_on_meshes_names_ten_of_ten() -> None:
    found = results.table("artefacts")["attacks"]["shape"]["mesh, network"]["sobel-64"]
    assert (found["probes"], found["gallery"]) == (10, 100)
    assert results.rate(found["rank1"]).value == 1.0
    assert 0.69 <= results.rate(found["rank1"]).low < 0.7
    portraits = results.table("artefacts")["attacks"]["shape"]["mesh, two stems"]["sobel-64"]
    assert results.rate(portraits["rank1"]).value == pytest.approx(0.1)


def test_a_photograph_holds_on_its_own_mesh_and_seldom_on_anothers() -> None:
    """The control of section 9: one photograph each of twenty people, among thirty."""
    control = results.table("tables")["photograph"]
    assert control["known"] == 30
    for name in ("arcface_cnn", "triplet_cnn", "hog_lda", "pca_lda"):
        found = control[name]
        own, other = (found[kind] for kind in ("own mesh", "another person's mesh"))
        assert (own["pictures"], other["pictures"]) == (40, 120)
        named = [results.rate(kind["named_photographed"]) for kind in (own, other)]
        assert named[0].low > named[1].value
        assert own["to_photographed"][2] < other["to_photographed"][0]
        if name.endswith("cnn"):
            assert named[0].value == 1.0 and 0.3 < named[1].value < 0.4 and named[1].high < 0.6
            assert own["to_photographed"][0] < 1.3 * found["true portrait"]["to_photographed"][0]
            assert other["to_photographed"][0] > 2.7 * own["to_photographed"][0]
            assert results.rate(found["mean head"]["named_photographed"]).high <= 0.8


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
