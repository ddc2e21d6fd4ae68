"""Claims about pictures: what the rasteriser sees, the result page, and the shared helpers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from privhead_nb.errors import PrivheadError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import evaluate
from privhead_nb.scenes.scene import Truth
from privhead_nb.viz.plots import loss_curves, result_page, short
from privhead_nb.viz.shading import VIEWS, frame_of, rasterize, shaded_normals, view_rotation
from privhead_nb.viz.style import curves, dots, grid, images, show


def ball(radius: float = 100.0) -> Mesh:
    return Mesh.from_trimesh(trimesh.creation.icosphere(subdivisions=3, radius=radius))


def box(extents: tuple[float, float, float], at: tuple[float, float, float]) -> Mesh:
    made = trimesh.creation.box(extents)
    made.apply_translation(at)
    return Mesh.from_trimesh(made)


def joined(*meshes: Mesh) -> Mesh:
    return Mesh.from_trimesh(trimesh.util.concatenate([m.to_trimesh() for m in meshes]))


def test_a_pixel_sees_the_nearest_triangle():
    """Brute force: for each pixel, the covering triangle of largest depth."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-2, 18, (30, 2)), rng.uniform(0, 1, 30)])
    faces = np.arange(30).reshape(10, 3)
    seen, weights = rasterize(points, faces, 16)
    for y, x in np.ndindex(16, 16):
        best, depth = -1, -np.inf
        for index, (a, b, c) in enumerate(points[faces]):
            system = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
            w = np.linalg.solve(system, [x, y, 1])
            if w.min() >= 0 and w @ [a[2], b[2], c[2]] > depth:
                best, depth = index, w @ [a[2], b[2], c[2]]
        assert seen[y, x] == best
        if best >= 0:
            assert weights[y, x] @ points[faces[best]][:, 2] == pytest.approx(depth)


def test_a_ball_covers_a_disc_and_is_brightest_towards_the_light():
    picture = shaded_normals(ball(), size=64, center=(0, 0, 0), extent=125.0)
    covered = (picture < 0.999).any(axis=2).mean()
    assert covered == pytest.approx(np.pi / 4 * 0.8**2, rel=0.03)
    grey = np.where((picture < 0.999).any(axis=2), picture.mean(axis=2), 0)
    y, x = np.unravel_index(grey.argmax(), grey.shape)
    assert x < 32 and y < 32  # the key light stands at the upper left


def test_views_turn_around_the_head():
    """A bump on the face (+z) is in the middle in front, at the left in profile, behind in back."""
    head = joined(ball(), box((10, 10, 60), (0, 0, 110)))
    frame = {"center": (0.0, 0.0, 0.0), "extent": 150.0}
    covered = {
        view: (shaded_normals(head, view, 60, **frame) < 0.999).any(axis=2) for view in VIEWS
    }
    assert covered["profile"][30, :10].any() and not covered["profile"][30, 50:].any()
    np.testing.assert_array_equal(covered["front"], covered["back"][:, ::-1])
    plain = shaded_normals(ball(), "back", 60, **frame)
    np.testing.assert_allclose(shaded_normals(head, "back", 60, **frame), plain, atol=1e-6)


def test_other_axes_give_the_same_picture():
    head = joined(ball(), box((10, 30, 60), (20, 40, 110)))
    turn = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])  # x -> y, y -> z, z -> x
    turned = Mesh(head.vertices @ turn.T, head.faces)
    np.testing.assert_allclose(
        shaded_normals(head, "three-quarter", 48),
        shaded_normals(turned, "three-quarter", 48, up="+z", front="+x"),
        atol=1e-6,
    )


def test_surfaces_seen_from_inside_are_blue():
    inside_out = Mesh(ball().vertices, ball().faces[:, ::-1])
    middle = shaded_normals(inside_out, size=32)[16, 16]
    assert middle[2] > middle[0] + 0.2
    assert np.ptp(shaded_normals(ball(), size=32)[16, 16]) < 0.06


@pytest.mark.parametrize(
    ("view", "up", "front"), [("above", "+y", "+z"), ("front", "y", "+z"), ("front", "+y", "-y")]
)
def test_unknown_views_and_axes_are_clear_errors(view, up, front):
    with pytest.raises(PrivheadError):
        view_rotation(view, up, front)


def test_the_frame_holds_the_mesh_from_every_side():
    mesh = box((20, 200, 90), (5, 6, 7))
    center, extent = frame_of(mesh)
    for view in VIEWS:
        rotation = view_rotation(view)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        seen = (mesh.vertices - center) @ rotation.T
        assert np.abs(seen[:, :2]).max() <= extent * (1.1 if view == "three-quarter" else 1)


