"""What `privhead attack` can do, by name. Nothing heavy is imported here: `--help` reads it."""

from __future__ import annotations

DEFAULT = "parrot-classical"

ON_RELEASES = {
    "parrot-classical": "learned on other people's protected pictures, HOG + LDA; quickest",
    "parrot-cnn": "the same with a network; minutes",
    "parrot-two-stems": "the same with two networks, so that the gallery is not protected",
    "inversion": "a U-Net paints colours, a recogniser looks at them; --out keeps the guesses",
    "decoder": "portraits whose modulus is the released one, a recogniser looks; --out too",
    "shown": "no attack: a recogniser of clean faces looks at the moduli",
    "shown-inverted": "the same, dark lines on white",
    "neutral-views": "hair, ears and skin of the neutral views, which no operator protects",
    "neutral-palette": "the same by colours alone; seconds",
    "prior-free": "names nobody: guesses a picture from its modulus alone; needs --out",
}
"""Attacks on a release folder; the order is that of the help."""

ON_RECONSTRUCTIONS = {
    "mesh-matching": "the mesh against true scans of known people, pixel by pixel",
    "mesh-network": "the same with a network that learned on roughened scans",
    "mesh-two-stems": "the mesh against pictures of known people",
    "field-renders": "a recogniser of clean faces looks at renders of the field",
    "field-colour-blind": "the same by a network that learned to see through wrong colours",
    "radiance-refit": "skins of others fitted on the mesh to the moduli; needs --release",
}
"""Attacks on a reconstruction's folder."""

PICTURES_ONLY = ("prior-free",)
"""Attacks that name nobody."""
OF_SCANS = ("mesh-matching", "mesh-network")
"""Attacks whose gallery holds shapes, not pictures."""


def listed() -> str:
    """A paragraph for each attack, and two headings."""
    parts = ["On a RELEASE:", *_lines(ON_RELEASES)]
    return "\n\n".join([*parts, "On a RECONSTRUCTION:", *_lines(ON_RECONSTRUCTIONS)])


def _lines(attacks: dict[str, str]) -> list[str]:
    return [f"{name}: {what}" for name, what in attacks.items()]
