"""Checks of lesson 11: bytes, loops, rooflines, and a kernel."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from functools import partial
from typing import Any

import numpy as np
import torch

from privhead_nb.kernels.compositing import laplace_density
from privhead_nb.kernels.lazy import power_of_two
from privhead_nb.teach import results
from privhead_nb.teach.checks import Array, Function, Slip, check, check_loop, same_names
from privhead_nb.teach.lesson11 import roofline
from privhead_nb.teach.lesson11.traffic import size, traffic
from privhead_nb.viz.roofline import Result, intensity


def weights(density: Array, deltas: Array) -> Array:
    """(rays, samples) weights of eq. 1, in double precision."""
    return _by(lambda tau, through: through * -np.expm1(-tau))(density, deltas)


def _before(tau: Array) -> Array:
    """Sum of what stands before each sample."""
    return np.cumsum(np.pad(tau, ((0, 0), (1, 0)))[:, : tau.shape[1]], axis=1)


def _by(how: Function) -> Function:
    """Weights from (density, deltas), or what a slip makes of tau and T in double precision."""

    def function(density: Array, deltas: Array) -> Array:
        tau = density.astype(float) * deltas
        return np.asarray(how(tau, np.exp(-_before(tau))))

    return function


SUBTRACTS = (
    "1 - exp(-tau) is a difference of two numbers near 1, and loses a thin sample's digits: take "
    "expm1 (in a kernel: `stopped`)"
)
PRODUCT = "behind a wall 1 - alpha rounds to 0, and so does a product of it: add up tau"
BEFORE = {
    PRODUCT: _by(
        lambda tau, _: np.exp(-_before(np.where(tau > 37, np.inf, tau))) * -np.expm1(-tau)
    ),
    "your sum contains the sample itself; T counts only what stands before": (
        _by(lambda tau, through: through * np.exp(-tau) * -np.expm1(-tau))
    ),
    "your sum must start from 0 on each ray": (
        lambda *rays: weights(*(a.reshape(1, -1) for a in rays)).reshape(rays[0].shape)
    ),
    SUBTRACTS: _by(lambda tau, through: through * (1 - np.exp(-tau))),
    f"in float32, {SUBTRACTS}": (
        _by(lambda tau, through: through * (1 - np.exp(-tau.astype(np.float32))))
    ),
    "a sum minus its last term loses what stands before a wall: use the sum, then add tau": (
        _by(lambda tau, _: np.exp(tau - np.cumsum(tau, 1)) * -np.expm1(-tau))
    ),
}


def ex1101(yours: Function) -> None:
    """Bytes that `laplace_density` reads and writes, and the least: (samples, itemsize) -> 3."""
    types = {2: torch.float16, 4: torch.float32, 8: torch.float64}

    def counted(samples: int, itemsize: int) -> Array:
        sdf = torch.linspace(-1, 1, samples, dtype=types[itemsize])
        moved = traffic(laplace_density, sdf, 0.1)
        least = size(sdf) + size(laplace_density(sdf, 0.1))
        return np.array([moved.read, moved.written, least])

    cases = {
        "1 number of 4 bytes": (1, 4),
        "1000 numbers of 4 bytes": (1000, 4),
        "60 numbers of 8 bytes": (60, 8),
        "7 numbers of 2 bytes": (7, 2),
    }
    slips: dict[str, Slip] = {
        "a comparison writes booleans, and a boolean takes 1 byte": (
            lambda n, itemsize: counted(n, itemsize) + (itemsize - 1) * n * np.array([1, 1, 0])
        ),
        "the least is every input read and every result written: two numbers, not one": (
            lambda n, itemsize: counted(n, itemsize) - [0, 0, n * itemsize]
        ),
        "in bytes, not in numbers: multiply by the size of an item": (
            lambda n, itemsize: counted(n, itemsize) // itemsize
        ),
        "this is for one number: multiply by how many there are": (
            lambda _, itemsize: counted(1, itemsize)
        ),
    }
    check("ex1101", yours, counted, cases, slips=slips)


def ex1102(yours: Function) -> None:
    """Weights of eq. 1 as a loop: (density, deltas, weights), fills weights (rays, samples)."""
    cases = {name: given[:2] for name, given in _rays().items()}
    check_loop("ex1102", yours, weights, cases, slips=BEFORE, rtol=1e-4, atol=1e-25)


def ex1103(yours: Function) -> None:
    """Its backward: (density, deltas, upstream, grad), fills grad with d loss / d density."""

    def by(how: Function) -> Function:
        """The gradient, by (T_k+1, g_k w_k, tau) -> (T_k+1, what stands behind)."""

        def gradient(density: Array, deltas: Array, upstream: Array) -> Array:
            tau = density.astype(float) * deltas
            each = upstream * weights(density, deltas)
            through, behind = how(np.exp(-np.cumsum(tau, 1)), each, tau)
            return (upstream * through - behind) * deltas

        return gradient

    def after(each: Array) -> Array:
        """Sum over the samples behind."""
        return np.pad(each[:, :0:-1].cumsum(1)[:, ::-1], ((0, 0), (0, 1)))

    slips: dict[str, Slip] = {
        "`behind` is a sum minus a sum, which loses what stands behind a wall: add up from "
        "the far end": by(lambda t, e, _: (t, e.sum(1, keepdims=True) - e.cumsum(1))),
        "you left out the samples behind (or a weight is a difference of two T, which rounds "
        "to 0 in haze): more density here takes light from them": by(lambda t, *_: (t, 0)),
        "your sum contains the sample itself; only those behind it lose light": (
            by(lambda t, e, _: (t, after(e) + e))
        ),
        SUBTRACTS: by(lambda t, e, tau: (t, after(e / -np.expm1(-tau) * (1 - np.exp(-tau))))),
        PRODUCT: by(lambda t, e, _: (0 * t, 0 * e)),
    }
    check_loop(
        "ex1103",
        yours,
        by(lambda t, e, _: (t, after(e))),
        _rays(),
        slips=slips,
        rtol=1e-4,
        atol=1e-25,
    )


def ex1104(yours: Function) -> None:
    """Which kernels memory holds up: a stored benchmark -> their names."""
    stored = results.table("kernels_cpu")

    def with_memory(times_as_fast: float) -> tuple[Result]:
        result = copy.deepcopy(stored)
        result["machine"]["copy_gb_s"] *= times_as_fast
        return (result,)

    cases = {
        "an invented benchmark": (INVENTED,),
        "the stored benchmark": (stored,),
        "a machine with 50 times slower memory": with_memory(1 / 50),
        "a machine with 50 times faster memory": with_memory(50),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "these are the others, which arithmetic holds up": ("< ridge", ">= ridge"),
        "rows of other functions move other bytes: take the fused ones only":
            ('row["function"] == "fused" and ', ""),
        "the last row of an op counts, not its first": ("in rows", "in reversed(rows)"),
        "leave out rows whose flops are 0: their arithmetic is not known":
            (' and row["flops"]', ""),
    }  # fmt: skip
    check("ex1104", yours, _below_the_ridge, cases, slips=slips, same=same_names)


def _below_the_ridge(result: Result) -> set[str]:
    ridge, rows = roofline.machine_of(result).ridge, result["rows"]
    last = {row["op"]: row for row in rows if row["function"] == "fused" and row["flops"]}
    return {op for op, row in last.items() if intensity(row) < ridge}


def ex1105(yours: Function) -> None:
    """Weights of eq. 1 as a Triton kernel: one program a ray, BLOCK lanes."""
    if roofline.triton_place() is None:
        print("ex1105 is not checked: Triton does not run here (it comes with PyTorch for Linux)")
        return
    cases = {name: given[:2] for name, given in _rays().items() if given[0].shape[1] in (4, 33)}

    def unmasked(density: Array, deltas: Array) -> Array:
        left = np.append(STRANGER**2, (density * deltas)[:-1, -1])
        return weights(density, deltas) * np.exp(-left[:, None])

    slips = BEFORE | {"lane 0 has read the last sample of another ray: mask that load": unmasked}
    launched = partial(_launched, yours)
    check("ex1105", launched, weights, cases, slips=slips, rtol=1e-4, atol=1e-25)


STRANGER = np.float32(1000)  # what stands beside the rays in memory


def _launched(kernel: Any, density: Array, deltas: Array) -> Array:
    """What a kernel writes, one program a ray; IndexError where it reaches beyond a ray."""
    (rays, samples), place = density.shape, roofline.triton_place()
    block = power_of_two(samples)
    beside = (rays + 1) * block  # numbers before and after the rays

    def kept(values: Array) -> tuple[torch.Tensor, torch.Tensor]:
        whole = torch.full((beside + values.size + beside,), float(STRANGER), device=place)
        own = whole[beside : beside + values.size].view(rays, samples)
        own.copy_(torch.tensor(values))
        return whole, own

    (_, own_density), (_, own_deltas) = kept(density), kept(deltas)
    whole, out = kept(np.full_like(density, -7.125e33))
    try:
        kernel[(rays,)](own_density, own_deltas, out, samples, BLOCK=block)
    except Exception as error:  # the interpreter wraps what a kernel raises
        raise error.__cause__ or error from None
    if not bool((torch.cat([whole[:beside], whole[-beside:]]) == float(STRANGER)).all()):
        raise IndexError("the kernel has written beside its rays: a store needs a mask, too")
    if samples < block and _unmasked(kernel):
        raise IndexError("a load or store without a mask reaches beyond its ray")
    return out.cpu().numpy()


def _unmasked(kernel: Any) -> bool:
    """Whether a load or store of a whole block has no mask; False where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kernel.python)))
    except (OSError, TypeError, AttributeError):
        return False
    least = {"load": 2, "store": 3}  # arguments with a mask that is not named
    calls = [
        (n.func.attr, n) for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
    ]  # fmt: skip
    return any(name == "arange" for name, _ in calls) and any(
        name in least
        and len(call.args) < least[name]
        and not any(word.arg == "mask" for word in call.keywords)
        for name, call in calls
    )


