"""Claims about appearance transfer: shape stays, colours change, and nothing is trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.field.model import HeadModel
from privhead_nb.heads.head import make_head
from privhead_nb.lab import appearance
from privhead_nb.lab.framing import portrait_cameras
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.reconstruction import Reconstruction


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    return Reconstruction.load(resources.SAMPLES / "reconstruction")


@pytest.fixture(scope="module")
def ball(head: Reconstruction) -> Reconstruction:
    """An untrained model in another sphere: a ball in colours of its own."""
    model = HeadModel(head.settings.field, seed=3)
    model.beta.set(0.003)
    return replace(head, model=model, center=(0.0, -10.0, 5.0), radius=150.0)


def small() -> Cameras:
    """One frontal camera of 16 x 16 pixels."""
    return portrait_cameras([(0.0, 0.0)]).resized(16, 16)


def test_a_head_in_its_own_colours_is_itself(head):
    same = appearance.transfer(head, head).render(small())
    assert torch.allclose(same.colour, head.render(small()).colour, atol=1e-4)


def test_shape_is_of_one_and_colours_are_of_the_other(head, ball):
    before = {k: v.clone() for k, v in head.model.state_dict().items()}
    mixed, alone = appearance.transfer(head, ball).render(small()), head.render(small())
    assert torch.allclose(mixed.opacity, alone.opacity, atol=1e-4)
    assert torch.allclose(mixed.normals, alone.normals, atol=1e-4)
    assert (mixed.colour - alone.colour)[alone.opacity > 0.99].abs().mean() > 0.05
    assert all(torch.equal(v, before[k]) for k, v in head.model.state_dict().items())


class Shows(torch.nn.Module):
    """A colour network that says where it was asked."""

    def forward(self, points: Tensor, *_: Tensor) -> Tensor:
        return points


def test_colours_are_asked_for_at_the_same_place_in_the_scene_or_on_the_others_surface(head, ball):
    told = replace(ball, model=HeadModel(ball.settings.field, seed=3))
    told.model.colour = Shows()
    random = torch.Generator().manual_seed(0)
    x = 0.6 * torch.nn.functional.normalize(torch.randn(50, 3, generator=random), dim=1)
    plain, snapped = (
        appearance.transfer(head, told, snap=s).model.colour(x, x, x, x[:, :0])
        for s in (False, True)
    )
    scene = torch.tensor(head.center) + head.radius * x
    assert torch.allclose(torch.tensor(ball.center) + ball.radius * plain, scene, atol=1e-3)
    assert told.model.sdf(snapped).abs().max() < 0.2 * told.model.sdf(plain).abs().max()


def test_the_generator_mixes_exactly():
    mixed = appearance.exact_head(3, 5)
    assert torch.equal(mixed.identity, make_head(3).identity)
    assert torch.equal(mixed.albedo, make_head(5).albedo)
    points = make_head(3).landmarks()[:5].detach()
    assert torch.allclose(mixed.sdf(points), make_head(3).sdf(points))
    assert (mixed.reflectance(points) - make_head(3).reflectance(points)).abs().max() > 0.01


def test_nearer_measures_each_picture_against_both_people():
    gallery, known = torch.eye(4), torch.tensor([10, 11, 12, 13])
    pictures = torch.nn.functional.normalize(
        torch.tensor([[0.2, 0.9, 0, 0], [0.9, 0.2, 0, 0], [0, 0.1, 0.2, 0.9]]), dim=1
    )
    shape, colours = torch.tensor([10, 10, 11]), torch.tensor([11, 11, 12])
    found = appearance.nearer(pictures, shape, colours, gallery, known)
    assert found.radiance_nearer.tolist() == [True, False, True]
    assert found.named.tolist() == [11, 10, 13], "or somebody else"
    with pytest.raises(LabError, match="gave shape and colours"):
        appearance.nearer(pictures, shape, shape, gallery, known)
    with pytest.raises(LabError, match="not in the gallery"):
        appearance.nearer(pictures, shape, colours + 9, gallery, known)
