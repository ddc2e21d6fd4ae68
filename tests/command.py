"""The command line as a script calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from privhead_nb import cli


def run(*arguments: object) -> Any:
    """Run and return what came of it."""
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def refused_call(words: str, *arguments: object) -> None:
    """A call that its user can mend: exit code 2, no answer, and one line with these words."""
    done = run(*arguments)
    assert done.exit_code == 2 and done.stdout == "", f"{words}: {done.output}"
    last = done.stderr.strip().splitlines()[-1]
    assert words in last and last.startswith("privhead: "), done.stderr
    assert "Traceback" not in done.stderr


def answer(*arguments: object) -> dict[str, Any]:
    """Run with --json and read stdout, which must be JSON alone."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def python(code: str, *arguments: object, check: bool = True, **settings: str) -> Any:
    """Run Python code in a process of its own at the repository's root; `settings`: environment."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=Path(__file__).parents[1],
        env=os.environ | settings, capture_output=True, text=True, timeout=400, check=check,
    )  # fmt: skip
