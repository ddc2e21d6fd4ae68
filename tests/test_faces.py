"""Claims about the lab's people: quick pictures of made heads, who is in which group, one cache."""

from __future__ import annotations

import pytest
import torch

from privhead_nb.errors import LabError
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.heads.surface import LABELS
from privhead_nb.heads.tracer import render
from privhead_nb.lab import faces, raster
from privhead_nb.lab.faces import PortraitPlan
from privhead_nb.scenes.camera import make_rig

TINY = PortraitPlan(views=2, faces=1, rear=1)


def test_rasterized_pictures_are_the_tracer_s():
    head = make_head(40_003)
    cameras = make_rig("facescape", center=(0, -20.0, 0))[0][[6, 7, 24]]
    traced = render(head, cameras, samples=3)
    seen = raster.rasterize(raster.surface_mesh(head), cameras)
    pictures = seen.pictures(LIGHTS["studio"].expand(3, 27))
    cover, depth, normals = seen.maps()
    inside = traced.masks > 0.99
    assert (pictures - traced.images).abs()[inside].mean() < 0.025
    assert (cover - traced.masks).abs().mean() < 0.01
    assert (depth - traced.depth)[inside].abs().median() < 1.0
    turned = (normals * traced.normals).sum(-1)[inside].clamp(-1, 1).acos().rad2deg()
    assert turned.median() < 10


def test_light_is_put_on_afterwards_and_hair_and_albedo_can_be_taken_away():
    cameras = make_rig("facescape", center=(0, -20.0, 0))[0][[7]]
    pictures = {}
    for identity in (3, 4):
        seen = raster.rasterize(raster.surface_mesh(make_head(identity), spacing=6.0), cameras)
        light = LIGHTS["even"].expand(1, 27)
        skin = seen.label == LABELS.index("skin")
        assert torch.allclose(seen.plain[skin].std(0), torch.zeros(3), atol=0.1)
        pictures[identity] = [
            seen.pictures(light),
            seen.pictures(light, one_albedo=True),
            seen.pictures(light, hair=False),
            seen.pictures(LIGHTS["left"].expand(1, 27)),
        ]
    whole, _, bald, left = pictures[3]
    assert not torch.equal(whole, left)
    grey = (bald - raster.MASKED_HAIR).abs().amax(-1) < 1e-3
    assert 50 < int(grey.sum()) < 1500
    mean = [p[1].reshape(-1, 3).mean(0) for p in pictures.values()]
    own = [p[0].reshape(-1, 3).mean(0) for p in pictures.values()]
    assert (mean[0] - mean[1]).abs().max() < (own[0] - own[1]).abs().max()


def test_groups_do_not_meet():
    members = [set(faces.people(group, 10_000)) for group in faces.GROUPS]
    assert sum(map(len, members)) == len(set.union(*members)) == 50_000
    for group, count in (("friends", 3), ("attacker", 0), ("attacker", 10_001)):
        with pytest.raises(LabError, match=r"10,000|Groups"):
            faces.people(group, count)


def test_a_person_has_the_portraits_of_the_plan_always_the_same_and_kept(tmp_path):
    person = faces.portraits(40_000, TINY)
    assert len(person) == 4 and len(person.frontals()) == 1
    assert len(person.views()) == 2 and int((person.role == 2).sum()) == 1
    assert person.views().yaw.abs().max() <= TINY.yaw
    assert person.pictures.shape == (4, 3, 64, 64, 3)
    assert person.rgb("one albedo").shape == (4, 64, 64, 3)
    with pytest.raises(LabError, match="hair masked"):
        person.rgb("bald")

    made = faces.face_dataset([40_000], TINY, folder=tmp_path, workers=1)
    assert torch.equal(made.pictures, person.pictures) and torch.equal(made.yaw, person.yaw)
    path = next(tmp_path.rglob("40000.safetensors"))
    before = path.stat().st_mtime_ns
    faces.face_dataset([40_000], TINY, folder=tmp_path, workers=1)
    assert path.stat().st_mtime_ns == before  # only read
