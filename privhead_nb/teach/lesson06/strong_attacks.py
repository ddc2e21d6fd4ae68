"""Lesson 6's last section: preimages in other colours, a crowd, and what stored attacks reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.lab.albums import Album
from privhead_nb.lab.attacks import Attack, multiplicity
from privhead_nb.lab.attacks.identify import in_batches
from privhead_nb.lab.recognition.stored import recogniser
from privhead_nb.lab.settings import DEFAULT
from privhead_nb.resources import RESULTS
from privhead_nb.teach import lab_runs
from privhead_nb.teach.lab_runs import Stored, read, stored

PICTURES = "python benchmarks/studies/picture_attacks.py"


def turned(pictures: Tensor, degrees: float) -> Tensor:
    """(N, H, W, 3) pictures with all hues turned: other pictures of the same modulus (eq. 6)."""
    if degrees == 0:
        return pictures
    turn = multiplicity.turn(degrees)
    return torch.stack([multiplicity.recoloured(p.double(), turn).float() for p in pictures])


def looked_at(pictures: Tensor, gallery: Album) -> Tensor:
    """(N, P) cosines of pictures and frontal portraits, by the lab's network for pictures."""
    one = recogniser("arcface_cnn")
    return one.embed(pictures.clamp(0, 1))[0] @ one.embed(gallery.rgb())[0].T


def answered(attack: Attack, moduli: Tensor, gallery: Album) -> Tensor:
    """(N, P) cosines of moduli (N, H, W) and portraits, by an attack."""
    return held(attack, in_batches(attack.probe, moduli), gallery)


def held(attack: Attack, vectors: Tensor, gallery: Album) -> Tensor:
    """(N, P) cosines of an attack's unit vectors (N, D) and portraits."""
    return vectors @ in_batches(attack.enrol, gallery.rgb()).T


def columns(probes: Album, gallery: Album) -> Tensor:
    """(N,) the gallery's column of each probe's person."""
    return (probes.identity[:, None] == gallery.identity).float().argmax(1)


def crowd(similarity: NDArray[Any], own: NDArray[Any], share: float) -> int:
    """How many people an attacker must keep, so that the right one is among them.

    Args:
        similarity: (N, P) of N probes and P known people.
        own: (N,) the column of each probe's person.
        share: of the probes for which the right one has to be among them.

    Returns:
        The smallest k such that for `share` of the probes at most k people, the right one among
        them, are as similar as the right one or more.
    """
    table = np.asarray(similarity, dtype=np.float64)
    mine = table[np.arange(len(table)), np.asarray(own)]
    ranks = np.sort((table >= mine[:, None]).sum(axis=1))
    return int(ranks[math.ceil(share * len(ranks) - 1e-9) - 1])


# What is stored -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One attack on releases of the paper's default.

    Attributes:
        attack: in words.
        knows: apart from the release and a gallery of known people.
        alone: rank-1 of one picture, or of what the attack looks at.
        together: rank-1 of eight pictures of a person; None where it was not asked.
        command: that measured it.
        people: how many were attacked.
    """

    attack: str
    knows: str
    alone: Stored
    together: Stored | None
    command: str
    people: int


def rows(folder: Path = RESULTS) -> list[Row]:
    """All attacks of this section, stored or not."""
    found = [
        Row(
            words, _card(name), lab_runs.rate(DEFAULT, name),
            lab_runs.rate(DEFAULT, name, taken="eight together"), PICTURES, lab_runs.people(),
        )
        for name, words in lab_runs.NAMES.items()
    ]  # fmt: skip
    synthesis, diffusion, artefacts = (
        stored(folder / f"{name}.json") for name in ("synthesis", "diffusion", "artefacts")
    )
    study = "python benchmarks/{}_study.py {}"
    found.append(
        _judged(
            "synthesis, learned decoder", "the operator; portraits of others",
            synthesis.get("decoder", {}).get("modulus"),
            synthesis.get("decoder", {}).get("command", study.format("synthesis", "decoder")),
        )
    )  # fmt: skip
    found.append(
        _judged(
            "synthesis, true generator", "the operator, the cameras, how heads are made",
            synthesis.get("oracle", {}).get("rates", {}).get("modulus"),
            synthesis.get("oracle", {}).get("command", study.format("synthesis", "oracle")),
        )
    )  # fmt: skip
    found.append(
        _judged(
            "diffusion, guided samples", "the operator; portraits of others",
            diffusion.get("guided"), diffusion.get("command", study.format("diffusion", "run")),
        )
    )  # fmt: skip
    command = artefacts.get("command", study.format("artefact", "run"))
    worst = artefacts.get("heads", {}).get(DEFAULT, {})
    rate = read(worst["worst_rank1"]) if worst else Stored(math.nan, why="not stored yet")
    named = f"mesh or field: {worst['worst_attack']}" if worst else "mesh or field, strongest"
    people = len(worst.get("people", []))
    found.append(Row(named, "scans or portraits of others", rate, None, command, people))
    return found


def table(folder: Path = RESULTS) -> str:
    """Two lines for each attack: its rates; what it knows, and its command."""
    lines = [f"{'attack':<34}{'one picture':<19}{'eight together':<19}people"]
    for row in rows(folder):
        alone = str(row.alone) if row.alone.known else "not stored yet"
        both = str(row.together) if row.together is not None and row.together.known else ""
        people = row.people if row.alone.known else ""
        lines.append(f"{row.attack:<34}{alone:<19}{both:<19}{people}".rstrip())
        lines.append(f"    knows {row.knows} | {row.command}")
    return "\n".join(lines)


def strongest(folder: Path = RESULTS) -> Row:
    """The attack that names most single pictures."""
    return max(rows(folder), key=lambda r: r.alone.value if r.alone.known else -1.0)


def samples(folder: Path = RESULTS) -> dict[str, float] | None:
    """Medians of how guided diffusion samples differ; None before the study was run."""
    found = stored(folder / "diffusion.json").get("guided")
    if found is None:
        return None
    names = ("among", "to_truth", "to_others", "colour", "pattern", "misfit")
    return {name: float(found[name][1]) for name in names}


def _card(attack: str) -> str:
    """What an attack on pictures knew and learned from, as its stored card says."""
    card = lab_runs.card(DEFAULT, attack)
    if card is None:
        return "nothing" if attack.startswith("shown") else "the operator; portraits of others"
    if card["knowledge"] == card["data"] == "none":
        return "nothing"
    return f"{card['knowledge']}; {card['data']}"


def _judged(attack: str, knows: str, part: dict[str, Any] | None, command: str) -> Row:
    """The strongest recogniser's rate of guessed pictures."""
    if part is None:
        return Row(attack, knows, Stored(math.nan, why="not stored yet"), None, command, 0)
    judged = part["recognisers"]
    name = max(judged, key=lambda n: judged[n]["right"]["rank1"][0])
    rate = read(judged[name]["right"]["rank1"], name)
    return Row(attack, knows, rate, None, command, int(judged[name]["people"]))
