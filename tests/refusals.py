"""How bad scenes and releases are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privhead_nb.errors import ReleaseError, SceneError
from privhead_nb.privacy.release import Release
from privhead_nb.teach.lesson03.leaks import renew_manifest


def refusal(call: Callable[[], object]) -> SceneError | None:
    """The error that a call ends in; None where it succeeds. Any other exception passes through."""
    try:
        call()
    except SceneError as error:
        return error
    return None


def release_refused(folder: Path, *words: str) -> None:
    """Load a release, expect ReleaseError, and find every word in its message."""
    with pytest.raises(ReleaseError) as error:
        Release.load(folder)
    for word in words:
        assert word in str(error.value), f"{word!r} isn't in {error.value}"
    assert error.value.remedy


def edit_release(folder: Path, **change: Any) -> None:
    """Change fields of release.json and make the manifest fit, as one who knows it would."""
    path = folder / "release.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    renew_manifest(folder)
