"""Samplers on fields whose answer is known: a ball."""

import pytest
import torch

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid
from privhead_nb.kernels.surface_march import march, sphere_interval
from privhead_nb.render.sampling import SdfCache, uniform_samples


def ball(points, radius=0.5):
    return points.norm(dim=-1) - radius


def fan(count=200, seed=0):
    """Rays from (0, 0, 3) towards points spread around the origin, some past the ball."""
    generator = torch.Generator().manual_seed(seed)
    origins = torch.tensor([0.0, 0.0, 3.0]).expand(count, 3)
    targets = torch.rand(count, 3, generator=generator) * 1.6 - 0.8
    targets[:, 2] = 0
    return origins, torch.nn.functional.normalize(targets - origins, dim=-1)


def test_sphere_interval_against_geometry():
    origins = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    directions = torch.tensor([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    near, far, meets = sphere_interval(origins, directions)
    assert meets.tolist() == [True, False, True, False]
    assert torch.allclose(near[[0, 2]], torch.tensor([2.0, 0.0]))
    assert torch.allclose(far[[0, 2]], torch.tensor([4.0, 1.0]))


def test_uniform_samples_fill_each_section_once():
    near, far = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 6.0])
    t = uniform_samples(near, far, 8, torch.Generator().manual_seed(0))
    section = ((t - near[:, None]) / (far - near)[:, None] * 8).floor()
    assert torch.equal(section, torch.arange(8.0).expand(2, 8))
    assert torch.allclose(uniform_samples(near, far, 2), torch.tensor([[1.25, 1.75], [3.0, 5.0]]))


def test_cache_is_the_field_between_lattice_points():
    cache = SdfCache(32)
    with pytest.raises(RuntimeError, match="refresh"):
        cache.lattice()
    cache.refresh(ball)
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    layout = GridLayout((32,), 1, max_entries=32**3)
    found, _ = encode_grid(points, cache.lattice(), layout, jacobian=False)
    off = (found[:, 0] - ball(points)).abs()
    assert off[points.norm(dim=-1) > 0.2].max() < 0.01


def test_first_crossing_finds_the_ball_and_the_nearest_miss():
    cache = SdfCache(64)
    cache.refresh(ball)
    origins, directions = fan()
    kept = sphere_interval(origins, directions)[2]
    origins, directions = origins[kept], directions[kept]
    found = march(cache.lattice(), cache.resolution, origins, directions)
    half = (origins * directions).sum(-1)
    disc = half.square() - (origins.square().sum(-1) - 0.25)
    sure = disc.abs() > 0.02
    assert torch.equal(found.hit[sure], (disc > 0)[sure])
    hits = found.hit & sure
    assert (found.t - (-half - disc.clamp_min(0).sqrt()))[hits].abs().max() < 0.01
    nearest = (origins - half[:, None] * directions).norm(dim=-1) - 0.5
    assert (found.closest - nearest).abs().max() < 0.02
    assert (found.t_closest + half).abs().max() < 0.05
    inside = disc > 0.1
    normals = (origins + found.t[:, None] * directions) / 0.5
    assert (found.slope - (directions * normals).sum(-1))[inside].abs().max() < 0.1
    assert (found.slope[hits] < 0).all() and hits.sum() > 20 and (~found.hit).sum() > 20


def test_points_near_the_surface_lie_on_all_its_sides():
    cache = SdfCache(48)
    generator = torch.Generator().manual_seed(0)
    cache.refresh(ball)
    points = cache.near_surface(2000, generator)
    cell = 2 / 47
    assert points.shape == (2000, 3) and ball(points).abs().max() < 2 * cell
    assert points.mean(0).abs().max() < 0.05  # as many in front as behind
    cache.refresh(lambda p: p.norm(dim=-1) + 1)
    assert len(cache.near_surface(10, generator)) == 0


def test_a_refresh_near_the_surface_equals_a_whole_one_there():
    cache, whole = SdfCache(32), SdfCache(32)
    cache.refresh(ball)
    cache.refresh(lambda p: ball(p, 0.52), within=0.1)
    whole.refresh(lambda p: ball(p, 0.52))
    near = whole.values.abs() < 0.05
    assert torch.equal(cache.values[near], whole.values[near])
    assert torch.equal(cache.values < 0, whole.values < 0)
