"""Do moduli name real people? The operator table on forty photographed faces.

    python benchmarks/studies/real_faces.py                     linear network inversion
    python benchmarks/studies/real_faces.py linear              one part; others stay as stored
    python benchmarks/studies/real_faces.py --olivetti          the same people by scikit-learn

writes benchmarks/results/real_faces.json: figures only, no picture. The faces are read where the
user has them (`real_faces_data.py`); without them there is nothing to do, and it says so.

closed set   an attacker learned five pictures of each of 40 people, and is asked about the others
strangers    it learned 20 people, and is tested on the other 20: a gallery of one picture each,
             and the other nine to name. Five random splits of people, the same for all attackers
open set     ten of the 20 are in the gallery, the others not; the threshold, from pairs of the
             training people, a fifth of them held out in turn, aims at one stranger in ten named

Intervals draw people, with all their pictures in all splits; that attackers would have learned
other people too is seen in the splits only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies import real_faces_data, real_faces_inversion
from benchmarks.studies.real_faces_attackers import (
    PICTURES,
    Embed,
    NetworkSize,
    embedded,
    linear,
    made_heads,
    network,
    operator_of,
    released,
    unlearned,
    window,
)
from benchmarks.studies.real_faces_data import RealFaces
from privhead_nb.bench.harness import cpu_name
from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.lab.comparison import Comparison, Ints, compare, measures, sorted_pairs
from privhead_nb.lab.intervals import Rate, abstain, draws, rate, share
from privhead_nb.lab.protocol import rank_hits, too_few
from privhead_nb.resources import RESULTS

SETTINGS = (
    PICTURES, "sobel-64", "sobel-32", "sobel-16", "blur-2", "noise-0.1", "noise-0.2", "levels-4",
    "levels-2", "gaussian-2", "dog",
)  # fmt: skip
"""Luma alone is left out: of grey pictures it is the same modulus, a third as large squared."""
LEARNED = (PICTURES, "sobel-64")
"""What the network, which is slow, looks at."""
SPLITS, RESAMPLES = 5, 500
NETWORK_SPLITS = 3  # of the five; a network takes half a minute
FARS = (1e-2, 1e-3)
FPIR, FOLDS = 0.1, 5  # that the open set's threshold aims at; of the training people
NOISE_DRAWS = 3  # protected copies that an attacker makes of a picture, where there is noise


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of pictures: what the attacker learns, its gallery, and who is to be named."""

    learn: Ints
    gallery: Ints
    probes: Ints


def strangers(who: Ints, seed: int) -> Split:
    """Half of the people to learn; of each other a random picture for the gallery, the rest not."""
    random = np.random.default_rng(seed)
    people = random.permutation(np.unique(who))
    half = len(people) // 2
    own = [random.permutation(np.flatnonzero(who == p)) for p in people[half:]]
    return Split(
        np.flatnonzero(np.isin(who, people[:half])),
        np.array([rows[0] for rows in own]),
        np.concatenate([rows[1:] for rows in own]),
    )


