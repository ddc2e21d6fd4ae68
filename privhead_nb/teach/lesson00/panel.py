"""Lesson 00's panel: choose a view, and see what stands on which side of the wall."""

from __future__ import annotations

from functools import cache
from typing import Any

from privhead_nb.privacy.release import Release
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson00 import figures

TWIN: list[dict[str, Any]] = [
    {"view": view, "side": side} for view in (7, 24) for side in figures.SIDES
]


def picture(view: int, side: str) -> widgets.View:
    """Where the camera of a view stands, and what one side of the wall has of it."""
    return figures.view_of(*_head(), view, side)


def controls() -> dict[str, Any]:
    """The view, and whose eyes we look through."""
    return {
        "view": widgets.whole("view", 0, len(_head()[0].cameras) - 1, 1, 7),
        "side": widgets.choice("seen by", figures.SIDES),
    }


@cache
def _head() -> tuple[Scene, Release]:
    return load_scene(SAMPLES / "scene"), Release.load(SAMPLES / "release")
