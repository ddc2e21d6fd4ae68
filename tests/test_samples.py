"""Claims about `data_samples/`: whole, small, made here, and as good as its card says."""

import re
from typing import Any

import pytest
import torch

from benchmarks.studies.limit import creases
from privhead_nb import Reconstruction, Release, evaluate, load_scene, protect
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.resources import SAMPLES

pytestmark = pytest.mark.skipif(
    not (SAMPLES / "README.md").is_file(), reason="no data_samples/: run `make samples`"
)


@pytest.fixture(scope="module")
def scene() -> Any:
    return load_scene(SAMPLES / "scene")


def test_the_folder_is_small_and_holds_what_the_card_names():
    there = {p.name for p in SAMPLES.iterdir()}
    assert there == {
        "README.md", "scene", "release", "reconstruction", "template", "template_trained",
    }  # fmt: skip
    assert sum(p.stat().st_size for p in SAMPLES.rglob("*") if p.is_file()) < 9e6


def test_the_card_names_this_generator():
    """A new version of the head makes other heads: then run `make samples` again."""
    card = " ".join((SAMPLES / "README.md").read_text(encoding="utf-8").split())
    assert f"generator version {GENERATOR_VERSION})" in card


def test_the_release_is_what_protect_makes_of_the_scene(scene):
    stored, made = Release.load(SAMPLES / "release"), protect(scene, size=64)
    assert torch.equal(stored.moduli, made.moduli)
    assert torch.equal(stored.neutral_images, made.neutral_images)
    assert torch.equal(stored.masks, made.masks)
    assert stored.operator == made.operator


def test_the_reconstruction_is_as_good_as_the_card_says(scene):
    head = Reconstruction.load(SAMPLES / "reconstruction")
    card = " ".join((SAMPLES / "README.md").read_text(encoding="utf-8").split())
    told = re.search(r"stage 1 ([\d.]+) mm, ([\d.]+) deg, stage 2 ([\d.]+) mm, ([\d.]+) deg", card)
    coarse, fine = evaluate(head.stage1_mesh, scene), evaluate(head, scene)
    measured = [coarse.distance_mean, coarse.normal_median_deg]
    measured += [fine.distance_mean, fine.normal_median_deg]
    assert [float(word) for word in told.groups()] == pytest.approx(measured, abs=0.06)
    assert fine.distance_mean < coarse.distance_mean


def test_the_stored_field_is_the_stored_mesh(scene):
    """The field's values at the mesh's vertices are zero, so the two belong together."""
    head = Reconstruction.load(SAMPLES / "reconstruction")
    vertices = torch.from_numpy(head.mesh.vertices[::50]).float()
    unit = (vertices - torch.tensor(head.center)) / head.radius
    with torch.no_grad():
        distance = head.model.sdf(unit).abs().flatten() * head.radius
    assert distance.median() < 0.1  # mm; vertices are interpolated along grid edges
    assert scene.unit == "mm"


def test_no_creases_where_cells_meet(scene):
    """At no level and axis are faces much more bent near the cells' planes than elsewhere.

    The sample of trilinear grids had 1.28, full-size ones 1.5.
    """
    made = Reconstruction.load(SAMPLES / "reconstruction")
    found = creases(made.mesh, scene, made.settings.field.resolutions)
    assert len(found) == 3 and all(ratio < 1.2 for axes in found.values() for ratio in axes)
