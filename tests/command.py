"""The command line as a script calls it."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from privhead_nb import cli


def run(*arguments: object) -> Any:
    """Run and return what came of it."""
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def answer(*arguments: object) -> dict[str, Any]:
    """Run with --json and read stdout, which must be JSON alone."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found
