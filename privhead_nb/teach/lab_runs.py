"""Stored studies of the privacy lab for lessons 6, 9 and 10: attacks on pictures, tables, swaps."""

from __future__ import annotations

from typing import Any

from privhead_nb.lab import assessment
from privhead_nb.lab.faces import VARIANTS
from privhead_nb.lab.privacy_study import fnmr as missed_pairs
from privhead_nb.lab.settings import DEFAULT, SETTINGS
from privhead_nb.lab.settings import setting as setting_of
from privhead_nb.lab.table2 import IMAGE_CONDITIONS
from privhead_nb.resources import RESULTS
from privhead_nb.teach import results
from privhead_nb.teach.results import Interval

WORST = "worst of all"
NAMES = {
    "no-attack": "clean network, no-attack",
    "no-attack-inverted": "clean network, inverted",
    "no-attack-hog": "hog_lda, no-attack",
    "parrot-classical": "parrot, classical",
    "parrot-cnn": "parrot, network",
    "parrot-two-stems": "parrot, two networks",
    "parrot-informed": "parrot, informed",
    "inversion": "learned inversion",
    "decoder": "learned decoder",
}
"""Attacks in words, in the order in which a menu has them."""

TAKEN = {"one picture": "rank1", "eight together": "release"}
"""How many pictures of a person are asked about, and what the study calls the rate."""

UNTRIED = Interval(float("nan"), why="not run at this setting")


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
    found = _of(setting, attack, variant, taken)
    return UNTRIED if found is None else results.rate(found[TAKEN[taken]])


def fnmr(setting: str, attack: str, variant: str = VARIANTS[0]) -> Interval:
    """FNMR at FMR 1e-3 of an attack on single pictures; arguments as for `rate`."""
    found = _of(setting, attack, variant)
    return UNTRIED if found is None else results.rate(missed_pairs(found) or found["tar"])


def _of(setting: str, attack: str, variant: str, taken: str = "one picture") -> Any:
    """What was stored of an attack, or of the strongest one, on a variant; None if not run."""
    name = strongest(setting, variant, taken) if attack == WORST else attack
    run = _runs().get(f"{setting}.{name}")
    return run and run[variant]


def everything(setting: str) -> tuple[str, Interval]:
    """The strongest attack measured on all that a setting gives away, and its rank-1."""
    worst = assessment.assess(*setting_of(setting)).worst
    if worst is None:
        return "", Interval(float("nan"), why="no attack was run")
    return worst.attack, Interval(worst.rank1, worst.low, worst.high, worst.people)


def marked(setting: str) -> str:
    """ "*" where the attack that is strongest at the paper's default was not run, else ""."""
    return "" if strongest(DEFAULT) in attacks(setting) else "*"


def people_from() -> int:
    """The first of those who were tried: 40,000 where recipes were chosen on them, 50,000 fresh."""
    return int(results.table("privacy")["people_from"])


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


def beyond_shape() -> dict[str, dict[str, Interval]]:
    """Pictures -> what eight of them tell beyond shape: among twins, and of the face's colours."""
    return {
        name: {
            "told among twins": results.rate(found["together"]["rank1"]),
            "colour error removed": results.rate(found["albedo"]["removed"]),
        }
        for name, found in results.table("beyond_shape")["parts"].items()
        if "albedo" in found and "together" in found
    }


def real_faces() -> dict[str, dict[str, Interval]]:
    """Setting -> rates of a linear attacker on strangers' photographs; empty until it is run."""
    if not (RESULTS / "real_faces.json").is_file():
        return {}
    found: dict[str, dict[str, Interval]] = {}
    for name, run in results.table("real_faces")["linear"].items():
        rates = {
            "rank-1": run["strangers"]["rank1"],
            "FNMR at FMR 1 %": run["strangers"]["fnmr_at_fmr_0.01"],
            "FPIR": run["open"]["fpir"],
            "FNIR": run["open"]["fnir"],
        }
        found[name] = {
            what: results.rate(one[:3] if isinstance(one, list) else one)
            for what, one in rates.items()
        }
    return found
