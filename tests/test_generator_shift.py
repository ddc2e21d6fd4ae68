"""The changed generator changes what it says, and the stored rates hold their control."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.studies import generator_shift as shift
from privhead_nb.heads.head import make_head
from privhead_nb.lab.framing import DISTANCE, SIZE
from privhead_nb.lab.raster import surface_mesh

STORED = shift.RESULTS


def test_no_shift_changes_nothing_and_each_changes_its_own():
    body = surface_mesh(make_head(50_000), 9.0)
    same = shift.changed(body, shift.SHIFTS["none"], 50_000)
    assert same is body
    skin = shift.changed(body, shift.SHIFTS["texture"], 50_000)
    assert torch.equal(skin.vertices, body.vertices)
    assert not torch.allclose(skin.reflectance, body.reflectance, rtol=0.02)
    form = shift.changed(body, shift.SHIFTS["proportions"], 50_000)
    assert torch.equal(form.reflectance, body.reflectance)
    width = [float(x.vertices[:, 0].amax() - x.vertices[:, 0].amin()) for x in (body, form)]
    assert width[1] / width[0] == pytest.approx(0.93, abs=0.04)
    assert torch.allclose(form.normals.norm(dim=1), torch.ones(len(form.normals)), atol=1e-4)


def test_alignment_is_lost_by_no_more_than_it_says():
    picture = torch.ones(1, SIZE, SIZE, 3)
    picture[:, 28:36, 28:36] = 0  # a block in the middle
    still = shift.misaligned(picture, replace(shift.SHIFTS["none"]), torch.Generator())
    assert torch.allclose(still, picture, atol=1e-5)
    random = torch.Generator().manual_seed(0)
    lost = shift.misaligned(picture.expand(50, -1, -1, -1), shift.SHIFTS["misaligned"], random)
    dark = 1 - lost[..., 0]
    place = (dark.sum(1) * torch.arange(SIZE)).sum(1) / dark.sum((1, 2)) - 31.5
    assert 1.5 < place.abs().max() <= 0.05 * SIZE + 0.5  # pixels


def test_a_nearer_camera_frames_the_head_as_the_old_one():
    near, far = (shift.cameras([(0.0, 0.0)], d) for d in (450.0, DISTANCE))
    middle = torch.tensor([[60.0, -20.0, -10.0]], dtype=torch.float64)
    found = []
    for camera in (near, far):
        seen = (middle - camera.centers.double()) @ camera.c2w[0, :3, :3].double()
        found.append(camera.K[0, 0, 0] * (seen[0, 0] / seen[0, 2]).abs())
    assert float(found[0]) == pytest.approx(float(found[1]), rel=1e-3)


def test_the_control_names_most_and_no_shift_helps_the_attacker_much():
    stored = json.loads(STORED.read_text())
    assert stored["people_from"] == 50_000 and set(stored["shifts"]) == set(shift.SHIFTS)
    rates = {name: one["parrot-informed"]["rank1"] for name, one in stored["shifts"].items()}
    assert rates["none"][0] > 0.8
    for value, low, high in rates.values():
        assert low <= value <= high and value <= rates["none"][2] + 0.05
