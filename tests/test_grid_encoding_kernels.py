"""Feature grids: Numba's loops and Triton's kernels equal the float64 reference.

Without a GPU, Triton's kernels run in its interpreter.
"""

from contextlib import contextmanager

import pytest
import torch
from backends import KERNELS, device_of, needs_triton
from hypothesis import given, settings
from hypothesis import strategies as st

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid, encode_grid_reference

DENSE = GridLayout((4, 9), channels=4)
HASHED = GridLayout((5, 40, 64), channels=2, max_entries=1000)
NGP = GridLayout((16, 512), channels=2, max_entries=2**12)  # products of primes pass 2^32
SINGLE = GridLayout((17,), channels=1, max_entries=17**3)  # as the cache of distances uses it
ODD = GridLayout((3, 20), channels=3, max_entries=500)
WIDE = GridLayout((6,), channels=8)
LAYOUTS = {"dense": DENSE, "hashed": HASHED, "ngp": NGP, "single": SINGLE, "wide": WIDE}

backends = pytest.mark.parametrize("backend", KERNELS)


def random_case(layout, count, seed=0):
    """Points (some outside), a table, and upstream gradients of features and Jacobian."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 3, generator=generator) * 2.4 - 1.2
    table = torch.randn(layout.entries, layout.channels, generator=generator)
    g_out = torch.randn(count, layout.features, generator=generator)
    g_slope = torch.randn(count, layout.features, 3, generator=generator)
    return points, table, g_out, g_slope


def run(backend, layout, points, table, g_out, g_slope, wants=(True, True)):
    """[features, Jacobian, gradient to the points, to the table], those not wanted None.

    The reference runs in float64. An upstream gradient of None leaves its output unused.
    """
    reference = backend == "torch"
    device = device_of(backend)

    def ready(x, wanted=False):
        if x is None:
            return None
        x = x.double() if reference else x
        return x.detach().to(device).requires_grad_(wanted)

    points, table = ready(points, wants[0]), ready(table, wants[1])
    if reference:
        outputs = encode_grid_reference(points, table, layout)
    else:
        outputs = encode_grid(points, table, layout, backend=backend)
    used = [(o, ready(g)) for o, g in zip(outputs, (g_out, g_slope), strict=True) if g is not None]
    sum((o * g).sum() for o, g in used).backward()
    return [x if x is None else x.detach().cpu() for x in (*outputs, points.grad, table.grad)]


def relative_rms(got, wanted):
    assert got.shape == wanted.shape and got.isfinite().all()
    scale = wanted.double().square().mean().sqrt().item()
    off = (got.double() - wanted).square().mean().sqrt().item()
    return off / scale if scale else off


def assert_same(got, wanted):
    for a, b, limit in zip(got, wanted, (1e-5, 1e-5, 1e-4, 1e-4), strict=True):
        assert (a is None) == (b is None)
        assert a is None or relative_rms(a, b) < limit


@backends
@pytest.mark.parametrize(
    ("layout", "count"),
    [(layout, count) for layout in LAYOUTS.values() for count in (1, 131)] + [(HASHED, 1023)],
    ids=[f"{name}-{count}" for name in LAYOUTS for count in (1, 131)] + ["hashed-1023"],
)
def test_kernel_equals_float64_reference(backend, layout, count):
    points, *rest = random_case(layout, count, seed=count)
    if layout is NGP:  # in 1 / 511 of a float32 a place in a cell has 15 bits: take exact ones
        points = (points * 4096).round() / 4096
    case = points, *rest
    assert_same(run(backend, layout, *case), run("torch", layout, *case))


def test_numba_takes_any_number_of_channels():
    pytest.importorskip("numba", reason="Numba is optional")
    case = random_case(ODD, 201)
    assert_same(run("numba", ODD, *case), run("torch", ODD, *case))


@backends
def test_no_points(backend):
    features, jacobian, g_points, g_table = run(backend, HASHED, *random_case(HASHED, 0))
    assert features.shape == (0, 6) and jacobian.shape == (0, 6, 3) and g_points.shape == (0, 3)
    assert g_table.shape == (HASHED.entries, 2) and g_table.abs().max() == 0


@backends
@pytest.mark.parametrize("used", ["features", "jacobian"])
@pytest.mark.parametrize("wants", [(True, False), (False, True)], ids=["points", "table"])
def test_one_output_used_one_gradient_wanted(backend, used, wants):
    points, table, g_out, g_slope = random_case(HASHED, 77, seed=3)
    g_out, g_slope = (g_out, None) if used == "features" else (None, g_slope)
    case = points, table, g_out, g_slope, wants
    assert_same(run(backend, HASHED, *case), run("torch", HASHED, *case))


@backends
def test_points_on_lattice_planes_and_on_the_boundary(backend):
    """Where the slope jumps, the cell above is meant; at the upper boundary there is none."""
    layout = GridLayout((3, 5, 17), channels=2, max_entries=200)  # planes at exact numbers
    axis = torch.tensor([-1.5, -1.0, -0.5, 0.125, 1.0, 1.25])
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    _, *rest = random_case(layout, len(points))
    got = run(backend, layout, points, *rest)
    assert_same(got, run("torch", layout, points, *rest))
    outside = points.abs() > 1
    assert got[1].transpose(1, 2)[outside].abs().max() == 0 and got[2][outside].abs().max() == 0


@backends
def test_hashed_corners_are_those_of_the_reference(backend):
    """At lattice points a feature is one entry, so a table of entry numbers shows the index."""
    layout = GridLayout((257,), channels=1, max_entries=2**16)
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 257, (300, 3), generator=generator)
    table = torch.arange(float(layout.entries))[:, None]
    points = corners / 128 - 1
    mixed = corners * torch.tensor([1, 2654435761, 805459861])
    wanted = (mixed[:, 0] ^ mixed[:, 1] ^ mixed[:, 2]) % 2**16
    device = device_of(backend)
    got, _ = encode_grid(points.to(device), table.to(device), layout, backend=backend)
    assert torch.equal(got[:, 0].cpu().long(), wanted)


@backends
def test_without_jacobian_equals_with(backend):
    device = device_of(backend)
    points, table = (x.to(device) for x in random_case(HASHED, 201)[:2])
    alone, none = encode_grid(points, table, HASHED, jacobian=False, backend=backend)
    both, _ = encode_grid(points, table, HASHED, backend=backend)
    assert none is None and torch.equal(alone, both)


@backends
def test_inputs_and_upstream_gradients_that_are_not_contiguous(backend):
    points, table, g_out, g_slope = random_case(DENSE, 100)
    views = (
        torch.cat([points, points], 1)[:, :3],
        table.T.contiguous().T,
        torch.stack([g_out, g_out], -1)[..., 0],
        g_slope[:1].expand(100, -1, -1),
    )
    assert not any(v.is_contiguous() for v in views)
    assert_same(run(backend, DENSE, *views), run("torch", DENSE, *views))


@backends
def test_an_eikonal_loss_trains_points_and_table(backend):
    """The second order: a loss on the length of the Jacobian, through one backward."""

    def gradients(function, points, table):
        points, table = points.clone().requires_grad_(), table.clone().requires_grad_()
        _, jacobian = function(points, table)
        length = jacobian.sum(1).square().sum(-1).add(1e-12).sqrt()
        return torch.autograd.grad((length - 1).square().sum(), (points, table))

    points, table, *_ = random_case(DENSE, 65, seed=5)
    points = points.clamp(-0.99, 0.99)
    wanted = gradients(
        lambda p, t: encode_grid_reference(p, t, DENSE), points.double(), table.double()
    )
    device = device_of(backend)
    got = gradients(
        lambda p, t: encode_grid(p, t, DENSE, backend=backend), points.to(device), table.to(device)
    )
    for a, b in zip(got, wanted, strict=True):
        assert relative_rms(a.cpu(), b) < 1e-4


@backends
def test_a_third_order_is_refused(backend):
    points, table, *_ = (x.to(device_of(backend)) for x in random_case(DENSE, 5))
    points.requires_grad_()
    _, jacobian = encode_grid(points, table.requires_grad_(), DENSE, backend=backend)
    (first,) = torch.autograd.grad(jacobian.square().sum(), points, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.square().sum().backward()


@backends
def test_backward_stores_its_inputs_only(backend):
    points, table, *_ = (x.to(device_of(backend)) for x in random_case(HASHED, 64))
    points.requires_grad_()
    table.requires_grad_()
    saved = []

    def pack(tensor):
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        encode_grid(points, table, HASHED, backend=backend)
        assert {t.data_ptr() for t in saved} == {points.data_ptr(), table.data_ptr()}
        saved.clear()
        encode_grid(points.detach(), table, HASHED, backend=backend)
        assert [t.data_ptr() for t in saved] == [points.data_ptr()]


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@backends
def test_runs_repeat_bit_for_bit(backend):
    """Triton's under torch's deterministic algorithms, Numba's always."""
    case = random_case(HASHED, 300 if backend == "triton" else 3000)
    with deterministic():
        first, second = run(backend, HASHED, *case), run(backend, HASHED, *case)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert_same(first, run("torch", HASHED, *case))


