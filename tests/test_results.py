"""Claims about stored results as tables: rows, pairs, intervals, rates, a missing file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from privhead_nb.errors import PrivheadError
from privhead_nb.teach import results


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two arms of a study, of which one lacks a run of head 2."""
    runs = {
        f"{arm} {head} {seed}": {
            "arm": arm, "head": head, "seed": seed, "final": {"face_mm": head + seed + 10 * bare},
        }
        for arm, bare in (("bare", 1), ("whole", 0))
        for head in (2, 1)
        for seed in (0, 1)
        if (arm, head, seed) != ("bare", 2, 1)
    }  # fmt: skip
    (tmp_path / "study.json").write_text(json.dumps({"command": "x", "runs": runs, "rows": [{}]}))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    results.table.cache_clear()
    yield
    results.table.cache_clear()


@pytest.mark.usefixtures("stored")
def test_runs_are_rows_and_pairs_have_one_head_and_seed() -> None:
    runs = results.frame("study", "runs")
    assert list(runs.columns) == ["key", "arm", "head", "seed", "final.face_mm"] and len(runs) == 7
    assert len(results.frame("study", "rows")) == 1
    bare, whole = (results.where(runs, arm=arm) for arm in ("bare", "whole"))
    assert len(results.where(runs, arm="whole", head=2)) == 2
    both = results.pairs(bare, whole, "final.face_mm")
    assert list(both.index) == [(1, 0), (1, 1), (2, 0)]
    assert (both.one - both.other).tolist() == [10, 10, 10]
    runs["arm"] = ""  # a table is its reader's own
    assert results.frame("study", "runs")["arm"][0] == "bare"


@pytest.mark.usefixtures("stored")
def test_a_missing_result_is_named() -> None:
    with pytest.raises(PrivheadError, match=r"no other\.json in benchmarks/results"):
        results.table("other")


def test_students_interval() -> None:
    values = np.random.default_rng(0).normal(3, 2, 9)
    found = results.interval(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found[:3] == pytest.approx((values.mean(), low, high)) and found.n == 9
    assert found.holds(float(values.mean())) and not found.holds(high + 0.01)
    assert results.interval(values, 0.8).high < high
    assert results.interval([2.0])[:3] == (2, -math.inf, math.inf)
    assert results.interval([2.0, 2.0])[:3] == (2, 2, 2)


def test_rates_as_the_lab_stores_them() -> None:
    assert results.rate([0.5, 0.4, None]).percent().startswith("50 % (40 to nan")
    assert results.rate([0.52, 0.48, 0.57]).percent() == "52 % (48 to 57)"
    for unknown in ({"why": "too few faces"}, "too few faces"):
        assert not results.rate(unknown).known
        assert results.rate(unknown).percent() == "not known: too few faces"