def known(who: Ints, seed: int) -> Split:
    """Half of each person's pictures to learn and as the gallery; the others to be named."""
    random = np.random.default_rng(seed)
    own = [random.permutation(np.flatnonzero(who == p)) for p in np.unique(who)]
    first, rest = (
        np.concatenate([rows[part] for rows in own])
        for part in (slice(0, len(own[0]) // 2), slice(len(own[0]) // 2, None))
    )
    return Split(first, first, rest)


@dataclass(frozen=True, eq=False)
class Seen:
    """What an attacker has of all pictures under one setting: the owner's release, its own copies.

    Its own copies, NOISE_DRAWS where there is noise, are what it learns and enrols.
    """

    released: Tensor
    copies: tuple[Tensor, ...]

    @classmethod
    def of(cls, small: Tensor, name: str, seed: int) -> Seen:
        """Pictures (N, 64, 64, 3) under a setting; the owner's noise is not the attacker's."""
        operator, _ = operator_of(name)
        noisy = operator is not None and operator.noise > 0
        owner, own = (torch.Generator().manual_seed(n + seed) for n in (7_919, 104_729))
        first = released(small, name, owner)
        copies = [released(small, name, own) for _ in range(NOISE_DRAWS)] if noisy else [first]
        return cls(first, tuple(copies))

    def learned(self, rows: Ints, who: Ints) -> Embed:
        """The linear attacker of some pictures."""
        return linear(
            torch.cat([c[rows] for c in self.copies]), np.tile(who[rows], len(self.copies))
        )

    def compared(self, embed: Embed, split: Split, who: Ints) -> Comparison:
        """Probes against the gallery."""
        gallery = torch.stack(
            [
                torch.nn.functional.normalize(embedded(embed, c[split.gallery]), dim=1)
                for c in self.copies
            ]
        ).mean(0)
        probes = embedded(embed, self.released[split.probes])
        return compare(probes, who[split.probes], gallery, who[split.gallery])


# Rates over splits --------------------------------------------------------------------------------


def rates(found: Sequence[Comparison]) -> dict[str, Any]:
    """Rank-1, EER and FNMR at FMR of several splits: means over them, intervals over people."""
    people = np.unique(np.concatenate([c.identities for c in found]))
    counts = draws(len(people), RESAMPLES, 0)
    values, again = [], []
    for one in found:
        pairs, at = sorted_pairs(one), np.searchsorted(people, one.identities)
        values.append(measures(pairs, np.ones(len(at), dtype=np.int64), FARS))
        again.append([measures(pairs, row, FARS) for row in counts[:, at]])
    value, drawn = np.mean(values, 0), np.nanmean(again, 0)
    others = min(int((~c.mated).sum()) for c in found)
    mated = sum(int(c.mated.sum()) for c in found)
    out: dict[str, Any] = {
        "rank1": plain(first_named(found)),
        "eer": plain(rate(value[1], drawn[:, 1], count=mated, identities=len(people))),
    }
    for k, far in enumerate(FARS, 2):
        few, note = too_few(far, others)
        misses = rate(1 - value[k], 1 - drawn[:, k], count=mated, identities=len(people), note=note)
        out[f"fnmr_at_fmr_{far:g}"] = plain(abstain(few) if few else misses)
    return out


def first_named(found: Sequence[Comparison]) -> Rate:
    """Rank-1 over all probes of several splits."""
    hits = np.concatenate([rank_hits(c, (1,))[0] for c in found])
    return share(hits, np.concatenate([c.probe for c in found]), resamples=RESAMPLES)


def plain(value: Rate) -> Any:
    """[value, low, high], with a note behind it; or why there is none."""
    if not value.known:
        return {"why": value.why}
    numbers = [round(float(x), 4) for x in (value.value, value.low, value.high)]
    return [*numbers, value.note] if value.note else numbers


def open_set(seen: Seen, embed: Embed, split: Split, who: Ints) -> tuple[Any, Any]:
    """A split's searches: wrongly named, and whose, of strangers; missed, and whose, of enrolled.

    The threshold is of the training people, a fifth of whom at a time an attacker of the others
    compares. With a gallery of G, a share FPIR of searches passes it where 1 - (1 - FPIR)^(1/G) of
    pairs do.
    """
    learners, pairs = np.unique(who[split.learn]), []
    folds = min(FOLDS, len(learners) // 2)
    for fold in range(folds):
        away = np.isin(who[split.learn], learners[fold::folds])
        taught, held = split.learn[~away], split.learn[away]
        found = seen.compared(seen.learned(taught, who), Split(taught, held, held), who)
        pairs.append(found.similarity[~found.mated])
    share_of_pairs = (1 - FPIR) ** (2 / len(split.gallery))
    limit = float(np.quantile(np.concatenate(pairs), share_of_pairs))
    found = seen.compared(embed, split, who)
    wrong, missed = [], []
    for part in (0, 1):
        enrolled = np.isin(found.gallery, found.gallery[part::2])
        inside = np.isin(found.probe, found.gallery[enrolled])
        alike = found.similarity[:, enrolled]
        named = found.gallery[enrolled][alike.argmax(1)]
        passes = alike.max(1) >= limit
        wrong.append((passes[~inside], found.probe[~inside]))
        missed.append((~(passes & (named == found.probe))[inside], found.probe[inside]))
    return tuple(tuple(map(np.concatenate, zip(*rows, strict=True))) for rows in (wrong, missed))


# Parts --------------------------------------------------------------------------------------------


def linear_part(faces: RealFaces, settings: Sequence[str] = SETTINGS) -> dict[str, Any]:
    """Closed set, strangers and open set by PCA + LDA, at every setting."""
    out: dict[str, Any] = {}
    for name in tqdm(settings, desc="linear", file=sys.stderr):
        closed, apart, wrong, missed = [], [], [], []
        for seed in range(SPLITS):
            seen = Seen.of(faces.small, name, seed)
            split = known(faces.who, seed)
            closed.append(seen.compared(seen.learned(split.learn, faces.who), split, faces.who))
            split = strangers(faces.who, seed)
            embed = seen.learned(split.learn, faces.who)
            apart.append(seen.compared(embed, split, faces.who))
            searched = open_set(seen, embed, split, faces.who)
            wrong.append(searched[0])
            missed.append(searched[1])
        shares = [
            share(*map(np.concatenate, zip(*rows, strict=True)), resamples=RESAMPLES)
            for rows in (wrong, missed)
        ]
        out[name] = {
            "closed": {"rank1": plain(first_named(closed))},
            "strangers": rates(apart),
            "open": {"fpir": plain(shares[0]), "fnir": plain(shares[1])},
        }
    return out


def network_part(faces: RealFaces, size: NetworkSize | None = None) -> dict[str, Any]:
    """Strangers by the small network: of these people, of made heads, of both in turn, of nobody.

    Who learned nothing compares pixels: pictures of a person are of few days, and alike by that.
    """
    size = NetworkSize() if size is None else size
    out: dict[str, Any] = {}
    for name in LEARNED:
        shipped, why = made_heads(name)
        found: dict[str, list[Comparison]] = {"nothing": [], "these people": []}
        if shipped is not None:
            found |= {"made heads only": [], "made heads, then these people": []}
        for seed in tqdm(range(NETWORK_SPLITS), desc=f"network, {name}", file=sys.stderr):
            seen, split = Seen.of(faces.small, name, seed), strangers(faces.who, seed)
            for how, rows in found.items():
                start = made_heads(name)[0] if how.startswith("made heads") else None
                embed: Embed
                if how == "nothing":
                    embed = unlearned
                elif how == "made heads only" and start is not None:
                    show, one = window(start, as_made=True), start
                    embed = lambda x, one=one, show=show: one(show(x))  # noqa: E731
                else:
                    learn = faces.small[split.learn], faces.who[split.learn]
                    embed = network(*learn, name, size, start=start, seed=seed)
                rows.append(seen.compared(embed, split, faces.who))
        out[name] = {"splits": NETWORK_SPLITS}
        out[name] |= {how: rates(rows) for how, rows in found.items()}
        if why:
            out[name]["made heads only"] = {"why": why}
    return out


def inversion_part(faces: RealFaces) -> dict[str, Any]:
    """dlib on what a learned inversion gives back, beside pictures and moduli as they are."""
    splits = [strangers(faces.who, seed) for seed in range(real_faces_inversion.SPLITS)]
    return real_faces_inversion.judged(faces, [(s.learn, s.gallery, s.probes) for s in splits])


PARTS = {"linear": linear_part, "network": network_part, "inversion": inversion_part}


def run(faces: RealFaces, parts: Sequence[str], out: Path) -> None:
    """Parts, each stored when it is there."""
    people = len(np.unique(faces.who))
    for part in parts:
        found = PARTS[part](faces)
        stored = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
        option = "" if faces.source == "ORL" else " --olivetti"
        stored |= {
            "command": f"python benchmarks/studies/real_faces.py{option}",
            "seed": 0,
            "cpu": cpu_name(),
            "faces": faces.source,
            "people": people,
            "pictures": len(faces.who),
            "splits": SPLITS,
            "chance": {"closed": round(1 / people, 4), "strangers": round(2 / people, 4)},
            part: found,
        }
        write_json(out, stored)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--olivetti", action="store_true", help="by scikit-learn, not of files")
    parser.add_argument("--data-home", type=Path, help="of scikit-learn")
    parser.add_argument("--out", type=Path, default=RESULTS / "real_faces.json")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    try:
        faces = (
            real_faces_data.olivetti_faces(asked.data_home)
            if asked.olivetti
            else real_faces_data.orl_faces()
        )
        run(faces, asked.parts or [*PARTS], asked.out)
    except LabError as error:
        sys.exit(f"skipped: {error}")
    print(asked.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