@needs_triton
@pytest.mark.parametrize("used", ["features", "jacobian"])
def test_the_sorted_mode_takes_one_output(used):
    points, table, g_out, g_slope = random_case(DENSE, 33)
    g_out, g_slope = (g_out, None) if used == "features" else (None, g_slope)
    with deterministic():
        got = run("triton", DENSE, points, table, g_out, g_slope)
    assert_same(got, run("torch", DENSE, points, table, g_out, g_slope))


def test_numba_does_not_depend_on_the_number_of_threads():
    pytest.importorskip("numba", reason="Numba is optional")
    case = random_case(HASHED, 3000)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(run("numba", HASHED, *case))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@backends
def test_a_wrong_gradient_would_be_seen(backend):
    """The limits bite: an error of a thousandth in one of the Jacobian's axes is found."""
    points, table, g_out, g_slope = random_case(DENSE, 200)
    got = run(backend, DENSE, points, table, g_out, g_slope)
    g_slope = g_slope * torch.tensor([1.0, 1.0, 1.001])
    wanted = run("torch", DENSE, points, table, g_out, g_slope)
    assert relative_rms(got[2], wanted[2]) > 1e-4 and relative_rms(got[3], wanted[3]) > 1e-4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(2, 40), st.sampled_from([1, 2, 4]))
