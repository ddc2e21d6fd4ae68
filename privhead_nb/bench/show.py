"""A benchmark's result as a table and as a roofline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Result = dict[str, Any]


def ratios(result: Result) -> list[dict[str, Any]]:
    """Per op and size: how many times faster than eager each function is, and its bandwidth.

    Returns:
        op, size, function, the three ratios (None where not measured), share_forward and
        share_full of the measured copy bandwidth by the least bytes, and peak_ratio.
    """
    rows = result["rows"]
    eager = {(r["op"], r["size"]): r for r in rows if r["function"] == "eager"}
    copy = result["machine"]["copy_gb_s"] * 1e9
    out = []
    for row in rows:
        base = eager[(row["op"], row["size"])]
        line: dict[str, Any] = {k: row[k] for k in ("op", "size", "function")}
        for key in ("forward", "backward", "full"):
            mine, theirs = row[f"{key}_ms"], base[f"{key}_ms"]
            line[key] = theirs["median"] / mine["median"] if mine and theirs else None
        line["share_forward"] = _share(row["bytes_forward"], row["forward_ms"], copy)
        both = row["bytes_forward"] + row["bytes_backward"]
        line["share_full"] = _share(both, row["full_ms"], copy)
        mine, theirs = row["peak_mb"], base["peak_mb"]
        line["peak_ratio"] = theirs / mine if mine and theirs else None
        out.append(line)
    return out


def _share(amount: int, timed: dict[str, float] | None, copy: float) -> float | None:
    return amount / (1e-3 * timed["median"]) / copy if timed else None


def table(result: Result) -> str:
    """Medians in ms with their 0.2 / 0.8 quantiles; x: times faster than eager; bw: share of copy
    bandwidth that the least bytes make, in the forward and in the whole pass."""
    facts = result["machine"]
    lines = [
        f"{facts['device']}, torch {facts['torch']}, Triton {facts['triton'] or '-'}, "
        f"Numba {facts['numba'] or '-'}, {facts['threads']} threads, {facts['date']}",
        f"measured ceilings: copy {facts['copy_gb_s']:g} GB/s, "
        f"float32 product {facts['fp32_gflop_s']:g} Gflop/s",
        "",
        f"{'op':<14} {'size':<20} {'function':<11} {'forward ms':>22} {'backward ms':>22} "
        f"{'full ms':>22} {'x fwd':>6} {'x bwd':>6} {'x full':>6} {'bw fwd':>6} {'bw all':>6} "
        f"{'peak MB':>9}",
    ]
    for row, line in zip(result["rows"], ratios(result), strict=True):
        times = " ".join(f"{_time(row[k]):>22}" for k in ("forward_ms", "backward_ms", "full_ms"))
        faster = " ".join(f"{_number(line[k], 'x'):>6}" for k in ("forward", "backward", "full"))
        share = " ".join(f"{_number(line[k], '%'):>6}" for k in ("share_forward", "share_full"))
        peak = "-" if row["peak_mb"] is None else f"{row['peak_mb']:.1f}"
        lines.append(
            f"{row['op']:<14} {row['size']:<20} {row['function']:<11} {times} {faster} {share} "
            f"{peak:>9}"
        )
    return "\n".join([*lines, *result["notes"]])


def _time(timed: dict[str, float] | None) -> str:
    if timed is None:
        return "-"
    return f"{timed['median']:.3f} [{timed['q20']:.3f} {timed['q80']:.3f}]"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.0%}" if unit == "%" else f"{value:.1f}"


def roofline(result: Result, path: Path) -> None:
    """Draw forward passes under the machine's measured ceilings, and write a PNG.

    An op's intensity is its arithmetic over its least bytes, the same for every function: what
    moves more bytes than it must shows as a lower point, not as one further left.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    facts = result["machine"]
    copy, peak = facts["copy_gb_s"] * 1e9, facts["fp32_gflop_s"] * 1e9
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    x = np.geomspace(0.1, 1000, 200)
    axes.loglog(x, np.minimum(x * copy, peak) / 1e9, color="black", lw=1.5)
    axes.annotate("copy bandwidth", (0.2, 0.3 * copy / 1e9), fontsize=8, ha="right")
    axes.annotate("float32 product", (100, 1.15 * peak / 1e9), fontsize=8)
    ops = list(dict.fromkeys(r["op"] for r in result["rows"] if r["flops"]))
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, max(len(ops), 1)))
    for op, colour in zip(ops, colours, strict=True):
        size = [r["size"] for r in result["rows"] if r["op"] == op][-1]
        for row in result["rows"]:
            if (row["op"], row["size"]) != (op, size) or row["function"] not in _MARKS:
                continue
            intensity = row["flops"] / row["bytes_forward"]
            rate = row["flops"] / (1e-3 * row["forward_ms"]["median"]) / 1e9
            mark = _MARKS[row["function"]]
            name = f"{op}, {size}" if row["function"] == "fused" else None
            axes.plot(intensity, rate, mark, color=colour, label=name, ms=9, mec="black")
            if name:
                axes.annotate(f"  {op}", (intensity, rate), fontsize=8, va="center")
    axes.set_xlabel("arithmetic per byte that must move [flop / B]")
    axes.set_ylabel("arithmetic per second [Gflop / s]")
    axes.set_title(f"Forward passes on {facts['device']}: circles fused, squares torch.compile,\n"
                   "triangles eager; the largest size of each op", fontsize=10)  # fmt: skip
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


_MARKS = {"eager": "v", "compile": "s", "fused": "o"}
