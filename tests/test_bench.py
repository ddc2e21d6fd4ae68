"""The benchmark: it runs everywhere, compares before it times, and says what it can't do."""

import json
import os
import subprocess
import sys

import pytest
import torch
from backends import needs_triton
from command import run

from privhead_nb.bench import cases, harness, show, training
from privhead_nb.bench.case import Case

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_ceilings(monkeypatch):
    """Measuring a machine's ceilings takes seconds that these tests don't need."""
    monkeypatch.setattr(harness, "copy_bandwidth", lambda device: 1e10)
    monkeypatch.setattr(harness, "matmul_rate", lambda device: 1e11)


@pytest.mark.parametrize("op", cases.OPS)
def test_every_op_has_a_benchmark_that_runs(op):
    result = harness.run((op,), CPU, quick=True, progress=False)
    rows = result["rows"]
    assert rows and {row["op"] for row in rows} == {op}
    assert rows[0]["function"] == "eager" and rows[0]["error"] == 0
    assert all(row["forward_ms"]["median"] > 0 and row["bytes_forward"] > 0 for row in rows)


def test_a_wrong_answer_or_gradient_is_not_timed():
    x, timer = torch.randn(100, requires_grad=True), harness.Timer(CPU, 0.001)

    def rows_of(function):
        functions = {"eager": lambda v: v + v, "other": function}
        case = Case("test", "100", (x,), functions, bytes_forward=800, bytes_backward=800)
        return harness.measure(case, timer, compiled=False, notes=[])

    rows = rows_of(lambda v: 2 * v)
    assert [row["function"] for row in rows] == ["eager", "other"]
    assert all(row["full_ms"]["median"] > 0 for row in rows)
    other_slope = lambda v: (v + v).detach() + v.cos() - v.cos().detach()  # noqa: E731
    for wrong in (lambda v: 2.01 * v, other_slope, lambda v: 2 * v * torch.nan):
        with pytest.raises(harness.BenchError, match="other differs from the reference"):
            rows_of(wrong)


def test_ratios_and_table_say_what_the_rows_say():
    timed = lambda ms: {"median": ms, "q20": ms, "q80": ms}  # noqa: E731
    row = {
        "op": "a", "size": "1", "function": "eager", "device": "cpu", "bytes_forward": 10**7,
        "bytes_backward": 0, "flops": 0, "forward_ms": timed(8.0), "backward_ms": None,
        "full_ms": None, "peak_mb": 4.0, "error": 0.0,
    }  # fmt: skip
    rows = [row, row | {"function": "fused", "forward_ms": timed(2.0), "peak_mb": 1.0}]
    result = {"machine": harness.machine(CPU) | {"copy_gb_s": 10.0}, "rows": rows, "notes": ["N"]}
    fused = show.ratios(result)[1]
    assert fused["forward"] == pytest.approx(4) and fused["peak_ratio"] == pytest.approx(4)
    assert fused["share_forward"] == pytest.approx(0.5) and fused["full"] is None
    text = show.table(result)
    assert "4.0" in text and "50%" in text and text.endswith("N")


def test_command_writes_figures_and_a_roofline(tmp_path):
    target, picture = tmp_path / "made" / "bench.json", tmp_path / "roof.png"
    words = ("--op", "surface_march", "--quick", "--device", "cpu")
    answer = run("bench", *words, "--json", target, "--picture", picture)
    assert answer.exit_code == 0, answer.output
    assert "surface_march" in answer.output and picture.stat().st_size > 10_000
    assert {row["function"] for row in json.loads(target.read_text())["rows"]} >= {"eager"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--op", "nothing"], "there is no op 'nothing'"),
        pytest.param(
            ["--device", "cuda"],
            "no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
        pytest.param(["--ahead", 90], "Unset TRITON_INTERPRET", marks=needs_triton),
    ],
)
def test_what_can_not_be_measured_is_refused(arguments, message, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    answer = run("bench", *arguments)
    assert answer.exit_code == 2 and message in answer.output


def test_grid_sample_and_the_grid_encoding_agree():
    from privhead_nb.field.encoding import GridEncoding
    from privhead_nb.kernels.grid_encoding import GridLayout

    layout = GridLayout((5, 9), channels=3)
    ours = GridEncoding(layout, generator=torch.Generator().manual_seed(0))
    ours.table.data *= 1e4
    theirs = training.GridSampleEncoding(layout)
    start = 0
    for volume, res, size in zip(theirs.volumes, layout.resolutions, layout.sizes, strict=True):
        entries = ours.table[start : start + size].reshape(res, res, res, 3)
        volume.data = entries.permute(3, 0, 1, 2)[None].contiguous().detach()
        start += size
    points = torch.rand(50, 3) * 2.2 - 1.1
    torch.testing.assert_close(theirs(points)[0], ours(points)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_triton_kernels_compile_for_a_gpu_that_is_not_here(tmp_path):
    """Registers and spills as the assembler counts them; in a process without the interpreter."""
    pytest.importorskip("triton", reason="Triton is missing on this system")
    target = tmp_path / "sm90.json"
    done = subprocess.run(
        [sys.executable, "-m", "privhead_nb", "bench", "--ahead", "90", "--json", str(target)],
        env=os.environ | {"TRITON_INTERPRET": "0", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(target.read_text())["kernels"]
    assert {row["op"] for row in rows} == set(cases.OPS)
    assert all(0 < row["registers"] <= 255 for row in rows)
    spilling = {row["op"] for row in rows if row["spill_bytes"] > 64}
    assert spilling <= {"sdf_head"}, f"these kernels spill: {spilling}"
    assert "registers" in done.stdout


@pytest.mark.slow
def test_steps_and_growth_are_measured_in_turns_and_the_best_is_kept(monkeypatch):
    monkeypatch.setattr(training, "_apart", lambda device, function, *given: function(*given))
    small = training.bench_release(1, quick=True)
    monkeypatch.setattr(training, "bench_release", lambda copies, quick: small)
    result = training.run("cpu", ("ci",), quick=True, progress=False)
    assert [row["variant"] for row in result["steps"]] == ["kernels", "reference", "grid_sample"]
    for timed in ("per_run_s", "stage1_ms", "stage2_ms"):
        assert all(row[timed] > 0 for row in result["steps"])
    grown = [row["what"] for row in result["growth"]]
    assert {"pixels a step", "samples a ray", "views", "picture"} == set(grown)
    assert "growth" in training.table(result) and "grid_sample" in training.table(result)
    few = training.run("cpu", ("ci",), steps=1, progress=False)
    assert few["growth"] == [] and "growth" not in training.table(few)
