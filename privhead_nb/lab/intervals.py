"""Rates with 95 % intervals: how far a number from so few people can be trusted.

Pictures of one person are alike; an interval that counted them as independent would be too narrow.
So whole identities are drawn again, with replacement (Efron's bootstrap over clusters), and 95 % of
what they give lies between `low` and `high`. `scipy.stats.bootstrap` draws single observations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privhead_nb.errors import LabError

Floats = NDArray[np.float64]
LEVEL = 0.95
TAILS = (0.025, 0.975)
FEWEST_RESAMPLES = 0.5  # share that must have a value, else the interval is left open


@dataclass(frozen=True)
class Rate:
    """A measured rate, or an abstention: then value, low and high are NaN, and `why` says why."""

    value: float  # between 0 and 1
    # low, high: its 95 % interval; NaN where it could not be had.
    low: float
    high: float
    count: int  # mated pairs, probes, or pairs behind it, as its owner says
    note: str = ""  # what a reader must know beside it
    why: str = ""  # the reason for an abstention, else ""

    @property
    def known(self) -> bool:
        """False for an abstention."""
        return not math.isnan(self.value)

    def stored(self) -> list[float] | dict[str, str]:
        """Ready for JSON: value, low and high, or why it is not known."""
        if not self.known:
            return {"why": self.why}
        return [round(v, 4) for v in (self.value, self.low, self.high)]

    def __str__(self) -> str:
        if not self.known:
            return f"not known: {self.why}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n = {self.count:,})"


def percent(value: float, low: float, high: float) -> str:
    """A rate and its interval for a reader: "52 % (48 to 57)"."""
    return f"{100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def abstain(why: str, count: int = 0) -> Rate:
    """A rate that is not known."""
    return Rate(math.nan, math.nan, math.nan, count, why=why)


def exact_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Clopper and Pearson's interval of a proportion of independent trials: 2/31 is 0.8 to 21.4 %.

    It covers at least `level`, and most often more.

    Raises:
        LabError: more successes than trials, or fewer than none.
    """
    from scipy.stats import binomtest

    if trials < 1 or not 0 <= successes <= trials:
        raise LabError(
            f"{successes} successes in {trials} trials", remedy="Give 0 <= successes <= trials."
        )
    found = binomtest(int(successes), int(trials)).proportion_ci(level)
    return float(found.low), float(found.high)


def draws(identities: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """(resamples, identities): how often each identity is drawn; rows add up to identities."""
    if resamples < 0:
        raise LabError(f"{resamples} resamples can't be drawn", remedy="Give 0 or more.")
    random = np.random.default_rng(seed)
    return random.multinomial(identities, np.full(identities, 1 / identities), size=resamples)


def rate(value: float, resampled: Floats, *, count: int, identities: int, note: str = "") -> Rate:
    """A value with the percentile interval of its resampled values.

    Where 0 or 1 comes out of every draw, Clopper and Pearson's interval, with identities as trials,
    takes the place of one without width.

    Args:
        value: as measured; NaN abstains.
        resampled: (B,) the same measure on resamples; NaN where it has no value there.
        count, identities: trials, and people, that the value comes from.
        note: kept in the rate.
    """
    if math.isnan(value):
        return abstain("nothing is left to measure", count)
    notes = [note] if note else []
    known = resampled[~np.isnan(resampled)]
    low = high = math.nan
    if len(resampled) == 0:
        notes.append("no resamples, so no interval")
    elif len(known) < FEWEST_RESAMPLES * len(resampled):
        notes.append(f"{len(known)} of {len(resampled)} resamples have a value: no interval")
    else:
        if len(known) < len(resampled):
            notes.append(f"interval from {len(known)} of {len(resampled)} resamples")
        low, high = (float(q) for q in np.quantile(known, TAILS))
    if value in (0.0, 1.0) and low == high == value:
        low, high = exact_interval(round(value * identities), identities)
        notes.append(f"exact interval of {identities} identities, since all resamples agree")
    return Rate(float(value), low, high, count, note="; ".join(notes))


def share(
    values: ArrayLike,
    people: ArrayLike,
    partners: ArrayLike | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Rate:
    """Mean of values in [0, 1], one a picture, as a rate whose interval draws people.

    Args:
        values, people: (N,) such as hits, and whose.
        partners: (N,) the second person of each picture, where two have to do with it: a picture
            then counts as often as both are drawn.
        resamples, seed: of the draws.
    """
    x, identities, again = means_of_draws(values, people, partners, resamples, seed)
    return rate(float(x.mean()), again, count=len(x), identities=identities)


def means_of_draws(
    values: ArrayLike, people: ArrayLike, partners: ArrayLike | None, resamples: int, seed: int
) -> tuple[Floats, int, Floats]:
    """Values (N,), number of people, and (B,) means with people drawn again."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) == 0:
        raise LabError("there is nothing to average", where="intervals")
    given = [people] if partners is None else [people, partners]
    names, rows = np.unique(np.stack([np.asarray(g) for g in given]), return_inverse=True)
    counts = draws(len(names), resamples, seed)
    times = np.prod([counts[:, row] for row in rows.reshape(len(given), -1)], axis=0)
    with np.errstate(invalid="ignore"):
        return x, len(names), np.asarray((times @ x) / times.sum(1))
