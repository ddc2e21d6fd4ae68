"""Rendering a ball whose picture is known: opacity, depth, normals, coverage of the outline."""

import pytest
import torch
from torch import nn

from privhead_nb.heads.light import to_linear, to_srgb
from privhead_nb.kernels.surface_march import march
from privhead_nb.render import volume
from privhead_nb.render.sampling import SdfCache
from privhead_nb.render.volume import Rays, RenderSettings, render_rays, render_view
from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.images import resize_area
from privhead_nb.training.batches import rays_through

WHITE = torch.ones(3)


class Ball(nn.Module):
    """Stands in for a head model: a ball of radius 0.5 whose colour is its normal."""

    def __init__(self, beta=0.002, radius=0.5):
        super().__init__()
        self.width, self.radius = beta, nn.Parameter(torch.tensor(radius))
        self.field = self

    def beta(self):
        return torch.tensor(self.width)

    def sdf(self, points):
        return points.norm(dim=-1) - self.radius

    def sdf_and_features(self, points):
        return self.sdf(points), points

    def with_gradient(self, points):
        return self.sdf(points), points, nn.functional.normalize(points, dim=-1)

    def colour(self, points, normals, views, features):
        return normals * 0.5 + 0.5


def camera(size=32, focal=60.0):
    """Rays of a pinhole camera at (0, 0, 3) that looks along -z."""
    axis = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    directions = torch.stack([x, -y, torch.full_like(x, -focal)], -1).reshape(-1, 3)
    directions = nn.functional.normalize(directions, dim=-1)
    origins = torch.tensor([0.0, 0.0, 3.0]).expand_as(directions)
    return Rays(origins, directions, torch.full((size * size,), 1 / focal))


def cached(model):
    """Its distances as they are now."""
    cache = SdfCache()
    cache.refresh(model.sdf)
    return cache


