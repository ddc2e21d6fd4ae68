"""The folders of data that ship with the package: the sample head, stored results, weights.

In an installed package they lie inside it, under `shipped/`; in a checkout of the repository they
lie at its top, where readers look for them. The wheel is put together in pyproject.toml.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def _folder(shipped: str, checkout: str) -> Path:
    """The folder of an installed package, or else that of a checkout."""
    package = Path(str(files("privhead_nb")))
    inside = package / "shipped" / shipped
    return inside if inside.is_dir() else package.parent / checkout


SAMPLES = _folder("samples", "data_samples")
"""One made head: scene/, release/, reconstruction/, template/, template_trained/."""

SAMPLE_HEAD = 7
"""The identity of the head in SAMPLES."""

RESULTS = _folder("results", "benchmarks/results")
"""What the studies under benchmarks/ measured; each file is written by one command."""

WEIGHTS = Path(str(files("privhead_nb"))) / "lab" / "weights"
"""The trained recognisers."""

DEID_WEIGHTS = Path(str(files("privhead_nb"))) / "deid" / "weights"
"""Those of the compared systems."""
