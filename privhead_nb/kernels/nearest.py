"""Distance from each point of one set to the nearest point of another, and the Chamfer distance.

    d_i = min_j |q_i - t_j|        j_i the lowest j that attains it
    chamfer(a, b) = (mean_i d(a_i, b) + mean_j d(b_j, a)) / 2        unsquared, symmetric

Backward: only the pair (i, j_i) moves d_i, along u_i = (q_i - t_{j_i}) / d_i (zero where d_i = 0):

    dL/dq_i = g_i u_i        dL/dt_j = - sum of g_i u_i over the i with j_i = j

Differences are formed directly. |q|^2 + |t|^2 - 2 q.t, as a matrix product gives it, loses d to
cancellation: at distance 1 from the origin, float32 can't tell d = 3e-4 from 0.

The reference compares all N M pairs, a block of queries at a time: about 48 bytes of traffic and
8 operations a pair. The Triton kernel keeps the pairs in registers: 12 bytes a point in, 12 a query
out, 7 instructions a pair. Both need O(N + M) memory.

On the CPU a tree does less than all pairs. Targets are sorted along a Morton curve (the bits of
x, y and z interleaved; Morton 1966), every 16 get a box, every 16 boxes get a box, and so on; a
query skips boxes that lie further away than the best target so far. That is exact: rounding keeps
order (a <= b gives fl(a) <= fl(b)) and a box's distance is computed by the operations of a pair's,
so a box that is skipped holds no better target. The answer is that of all pairs, ties included.
Clusters, outliers and equal points cost time at most: the boxes follow the points, not the space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.lazy import numba_kernel, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

FEW_PAIRS = 1 << 20  # up to here all pairs are as fast as a tree on the CPU, and nothing compiles
BLOCK_PAIRS = {"cpu": 1 << 19, "cuda": 1 << 24}  # pairs that the reference holds at a time

WIDTH = 16  # targets of a leaf and boxes of a node: one 512-bit vector, two of 256 bits
LEVELS = 9  # 16^9 targets are more than an int32 counts
RUN = 512  # sorted queries that one thread takes in a row
NONE = np.iinfo(np.int32).max
LAST_STEP = float(2**21 - 1)  # steps of the curve's lattice along an axis: 63 bits for three

QUERIES, TARGETS, WARPS = 256, 32, 4  # of a program: two queries a thread, targets in registers
PROGRAMS = 8192  # about as many as fill a large GPU eight times over
LEAST_TILES = 8  # tiles of targets that are worth a program


# --- reference ---------------------------------------------------------------------------------


def nearest_reference(queries: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The specification: see `nearest`."""
    index = _search_torch(queries.detach(), targets.detach())
    return torch.linalg.vector_norm(queries - targets[index], dim=1), index


