"""Claims about exercise checks: they pass what is right, name what is wrong, and count truly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed

from privhead_nb.bench.compositing import cases
from privhead_nb.bench.harness import OPS
from privhead_nb.kernels.compositing import composite_sdf_reference, laplace_density
from privhead_nb.teach import checks
from privhead_nb.teach.checks import CheckFailed, check
from privhead_nb.teach.lesson11 import kernel_plots, roofline
from privhead_nb.teach.lesson11.traffic import backward_traffic, saved_bytes, size, traffic

# Answers ------------------------------------------------------------------------------------------


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


def row(op: str, size: str, function: str, flops: int, moved: int) -> dict[str, Any]:
    return {"op": op, "size": size, "function": function, "flops": flops, "bytes_forward": moved}


INVENTED = {
    "machine": {"copy_gb_s": 1000.0, "fp32_gflop_s": 10000.0},  # ridge at 10
    "rows": [
        row("compositing", "8 x 8, weights", "eager", 100, 100),  # a part of the op
        row("compositing", "8 x 8", "eager", 400, 100),
        row("light", "1", "fused", 5000, 100),  # small sizes come first and don't count
        row("light", "2", "fused", 900, 100),
        row("heavy", "1", "fused", 1100, 100),
        row("heavy", "1", "eager", 1, 100),
        row("uncounted", "1", "fused", 0, 100),
        row("very heavy", "1", "fused", 100000, 100),
    ],
}
RIGHT = {"ex1101": right_1101, "ex1102": right_1102, "ex1103": right_1103, "ex1104": right_1104}


@pytest.fixture(autouse=True)
def invented(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark whose answer is known by hand."""
    monkeypatch.setattr(roofline, "stored", lambda: INVENTED)


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes_and_prints_the_same_each_time(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert getattr(checks, number)(RIGHT[number]) is None
    first = capsys.readouterr().out
    getattr(checks, number)(RIGHT[number])
    assert first == capsys.readouterr().out
    assert first.startswith(f"{number} passed: ")


@pytest.mark.parametrize("number", RIGHT)
def test_a_stub_is_recognised(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    def stub(*_):
        raise NotImplementedError("your turn")

    said = failed(capsys, number, stub)
    assert "still raises NotImplementedError" in said and "hint: " in said


def twice_counted(samples, itemsize):
    read, written, least = right_1101(samples, itemsize)
    return read, written + samples * (itemsize - 1), least


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


def without_deltas(density, deltas, weights):
    right_1102(density, np.ones_like(deltas), weights)


def last_left_out(density, deltas, weights):
    right_1102(density[:, :-1], deltas[:, :-1], weights[:, :-1])


def no_suffix(density, deltas, upstream, grad):
    grad[:] = upstream * np.exp(-np.cumsum(density * deltas, 1)) * deltas


def ones_upstream(density, deltas, upstream, grad):
    right_1103(density, deltas, np.ones_like(upstream), grad)


def of_tau(density, deltas, upstream, grad):
    right_1103(density, deltas, upstream, grad)
    grad /= deltas


@pytest.mark.parametrize(
    ("number", "function", "words"),
    [
        ("ex1101", twice_counted, ["first wrong index 1: yours", "1 of 3 numbers are wrong"]),
        ("ex1101", boolean_as_wide, ["a boolean takes 1 byte"]),
        ("ex1101", lambda s, i: (s, i), ["the shape (2,), the specification (3,)"]),
        ("ex1101", lambda s, i: None, ["shape ()", "hint: "]),
        ("ex1101", lambda s, i: "many", ["not made of numbers"]),
        ("ex1102", inclusive, ["first wrong index (0, 0)", "contains the sample itself"]),
        ("ex1102", through_only, ["this is T"]),
        ("ex1102", never_reset, ["case: 7 rays", "start from 0 on each ray"]),
        ("ex1102", without_deltas, ["multiplied by its delta"]),
        ("ex1102", last_left_out, ["never written", "case: one sample"]),
        ("ex1102", lambda d, e, w: d[99], ["raises IndexError", "in the line: "]),
        ("ex1103", no_suffix, ["left out the samples behind"]),
        ("ex1103", of_tau, ["tau is density times delta"]),
        ("ex1103", ones_upstream, ["first wrong index (0, ", "hint: go forward once"]),
        ("ex1104", lambda r: {"heavy", "very heavy"}, ["these are the others"]),
        ("ex1104", lambda r: {"light"}, ["slower memory", "missing: 1 of 2"]),
        ("ex1104", lambda r: "light", ["not a set of names"]),
        ("ex1104", lambda r: {"light", "uncounted"}, ["too many: uncounted"]),
    ],
)
def test_a_wrong_answer_is_named(
    number: str,
    function: Callable[..., Any],
    words: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = failed(capsys, number, function)
    assert all(word in said for word in words), said


def test_yours_stands_beside_the_specification(capsys: pytest.CaptureFixture[str]) -> None:
    said = failed(capsys, "ex1102", through_only).splitlines()
    assert said[0] == "ex1102: not yet"
    assert said[2].split() == ["yours", "1"] and said[3].split() == ["specification", "0.63212"]


def test_a_loop_that_only_compiles_wrong_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["Failed in", "", "cannot determine the type of x", "File:", *["more"] * 40]

    class Compiled:
        py_func = staticmethod(right_1102)

        def __call__(self, *_: Any) -> None:
            raise TypeError("\n".join(lines))

    said = failed(capsys, "ex1102", Compiled())
    assert "right as plain Python, but not compiled" in said
    assert "cannot determine the type of x" in said and "more" not in said


def test_reads_and_writes_of_a_loop_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    checks.ex1102(right_1102)
    assert "reads 2.0 and writes 1.0 numbers a sample; the least is 2 and 1" in (
        capsys.readouterr().out
    )

    def twice(density, deltas, weights):
        right_1102(density, deltas, weights)
        right_1102(density, deltas, weights)

    checks.ex1102(twice)
    assert "reads 4.0 and writes 2.0" in capsys.readouterr().out


def test_a_check_does_not_let_an_answer_change_its_cases(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def spoiling(density, deltas, weights):
        right_1102(density, deltas, weights)
        density[:] = 0

    checks.ex1102(spoiling)
    assert "passed" in capsys.readouterr().out


def test_a_notebook_shows_one_line_and_no_traceback() -> None:
    assert CheckFailed("ex1102: not yet")._render_traceback_() == ["CheckFailed: ex1102: not yet"]


# Counting -----------------------------------------------------------------------------------------


def test_traffic_counts_what_goes_in_and_out() -> None:
    x, y = torch.ones(10, 4), torch.ones(4)
    moved = traffic(lambda: torch.exp(x * y.expand(10, 4)[:, :4].t().t()))
    assert [o.name for o in moved.operations] == ["mul", "exp"]  # views move nothing
    assert moved.operations[0].read == 160 + 16  # what an expanded tensor repeats is read once
    assert (moved.read, moved.written, moved.moved) == (336, 320, 656)
    assert traffic(lambda: x > 0).written == 40  # booleans take one byte
    assert traffic(lambda: torch.ones(3)).launches == 0  # a constant asks for nothing
    assert traffic(torch.stack, [y, y]).read == 32


def test_the_table_adds_up() -> None:
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


def test_eager_compositing_moves_over_seven_times_the_floor() -> None:
    forward, backward, samples = roofline.eager_traffic()
    assert forward.moved / samples > 7 * roofline.floor_bytes()[0]
    assert backward.moved / samples > 7 * roofline.floor_bytes()[1]
    assert forward.launches + backward.launches > 60


def test_the_floor_is_inputs_and_outputs() -> None:
    sdf, deltas, t, colours, beta = given = roofline.rays(4, 1000)
    out = composite_sdf_reference(*given)
    assert roofline.floor_bytes()[0] == round(size(sdf, deltas, t, colours, *out) / sdf.numel())
    back = size(sdf, deltas, t, colours) + size(sdf, colours, beta)
    assert roofline.floor_bytes()[1] == round(back / sdf.numel())


def test_the_floor_is_the_benchmarks() -> None:
    """For the benchmark, the weights' gradient and a ray's few numbers come on top."""
    case = next(c for c in cases(torch.device("cpu"), quick=True) if "," not in c.size)
    rays, samples = (int(n) for n in case.size.split(" x "))
    forward, backward = roofline.floor_bytes()
    assert case.bytes_forward - rays * samples * forward == 20 * rays
    assert case.bytes_backward - rays * samples * (backward + 4) == 20 * rays


# Roofline -----------------------------------------------------------------------------------------


def test_the_longest_queue_sets_the_time() -> None:
    machine = roofline.Machine("m", bytes_s=100.0, flop_s=1000.0, launch_s=1.0)
    assert machine.ridge == 10
    for work, total, bound in (
        (roofline.Work(1, 50, 500), 1.0, "launches"),
        (roofline.Work(1, 300, 500), 3.0, "memory"),
        (roofline.Work(1, 300, 5000), 5.0, "arithmetic"),
    ):
        spent = roofline.times(work, machine)
        assert (spent.total, spent.bound) == (total, bound)


def test_work_of_compositing_grows_with_samples_but_its_launches_do_not() -> None:
    small = roofline.compositing_work(16, 32, "eager", 10)
    large = roofline.compositing_work(64, 32, "eager", 10)
    assert large.launches == small.launches > 20 and large.flops == 4 * small.flops
    assert large.bytes == pytest.approx(4 * small.bytes, rel=1e-6)
    fused = roofline.compositing_work(64, 32, "fused", 10)
    assert fused.launches == 1 and fused.bytes == 28 * 64 * 32 and fused.flops == large.flops


def test_the_way_back_adds_its_launches_bytes_and_arithmetic() -> None:
    forward, back, samples = roofline.eager_traffic()
    eager = roofline.compositing_work(8, 128, "eager", 10, backward=True)
    assert eager.launches == forward.launches + back.launches
    assert eager.bytes == pytest.approx((forward.moved + back.moved) / samples * 1024, abs=1)
    fused = roofline.compositing_work(8, 128, "fused", 10, backward=True)
    assert (fused.launches, fused.bytes) == (3, sum(roofline.floor_bytes()) * 1024)
    assert eager.flops == fused.flops == 30 * 1024


def test_the_machine_of_a_benchmark_has_its_ceilings() -> None:
    facts = {"kind": "cpu", "threads": 2, "copy_gb_s": 12.0, "fp32_gflop_s": 96.0}
    machine = roofline.machine_of({"machine": facts})
    assert (machine.name, machine.bytes_s, machine.ridge) == ("2 CPU cores", 12e9, 8.0)
    assert roofline.machine_of({"machine": facts | {"kind": "cuda"}}).launch_s > machine.launch_s


def test_peers_are_set_against_the_fused_form() -> None:
    def timed(op: str, function: str, median: float) -> dict[str, Any]:
        return row(op, "1", function, 1, 1) | {"forward_ms": {"median": median}}

    rows = [timed("a", "fused", 2.0), timed("a", "eager", 9.0), timed("a", "peer", 5.0)]
    assert roofline.beside_peers({"rows": rows}) == [("a", "1", "peer", 2.5)]


@pytest.mark.parametrize(
    ("warps", "registers", "shared", "programs"),
    [
        (1, 79, 0, 25),  # 80 x 32 = 2560 registers of 65536
        (1, 80, 0, 25),
        (1, 16, 0, 32),  # no more programs than that
        (4, 32, 0, 16),  # nor more warps than 64
        (4, 255, 0, 2),
        (1, 16, 32768, 6),  # 33 KB each of 228
    ],
)
def test_programs_that_a_multiprocessor_holds(
    warps: int, registers: int, shared: int, programs: int
) -> None:
    kernel = {"warps": warps, "registers": registers, "shared_bytes": shared}
    assert roofline.in_flight(kernel) == programs


def test_the_worst_of_an_ops_kernels_is_shown() -> None:
    small = {"op": "a", "warps": 1, "registers": 16, "spill_bytes": 0, "shared_bytes": 0}
    kernels = [small, small | {"warps": 4, "registers": 255, "spill_bytes": 8}, small | {"op": "b"}]
    lines = [line.split() for line in roofline.compiled_table(kernels).splitlines()[1:]]
    assert lines == [["a", "2", "255", "8", "8"], ["b", "1", "16", "0", "32"]]


def test_a_measured_gpu_is_drawn_beside_the_prediction() -> None:
    rows = [
        row("compositing", "1024 x 98", name, 1, 1) | {"full_ms": {"median": median}}
        for name, median in (("eager", 0.5), ("fused", 0.02))
    ]
    alone = kernel_plots.on_paper(roofline.H200, 40.0)
    beside = kernel_plots.on_paper(roofline.H200, 40.0, {"rows": rows})
    assert len(beside.axes[0].lines) == len(alone.axes[0].lines) + 2
    assert "measured" in beside.axes[0].get_title() and "measured" not in alone.axes[0].get_title()
    drawn = {tuple(line.get_xydata()[0]) for line in beside.axes[0].lines}
    assert {(1024.0, 0.5e-3), (1024.0, 0.02e-3)} <= drawn


def test_no_bar_of_the_stored_files_is_left_out() -> None:
    """The lesson's two files are there and complete: eager and fused of each op and size."""
    result = json.loads((roofline.RESULTS / "kernels_cpu.json").read_text(encoding="utf-8"))
    assert result["machine"]["kind"] == "cpu"
    places = {(r["op"], r["size"]) for r in result["rows"]}
    for function in ("eager", "fused"):
        own = {(r["op"], r["size"]) for r in result["rows"] if r["function"] == function}
        assert own == places
    assert {op for op, _ in places} == set(OPS) == {k["op"] for k in roofline.compiled()}


def test_memory_bound_of_an_invented_benchmark() -> None:
    assert roofline.memory_bound(INVENTED) == {"light"}
    assert roofline.flops_a_sample(INVENTED) == 400 / 64


def test_a_missing_benchmark_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(roofline, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no kernels_cpu\.json in benchmarks/results"):
        roofline.stored()
    assert roofline.measured_on_gpu() is None


def test_ceilings_of_this_machine_are_measured() -> None:
    machine = roofline.this_machine()
    assert 1e8 < machine.bytes_s < 1e13 and 1e8 < machine.flop_s < 1e14
    assert 1e-8 < machine.launch_s < 1e-2


def test_a_wrong_number_is_shown_beside_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckFailed):
        check("ex", lambda: 2.0, lambda: 3.0, {"the only case": ()}, hint="think", slips={})
    assert "yours 2, specification 3" in capsys.readouterr().out
