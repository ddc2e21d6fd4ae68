"""`python -m privhead_nb`: the command line, and `doctor` even where a dependency is missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; where it can't be loaded, say what to install."""
    try:
        from privhead_nb.cli import main as run
    except ModuleNotFoundError as error:
        from privhead_nb import doctor

        print(f"{error.name} is missing; this is what doctor says:\n", file=sys.stderr)
        print(doctor.text(doctor.report()), file=sys.stderr)
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
