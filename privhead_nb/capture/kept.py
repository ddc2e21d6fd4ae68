"""Finished steps of a capture, kept on disk so that a second call goes on from them.

Each step is a JSON file that says from what it was made (a key); files beside it, such as masks,
belong to it. A step whose key has changed is done again, and with it all that hang on its result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from privhead_nb.errors import SceneError
from privhead_nb.files import json_text, write_json
from privhead_nb.reading import read_json

VERSION = 1
"""Of the steps' own files: those of another version are made anew."""


def key_of(*parts: Any) -> str:
    """A short text that differs where any of the parts, which JSON can hold, does."""
    text = json.dumps([VERSION, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def digest(path: Path) -> str:
    """What tells one file from another without reading all of it: name, size, both ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(65536)
        file.seek(max(0, size - 65536))
        end = file.read(65536)
    return hashlib.sha256(start + end + f"{path.name} {size}".encode()).hexdigest()[:24]


def step(folder: Path, name: str, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a step: what stands in `folder`/NAME.json if its key fits, else made anew.

    Args:
        folder: of the kept steps.
        name: of the step.
        key: of all that it is made from (`key_of`).
        make: the work; its result must be fit for JSON. Its files must be written by it.

    Raises:
        OutputError: the disk says no.
    """
    path = folder / f"{name}.json"
    if path.is_file():
        try:
            kept = read_json(path, error=SceneError, remedy="").data
        except SceneError:
            kept = {}  # a damaged step is done again
        if kept.get("key") == key and isinstance(kept.get("result"), dict):
            return dict(kept["result"])
    path.unlink(missing_ok=True)
    result = json.loads(json_text(make()))
    write_json(path, {"key": key, "result": result})
    return dict(result)
