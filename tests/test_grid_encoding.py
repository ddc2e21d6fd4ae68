"""Feature grids: the Numba loops equal the reference, and the reference's derivatives are right."""

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


def relative_rms(got, wanted):
    return ((got.double() - wanted).square().mean() / wanted.square().mean()).sqrt().item()


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


@pytest.mark.parametrize("layout", [DENSE, HASHED])
@pytest.mark.parametrize("count", [0, 1, 1023])
def test_numba_equals_float64_reference(layout, count):
    pytest.importorskip("numba", reason="Numba is optional")
    points, table = random_case(layout, count)
    wanted_table = table.double().requires_grad_()
    table.requires_grad_()
    got = encode_grid(points, table, layout, backend="numba")
    wanted = encode_grid_reference(points.double(), wanted_table, layout)
    generator = torch.Generator().manual_seed(1)
    upstream = [torch.randn(o.shape, generator=generator) for o in got]
    sum((o * u).sum() for o, u in zip(got, upstream, strict=True)).backward()
    sum((o * u.double()).sum() for o, u in zip(wanted, upstream, strict=True)).backward()
    if count == 0:
        assert got[0].shape == (0, layout.features) and table.grad.abs().max() == 0
        return
    assert relative_rms(got[0], wanted[0]) < 1e-5
    assert relative_rms(got[1], wanted[1]) < 1e-5
    assert relative_rms(table.grad, wanted_table.grad) < 1e-4


def test_numba_without_jacobian_equals_with():
    pytest.importorskip("numba", reason="Numba is optional")
    points, table = random_case(HASHED, 501)
    alone, none = encode_grid(points, table, HASHED, jacobian=False, backend="numba")
    both, _ = encode_grid(points, table, HASHED, backend="numba")
    assert none is None and torch.equal(alone, both)


def test_numba_takes_views_that_are_not_contiguous():
    pytest.importorskip("numba", reason="Numba is optional")
    points, table = random_case(DENSE, 100)
    wide = torch.cat([points, points], 1)[:, ::2][:, :3]
    got, _ = encode_grid(wide, table, DENSE, backend="numba")
    wanted, _ = encode_grid(wide.contiguous(), table, DENSE, backend="torch")
    assert torch.allclose(got, wanted, atol=1e-6)


def test_numba_backward_repeats_bit_for_bit():
    pytest.importorskip("numba", reason="Numba is optional")
    points, table = random_case(HASHED, 5000)
    table.requires_grad_()
    grads = []
    for _ in range(3):
        features, jacobian = encode_grid(points, table, HASHED, backend="numba")
        grads.append(torch.autograd.grad(features.sum() + jacobian.square().sum(), table)[0])
    assert torch.equal(grads[0], grads[1]) and torch.equal(grads[0], grads[2])


def test_forced_backend_that_cannot_run_says_why():
    points, table = random_case(DENSE, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="float32"):
        encode_grid(points, table, DENSE, backend="numba")
    with pytest.raises(ValueError, match="unknown backend"):
        encode_grid(points, table, DENSE, backend="cuda")
    with pytest.raises(ValueError, match="table must be"):
        encode_grid(points, table[:-1], DENSE)