def _search_torch(queries: Tensor, targets: Tensor) -> Tensor:
    """Index of the nearest target: all pairs, in blocks of bounded size."""
    index = torch.empty(len(queries), dtype=torch.int64, device=queries.device)
    rows = max(1, BLOCK_PAIRS.get(queries.device.type, 1 << 24) // len(targets))
    x, y, z = targets.T.contiguous()
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        squared = (block[:, 0:1] - x).square_()
        step = block[:, 1:2] - y
        squared.addcmul_(step, step)
        torch.sub(block[:, 2:3], z, out=step)
        squared.addcmul_(step, step)
        index[start : start + rows] = squared.min(dim=1).indices  # the first of equals
    return index


# --- Numba: a tree of boxes over the Morton curve ------------------------------------------------


@numba_kernel(inline="always")
def _spread(v):  # type: ignore[no-untyped-def]
    """21 bits, each followed by two zeros."""
    v = (v | (v << 32)) & 0x1F00000000FFFF
    v = (v | (v << 16)) & 0x1F0000FF0000FF
    v = (v | (v << 8)) & 0x100F00F00F00F00F
    v = (v | (v << 4)) & 0x10C30C30C30C30C3
    return (v | (v << 2)) & 0x1249249249249249


@numba_kernel()
def _morton_loop(points, low, scale, codes):  # type: ignore[no-untyped-def]
    """Place of each point along the curve through a box; that of the box's edge outside of it."""
    for n in range(len(points)):
        code = 0
        for axis in range(3):
            step = (np.float64(points[n, axis]) - low[axis]) * scale
            code = (code << 1) | _spread(np.int64(min(max(step, 0.0), LAST_STEP)))
        codes[n] = code


@numba_kernel()
def _sort_loop(codes, order):  # type: ignore[no-untyped-def]
    """Stable radix sort, 8 bits at a time: `order` lists the points along the curve."""
    count = len(codes)
    keys, keys_next = codes.copy(), np.empty_like(codes)
    order_next = np.empty_like(order)
    places = np.zeros((8, 256), np.int64)
    for n in range(count):
        order[n] = n
        for digit in range(8):
            places[digit, (keys[n] >> (8 * digit)) & 255] += 1
    for digit in range(8):
        before = 0
        alike = False
        for value in range(256):
            here = places[digit, value]
            alike = alike or here == count
            places[digit, value] = before
            before += here
        if alike:
            continue
        for n in range(count):
            value = (keys[n] >> (8 * digit)) & 255
            at = places[digit, value]
            places[digit, value] = at + 1
            keys_next[at] = keys[n]
            order_next[at] = order[n]
        keys, keys_next = keys_next, keys
        for n in range(count):
            order[n] = order_next[n]


@numba_kernel(fastmath=False)
def _leaves_loop(targets, order, points, indices, low, high, first):  # type: ignore[no-untyped-def]
    """Targets in leaves (leaf, axis, slot), and a box and the lowest index of each leaf.

    Boxes come in empty (low above high) and grow. The last leaf is filled up with its last target,
    under an index that wins no tie.
    """
    count = len(order)
    for leaf in range(len(points)):
        node, slot = leaf // WIDTH, leaf % WIDTH
        least = NONE
        for k in range(WIDTH):
            n = leaf * WIDTH + k
            target = order[min(n, count - 1)]
            indices[leaf, k] = target if n < count else NONE
            least = min(least, indices[leaf, k])
            for axis in range(3):
                value = targets[target, axis]
                points[leaf, axis, k] = value
                low[node, axis, slot] = min(low[node, axis, slot], value)
                high[node, axis, slot] = max(high[node, axis, slot], value)
        first[node, slot] = least


@numba_kernel(fastmath=False)
def _nodes_loop(starts, low, high, first):  # type: ignore[no-untyped-def]
    """Boxes of boxes, level by level; a node holds the boxes of its WIDTH children."""
    for level in range(1, len(starts)):
        for n in range(starts[level] - starts[level - 1]):
            child = starts[level - 1] + n
            node, slot = starts[level] + n // WIDTH, n % WIDTH
            for k in range(WIDTH):
                first[node, slot] = min(first[node, slot], first[child, k])
                for axis in range(3):
                    low[node, axis, slot] = min(low[node, axis, slot], low[child, axis, k])
                    high[node, axis, slot] = max(high[node, axis, slot], high[child, axis, k])


@numba_kernel(parallel=True, fastmath=False)
def _search_loop(  # type: ignore[no-untyped-def]
    begin, end, queries, order, starts, low, high, first, points, indices, distance, index
):  # fmt: skip
    count, root = len(order), len(starts) - 1
    zero = queries.dtype.type(0)
    for run in range(begin, end):
        bound = np.empty(WIDTH, queries.dtype)
        stack_bound = np.empty(WIDTH * LEVELS, queries.dtype)
        stack_node = np.empty(WIDTH * LEVELS, np.int64)
        stack_level = np.empty(WIDTH * LEVELS, np.int64)
        # A search may begin with any target: one about here, then the last query's nearest.
        leaf, slot = (run * RUN * len(points)) // count, 0
        for n in range(run * RUN, min((run + 1) * RUN, count)):
            query = order[n]
            x, y, z = queries[query, 0], queries[query, 1], queries[query, 2]
            dx = x - points[leaf, 0, slot]
            dy = y - points[leaf, 1, slot]
            dz = z - points[leaf, 2, slot]
            best, best_index = dx * dx + dy * dy + dz * dz, indices[leaf, slot]
            stack_bound[0], stack_node[0], stack_level[0] = zero, starts[root], root
            top = 1
            while top > 0:
                top -= 1
                if stack_bound[top] > best:
                    continue
                node, level = stack_node[top], stack_level[top]
                if level < 0:
                    for k in range(WIDTH):
                        dx = x - points[node, 0, k]
                        dy = y - points[node, 1, k]
                        dz = z - points[node, 2, k]
                        bound[k] = dx * dx + dy * dy + dz * dz
                    for k in range(WIDTH):
                        if bound[k] < best or (bound[k] == best and indices[node, k] < best_index):
                            best, best_index = bound[k], indices[node, k]
                            leaf, slot = node, k
                    continue
                for k in range(WIDTH):
                    dx = max(max(low[node, 0, k] - x, x - high[node, 0, k]), zero)
                    dy = max(max(low[node, 1, k] - y, y - high[node, 1, k]), zero)
                    dz = max(max(low[node, 2, k] - z, z - high[node, 2, k]), zero)
                    bound[k] = dx * dx + dy * dy + dz * dz
                child = (node - starts[level]) * WIDTH
                if level > 0:
                    child += starts[level - 1]
                bottom = top
                for k in range(WIDTH):
                    # at a tie only a lower index is better
                    if bound[k] < best or (bound[k] == best and first[node, k] < best_index):
                        at = top
                        if top > bottom and stack_bound[top - 1] < bound[k]:
                            at = top - 1  # the nearest stays on top
                            stack_bound[top] = stack_bound[at]
                            stack_node[top], stack_level[top] = stack_node[at], stack_level[at]
                        stack_bound[at] = bound[k]
                        stack_node[at], stack_level[at] = child + k, level - 1
                        top += 1
            distance[query] = np.sqrt(best)
            index[query] = best_index


def _search_numba(queries: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Distance and index, for (N, 3) and (M, 3) of float32 or float64."""
    q, t = queries.numpy(), targets.numpy()
    low = t.min(axis=0).astype(np.float64)
    extent = float((t.max(axis=0).astype(np.float64) - low).max())
    scale = LAST_STEP / extent if extent > LAST_STEP * np.finfo(np.float64).tiny else 0.0

    leaves = -(-len(t) // WIDTH)
    nodes = [-(-leaves // WIDTH)]
    while nodes[-1] > 1:
        nodes.append(-(-nodes[-1] // WIDTH))
    starts = np.cumsum([0, *nodes[:-1]])
    biggest = np.finfo(t.dtype).max
    box_low = np.full((sum(nodes), 3, WIDTH), biggest, t.dtype)
    box_high = np.full_like(box_low, -biggest)
    first = np.full((sum(nodes), WIDTH), NONE, np.int32)
    points = np.empty((leaves, 3, WIDTH), t.dtype)
    indices = np.empty((leaves, WIDTH), np.int32)
    _leaves_loop(t, _along_curve(t, low, scale), points, indices, box_low, box_high, first)
    _nodes_loop(starts, box_low, box_high, first)

    distance, index = np.empty(len(q), q.dtype), np.empty(len(q), np.int64)
    order = _along_curve(q, low, scale)
    runs = -(-len(q) // RUN)
    _search_loop(runs, q, order, starts, box_low, box_high, first, points, indices, distance, index)
    return torch.from_numpy(distance), torch.from_numpy(index)


def _along_curve(points: Any, low: Any, scale: float) -> Any:
    codes, order = np.empty(len(points), np.int64), np.empty(len(points), np.int32)
    _morton_loop(points, low, scale, codes)
    _sort_loop(codes, order)
    return order


# --- Triton: all pairs, in registers -------------------------------------------------------------


@triton_kernel
def _tiles_kernel(  # type: ignore[no-untyped-def]
    p_queries, p_targets, p_best, p_tile, n_queries, n_targets, length,
    QUERIES: tl.constexpr, TARGETS: tl.constexpr,
):  # fmt: skip
    """The tile of targets that holds a query's nearest, among `length` targets a program.

    Blocks are (TARGETS, QUERIES): a thread owns whole columns, so the minimum over a tile needs no
    other thread. Past the end a tile repeats the last target, which changes no minimum.
    """
    rows = tl.program_id(0).to(tl.int64) * QUERIES + tl.arange(0, QUERIES)
    m_rows = rows < n_queries
    qx = tl.load(p_queries + rows * 3, mask=m_rows, other=0.0)
    qy = tl.load(p_queries + rows * 3 + 1, mask=m_rows, other=0.0)
    qz = tl.load(p_queries + rows * 3 + 2, mask=m_rows, other=0.0)
    start = tl.program_id(1) * length
    end = tl.minimum(start + length, n_targets)
    best = tl.full([QUERIES], float("inf"), tl.float32)
    tile = tl.full([QUERIES], 0, tl.int32) + start
    while start < end:
        columns = tl.minimum(start + tl.arange(0, TARGETS), n_targets - 1).to(tl.int64)
        tx = tl.load(p_targets + columns * 3)
        ty = tl.load(p_targets + columns * 3 + 1)
        tz = tl.load(p_targets + columns * 3 + 2)
        dx = qx[None, :] - tx[:, None]
        dy = qy[None, :] - ty[:, None]
        dz = qz[None, :] - tz[:, None]
        least = tl.min(dx * dx + dy * dy + dz * dz, axis=0)
        closer = least < best
        best = tl.where(closer, least, best)
        tile = tl.where(closer, start, tile)
        start += TARGETS
    p_row = tl.program_id(1).to(tl.int64) * n_queries + rows
    tl.store(p_best + p_row, best, mask=m_rows)
    tl.store(p_tile + p_row, tile, mask=m_rows)


@triton_kernel
def _finish_kernel(  # type: ignore[no-untyped-def]
    p_queries, p_targets, p_best, p_tile, p_distance, p_index, n_queries, n_targets, n_splits,
    QUERIES: tl.constexpr, TARGETS: tl.constexpr,
):  # fmt: skip
    """The best of the programs' tiles, lowest first, and the target within it."""
    rows = tl.program_id(0).to(tl.int64) * QUERIES + tl.arange(0, QUERIES)
    m_rows = rows < n_queries
    best = tl.load(p_best + rows, mask=m_rows, other=0.0)
    tile = tl.load(p_tile + rows, mask=m_rows, other=0)
    split = 1
    while split < n_splits:
        p_row = rows + split * n_queries  # fits 31 bits: see _search_triton
        other = tl.load(p_best + p_row, mask=m_rows, other=0.0)
        other_tile = tl.load(p_tile + p_row, mask=m_rows, other=0)
        tile = tl.where(other < best, other_tile, tile)
        best = tl.minimum(best, other)
        split += 1
    qx = tl.load(p_queries + rows * 3, mask=m_rows, other=0.0)
    qy = tl.load(p_queries + rows * 3 + 1, mask=m_rows, other=0.0)
    qz = tl.load(p_queries + rows * 3 + 2, mask=m_rows, other=0.0)
    columns = tl.minimum(tile[None, :] + tl.arange(0, TARGETS)[:, None], n_targets - 1)
    p_column = p_targets + columns.to(tl.int64) * 3
    dx = qx[None, :] - tl.load(p_column)
    dy = qy[None, :] - tl.load(p_column + 1)
    dz = qz[None, :] - tl.load(p_column + 2)
    squared = dx * dx + dy * dy + dz * dz
    least = tl.min(squared, axis=0)
    index = tl.min(tl.where(squared == least[None, :], columns, n_targets - 1), axis=0)
    tl.store(p_distance + rows, tl.sqrt(least), mask=m_rows)
    tl.store(p_index + rows, index.to(tl.int64), mask=m_rows)


def _search_triton(queries: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Distance and index, for (N, 3) and (M, 3) of float32.

    Few queries leave a GPU idle, so the targets are split among programs too. What the splits
    hand on is bounded: at most PROGRAMS * QUERIES numbers, or N.
    """
    N, M = len(queries), len(targets)
    blocks, tiles = -(-N // QUERIES), -(-M // TARGETS)
    splits = max(1, min(PROGRAMS // blocks, tiles // LEAST_TILES))
    length = -(-tiles // splits) * TARGETS
    splits = -(-M // length)
    best = queries.new_empty(splits, N)
    tile = torch.empty(splits, N, dtype=torch.int32, device=queries.device)
    distance, index = queries.new_empty(N), tile.new_empty(N, dtype=torch.int64)
    with torch.cuda.device_of(queries):
        _tiles_kernel[(blocks, splits)](
            queries, targets, best, tile, N, M, length,
            QUERIES=QUERIES, TARGETS=TARGETS, num_warps=WARPS,
        )  # fmt: skip
        _finish_kernel[(-(-N // 128),)](
            queries, targets, best, tile, distance, index, N, M, splits,
            QUERIES=128, TARGETS=TARGETS, num_warps=4,
        )  # fmt: skip
    return distance, index


# --- autograd ------------------------------------------------------------------------------------


class _Nearest(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, targets: Tensor, chosen: str) -> tuple[Tensor, Tensor]:
        q, t = queries.detach().contiguous(), targets.detach().contiguous()
        if len(q) == 0:
            distance, index = q.new_empty(0), torch.empty(0, dtype=torch.int64, device=q.device)
        elif chosen == "torch":
            index = _search_torch(q, t)
            distance = torch.linalg.vector_norm(q - t[index], dim=1)
        else:
            distance, index = (_search_numba if chosen == "numba" else _search_triton)(q, t)
        ctx.save_for_backward(queries, targets, distance, index)
        ctx.mark_non_differentiable(index)
        return distance, index

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        queries, targets, distance, index = ctx.saved_tensors
        apart = distance > 0
        scale = torch.where(apart, grads[0] / torch.where(apart, distance, 1), 0)
        moved = (queries - targets[index]) * scale[:, None]
        g_targets = None
        if ctx.needs_input_grad[1]:
            g_targets = _scatter(-moved, index, len(targets))
        return moved if ctx.needs_input_grad[0] else None, g_targets, None


def _scatter(rows: Tensor, index: Tensor, count: int) -> Tensor:
    """Sums of the rows (N, 3) that share an index, in the same order each time.

    On the CPU `index_add_` walks the rows in order; on a GPU it adds by atomics, whose order is
    free, while `index_put_` sorts first.
    """
    out = rows.new_zeros(count, 3)
    if rows.device.type == "cpu":
        return out.index_add_(0, index, rows)
    return out.index_put_((index,), rows, accumulate=True)


# --- public ---------------------------------------------------------------------------------------


def nearest(
    queries: Tensor, targets: Tensor, *, backend: Backend = "auto"
) -> tuple[Tensor, Tensor]:
    """Distance to the nearest target, and which one it is.

    Args:
        queries: (N, 3), finite.
        targets: (M, 3), finite, at least one, of the same dtype and device.
        backend: "torch" compares all pairs, "triton" too, in one kernel; "numba" searches a tree.
            "auto" takes all pairs in torch for few of them on the CPU. The tree takes float32 and
            float64, the Triton kernel float32.

    Returns:
        distance (N,), unsquared, in the points' unit, and index (N,) int64; of targets at the same
        distance, the lowest. The distance is differentiable once in queries and targets; where it
        is 0, the gradient is 0. Gradients repeat bit for bit.

    Raises:
        ValueError: shapes, dtypes or devices that do not fit, no target, or a forced backend that
            can't run here.
    """
    for name, points in (("queries", queries), ("targets", targets)):
        if points.ndim != 2 or points.shape[1] != 3 or not points.is_floating_point():
            raise ValueError(
                f"{name} must be (n, 3) floating-point numbers, "
                f"got {tuple(points.shape)} of {points.dtype}"
            )
    if (queries.dtype, queries.device) != (targets.dtype, targets.device):
        raise ValueError(
            f"queries ({queries.dtype} on {queries.device}) and targets ({targets.dtype} on "
            f"{targets.device}) must share dtype and device"
        )
    if len(targets) == 0:
        raise ValueError("there are no targets, so there is no nearest one")
    chosen = _choose(queries, targets, backend)
    distance, index = _Nearest.apply(queries, targets, chosen)
    return distance, index


def _choose(queries: Tensor, targets: Tensor, backend: Backend) -> str:
    unfit = {}
    if queries.dtype != torch.float32:
        unfit["triton"] = f"it takes float32, the input is {queries.dtype}"
    if queries.dtype not in (torch.float32, torch.float64):
        unfit["numba"] = f"it takes float32 and float64, the input is {queries.dtype}"
    if max(len(queries), len(targets)) >= NONE:
        unfit |= dict.fromkeys(("numba", "triton"), "it counts points in 31 bits")
    # Numba's loops are compiled for either precision, so only the device decides about them.
    probe = queries.detach()[:0].float() if queries.device.type == "cpu" else queries
    many = queries.device.type != "cpu" or len(queries) * len(targets) > FEW_PAIRS
    return choose(
        "nearest", backend, probe, has=("numba", "triton") if many else ("triton",), unfit=unfit
    )


def chamfer_distance(a: Tensor, b: Tensor, *, backend: Backend = "auto") -> Tensor:
    """Symmetric Chamfer distance: mean of the two directions' mean distances, unsquared.

    Args:
        a: (N, 3), finite, at least one point.
        b: (M, 3), the same.
        backend: see `nearest`.

    Returns:
        A scalar in the points' unit, differentiable once; swapping the sets changes no bit of it.

    Raises:
        ValueError: an empty set, or what `nearest` does not take.

    Source: H. Fan, H. Su, L. Guibas, "A point set generation network for 3D object reconstruction
        from a single image", CVPR 2017, section 4.2; there with squared distances and sums.
    """
    if len(a) == 0 or len(b) == 0:
        raise ValueError(f"a Chamfer distance needs two sets of points, got {len(a)} and {len(b)}")
    there, _ = nearest(a, b, backend=backend)
    back, _ = nearest(b, a, backend=backend)
    return (there.mean() + back.mean()) / 2
