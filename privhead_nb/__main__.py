"""`python -m privhead_nb`: the command line, and `doctor` even where a dependency is missing."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def main() -> None:
    """Run the command line; where it can't be loaded, say what to install."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:  # while modules load there is nothing to wind up
        signal.signal(signal.SIGINT, _leave)
    try:
        from privhead_nb.cli import main as run
    except ModuleNotFoundError as error:
        from privhead_nb import doctor

        print(f"{error.name} is missing; this is what doctor says:\n", file=sys.stderr)
        print(doctor.text(doctor.report()), file=sys.stderr)
        sys.exit(1)
    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        _leave()


def _leave(*_: Any) -> None:
    os.write(2, b"\nprivhead: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
