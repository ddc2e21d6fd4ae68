"""What a release, or a head made of one, gives away: stored rates, and the shipped attackers now.

`audit` gathers; `audit_rates.py` reads what studies found at the release's setting, `audit_page.py`
prints. Nothing is trained here. What can't be known of a release is an abstention with its reason,
never a number.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from privhead_nb.errors import LabError, no_folder
from privhead_nb.files import atomic_folder, write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.attacks import RECONSTRUCTION, REGISTRY, RELEASE
from privhead_nb.lab.attacks.probe import sides
from privhead_nb.lab.audit_live import LIVE, measured
from privhead_nb.lab.audit_page import page
from privhead_nb.lab.audit_rates import Rates, stored_rates
from privhead_nb.lab.embed import AttackRequest
from privhead_nb.lab.gallery import Gallery, read_gallery
from privhead_nb.lab.run_attack import kinds
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
from privhead_nb.reading import read_json
from privhead_nb.training.reconstruction import REPORT, Reconstruction

FORMAT = 1
WEAK = ("no-attack", "no-attack-inverted", "field-renders")
"""Attacks that learn nothing, and lose to those that are made here."""
THREAT_MODEL = {
    "who": "anybody who gets the release: a server, whoever it is passed on to, whoever steals it",
    "knows": "the operator and its settings, which stand in the release, and all of this program; "
    "other people's pictures, protected in the same way, and the codes of their heads",
    "wants": "a name for the person (through shape), or colours and marks to forge a face (beyond "
    "shape)",
    "may": "train networks beforehand, make the head, search a gallery of known people, and hold "
    "two releases against each other",
    "cannot": "see the person's own unprotected face pictures of this release, or reach the device "
    "that holds them",
}
LIMITS = (
    "All rates are of made heads. Of photographs of real people they say nothing in either "
    "direction; docs/privacy-lab.md tells what was measured on real faces.",
    "An attack that fails here proves no safety: a stronger one may exist.",
    "Who is not in the gallery still gets a first place: only a similarity above the threshold "
    "says more.",
)


@dataclass(frozen=True)
class AuditRequest:
    """What `privhead audit` is asked for."""

    gallery: str = "100"  # a count of made people, or a folder of pictures
    truth: str | None = None  # who is shown, if that is known
    release: Path | None = None  # what a reconstruction was made from
    out: Path | None = None  # for audit.html and audit.json
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Report:
    """An audit."""

    facts: dict[str, Any]  # ready for JSON
    pictures: dict[str, Tensor] = field(default_factory=dict)  # caption -> (H, W, 3) in [0, 1]


def audit(source: Path, request: AuditRequest, *, progress: bool = False) -> Report:
    """All that is known of what a release, a folder of `reconstruct`, or one of both gives away.

    Raises:
        LabError: nothing to audit, several of a kind, or no gallery.
        ReleaseError, TrainingError: a release or a reconstruction is damaged.
    """
    at, run = find(source, request.release)
    gallery = read_gallery(request.gallery, request.truth)
    release = None if at is None else Release.load(at)
    made = None if run is None else Reconstruction.load(run)
    operator, size = _setting(release, made, run)
    rates = _rates(release, operator, size)
    there = {RELEASE: release is not None, RECONSTRUCTION: made is not None}
    wanted = [name for name in LIVE if there[REGISTRY[name].source]]
    here: list[dict[str, Any]] = []
    abstained: list[dict[str, str]] = []
    for name in tqdm(wanted, desc="audit", disable=not progress):
        asked = AttackRequest(name, request.gallery, request.truth, release=at, seed=request.seed)
        try:
            here.append(measured(asked, gallery, release, run))
        except LabError as error:
            abstained.append({"attack": name, "why": str(error)})
    facts: dict[str, Any] = {
        "format": FORMAT,
        "generator": GENERATOR_VERSION,
        "source": str(source),
        "release": None if at is None else str(at),
        "reconstruction": None if run is None else str(run),
        "released": released(release, made, operator, size),
        "threat_model": THREAT_MODEL,
        "stored": rates.to_dict(),
        "here": here,
        "abstained": abstained,
        "not_tried": [*rates.missing, *_not_tried(release, run, at)],
        "limits": list(LIMITS),
    }
    pictures = _shown(release)
    facts["best_guess"] = _best_guess(here, gallery, pictures)
    return Report(facts, pictures)


def write_audit(source: Path, request: AuditRequest, *, progress: bool = False) -> dict[str, Any]:
    """What `privhead audit` does: the facts of an audit, written to `out` as JSON and HTML.

    Raises:
        OutputError: `out` is occupied, or can't be written; else as `audit`.
    """
    report = audit(source, request, progress=progress)
    facts = report.facts
    if request.out is not None:
        facts["out"] = str(request.out)
        with atomic_folder(request.out) as aside:  # both, or neither
            write_json(aside / "audit.json", facts)
            (aside / "audit.html").write_text(page(facts, report.pictures), encoding="utf-8")
    return facts


# What there is ------------------------------------------------------------------------------------


def find(source: Path, release: Path | None = None) -> tuple[Path | None, Path | None]:
    """The release and the reconstruction that a source holds, at least one of them.

    Raises:
        LabError: no folder, neither, or several of a kind.
    """
    if not os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises for names too long
        remedy = "Name a release or a reconstruction's folder."
        raise LabError(no_folder(source), where=source, remedy=remedy)
    inside = sorted(p for p in source.iterdir() if p.is_dir() and not p.name.startswith("."))
    places = [source] if kinds(source) else inside
    releases = [p for p in places if RELEASE in kinds(p)]
    runs = [p for p in places if kinds(p) == [RECONSTRUCTION] and not _is_baseline(p)]
    if places == [source] and not releases and not runs:
        raise LabError(
            "is the full-RGB baseline, which saw every picture: nothing of it is protected",
            where=source,
            remedy="Audit the reconstruction that was made from a release.",
        )
    if release is not None:
        if releases and releases != [release]:
            raise LabError(
                f"holds a release itself: {releases[0]}",
                where=source,
                remedy="Leave --release out, or name the reconstruction's folder alone.",
            )
        releases = [release]
    for kind, found in (("releases", releases), ("reconstructions", runs)):
        if len(found) > 1:
            listed = ", ".join(p.name for p in found[:5])
            raise LabError(f"holds several {kind}: {listed}", where=source, remedy="Name one.")
    if not releases and not runs:
        raise LabError(
            "is empty" if not any(source.iterdir()) else "holds no release and no reconstruction",
            where=source,
            remedy="Name a folder that `privhead protect` or `privhead reconstruct` wrote.",
        )
    return (releases[0] if releases else None), (runs[0] if runs else None)


def _is_baseline(folder: Path) -> bool:
    """Whether a run saw every picture, so that nobody promised anything of it."""
    report = read_json(folder / REPORT, error=LabError, remedy="Run `privhead reconstruct` again.")
    return report.get("input") == "scene"


def _setting(
    release: Release | None, made: Reconstruction | None, run: Path | None
) -> tuple[Operator | None, int]:
    """The operator and size of what there is.

    Raises:
        LabError: the reconstruction was made from another release.
    """
    told = (made.report if made is not None else {}).get("operator")
    of_run = (
        (Operator.from_dict(told), int(made.report["size"])) if made is not None and told else None
    )
    if release is None:
        return of_run or (None, 0)
    if of_run not in (None, (release.operator, release.size)):
        raise LabError(
            "was made from another release: its operator or size is not this one's",
            where=run,
            remedy="Audit one of them alone, or name the release that it was made from.",
        )
    return release.operator, release.size


def _rates(release: Release | None, operator: Operator | None, size: int) -> Rates:
    if operator is None:
        why = {"attack": "stored rates", "why": "the report names no operator", "command": ""}
        return Rates(missing=(why,))
    neutral = release is None or len(release.neutral) > 0
    moduli = release is None or len(release.sensitive) > 0
    return stored_rates(operator, size, neutral=neutral, moduli=moduli)


def released(
    release: Release | None, made: Reconstruction | None, operator: Operator | None, size: int
) -> dict[str, Any]:
    """Counts and settings of what there is, ready for JSON."""
    found: dict[str, Any] = {"size": size, "operator": operator and operator.to_dict()}
    if release is not None:
        found |= {
            "neutral_views": len(release.neutral),
            "protected_views": len(release.sensitive),
            "masks": release.masks_released,
            "unit": release.unit,
            "fingerprint": release.fingerprint,
        }
    if made is not None:
        found["head"] = {
            "triangles": len(made.mesh.faces),
            "profile": made.settings.name,
            "field": "radiance and shape",
            "unit": made.report.get("unit"),
        }
    return found


# What is shown, and what was not tried ------------------------------------------------------------


def _shown(release: Release | None) -> dict[str, Tensor]:
    """What went out: the protected view nearest to the front, and a neutral view."""
    pictures: dict[str, Tensor] = {}
    if release is None:
        return pictures
    if len(release.sensitive):
        row = int(sides(release).abs().argmin())
        grey = (release.moduli[row] / (0.25 * release.operator.peak)).clamp(0, 1)
        pictures["released: a protected view"] = grey[..., None].expand(*grey.shape, 3)
    if len(release.neutral):
        pictures["released: a neutral view"] = release.neutral_images[len(release.neutral) // 2]
    return pictures


def _best_guess(
    here: list[dict[str, Any]], gallery: Gallery, pictures: dict[str, Tensor]
) -> dict[str, Any] | None:
    """The gallery's own picture of whom the first attack names first; None where none names any."""
    if not here:
        return None
    name, first = here[0]["attack"], here[0]["first"][0]
    row = int((gallery.enrolled.identity == gallery.names.index(first["person"])).nonzero()[0])
    said = (
        f"person {first['person']} of the gallery, the most alike to {name}: the gallery's own "
        "picture of that person, not a picture of whom the release shows"
    )
    pictures[f"best guess: {said}"] = gallery.enrolled.rgb()[row]
    return {"attack": name, **first, "label": said}


