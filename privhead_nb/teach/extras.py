"""What the notebooks' panels and turning pictures need beside the package."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from privhead_nb.errors import PrivheadError


class MissingExtraError(PrivheadError):
    """A library of the notebooks is not installed."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, not the way to it."""
        return [str(self)]


def notebook_library(name: str) -> Any:
    """The module `name` of a library that only notebooks need.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{name.split('.')[0]} is not installed",
            where="notebook",
            remedy="pip install 'privhead-nb[notebooks]'",
        ) from None
