"""What a check says of a student's answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from privhead_nb.teach import checks
from privhead_nb.teach.checks import CheckFailed


def failed(capsys: pytest.CaptureFixture[str], number: str, function: Callable[..., Any]) -> str:
    """What a check prints of a wrong answer."""
    with pytest.raises(CheckFailed):
        getattr(checks, number)(function)
    return capsys.readouterr().out