def test_numba_reproduces_a_linear_field_on_any_dense_lattice(seed, resolution, channels):
    """Trilinear interpolation is exact on a + b . x, and its Jacobian is b."""
    pytest.importorskip("numba", reason="Numba is optional")
    generator = torch.Generator().manual_seed(seed)
    layout = GridLayout((resolution,), channels=channels)
    axis = torch.linspace(-1, 1, resolution, dtype=torch.float64)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    a = torch.randn(channels, generator=generator, dtype=torch.float64)
    b = torch.randn(3, channels, generator=generator, dtype=torch.float64)
    points = torch.rand(64, 3, generator=generator) * 2 - 1
    features, jacobian = encode_grid(points, (a + lattice @ b).float(), layout, backend="numba")
    assert torch.allclose(features.double(), a + points.double() @ b, atol=1e-5)
    # entries are rounded to 2^-24 of their size, and divided by a cell of 2 / (resolution - 1)
    assert torch.allclose(jacobian.double(), b.T.expand(64, -1, -1), atol=2e-6 * resolution)


@needs_triton
def test_channels_that_triton_cannot_take():
    device = device_of("triton")
    points, table, *_ = (x.to(device) for x in random_case(ODD, 9))
    with pytest.raises(ValueError, match="1, 2, 4 or 8 channels, the layout has 3"):
        encode_grid(points, table, ODD, backend="triton")
    got, _ = encode_grid(points, table, ODD)  # "auto" falls back
    wanted, _ = encode_grid_reference(points.double(), table.double(), ODD)
    assert relative_rms(got, wanted) < 1e-5
