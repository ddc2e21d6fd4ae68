"""Claims about comparisons: rates are scikit-learn's, and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pairs import crowd
from sklearn.metrics import roc_auc_score, roc_curve, top_k_accuracy_score

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import (
    Comparison,
    check_disjoint,
    compare,
    measures,
    sorted_pairs,
)
from privhead_nb.lab.intervals import draws
from privhead_nb.lab.protocol import identification

Floats = NDArray[np.float64]


@pytest.mark.parametrize("digits", [1, 2, 8])
def test_rates_are_those_of_scikit_learn_with_weights_for_a_draw(digits):
    """Also with many ties (one digit), and with counts of 0; every count 1 is the rate itself.

    Copies of a person never meet each other: a mated pair counts as often as its person is drawn.
    """
    rounded = crowd(12, lost=0.2)
    comparison = Comparison(
        np.round(rounded.similarity, digits), rounded.probe, rounded.gallery, rounded.detected
    )
    pairs, label = sorted_pairs(comparison), comparison.mated.ravel()
    score = np.where(comparison.detected[:, None], comparison.similarity, -2).ravel()
    for counts in (np.ones(12, int), *draws(12, 20, seed=1)):
        a, b = counts[comparison.probe][:, None], counts[comparison.gallery][None]
        weight = np.where(comparison.mated, a, a * b).ravel()
        auc, eer, tar = measures(pairs, counts, (0.1,))
        assert auc == pytest.approx(roc_auc_score(label, score, sample_weight=weight))
        f, t, thr = roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
        assert eer == pytest.approx(np.interp(0, f + t - 1, f))
        assert tar == pytest.approx(t[(f <= 0.1 + 1e-12) & (thr > -2)].max())
    whole = crowd(12)
    for k, measured in identification(whole, resamples=0).rank.items():
        assert measured.value == top_k_accuracy_score(whole.probe, whole.similarity, k=k)


def given_as(**changed: Floats) -> Callable[[], Comparison]:
    """Ask for a comparison of four pictures with four, one of its parts changed."""
    parts = {"similarity": np.zeros((4, 4)), "probe": np.arange(4), "gallery": np.arange(4)}
    return lambda: Comparison(**(parts | changed))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (given_as(similarity=np.zeros((3, 4))), "one row for each probe"),
        (given_as(similarity=np.zeros(16)), "one row for each probe"),
        (given_as(similarity=np.full((4, 4), np.nan)), "4 detected probes"),
        (given_as(similarity=np.full((4, 4), np.inf)), "not finite"),
        (given_as(probe=np.zeros((4, 1), int)), "shape"),
        (given_as(probe=np.zeros(0, int)), "at least one picture"),
        (given_as(gallery=np.zeros(4)), "whole numbers"),
        (given_as(gallery=np.array(list("abcd"))), "whole numbers"),
        (given_as(detected=np.ones(3, bool)), "True or False"),
        (given_as(detected=np.ones(4)), "True or False"),
        (
            lambda: check_disjoint(recogniser=range(10), attacker=[10], evaluation=[9, 7, 30]),
            "recogniser and evaluation share identities 7, 9",
        ),
        (lambda: check_disjoint(a=range(10), b=np.arange(10)), "0, 1, 2, 3, 4 and 5 more"),
    ],
)
def test_what_does_not_fit_is_refused(ask, said):
    with pytest.raises(LabError, match=said):
        ask()


def test_embeddings_are_brought_to_unit_length_and_must_have_one():
    random, who = np.random.default_rng(0), (np.arange(4), np.arange(3))
    rows, columns = random.normal(size=(4, 8)), random.normal(size=(3, 8))
    cosine = compare(rows, who[0], columns, who[1]).similarity
    assert np.allclose(cosine, compare(rows * 7, who[0], columns / 9, who[1]).similarity)
    by_hand = rows[1] @ columns[2] / np.linalg.norm(rows[1]) / np.linalg.norm(columns[2])
    assert cosine[1, 2] == pytest.approx(by_hand)
    rows[2] = 0
    with pytest.raises(LabError, match="Mark it as not detected"):
        compare(rows, who[0], columns, who[1])
    found = compare(rows, who[0], columns, who[1], np.array([True, True, False, True]))
    assert np.isnan(found.similarity[2]).all() and np.isfinite(found.similarity[[0, 1, 3]]).all()
    for one, other, said in (
        (rows[:2], np.zeros((3, 8)), "Leave it out of the gallery"),
        (rows[:2], np.full((3, 8), np.nan), "Leave it out of the gallery"),
        (rows[:, :5], columns, "one embedding for each picture"),
        (rows[0], columns, "one embedding for each picture"),
        (rows[:1], columns, "one row for each probe"),
    ):
        with pytest.raises(LabError, match=said):
            compare(one, np.arange(2), other, who[1])
