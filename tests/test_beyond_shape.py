"""Twins share a shape but not their colours: how well they are told apart, and what is chance."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from benchmarks.studies.colour_reader import ReaderLearning, learn_reader, learn_ridge
from benchmarks.studies.face_colours import (
    ColourSpace,
    colour_difference,
    face_colours,
)
from benchmarks.studies.twin_attack import as_protect
from benchmarks.studies.twin_scores import (
    Likelihood,
    Vectors,
    colours_from,
    error_removed,
    named,
)
from benchmarks.studies.twins import FRONTAL, VIEW, TwinPlan, Twins, colours_of, group_of_twins, lit
from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.lab import faces
from privhead_nb.lab.raster import rasterize, surface_mesh
from privhead_nb.privacy.operators import Operator

SMALL = TwinPlan(twins=3, views=2, faces=1, neutral=0, behind=0)


@pytest.fixture(scope="module")
def three() -> Twins:
    """Three twins of one shape."""
    return group_of_twins(40_000, SMALL)


def random_codes(count: int, seed: int = 0) -> Tensor:
    """(count, 24) albedo codes."""
    return torch.rand(count, 24, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# Twins --------------------------------------------------------------------------------------------


def test_twins_differ_in_colour_and_in_nothing_else(three: Twins) -> None:
    front = three.only(three.role == FRONTAL)
    whole, plain = front.rgb(), front.rgb("one albedo")
    assert len(front) == 3 and len(front.albedo.unique(dim=0)) == 3
    assert (plain == plain[:1]).all(), "in one albedo nothing is left to tell twins apart"
    outside = (whole == 1).all(-1)
    assert (outside == outside[:1]).float().mean() > 0.995, "they share their outline"
    assert all(float((whole[i] - whole[j]).abs().mean()) > 0.005 for i, j in ((0, 1), (1, 2)))


def test_light_worked_out_once_gives_the_same_pictures() -> None:
    from privhead_nb.heads.head import make_head
    from privhead_nb.heads.light import LIGHTS
    from privhead_nb.lab.framing import portrait_cameras

    seen = rasterize(surface_mesh(make_head(40_001), 6.0), portrait_cameras(((20.0, 0.0),)))
    light = LIGHTS["warm"][None]
    off = lit(seen, light).int() - faces.variants(seen, light).int()
    assert int(off.abs().max()) <= 1


def test_colours_of_twins_are_nobody_elses() -> None:
    everybody = [set(colours_of(shape, 20)) for shape in (30_000, 30_001, 40_000, 50_000, 50_249)]
    assert sum(map(len, everybody)) == len(set.union(*everybody)) == 100
    shapes = {n for group in faces.GROUPS for n in faces.people(group, 2000)}
    assert not shapes & set.union(*everybody)
    for shape, twins in ((50_250, 20), (7, 20), (55_000, 1)):
        with pytest.raises(LabError, match="first"):
            colours_of(shape, twins)


# Colours ------------------------------------------------------------------------------------------


def test_colour_error_is_zero_at_the_truth_and_largest_where_skin_differs() -> None:
    codes = torch.zeros(3, 24)
    codes[1, 0], codes[2, 8] = 1.0, 1.0  # light skin; another iris
    colours = face_colours(codes)
    none = colour_difference(colours, colours)
    assert all(float(value.max()) == 0 for value in none.values())
    off = colour_difference(colours[1:], colours[:1].expand(2, -1, -1))
    assert off["face"][0] > 10 and off["face"][1] < 1
    assert off["eyes"][1] > 3 * off["skin"][1]


def test_error_removed_is_one_at_the_truth_zero_at_the_mean_and_negative_when_shuffled() -> None:
    codes, shape = random_codes(24, 1), torch.arange(24) // 4
    space = ColourSpace.of(face_colours(random_codes(50, 2)), 40)
    truth = space.coordinates(face_colours(codes))
    best = error_removed(truth, codes, shape, space)
    none = error_removed(torch.zeros_like(truth), codes, shape, space)
    null = error_removed(truth, codes, shape, space, shuffled=True)
    assert best["removed"][0] > 0.6
    assert none["removed"] == [0.0, 0.0, 0.0] or abs(none["removed"][0]) < 1e-6
    assert null["removed"][2] < 0
    assert none["delta_e"]["guess"] == none["delta_e"]["mean_skin"]


# Scores -------------------------------------------------------------------------------------------


def vectors_of(groups: int, noise: float, pictures: int = 4) -> tuple[Vectors, Vectors]:
    """Probes and gallery of ten twins in each group, whose groups lie far apart."""
    random = torch.Generator().manual_seed(0)
    twin = torch.arange(10 * groups)
    middle = 50 * torch.randn(groups, 8, generator=random)
    own = middle[twin // 10] + torch.randn(len(twin), 8, generator=random)
    many = twin.repeat_interleave(pictures)
    off = noise * torch.randn(len(many), 8, generator=random)
    return Vectors(own[many] + off, many, many // 10), Vectors(own, twin, twin // 10)


def test_twins_are_named_where_vectors_tell_and_at_chance_where_they_do_not() -> None:
    probes, gallery = vectors_of(12, 0.05)
    told = named(probes, gallery, Likelihood.learned(probes))
    assert told["one"]["rank1"][0] > 0.98 and told["together"]["fnmr"][0] < 0.1
    null = named(probes, gallery, Likelihood.learned(probes), shuffled=True)["together"]["rank1"]
    assert null[1] <= 0.1 <= null[2] and null[2] - null[1] < 0.1
    lost = vectors_of(12, 300.0)
    assert 0.04 < named(*lost, Likelihood.learned(probes))["one"]["rank1"][0] < 0.17
    same = probes.map(torch.zeros_like), gallery.map(torch.zeros_like)
    assert named(*same, Likelihood.learned(probes))["one"]["rank1"][0] == pytest.approx(0.1)


def test_pictures_together_tell_more_than_one() -> None:
    probes, gallery = vectors_of(12, 1.5)
    found = named(probes, gallery, Likelihood.learned(probes))
    assert found["together"]["rank1"][0] > found["one"]["rank1"][0] + 0.1


def test_directions_that_change_from_picture_to_picture_count_for_little() -> None:
    probes, gallery = vectors_of(12, 0.3)
    random = torch.Generator().manual_seed(5)
    loud = torch.tensor([40.0, 0, 0, 0, 0, 0, 0, 0])
    noisy, known = (
        x.map(lambda v: v + loud * torch.randn(v.shape, generator=random))
        for x in (probes, gallery)
    )
    learned = named(noisy, known, Likelihood.learned(noisy))["one"]["rank1"][0]
    assert learned > 0.5
    alike = Likelihood(torch.eye(8).double(), torch.eye(8).double())
    assert named(noisy, known, alike)["one"]["rank1"][0] < learned - 0.3


def test_ridge_reads_a_linear_map_and_gives_the_mean_where_there_is_none() -> None:
    random = torch.Generator().manual_seed(0)
    x, weights = (torch.randn(*s, generator=random) for s in ((120, 5), (5, 2)))
    groups = torch.arange(120) // 4
    good = learn_ridge(x, x @ weights + 3, groups)
    assert (good(x) - (x @ weights + 3)).abs().max() < 0.05
    y = torch.randn(120, 2, generator=random)
    assert learn_ridge(x, y, groups)(x).std() < 0.3 * y.std()
    held = Vectors(x, torch.arange(120), groups)
    assert colours_from(held, x @ weights)(x).shape == (120, 2)


# The attack ---------------------------------------------------------------------------------------


def flat_twins(shapes: int, twins: int, pictures: int) -> Twins:
    """Discs, as large as their shape says, as bright as their first albedo code."""
    random = torch.Generator().manual_seed(3)
    who = torch.arange(shapes * twins).repeat_interleave(pictures)
    shape = who // twins
    codes = torch.rand(shapes * twins, 24, generator=random) * 2 - 1
    grid = torch.arange(64) - 31.5
    reach = (grid[:, None] ** 2 + grid**2).sqrt()
    inside = (reach < 8 + 2 * shape[:, None, None]).float()[..., None]
    shade = (0.45 + 0.3 * codes[who, 0])[:, None, None, None]
    picture = 1 - inside * (1 - shade.expand(-1, 64, 64, 3))
    three = picture.mul(255).round().byte()[:, None].expand(-1, 3, -1, -1, -1)
    return Twins(who, shape, codes[who], torch.full_like(who, VIEW), torch.zeros(len(who)), three)


def test_a_reader_reads_brightness_off_moduli_of_shapes_it_never_saw() -> None:
    data = flat_twins(8, 6, 2)
    targets = 10 * data.albedo[:, :1]
    learn = data.shape < 5
    how = ReaderLearning(steps=50, groups=4, of_group=3, rate=1e-2)
    random = torch.Generator().manual_seed(0)
    protect = as_protect(Operator(), 64)
    reader = learn_reader(data.only(learn), protect, targets[learn], how)
    seen = reader.embed(data.rgb(), random)
    ridge = learn_ridge(seen[learn], targets[learn], data.shape[learn])
    off = (ridge(seen[~learn]) - targets[~learn]).abs().mean()
    # 0.37 to 0.42 over five seeds; who knows nothing gets 1
    assert float(off) < 0.7 * float((targets[~learn] - targets.mean()).abs().mean())


# What is stored -----------------------------------------------------------------------------------


def test_the_stored_study_won_its_controls_and_lost_its_null_controls() -> None:
    parts = json.loads((resources.RESULTS / "beyond_shape.json").read_text())["parts"]
    clear, default = parts["unprotected"], parts["sobel-64"]
    assert clear["together"]["rank1"][1] > 10 * clear["chance"]
    assert clear["albedo"]["removed"][0] > 0.6
    for name, found in parts.items():
        if "controls" not in found:
            continue
        null = found["controls"]
        assert null["one_albedo"][1] <= found["chance"] <= null["one_albedo"][2], name
        assert null["shuffled"][1] - 0.02 <= found["chance"] <= null["shuffled"][2] + 0.02, name
        assert null["shuffled_albedo"][1] < 0, name
        assert found["of"] == "fresh" and found["twins"] == 20 * found["groups"] >= 160
    assert default["together"]["rank1"][0] <= clear["together"]["rank1"][2]
    assert default["albedo"]["removed"][0] < clear["albedo"]["removed"][0]
    assert default["albedo"]["removed"][1] > 0.5, "a modulus does not hide what colour someone is"
