"""Feature grids: values and derivatives; what all kernels keep is in `test_kernels.py`."""

from dataclasses import replace

import pytest
import torch
from backends import (
    DENSE,
    HASHED,
    HASHED_QUADRATIC,
    KERNELS,
    NUMBA,
    ODD,
    QUADRATIC,
    agreed,
    deterministic,
    device_of,
    exact,
    grid,
    needs_triton,
    relative_rms,
    run,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid, encode_grid_reference

backends = pytest.mark.parametrize("backend", KERNELS)


def random_case(layout, count):
    """Points, some outside, and a table, in float64."""
    return tuple(x.double() for x in grid(layout, count).inputs)


def test_layout_hashes_levels_that_do_not_fit():
    assert HASHED.hashed == (False, True, True) and HASHED.sizes == (125, 512, 512)
    assert HASHED.entries == 125 + 1024 and HASHED.features == 6


def test_lattice_points_return_their_entries():
    axis = torch.linspace(-1, 1, 3)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    table = torch.arange(27.0)[:, None]
    features, _ = encode_grid(lattice, table, GridLayout((3,), channels=1), backend="torch")
    assert torch.equal(features, table)


@pytest.mark.parametrize("layout", [DENSE, HASHED, QUADRATIC, HASHED_QUADRATIC])
def test_jacobian_is_the_slope_of_the_features(layout):
    points, table = random_case(layout, 200)
    points = points.clamp(-0.97, 0.97)
    _, jacobian = encode_grid_reference(points, table, layout)
    for axis in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[axis] = 1e-7
        up, _ = encode_grid_reference(points + shift, table, layout, jacobian=False)
        down, _ = encode_grid_reference(points - shift, table, layout, jacobian=False)
        off = ((up - down) / 2e-7 - jacobian[..., axis]).abs().amax(1)
        if layout.degree == 2:
            assert (off < 1e-4).all()  # no plane where it jumps
        # a difference across a lattice plane, where the slope jumps, is no slope
        assert (off < 1e-5).float().mean() > 0.99


def test_reference_passes_gradcheck_twice_in_points_and_table():
    for layout in (
        GridLayout((3, 4), channels=2),
        GridLayout((2, 5), 1, max_entries=32),
        GridLayout((3,), 1, degree=2),
    ):
        inputs = [x.requires_grad_() for x in random_case(layout, 6 // len(layout.resolutions))]
        both = lambda p, t, layout=layout: encode_grid_reference(p, t, layout)  # noqa: E731
        assert torch.autograd.gradcheck(both, inputs)
        assert torch.autograd.gradgradcheck(both, inputs)


def test_splines_of_degree_2_sum_to_one_and_hold_a_slope():
    """Of lattice points that lie on a plane, the features are that plane, up to the border."""
    layout = GridLayout((7,), channels=1, degree=2)
    axis = torch.linspace(-1, 1, 7, dtype=torch.float64)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    slope = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    features, jacobian = encode_grid_reference(points, (lattice @ slope + 5)[:, None], layout)
    torch.testing.assert_close(features[:, 0], points @ slope + 5)
    torch.testing.assert_close(jacobian[:, 0], slope.expand(200, 3))


@backends
@pytest.mark.parametrize("degree", [1, 2])
def test_points_on_lattice_planes_and_on_the_boundary(backend, degree):
    """Where the slope jumps, the cell above is meant; at the upper boundary there is none."""
    layout = GridLayout((3, 5, 17), 2, max_entries=200, degree=degree)  # planes at exact numbers
    axis = torch.tensor([-1.5, -1.0, -0.5, 0.125, 1.0, 1.25])
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    problem = grid(layout, 1)
    _, jacobian, _ = agreed(replace(problem, inputs=(points, problem.inputs[1])), backend)
    assert not jacobian.transpose(1, 2)[points.abs() > 1].any()


@backends
def test_hashed_corners_are_those_of_the_reference(backend):
    """At lattice points a feature is one entry, so a table of entry numbers shows the index."""
    layout = GridLayout((257,), channels=1, max_entries=2**16)
    corners = torch.randint(0, 257, (300, 3), generator=torch.Generator().manual_seed(0))
    table, points = torch.arange(float(layout.entries))[:, None], corners / 128 - 1
    mixed = corners * torch.tensor([1, 2654435761, 805459861])
    wanted = (mixed[:, 0] ^ mixed[:, 1] ^ mixed[:, 2]) % 2**16
    device = device_of(backend)
    got, none = encode_grid(points.to(device), table.to(device), layout, jacobian=False,
                            backend=backend)  # fmt: skip
    assert torch.equal(got[:, 0].cpu().long(), wanted) and none is None
    both, _ = encode_grid(points.to(device), table.to(device), layout, backend=backend)
    assert torch.equal(got, both)


@backends
@pytest.mark.parametrize(("degree", "channels"), [(1, 4), (2, 2), (2, 6)])
def test_features_alone_and_their_gradient(backend, degree, channels):
    """Without a Jacobian, splines have loops of their own: fours of channels, and what is left."""
    if backend == "triton" and channels == 6:
        pytest.skip("Triton takes 1, 2, 4 or 8 channels")
    layout = GridLayout((4, 12, 40), channels, max_entries=2000, degree=degree)
    points, table = grid(layout, 97).inputs
    upstream = torch.randn(97, layout.features, generator=torch.Generator().manual_seed(0))

    def both(points, table, **how):
        table = table.clone().requires_grad_()
        function = encode_grid if how else encode_grid_reference
        features, none = function(points, table, layout, jacobian=False, **how)
        return features, none, torch.autograd.grad(features, table, upstream.to(features))[0]

    device = device_of(backend)
    got, none, slope = both(points.to(device), table.to(device), backend=backend)
    wanted, _, wanted_slope = both(points.double(), table.double())
    assert none is None
    assert relative_rms(got, wanted) < 1e-5
    assert relative_rms(slope, wanted_slope) < 1e-5


@backends
def test_an_eikonal_loss_trains_the_table_in_one_backward(backend):
    """A loss on the length of the Jacobian, the second order of the features."""

    def gradient(function, points, table):
        table = table.clone().requires_grad_()
        length = function(points, table)[1].sum(1).square().sum(-1).add(1e-12).sqrt()
        return torch.autograd.grad((length - 1).square().sum(), table)[0]

    points, table = grid(DENSE, 65).inputs
    reference = lambda p, t: encode_grid_reference(p, t, DENSE)  # noqa: E731
    kernel = lambda p, t: encode_grid(p, t, DENSE, backend=backend)  # noqa: E731
    device = device_of(backend)
    got = gradient(kernel, points.to(device), table.to(device))
    assert relative_rms(got, gradient(reference, points.double(), table.double())) < 1e-4


@backends
def test_a_second_derivative_is_refused(backend):
    points, table = (x.to(device_of(backend)) for x in grid(DENSE, 5).inputs)
    features, _ = encode_grid(points, table.requires_grad_(), DENSE, backend=backend)
    (first,) = torch.autograd.grad(features.square().sum(), table, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.square().sum().backward()


@backends
def test_a_gradient_may_be_added_to_a_buffer(backend):
    points, table = (x.to(device_of(backend)) for x in grid(HASHED, 77).inputs)
    wanted, into = torch.ones_like(table), torch.ones_like(table)
    for buffer in (None, into):
        table = table.detach().requires_grad_()
        with deterministic():
            out, _ = encode_grid(points, table, HASHED, into=buffer, backend=backend)
            out.sin().sum().backward()
        if buffer is None:
            wanted += table.grad
    assert table.grad is None
    torch.testing.assert_close(into, wanted, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="into"):
        encode_grid(points, table, HASHED, into=into[:-1], backend=backend)


@needs_triton
@pytest.mark.parametrize("only", [0, 1], ids=["features", "jacobian"])
def test_the_sorted_mode_takes_one_output(only):
    problem = grid(DENSE, 33)
    with deterministic():
        _, got = run(problem, "triton", only=only)
    assert relative_rms(got[0], exact(problem, only=only)[1][0]) < 1e-4


@pytest.mark.parametrize("backend", [NUMBA])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(2, 40))
def test_a_linear_field_is_reproduced_with_its_slope(backend, seed, resolution):
    generator = torch.Generator().manual_seed(seed)
    layout = GridLayout((resolution,), channels=3, max_entries=resolution**3)
    a, b = (torch.randn(*n, 3, generator=generator, dtype=torch.float64) for n in ((), (3,)))
    axis = torch.linspace(-1, 1, resolution, dtype=torch.float64)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    table = (a + lattice @ b).float()
    points = torch.rand(64, 3, generator=generator) * 1.98 - 0.99
    features, jacobian = encode_grid(points, table, layout, backend=backend)
    assert torch.allclose(features.double(), a + points.double() @ b, atol=1e-5)
    # entries are rounded to 2^-24 of their size, and divided by a cell of 2 / (resolution - 1)
    assert torch.allclose(jacobian.double(), b.T.expand(64, -1, -1), atol=2e-6 * resolution)


def test_what_can_not_run_says_why_and_auto_takes_the_reference():
    points, table = grid(ODD, 9).inputs
    for call, words in (
        (lambda: encode_grid(points, table[:-1], ODD), "table must be"),
        (lambda: encode_grid(points.double(), table, ODD), r"table is torch\.float32"),
        (lambda: encode_grid(points[:, :2], table, ODD), r"points must be \(N, 3\)"),
        (lambda: encode_grid(points, table, ODD, backend="triton"), "the layout has 3"),
        (lambda: encode_grid(points.clone().requires_grad_(), table, ODD, backend="numba"),
         "gradient to the table only"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            call()
    points.requires_grad_()
    features, jacobian = encode_grid(points, table, ODD)
    slope = torch.autograd.grad(features[:, 4].sum(), points)[0]
    assert torch.allclose(slope, jacobian[:, 4], atol=1e-4)
    for wrong in ({"resolutions": (1,)}, {"resolutions": (4,), "channels": 0}):
        with pytest.raises(ValueError):  # noqa: PT011
            GridLayout(**wrong)
