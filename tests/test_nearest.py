"""Nearest neighbours: every backend finds what a look at all pairs finds, ties included."""

import numpy as np
import pytest
import torch
from backends import DEVICE, KERNELS, device_of
from hypothesis import given, settings
from hypothesis import strategies as st

from privhead_nb.bench.nearest import cases
from privhead_nb.kernels import nearest as module
from privhead_nb.kernels.nearest import chamfer_distance, nearest, nearest_reference

BACKENDS = ["torch", *KERNELS]


def cloud(count, seed=0, dtype=torch.float32):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def relative(got, wanted):
    got, wanted = got.detach().double().cpu(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm())


def all_pairs(queries, targets):
    """Squared distances (N, M) in the points' precision, and the first of the lowest."""
    step = queries.numpy()[:, None] - targets.numpy()[None]
    x, y, z = np.moveaxis(step * step, 2, 0)
    squared = (x + y) + z
    return squared, torch.from_numpy(squared.argmin(axis=1))


def clusters(rng, count, spread):
    """Points around a few centres, some of them twice, a few very far out."""
    centres = rng.normal(size=(4, 3)) * 10
    points = centres[rng.integers(4, size=count)] + rng.normal(size=(count, 3)) * spread
    points[rng.random(count) < 0.2] = points[0]
    points[rng.random(count) < 0.05] *= 1e4
    return torch.from_numpy(points.astype(np.float32))


# --- the reference -------------------------------------------------------------------------------


def test_known_distances():
    queries = torch.tensor([[0.0, 0, 0], [3, 4, 0], [10, 0, 1]])
    targets = torch.tensor([[0.0, 0, 5], [3, 0, 0], [10, 0, 0], [10, 0, 2]])
    distance, index = nearest(queries, targets, backend="torch")
    assert distance.tolist() == [3, 4, 1] and index.tolist() == [1, 1, 2]


def test_the_reference_has_true_gradients():
    queries, targets = (cloud(n, n, torch.float64).requires_grad_() for n in (6, 4))
    for backend in ("torch", "numba"):
        assert torch.autograd.gradcheck(
            lambda q, t, b=backend: nearest(q, t, backend=b)[0], (queries, targets)
        )
    assert torch.autograd.gradcheck(lambda q, t: nearest_reference(q, t)[0], (queries, targets))
    assert torch.autograd.gradcheck(chamfer_distance, (queries, targets))


def test_the_reference_does_not_cancel():
    """Far from the origin and near each other: a matrix product would see rounding only."""
    queries = torch.full((40, 3), 100.0)
    targets = queries[:30] + torch.tensor([0.0, 0, 2**-10])
    distance, _ = nearest_reference(queries, targets)
    assert (distance == 2**-10).all()
    product = torch.cdist(queries, targets, compute_mode="use_mm_for_euclid_dist").min(1).values
    assert (product - 2**-10).abs().max() > 2**-11  # what this test would catch


