"""How nbval runs the lessons: as they were made, and not comparing what may differ.

A pytest plugin that pyproject.toml names, so that a bare `pytest --nbval` has it. Pictures and
widget views are not compared by nbval in the first place.
"""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

from privhead_nb.teach.build import ENVIRONMENT

SKIPPED = ("stderr", "application/vnd.plotly.v1+json", "text/html", "image/svg+xml")


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
