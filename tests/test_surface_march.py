"""Marching rays through a lattice: the kernels find what the reference finds."""

import pytest
import torch
from backends import KERNELS, device_of

from privhead_nb.bench.cases import sphere_rays
from privhead_nb.kernels.surface_march import blocks_of, march, march_reference

RES, CPU = 33, torch.device("cpu")


def lattice_of(sdf, dtype=torch.float32):
    axis = torch.linspace(-1, 1, RES, dtype=dtype)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return sdf(grid)


def ball(points, radius=0.5):
    return points.norm(dim=-1) - radius


def close(got, wanted, bound=1e-5):
    return (got.double() - wanted).norm() <= bound * wanted.norm()


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("spread", [0.1, 0.8, 2.0])  # all hit, a mix, many beside the sphere
@pytest.mark.parametrize(("count", "steps"), [(1, 64), (63, 64), (61, 37)])
def test_kernels_equal_the_reference(backend, spread, count, steps):
    bumpy = lambda p: ball(p) + 0.05 * torch.sin(9 * p).sum(-1)  # noqa: E731
    device = device_of(backend)
    origins, directions = sphere_rays(CPU, count, spread)
    wanted = march_reference(
        lattice_of(bumpy, torch.float64)[:, None], RES, origins.double(), directions.double(), steps
    )
    got = march(
        lattice_of(bumpy).to(device),
        RES,
        origins.to(device),
        directions.to(device),
        steps=steps,
        backend=backend,
    )
    assert torch.equal(got.hit.cpu(), wanted.hit)
    assert close(got.t.cpu(), wanted.t) and close(got.t_closest.cpu(), wanted.t_closest)
    assert close(got.closest.cpu(), wanted.closest)
    assert (
        close(got.slope.cpu()[wanted.hit], wanted.slope[wanted.hit], 1e-4) or not wanted.hit.any()
    )


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("reach", [0.02, 0.1])
@pytest.mark.parametrize("spread", [0.1, 0.8, 2.0])
def test_what_is_passed_over_changes_nothing_within_reach(backend, reach, spread):
    device = torch.device(device_of(backend))
    lattice = lattice_of(lambda p: ball(p) + 0.05 * torch.sin(9 * p).sum(-1)).to(device)
    origins, directions = sphere_rays(device, 150, spread)
    wanted = march(lattice, RES, origins, directions, backend=backend)
    got = march(
        lattice, RES, origins, directions, reach=reach, blocks=blocks_of(lattice, RES),
        backend=backend,
    )  # fmt: skip
    assert torch.equal(got.hit, wanted.hit)
    assert torch.equal(got.t[wanted.hit], wanted.t[wanted.hit])
    assert torch.equal(got.slope[wanted.hit], wanted.slope[wanted.hit])
    near = wanted.closest.abs() < reach - 0.01  # the parabola may lie below all values
    assert near.any() or spread != 0.8
    for name in ("t", "t_closest", "closest"):
        assert torch.equal(getattr(got, name)[near], getattr(wanted, name)[near])
        assert getattr(got, name).isfinite().all()
    far = ~near
    assert torch.equal(got.closest[far] > 0, wanted.closest[far] > 0)
    assert (got.closest[far].abs() > reach - 0.02).all()
    if backend == "numba":  # something was passed over
        assert not torch.equal(got.t_closest, wanted.t_closest)


def test_blocks_bound_the_values_between_their_points():
    for res in (2, 3, 4, 5, 12):  # also where the last block is cut off
        lattice = torch.randn(res**3, generator=torch.Generator().manual_seed(res))
        blocks, cube = blocks_of(lattice, res), lattice.reshape(res, res, res)
        side = -(-(res - 1) // 2)
        assert blocks.lowest.shape == blocks.highest.shape == (side, side, side)
        for i, j, k in torch.cartesian_prod(*[torch.arange(side)] * 3).reshape(-1, 3):
            some = cube[2 * i : 2 * i + 3, 2 * j : 2 * j + 3, 2 * k : 2 * k + 3]
            assert blocks.lowest[i, j, k] == some.min() and blocks.highest[i, j, k] == some.max()


@pytest.mark.parametrize("backend", KERNELS)
def test_edges_of_the_march(backend):
    """A camera inside the surface, one inside the sphere, a ray that looks away, none at all."""
    device = device_of(backend)
    origins = torch.tensor([[0.0, 0, 0.1], [0, 0, 0.9], [0, 0, 3], [0, 3, 3]], device=device)
    directions = torch.tensor([[0.0, 0, 1], [0, 0, -1], [0, 0, 1], [1, 0, 0]], device=device)
    lattice = lattice_of(ball).to(device)
    wanted = march(lattice, RES, origins, directions, backend="torch")
    for blocks in (None, blocks_of(lattice, RES)):
        got = march(lattice, RES, origins, directions, blocks=blocks, backend=backend)
        assert torch.equal(got.hit, wanted.hit) and got.hit.tolist() == [True, True, False, False]
        for name in ("t", "t_closest", "closest"):
            one, other = getattr(got, name), getattr(wanted, name)
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
            assert torch.isfinite(one).all()
        near = march(lattice, RES, origins, directions, reach=0.1, blocks=blocks, backend=backend)
        assert torch.equal(near.hit, got.hit) and torch.equal(near.t[:2], got.t[:2])
        assert torch.equal(near.closest > 0, got.closest > 0)
    none = march(lattice, RES, origins[:0], directions[:0], backend=backend)
    assert len(none.t) == 0 and len(none.hit) == 0


@pytest.mark.parametrize("backend", KERNELS)
def test_two_runs_agree_bit_for_bit_and_layout_does_not_matter(backend):
    device = device_of(backend)
    origins, directions = sphere_rays(torch.device(device), 50, 0.8)
    lattice = lattice_of(ball).to(device)
    first = march(lattice, RES, origins, directions, backend=backend)
    strided = march(
        lattice[:, None], RES, origins.T.contiguous().T, directions.T.contiguous().T,
        backend=backend,
    )  # fmt: skip
    assert torch.equal(first.t, strided.t) and torch.equal(first.closest, strided.closest)


def test_wrong_input_says_what_is_wrong():
    origins, directions = sphere_rays(CPU, 4, 0.8)
    lattice, double = lattice_of(ball), (origins.double(), directions.double())
    for call, words in (
        (lambda: march(lattice[:-1], RES, origins, directions), r"33\^3"),
        (lambda: march(lattice, RES, origins, directions[:2]), r"\(N, 3\)"),
        (lambda: march(lattice, RES, origins, directions, steps=2), "at least 3"),
        (
            lambda: march(lattice, RES, origins, directions, blocks=blocks_of(lattice[:729], 9)),
            r"16\^3 blocks",
        ),
        (lambda: march(lattice.double(), RES, *double, backend="numba"), "float32"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert march(lattice.double(), RES, *double).t.dtype == torch.float64
