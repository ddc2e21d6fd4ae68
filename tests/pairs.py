"""Comparisons of made-up people, for tests of the lab's measures."""

from __future__ import annotations

import numpy as np

from privhead_nb.lab.comparison import Comparison, compare
from privhead_nb.lab.intervals import Rate


def at_chance(rate: Rate, chance: float) -> bool:
    """In the 95 % interval or half its width beside it: noise misses the interval 1 time in 20."""
    slack = (rate.high - rate.low) / 2
    return rate.low - slack <= chance <= rate.high + slack


def crowd(
    identities: int = 30,
    probes: int = 4,
    gallery: int = 1,
    *,
    noise: float = 1.2,
    seed: int = 0,
    lost: float = 0.0,
) -> Comparison:
    """Embeddings scattered around one direction for each identity; a share of probes is lost."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(identities, 32))
    who = [np.repeat(np.arange(identities), k) for k in (probes, gallery)]
    near = [centres[i] + noise * random.normal(size=(len(i), 32)) for i in who]
    return compare(near[0], who[0], near[1], who[1], random.random(len(who[0])) >= lost)


def tiny(detected: list[bool] | None = None) -> Comparison:
    """Four identities, a probe and a gallery picture each: 4 mated, 12 non-mated pairs."""
    similarity = np.array(
        [
            [0.9, 0.1, 0.2, 0.3],
            [0.15, 0.8, 0.85, 0.25],  # rank 2
            [0.12, 0.22, 0.7, 0.32],
            [0.5, 0.4, 0.45, 0.35],  # rank 4
        ]
    )
    found = None if detected is None else np.array(detected)
    return Comparison(similarity, np.arange(4), np.arange(4), found)  # type: ignore[arg-type]
