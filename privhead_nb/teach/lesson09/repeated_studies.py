"""Studies that are made up and repeated: how often does an interval hold the truth?

And rates of pairs where people are drawn again, as `lab/pairs.py` counts them; and of galleries
that hold fewer people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privhead_nb.lab.comparison import Comparison
from privhead_nb.lab.identification import rank_hits
from privhead_nb.lab.intervals import draws, wilson_interval
from privhead_nb.lab.pairs import sorted_pairs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TAILS = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Repeated:
    """Intervals of one true rate from many studies.

    Attributes:
        truth: the rate.
        value: (S,) as measured.
        by_picture, by_person: (S, 2) low and high ends.
    """

    truth: float
    value: Floats
    by_picture: Floats
    by_person: Floats

    def coverage(self, ends: Floats) -> float:
        """Share of intervals (S, 2) that hold the truth."""
        return float(((ends[:, 0] <= self.truth) & (self.truth <= ends[:, 1])).mean())


def repeated(
    studies: int = 300, people: int = 24, pictures: int = 8, *, alike: float = 0.6, seed: int = 9
) -> Repeated:
    """Make up studies in which half of all pictures are recognised, some people nearly always.

    Each person's share of recognised pictures is drawn from a Beta distribution with mean 1/2.

    Args:
        studies: how many.
        people, pictures: in each study; pictures of each person.
        alike: its two parameters; the smaller, the more a person's pictures are alike.
        seed: of everything random.
    """
    random = np.random.default_rng(seed)
    shares = random.beta(alike, alike, size=(studies, people))
    hits = random.binomial(pictures, shares)  # (S, people)
    total = people * pictures
    by_picture = [wilson_interval(int(h.sum()), total) for h in hits]
    counts = draws(people, 500, seed)
    again = hits @ counts.T / total  # (S, 500)
    return Repeated(
        0.5, hits.sum(1) / total, np.array(by_picture), np.quantile(again, TAILS, axis=1).T
    )


def pair_rates(matches: NDArray[np.bool_], probe: Ints, gallery: Ints, counts: Ints) -> Floats:
    """FNMR and FMR of verdicts, each time people are drawn again.

    Args:
        matches: (P, G) whether a pair was called a match.
        probe, gallery: (P,) and (G,) who is seen, numbers from 0 to n - 1; all are there.
        counts: (B, n) how often each person was drawn.

    Returns:
        (B, 2).
    """
    found = sorted_pairs(Comparison(matches.astype(np.float64), probe, gallery))
    mated = counts[:, found.mated_identity]
    first, second = np.divmod(found.other_cell, found.identities)
    other = counts[:, first] * counts[:, second]
    missed, wrong = found.mated < 0.5, found.other > 0.5
    return np.stack(
        [(mated @ missed) / mated.sum(1), (other @ wrong) / other.sum(1)], axis=1
    ).astype(np.float64)


def in_galleries(
    pairs: Comparison, sizes: Sequence[int], *, chosen: int = 40, seed: int = 9
) -> list[float]:
    """Rank-1 where only so many people are known, a mean over galleries drawn at random.

    Args:
        pairs: of one gallery picture a person.
        sizes: numbers of people.
        chosen: galleries drawn of each size.
        seed: of the draws.
    """
    random, found = np.random.default_rng(seed), []
    for size in sizes:
        hits = []
        for _ in range(chosen):
            known = random.choice(pairs.gallery, size, replace=False)
            rows, columns = (np.isin(who, known) for who in (pairs.probe, pairs.gallery))
            part = Comparison(
                pairs.similarity[np.ix_(rows, columns)],
                pairs.probe[rows],
                pairs.gallery[columns],
                pairs.detected[rows],
            )
            hits.append(rank_hits(part, (1,)).mean())
        found.append(float(np.mean(hits)))
    return found
