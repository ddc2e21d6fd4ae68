"""Fixtures shared by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_head() -> Path:
    """Folder of the real head (never part of the package); skips where it isn't there."""
    default = Path(__file__).parents[1] / ".." / "shared" / "data" / "real_head" / "scene"
    folder = Path(os.environ.get("PRIVHEAD_REAL_HEAD", default)).resolve()
    if not (folder / "cameras.npz").is_file():
        pytest.skip(f"no real head at {folder}; set PRIVHEAD_REAL_HEAD to its scene folder")
    return folder
