"""Agreement: our numbers are those of the definitions, of krippendorff and of scikit-learn."""

from __future__ import annotations

from dataclasses import astuple

import krippendorff
import numpy as np
import pytest
from examples import rating
from planted import outcomes_of
from sklearn.metrics import cohen_kappa_score

from workbench.raters.agreement import alpha, ceiling, decided_agreement, kappas
from workbench.raters.estimates import Estimate, share
from workbench.raters.outcomes import OUTCOMES, Pair, choices, outcomes


def random_outcomes(seed: int, raters: int = 4, pairs: int = 40, missing: float = 0.3):
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(len(OUTCOMES)) * 2)
    said = {}
    for i in range(pairs):
        usual = random.choice(OUTCOMES, p=shares)
        said[Pair(f"s{i // 3}", f"a{i}", f"b{i}")] = {
            f"r{r}": str(usual if random.random() < 0.6 else random.choice(OUTCOMES, p=shares))
            for r in range(raters)
            if random.random() > missing
        }
    return said


def table(said, raters):
    """Raters x pairs, outcomes as numbers and NaN where there is none."""
    code = {outcome: i for i, outcome in enumerate(OUTCOMES)}
    return [[code[row[r]] if r in row else np.nan for row in said.values()] for r in raters]


# --- outcomes -------------------------------------------------------------


def test_a_ranking_is_all_its_pairs_and_ties_stay_ties():
    said = outcomes([rating("s", "c>ab>d", shown="abcd")])
    winners = {}
    for pair, row in said.items():
        named = {"first": pair.first, "second": pair.second}
        winners[frozenset({pair.first, pair.second})] = named.get(row["person:anna"])
    expected = {"ab": None, "ac": "c", "ad": "a", "bc": "c", "bd": "b", "cd": "c"}
    assert winners == {frozenset(pair): winner for pair, winner in expected.items()}


def test_an_outcome_is_the_same_whichever_side_the_answer_was_shown_on():
    one = outcomes([rating("s", "a>b", kind="pairwise", shown="ab")])
    assert one == outcomes([rating("s", "a>b", kind="pairwise", shown="ba")])


def test_neither_place_in_the_alphabet_is_always_first():
    said = outcomes([rating(f"s{i}", "a>b") for i in range(200)])
    firsts = [pair.first for pair in said]
    assert 70 < firsts.count("a") < 130


def test_the_last_word_on_a_pair_counts_and_both_bad_is_of_all_shown():
    [row] = outcomes([rating("s", "a>b"), rating("s", "b>a", kind="pairwise")]).values()
    [other] = outcomes([rating("s", "b>a")]).values()
    assert row == other
    bad = choices(rating("s", "", shown="abc", both_bad=True))
    assert [(c.earlier, c.later, c.winner, c.both_bad) for c in bad] == [
        ("a", "b", None, True), ("a", "c", None, True), ("b", "c", None, True)
    ]  # fmt: skip


def test_marks_and_answers_left_unranked_say_nothing_of_a_pair():
    assert choices(rating("s", "", kind="thumbs", shown="a", value=1)) == []
    assert [(c.earlier, c.later) for c in choices(rating("s", "c>a", shown="abc"))] == [("a", "c")]


# --- alpha ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_alpha_is_that_of_the_krippendorff_library(seed):
    said = random_outcomes(seed, raters=2 + seed % 4)
    raters = sorted({rater for row in said.values() for rater in row})
    expected = krippendorff.alpha(
        reliability_data=table(said, raters), level_of_measurement="nominal"
    )
    assert alpha(said, seed=0).value == pytest.approx(expected, abs=1e-12)


def test_full_agreement_is_one_and_chance_is_nought():
    agreed = outcomes_of({"a": 1.0, "b": 1.0, "c": 1.0}, pairs=200, seed=0)
    assert alpha(agreed, seed=0).value == 1.0
    random = alpha(outcomes_of({"a": 0.5, "b": 0.5, "c": 0.5}, pairs=3000, seed=0), seed=0)
    assert random.value == pytest.approx(0, abs=0.03)
    assert random.low < 0 < random.high


def test_alpha_of_planted_raters_is_what_their_accuracies_make_it():
    """Two-outcome alpha nears the mean of (2 a - 1) (2 b - 1) over the couples: here 0.3467."""
    found = alpha(outcomes_of({"a": 0.7, "b": 0.8, "c": 0.9}, pairs=4000, seed=0), seed=0)
    expected = (0.4 * 0.6 + 0.4 * 0.8 + 0.6 * 0.8) / 3
    assert found.value == pytest.approx(expected, abs=0.02)
    assert found.low < expected < found.high


def test_a_seed_repeats_the_interval():
    said = random_outcomes(0)
    assert alpha(said, seed=1) == alpha(said, seed=1)
    assert alpha(said, seed=1).low != alpha(said, seed=2).low


def test_pairs_of_one_set_widen_the_interval():
    """Ten copies of each pair bring no knowledge: the interval stays as wide as without them."""
    single = outcomes_of({"a": 0.8, "b": 0.8}, pairs=100, seed=3)
    copies = {
        Pair(pair.candidate_set, f"{pair.first}-{i}", pair.second): row
        for pair, row in single.items()
        for i in range(10)
    }
    apart = {Pair(f"{p.candidate_set}-{p.first}", p.first, p.second): r for p, r in copies.items()}
    one, ten, free = (alpha(said, seed=0) for said in (single, copies, apart))
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.1)
    assert free.high - free.low < 0.5 * (ten.high - ten.low)


