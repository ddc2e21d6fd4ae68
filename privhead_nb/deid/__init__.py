"""Systems that give a face another identity, to compare the package's own method with.

Each is a `Deidentifier`: pictures in, pictures out, of made portraits of 64 x 64 pixels framed as
a release's views. Some are small versions of published systems, built and trained here on made
people, with every equation in its place; the others are the usual baselines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from privhead_nb.errors import LabError, check_choice

if TYPE_CHECKING:  # the command line asks for NAMES, and must not wait for torch
    import torch
    from torch import Tensor

TRAINED = ("g2face", "ideudemon", "aware3d")
NAMES = ("blur", "pixelate", "mask", "k-same", "modulus", *TRAINED)


class Deidentifier(Protocol):
    """Pictures in, pictures out; a value without state that a call changes."""

    @property
    def name(self) -> str:
        """One of NAMES."""

    @property
    def strengths(self) -> tuple[float, ...]:
        """Those that the arena measures, from the weakest to the strongest."""

    @property
    def default(self) -> float:
        """One of `strengths`: the paper's own."""

    def __call__(
        self, pictures: Tensor, strength: float, random: torch.Generator, *, group: bool = False
    ) -> Tensor:
        """De-identified pictures (N, 64, 64, 3), sRGB in [0, 1], of as many.

        Args:
            pictures: made portraits, framed as a release's views.
            strength: of the system's own kind, within the range of `strengths`.
            random: draws whatever the system draws.
            group: all pictures show one person, who is to become one other person.

        Raises:
            LabError: pictures of another shape, a strength that the system doesn't know.
        """


def deidentifier(name: str) -> Deidentifier:
    """One of NAMES, with its weights loaded.

    Raises:
        LabError: no such system, or its weights are missing or damaged.
    """
    check_choice("method", name, NAMES, where="deidentify", error=LabError)
    module = name if name in TRAINED else "baselines"
    made: Deidentifier = import_module(f"privhead_nb.deid.{module}").deidentifier(name)
    return made


def check_pictures(pictures: Tensor, name: str) -> None:
    """Refuse what is no stack of portraits (N, 64, 64, 3) in [0, 1].

    Raises:
        LabError: it is something else.
    """
    if pictures.dim() != 4 or tuple(pictures.shape[1:]) != (64, 64, 3):
        raise LabError(
            f"pictures of shape {tuple(pictures.shape)}, not (N, 64, 64, 3)",
            where=name,
            remedy="Give square portraits of 64 pixels, as a release's views are.",
        )
    low, high = (float(edge) for edge in pictures.aminmax()) if len(pictures) else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # NaN too
        raise LabError(f"colours from {low:g} to {high:g}", where=name, remedy="Give 0 to 1.")


def check_strength(strength: float, strengths: tuple[float, ...], name: str) -> None:
    """Refuse a strength outside of the range that a system knows.

    Raises:
        LabError: it is outside, or NaN.
    """
    low, high = min(strengths), max(strengths)
    if not low <= strength <= high:
        raise LabError(
            f"strength {strength:g}", where=name, remedy=f"Give a number from {low:g} to {high:g}."
        )
