"""Claims about the tables: rates rest on people, small samples say little, ratios are honest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from benchmarks.studies import perceptual
from benchmarks.studies import table2 as tables
from benchmarks.studies.table2 import Pictures
from privhead_nb.errors import LabError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.lab.framing import portrait_cameras
from privhead_nb.lab.raster import render_mesh
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.table2 import IMAGE_CONDITIONS, PAPER_TABLE_2


def labelled(people: range, each: int, noise: float, seed: int = 0) -> Pictures:
    """Pictures whose first row of pixels names the person, more or less."""
    random = torch.Generator().manual_seed(seed)
    who = torch.tensor([p for p in people for _ in range(each)])
    names = torch.randn(1000, 64, 3, generator=torch.Generator().manual_seed(1))
    rgb = 0.5 * torch.ones(len(who), 64, 64, 3)
    rgb[:, 0] = names[who] + noise * torch.randn(len(who), 64, 3, generator=random)
    return Pictures(rgb, who)


READER = Recogniser("reads the first row", lambda x: x[:, 0].flatten(1))


# Rates --------------------------------------------------------------------------------------------


def test_the_papers_columns_have_the_means_that_it_prints():
    means = np.mean(list(PAPER_TABLE_2.values()), axis=0)
    assert np.allclose(means, [91.67, 6.05, 6.12, 33.95, 77.64], atol=0.006)
    assert len(means) == len(IMAGE_CONDITIONS)


# Table 2 ------------------------------------------------------------------------------------------


def test_table_2_tells_clear_pictures_from_empty_ones():
    shown = {
        "clear": labelled(range(6), 4, 0.3, seed=1),
        "noisy": labelled(range(6), 4, 25.0, seed=2),
    }
    gallery = labelled(range(30), 1, 0.1, seed=3)
    apart = (labelled(range(100, 130), 3, 0.3, seed=4), labelled(range(100, 130), 1, 0.1, seed=5))
    found = tables.table2(shown, gallery, apart, [READER], far=0.01, resamples=50)[READER.name]
    clear, noisy = found["clear"], found["noisy"]
    assert clear.verified.value == clear.rank1.value == 1
    assert clear.verified.low < 0.7, "six people"
    assert clear.false.value < 0.05
    assert noisy.rank1.value < 0.5 and noisy.verified_strict.value < 0.6
    assert clear.chance == pytest.approx(1 / 30)
    assert clear.own.value < 0.2 < 0.8 < clear.others.value
    assert noisy.own.value > 3 * clear.own.value


def test_a_threshold_lies_between_the_scores_that_it_parts():
    score = np.array([0.9, 0.7, 0.3, 0.1, -np.inf])
    own = np.array([True, True, False, False, True])
    assert tables.best_threshold(score, own) == pytest.approx(0.5)
    assert np.isnan(tables.best_threshold(score, np.ones(5, dtype=bool)))
    assert np.isnan(tables.best_threshold(np.full(2, -np.inf), np.array([True, False])))


def test_pictures_without_templates_are_failures_and_no_zeros():
    blind = Recogniser("blind to half", lambda x: x[:, 0].flatten(1) * (x[:, 1, 0, :1] > 0.4))
    pictures = labelled(range(6), 2, 0.1)
    pictures.rgb[::2, 1] = 0.0
    gallery = labelled(range(12), 1, 0.1, seed=3)
    at = tables.Thresholds(accuracy=0.5, strict=0.9, people=5)
    found = tables.entry(blind, pictures, gallery, at, resamples=20)
    assert found.detected.value == found.verified.value == found.rank1.value == 0.5
    assert found.own.count == 6 and found.own.value < 0.2


def test_tables_refuse_what_they_cannot_compare():
    """Nobody is judged by a threshold from his own pictures."""
    people, gallery = labelled(range(4), 1, 0.1), labelled(range(2, 9), 1, 0.1)
    at = tables.Thresholds(0.5, 0.9, 5)
    for ask, said in (
        (lambda: tables.table2({"a": people}, people, (people, people), [READER]), "share ident"),
        (lambda: tables.entry(READER, people, gallery, at, resamples=5), "nobody to be compared"),
        (lambda: Pictures(people.rgb, people.identity[:2]), "identities"),
    ):
        with pytest.raises(LabError, match=said):
            ask()


# Perceptual distances -----------------------------------------------------------------------------


def test_the_ratio_is_1_where_people_look_alike_and_more_where_they_do_not():
    random = np.random.default_rng(4)
    probe, gallery = np.repeat(np.arange(40), 4), np.arange(40)
    noise = random.uniform(0.9, 1.1, (160, 40))
    alike = perceptual.alike(noise, probe, gallery, resamples=200)
    assert alike.ratio == pytest.approx(1, abs=0.02)
    assert alike.low < alike.ratio < alike.high
    assert alike.told.value == pytest.approx(0.5, abs=0.1)
    apart = noise + 0.5 * (probe[:, None] != gallery)
    found = perceptual.alike(apart, probe, gallery, resamples=200)
    assert found.low > 1.4 and found.told.value == 1
    darker = perceptual.alike(0.2 * apart, probe, gallery, resamples=200)
    assert darker.ratio == pytest.approx(found.ratio), "less contrast alone is no protection"
    assert darker.different < 0.3 * found.different


def soft(count: int, seed: int) -> Tensor:
    """(count, 64, 64, 3) blobs in [0.2, 0.8]."""
    x = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    x = torch.nn.functional.interpolate(x, 64, mode="bicubic").clamp(0, 1)
    return (0.2 + 0.6 * x).movedim(1, -1)


def test_distances_are_none_to_oneself_and_shrink_with_contrast():
    torch.manual_seed(0)
    network, pictures = FaceNetwork().eval(), soft(4, 0)
    found = perceptual.feature_distances(pictures, pictures, network)
    assert np.allclose(np.diag(found), 0, atol=1e-4) and np.allclose(found, found.T, atol=1e-4)
    assert (found[~np.eye(4, dtype=bool)] > 0.05).all() and found.max() <= 6
    wanted = np.ones((4, 4), dtype=bool)
    structural = perceptual.structural_distances(pictures, pictures, wanted)
    assert np.allclose(np.diag(structural), 0, atol=1e-6)
    flat = 0.5 + 0.05 * (pictures - 0.5)
    dim = perceptual.structural_distances(flat, flat, wanted)
    again = perceptual.structural_distances(*[perceptual.stretched(flat)] * 2, wanted)
    other = ~np.eye(4, dtype=bool)
    assert dim[other].mean() < 0.5 * structural[other].mean() < again[other].mean()


# Pictures -----------------------------------------------------------------------------------------


def test_a_mesh_is_a_grey_figure_lit_from_one_side():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=60.0)
    mesh = Mesh(np.asarray(ball.vertices) + [0, -20, -10], np.asarray(ball.faces))
    (picture,) = render_mesh(mesh, portrait_cameras([(0.0, 0.0)]))
    assert picture.shape == (64, 64, 3)
    assert torch.allclose(picture[0, 0], torch.ones(3)), "white behind"
    middle = picture[28:36, 28:36]
    assert (middle.amax(-1) - middle.amin(-1)).max() < 0.08, "grey"
    assert (middle < 0.95).all() and middle.std() > 0.01, "shaded"