SETTINGS = {
    "surface": RenderSettings(),
    "points": RenderSettings(coverage="volume"),
    "exact": RenderSettings(normals="exact"),
    "logistic": RenderSettings(density="logistic", samples=16),
    "error-bounded": RenderSettings(
        sampler="error-bounded", coverage="volume", normals="exact", min_weight=-1.0
    ),
    "uniform": RenderSettings(sampler="uniform", samples=400, coverage="volume"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_ball_looks_like_a_ball(name):
    model, rays = Ball(beta=0.01 if name == "uniform" else 0.002), camera()
    shown = render_view(model, rays, WHITE, SETTINGS[name], chunk=300)
    half = (rays.origins * rays.directions).sum(-1)
    disc = half.square() - (rays.origins.square().sum(-1) - 0.25)
    deep, clear = disc > 0.03, disc < -0.06
    assert shown.opacity[deep].min() > 0.97
    assert shown.opacity[clear].max() < 0.05 and torch.allclose(
        shown.colour[clear], WHITE.expand(int(clear.sum()), 3), atol=0.05
    )
    t = -half - disc.clamp_min(0).sqrt()
    assert (shown.depth - t)[deep].abs().median() < 0.012
    point = rays.origins + t[:, None] * rays.directions
    cosine = (nn.functional.normalize(shown.normals, dim=-1) * point / 0.5).sum(-1)
    assert cosine[deep].min() > 0.98
    assert ((shown.colour - (point + 0.5))[deep].abs().mean()) < 0.03


def test_coverage_is_the_share_of_the_pixel():
    model, size = Ball(), 24
    coarse = render_view(model, camera(size, 45.0), WHITE)
    fine = render_view(model, camera(size * 8, 360.0), WHITE, SETTINGS["points"])
    area = fine.opacity.reshape(size, 8, size, 8).mean((1, 3)).reshape(-1)
    edge = (area > 0.02) & (area < 0.98)
    footprint = (coarse.opacity - area)[edge].abs().mean()
    points = render_view(model, camera(size, 45.0), WHITE, SETTINGS["points"])
    assert edge.sum() > 20
    assert footprint < 0.12 and footprint < 0.5 * (points.opacity - area)[edge].abs().mean()


def test_the_outline_pulls_on_the_shape():
    rays = camera(24, 45.0)
    for radius in (0.46, 0.54):  # half a pixel too small, too large
        model = Ball(radius=radius)
        truth = render_view(Ball(radius=0.5), rays, WHITE).opacity
        shown = render_rays(model, rays, WHITE, cache=cached(model))
        (shown.opacity - truth).abs().mean().backward()
        assert model.radius.grad * (radius - 0.5) > 0


def test_a_pixel_is_the_mean_over_its_area():
    """Supersampled, a small picture is the area mean of the larger one; one ray a pixel is not."""

    class Striped(Ball):
        def colour(self, points, normals, views, features):
            return torch.sin(40 * points[:, :1]).expand(-1, 3) * 0.5 + 0.5

    model, size = Striped(), 16
    K = torch.tensor([[30.0, 0, size / 2], [0, 30.0, size / 2], [0, 0, 1]], dtype=torch.float64)
    c2w = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))
    c2w[2, 3] = 3
    small = Cameras(K=K[None], c2w=c2w[None], width=size, height=size)

    def picture(factor, side):
        cameras = small.resized(size * factor, size * factor)
        rays = rays_through(cameras, torch.arange((size * factor) ** 2), side)
        shown = render_view(model, rays, WHITE, rays_a_pixel=side**2)
        return shown.colour.reshape(size * factor, size * factor, 3).detach().numpy()

    mean = torch.tensor(resize_area(picture(8, 1), size, size))
    twice = torch.tensor(resize_area(picture(2, 1), size, size))
    one, four = (torch.tensor(picture(1, side)) for side in (1, 2))
    assert torch.allclose(four, twice, atol=1e-5)
    rays = rays_through(small, torch.arange(size**2), 2)
    halves, pixels = (render_view(model, rays, WHITE, rays_a_pixel=n) for n in (1, 4))
    met = (halves.depth > 0).reshape(-1, 4)
    edge = met.any(1) & ~met.all(1)  # depth is the surface's there, not one of surface and nothing
    assert edge.any() and pixels.depth[edge].min() > 2.4 and pixels.opacity[edge].max() < 1
    assert (four - mean).abs().mean() < 0.3 * (one - mean).abs().mean()


def test_a_pixel_can_be_a_mean_of_light():
    """Of rays, and of head and background within a ray, as linear_light says: between the two."""

    class Two(Ball):
        def colour(self, points, normals, views, features):
            return torch.where(points[:, :1] < 0, 0.1, 0.6).expand(-1, 3)

    model, rays = Two(), camera(16, 30.0)
    shown = render_view(model, rays, WHITE)
    head = torch.where(camera(16, 30.0).directions[:, :1] < 0, 0.1, 0.6)
    share = shown.opacity[:, None]
    light = to_srgb(share * to_linear(head) + (1 - share) * 1.0)
    stored = share * head + (1 - share)
    edge = (share > 0.1) & (share < 0.9)
    assert edge.sum() > 10 and (light - stored)[edge.expand_as(light)].max() > 0.1
    for part in (0.0, 0.4, 1.0):
        one = render_view(model, rays, WHITE, linear_light=part).colour
        wanted = torch.lerp(stored, light, part).expand_as(one)
        assert torch.allclose(one, wanted, atol=1e-4)
    rows = torch.arange(256).reshape(16, 16)[:, 4:12].reshape(-1)  # pairs: dark, light, across
    pair = render_view(model, rays[rows], WHITE, rays_a_pixel=8, linear_light=1.0).colour
    mean = to_linear(render_view(model, rays[rows], WHITE, linear_light=1.0).colour)
    assert torch.allclose(pair, to_srgb(mean.reshape(-1, 8, 3).mean(1)), atol=1e-5)


