"""A benchmark's result as a table (its roofline: `teach.kernel_plots.stored_roofline`)."""

from __future__ import annotations

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