def _not_tried(release: Release | None, run: Path | None, at: Path | None) -> list[dict[str, str]]:
    """What is left out here, why, and the command that tries it."""
    left: list[tuple[list[str], str, str]] = []
    sources = {RELEASE: at, RECONSTRUCTION: run}
    for kind, source in sources.items():
        mine = {n: e for n, e in REGISTRY.items() if e.source == kind and not e.pictures_only}
        if source is None:
            made = "protect" if kind == RELEASE else "reconstruct"
            why = f"there is no {kind} here; `privhead {made}` writes one"
            left.append(([n for n in mine if n in LIVE], why, ""))
            continue
        command = f"privhead attack {source} --attack"
        others = [n for n in mine if n not in LIVE]
        weak = [n for n in others if n in WEAK]
        fitted = [n for n in others if mine[n].needs_release]
        learning = [n for n in others if n not in (*weak, *fitted)]
        left.append((learning, "they learn first, for minutes", f"{command} NAME"))
        left.append((weak, "weaker than one that was made", f"{command} NAME"))
        for name in fitted:
            why = "takes a minute, and skins of other people"
            left.append(([name], why, f"{command} {name} --release {at or 'RELEASE'}"))
    why = "they know no moduli; how they take made heads stands in docs/recognisers.md"
    left.append((["published recognisers"], why, ""))
    if release is not None and not len(release.neutral):
        left.append((["neutral views"], "the release has none", ""))
    return [
        {"attack": ", ".join(names), "why": why} | ({"command": command} if command else {})
        for names, why, command in left
        if names
    ]