def _rays() -> dict[str, tuple[Array, ...]]:
    """Density, deltas and upstream gradient of a few rays, by what is special about them."""
    rng, many = np.random.default_rng(11), (7, 33)
    cases: dict[str, tuple[Any, ...]] = {
        "one sample": ([[2]], [[0.5]], [[1]]),
        "four samples": ([[0.3, 8, 1, 2]], [[0.5] * 4], [[1, -2, 3, 4]]),
        "a wall, and something behind it": ([[80, 2, 4, 1]], [[0.5] * 4], [[1, 2, 3, 4]]),
        "a wall as good as black": ([[0.3, 1e18, 1, 2]], [[0.5] * 4], [[1, 2, 3, 4]]),
        "haze, 31 beta before a surface": (
            [[3e-14, 5e-14, 7e-14, 2e-13]], [[0.5] * 4], [[0, 0, 0, 1]]
        ),
        "7 rays of 33 samples": (
            rng.exponential(3, many), rng.uniform(0.01, 0.2, many), rng.normal(size=many)
        ),
        "no ray at all": (np.zeros((0, 5)),) * 3,
    }  # fmt: skip
    return {
        name: tuple(np.array(array, dtype=np.float32) for array in arrays)
        for name, arrays in cases.items()
    }


INVENTED: Result = {
    "machine": {"kind": "cpu", "threads": 2, "copy_gb_s": 1000.0, "fp32_gflop_s": 10000.0},
    "rows": [
        {"op": op, "size": "1", "function": function, "flops": flops, "bytes_forward": moved}
        for op, function, flops, moved in (  # small sizes come first; the ridge is at 10
            ("low", "fused", 5000, 100), ("low", "fused", 900, 100), ("low", "eager", 900, 50),
            ("high", "fused", 500, 100), ("high", "fused", 1100, 100), ("high", "eager", 1100, 200),
            ("calm", "fused", 300, 100), ("calm", "fused", 600, 100), ("calm", "eager", 600, 50),
            ("broad", "fused", 5000, 100), ("broad", "fused", 6000, 100), ("none", "fused", 0, 100),
        )
    ],
}  # fmt: skip
"""A benchmark on which every plausible misreading gives another answer."""
