"""A template: made of several people, kept as two files, and where stage 2 starts without views."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from command import answer, refused_call
from conftest import ball_scene
from runs import shortened, stopped_run, weights

from privhead_nb import (
    Reconstruction,
    Release,
    Template,
    make_template,
    protect,
    reconstruct,
)
from privhead_nb.errors import OutputError, TrainingError
from privhead_nb.field.model import HeadModel
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.scene import Scene
from privhead_nb.training import make_template as making
from privhead_nb.training.make_template import Person, parse_identities
from privhead_nb.training.profiles import PROFILES
from privhead_nb.training.template import template_settings
from privhead_nb.training.two_stage import reconstruct_at_once

CI = PROFILES["ci"]
TINY = replace(shortened(CI, steps=12, mesh=32), field=replace(CI.field, resolutions=(8, 16, 20)))


def ball_person(identity: int) -> Person:
    """A "person" who is a ball: 0.5 and a tenth of the number, in a sphere of 100 mm."""
    size = 50.0 + 10 * identity
    ball = trimesh.creation.icosphere(subdivisions=3, radius=size)
    return Person(
        Mesh(np.array(ball.vertices), np.array(ball.faces)),
        (0.0, 0.0, 0.0),
        100.0,
        lambda p: np.linalg.norm(p, axis=1) < size,
    )


@pytest.fixture(autouse=True, scope="module")
def people() -> Iterator[None]:
    """The made people of this file are balls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "person", ball_person)
        patch.setattr(making, "synthetic_scene", lambda identity: ball_scene())
        patch.setattr(making, "FIT_POINTS", 6000)
        yield


@pytest.fixture(scope="module")
def template(people: None) -> Template:
    return make_template((0, 1, 2), seed=3, profile=TINY, steps=150)


@pytest.fixture(scope="module")
def made(template: Template, release: Release) -> Reconstruction:
    """Stage 2 from the template."""
    return reconstruct(release, TINY, template=template)


@pytest.fixture(scope="module")
def hidden(scene: Scene) -> Release:
    """A release without any neutral view."""
    return protect(replace(scene, neutral=()), size=32)


# Making ------------------------------------------------------------------------------------------


def test_the_mean_of_three_balls_is_the_middle_one(template):
    points = torch.nn.functional.normalize(torch.randn(500, 3), dim=1) * 0.6
    with torch.no_grad():
        assert template.model().sdf(points).abs().mean() < 0.01
    assert template.made["kind"] == "mean" and template.made["identities"] == [0, 1, 2]
    assert template.made["fit_error"] < 0.01 and not template.coloured
    assert template.radius == 100.0
    reach = np.linalg.norm(template.mesh(48).vertices, axis=1)
    assert abs(reach.mean() - 60.0) < 1.5  # mm


def test_a_mean_of_distances_is_no_distance():
    """Between two balls beside each other the two slopes of length 1 cancel."""
    pair = [replace(ball_person(0), center=(x, 0.0, 0.0)) for x in (-70.0, 70.0)]
    across = np.array([[-1e-3, 0.0, 0.0], [1e-3, 0.0, 0.0]])
    values = [person.sdf(across) for person in pair]
    single, both = (np.diff(np.mean(some, axis=0))[0] / 2e-3 for some in (values[:1], values))
    assert abs(abs(single) - 1) < 0.02 and abs(both) < 0.02


@pytest.mark.parametrize("kind", ["mean", "trained"])
def test_same_seed_same_template_other_seed_other(kind):
    one, two, other = (
        make_template((4, 5), kind, seed=s, profile=TINY, steps=3) for s in (1, 1, 2)
    )
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert one.coloured == (kind == "trained") and one.made["steps"] == 3
    if kind == "trained":  # on the pictures of all; colours come along
        assert one.made["pictures"] == 12
        model = HeadModel(TINY.field)
        one.start(model)
        own = model.state_dict()
        assert all(torch.equal(own[n], one.state[n]) for n in own if n.startswith("colour."))


@pytest.mark.parametrize(
    ("identities", "kind", "words"),
    [
        ((), "mean", "can't be made of"),
        ((3, 3), "mean", "each once"),
        ((-1,), "mean", "can't be made of"),
        ((1,), "median", "no kind 'median'"),
    ],
)
def test_what_no_template_is_made_of(identities, kind, words):
    with pytest.raises(TrainingError, match=words):
        make_template(identities, kind)


def test_people_are_named_by_numbers():
    assert parse_identities("901-903") == (901, 902, 903)
    assert parse_identities("3,5, 8-9") == (3, 5, 8, 9)
    for wrong in ("", "a-b", "3;4"):
        with pytest.raises(TrainingError, match="names no people"):
            parse_identities(wrong)
    with pytest.raises(TrainingError, match="more than 10000 people"):
        parse_identities("1-6000,7000-12000")


