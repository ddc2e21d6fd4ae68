"""Lesson 00's panel: choose a view, and see what stands on which side of the wall."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privhead_nb.privacy.release import Release
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.scene import Scene, load_scene
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson00 import start_plots

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

TWIN: list[dict[str, Any]] = [
    {"view": view, "side": side} for view in (7, 24) for side in start_plots.SIDES
]


def picture(view: int, side: str) -> View:
    """Where the camera of a view stands, and what one side of the wall has of it."""
    return start_plots.view_of(_scene(), _release(), view, side)


def controls() -> dict[str, Any]:
    """The view, and whose eyes we look through."""
    return {
        "view": widgets.whole("view", 0, len(_scene().cameras) - 1, 1, 7),
        "side": widgets.choice("seen by", start_plots.SIDES),
    }


@cache
def _scene() -> Scene:
    return load_scene(SAMPLES / "scene")


@cache
def _release() -> Release:
    return Release.load(SAMPLES / "release")
