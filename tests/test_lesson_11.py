"""Lesson 11: its exercises, bytes that are counted truly, the model of three queues, its panel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed

from privhead_nb.bench.cases import OPS, cases_of
from privhead_nb.kernels.compositing import composite_sdf_reference, laplace_density
from privhead_nb.teach import checks, results
from privhead_nb.teach.lesson11 import figures, panel, roofline
from privhead_nb.teach.lesson11.roofline import FLOOR_BYTES, Machine, Work
from privhead_nb.teach.lesson11.traffic import backward_traffic, saved_bytes, size, traffic
from privhead_nb.teach.widgets import values_of

# Exercises ----------------------------------------------------------------------------------------


def right_1101(samples, itemsize):
    return samples * (10 * itemsize + 1), samples * (8 * itemsize + 1), samples * 2 * itemsize


def right_1102(density, deltas, weights):
    for ray in range(density.shape[0]):
        before = 0.0
        for i in range(density.shape[1]):
            tau = density[ray, i] * deltas[ray, i]
            weights[ray, i] = math.exp(-before) * -math.expm1(-tau)
            before += tau


def right_1103(density, deltas, upstream, grad):
    for ray in range(density.shape[0]):
        taus = density[ray] * deltas[ray]
        through = np.exp(-np.cumsum(taus))
        for i in range(density.shape[1]):
            behind = sum(
                upstream[ray, j] * (math.exp(-taus[:j].sum(dtype=float)) * -math.expm1(-taus[j]))
                for j in range(i + 1, density.shape[1])
            )
            grad[ray, i] = (upstream[ray, i] * through[i] - behind) * deltas[ray, i]


def right_1104(result):
    ridge = result["machine"]["fp32_gflop_s"] / result["machine"]["copy_gb_s"]
    last = {r["op"]: r for r in result["rows"] if r["function"] == "fused" and r["flops"]}
    return [op for op, r in last.items() if r["flops"] / r["bytes_forward"] < ridge]


RIGHT = {"ex1101": right_1101, "ex1102": right_1102, "ex1103": right_1103, "ex1104": right_1104}


def fused(op: str, size: str, flops: int) -> dict[str, Any]:
    return {"op": op, "size": size, "function": "fused", "flops": flops, "bytes_forward": 100}


INVENTED = {
    "machine": {"kind": "cpu", "threads": 2, "copy_gb_s": 1000.0, "fp32_gflop_s": 10000.0},
    "rows": [
        fused("light", "1", 5000),  # small sizes come first and don't count
        fused("light", "2", 900),  # the ridge is at 10
        fused("heavy", "1", 1100),
        fused("heavy", "1", 1) | {"function": "eager"},
        fused("uncounted", "1", 0),
        fused("very heavy", "1", 100000),
    ],
}


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes_and_prints_the_same_each_time(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    getattr(checks, number)(RIGHT[number])
    first = capsys.readouterr().out
    getattr(checks, number)(RIGHT[number])
    assert first == capsys.readouterr().out and first.startswith(f"{number} passed: ")


def boolean_as_wide(samples, itemsize):
    read, written, least = right_1101(samples, itemsize)
    return read + samples * (itemsize - 1), written + samples * (itemsize - 1), least


def inclusive(density, deltas, weights):
    tau = density * deltas
    weights[:] = np.exp(-np.cumsum(tau, 1)) * -np.expm1(-tau)


def through_only(density, deltas, weights):
    tau = density * deltas
    weights[:] = np.exp(-(np.cumsum(tau, 1) - tau))


def never_reset(density, deltas, weights):
    right_1102(density.reshape(1, -1), deltas.reshape(1, -1), weights.reshape(1, -1))


def no_suffix(density, deltas, upstream, grad):
    grad[:] = upstream * np.exp(-np.cumsum(density * deltas, 1)) * deltas


def suffix_with_itself(density, deltas, upstream, grad):
    tau = density * deltas
    lost = upstream * np.exp(tau - np.cumsum(tau, 1)) * -np.expm1(-tau)
    from_here = np.cumsum(lost[:, ::-1], 1)[:, ::-1]
    grad[:] = (upstream * np.exp(-np.cumsum(tau, 1)) - from_here) * deltas


def of_tau(density, deltas, upstream, grad):
    right_1103(density, deltas, upstream, grad)
    grad /= deltas


@pytest.mark.parametrize(
    ("number", "function", "words"),
    [
        ("ex1101", boolean_as_wide, "a boolean takes 1 byte"),
        ("ex1101", lambda s, i: (s, i), "the shape (2,), the specification (3,)"),
        ("ex1102", inclusive, "contains the sample itself"),
        ("ex1102", through_only, "this is T"),
        ("ex1102", never_reset, "start from 0 on each ray"),
        ("ex1102", lambda d, e, w: right_1102(d, np.ones_like(e), w), "multiplied by its delta"),
        ("ex1102", lambda d, e, w: right_1102(d[:, :-1], e, w), "never written"),
        ("ex1103", no_suffix, "left out the samples behind"),
        ("ex1103", suffix_with_itself, "only those behind it lose light"),
        ("ex1103", of_tau, "tau is density times delta"),
        (
            "ex1103",
            lambda d, e, u, g: right_1103(d, e, np.ones_like(u), g),
            "hint: go forward once",
        ),
        ("ex1104", lambda r: {"heavy", "very heavy"}, "these are the others"),
        ("ex1104", lambda r: {"light"}, "missing: 1 of 2"),
        ("ex1104", lambda r: {"light", "uncounted"}, "too many: uncounted"),
    ],
)
def test_a_wrong_answer_is_named(
    number: str,
    function: Callable[..., Any],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "table", lambda _: INVENTED)
    assert words in failed(capsys, number, function)


# Counting, and the model --------------------------------------------------------------------------


def test_traffic_counts_what_goes_in_and_out() -> None:
    x, y = torch.ones(10, 4), torch.ones(4)
    moved = traffic(lambda: torch.exp(x * y.expand(10, 4)[:, :4].t().t()))
    assert [o.name for o in moved.operations] == ["mul", "exp"]  # views move nothing
    assert moved.operations[0].read == 160 + 16  # what an expanded tensor repeats is read once
    assert (moved.read, moved.written, moved.moved) == (336, 320, 656)
    assert traffic(lambda: x > 0).written == 40  # booleans take one byte
    assert traffic(lambda: torch.ones(3)).launches == 0  # a constant asks for nothing
    assert traffic(torch.stack, [y, y]).read == 32
    lines = traffic(laplace_density, torch.ones(8), 0.1).table(samples=8).splitlines()
    columns = [[float(n) for n in line.split()[1:3]] for line in lines[1:]]
    assert np.allclose(np.sum(columns[:-1], axis=0), columns[-1])
    assert columns[-1] == [41.0, 33.0]


def test_backward_traffic_and_what_is_kept() -> None:
    x = torch.ones(100, requires_grad=True)
    assert [o.name for o in backward_traffic(torch.exp, x).operations] == ["mul"]
    assert saved_bytes(torch.exp, x) == 400  # its result
    assert saved_bytes(torch.square, x) == 0  # its input, which is there anyway
    assert saved_bytes(lambda x: torch.exp(torch.exp(x)), x) == 800


def test_the_floor_is_inputs_and_outputs_and_the_benchmarks() -> None:
    """For the benchmark, the weights' gradient and a ray's few numbers come on top."""
    sdf, deltas, t, colours, beta = given = roofline.rays(4, 1000)
    out = composite_sdf_reference(*given)
    assert FLOOR_BYTES["forward"] == round(size(sdf, deltas, t, colours, *out) / sdf.numel())
    back = size(sdf, deltas, t, colours) + size(sdf, colours, beta)
    assert FLOOR_BYTES["backward"] == round(back / sdf.numel())
    case = next(c for c in cases_of("compositing", torch.device("cpu"), True) if "," not in c.size)
    rays, samples = (int(n) for n in case.size.split(" x "))
    assert case.bytes_forward - rays * samples * FLOOR_BYTES["forward"] == 20 * rays
    assert case.bytes_backward - rays * samples * (FLOOR_BYTES["backward"] + 4) == 20 * rays


def test_the_longest_queue_sets_the_time() -> None:
    machine = Machine("m", bytes_s=100.0, flop_s=1000.0, launch_s=1.0)
    assert machine.ridge == 10
    for work, total, bound in (
        (Work(1, 50, 500), 1.0, "launches"),
        (Work(1, 300, 500), 3.0, "memory"),
        (Work(1, 300, 5000), 5.0, "arithmetic"),
    ):
        spent = roofline.times(work, machine)
        assert (spent.total, spent.bound) == (total, bound)
    facts = {"kind": "cpu", "threads": 2, "copy_gb_s": 12.0, "fp32_gflop_s": 96.0}
    machine = roofline.machine_of({"machine": facts})
    assert (machine.name, machine.bytes_s, machine.ridge) == ("2 CPU cores", 12e9, 8.0)
    assert roofline.machine_of({"machine": facts | {"kind": "cuda"}}).launch_s > machine.launch_s


def test_work_of_compositing_is_what_was_counted() -> None:
    forward, back, samples = roofline.eager_traffic()
    for moved, floor in zip((forward, back), FLOOR_BYTES.values(), strict=True):
        assert moved.moved / samples > 7 * floor
    assert forward.launches > 20 and forward.launches + back.launches > 60
    small, large = (roofline.compositing_work(n, 32, "eager", 10) for n in (16, 64))
    assert large.launches == small.launches == forward.launches and large.flops == 4 * small.flops
    assert large.bytes == pytest.approx(4 * small.bytes, rel=1e-6)
    assert roofline.compositing_work(64, 32, "fused", 10) == Work(1, 28 * 64 * 32, large.flops)
    eager = roofline.compositing_work(8, 128, "eager", 10, backward=True)
    assert eager.launches == forward.launches + back.launches and eager.flops == 30 * 1024
    assert eager.bytes == pytest.approx((forward.moved + back.moved) / samples * 1024, abs=1)
    fused = roofline.compositing_work(8, 128, "fused", 10, backward=True)
    assert fused == Work(3, (28 + 40) * 1024, eager.flops)


def row(size: str, function: str, median: float) -> dict[str, Any]:
    return {"op": "compositing", "size": size, "function": function, "flops": 400,
            "full_ms": {"median": median}}  # fmt: skip


def test_rows_of_compositing_are_read_and_drawn_beside_the_prediction() -> None:
    rows = [row("8 x 8, weights", "eager", 9), row("1024 x 98", "eager", 0.5)]
    rows += [row("1024 x 98", "fused", 0.02)]
    assert roofline.flops_a_sample({"rows": rows}) == 400 / 1024 / 98
    alone = figures.on_paper(roofline.H200, 40.0)
    beside = figures.on_paper(roofline.H200, 40.0, {"rows": rows})
    assert "measured" in beside.axes[0].get_title() and "measured" not in alone.axes[0].get_title()
    drawn = {tuple(line.get_xydata()[0]) for line in beside.axes[0].lines}
    assert {(1024.0, 0.5e-3), (1024.0, 0.02e-3)} <= drawn


def test_no_bar_of_the_stored_files_is_left_out() -> None:
    """The lesson's two files are there and complete: eager and fused of each op and size."""
    result = results.table("kernels_cpu")
    assert result["machine"]["kind"] == "cpu"
    places = {(r["op"], r["size"]) for r in result["rows"]}
    for function in ("eager", "fused"):
        own = {(r["op"], r["size"]) for r in result["rows"] if r["function"] == function}
        assert own == places
    compiled = {k["op"] for k in results.table("kernels_sm90")["kernels"]}
    assert set(OPS) == compiled
    assert {op for op, _ in places} == set(OPS) - {"error_bounded"}  # a GPU's alone


def test_the_panel_draws_every_corner_of_its_controls_and_breaks_no_roof() -> None:
    controls = panel.controls()
    rest = {name: control.value for name, control in controls.items()}
    settings = [rest | {n: values_of(c)[k]} for n, c in controls.items() for k in (0, -1)]
    for setting in settings:
        view = panel.picture(**setting)
        assert "bound by" in view.facts and str(setting["rays"]) in view.alt
        left, right = view.figure.axes
        x, y = left.lines[-1].get_xydata()[0]
        assert left.get_xlim()[0] < x < left.get_xlim()[1]
        assert left.get_ylim()[0] < y < left.get_ylim()[1]
        roof = left.lines[0].get_xydata()
        assert y <= 1.01 * np.exp(np.interp(np.log(x), *np.log(roof).T))
        assert max(t.get_position()[0] for t in right.texts) < right.get_xlim()[1]
