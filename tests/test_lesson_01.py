"""Claims of lesson 1: where samples stand on a ray, and what they show.

The pieces are the package's, which the learner's are checked against (lesson01/pieces.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from privhead_nb import Reconstruction, Scene, load_scene
from privhead_nb.kernels.compositing import composite, laplace_density
from privhead_nb.kernels.surface_march import sphere_interval
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks
from privhead_nb.teach.lesson01 import figures, panel
from privhead_nb.teach.lesson01.pieces import (
    depth_and_spread,
    even_samples,
    pixel_rays,
    render_rays,
    weights_of,
)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return load_scene(SAMPLES / "scene")


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    return Reconstruction.load(SAMPLES / "reconstruction")


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


CLOUDS = {k: v for k, v in panel.REST.items() if k not in ("samples", "placed")}


def test_a_look_is_equation_1_and_exact_is_the_integral_of_a_cloud() -> None:
    seen = panel.look(panel.place(32, "even", CLOUDS), CLOUDS)
    assert torch.allclose(seen.weights, seen.through * seen.alpha)
    alone = CLOUDS | {"first_height": 2.0, "first_width": 0.1, "second_height": 0.0}
    exact = panel.look(panel.place(4000, "even", alone), alone)
    assert exact.opacity == pytest.approx(1 - np.exp(-2.0 * 0.1 * np.sqrt(2 * np.pi)), abs=1e-5)


@pytest.mark.parametrize("how", panel.PLACINGS)
def test_samples_rise_on_the_ray(how: str) -> None:
    for count in (8, 9, 33):
        t = panel.place(count, how, CLOUDS)
        assert t.shape == (1, count) and bool((t.diff() >= 0).all())
        assert float(t.min()) >= 0 and float(t.max()) <= panel.LENGTH


# A head -------------------------------------------------------------------------------------------


@torch.no_grad()
def test_1024_even_samples_are_truth_enough_for_section_5(
    scene: Scene, head: Reconstruction
) -> None:
    camera, beta = scene.cameras.resized(24, 24)[8], 0.0015  # with which training ends
    y, x = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    origins, directions = pixel_rays(camera, torch.stack([x, y], 2).reshape(-1, 2))
    origins = (origins - torch.tensor(head.center)) / head.radius
    near, far, meets = sphere_interval(origins, directions)
    o, d, near, far = (each[meets] for each in (origins, directions, near[:, None], far[:, None]))
    depths = []
    for count in (1024, 2048):
        t = even_samples(near, far, len(near), count)
        f = head.model.sdf((o[:, None] + t[..., None] * d[:, None]).reshape(-1, 3))
        density = laplace_density(f.reshape(t.shape), beta)
        weights = weights_of(density, torch.diff(t, append=far))
        surely = weights.sum(1) > 0.99
        depths.append((head.radius * depth_and_spread(weights, t)[0]).where(surely, torch.nan))
    assert int((~depths[0].isnan()).sum()) > 100
    assert float((depths[1] - depths[0]).abs().nanmean()) < 0.03


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
