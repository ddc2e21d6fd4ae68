"""The inspection page is drawn, and its outlines lie where the pictures say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.contour import QuadContourSet
from PIL import Image

from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import protect
from privhead_nb.viz.inspect import (
    NEUTRAL,
    SENSITIVE,
    draw_release,
    draw_scene,
    save_page,
)


def _views(figure):
    return {ax.get_title().split("\n")[-1]: ax for ax in figure.axes if ax.get_title()}


def test_the_page_shows_every_view_with_role_and_colour(ball):
    views = _views(draw_scene(ball))
    assert list(views) == [f"{i} {'sensitive' if i < 3 else 'neutral'}" for i in range(6)]
    assert views["0 sensitive"].title.get_color() == SENSITIVE
    assert views["5 neutral"].title.get_color() == NEUTRAL


def test_mesh_and_sphere_outlines_lie_on_the_pictures(ball):
    ax = _views(draw_scene(ball))["4 neutral"]
    focal, distance = float(ball.cameras.K[4, 0, 0]), float(ball.cameras.centers[4].norm())
    [mesh] = [c for c in ax.collections if isinstance(c, QuadContourSet)]
    ends = np.concatenate([path.vertices for path in mesh.get_paths()]) - 15.5
    # A ball of radius r at distance d is seen under f r / sqrt(d^2 - r^2).
    for points, r, slack in ((ends, 60.0, 0.02), (ax.lines[0].get_xydata() - 15.5, 80.0, 1e-4)):
        seen = np.linalg.norm(points, axis=1)
        assert seen.mean() == pytest.approx(focal * r / (distance**2 - r**2) ** 0.5, rel=slack)
        assert seen.std() < 0.05 * seen.mean()
    # And the picture agrees: the mask's area is that of the ball's disc.
    disc = np.pi * (focal * 60 / (distance**2 - 60**2) ** 0.5) ** 2
    assert float(ball.masks[4].sum()) == pytest.approx(disc, rel=0.05)


def test_pages_are_written_as_png(ball, tmp_path):
    save_page(
        draw_scene(replace(ball, truth=None, nose_tip=None, neutral=(3,))), tmp_path / "scene.png"
    )
    operator = Operator().blurred(0.5).with_noise(0.01).quantised(16)
    release = protect(ball, operator, size=16, masks="none")
    save_page(draw_release(release), tmp_path / "release.png")
    colours = protect(replace(ball, sensitive=()), size=16)
    assert colours.moduli.shape == (0, 16, 16)
    assert torch.equal(colours.cameras.K, ball.cameras[[3, 4, 5]].resized(16, 16).K)
    save_page(draw_release(colours), tmp_path / "colours.png")
    for name in ("scene.png", "release.png", "colours.png"):
        with Image.open(tmp_path / name) as page:
            assert page.format == "PNG" and min(page.size) > 600
            assert np.asarray(page.convert("L")).std() > 10
    assert len(list(tmp_path.iterdir())) == 3


def test_a_release_shows_moduli_for_sensitive_views(ball):
    release = protect(ball, size=16)
    views = _views(draw_release(release))
    sensitive = views["1 sensitive"].images[0].get_array()
    assert np.ptp(sensitive, axis=-1).max() == 0, "grey: no colours are there to be drawn"
    # Dark where the modulus is high.
    drawn = 1 - np.asarray(sensitive)[..., 0]
    assert np.corrcoef(drawn.ravel(), release.moduli[1].sqrt().numpy().ravel())[0, 1] > 0.95
    neutral = views["3 neutral"].images[0].get_array()
    assert np.array_equal(neutral, release.neutral_images[0].numpy())