HISTORY = {
    "stage1": {"step": [0, 10, 19], "rgb": [0.3, 0.2, 0.1], "eikonal": [0.1, 0.0, 0.02]},
    "stage2": {"step": [0, 10, 19], "gradient": [3.0, 2.0, 1.0], "lipschitz": [0.1, 0.1]},
}


def release() -> Any:
    """As much of a Release as the page shows."""
    return SimpleNamespace(
        neutral_images=torch.rand(3, 16, 16, 3),
        neutral=(0, 1, 2),
        moduli=torch.rand(5, 16, 16),
        sensitive=(3, 4, 5, 6, 7),
        up="+y",
        front="+z",
    )


def test_the_result_page_shows_views_curves_and_heads_with_their_distances():
    truth = Truth(truth=(ball().vertices, ball().faces))
    meshes = {"stage 1": ball(110), "stage 2": ball(102), "truth": ball()}
    distances = {
        name: evaluate(meshes[name], truth, region="head", samples=2000)
        for name in ("stage 1", "stage 2")
    }
    page = result_page(release(), HISTORY, meshes, distances, title="A page")
    page.canvas.draw()
    titles = [ax.get_title() for ax in page.axes]
    assert titles.count("neutral: RGB") == 3 and titles.count("sensitive: modulus") == 4
    assert "stage 1: weighted losses" in titles and "stage 2: weighted losses" in titles
    assert f"stage 2\n{short(distances['stage 2'])}" in titles
    assert sum(len(ax.images) for ax in page.axes) == 3 + 4 + 2 * len(meshes)


def test_loss_curves_place_a_late_term_at_the_end():
    from matplotlib.figure import Figure

    axes = Figure().subplots(1, 2)
    loss_curves(list(axes), HISTORY)
    lines = {line.get_label(): line for line in axes[1].get_lines()}
    assert list(lines["lipschitz"].get_xdata()) == [10, 19]
    assert len({line.get_color() for line in lines.values()}) == len(lines)


def test_loss_curves_leave_a_term_of_older_versions_out():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    loss_curves(
        [ax], {"stage2": {"step": [1, 2], "gradient": [2.0, 1.0], "smoothness": [0.1, 0.1]}}
    )
    assert [line.get_label() for line in ax.get_lines()] == ["gradient"]


def test_a_shown_figure_carries_its_alternative_text():
    data, metadata = show(grid(1, 1, width=1)[0], "An empty square.")._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "An empty square."
    assert data["image/png"]


def test_dots_stand_at_their_values_and_what_is_not_known_is_left_out():
    _, ((ax,),) = grid(1, 1, width=4)
    rates = {"sobel": {"CNN": (0.5, 0.4, 0.6), "PCA": None}, "blur": {"CNN": (float("nan"),) * 3}}
    dots(ax, rates, chance=0.01, extra={"blur": [0.3]}, xlabel="named rightly")
    assert ax.lines[0].get_xydata().tolist() == [[0.5, -0.18]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["sobel", "blur"]
    names = [t.get_text() for t in ax.get_legend().get_texts()]
    assert names == ["CNN", "PCA", "the paper's", "chance"]
    assert ax.get_ylim() == (1.5, -0.5) and ax.get_xlabel() == "named rightly"


def test_curves_that_start_late_end_with_the_others_and_a_grid_lies_behind_pictures():
    _, ((ax, other),) = grid(1, 2, width=4)
    curves(ax, [0, 1, 2], {"whole": [3, 2, 1], "late": [5]}, yscale="log", xlabel="step")
    assert ax.lines[1].get_xdata().tolist() == [2] and ax.get_yscale() == "log"
    assert other.xaxis.get_zorder() < other.imshow([[0]]).get_zorder()


def test_images_have_their_titles_and_rows_their_names():
    grey = np.zeros((4, 4))
    figure = images([[grey, grey], [grey, None]], ["a", "b"], ["up", "down"], bar="mm")
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["up", "", "down", "", "mm"]
    each = images([[grey, grey], [grey]], ["a", "b", "c"])
    assert [ax.get_title() for ax in each.axes] == ["a", "b", "c", ""]


def test_the_real_head_is_drawn_whole(real_head):
    from privhead_nb.scenes.folder import load_scene

    mesh = Mesh.from_trimesh(load_scene(real_head).truth_mesh())
    picture = shaded_normals(mesh, "front", 96)
    covered = (picture < 0.999).any(axis=2)
    assert 0.2 < covered.mean() < 0.6
    blue = (picture[..., 2] > picture[..., 0] + 0.1)[covered]
    assert blue.mean() < 0.02  # hardly any face seen from behind
