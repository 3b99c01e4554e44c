"""Accuracy without gold: planted raters are found, and what can't be told is not told."""

from __future__ import annotations

import numpy as np
import pytest
from planted import outcomes_of

from workbench.raters.accuracy import accuracies
from workbench.raters.outcomes import Pair

pytestmark = pytest.mark.slow  # together they take more than ten seconds

SIX = {"p1": 0.7, "p2": 0.8, "p3": 0.9, "p4": 0.7, "p5": 0.8, "p6": 0.9}


def values(said, seed=0):
    return {name: found.value for name, found in accuracies(said, seed=seed).raters.items()}


@pytest.mark.parametrize("seed", range(5))
def test_planted_raters_of_70_80_and_90_percent_are_found_within_3_points(seed):
    found = values(outcomes_of(SIX, pairs=2000, seed=seed))
    assert found == pytest.approx(SIX, abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_three_raters_who_did_not_judge_everything_are_found_too(seed):
    planted = {"p1": 0.7, "p2": 0.8, "p3": 0.9}
    said = outcomes_of(planted, pairs=8000, seed=seed, missing=0.2, ties=0.1)
    assert values(said) == pytest.approx(planted, abs=0.03)


def test_over_many_seeds_the_error_is_that_of_sampling_and_intervals_hold():
    """400 pairs: a rater of 80 % has a standard error of 2 points even with a known truth."""
    errors, held = [], []
    for seed in range(25):
        found = accuracies(outcomes_of(SIX, pairs=400, seed=seed), seed=seed).raters
        for name, right in SIX.items():
            errors.append(found[name].value - right)
            held.append(found[name].low <= right <= found[name].high)
    assert abs(np.mean(errors)) < 0.005
    assert np.mean(np.abs(errors)) < 0.025
    assert 0.88 < np.mean(held) < 0.99


def test_a_contrarian_is_told_from_the_others():
    planted = {"a": 0.85, "b": 0.8, "c": 0.75, "contrarian": 0.2}
    found = values(outcomes_of(planted, pairs=4000, seed=1))
    assert found == pytest.approx(planted, abs=0.03)


@pytest.mark.parametrize("seed", [1, 16, 18, 23, 24])
def test_of_two_opposite_explanations_the_one_with_more_right_judgements_is_given(seed):
    """Raters of any accuracy; at these seeds EM alone ends at the other explanation."""
    planted = dict(zip("abcde", np.random.default_rng(seed).random(5).round(2), strict=True))
    found = accuracies(outcomes_of(planted, pairs=40, seed=seed, missing=0.45), seed=0).raters
    assert sum(rater.n * (rater.value - 0.5) for rater in found.values()) > 0


def test_exchanging_all_first_and_second_answers_changes_nothing():
    said = outcomes_of(SIX, pairs=300, seed=0, missing=0.3)
    other = {"first": "second", "second": "first", "tie": "tie", "both bad": "both bad"}
    swapped = {pair: {r: other[o] for r, o in row.items()} for pair, row in said.items()}
    assert values(swapped) == pytest.approx(values(said), abs=1e-9)
    one, two = (accuracies(s, seed=0).first_is_better for s in (said, swapped))
    assert {p: 1 - x for p, x in two.items()} == pytest.approx(one, abs=1e-9)


def test_the_posterior_of_a_pair_is_as_often_right_as_it_says():
    """Calibrated: of the pairs at 90 %, nine in ten are so."""
    random = np.random.default_rng(0)
    truth = random.random(6000) < 0.5
    said = {
        Pair(f"s{i}", "a", "b"): {
            r: "first" if (random.random() < right) == truth[i] else "second"
            for r, right in SIX.items()
        }
        for i in range(len(truth))
    }
    belief = np.array(list(accuracies(said, seed=0).first_is_better.values()))
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 0.6), (0.6, 0.9), (0.9, 1.0)):
        some = (belief >= low) & (belief <= high)
        reach = 3 * np.sqrt(0.25 / some.sum())
        assert truth[some].mean() == pytest.approx(belief[some].mean(), abs=reach)


def test_better_raters_weigh_more_than_a_majority_of_worse_ones():
    said = dict(outcomes_of({"good": 0.97, "x": 0.6, "y": 0.6}, pairs=4000, seed=0))
    asked = Pair("new", "a", "b")
    said[asked] = {"good": "first", "x": "second", "y": "second"}
    assert accuracies(said, seed=0).first_is_better[asked] > 0.8


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": "first"}] * 20,
        [{"a": "first", "b": "first"}] * 20,
        [{"a": "first", "b": "first"}] * 20 + [{"b": "first", "c": "second"}] * 20,
        [{"a": "tie", "b": "tie", "c": "both bad"}] * 20,
        [],
    ],
    ids=["one rater", "two raters", "a chain of three", "ties only", "nothing"],
)
def test_what_can_not_be_told_is_none_and_says_why(rows):
    said = {Pair(f"s{i}", "a", "b"): row for i, row in enumerate(rows)}
    found = accuracies(said, seed=0)
    assert found.first_is_better == {}
    for estimate in found.raters.values():
        assert (estimate.value, estimate.low, estimate.high) == (None, None, None)
        assert "three raters" in estimate.why
    assert set(found.raters) == {rater for row in rows for rater in row}


def test_three_who_met_in_twos_can_be_told():
    """Nobody judged all pairs, but each two raters have pairs in common."""
    said = {
        Pair(pair.candidate_set, pair.first, pair.second): {
            r: o for r, o in row.items() if r != "abc"[i % 3]
        }
        for i, (pair, row) in enumerate(
            outcomes_of({"a": 0.9, "b": 0.8, "c": 0.7}, pairs=12_000, seed=2).items()
        )
    }
    assert values(said) == pytest.approx({"a": 0.9, "b": 0.8, "c": 0.7}, abs=0.03)


def test_a_rater_apart_from_three_others_stays_unknown():
    said = dict(outcomes_of({"a": 0.9, "b": 0.8, "c": 0.7}, pairs=50, seed=0))
    said |= {Pair(f"own {i}", "a", "b"): {"loner": "first"} for i in range(50)}
    found = accuracies(said, seed=0).raters
    assert found["loner"].value is None
    assert found["a"].value is not None
