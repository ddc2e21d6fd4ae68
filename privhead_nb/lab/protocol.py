"""How the lab measures: one door to comparisons, rates and their intervals.

    comparison.py      who is compared with whom, and disjoint groups of identities
    verification.py    is it the same person: AUC, EER, TAR at FAR, thresholds, ROC
    folds.py           accuracy with thresholds from other people
    identification.py  who is it: rank-k beside chance
    pairs.py           sorted pairs under drawn identities
    intervals.py       a rate, its interval, and when it abstains

A set-up that can't be measured (one identity, no mates, shapes that don't fit, NaN) raises a
LabError. Data that leave nothing to measure (no face found, too few pairs) give a Rate that
abstains and says why: never a zero, which would read as privacy.
"""

from __future__ import annotations

from privhead_nb.lab.comparison import Comparison, check_disjoint, compare
from privhead_nb.lab.identification import Identification, identification
from privhead_nb.lab.intervals import Rate, abstain, exact_interval, wilson_interval
from privhead_nb.lab.verification import (
    Roc,
    Verification,
    calibrate,
    failure_to_detect,
    roc,
    verdicts,
    verification,
)

__all__ = [
    "Comparison",
    "Identification",
    "Rate",
    "Roc",
    "Verification",
    "abstain",
    "calibrate",
    "check_disjoint",
    "compare",
    "exact_interval",
    "failure_to_detect",
    "identification",
    "roc",
    "verdicts",
    "verification",
    "wilson_interval",
]
