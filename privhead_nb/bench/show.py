"""A benchmark's result as a table (its roofline: `viz.roofline`)."""

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


def text_table(rows: list[dict[str, Any]]) -> str:
    """Dicts of the same keys as lines of text under those keys, in columns; words to the left."""
    columns = []
    for key in rows[0]:
        cells = [key, *(str(row[key]) for row in rows)]
        width = max(map(len, cells))
        numbers = any(cell[:1].isdigit() for cell in cells[1:])
        columns.append([cell.rjust(width) if numbers else cell.ljust(width) for cell in cells])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def table(result: Result) -> str:
    """Medians in ms with their 0.2 / 0.8 quantiles; x: times faster than eager; bw: share of copy
    bandwidth that the least bytes make, in the forward and in the whole pass."""
    facts = result["machine"]
    lines = [
        {"op": row["op"], "size": row["size"], "function": row["function"]}
        | {f"{k} ms": _time(row[f"{k}_ms"]) for k in ("forward", "backward", "full")}
        | {f"x {k}": _number(line[k], ".1f") for k in ("forward", "backward", "full")}
        | {f"bw {k}": _number(line[f"share_{k}"], ".0%") for k in ("forward", "full")}
        | {"peak MB": _number(row["peak_mb"], ".1f")}
        for row, line in zip(result["rows"], ratios(result), strict=True)
    ]
    head = (
        f"{facts['device']}, torch {facts['torch']}, Triton {facts['triton'] or '-'}, "
        f"Numba {facts['numba'] or '-'}, {facts['threads']} threads, {facts['date']}\n"
        f"measured ceilings: copy {facts['copy_gb_s']:g} GB/s, "
        f"float32 product {facts['fp32_gflop_s']:g} Gflop/s\n"
    )
    return "\n".join([head, *([text_table(lines)] if lines else []), *result["notes"]])


def _time(timed: dict[str, float] | None) -> str:
    if timed is None:
        return "-"
    return f"{timed['median']:.3f} [{timed['q20']:.3f} {timed['q80']:.3f}]"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
