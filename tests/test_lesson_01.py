"""Claims of lesson 1: where samples stand on a ray, what they show, and the learner's renderer.

The pieces are the package's, which the learner's are checked against (lesson01/pieces.py).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from privhead_nb import Reconstruction, Scene, load_scene
from privhead_nb.kernels.compositing import composite, laplace_density
from privhead_nb.kernels.error_bounded import inverse_cdf
from privhead_nb.kernels.surface_march import sphere_interval
from privhead_nb.render.volume import Rendered
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks
from privhead_nb.teach.lesson01 import figures, panel
from privhead_nb.teach.lesson01.pieces import (
    depth_and_spread,
    even_samples,
    fine_samples,
    pixel_rays,
    render_rays,
    weights_of,
)

SHARP, SOFT = 0.0015, 0.02  # beta that training ends with, and a wall wider than a step
WAYS = ("even", "jittered", "midpoints", "behind")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return load_scene(SAMPLES / "scene")


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    return Reconstruction.load(SAMPLES / "reconstruction")


class HeadRays(NamedTuple):
    """The rays of a picture that meet the head's unit sphere, as on the lesson's page."""

    head: Reconstruction
    origins: Tensor
    directions: Tensor
    near: Tensor
    far: Tensor
    pixels: Tensor

    @torch.no_grad()
    def weights(self, t: Tensor, beta: float) -> Tensor:
        points = self.origins[:, None] + t[..., None] * self.directions[:, None]
        f = self.head.model.sdf(points.reshape(-1, 3)).reshape(t.shape)
        return weights_of(laplace_density(f, beta), torch.diff(t, append=self.far))

    def depth(self, t: Tensor, beta: float) -> Tensor:
        """Expected depth (R,), mm; NaN where the head isn't surely met."""
        weights = self.weights(t, beta)
        depth = self.head.radius * depth_and_spread(weights, t)[0]
        return depth.where(weights.sum(1) > 0.99, torch.nan)

    def place(self, count: int, way: str, beta: float, seed: int = 0) -> Tensor:
        """Samples in one of WAYS; the last two are two passes, by NeRF's bins and by others."""
        ends, draw = (self.near, self.far, len(self.near)), torch.Generator().manual_seed(seed)
        if way in ("even", "jittered"):
            return even_samples(*ends, count, draw if way == "jittered" else None)
        t = even_samples(*ends, count // 2)
        weights = self.weights(t, beta)
        u = even_samples(0.0, 1.0, len(t), count // 2).double()
        behind = inverse_cdf(torch.cat([t, self.far], 1), weights, u)
        more = fine_samples(t, weights, count // 2) if way == "midpoints" else behind
        return torch.cat([t, more], 1).sort(1).values


@pytest.fixture(scope="module")
def side(head: Reconstruction, scene: Scene) -> HeadRays:
    return head_rays(head, scene, 24)


def head_rays(head: Reconstruction, scene: Scene, size: int) -> HeadRays:
    camera = scene.cameras.resized(size, size)[8]
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    origins, directions = pixel_rays(camera, torch.stack([x, y], 2).reshape(-1, 2))
    origins = (origins - torch.tensor(head.center)) / head.radius
    near, far, meets = sphere_interval(origins, directions)
    some = (x[meets] for x in (origins, directions, near[:, None], far[:, None]))
    return HeadRays(head, *some, meets.reshape(size, size))


# Checks -------------------------------------------------------------------------------------------


def test_a_check_lends_pieces_and_takes_them_back(capsys: pytest.CaptureFixture[str]) -> None:
    """A learner's own pieces, wrong ones too, stay theirs and are not judged."""
    names: dict[str, Any] = {"even_samples": None, "real": render_rays}
    exec(
        "def mine(*given):\n    assert weights_of and even_samples\n    return real(*given)", names
    )
    checks.ex0106(names["mine"])
    assert capsys.readouterr().out.startswith("ex0106 passed")
    assert names["even_samples"] is None and "weights_of" not in names


# One ray ------------------------------------------------------------------------------------------


def test_the_weights_are_exact_where_density_and_colour_are_constant_on_each_section() -> None:
    density = torch.tensor([[0.3, 2.0, 0.0, 5.0]], dtype=torch.float64)
    lengths = torch.tensor([[0.5, 0.2, 1.0, 0.3]], dtype=torch.float64)
    colours = torch.tensor([[[1.0], [0.2], [0.7], [0.4]]], dtype=torch.float64)
    few = composite(weights_of(density, lengths), colours)
    cut = 200_000  # the same integral, from the definition, with very many sections
    sigma, step, c = (x.repeat_interleave(cut, 1) for x in (density, lengths / cut, colours))
    before = torch.cumsum(sigma * step, 1) - sigma * step / 2
    many = (torch.exp(-before) * sigma * c[..., 0] * step).sum()
    assert float(few) == pytest.approx(float(many), abs=1e-9)


def test_waits_at_the_bus_stop() -> None:
    draw, n = torch.Generator().manual_seed(3), 64
    wall = 0.1 + 0.8 * torch.rand(100_000, 1, generator=draw)
    for generator, wait in ((None, 1 / 2), (draw, 7 / 12)):
        t = even_samples(0.0, 1.0, len(wall), n, generator)
        waited = n * float((t.gather(1, torch.searchsorted(t, wall)) - wall).mean())
        assert waited == pytest.approx(wait, abs=0.006)
    t = torch.rand(len(wall), n, generator=draw).sort(1).values
    waited = float((t.gather(1, torch.searchsorted(t, wall).clamp(max=n - 1)) - wall).mean())
    assert n * waited == pytest.approx(1.0, abs=0.03)


CLOUDS = {k: v for k, v in panel.REST.items() if k not in ("samples", "placed")}
THIN = CLOUDS | {"second_width": 0.01}


def test_a_look_is_equation_1_and_exact_is_the_integral_of_a_cloud() -> None:
    seen = panel.look(panel.place(32, "even", CLOUDS), CLOUDS)
    assert torch.allclose(seen.weights, seen.through * seen.alpha)
    alone = CLOUDS | {"first_height": 2.0, "first_width": 0.1, "second_height": 0.0}
    exact = panel.look(panel.place(4000, "even", alone), alone)
    assert exact.opacity == pytest.approx(1 - np.exp(-2.0 * 0.1 * np.sqrt(2 * np.pi)), abs=1e-5)


def test_the_depth_of_veil_and_wall_is_where_nothing_is() -> None:
    exact = panel.look(panel.place(4000, "even", CLOUDS), CLOUDS)
    at = torch.tensor([[exact.depth]], dtype=torch.float64)
    assert float(panel.look(at, CLOUDS).density) < 1e-3 * float(exact.density.max())
    alone = CLOUDS | {"first_height": 0.0}
    assert exact.spread > 5 * panel.look(panel.place(4000, "even", alone), alone).spread


def test_importance_sampling_misses_what_its_first_pass_missed() -> None:
    exact, even, found = (
        panel.look(panel.place(count, how, THIN), THIN)
        for count, how in ((4000, "even"), (12, "even"), (12, "by weight"))
    )
    assert found.opacity < exact.opacity - 0.2 and found.depth < 0.7
    assert abs(even.depth - exact.depth) < 0.1


@pytest.mark.parametrize("how", panel.PLACINGS)
def test_samples_rise_on_the_ray(how: str) -> None:
    for count in (8, 9, 33):
        t = panel.place(count, how, CLOUDS)
        assert t.shape == (1, count) and bool((t.diff() >= 0).all())
        assert float(t.min()) >= 0 and float(t.max()) <= panel.LENGTH


# A head -------------------------------------------------------------------------------------------


def test_importance_sampling_wins_at_a_sharp_wall_if_samples_stand_inside_their_bins(
    side: HeadRays,
) -> None:
    """Section 5's curves, on pictures with 24 pixels a side; the lesson's have 40."""
    right = {beta: side.depth(even_samples(side.near, side.far, len(side.near), 2048), beta)
             for beta in (SHARP, SOFT)}  # fmt: skip
    off = {
        (beta, way, n): float(
            (side.depth(side.place(n, way, beta), beta) - right[beta]).abs().nanmean()
        )
        for beta, way, n in product(right, WAYS, (8, 32, 64, 128))
    }
    for n, times in ((8, 1.3), (32, 1.7), (128, 3.0)):  # 1.6, 2.1 and 4.3 in the lesson
        assert off[SHARP, "even", n] > times * off[SHARP, "midpoints", n]
        assert off[SHARP, "behind", n] > 1.4 * off[SHARP, "even", n]
        assert off[SHARP, "jittered", n] > off[SHARP, "even", n]
    assert off[SOFT, "even", 8] > 1.5 * off[SOFT, "midpoints", 8]
    for n in (64, 128):
        assert off[SOFT, "even", n] < 0.8 * min(off[SOFT, way, n] for way in WAYS[1:])
    assert all(off[beta, "behind", n] > off[beta, "even", n] for beta in right for n in (8, 128))


def test_bins_around_a_sample_reach_before_the_wall_and_bins_behind_it_hardly_do(
    side: HeadRays,
) -> None:
    t = side.place(1024, "even", SHARP)
    surface = side.depth(t, SHARP)[:, None] / side.head.radius - 3 * SHARP
    reached = {}
    for way in WAYS[2:]:
        inner = side.place(32, way, SHARP)
        even = even_samples(side.near, side.far, len(side.near), 16)
        new = (inner[..., None] - even[:, None]).abs().amin(2) > 1e-6
        gap = (even[:, 1:] - even[:, :-1])[:, :1]
        close = new & (inner < surface) & (inner > surface - gap)
        reached[way] = float(close.any(1)[~surface[:, 0].isnan()].float().mean())
    assert reached["midpoints"] > 0.45 and reached["behind"] < 0.2


def test_even_samples_err_together_jittered_ones_alone_and_all_too_deep(
    head: Reconstruction, scene: Scene
) -> None:
    side = head_rays(head, scene, 64)
    right = side.depth(side.place(512, "even", SHARP), SHARP)
    alike, mean = {}, {}
    for way in ("even", "jittered"):
        error = side.depth(side.place(12, way, SHARP), SHARP) - right
        assert float((error > 0).sum() / (~error.isnan()).sum()) > 0.85
        picture = torch.full(side.pixels.shape, torch.nan)
        picture[side.pixels] = error
        pairs = torch.stack([picture[:, :-1].flatten(), picture[:, 1:].flatten()])
        alike[way] = float(torch.corrcoef(pairs[:, ~pairs.isnan().any(0)])[0, 1])
        mean[way] = float(error.nanmean())
    assert alike["even"] > 0.2 > abs(alike["jittered"]) and mean["jittered"] > mean["even"]


def test_truth_is_fine_enough(side: HeadRays) -> None:
    truth, finer = (side.depth(side.place(n, "even", SHARP), SHARP) for n in (1024, 2048))
    assert int((~truth.isnan()).sum()) > 100
    assert float((finer - truth).abs().nanmean()) < 0.03


class HeadField:
    """As on the lesson's page."""

    def __init__(self, head: Reconstruction) -> None:
        self.model = head.model

    def density(self, points: Tensor) -> Tensor:
        return laplace_density(self.model.sdf(points), self.model.beta())

    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        _, features, gradient = self.model.field.with_gradient(points)
        return self.model.colour(points, normalize(gradient, dim=1), directions, features)


@torch.no_grad()
def test_the_renderer_is_the_packages(side: HeadRays, scene: Scene, head: Reconstruction) -> None:
    """Against VolSDF's sampler; 0.4 of 255 and 0.13 mm with 64 + 64 samples in the lesson."""
    careful = replace(
        head.settings.render, coverage="volume", sampler="error-bounded", normals="exact"
    )
    model = replace(head, settings=replace(head.settings, render=careful))
    theirs: Rendered = model.render(scene.cameras.resized(24, 24), 8)
    apart = []
    for count in (8, 64):
        colour, opacity, depth = render_rays(
            HeadField(head), *side[1:5], (count, count), torch.ones(3)
        )
        met = (opacity > 0.9) & (theirs.opacity[side.pixels] > 0.9)
        off = (colour - theirs.colour[side.pixels]).abs()[met]
        deep = (head.radius * depth - theirs.depth[side.pixels]).abs()[met]
        apart.append((255 * float(off.mean()), float(deep.mean())))
    (coarse_levels, coarse_mm), (levels, mm) = apart
    assert int(met.sum()) > 100 and levels < 1.2 and mm < 0.5
    assert levels < coarse_levels / 3 and mm < coarse_mm / 5


# Pictures -----------------------------------------------------------------------------------------


def test_rays_are_drawn_to_the_head(scene: Scene, head: Reconstruction) -> None:
    xy = torch.tensor([[31.5, 8.0], [31.5, 31.0], [20.0, 20.0]])
    rays = {f"view {view}": pixel_rays(scene.cameras[view], xy) for view in (7, 9)}
    figure = figures.rays_through_head(scene.images[7], head, xy, *rays["view 7"])
    assert len(figure.axes[1].lines) == 3 + 1  # rays and the camera
    turning = figures.rays_to_turn(head, rays, faces=400)
    mesh, *lines = turning.data
    assert len(mesh.i) <= 420 and [line.name for line in lines] == ["view 7", "view 9"]
    ends = np.stack([lines[0].x, lines[0].y, lines[0].z], 1)
    assert ends.shape == (9, 3) and np.isnan(ends[2]).all()
    reach = np.linalg.norm(ends[:2] - np.array(head.center), axis=1) / head.radius
    assert np.all(reach < 2.1) and not turning.layout.updatemenus
