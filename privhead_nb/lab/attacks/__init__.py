"""Attacks, one a file, and the registry of those that `privhead attack` runs.

What comes out is a guess at the pictures, or, of an `Attack`, embeddings that are held against a
gallery of known people. Nothing heavy is imported here: `--help` reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from privhead_nb.errors import LabError

if TYPE_CHECKING:
    from torch import Tensor

    from privhead_nb.lab.recognisers.network import FaceNetwork
    from privhead_nb.privacy.operators import Operator


@dataclass(frozen=True)
class Card:
    """What an attack needed: to be printed beside its score."""

    attack: str  # its name
    knowledge: str  # what it knows apart from the release
    data: str  # pictures of other people that it learned from
    cost: str  # what it computed
    seed: int = 0  # of all that is random in it


@dataclass(frozen=True, eq=False)
class Attack:
    """A way to say who is in a source, given a gallery of known people."""

    card: Card  # what it needed
    # released moduli (N, H, H), or pictures (N, H, H, 3), or scans of meshes (N, 3, S, S, 4), as
    # the attack says -> (N, D) embeddings.
    probe: Callable[[Tensor], Tensor]
    # colours (N, H, H, 3) or scans of known people -> (N, D) embeddings of that space.
    enrol: Callable[[Tensor], Tensor]
    # (N, H, H) -> (N, H, H, 3) guessed colours, where the attack makes pictures.
    picture: Callable[[Tensor], Tensor] | None = None
    # the protection that it was made for, on pictures of `size` pixels; None where what it looks at
    # is not protected.
    operator: Operator | None = None
    size: int = 64
    networks: tuple[FaceNetwork, ...] = ()  # what it learned, where that is networks


RELEASE, RECONSTRUCTION = "release", "reconstruction"


@dataclass(frozen=True)
class Entry:
    """An attack of the registry."""

    source: str  # what it attacks, RELEASE or RECONSTRUCTION
    help: str  # what it does, in a line
    imitates: bool = False  # the release's operator, on small pictures of other people
    pictures_only: bool = False  # it guesses pictures and names nobody
    scans: bool = False  # its gallery holds shapes, not pictures
    needs_release: bool = False  # also what the reconstruction was made from
    trained: bool = False  # ships trained: it learns anew only with --train or --people


DEFAULT = "informed"
REGISTRY = {
    "informed": Entry(
        RELEASE,
        "a network that learned other people's protected pictures and the codes of their heads; "
        "the strongest, and it ships trained: seconds",
        imitates=True,
        trained=True,
    ),
    "parrot-classical": Entry(
        RELEASE, "learned on other people's protected pictures, HOG + LDA", imitates=True
    ),
    "parrot-cnn": Entry(RELEASE, "the same with a network; minutes", imitates=True),
    "parrot-two-stems": Entry(
        RELEASE,
        "the same with two networks, so that the gallery is not protected",
        imitates=True,
    ),
    "inversion": Entry(
        RELEASE,
        "a U-Net paints colours, a recogniser looks at them; --out keeps the guesses",
        imitates=True,
    ),
    "decoder": Entry(
        RELEASE,
        "portraits whose modulus is the released one, a recogniser looks; --out too",
        imitates=True,
    ),
    "no-attack": Entry(
        RELEASE, "the baseline: a recogniser of clean faces looks at the moduli as they are"
    ),
    "no-attack-inverted": Entry(RELEASE, "the same, dark lines on white"),
    "neutral-views": Entry(
        RELEASE, "hair, ears and skin of the neutral views, which no operator protects"
    ),
    "neutral-palette": Entry(
        RELEASE, "the same by colours alone; stronger, and it ships trained", trained=True
    ),
    "prior-free": Entry(
        RELEASE,
        "names nobody: guesses a picture from its modulus alone; needs --out",
        imitates=True,
        pictures_only=True,
    ),
    "mesh-matching": Entry(
        RECONSTRUCTION, "the mesh against true scans of known people, pixel by pixel", scans=True
    ),
    "mesh-network": Entry(
        RECONSTRUCTION,
        "the same with a network that learned on roughened scans; it ships trained",
        scans=True,
        trained=True,
    ),
    "mesh-two-stems": Entry(RECONSTRUCTION, "the mesh against pictures of known people"),
    "field-renders": Entry(
        RECONSTRUCTION, "a recogniser of clean faces looks at renders of the field"
    ),
    "field-renders-hog": Entry(
        RECONSTRUCTION, "the same by one of edges, which wrong colours fool less"
    ),
    "field-colour-blind": Entry(
        RECONSTRUCTION,
        "the same by a network that learned to see through wrong colours; it ships trained",
        trained=True,
    ),
    "radiance-refit": Entry(
        RECONSTRUCTION,
        "skins of others fitted on the mesh to the moduli; needs --release",
        needs_release=True,
    ),
}
"""Name on the command line -> what the attack needs, in the order of the help."""
RENAMED = {
    "shown": "no-attack",
    "shown-inverted": "no-attack-inverted",
    "shown-hog": "no-attack-hog",
}
"""Old name -> the one that took its place."""


def names(source: str) -> list[str]:
    """Attacks on RELEASE or RECONSTRUCTION."""
    return [name for name, entry in REGISTRY.items() if entry.source == source]


def listed() -> str:
    """A paragraph for each attack, and two headings."""
    parts = []
    for source in (RELEASE, RECONSTRUCTION):
        parts.append(f"On a {source.upper()}:")
        parts += [f"{name}: {REGISTRY[name].help}" for name in names(source)]
    return "\n\n".join(parts)


def unknown_attack(name: str, where: str, remedy: str) -> LabError:
    """The error for a name that no attack has; one that was renamed is told its new name."""
    if name in RENAMED:
        remedy = f"It is called {RENAMED[name]} now."
    return LabError(f"there is no attack {name!r}", where=where, remedy=remedy)