# Files -------------------------------------------------------------------------------------------


def test_a_round_trip_is_bit_for_bit(template, tmp_path):
    template.save(tmp_path / "t")
    back = Template.load(tmp_path / "t")
    assert back.fingerprint == template.fingerprint and back.settings == template.settings
    assert back.made == template.made and back.center == template.center
    points = torch.rand(100, 3)
    assert torch.equal(back.model().sdf(points), template.model().sdf(points))
    with pytest.raises(OutputError, match="not empty"):
        template.save(tmp_path / "t")
    template.save(tmp_path / "t", overwrite=True)
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"diary\.txt, which is no template"):
        template.save(tmp_path, overwrite=True)
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_what_is_no_template_is_said(template, tmp_path):
    with pytest.raises(TrainingError, match=r"no template\.json"):
        Template.load(tmp_path)
    template.save(tmp_path / "t")
    words = json.loads((tmp_path / "t" / "template.json").read_text())
    for change, said in (
        ({"version": 9}, "version 9"),
        ({"fingerprint": "0"}, "not those that template.json was written for"),
        ({"field": {"kind": "sponge"}}, "sponge"),
        ({"field": words["field"] | {"width": 32}}, r"field\.hidden\.bias is .*, not"),
    ):
        (tmp_path / "t" / "template.json").write_text(json.dumps(words | change))
        with pytest.raises(TrainingError, match=said):
            Template.load(tmp_path / "t")


# Starting ----------------------------------------------------------------------------------------


def test_finer_levels_start_from_nothing(template):
    """A model with one more level has the template's surface before its first step."""
    assert template.settings.resolutions == (8, 16)
    model = HeadModel(TINY.field, seed=5)
    template.start(model)
    points = torch.rand(200, 3) * 2 - 1
    with torch.no_grad():
        assert (model.sdf(points) - template.model().sdf(points)).abs().max() < 1e-3


@pytest.mark.parametrize("name", ["ci", "cpu", "gpu"])
def test_one_template_serves_all_profiles_with_a_grid(name):
    small = template_settings(PROFILES["cpu"].field)
    fits = Template(small, HeadModel(small).state_dict())
    assert fits.faults(PROFILES[name].field) == []
    assert fits.faults(PROFILES["paper"].field)


def test_a_template_of_another_field_is_refused(template, release):
    for field in (
        replace(TINY.field, resolutions=(12, 24)),
        replace(TINY.field, width=32),
        PROFILES["paper"].field,
    ):
        with pytest.raises(TrainingError, match=r"doesn't fit this profile.*--profile"):
            reconstruct(release, replace(TINY, field=field), template=template)
    other = replace(TINY.field, colour_width=32)  # without colours that doesn't matter
    assert template.faults(other) == []
    with pytest.raises(TrainingError, match="looks along"):
        reconstruct(replace(release, front="-z"), TINY, template=template)


def test_stage_2_starts_from_it_alone(template, release, made):
    assert set(made.history) == {"stage2"} and made.stage1_mesh is None
    assert made.report["template"] == template.fingerprint
    assert made.report["template_made"]["identities"] == [0, 1, 2]
    sphere = reconstruct(release, TINY, stages=(2,))
    assert set(sphere.history) == {"stage2"} and sphere.stage1_mesh is None
    assert not torch.equal(weights(made), weights(sphere))
    both = reconstruct(release, TINY, template=template, stages=(1, 2))
    assert set(both.history) == {"stage1", "stage2"} and both.stage1_mesh is not None


def test_a_release_without_neutral_views(template, hidden, scene, made, tmp_path):
    """Its folder is whole; the default says what to do; a template makes a head of it."""
    hidden.save(tmp_path / "release")
    back = Release.load(tmp_path / "release")
    assert back.neutral == () and torch.equal(back.moduli, hidden.moduli)
    with pytest.raises(TrainingError, match=r"no neutral view.*--template"):
        reconstruct(back, TINY)
    template.save(tmp_path / "template")
    alone = reconstruct(back, TINY, template=tmp_path / "template")
    # stage 2 never looked at the neutral views: the same head, bit for bit
    assert torch.equal(weights(made), weights(alone)) and len(made.mesh.faces) > 100
    for masks in ("none", "all"):
        other = protect(replace(scene, neutral=()), size=32, masks=masks)
        assert reconstruct(other, TINY, template=template).history["stage2"]