# --- kappa ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_kappas_are_those_of_scikit_learn(seed):
    said = random_outcomes(seed)
    for kappa in kappas(said, seed=0):
        a, b = kappa.raters
        both = [(row[a], row[b]) for row in said.values() if a in row and b in row]
        expected = cohen_kappa_score(*zip(*both, strict=True))
        assert kappa.kappa.value == pytest.approx(expected, abs=1e-12)
        assert kappa.agreement.value == pytest.approx(np.mean([x == y for x, y in both]))
        assert kappa.kappa.n == len(both)


def test_there_is_a_kappa_for_each_two_raters():
    names = ["".join(k.raters) for k in kappas(random_outcomes(0, raters=4), seed=0)]
    assert names == ["r0r1", "r0r2", "r0r3", "r1r2", "r1r3", "r2r3"]


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth = 0.6 * 0.8  # kappa of accuracies 0.8 and 0.9 with balanced truth
    held = 0
    for seed in range(100):
        said = outcomes_of({"a": 0.8, "b": 0.9}, pairs=150, seed=seed)
        [found] = kappas(said, seed=seed)
        held += found.kappa.low <= truth <= found.kappa.high
    assert 88 <= held <= 100


# --- where nothing can be told ----------------------------------------------


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "fewer than two raters"),
        ([{"a": "first"}, {"a": "second"}], "fewer than two raters"),
        ([{"a": "first"}, {"b": "second"}], "no pair was judged by two"),
        ([{"a": "tie", "b": "tie"}] * 9, "every outcome is the same"),
    ],
)
def test_alpha_is_none_and_says_why_where_it_is_not_defined(rows, why):
    said = {Pair(f"s{i}", "a", "b"): row for i, row in enumerate(rows)}
    found = alpha(said, seed=0)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert why in found.why


def test_kappa_is_none_without_overlap_or_with_one_outcome():
    apart = {Pair("s", "a", "b"): {"x": "first"}, Pair("t", "a", "b"): {"y": "first"}}
    [none] = kappas(apart, seed=0)
    assert none.kappa.value is None
    assert "no pair in common" in none.kappa.why
    same = {Pair(f"s{i}", "a", "b"): {"x": "tie", "y": "tie"} for i in range(9)}
    [one] = kappas(same, seed=0)
    assert one.kappa.value is None
    assert one.agreement.value == 1.0


def test_few_sets_have_a_value_and_no_interval():
    said = outcomes_of({"a": 0.9, "b": 0.9}, pairs=40, per_set=10, seed=0)
    found = alpha(said, seed=0)
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert "fewer than 5 sets" in found.why


def test_nothing_is_ever_nan():
    for seed in range(30):
        said = random_outcomes(seed, raters=3, pairs=seed, missing=0.7)
        found = [alpha(said, seed=0), decided_agreement(said, seed=0)]
        found += [k.kappa for k in kappas(said, seed=0)]
        for estimate in [*found, *map(ceiling, found)]:
            assert all(x is None or x == x for x in astuple(estimate))
            assert (estimate.value is None) <= bool(estimate.why)


# --- shares ----------------------------------------------------------------


def test_a_share_with_one_observation_a_set_is_clopper_and_pearson_s():
    from scipy.stats import binomtest

    found = share([1] * 30 + [0] * 10, [1] * 40, why="")
    exact = binomtest(30, 40).proportion_ci(0.95, method="exact")
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.01)
    all_hit = share([1] * 40, [1] * 40, why="")
    exact = binomtest(40, 40).proportion_ci(0.95, method="exact")
    assert (all_hit.low, all_hit.high) == pytest.approx((exact.low, exact.high))


def test_a_share_within_few_sets_is_known_less_well():
    apart = share([1] * 30 + [0] * 10, [1] * 40, why="")
    together = share([10] * 3 + [0], [10] * 4, why="")
    assert together.value == apart.value
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert share([], [], why="nothing") == Estimate(None, None, None, 0, "nothing")


# --- the ceiling -------------------------------------------------------------


def test_a_perfect_adapter_judged_by_such_raters_shows_the_ceiling():
    right = 0.85
    agreement = decided_agreement(outcomes_of({"a": right, "b": right}, pairs=4000, seed=1), seed=0)
    found = ceiling(agreement)
    measured = np.mean(np.random.default_rng(2).random(4000) < right)
    assert found.value == pytest.approx(measured, abs=0.02)
    assert found.low < right < found.high


def test_ties_do_not_lower_the_ceiling():
    said = outcomes_of({"a": 0.85, "b": 0.85}, pairs=4000, ties=0.3, seed=1)
    assert ceiling(decided_agreement(said, seed=0)).value == pytest.approx(0.85, abs=0.02)


@pytest.mark.parametrize(("p", "highest"), [(0.5, 0.5), (0.625, 0.75), (0.82, 0.9), (1.0, 1.0)])
def test_the_ceiling_of_an_agreement(p, highest):
    assert ceiling(Estimate(p, 0.3, 1.0, 9)).value == pytest.approx(highest)
    assert ceiling(Estimate(p, 0.3, 1.0, 9)).low == 0.5


def test_there_is_no_ceiling_below_chance_or_without_agreement():
    below = ceiling(Estimate(0.4, 0.3, 0.6, 9))
    assert below.value is None
    assert "less often than two coins" in below.why
    assert ceiling(Estimate(None, None, None, 0, "no pair")).why == "no pair"
