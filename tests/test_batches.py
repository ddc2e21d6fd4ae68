"""What training reads out of the views before it starts: how their pixels average light."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from privhead_nb import load_scene, protect
from privhead_nb.heads.light import to_linear, to_srgb
from privhead_nb.privacy.release import Release
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.batches import Views, linear_light, released_views, scene_views

SIZE, TIMES = 64, 8
HEADS = torch.tensor([[0.15, 0.1, 0.08], [0.8, 0.6, 0.5], [0.4, 0.3, 0.2]])


def views(light: float, offset: float = 0.0, masked: bool = True) -> Views:
    """Discs before white; their masks' radius is off by `offset` pixels."""
    size = SIZE * TIMES
    at = torch.arange(size) + 0.5 - size / 2
    away = torch.hypot(at[:, None], at[None]) / TIMES

    def small(radius: float) -> torch.Tensor:
        return F.avg_pool2d((away < radius).float()[None, None], TIMES)[0, 0]

    cover = torch.stack([small(20.3 + k) for k in range(3)])[..., None]
    head = HEADS[:, None, None]
    stored = cover * head + (1 - cover)
    linear = to_srgb(cover * to_linear(head) + (1 - cover))
    return Views(
        cameras=Cameras(torch.eye(3).repeat(3, 1, 1), torch.eye(4).repeat(3, 1, 1), SIZE, SIZE),
        values=torch.lerp(stored, linear, light),
        masks=torch.stack([small(20.3 + k + offset) for k in range(3)]),
        masked=torch.full((3,), masked),
        background=torch.ones(3),
    )


@pytest.mark.parametrize("light", [0.0, 0.3, 1.0])
def test_outlines_say_how_pixels_average_light(light):
    assert linear_light(views(light)) == pytest.approx(light, abs=0.01)


def test_masks_that_are_off_or_missing_and_other_backgrounds_say_nothing():
    """Then values are averaged as they are stored, which is what larger pictures come to."""
    for offset in (-0.3, 0.3):
        assert linear_light(views(1.0, offset)) == linear_light(views(0.0, offset)) == 0.0
    assert linear_light(views(1.0, masked=False)) == 0.0
    assert abs(linear_light(views(0.0, 0.02))) < 0.2  # a little off: little harm
    room = torch.rand(3, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(0))
    seen = views(1.0)
    cover = seen.masks[..., None]
    assert linear_light(replace(seen, values=torch.where(cover < 1, room, seen.values))) == 0.0


def test_made_scenes_are_means_of_light_and_photographs_made_smaller_are_not(real_head):
    cpu = torch.device("cpu")
    made = released_views(Release.load(SAMPLES / "release"), "neutral", cpu)
    assert linear_light(made) > 0.9
    assert linear_light(scene_views([load_scene(SAMPLES / "scene")], cpu)) > 0.9
    scanned = protect(load_scene(real_head), size=64)  # of 512 pixels
    assert linear_light(released_views(scanned, "neutral", cpu)) < 0.1
