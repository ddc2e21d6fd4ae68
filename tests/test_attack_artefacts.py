"""Claims about attacks on released artefacts: neutral views, meshes, field renders, fitted colours.

Each attack wins its positive control on a handful of people, and is at chance under names that are
not theirs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.studies import artefact_attacks, artefact_pictures, reconstructed_heads
from benchmarks.studies.reconstructed_heads import FULL_RGB, Made, make_reconstructions
from privhead_nb.errors import LabError, SceneError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.lab import attacker_data as scans
from privhead_nb.lab import faces
from privhead_nb.lab.attacker_data import AttackerData, attacker_person
from privhead_nb.lab.attacks import field_renders, mesh_shape, neutral_views, radiance_refit
from privhead_nb.lab.attacks.probe import in_batches, per_person
from privhead_nb.lab.framing import cameras_around
from privhead_nb.lab.protocol import compare, identification
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.scenes.scene import turn
from privhead_nb.training.reconstruction import Reconstruction

KNOWN, OTHERS = faces.people("evaluation", 4), faces.people("attacker", 4)
COARSE = 8.0  # mm


@pytest.fixture(scope="module")
def known() -> AttackerData:
    return AttackerData.join([attacker_person(i, COARSE) for i in KNOWN])


@pytest.fixture(scope="module")
def others() -> AttackerData:
    return AttackerData.join([attacker_person(i, COARSE) for i in OTHERS])


@pytest.fixture(scope="module")
def release() -> Release:
    return Release.load(SAMPLES / "release")


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    return Reconstruction.load(SAMPLES / "reconstruction")


def rank1(probe: Tensor, gallery: Tensor, *, wrong_names: bool = False) -> float:
    who = np.roll(KNOWN, -1) if wrong_names else np.array(KNOWN)
    scores = compare(probe.numpy(), who, gallery.numpy(), np.array(KNOWN))
    return identification(scores, ranks=(1,)).rank[1].value


# Scans and the atlas ------------------------------------------------------------------------------


def test_a_scan_depends_neither_on_how_the_scene_is_turned_nor_on_where_it_lies(head):
    as_is, axes = scans.scan_of_mesh(head.mesh).float(), ("+z", "-y")
    turned = Mesh(head.mesh.vertices @ turn(axes), head.mesh.faces)
    moved = Mesh(head.mesh.vertices + np.array([40.0, -30.0, 20.0]), head.mesh.faces)
    for other in (scans.scan_of_mesh(turned, axes), scans.scan_of_mesh(moved)):
        assert float((as_is - other.float()).abs().mean()) < 0.5  # of 127
    tip = scans.nose_tip(torch.from_numpy(head.mesh.vertices))
    truth = load_scene(SAMPLES / "scene").nose_tip
    assert truth is not None and float((tip - torch.tensor(truth)).norm()) < 12
    for none in (("up", "+z"), ("+q", "+z")):
        with pytest.raises(SceneError, match="unknown axis"):
            scans.scan_of_mesh(head.mesh, none)


def test_the_atlas_puts_each_point_where_it_looks_it_up(known):
    assert known.atlas[..., 3].float().mean() > 0.7 * 255
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 60.0, -10.0], [-80.0, 0.0, -90.0]])
    where = scans.places(points)
    assert torch.allclose(where[0], torch.tensor([0.0, 130 / 240 * 2 - 1]), atol=1e-5)
    assert where[1, 1] < where[0, 1] and where[2, 0] < -0.5
    ramp = torch.linspace(-1, 1, 2 * scans.SIDE + 1)[1::2].expand(scans.SIDE, -1)[..., None]
    assert torch.allclose(scans.lookup(ramp, where)[:, 0], where[:, 0], atol=1e-4)


# Neutral views ------------------------------------------------------------------------------------


def test_a_palette_knows_people_from_behind_and_nobody_under_wrong_names(known, others):
    yaw = torch.tensor([105.0, 142.5, 180.0, 217.5, 255.0])
    assert artefact_attacks.subset(yaw, "inner").tolist() == [1, 2, 3]
    assert artefact_attacks.subset(yaw, "outermost").tolist() == [0, 4]
    with pytest.raises(LabError, match="outermost"):
        artefact_attacks.subset(yaw[1:4], "outermost")
    attack = neutral_views.learn_palette(others)
    gallery = per_person(attack.enrol, known.behind[:, :, 0].float() / 255)
    views = artefact_attacks.subset(known.neutral_yaw, "inner")
    probe = per_person(attack.probe, known.neutral[:, views, 0].float() / 255)
    assert "4 other people" in attack.card.data
    assert rank1(probe, gallery) >= 0.75  # 4 people: one may be mistaken
    assert rank1(probe, gallery, wrong_names=True) <= 0.25
    with pytest.raises(LabError, match="pictures of shape"):
        per_person(attack.probe, torch.zeros(2, 64, 64, 3))


# Meshes -------------------------------------------------------------------------------------------


def test_matching_names_the_owner_of_a_rough_mesh(known, others):
    noise = torch.randn(known.scan.shape, generator=torch.Generator().manual_seed(0)) * 25
    rough = (known.scan.float() + noise * (known.scan != 0)).clamp(-127, 127).to(torch.int8)
    for face_only in (False, True):
        attack = mesh_shape.matching(others, face_only=face_only)
        gallery, probe = in_batches(attack.enrol, known.scan), in_batches(attack.probe, rough)
        assert rank1(probe, gallery) == 1.0
        assert rank1(probe, gallery, wrong_names=True) == 0.0
    x = mesh_shape.as_channels(others.scan)[:, 1]  # what a network learns from stays a scan
    found, mirrored = mesh_shape.roughened(x, torch.Generator().manual_seed(1))
    length = found[:, :3].norm(dim=1)
    assert found.shape == x.shape and set(mirrored.tolist()) <= {0, 1}
    assert bool(((length - 1).abs() < 1e-4).logical_or(length < 1e-4).all())


def test_two_stems_put_scans_and_pictures_in_one_space(others):
    plan = faces.PortraitPlan(views=0, rear=0)
    portraits = faces.FaceDataset.join([faces.portraits(i, plan) for i in OTHERS[:2]])
    quick = mesh_shape.ShapeLearning(steps=3, batch=8)
    both = mesh_shape.of_same_people(portraits, others)
    attack, same = (mesh_shape.learn_network(others.scan, both, quick) for _ in range(2))
    a, b = in_batches(attack.probe, others.scan[:1]), in_batches(attack.enrol, portraits.rgb())
    assert a.shape[1] == b.shape[1] and torch.equal(in_batches(same.probe, others.scan[:1]), a)


# Fields -------------------------------------------------------------------------------------------


def test_recoloured_heads_keep_their_white_background():
    random = torch.Generator().manual_seed(0)
    pictures, masks = torch.rand(3, 64, 64, 3, generator=random), torch.zeros(3, 64, 64)
    masks[:, 20:40, 20:40] = 1
    found = field_renders.recoloured(pictures, masks, random)
    assert torch.equal(found[:, :20], torch.ones(3, 20, 64, 3))
    assert float(found.min()) >= 0 and float(found.max()) <= 1


def test_a_field_is_rendered_as_a_portrait(head, release):
    seen = field_renders.renders(head, cameras_around(release.center, (0.0,)))
    assert seen.shape == (1, 64, 64, 3)
    dark = (seen[0].mean(-1) < 0.95).float()
    assert 0.15 < float(dark.mean()) < 0.6  # the head fills as much as in a gallery's portrait
    views = (release.cameras, release.sensitive, release.center)
    cameras, rows = artefact_pictures.sensitive_cameras(*views)
    assert 0 < len(rows) == len(cameras) < len(release.sensitive)
    with pytest.raises(LabError, match="no sensitive view"):
        artefact_pictures.sensitive_cameras(release.cameras, release.neutral, release.center)


def test_fitted_colours_come_nearer_to_the_truth_than_the_mean_skin(head, release, known, others):
    prior = radiance_refit.learn_skins(AttackerData.join([known, others]))  # 8, not this head
    settings = radiance_refit.Refit(within=20, beside=110, steps=30, rate=0.15)
    found = radiance_refit.refit(release, head.mesh, prior, settings)
    scene = load_scene(SAMPLES / "scene").resized(64)
    eyes = release.cameras.centers[list(release.sensitive)] - torch.tensor(release.center)
    front = release.sensitive[int(eyes[:, :2].norm(dim=1).where(eyes[:, 2] > 0, 1e9).argmin())]
    truth = scene.images[front][28:36, 28:36].mean((0, 1))  # the face's middle
    fitted, plain = (x[1, 28:36, 28:36].mean((0, 1)) for x in (found.portraits, found.plain))
    assert float((fitted - truth).norm()) < 0.6 * float((plain - truth).norm())
    with pytest.raises(LabError, match="no sensitive view"):
        radiance_refit.refit(release, head.mesh, prior, replace(settings, within=-1))
    with pytest.raises(LabError, match="skins of 1"):
        radiance_refit.learn_skins(others.only(torch.tensor([0])))


# Reconstructions ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_reconstructions_are_made_once_and_kept(tmp_path, monkeypatch):
    def make(settings: dict[str, tuple[Operator, int] | None]) -> list[Made]:
        return make_reconstructions(
            [KNOWN[0]], settings, tmp_path, "ci", traced=32, views=(3, 4), workers=1, progress=False
        )

    (made,) = make({"default": (Operator(), 32)})
    assert made.identity == KNOWN[0] and 0 < made.chamfer < 60 and 0 < made.normals < 90
    assert made.release().size == 32 and len(made.reconstruction().mesh.faces) > 1000
    monkeypatch.setattr(reconstructed_heads, "_reconstruct", None)
    assert make({"default": (Operator(), 32)}) == [made]
    with pytest.raises(LabError):  # another operator behind the same name is another job
        make({"default": (Operator(blur=1.0), 32)})
    for settings in ({"default": None}, {FULL_RGB: (Operator(), 32)}):
        with pytest.raises(LabError, match="settings"):
            make(settings)
    with pytest.raises(LabError, match="no release"):
        Made(1, FULL_RGB, tmp_path, 1.0, 1.0, 1.0).release()