def test_in_training_one_ray_of_a_pixel_gives_the_normal_of_all():
    model, settings = Ball(), RenderSettings(supersampling=2, samples=2)
    rays, cache = camera(16, 30.0), cached(Ball())
    draw = torch.Generator().manual_seed(0)
    few = render_rays(model, rays, WHITE, settings, cache=cache, generator=draw, rays_a_pixel=4)
    each = render_rays(model, rays, WHITE, settings, cache=cache, rays_a_pixel=4)
    whole = few.opacity > 0.99
    assert len(few.gradients) < len(each.gradients) / 2
    assert torch.allclose(few.normals[whole].norm(dim=-1), torch.ones(1), atol=1e-3)  # not a mean
    assert (few.normals - each.normals)[whole].norm(dim=-1).max() < 0.5
    assert (few.normals - each.normals)[whole].mean(0).norm() < 0.1  # drawn, not always the first


def test_eikonal_points_are_asked_beside_the_samples():
    model, rays = Ball(), camera(8, 15.0)
    cache = cached(model)
    further = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for normals in ("differences", "exact"):
        settings = RenderSettings(normals=normals)
        shown = render_rays(model, rays, WHITE, settings, cache=cache, eikonal_points=further)
        toward = nn.functional.normalize(further, dim=-1)
        assert torch.allclose(shown.gradients[-50:], toward, atol=0.1)
        assert (shown.laplacians is None) == (normals == "exact")


def test_chunks_do_not_change_the_picture_and_seeds_repeat_it():
    model, rays = Ball(), camera(12, 20.0)
    one, many = render_view(model, rays, WHITE), render_view(model, rays, WHITE, chunk=7)
    assert torch.allclose(one.colour, many.colour, atol=1e-6)
    seeds, cache = [torch.Generator().manual_seed(s) for s in (1, 1, 2)], cached(model)
    first, again, other = (render_rays(model, rays, WHITE, cache=cache, generator=g).colour
                           for g in seeds)  # fmt: skip
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("beta", [0.03, 0.0015])
@pytest.mark.parametrize("coverage", ["footprint", "volume"])
def test_what_the_march_passes_over_is_not_seen(coverage, beta, monkeypatch):
    """The picture is that of a march that looks at all values."""
    rays, model = camera(24, 45.0), Ball(beta)
    cache, settings = cached(model), RenderSettings(coverage=coverage)
    shown = render_rays(model, rays, WHITE, settings, cache=cache)

    def whole(*args, reach, blocks, **more):
        return march(*args, **more)

    monkeypatch.setattr(volume, "march", whole)
    wanted = render_rays(model, rays, WHITE, settings, cache=cache)
    assert 0.1 < wanted.opacity.mean() < 0.9
    torch.testing.assert_close(shown.opacity, wanted.opacity, rtol=0, atol=1e-6)
    torch.testing.assert_close(shown.colour, wanted.colour, rtol=0, atol=1e-6)


def test_rays_that_miss_everything_show_the_background():
    rays = camera(8, 15.0)
    away = Rays(rays.origins, -rays.directions, rays.pixel)
    model, blue = Ball(), torch.tensor([0.2, 0.4, 0.6])
    shown = render_rays(model, away, blue, cache=cached(model))
    assert torch.allclose(shown.colour, blue.expand(64, 3))
    assert shown.opacity.sum() == 0 and len(shown.gradients) == 0
    none = render_rays(model, away[away.pixel < 0], blue, cache=cached(model))
    assert none.colour.shape == (0, 3) and none.opacity.shape == (0,)


def test_render_settings_are_checked():
    with pytest.raises(ValueError, match="sampler"):
        RenderSettings(sampler="magic")
    with pytest.raises(ValueError, match="footprint"):
        RenderSettings(sampler="uniform")
    with pytest.raises(ValueError, match="supersampling"):
        RenderSettings(supersampling=0)
    with pytest.raises(ValueError, match="cache"):
        render_rays(Ball(), camera(4), WHITE)
