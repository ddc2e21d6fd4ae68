"""The shipped attackers on one release, now: whom they name, how well they do there, and a link.

A rate can't be measured on one release. So beside each answer stands how the same attacker does on
made people whose pictures are protected in the same way, here and now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab import attackers, protocol
from privhead_nb.lab.attacks import REGISTRY, RELEASE, probe
from privhead_nb.lab.audit_rates import BEYOND, SHAPE
from privhead_nb.lab.embed import AttackRequest, embed_reconstruction, embed_release
from privhead_nb.lab.framing import resized
from privhead_nb.lab.gallery import Gallery
from privhead_nb.lab.match import match
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.privacy.release import Release

FMR = 1e-3
RESAMPLES = 300  # of an interval that is measured here
INFORMED = "informed"
LIVE = {
    INFORMED: SHAPE,
    "neutral-palette": BEYOND,
    "mesh-network": SHAPE,
    "field-renders-hog": BEYOND,
    "field-colour-blind": BEYOND,
}
"""The attacks that are made, and which leak each shows."""
KNOWN = "What is known of other releases stands in docs/audit.md."
ZOOM = (0.5, 2.0)
"""How much wider or narrower than a portrait a release's picture may be at the head."""


def check_kind(release: Release) -> None:
    """Raise LabError for a release unlike all that the shipped attackers learned."""
    why = ""
    if release.unit != "mm":
        why = (
            f"its unit is {release.unit}, so nobody knows how large the head is in its pictures, "
            "and the attackers learned made heads in mm"
        )
    elif min(release.background) < 0.9:
        why = "its background is not white, as in all pictures that the attackers learned"
    else:
        zoom = float(probe.widths(release, range(len(release.cameras))).median())
        if not ZOOM[0] <= zoom <= ZOOM[1]:
            why = (
                f"its pictures are {zoom:.2g} times as wide at the head as those that the "
                "attackers learned"
            )
    if why:
        raise LabError(f"abstains: {why}", where="release", remedy=KNOWN)


def measured(
    request: AttackRequest, gallery: Gallery, release: Release | None, run: Path | None
) -> dict[str, Any]:
    """Whom a shipped attacker, one of LIVE, names, and how much that means, ready for JSON.

    Raises:
        LabError: it abstains, and why.
    """
    name = request.attack
    row: dict[str, Any] = {"attack": name, "leak": LIVE[name]}
    if REGISTRY[name].source == RELEASE:
        assert release is not None
        check_kind(release)
        if name == INFORMED:
            row |= informed(release, gallery, request.seed)
        found = embed_release(release, gallery, request)
    else:
        assert run is not None
        found = embed_reconstruction(run, gallery, request)
    named = match(found, gallery, request.truth)
    named.pop("warning")  # it stands in the report once
    return row | named | {"card": asdict(found.card)}


def informed(release: Release, named: Gallery, seed: int = 0) -> dict[str, Any]:
    """How well the attacker on moduli does at a release's operator and size, and its link test.

    It is tried on the made people that ship, whoever may be `named`.

    Raises:
        LabError: it abstains, since it knows nothing of such moduli.
    """
    trained, known = attackers.for_release(release.operator, release.size), shipped_gallery()
    random = torch.Generator().manual_seed(7919 + seed)  # the owner's noise, not the attacker's
    views, fronts = known.views(), known.frontals()
    protected = release.operator.protect(resized(views.rgb(), release.size), random)
    enrolled = resized(named.enrolled.rgb(), release.size)
    looked_at = {
        "release does": probe.framed(release, probe.views_in_front(release)),
        "gallery's pictures do": release.operator.protect(enrolled, random),
    }
    for what, moduli in looked_at.items():
        if unlike := attackers.unlike_portraits(moduli, protected):
            raise LabError(
                f"abstains: the {what} not look like heads as it learned them; {unlike}",
                where=INFORMED,
                remedy="No face, another framing or something behind it would explain that.",
            )
    gallery = probe.in_batches(trained.attack.enrol, fronts.rgb())
    vectors = probe.in_batches(trained.attack.probe, protected)
    who, each = probe.fused_each(vectors, views.identity)
    similar = protocol.compare(each, who, gallery, fronts.identity)
    rank1 = protocol.identification(similar, ranks=(1,), resamples=RESAMPLES).rank[1]
    pairs = protocol.verification(similar, fars=(FMR,), resamples=RESAMPLES)
    chance = 1 / len(fronts)
    if not trained.exact and rank1.low <= 2 * chance:
        raise LabError(
            f"abstains: no shipped attacker knows this operator; it names {100 * rank1.value:.0f} "
            f"%, and a guess {100 * chance:.0f} %, of made people whose pictures were protected in "
            "the same way",
            where=INFORMED,
            remedy="Train one: privhead attack RELEASE --train. A failure proves no safety.",
        )
    return {
        "fit": trained.fit,
        "exact": trained.exact,
        "control": {
            "people": len(who),
            "among": len(fronts),
            "views": len(views) // len(who),
            "rank1": rank1.stored(),
            "fnmr": pairs.fnmr_at_fmr[FMR].stored(),
            "fmr": FMR,
        },
        "link": link(trained.attack.probe, release, gallery, vectors, views.identity),
    }


def link(
    embed: Callable[[Tensor], Tensor],
    release: Release,
    gallery: Tensor,
    vectors: Tensor,
    identity: Tensor,
) -> dict[str, Any]:
    """Is one half of a release's views recognised by the other half, as a database would do?

    Args:
        embed: the attacker's `probe`.
        release: its views near the front are dealt out in turn, from left to right.
        gallery: (G, D) of made people, among whom the second half is hidden.
        vectors, identity: (N, D) of protected pictures of made people, and whose they are; the
            threshold comes from pairs of different ones.
    """
    yaw = probe.sides(release)
    rows = sorted(probe.views_in_front(release), key=lambda row: float(yaw[row]))
    if len(rows) < 2:
        return {"why": "one protected view from the front can't be split in two"}
    seen = probe.in_batches(embed, probe.framed(release, rows))
    one, other = probe.fused(seen[0::2]), probe.fused(seen[1::2])
    people = torch.unique(identity)
    halves = [[vectors[identity == i][k::2] for i in people] for k in (0, 1)]
    first, second = (torch.stack([probe.fused(part) for part in half]) for half in halves)
    few, _ = protocol.too_few(FMR, len(people) * (len(people) - 1))
    if few:
        return {"why": few}
    pairs = protocol.Comparison((first @ second.T).double().numpy(), people.numpy(), people.numpy())
    threshold, similarity = protocol.calibrate(pairs, FMR), float(one @ other)
    mates = (first * second).sum(1)
    return {
        "views": [len(seen[0::2]), len(seen[1::2])],
        "among": len(gallery) + 1,
        "first": bool(similarity > float((gallery @ one).max())),
        "similarity": round(similarity, 4),
        "threshold": round(threshold, 4),
        "fmr": FMR,
        "passed": similarity >= threshold,
        "of_made_people": round(float((mates >= threshold).float().mean()), 4),
    }
