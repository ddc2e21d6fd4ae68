"""Claims about the lab's measures: known answers, properties, honest intervals.

Constructed scores have answers that fit on paper; where nothing can be measured, an error or an
abstention comes back, never a zero. Random scores are held against scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pairs import crowd, tiny
from sklearn.metrics import roc_auc_score, roc_curve, top_k_accuracy_score

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import check_disjoint, compare, measures, sorted_pairs
from privhead_nb.lab.intervals import draws, rate, share
from privhead_nb.lab.protocol import (
    Comparison,
    Rate,
    calibrate,
    exact_interval,
    identification,
    rank_hits,
    verdicts,
    verification,
)

# Known answers ------------------------------------------------------------------------------------


def test_perfect_separation_is_perfect_and_its_interval_still_has_a_width():
    n = 40
    same = Comparison(np.where(np.eye(n) > 0, 0.9, 0.1), np.arange(n), np.arange(n))
    found, who = verification(same, fars=(1e-2,)), identification(same)
    lowest = 0.025 ** (1 / n)  # Clopper and Pearson, n of n
    for perfect in (found.auc, found.tar_at_far[1e-2], who.rank[1]):
        assert perfect.value == perfect.high == 1 and perfect.low == pytest.approx(lowest)
        assert f"exact interval of {n} identities" in perfect.note
    assert found.eer.value == found.fnmr_at_fmr[1e-2].value == 0
    assert found.eer.high == pytest.approx(1 - lowest)


def test_a_recogniser_that_says_the_same_of_all_gets_chance_and_no_more():
    n = 25
    blind = Comparison(np.full((n, n), 0.5), np.arange(n), np.arange(n))
    found, who = verification(blind, fars=(1e-2,)), identification(blind)
    assert (found.auc.value, found.eer.value, found.tar_at_far[1e-2].value) == (0.5, 0.5, 0)
    for k in (1, 5):
        assert who.rank[k].value == pytest.approx(k / n) == who.chance[k]


def test_rates_of_four_people_by_hand():
    """Mated .9 .8 .7 .35; non-mated .85 .5 .45 .4 .32 .3 and six lower."""
    found = verification(tiny(), fars=(0.1, 0.25, 0.34), resamples=50)
    # .35 is beaten by .85 .5 .45 .4, the .8 and .7 by .85 only: 48 - 6 wins
    assert found.auc.value == pytest.approx(42 / 48)
    # at .45 < t <= .5: FMR 2/12, FNMR 1/4; at t = .45: FMR 3/12, FNMR 1/4
    assert found.eer.value == pytest.approx(0.25)
    # at most 1 of 12, 3 of 12, 4 of 12
    assert [found.tar_at_far[f].value for f in (0.1, 0.25, 0.34)] == [0.75, 0.75, 1.0]
    assert found.fnmr_at_fmr[0.1].value == 0.25
    assert found.auc.count == 4
    who = identification(tiny(), ranks=(1, 2, 3), resamples=50)
    assert [who.rank[k].value for k in (1, 2, 3)] == [0.5, 0.75, 0.75]
    assert who.chance == {1: 0.25, 2: 0.5, 3: 0.75}


def test_ranks_count_identities_share_ties_and_leave_strangers_out():
    similarity = np.array([[0.1, 0.6, 0.7, 0.2, 0.8], [0.9, 0.2, 0.3, 0.4, 0.1]])
    people = np.array([3, 7, 3, 7, 9])
    who = identification(Comparison(similarity, np.array([3, 7]), people), ranks=(1, 2))
    assert who.gallery_identities == 3
    # as alike as the best picture: 3 has .7 behind 9's .8; 7 has .4 behind 3's .9
    assert [who.rank[k].value for k in (1, 2)] == [0.0, 1.0]
    tied = Comparison(np.array([[0.5, 0.5, 0.9, 0.1]]), np.array([0]), np.arange(4))
    assert rank_hits(tied, (1, 2, 3)).ravel().tolist() == [0.0, 0.5, 1.0]
    base = tiny()
    more = Comparison(
        np.vstack([base.similarity, [0.3, 0.1, 0.2, 0.4]]), np.array([0, 1, 2, 3, 99]), np.arange(4)
    )
    rank1 = identification(more, ranks=(1,), resamples=0).rank[1]
    assert (rank1.count, rank1.value) == (4, 0.5)
    few = verification(more, resamples=0).tar_at_far[1e-2].why
    assert few.startswith("16 non-mated pairs")  # the stranger can be mistaken for others


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


# Properties ---------------------------------------------------------------------------------------


def rates(comparison: Comparison) -> list[float]:
    found = verification(comparison, fars=(0.05,), resamples=0)
    rank = identification(comparison, ranks=(1, 3), resamples=0).rank
    measured = (found.auc, found.eer, found.tar_at_far[0.05], rank[1], rank[3])
    return [one.value for one in measured]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([np.exp, np.arctan, np.cbrt]), st.integers(0, 3))
def test_stretching_scores_and_naming_and_sorting_people_anew_change_no_rate(seed, stretch, digits):
    """Only the order of scores counts; whole hundredths keep their ties apart and together."""
    base = crowd(8, gallery=2, seed=seed, lost=0.1)
    steps, random = np.round(base.similarity, digits), np.random.default_rng(seed)
    rows, columns = random.permutation(len(base.probe)), random.permutation(len(base.gallery))
    names = random.permutation(1000)[:8] - 500
    other = Comparison(
        stretch(steps)[rows][:, columns],
        names[base.probe[rows]],
        names[base.gallery[columns]],
        base.detected[rows],
    )
    plain = Comparison(steps, base.probe, base.gallery, base.detected)
    assert rates(other) == pytest.approx(rates(plain), nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.02, 0.9))
def test_a_calibrated_threshold_keeps_its_promise_and_is_the_lowest_that_does(seed, far):
    comparison = crowd(9, seed=seed, lost=0.15)
    threshold = calibrate(comparison, far)
    matches, others = verdicts(comparison, threshold), ~comparison.mated
    assert matches[others].mean() <= far + 1e-12
    found = verification(comparison, fars=(far,), resamples=0)
    assert matches[comparison.mated].mean() == found.tar_at_far[far].value
    lower = comparison.scores[(comparison.scores < threshold) & np.isfinite(comparison.scores)]
    if len(lower):
        assert verdicts(comparison, lower.max())[others].mean() > far


# Failures to detect -------------------------------------------------------------------------------


def test_failures_count_as_misses_and_rejects_or_are_left_out():
    lost = tiny([True, True, True, False])
    counted = verification(lost, fars=(0.1,), resamples=0)
    left_out = verification(lost, fars=(0.1,), resamples=0, count_failures=False)
    assert (counted.auc.count, left_out.auc.count) == (4, 3)
    assert counted.tar_at_far[0.1].value == 0.75  # one of 12 may match
    assert left_out.tar_at_far[0.1].why.startswith("9 non-mated pairs can't show")
    for found in (counted, left_out):
        assert found.failure_to_detect.value == 0.25 and found.failure_to_detect.count == 4
    # .9 .8 .7 against .85 and 11 lower: 3 * 12 - 2 wins; the lost one ties with 3 lost ones
    assert counted.auc.value == pytest.approx((3 * 12 - 2 + 1.5) / 48)
    assert left_out.auc.value == pytest.approx((3 * 9 - 2) / 27)
    who = [identification(lost, ranks=(1,), count_failures=c).rank[1] for c in (True, False)]
    assert [w.value for w in who] == [pytest.approx(2 / 4), pytest.approx(2 / 3)]
    assert [w.count for w in who] == [4, 3]
    a, b = (verification(crowd(), resamples=20, count_failures=c) for c in (True, False))
    assert (a.auc, a.eer) == (b.auc, b.eer), "without failures both agree"


def test_scores_of_undetected_probes_are_never_looked_at():
    clean = tiny([True, True, False, True])
    spoiled = np.array(clean.similarity)
    spoiled[2] = [np.nan, np.inf, 1e300, -np.inf]
    other = Comparison(spoiled, clean.probe, clean.gallery, clean.detected)
    assert rates(other) == pytest.approx(rates(clean), nan_ok=True)
    assert not verdicts(other, -1e9)[2].any() and verdicts(other, -1e9)[:2].all()


@pytest.mark.parametrize("count", [True, False])
def test_if_nobody_with_a_mate_was_detected_rates_abstain_and_say_so(count):
    nobody = tiny([False] * 4)
    found = verification(nobody, count_failures=count)
    everything = [found.auc, found.eer, *found.tar_at_far.values(), *found.fnmr_at_fmr.values()]
    everything += identification(nobody, ranks=(1, 2), count_failures=count).rank.values()
    for rate_ in everything:
        assert not rate_.known and math.isnan(rate_.value) and "no probe was detected" in rate_.why
        assert str(rate_).startswith("not known")
    assert found.failure_to_detect.value == 1 and found.failure_to_detect.low < 1
    with pytest.raises(LabError, match="no probe was detected"):
        calibrate(nobody, 0.2)
    only = np.array([False, False, True, True])
    strangers = Comparison(nobody.similarity, np.array([0, 1, 98, 99]), nobody.gallery, only)
    why = verification(strangers, resamples=10, count_failures=count).auc.why
    assert ("no probe with a mate" if count else "no mated pair is left") in why
    assert not identification(strangers, ranks=(1,)).rank[1].known


# Too little to say --------------------------------------------------------------------------------


def test_few_non_mated_pairs_bring_a_note_and_too_few_an_abstention():
    small, middle, large = (
        verification(crowd(people), resamples=10).tar_at_far for people in (15, 40, 100)
    )  # 840, 6,240 and 39,600 pairs
    assert "1,000 needed" in small[1e-3].why
    assert small[1e-2].known and "3,000 are wanted" in small[1e-2].note
    assert middle[1e-3].known and "30,000 are wanted at FAR 0.001" in middle[1e-3].note
    assert middle[1e-2].note == large[1e-3].note == ""


def test_what_leaves_nothing_to_tell_abstains_or_has_no_interval():
    who = identification(tiny(), ranks=(1, 4, 5), resamples=10)
    assert who.rank[1].known
    assert "always a hit" in who.rank[4].why and "always a hit" in who.rank[5].why
    pair = Comparison(np.array([[0.9, 0.2], [0.5, 0.4]]), np.array([0, 1]), np.array([0, 1]))
    two = verification(pair, fars=(0.5,), seed=2)
    assert "resamples" in two.auc.note  # half of the draws hold one person only
    none = verification(crowd(), resamples=0).auc
    assert none.known and math.isnan(none.low) and "no resamples" in none.note
    some = rate(0.4, np.array([0.3, 0.5, np.nan]), count=3, identities=3)
    assert 0.3 <= some.low < some.high <= 0.5 and "2 of 3 resamples" in some.note
    few = rate(0.4, np.array([0.3, np.nan, np.nan]), count=3, identities=3)
    assert math.isnan(few.low) and "no interval" in few.note


# Intervals ----------------------------------------------------------------------------------------


def test_a_rate_says_its_interval_and_its_count():
    assert [round(100 * x, 1) for x in exact_interval(2, 31)] == [0.8, 21.4]
    assert str(Rate(0.5, 0.25, 0.75, 1200)) == "0.500 (0.250 to 0.750, n = 1,200)"


def test_a_value_of_two_people_counts_as_often_as_both_are_drawn():
    a, b = np.meshgrid(np.arange(12), np.arange(12))
    off = a != b
    values = (a[off] + b[off]) / 22
    both, one = share(values, a[off], b[off]), share(values, a[off])
    assert both.value == one.value == 0.5 and both.count == 132
    assert both.high - both.low > 1.5 * (one.high - one.low)


def test_intervals_cover_what_a_simulated_world_has():
    """20 worlds of 30 people: intervals of 95 % that hold the mean of 80 other worlds."""

    def measured(seed: int, resamples: int) -> list[Rate]:
        found = verification(crowd(seed=seed), fars=(1e-2,), resamples=resamples)
        who = identification(crowd(seed=seed), resamples=resamples)
        return [found.auc, found.eer, found.tar_at_far[1e-2], who.rank[1]]

    means = np.mean([[m.value for m in measured(1000 + s, 0)] for s in range(80)], axis=0)
    ends = np.array([[(m.low, m.high) for m in measured(s, 200)] for s in range(20)])
    held = ((ends[..., 0] <= means) & (means <= ends[..., 1])).sum(0)
    assert (held >= 16).all()  # 19 expected; 15 or fewer happen less than once in 1,000


def test_identities_and_not_pictures_are_drawn():
    """Eight equal probes of each person say no more than one does: the interval stays as wide."""
    one = crowd(40, probes=1)
    eight = Comparison(np.repeat(one.similarity, 8, 0), np.repeat(one.probe, 8), one.gallery)
    a, b = (identification(c, ranks=(1,)).rank[1] for c in (one, eight))
    assert (a.value, a.low, a.high) == (b.value, b.low, b.high)
    c, d = (verification(x, fars=(1e-2,), resamples=200).auc for x in (one, eight))
    assert (c.low, c.high) == pytest.approx((d.low, d.high))
    first, again, other = (verification(crowd(), resamples=50, seed=s).auc for s in (1, 1, 2))
    assert first == again and (first.low, first.high) != (other.low, other.high)


# Bad input ----------------------------------------------------------------------------------------


def alone_or_apart(same: bool) -> Comparison:
    """Pictures of one person only, or of people who have no mate."""
    people = (np.zeros(2, int), np.zeros(3, int)) if same else (np.array([0, 1]), np.arange(5, 8))
    return Comparison(np.zeros((2, 3)), *people)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        *[
            (lambda m=measure, s=same: m(alone_or_apart(s)), said)
            for measure in (verification, identification)
            for same, said in ((True, "all pictures show identity 0"), (False, "no mate of any"))
        ],
        (
            lambda: identification(Comparison(np.zeros((2, 1)), np.arange(2), np.zeros(1, int))),
            "identity 0 only",
        ),
        *[(lambda f=far: verification(tiny(), fars=(f,)), "a FAR of") for far in (0.0, 1.0)],
        *[(lambda f=far: calibrate(tiny(), f), "a FAR of") for far in (-0.1, math.nan)],
        (lambda: identification(tiny(), ranks=(0,)), "ranks"),
        (lambda: verification(tiny(), resamples=-1), "resamples"),
        (lambda: calibrate(tiny(), 1e-3), "needed"),
        (lambda: verdicts(tiny(), math.nan), "NaN"),
        (lambda: share([], []), "nothing to average"),
        *[(lambda k=k, n=n: exact_interval(k, n), "trials") for k, n in ((3, 2), (-1, 2), (0, 0))],
    ],
)
def test_what_cannot_be_measured_is_refused(ask, said):
    with pytest.raises(LabError, match=said):
        ask()


def given_as(**changed: NDArray[np.float64]) -> Callable[[], Comparison]:
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
