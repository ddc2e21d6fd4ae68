"""Lesson 11: its exercises, bytes that are counted truly, the model of three queues, its panel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from wrong_answers import lesson_11

from privhead_nb.bench.cases import OPS, cases_of
from privhead_nb.kernels.compositing import (
    composite_sdf_reference,
    laplace_density,
    weights_from_density,
)
from privhead_nb.teach import checks, results
from privhead_nb.teach.lesson11 import checks as lesson_11_checks
from privhead_nb.teach.lesson11 import panel, roofline
from privhead_nb.teach.lesson11.roofline import FLOOR_BYTES, Machine, Work
from privhead_nb.teach.lesson11.traffic import backward_traffic, saved_bytes, size, traffic
from privhead_nb.teach.widgets import values_of

# The exercises ------------------------------------------------------------------------------------


def fused(ray: tuple[float, ...]) -> NDArray[np.float64]:
    """The gradient of what the last sample shows, by the specification of 1103."""
    out = np.full((1, len(ray)), np.nan)
    density, deltas = np.array([ray]), np.ones((1, len(ray)))
    upstream = np.zeros_like(density)
    upstream[0, -1] = 1
    lesson_11.back(density, deltas, upstream, out)
    return out


def test_the_backward_of_the_text_is_autograds() -> None:
    ray = (0.3, 1.0, 0.1, 2.0)
    density = torch.tensor([ray], dtype=torch.float64, requires_grad=True)
    weights_from_density(density, torch.ones_like(density))[0, -1].backward()
    assert density.grad is not None
    assert np.allclose(fused(ray), density.grad.numpy(), rtol=1e-12)


def test_the_series_of_the_kernel_keeps_all_digits() -> None:
    pytest.importorskip("triton")
    if roofline.triton_place() is None:
        pytest.skip("Triton was imported before it could be told to interpret")
    tau = np.concatenate([np.geomspace(1e-14, 1, 60), [0.2499, 0.25, 5]]).astype(np.float32)[
        :, None
    ]
    found = lesson_11_checks._launched(lesson_11.kernel_with(), tau, np.ones_like(tau))
    assert np.allclose(found, -np.expm1(-tau.astype(float)), rtol=2e-6, atol=0)


def test_without_triton_the_check_says_so_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "triton_available", lambda: False)
    checks.ex1105(lesson_11.kernel)
    assert capsys.readouterr().out.startswith("ex1105 is not checked: Triton does not run here")


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


def test_rows_of_compositing_are_read() -> None:
    rows = [row("8 x 8, weights", "eager", 9), row("1024 x 98", "eager", 0.5)]
    rows += [row("1024 x 98", "fused", 0.02)]
    assert roofline.flops_a_sample({"rows": rows}) == 400 / 1024 / 98


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


def test_the_panel_breaks_no_roof() -> None:
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
