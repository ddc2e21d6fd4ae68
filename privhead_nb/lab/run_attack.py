"""One attack on one release or reconstruction: what `privhead attack` calls."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from privhead_nb.errors import LabError, no_folder
from privhead_nb.files import atomic_folder, write_json
from privhead_nb.lab import attackers
from privhead_nb.lab.attacks import (
    DEFAULT,
    RECONSTRUCTION,
    REGISTRY,
    RELEASE,
    names,
    unknown_attack,
)
from privhead_nb.lab.embed import AttackRequest, embed_reconstruction, embed_release, guess_only
from privhead_nb.lab.gallery import read_gallery
from privhead_nb.lab.match import match
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.images import write_image
from privhead_nb.training.reconstruction import REPORT


def run_attack(source: Path, request: AttackRequest) -> dict[str, Any]:
    """Run an attack and say what came of it, ready for JSON; `out` gets that and pictures.

    Raises:
        LabError: unknown attack, the wrong kind of source, no gallery, or as the attack says.
        ReleaseError: the release's manifest fails.
        TrainingError: the folder holds no whole reconstruction.
        OutputError: `out` is occupied, or can't be written.
    """
    _check(source, request)
    answer: dict[str, Any] = {"attack": request.attack, "source": str(source)}
    release = _release(source, request.attack)
    if release is not None and REGISTRY[request.attack].pictures_only:
        card, guesses = guess_only(release, request)
    else:
        gallery = read_gallery(request.gallery, request.truth, workers=request.workers)
        found = (
            embed_release(release, gallery, request)
            if release is not None
            else embed_reconstruction(source, gallery, request)
        )
        card, guesses = found.card, found.guesses
        if release is not None and request.attack == DEFAULT and request.ships():
            answer["fit"] = attackers.for_release(release.operator, release.size).fit
        answer |= match(found, gallery, request.truth)
    answer |= {"card": asdict(card)}
    if guesses:
        answer["guesses"] = {
            f"view_{view:04d}": {"misfit": round(g.misfit, 6), "share": round(g.share, 4)}
            for view, g in guesses.items()
        }
    if request.out is not None:
        answer["out"] = str(request.out)
        with atomic_folder(request.out) as aside:  # all of it, or nothing
            for view, guess in guesses.items():
                write_image(aside / f"view_{view:04d}.png", guess.picture.clamp(0, 1).numpy())
            write_json(aside / "attack.json", answer)
    return answer


def kinds(folder: Path) -> list[str]:
    """Which of RELEASE and RECONSTRUCTION a folder holds."""
    marks = {RELEASE: ("release.json", "manifest.json"), RECONSTRUCTION: (REPORT,)}
    return [kind for kind, files in marks.items() if any((folder / f).is_file() for f in files)]


def _check(source: Path, request: AttackRequest) -> None:
    """Refuse what can't work before anything is made."""
    name = request.attack
    if name not in REGISTRY:
        lists = (f"On a {kind}: {', '.join(names(kind))}." for kind in (RELEASE, RECONSTRUCTION))
        raise unknown_attack(name, "--attack", " ".join(lists))
    if not os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises for names too long
        raise LabError(no_folder(source), where=source, remedy="Check the path.")
    is_a = kinds(source)
    if not is_a:
        raise LabError(
            "is neither a release nor a reconstruction",
            where=source,
            remedy="Name a folder that `privhead protect` or `privhead reconstruct` wrote.",
        )
    wanted = REGISTRY[name].source
    if wanted not in is_a:
        command = {RELEASE: "protect", RECONSTRUCTION: "reconstruct"}[wanted]
        raise LabError(
            f"{name} attacks a {wanted}, and this is a {is_a[0]}",
            where=source,
            remedy=f"Name what `privhead {command}` wrote, or use {', '.join(names(is_a[0]))}.",
        )
    if REGISTRY[name].pictures_only and request.out is None:
        raise LabError(
            "this attack guesses pictures, and has nowhere to put them",
            where=name,
            remedy="Name a new folder: --out FOLDER.",
        )
    if REGISTRY[name].pictures_only and request.truth is not None:
        raise LabError("this attack names nobody", where=name, remedy="Leave --truth out.")
    if REGISTRY[name].needs_release and request.release is None:
        raise LabError(
            "the colours are fitted to a release, and none is named",
            where=name,
            remedy="Name the release that the head was made from: --release FOLDER.",
        )


def _release(source: Path, name: str) -> Release | None:
    """The release to attack, where the attack is one on releases."""
    if REGISTRY[name].source != RELEASE:
        return None
    release = Release.load(source)
    if release.operator.downsample == "last" and REGISTRY[name].imitates:
        raise LabError(
            "the release was made small after its operator (downsample last), and this attack "
            "imitates operators on small pictures only",
            where=name,
            remedy="Use no-attack, neutral-views or neutral-palette, or a release made with "
            "--downsample first.",
        )
    return release


def text(answer: dict[str, Any]) -> str:
    """What `run_attack` answers, for a reader."""
    lines = [f"{answer['source']}: {answer['card']['attack']}"]
    if "first" in answer:
        gallery, views = answer["gallery"], answer["views"]
        lines.append(
            f"{views} view{'' if views == 1 else 's'} against {gallery['people']} people "
            f"({gallery['from']}); chance {answer['chance']:.3g}"
        )
        lines += [
            f"  {place}. {row['person']:<12} similarity {row['similarity']:.3f}"
            for place, row in enumerate(answer["first"], 1)
        ]
        lines += dict.fromkeys(_threshold(row) for row in answer["thresholds"])
    if "fit" in answer:
        lines.append(f"The attacker was {answer['fit']}.")
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


def _threshold(row: dict[str, Any]) -> str:
    said = f"Threshold at FMR {row['fmr']:g}: "
    if "pairs" not in row:
        return f"No threshold: {row['why']}."
    if "why" in row:
        return said + f"none ({row['why']})."
    verdict = "the first passes it" if row["passed"] else "the first does not pass it"
    note = f" ({row['note']})" if "note" in row else ""
    return said + f"{row['threshold']:.3f}, {verdict}{note}."
