"""How nbval runs the lessons: as they were made, numbers within a tolerance.

A pytest plugin that pyproject.toml names, so that a bare `pytest --nbval` has it. Pictures and
widget views are not compared by nbval in the first place. A cell tagged `tolerance-2` prints
numbers that may differ between processors: each number of its text may be 2 % off the stored one,
and the words between them are compared exactly. Without such a tag all text is compared exactly.
"""

from __future__ import annotations

import copy
import math
import os
import re
from typing import Any
from unittest import mock

from notebooks.tools.build import ENVIRONMENT

SKIPPED = ("stderr", "application/vnd.plotly.v1+json", "text/html", "image/svg+xml")
TAG = re.compile(r"tolerance-(\d+)")
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def pytest_collectstart(collector: Any) -> None:
    """Leave out stderr, where libraries warn as they please, and plotly's and HTML's long text."""
    if not hasattr(collector, "skip_compare"):
        return
    collector.skip_compare += SKIPPED
    start_kernel = collector.setup

    def setup() -> None:
        """Start the kernel as `make notebooks` does; another profile (with --nbval-lax) stays."""
        chosen = os.environ.get("PRIVHEAD_PROFILE", "ci")
        with mock.patch.dict(os.environ, ENVIRONMENT if chosen == "ci" else {}):
            start_kernel()

    collector.setup = setup


def pytest_itemcollected(item: Any) -> None:
    """Let a cell with a tolerance compare its numbers within it."""
    if not hasattr(item, "cell"):
        return
    tags = [TAG.fullmatch(tag) for tag in item.cell.metadata.get("tags", [])]
    percent = next((int(tag[1]) for tag in tags if tag), None)
    if percent is None:
        return
    compare = item.compare_outputs

    def compare_within(test: Any, ref: Any, skip_compare: Any = None) -> Any:
        test = copy.deepcopy(test)
        for key in ("text", "text/plain"):
            # nbval compares the outputs of a kind in their order, and says if one is missing
            for mine, stored in zip(_with(test, key), _with(ref, key), strict=False):
                if close(mine[key], stored[key], percent):
                    mine[key] = stored[key]
        return compare(test, ref, skip_compare)

    item.compare_outputs = compare_within


def close(text: str, stored: str, percent: float) -> bool:
    """Whether two texts are alike but for numbers that differ by at most `percent`.

    A number printed with few digits may also be one step of its last digit off.
    """
    if NUMBER.split(_single_spaced(text)) != NUMBER.split(_single_spaced(stored)):
        return False
    for mine, wanted in zip(NUMBER.findall(text), NUMBER.findall(stored), strict=True):
        step = 10.0 ** -len(wanted.split("e")[0].partition(".")[2])
        near = math.isclose(float(mine), float(wanted), rel_tol=percent / 100)
        if not near and abs(float(mine) - float(wanted)) > 1.001 * step:
            return False
    return True


def _single_spaced(text: str) -> str:
    """Without the padding that grows or shrinks as a number gains or loses a digit or a sign."""
    return re.sub(r" +", " ", text)


def _with(outputs: list[Any], key: str) -> list[Any]:
    """The parts of a cell's outputs that hold what was printed ("text") or returned."""
    if key == "text":
        return [o for o in outputs if o["output_type"] == "stream" and o["name"] == "stdout"]
    return [o["data"] for o in outputs if key in o.get("data", {})]
