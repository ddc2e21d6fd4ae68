"""The sphere tracer against the mesh, and its pictures against each other."""

import numpy as np
import pytest
import torch

from privhead_nb.errors import SceneError
from privhead_nb.heads.grid import SdfGrid, marching_cubes
from privhead_nb.heads.head import Head, make_head
from privhead_nb.heads.surface import LABELS
from privhead_nb.heads.tracer import Pictures, render, trace
from privhead_nb.scenes.camera import Cameras, custom_rig


@pytest.fixture(scope="module")
def shot() -> tuple[Head, Cameras, Pictures]:
    head = make_head(11)
    cameras, _, _ = custom_rig(
        [(0.0, 0.0, 860.0), (600.0, 100.0, 600.0)],
        [0],
        target=(0.0, -20.0, 0.0),
        size=40,
        fov_deg=25,
    )
    return head, cameras, render(head, cameras)


def test_mask_label_depth_and_normals_tell_one_story(shot):
    _, cameras, p = shot
    assert p.images.shape == (2, 40, 40, 3) and p.images.dtype == torch.float32
    assert p.masks.shape == p.depth.shape == p.labels.shape == (2, 40, 40)
    for values in (p.images, p.masks):
        assert torch.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
    assert 0.12 < p.masks.mean() < 0.5
    inside = p.labels > 0
    assert torch.equal(inside, p.depth > 0)
    assert torch.equal(inside, p.normals.norm(dim=-1) > 0.5)
    assert (p.masks[inside] > 0).all() and (p.masks[~inside] < 1).all()
    assert ((p.masks > 0) & (p.masks < 1)).any()  # soft edges
    assert torch.allclose(p.images[p.masks == 0], torch.ones(3))
    assert p.labels.max() < len(LABELS)
    for view in (0, 1):  # normals face the camera
        facing = -(p.normals[view][inside[view]] @ cameras.c2w[view, :3, 2].float())
        assert (facing > -0.1).float().mean() > 0.99


def test_depth_lies_on_the_surface_and_meets_the_mesh(shot):
    from scipy.spatial import cKDTree

    head, cameras, p = shot
    rows, cols = (p.labels[0] > 0).nonzero().unbind(-1)
    xy = torch.stack([cols, rows], dim=-1).float()
    origins, directions = cameras.rays(torch.zeros(len(xy), dtype=torch.long), xy)
    along = p.depth[0][rows, cols] / (directions @ cameras.c2w[0, :3, 2].float())
    points = origins + along[:, None] * directions
    assert head.sdf(points).abs().quantile(0.95) < 0.1
    vertices, faces = marching_cubes(head.grid)
    nearest, _ = cKDTree(vertices[faces].mean(1)).query(points.numpy())
    assert np.quantile(nearest, 0.95) < 1.2  # face centres lie within a grid step


def test_the_same_call_gives_the_same_picture(shot):
    _, cameras, p = shot
    again = render(make_head(11), cameras[[0]])
    assert torch.equal(again.images[0], p.images[0]) and torch.equal(again.depth[0], p.depth[0])


def test_background_shows_where_the_head_does_not(shot):
    head, cameras, _ = shot
    blue = render(head, cameras[[0]], samples=1, background=(0.1, 0.2, 0.7)).images[0]
    assert torch.allclose(blue[0, 0], torch.tensor([0.1, 0.2, 0.7]), atol=1e-5)
    with pytest.raises(SceneError, match="samples"):
        render(head, cameras, samples=2)  # even


def test_rays_that_miss_stay_infinite(shot):
    head, _, _ = shot
    origins = torch.tensor([[0.0, 0.0, 900.0], [0.0, 0.0, 900.0], [0.0, 0.0, 900.0]])
    directions = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [0.5, 0.0, -(0.75**0.5)]])
    t = trace(head, head.grid, origins, directions)
    assert torch.isfinite(t).tolist() == [True, False, False]


def test_grid_is_trilinear():
    axes = torch.meshgrid(*[torch.arange(4.0)] * 3, indexing="ij")
    grid = SdfGrid(axes[0] + 2 * axes[1] - axes[2], torch.tensor([10.0, 0.0, -5.0]), 2.0)
    points = torch.tensor([[11.0, 3.0, -2.0], [13.0, 1.0, -4.5]])
    unit = (points - grid.low) / 2.0
    assert torch.allclose(grid(points), unit @ torch.tensor([1.0, 2.0, -1.0]))