def test_a_run_is_resumed_with_its_own_template(template, release, made, tmp_path):
    stopped_run(5, lambda: reconstruct(release, TINY, template=template, out=tmp_path))
    other = replace(template, state={k: v * 1.01 for k, v in template.state.items()})
    for wrong in (other, None):
        with pytest.raises(TrainingError, match="another run: the template differs"):
            reconstruct(release, TINY, template=wrong, stages=(2,), out=tmp_path, resume=True)
    for _ in ("goes on", "is done"):
        resumed = reconstruct(release, TINY, template=template, out=tmp_path, resume=True)
        assert torch.equal(weights(made), weights(resumed))
    with pytest.raises(TrainingError, match="another run: the template differs"):
        reconstruct(release, TINY, template=other, out=tmp_path, resume=True)


def test_all_at_once(template, release, hidden):
    one, two = (reconstruct_at_once(release, TINY, template=template) for _ in range(2))
    assert {"rgb", "gradient", "mask", "eikonal"} <= set(one.history["at_once"])
    assert torch.equal(weights(one), weights(two))
    with pytest.raises(TrainingError, match="no neutral view"):
        reconstruct_at_once(hidden, TINY)


# A head's own reconstruction, from smaller pictures, as the start --------------------------------


def test_stage_2_goes_on_from_an_earlier_reconstruction(scene, made, tmp_path):
    """Other pictures of the same scene: no step, no change; and its folder serves as well."""
    other = protect(scene, size=24)
    waiting = replace(TINY, stage2=replace(TINY.stage2, steps=0))
    as_it_was = reconstruct(other, waiting, start=made)
    for name, value in made.model.state_dict().items():
        if name.startswith(("field.", "colour.")):
            assert torch.equal(value, as_it_was.model.state_dict()[name]), name
    finer = replace(TINY, field=replace(TINY.field, resolutions=(8, 16, 20, 24)))
    made.save(tmp_path / "made")
    both = [reconstruct(other, finer, start=start) for start in (made, tmp_path / "made")]
    assert torch.equal(*(weights(one) for one in both))
    assert set(both[0].history) == {"stage2"}
    assert both[0].report["template_made"] == {"kind": "reconstruction", "size": 32}


def test_large_pictures_without_a_start_are_advised_against(made, caplog):
    large = protect(ball_scene(72), size=72)
    still = replace(
        TINY, stage1=replace(TINY.stage1, steps=1), stage2=replace(TINY.stage2, steps=0)
    )
    reconstruct(large, still)
    assert "72 pixels alone give no better head" in caplog.text
    caplog.clear()
    reconstruct(large, still, start=made)
    assert "pixels alone" not in caplog.text


def test_another_head_or_a_second_start_is_refused(release, template, made, tmp_path):
    moved = replace(made, center=(made.center[0] + 5.0, *made.center[1:]))
    with pytest.raises(TrainingError, match=r"bounding sphere.*another --size"):
        reconstruct(release, TINY, start=moved)
    with pytest.raises(TrainingError, match="can't both be"):
        reconstruct(release, TINY, start=made, template=template)
    other = replace(TINY, field=replace(TINY.field, width=32))
    with pytest.raises(
        TrainingError, match="start: doesn't fit this profile: width is 64 in the start"
    ):
        reconstruct(release, other, start=made)
    release.save(tmp_path / "release")
    words = ("reconstruct", tmp_path / "release", tmp_path / "out", "--start", tmp_path / "no")
    refused_call("no", *words)
    assert not (tmp_path / "out").exists()


# The command, and what is shipped ----------------------------------------------------------------


def test_the_command_makes_one_and_starts_from_it(hidden, tmp_path, monkeypatch):
    monkeypatch.setitem(PROFILES, "ci", TINY)
    out, ci = tmp_path / "template", ("--profile", "ci")
    words = ("template", out, "--identities", "0-1", "--steps", 5, *ci)
    assert answer(*words)["identities"] == [0, 1]
    hidden.save(tmp_path / "release")
    head = ("reconstruct", tmp_path / "release", tmp_path / "head", *ci, "--template", out)
    assert answer(*head)["stages"] == [2]
    refused_call("no stages", *head, "--baseline", "full-rgb")


@pytest.mark.parametrize(("name", "kind"), [("template", "mean"), ("template_trained", "trained")])
def test_the_shipped_templates(name, kind):
    folder = SAMPLES / name
    shipped = Template.load(folder)
    assert shipped.made["kind"] == kind and shipped.made["identities"] == list(making.PEOPLE)
    assert shipped.coloured == (kind == "trained")
    assert sum(p.stat().st_size for p in folder.iterdir()) < 400_000
    assert shipped.faults(PROFILES["cpu"].field) == []
    size = np.ptp(shipped.mesh(64).vertices, axis=0)
    assert np.all((size > 120) & (size < 360))  # mm: a head
