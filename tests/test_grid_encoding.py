"""Feature grids: the reference's values and derivatives are right, and bad input is named."""

import pytest
import torch

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid, encode_grid_reference

DENSE = GridLayout((4, 9), channels=3)
HASHED = GridLayout((5, 40, 64), channels=2, max_entries=1000)


def random_case(layout, count, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 3, generator=generator, dtype=dtype) * 2.4 - 1.2  # some outside
    table = torch.randn(layout.entries, layout.channels, generator=generator, dtype=dtype)
    return points, table


def test_layout_hashes_levels_that_do_not_fit():
    assert HASHED.hashed == (False, True, True)
    assert HASHED.sizes == (125, 512, 512)
    assert HASHED.entries == 125 + 1024 and HASHED.features == 6


def test_lattice_points_return_their_entries():
    layout = GridLayout((3,), channels=1)
    table = torch.arange(27.0)[:, None]
    axis = torch.linspace(-1, 1, 3)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    features, _ = encode_grid(lattice, table, layout, backend="torch")
    assert torch.equal(features[:, 0], table[:, 0])


@pytest.mark.parametrize("layout", [DENSE, HASHED])
def test_jacobian_is_the_slope_of_the_features(layout):
    points, table = random_case(layout, 200, dtype=torch.float64)
    points = points.clamp(-0.97, 0.97)
    _, jacobian = encode_grid_reference(points, table, layout)
    step = 1e-7
    for axis in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[axis] = step
        up, _ = encode_grid_reference(points + shift, table, layout, jacobian=False)
        down, _ = encode_grid_reference(points - shift, table, layout, jacobian=False)
        slope = (up - down) / (2 * step)
        off = (slope - jacobian[..., axis]).abs().amax(1)
        # a difference across a lattice plane, where the slope jumps, is no slope
        assert (off < 1e-5).float().mean() > 0.99


def test_reference_passes_gradcheck_twice():
    layout = GridLayout((3, 4), channels=2)
    points, table = random_case(layout, 7, dtype=torch.float64)
    table.requires_grad_()
    assert torch.autograd.gradcheck(lambda t: encode_grid_reference(points, t, layout), table)
    squared = lambda t: [o.square() for o in encode_grid_reference(points, t, layout)]  # noqa: E731
    assert torch.autograd.gradgradcheck(squared, table)


def test_reference_passes_gradcheck_twice_in_the_points():
    layout = GridLayout((2, 5), channels=1, max_entries=32)
    points, table = random_case(layout, 4, dtype=torch.float64)
    points.requires_grad_()
    table.requires_grad_()
    both = lambda p, t: encode_grid_reference(p, t, layout)  # noqa: E731
    assert torch.autograd.gradcheck(both, (points, table))
    assert torch.autograd.gradgradcheck(both, (points, table))


def test_the_gradient_to_the_points_is_the_jacobian():
    points, table = random_case(HASHED, 50, dtype=torch.float64)
    points.requires_grad_()
    features, jacobian = encode_grid_reference(points, table, HASHED)
    for k in range(HASHED.features):
        slope = torch.autograd.grad(features[:, k].sum(), points, retain_graph=True)[0]
        assert torch.allclose(slope, jacobian[:, k])


def test_forced_backend_that_cannot_run_says_why():
    points, table = random_case(DENSE, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="float32"):
        encode_grid(points, table, DENSE, backend="numba")
    with pytest.raises(ValueError, match="unknown backend"):
        encode_grid(points, table, DENSE, backend="cuda")
    with pytest.raises(ValueError, match="table must be"):
        encode_grid(points, table[:-1], DENSE)
    with pytest.raises(ValueError, match="both must be the same"):
        encode_grid(points.float(), table, DENSE)
