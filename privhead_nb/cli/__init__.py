"""The command line: thin, each command calls one function of the package.

torch and the rest are imported inside of the commands, so that `--help` answers at once. With
`--json` a command prints JSON and nothing else on stdout; progress goes to stderr.
"""

from __future__ import annotations

import io
import sys

from privhead_nb.cli import capture, views, heads, lab, deid, machine  # isort: skip (--help's order)
from privhead_nb.cli.common import app

__all__ = ["app", "capture", "deid", "heads", "lab", "machine", "main", "views"]


def main() -> None:
    """The command line; names that a console can't show are escaped, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
