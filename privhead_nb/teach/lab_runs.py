"""Stored studies of the privacy lab for lessons 6, 9 and 10: attacks on pictures, tables, swaps."""

from __future__ import annotations

from typing import Any

from privhead_nb.lab.faces import VARIANTS
from privhead_nb.lab.settings import SETTINGS
from privhead_nb.lab.table2 import IMAGE_CONDITIONS
from privhead_nb.teach import results
from privhead_nb.teach.results import Interval

WORST = "worst of all"
NAMES = {
    "no-attack": "clean network, shown",
    "no-attack-inverted": "clean network, inverted",
    "no-attack-hog": "hog_lda, shown",
    "parrot-classical": "parrot, classical",
    "parrot-cnn": "parrot, network",
    "parrot-two-stems": "parrot, two networks",
    "parrot-informed": "parrot, informed",
    "inversion": "learned inversion",
}
"""Attacks in words, in the order in which a menu has them."""

TAKEN = {"one picture": "rank1", "eight together": "release"}
"""How many pictures of a person are asked about, and what the study calls the rate."""


def _runs() -> dict[str, Any]:
    """ "setting.attack" -> what was stored of it."""
    found: dict[str, Any] = results.table("picture_attacks")["results"]
    return found


def people() -> int:
    """In the study's gallery: one over chance."""
    return int(results.table("picture_attacks")["size"]["people"])


def settings() -> list[str]:
    """The study's settings, in the lab's order."""
    found = {run["setting"] for run in _runs().values()}
    return [name for name in SETTINGS if name in found]


def attacks(setting: str | None = None) -> list[str]:
    """The attacks that were run at a setting; without one, at one setting at least."""
    found = {run["attack"] for run in _runs().values() if setting in (None, run["setting"])}
    return [name for name in NAMES if name in found]


def rate(
    setting: str, attack: str, variant: str = VARIANTS[0], taken: str = "one picture"
) -> Interval:
    """Rank-1 of an attack at a setting, or of the strongest there.

    Args:
        setting: one of `settings`.
        attack: one of `attacks`, or WORST.
        variant: of the pictures, one of VARIANTS.
        taken: one of TAKEN.
    """
    if attack == WORST:
        attack = strongest(setting, variant, taken)
    run = _runs().get(f"{setting}.{attack}")
    if run is None:
        return Interval(float("nan"), why="not run at this setting")
    return results.rate(run[variant][TAKEN[taken]])


def strongest(setting: str, variant: str = VARIANTS[0], taken: str = "one picture") -> str:
    """The attack with the highest rank-1 at a setting; arguments as for `rate`."""
    found = {name: rate(setting, name, variant, taken) for name in attacks(setting)}
    return max(found, key=lambda name: found[name].value if found[name].known else -1.0)


def card(setting: str, attack: str) -> dict[str, Any] | None:
    """What an attack at a setting knew, learned from and cost; None where it was not run."""
    run = _runs().get(f"{setting}.{attack}")
    return None if run is None else run["card"]


def table2(measure: str = "verified") -> dict[str, dict[str, Interval]]:
    """The lab's Table 2: image condition -> recogniser -> rate.

    Args:
        measure: "verified", "verified_strict", "false" or "rank1".
    """
    found = results.table("tables")["table2"]["recognisers"]
    return {
        condition: {name: results.rate(own[condition][measure]) for name, own in found.items()}
        for condition in IMAGE_CONDITIONS
    }


def swaps(tool: str, measure: str = "as_target") -> dict[str, dict[str, Interval]]:
    """Swaps by a tool: condition of the target's pictures -> recogniser -> rate.

    Args:
        tool: "pair", "prior, injected", "prior, adapted"; or ", colours of the actor" behind it.
        measure: "as_target", "as_actor", "nearer", "to_target" or "to_actor".
    """
    found = results.table("tables")["face_swap"]["tools"][tool]
    return {
        condition: {name: results.rate(score[measure]) for name, score in own.items()}
        for condition, own in found.items()
    }