# --- kernels against it --------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("N", "M"), [(1, 1), (1, 300), (37, 33), (300, 1), (257, 100), (5, 1500), (130, 17)]
)
def test_kernels_equal_the_reference(backend, N, M):
    queries, targets = cloud(N, N), cloud(M, M + 1)
    exact = [x.double().requires_grad_() for x in (queries, targets)]
    wanted, wanted_index = nearest_reference(*exact)
    upstream = torch.randn(N, generator=torch.Generator().manual_seed(M))
    wanted_grads = torch.autograd.grad(wanted, exact, upstream.double())

    own = [x.to(device_of(backend)).requires_grad_() for x in (queries, targets)]
    distance, index = nearest(*own, backend=backend)
    grads = torch.autograd.grad(distance, own, upstream.to(distance))
    assert index.dtype == torch.int64 and distance.dtype == torch.float32
    assert not index.requires_grad
    assert torch.equal(index.cpu(), wanted_index)
    assert relative(distance, wanted) <= 1e-5
    for grad, expected in zip(grads, wanted_grads, strict=True):
        assert grad.isfinite().all() and relative(grad, expected) <= 1e-4


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    N=st.integers(1, 700),
    M=st.integers(1, 700),
    spread=st.sampled_from([0.0, 1e-6, 0.1, 10.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_tree_finds_what_all_pairs_find_bit_for_bit(seed, N, M, spread, dtype):
    rng = np.random.default_rng(seed)
    queries, targets = clusters(rng, N, spread).to(dtype), clusters(rng, M, spread).to(dtype)
    queries[: N // 3] = targets[rng.integers(M, size=N // 3)]
    squared, wanted = all_pairs(queries, targets)
    distance, index = nearest(queries, targets, backend="numba")
    assert torch.equal(index, wanted)
    assert torch.equal(distance, torch.from_numpy(np.sqrt(squared.min(axis=1))))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(3))
def test_clusters_and_outliers(backend, seed):
    rng = np.random.default_rng(seed)
    queries, targets = clusters(rng, 90, 0.1), clusters(rng, 400, 0.1)
    squared, _ = all_pairs(queries.double(), targets.double())
    device = device_of(backend)
    distance, index = nearest(queries.to(device), targets.to(device), backend=backend)
    wanted = np.sqrt(squared.min(axis=1))
    np.testing.assert_allclose(distance.cpu(), wanted, rtol=1e-5)
    chosen = np.sqrt(squared[np.arange(90), index.cpu()])
    np.testing.assert_allclose(chosen, wanted, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_lowest_index_wins_a_tie(backend):
    """Integer lattices: every distance is exact, and most queries have several nearest."""
    rng = np.random.default_rng(5)
    device = device_of(backend)
    for targets in (
        rng.integers(-3, 4, size=(700, 3)),
        np.zeros((100, 3)),  # one place
        rng.integers(-20, 21, size=(300, 1)) * np.ones(3),  # a line
        rng.integers(-3, 4, size=(300, 3)) * [1, 1, 0],  # a plane
    ):
        targets = torch.from_numpy(targets.astype(np.float32))
        queries = torch.from_numpy((rng.integers(-8, 9, size=(60, 3)) / 2).astype(np.float32))
        squared, wanted = all_pairs(queries, targets)
        assert ((squared == squared.min(axis=1, keepdims=True)).sum(axis=1) > 1).any()
        distance, index = nearest(queries.to(device), targets.to(device), backend=backend)
        assert torch.equal(index.cpu(), wanted)
        np.testing.assert_allclose(distance.cpu(), np.sqrt(squared.min(axis=1)), rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_at_distance_zero_the_gradient_is_zero(backend):
    points = cloud(40).to(device_of(backend))
    queries, targets = points.clone().requires_grad_(), points.flip(0).requires_grad_()
    distance, index = nearest(queries, targets, backend=backend)
    assert (distance == 0).all() and index.tolist() == list(range(39, -1, -1))
    grads = torch.autograd.grad(distance.sum(), [queries, targets])
    assert all((g == 0).all() for g in grads)


@pytest.mark.parametrize("backend", BACKENDS)
def test_huge_tiny_and_flat_sets_stay_finite(backend):
    device = device_of(backend)
    for scale in (1e-12, 1e12):
        queries, targets = (scale * cloud(n, n) for n in (50, 60))
        own = [x.to(device).requires_grad_() for x in (queries, targets)]
        distance, _ = nearest(*own, backend=backend)
        wanted, _ = nearest_reference(queries.double(), targets.double())
        assert relative(distance, wanted) <= 1e-5
        assert all(g.isfinite().all() for g in torch.autograd.grad(distance.sum(), own))


@pytest.mark.parametrize("backend", BACKENDS)
def test_layout_does_not_matter_and_nothing_gives_nothing(backend):
    queries, targets = (cloud(n, n).to(device_of(backend)) for n in (50, 60))
    first = nearest(queries, targets, backend=backend)
    wide = torch.zeros(60, 7, device=targets.device)
    wide[:, 1:7:2] = targets
    again = nearest(queries.T.contiguous().T, wide[:, 1:7:2], backend=backend)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])

    targets.requires_grad_()
    distance, index = nearest(queries[:0], targets, backend=backend)
    assert distance.shape == index.shape == (0,) and index.dtype == torch.int64
    assert (torch.autograd.grad(distance.sum(), targets)[0] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_runs_agree_bit_for_bit(backend):
    """Many queries share a target: sums by atomics would differ."""
    device, threads = device_of(backend), torch.get_num_threads()
    own = [x.to(device).requires_grad_() for x in (cloud(300), cloud(20, 1))]

    def run():
        distance, index = nearest(*own, backend=backend)
        return [distance, index, *torch.autograd.grad(distance.square().sum(), own)]

    first = run()
    try:
        torch.set_num_threads(2)
        assert all(torch.equal(a, b) for _ in range(3) for a, b in zip(first, run(), strict=True))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_points_distance_and_index_are_kept(backend):
    saved = []
    own = [x.to(device_of(backend)).requires_grad_() for x in (cloud(300), cloud(200, 1))]
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        nearest(*own, backend=backend)
    mine = {x.data_ptr() for x in own}
    extra = sum(x.nbytes for x in saved if x.data_ptr() not in mine)
    assert extra == 300 * (4 + 8)


def test_the_reference_works_in_blocks(monkeypatch):
    queries, targets = cloud(53), cloud(31, 1)
    whole = nearest_reference(queries, targets)
    monkeypatch.setitem(module.BLOCK_PAIRS, "cpu", 100)
    blocks = nearest_reference(queries, targets)
    assert torch.equal(whole[0], blocks[0]) and torch.equal(whole[1], blocks[1])


def test_a_gradient_that_is_not_wanted_is_not_computed(monkeypatch):
    queries, targets = cloud(20).requires_grad_(), cloud(10, 1)
    monkeypatch.setattr(module, "_scatter", None)  # what targets alone need
    distance, _ = nearest(queries, targets, backend="numba")
    distance.sum().backward()
    assert queries.grad is not None


# --- Chamfer -------------------------------------------------------------------------------------


def test_chamfer_of_two_shifted_plates():
    axis = torch.arange(12.0)
    plate = torch.stack(torch.meshgrid(axis, axis, torch.zeros(1), indexing="ij"), -1)
    plate = plate.reshape(-1, 3)
    assert chamfer_distance(plate, plate + torch.tensor([0, 0, 0.25])).item() == 0.25
    assert chamfer_distance(plate, plate).item() == 0
    one, two = torch.tensor([[0.0, 0, 0]]), torch.tensor([[0.0, 0, 1], [0, 0, 3]])
    assert chamfer_distance(one, two).item() == (1 + 2) / 2


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(1, 200), M=st.integers(1, 200))
def test_chamfer_does_not_see_swaps_shifts_or_order(seed, N, M):
    rng = np.random.default_rng(seed)
    for backend in ("torch", "numba"):
        a, b = (clusters(rng, n, 1.0).clamp(-40, 40).requires_grad_() for n in (N, M))
        value = chamfer_distance(a, b, backend=backend)
        swapped = chamfer_distance(b, a, backend=backend)
        assert torch.equal(value, swapped)  # to the bit, and so are its gradients
        for x, y in zip(
            torch.autograd.grad(value, [a, b]), torch.autograd.grad(swapped, [a, b]), strict=True
        ):
            assert torch.equal(x, y)
        shuffled = chamfer_distance(
            a[torch.from_numpy(rng.permutation(N))], b[torch.from_numpy(rng.permutation(M))],
            backend=backend,
        )  # fmt: skip
        moved = chamfer_distance(a + 5, b + 5, backend=backend)
        # a shift rounds coordinates of up to 45 to 24 bits
        torch.testing.assert_close(shuffled, value, rtol=1e-6, atol=0)
        torch.testing.assert_close(moved, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", KERNELS)
def test_chamfer_by_a_kernel(backend):
    a, b = (cloud(n, n).to(device_of(backend)).requires_grad_() for n in (70, 90))
    exact = [x.detach().double().cpu().requires_grad_() for x in (a, b)]
    wanted = chamfer_distance(*exact, backend="torch")
    value = chamfer_distance(a, b, backend=backend)
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert torch.equal(value, chamfer_distance(b, a, backend=backend))
    for got, expected in zip(
        torch.autograd.grad(value, [a, b]), torch.autograd.grad(wanted, exact), strict=True
    ):
        assert relative(got, expected) <= 1e-4


# --- which form runs, and what is refused --------------------------------------------------------


def test_what_runs_by_itself():
    few, many = cloud(100), cloud(2000)
    assert module._choose(few, few, "auto") == "torch"
    assert module._choose(many, many, "auto") == "numba"
    assert module._choose(many.double(), many.double(), "auto") == "numba"
    assert module._choose(many.half(), many.half(), "auto") == "torch"


def test_wrong_input_says_what_is_wrong():
    points = cloud(5)
    with pytest.raises(ValueError, match="queries must be"):
        nearest(points[:, :2], points)
    with pytest.raises(ValueError, match="targets must be"):
        nearest(points, points.long())
    with pytest.raises(ValueError, match="share dtype"):
        nearest(points, points.double())
    with pytest.raises(ValueError, match="no targets"):
        nearest(points, points[:0])
    with pytest.raises(ValueError, match="two sets"):
        chamfer_distance(points[:0], points)
    with pytest.raises(ValueError, match="float32"):
        nearest(points.half(), points.half(), backend="numba")
    with pytest.raises(ValueError, match="float32"):
        nearest(points.double(), points.double(), backend="triton")
    with pytest.raises(ValueError, match="unknown backend"):
        nearest(points, points, backend="cuda")
    if DEVICE == "cuda":
        with pytest.raises(ValueError, match="CPU"):
            nearest(points.to(DEVICE), points.to(DEVICE), backend="numba")


def test_the_benchmark_s_cases_agree():
    for case in cases(torch.device("cpu"), quick=True):
        wanted = case.functions["eager"](*case.inputs)
        assert relative(case.functions["fused"](*case.inputs), wanted) < 1e-5
        for peer in case.peers.values():
            np.testing.assert_allclose(peer()[0], wanted.detach(), rtol=1e-5, atol=1e-7)
