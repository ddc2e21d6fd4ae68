"""Quick pictures of made heads, and who is in which group."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from privhead_nb.errors import LabError
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.heads.surface import LABELS
from privhead_nb.heads.tracer import render
from privhead_nb.lab import albums, busts
from privhead_nb.scenes.camera import facescape_rig

TINY = albums.Plan(views=2, faces=1, rear=1)


@pytest.fixture(scope="module")
def one() -> albums.Album:
    return albums.portraits(40_000, TINY)


def test_a_bust_s_pictures_are_the_tracer_s() -> None:
    head = make_head(40_003)
    cameras = facescape_rig(10, 20, size=64, center=(0, -20.0, 0), distance=885.0)[0][[6, 7, 24]]
    traced = render(head, cameras, samples=3)
    seen = busts.shoot(busts.bust(head), cameras)
    pictures = seen.pictures(LIGHTS["studio"].expand(3, 27))
    cover, depth, normals = seen.maps()
    inside = traced.masks > 0.99
    assert (pictures - traced.images).abs()[inside].mean() < 0.025
    assert (cover - traced.masks).abs().mean() < 0.01
    assert (depth - traced.depth)[inside].abs().median() < 1.0
    turned = (normals * traced.normals).sum(-1)[inside].clamp(-1, 1).acos().rad2deg()
    assert turned.median() < 10


def test_light_is_put_on_afterwards_and_hair_and_albedo_can_be_taken_away() -> None:
    cameras = facescape_rig(10, 20, size=64, center=(0, -20.0, 0), distance=885.0)[0][[7]]
    pictures = {}
    for identity in (3, 4):
        seen = busts.shoot(busts.bust(make_head(identity), spacing=6.0), cameras)
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
    grey = (bald - busts.MASKED_HAIR).abs().amax(-1) < 1e-3
    assert 50 < int(grey.sum()) < 1500
    mean = [p[1].reshape(-1, 3).mean(0) for p in pictures.values()]
    own = [p[0].reshape(-1, 3).mean(0) for p in pictures.values()]
    assert (mean[0] - mean[1]).abs().max() < (own[0] - own[1]).abs().max()


def test_an_album_has_what_its_plan_says(one: albums.Album) -> None:
    assert len(one) == 4 and len(one.frontals()) == 1
    assert len(one.views()) == 2 and len(one.rears()) == 1
    assert one.views().yaw.abs().max() <= TINY.yaw
    assert one.pictures.shape == (4, 3, 64, 64, 3) and one.rgb("one albedo").shape == (4, 64, 64, 3)
    with pytest.raises(LabError, match="hair masked"):
        one.rgb("bald")


def test_the_same_person_has_the_same_portraits(one: albums.Album) -> None:
    again = albums.portraits(40_000, TINY)
    assert torch.equal(one.pictures, again.pictures) and torch.equal(one.yaw, again.yaw)


def test_groups_do_not_meet() -> None:
    members = [set(albums.people(group, 10_000)) for group in albums.GROUPS]
    assert sum(map(len, members)) == len(set.union(*members)) == 40_000
    for group, count in (("friends", 3), ("attacker", 0), ("attacker", 10_001)):
        with pytest.raises(LabError, match=r"10,000|Groups"):
            albums.people(group, count)


def test_a_kept_album_is_only_read(tmp_path: Path, one: albums.Album) -> None:
    made = albums.make_album([40_000], TINY, folder=tmp_path, workers=1)
    assert torch.equal(made.pictures, one.pictures)
    kept = next(tmp_path.rglob("40000.safetensors"))
    before = kept.stat().st_mtime_ns
    albums.make_album([40_000], TINY, folder=tmp_path, workers=1)
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"nonsense")
    with pytest.raises(LabError, match=r"40000\.safetensors.*Delete"):
        albums.make_album([40_000], TINY, folder=tmp_path, workers=1)
