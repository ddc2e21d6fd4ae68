"""Claims about attacks on released artefacts: neutral views, meshes, field renders, fitted colours.

Each attack wins its positive control on a handful of people, and is at chance under names that are
not theirs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.lab import albums, atlas, captures, reconstructions, scans
from privhead_nb.lab.attacks import field_renders, mesh_shape, neutral_views, radiance_refit
from privhead_nb.lab.protocol import compare, identification
from privhead_nb.lab.reconstructions import FULL_RGB, Made, make_reconstructions
from privhead_nb.lab.scans import Axes
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.scene import load_scene
from privhead_nb.training.reconstruction import Reconstruction

SAMPLES = Path(__file__).parents[1] / "data_samples"
KNOWN, OTHERS = albums.people("evaluation", 4), albums.people("attacker", 4)
COARSE = 8.0  # mm


@pytest.fixture(scope="module")
def known() -> captures.Captures:
    return captures.join([captures.capture(i, COARSE) for i in KNOWN])


@pytest.fixture(scope="module")
def others() -> captures.Captures:
    return captures.join([captures.capture(i, COARSE) for i in OTHERS])


@pytest.fixture(scope="module")
def release() -> Release:
    return Release.load(SAMPLES / "release")


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    return Reconstruction.load(SAMPLES / "reconstruction")


def rank1(probe: Tensor, who: list[int], gallery: Tensor, names: list[int]) -> float:
    scores = compare(
        probe.double().numpy(), np.array(who), gallery.double().numpy(), np.array(names)
    )
    return identification(scores, ranks=(1,)).rank[1].value


def others_names(people: tuple[int, ...]) -> list[int]:
    return [*people[1:], people[0]]


# Scans and the atlas ------------------------------------------------------------------------------


def test_a_scan_does_not_depend_on_how_the_scene_is_turned(head: Reconstruction) -> None:
    mesh = Mesh(head.mesh.vertices, head.mesh.faces[::1])
    axes = Axes(up="+z", front="-y")
    turned = Mesh(mesh.vertices @ axes.turn().numpy(), mesh.faces)
    a, b = scans.scan_of_mesh(mesh).float(), scans.scan_of_mesh(turned, axes).float()
    assert float((a - b).abs().mean()) < 0.5  # of 127


def test_a_scan_is_that_of_the_mesh_moved_anywhere(head: Reconstruction) -> None:
    moved = Mesh(head.mesh.vertices + np.array([40.0, -30.0, 20.0]), head.mesh.faces)
    a, b = scans.scan_of_mesh(head.mesh).float(), scans.scan_of_mesh(moved).float()
    assert float((a - b).abs().mean()) < 0.5


def test_the_nose_tip_is_found_where_the_truth_has_it(head: Reconstruction) -> None:
    tip = scans.nose_tip(torch.from_numpy(head.mesh.vertices))
    truth = load_scene(SAMPLES / "scene").nose_tip
    assert truth is not None
    assert float((tip - torch.tensor(truth)).norm()) < 12


@pytest.mark.parametrize("axes", [Axes("+y", "-y"), Axes("up", "+z"), Axes("+q", "+z")])
def test_axes_that_are_none_are_refused(axes: Axes) -> None:
    with pytest.raises(LabError):
        axes.turn()


def test_the_atlas_puts_each_point_where_it_looks_it_up(known: captures.Captures) -> None:
    assert known.atlas[..., 3].float().mean() > 0.7 * 255
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 60.0, -10.0], [-80.0, 0.0, -90.0]])
    where = atlas.places(points)
    assert torch.allclose(where[0], torch.tensor([0.0, 130 / 240 * 2 - 1]), atol=1e-5)
    assert where[1, 1] < where[0, 1] and where[2, 0] < -0.5
    ramp = torch.linspace(-1, 1, 2 * atlas.SIDE + 1)[1::2].expand(atlas.SIDE, -1)[..., None]
    assert torch.allclose(atlas.lookup(ramp, where)[:, 0], where[:, 0], atol=1e-4)


# Neutral views ------------------------------------------------------------------------------------


def test_outermost_views_are_those_beside_the_face() -> None:
    yaw = torch.tensor([105.0, 142.5, 180.0, 217.5, 255.0])
    assert neutral_views.shown(yaw, "inner").tolist() == [1, 2, 3]
    assert neutral_views.shown(yaw, "outermost").tolist() == [0, 4]
    with pytest.raises(LabError, match="outermost"):
        neutral_views.shown(yaw[1:4], "outermost")


def test_a_palette_knows_people_from_behind_and_nobody_under_wrong_names(
    known: captures.Captures, others: captures.Captures
) -> None:
    attack = neutral_views.learn_palette(others)
    gallery = attack.person(known.behind[:, :, 0].float() / 255)
    views = neutral_views.shown(known.neutral_yaw, "inner")
    probe = attack.person(known.neutral[:, views, 0].float() / 255)
    assert rank1(probe, [*KNOWN], gallery, [*KNOWN]) >= 0.75  # 4 people: one may be mistaken
    assert rank1(probe, others_names(KNOWN), gallery, [*KNOWN]) <= 0.25


def test_a_network_learns_from_all_sides(others: captures.Captures) -> None:
    attack = neutral_views.learn_network(others, epochs=1)
    found = attack.person(others.behind[:2, :3, 0].float() / 255)
    assert found.shape == (2, 64) and torch.allclose(found.norm(dim=1), torch.ones(2))
    assert "4 other people" in attack.card.data
    with pytest.raises(LabError, match="pictures of shape"):
        attack.person(torch.zeros(2, 64, 64, 3))


# Meshes -------------------------------------------------------------------------------------------


def rough(given: Tensor, seed: int = 0) -> Tensor:
    noise = torch.randn(given.shape, generator=torch.Generator().manual_seed(seed)) * 25
    return (given.float() + noise * (given != 0)).clamp(-127, 127).to(torch.int8)


@pytest.mark.parametrize("face_only", [False, True])
def test_matching_names_the_owner_of_a_rough_mesh(
    known: captures.Captures, others: captures.Captures, face_only: bool
) -> None:
    attack = mesh_shape.matching(others, face_only=face_only)
    gallery, probe = attack.enrol(known.scan), attack.probe(rough(known.scan))
    assert rank1(probe, [*KNOWN], gallery, [*KNOWN]) == 1.0
    assert rank1(probe, others_names(KNOWN), gallery, [*KNOWN]) == 0.0


def test_roughened_scans_stay_scans(others: captures.Captures) -> None:
    x = mesh_shape.as_channels(others.scan)[:, 1]
    found, mirrored = mesh_shape.roughened(x, torch.Generator().manual_seed(1))
    length = found[:, :3].norm(dim=1)
    assert found.shape == x.shape and set(mirrored.tolist()) <= {0, 1}
    assert bool(((length - 1).abs() < 1e-4).logical_or(length < 1e-4).all())


def test_two_stems_put_scans_and_pictures_in_one_space(others: captures.Captures) -> None:
    album = albums.join([albums.portraits(i, albums.Plan(views=0, rear=0)) for i in OTHERS[:2]])
    quick = mesh_shape.ShapeLearning(steps=3, batch=8)
    attack = mesh_shape.learn_two_stems(others, album, quick)
    a, b = attack.probe(others.scan[:1]), attack.enrol(album.rgb())
    assert a.shape[1] == b.shape[1] and torch.allclose(b.norm(dim=1), torch.ones(2))
    same = mesh_shape.learn_two_stems(others, album, quick)
    assert torch.equal(same.probe(others.scan[:1]), a)


# Fields -------------------------------------------------------------------------------------------


def test_turned_and_shifted_colours_have_the_same_modulus() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.rand(16, 16, 3, generator=random)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=random))
    operator = Operator()
    off = operator.modulus(x @ turn + torch.tensor([0.3, -0.2, 0.1])) - operator.modulus(x)
    assert float(off.abs().max()) < 1e-5


def test_recoloured_heads_keep_their_white_background() -> None:
    random = torch.Generator().manual_seed(0)
    pictures, masks = torch.rand(3, 64, 64, 3, generator=random), torch.zeros(3, 64, 64)
    masks[:, 20:40, 20:40] = 1
    found = field_renders.recoloured(pictures, masks, random)
    assert torch.equal(found[:, :20], torch.ones(3, 20, 64, 3))
    assert float(found.min()) >= 0 and float(found.max()) <= 1


def test_a_field_is_rendered_as_a_portrait(head: Reconstruction, release: Release) -> None:
    seen = field_renders.renders(head, field_renders.portrait_cameras(release.center, (0.0,)))
    assert seen.shape == (1, 64, 64, 3)
    dark = (seen[0].mean(-1) < 0.95).float()
    assert 0.15 < float(dark.mean()) < 0.6  # the head fills as much as in a gallery's portrait
    cameras, rows = field_renders.sensitive_cameras(
        release.cameras, release.sensitive, release.center, 40, 21
    )
    assert 0 < len(rows) == len(cameras) < len(release.sensitive)
    with pytest.raises(LabError, match="no sensitive view"):
        field_renders.sensitive_cameras(release.cameras, release.neutral, release.center, 40)


def test_fitted_colours_come_nearer_to_the_truth_than_the_mean_skin(
    head: Reconstruction,
    release: Release,
    known: captures.Captures,
    others: captures.Captures,
) -> None:
    prior = radiance_refit.learn_skins(captures.join([known, others]))  # 8 who are not this head
    settings = radiance_refit.Refit(within=20, beside=110, steps=30, rate=0.15)
    found = radiance_refit.refit(release, head.mesh, prior, settings)
    scene = load_scene(SAMPLES / "scene").resized(64)
    _, rows = field_renders.sensitive_cameras(
        release.cameras, release.sensitive, release.center, 1, 5
    )
    truth = scene.images[release.sensitive[rows[0]]][28:36, 28:36].mean((0, 1))  # the face's middle
    fitted, plain = (x[1, 28:36, 28:36].mean((0, 1)) for x in (found.portraits, found.plain))
    assert float((fitted - truth).norm()) < 0.6 * float((plain - truth).norm())
    with pytest.raises(LabError, match="no sensitive view"):
        radiance_refit.refit(release, head.mesh, prior, radiance_refit.Refit(within=-1))


def test_skins_need_two_people(others: captures.Captures) -> None:
    with pytest.raises(LabError, match="skins of 1"):
        radiance_refit.learn_skins(others.only(torch.tensor([0])))


# Reconstructions ----------------------------------------------------------------------------------


def test_reconstructions_are_made_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(settings: dict[str, tuple[Operator, int] | None]) -> list[Made]:
        return make_reconstructions(
            [KNOWN[0]], settings, tmp_path, "ci", traced=32, views=(3, 4), workers=1, progress=False
        )

    (made,) = make({"default": (Operator(), 32)})
    assert made.identity == KNOWN[0] and 0 < made.chamfer < 60 and 0 < made.normals < 90
    assert made.release().size == 32 and len(made.reconstruction().mesh.faces) > 1000
    monkeypatch.setattr(reconstructions, "_reconstruct", None)
    assert make({"default": (Operator(), 32)}) == [made]
    with pytest.raises(LabError):  # another operator behind the same name is another job
        make({"default": (Operator(blur=1.0), 32)})


def test_settings_that_name_no_operator_are_refused(tmp_path: Path) -> None:
    for settings in ({"default": None}, {FULL_RGB: (Operator(), 32)}):
        with pytest.raises(LabError, match="settings"):
            make_reconstructions([1], settings, tmp_path)
    with pytest.raises(LabError, match="no release"):
        Made(1, FULL_RGB, tmp_path, 1.0, 1.0, 1.0).release()
