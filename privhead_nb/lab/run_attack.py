"""One attack on one release or reconstruction: what `privhead attack` calls."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from privhead_nb.errors import LabError
from privhead_nb.files import atomic_folder, write_json
from privhead_nb.lab import attacks_on_reconstructions, attacks_on_releases
from privhead_nb.lab.attack_names import (
    DEFAULT,
    ON_RECONSTRUCTIONS,
    ON_RELEASES,
    PICTURES_ONLY,
)
from privhead_nb.lab.attacks_on_releases import How
from privhead_nb.lab.known_people import known_people
from privhead_nb.lab.naming import Guess, named
from privhead_nb.privacy.released import Release
from privhead_nb.reading import is_folder
from privhead_nb.scenes.images import write_image


@dataclass(frozen=True)
class Asked:
    """What is wanted.

    Args:
        attack: a name of `attack_names`.
        gallery: a count of made people, or a folder of pictures.
        truth: who is shown, if that is known.
        out: folder for attack.json and guessed pictures.
        release: beside a reconstruction, where the attack needs it.
        how: people to learn from, seed, and so on.
    """

    attack: str = DEFAULT
    gallery: str = "100"
    truth: str | None = None
    out: Path | None = None
    release: Path | None = None
    how: How = field(default_factory=How)


def run_attack(source: Path, asked: Asked) -> dict[str, Any]:
    """Run an attack and say what came of it, ready for JSON; `--out` gets that and pictures.

    Raises:
        LabError: unknown attack, the wrong kind of source, no gallery, or as the attack says.
        ReleaseError: the release's manifest fails.
        TrainingError: the folder holds no whole reconstruction.
        OutputError: `out` is occupied, or can't be written.
    """
    name = asked.attack
    _check(source, asked)
    release = Release.load(source) if name in ON_RELEASES else None
    answer: dict[str, Any] = {"attack": name, "source": str(source)}
    if name in PICTURES_ONLY:
        assert release is not None
        card, guesses = attacks_on_releases.invert(release, asked.how)
    else:
        known = known_people(asked.gallery, asked.truth, workers=asked.how.workers)
        held = (
            attacks_on_releases.hold(name, release, known, asked.how)
            if release is not None
            else attacks_on_reconstructions.hold(name, source, known, asked.how, asked.release)
        )
        card, guesses = held.card, held.guesses
        answer |= named(held, known, asked.truth)
    answer |= {"card": asdict(card)}
    if guesses:
        answer["guesses"] = {
            f"view_{view:04d}": {"misfit": round(g.misfit, 6), "share": round(g.share, 4)}
            for view, g in guesses.items()
        }
    if asked.out is not None:
        answer["out"] = str(asked.out)
        _write(asked.out, answer, guesses)
    return answer


def text(answer: dict[str, Any]) -> str:
    """The same for a reader."""
    lines = [f"{answer['source']}: {answer['card']['attack']}"]
    if "first" in answer:
        gallery = answer["gallery"]
        lines.append(
            f"{_count(answer['views'], 'view')} against {gallery['people']} people "
            f"({gallery['from']}); chance {answer['chance']:.3g}"
        )
        lines += [
            f"  {place}. {one['person']:<12} similarity {one['similarity']:.3f}"
            for place, one in enumerate(answer["first"], 1)
        ]
        lines += dict.fromkeys(_threshold(one) for one in answer["thresholds"])
    if "truth" in answer:
        true = answer["truth"]
        lines.append(
            f"The true person, {true['person']}, has rank {true['rank']:g} "
            f"(similarity {true['similarity']:.3f})."
        )
    for view, guess in answer.get("guesses", {}).items():
        lines.append(
            f"  {view}: the guess's modulus is off by {guess['misfit']:.4f} a pixel, "
            f"{guess['share']:.0%} of the mean modulus"
        )
    card = answer["card"]
    lines += [f"  {key:<10}{card[key]}" for key in ("knowledge", "data", "cost", "seed")]
    if "warning" in answer:
        lines.append(answer["warning"])
    if "guesses" in answer:
        lines.append("A small misfit alone proves nothing: many pictures share one modulus.")
    if "out" in answer:
        lines.append(f"{answer['out']}: attack.json" + (", PNG" if "guesses" in answer else ""))
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _threshold(one: dict[str, Any]) -> str:
    said = f"Threshold at FMR {one['fmr']:g}: "
    if "pairs" not in one:
        return f"No threshold: {one['why']}."
    if "why" in one:
        return said + f"none ({one['why']})."
    verdict = "the first passes it" if one["passed"] else "the first does not pass it"
    note = f" ({one['note']})" if "note" in one else ""
    return said + f"{one['threshold']:.3f}, {verdict}{note}."


def _check(source: Path, asked: Asked) -> None:
    """Refuse what can't work before anything is made."""
    name = asked.attack
    if name not in ON_RELEASES and name not in ON_RECONSTRUCTIONS:
        raise LabError(
            f"there is no attack {name!r}",
            where="--attack",
            remedy=f"On a release: {', '.join(ON_RELEASES)}. On a reconstruction: "
            f"{', '.join(ON_RECONSTRUCTIONS)}.",
        )
    if not is_folder(source):
        raise LabError("there is no such folder", where=source, remedy="Check the path.")
    release = (source / "release.json").is_file() or (source / "manifest.json").is_file()
    made = (source / "report.json").is_file()
    if not release and not made:
        raise LabError(
            "is neither a release nor a reconstruction",
            where=source,
            remedy="Name a folder that `privhead protect` or `privhead reconstruct` wrote.",
        )
    if name in ON_RELEASES and not release:
        raise LabError(
            f"{name} attacks a release, and this is a reconstruction",
            where=source,
            remedy=f"Name a release, or use {', '.join(ON_RECONSTRUCTIONS)}.",
        )
    if name in ON_RECONSTRUCTIONS and not made:
        raise LabError(
            f"{name} attacks a reconstruction, and this is a release",
            where=source,
            remedy=f"Name what `privhead reconstruct` wrote, or use {', '.join(ON_RELEASES)}.",
        )
    if name in PICTURES_ONLY and asked.out is None:
        raise LabError(
            "this attack guesses pictures, and has nowhere to put them",
            where=name,
            remedy="Name a new folder: --out FOLDER.",
        )
    if name in PICTURES_ONLY and asked.truth is not None:
        raise LabError("this attack names nobody", where=name, remedy="Leave --truth out.")


def _write(out: Path, answer: dict[str, Any], guesses: dict[int, Guess]) -> None:
    """All of it, or nothing."""
    with atomic_folder(out) as aside:
        for view, guess in guesses.items():
            write_image(aside / f"view_{view:04d}.png", guess.picture.clamp(0, 1).numpy())
        write_json(aside / "attack.json", answer)
