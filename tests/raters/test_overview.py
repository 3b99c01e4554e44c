"""Raters: their consistency, their side, their pace, and the summary of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from examples import STRANGE_TEXTS, candidate_set, rating
from planted import journal_of
from scipy.stats import binomtest

from workbench.raters.habits import FASTEST_READER, consistency, position_bias, too_fast
from workbench.raters.overview import Raters, summary
from workbench.records import Rating, decode, encode


def pairwise(n: int, ranking: str = "a>b", *, shown: str = "ab", **fields) -> Rating:
    return rating(f"s{n}", ranking, kind="pairwise", shown=shown, id=f"r{n}", **fields)


def again(first: Rating, ranking: str, **fields) -> Rating:
    repeat = rating(first.candidate_set, ranking, kind=first.kind, rater=first.rater, **fields)
    return replace(repeat, id=f"again-{first.id}", repeats=first.id)


# --- consistency -----------------------------------------------------------


def test_consistency_is_the_share_of_repeated_pairs_judged_the_same():
    firsts = [pairwise(n) for n in range(10)]
    repeats = [again(r, "a>b" if n < 7 else "b>a", shown="ba") for n, r in enumerate(firsts)]
    found = consistency([*firsts, *repeats])
    exact = binomtest(7, 10).proportion_ci(0.95, method="exact")
    assert (found.value, found.n) == (0.7, 10)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.03)


def test_a_tie_is_consistent_with_a_tie_only_and_both_bad_is_not_a_tie():
    tie, bad = pairwise(1, "ab"), pairwise(2, "ab", both_bad=True)
    assert consistency([tie, again(tie, "ab")]).value == 1
    assert consistency([tie, again(tie, "a>b")]).value == 0
    assert consistency([bad, again(bad, "ab")]).value == 0
    assert consistency([bad, again(bad, "ab", both_bad=True)]).value == 1


def test_a_repeated_ranking_is_compared_pair_by_pair():
    first = rating("s", "a>b>c>d", id="r")
    assert consistency([first, again(first, "a>b>d>c")]).value == pytest.approx(5 / 6)


def test_without_repeats_or_with_their_first_gone_consistency_is_unknown():
    first = pairwise(1)
    for ratings in ([], [first], [again(first, "a>b")]):
        found = consistency(ratings)
        assert found.value is None
        assert found.why == "nothing was asked twice"


def test_a_repeat_that_came_in_by_two_doors_counts_once():
    first = pairwise(1)
    assert consistency([first, again(first, "a>b"), again(first, "a>b")]).n == 1


def test_a_repeat_is_compared_with_what_stood_when_it_was_asked():
    first = pairwise(1, at="2026-01-01T10:00:00Z")
    changed = replace(first, id="changed", ranking=(("b",), ("a",)), at="2026-01-01T11:00:00Z")
    repeat = again(first, "b>a", shown="ba", at="2026-01-01T12:00:00Z")
    later = replace(first, id="later", at="2026-01-01T13:00:00Z")
    assert consistency([first, changed, repeat]).value == 1
    assert consistency([first, changed, repeat, later]).value == 1
    assert consistency([first, repeat, later]).value == 0


def test_a_repeat_of_what_was_skipped_since_is_compared_with_nothing():
    first = pairwise(1)
    skipped = rating("s1", kind="skip", shown="ab")
    assert consistency([first, skipped, again(first, "a>b")]).value is None


def test_a_rating_that_repeats_itself_says_nothing():
    first = pairwise(1)
    assert consistency([replace(first, repeats=first.id)]).value is None


# --- position bias ---------------------------------------------------------


def test_position_bias_is_the_exact_binomial_test_on_pairs():
    ratings = [pairwise(n, "a>b" if n < 30 else "b>a") for n in range(40)]
    found = position_bias([*ratings, pairwise(50, "ab")])
    assert (found.earlier.value, found.earlier.n) == (0.75, 40)
    assert found.p == pytest.approx(binomtest(30, 40).pvalue)


def test_who_prefers_an_answer_wherever_it_stands_has_no_position_bias():
    ratings = [pairwise(n, shown="ab" if n % 2 else "ba") for n in range(40)]
    found = position_bias(ratings)
    assert found.earlier.value == 0.5
    assert found.p == 1.0


def test_a_ranking_counts_the_pairs_that_the_earlier_shown_won():
    assert position_bias([rating("s", "a>b>c", shown="abc")]).earlier.value == 1
    assert position_bias([rating("s", "a>b>c", shown="cba")]).earlier.value == 0
    assert position_bias([rating("s", "a>b>c", shown="bac")]).earlier.value == pytest.approx(2 / 3)
    assert position_bias([rating("s", "ab>c", shown="cab")]).earlier.n == 2


@pytest.mark.slow
def test_unbiased_rankers_are_called_biased_as_rarely_as_stated():
    """Pairs of a ranking hang together: a test over pairs would cry wolf twice as often."""
    random = np.random.default_rng(0)
    alarms, outside = 0, 0
    for _ in range(400):
        ratings = [
            rating(f"s{n}", "a>b>c>d>e>f", shown="".join(random.permutation(list("abcdef"))))
            for n in range(30)
        ]
        found = position_bias(ratings)
        alarms += found.p is not None and found.p < 0.05
        outside += not found.earlier.low <= 0.5 <= found.earlier.high
    assert alarms <= 28  # 20 expected of an exact test at most, and its sampling error
    assert outside <= 32


def test_raters_who_use_the_same_id_both_count():
    both = [pairwise(n, rater=rater) for n in range(6) for rater in ("person:anna", "person:ben")]
    assert position_bias(both).earlier.n == 12
    assert position_bias(both).biased


def test_nothing_decided_has_no_position_bias():
    found = position_bias([pairwise(1, "ab")])
    assert (found.earlier.value, found.p, found.biased) == (None, None, False)


# --- pace --------------------------------------------------------------------


def paced(seconds: list[float], words: int = 5):
    """A rater's pairwise choices of two answers of `words` words, and their sets."""
    sets = [candidate_set(f"s{n}", "w " * words, "v " * words) for n in range(len(seconds))]
    ratings = [replace(pairwise(n), seconds=s) for n, s in enumerate(seconds)]
    return ratings, {s.id: s for s in sets}


def test_a_judgement_far_below_the_rater_s_own_pace_is_shown():
    usual = [10.0, 12, 9, 14, 11, 8, 13, 10, 12, 9, 11]
    [flagged] = too_fast(*paced([*usual, 2.0]))
    assert (flagged.rating, flagged.seconds) == ("r11", 2.0)
    assert "own pace" in flagged.reason
    assert too_fast(*paced(usual)) == ()


def test_a_quick_rater_is_not_an_outlier_among_slow_ones():
    assert too_fast(*paced([2.0, 2.5, 1.8, 2.2, 2.1, 1.9, 2.4, 2.3, 2.0, 1.7, 2.6, 2.0])) == ()


def test_nobody_reads_faster_than_the_fastest_reader():
    fast = 2 * 100 / (FASTEST_READER / 60)  # seconds for two answers of 100 words
    [flagged] = too_fast(*paced([fast * 0.99, fast * 1.01, 60], words=100))
    assert (flagged.rating, flagged.words) == ("r0", 200)
    assert "1000 words a minute" in flagged.reason


def test_equal_few_or_missing_times_flag_nobody():
    assert too_fast(*paced([10.0] * 12 + [9.0])) == ()
    assert too_fast(*paced([10.0, 12, 9, 14, 1.0])) == ()
    ratings, sets = paced([1.0])
    assert too_fast([replace(ratings[0], seconds=None)], sets) == ()


def test_no_time_at_all_and_impossible_times_do_no_harm():
    ratings, sets = paced([0.0, -1.0, *[10.0, 12, 9, 14, 11, 8, 13, 10, 12, 9]])
    assert [flagged.rating for flagged in too_fast(ratings, sets)] == ["r0"]


def test_rankings_and_pairs_have_their_own_pace():
    """Pairs that take 2 seconds are no outliers among rankings that take 20."""
    ratings, sets = paced([20.0, 22, 19, 24, 21, 18, 23, 20, 22, 19, 21, 2.0])
    rankings = [replace(r, kind="ranking") for r in ratings[:-1]]
    assert too_fast([*rankings, ratings[-1]], sets) == ()


# --- summary -----------------------------------------------------------------


def many(raters: dict[str, float], sets: int = 120, seed: int = 0):
    """Rankings of three answers by raters with their own noise; a tenth of them repeated."""
    random = np.random.default_rng(seed)
    worth = random.normal(size=(sets, 3))
    ratings = []
    for rater, noise in raters.items():
        for n in range(sets):
            for repeat in (False, True) if n % 10 == 0 else (False,):
                felt = worth[n] + noise * random.normal(size=3)
                order = ">".join(np.array(list("abc"))[np.argsort(-felt)])
                shown = "".join(random.permutation(list("abc")))
                made = rating(f"s{n}", order, shown=shown, rater=rater, id=f"{rater} {n} {repeat}")
                repeats = f"{rater} {n} False" if repeat else None
                ratings.append(replace(made, repeats=repeats, seconds=20.0 + random.random()))
    return ratings, [candidate_set(f"s{n}", "one", "two", "three") for n in range(sets)]


def test_a_summary_says_who_judged_and_how_well():
    ratings, sets = many({"person:anna": 0.3, "person:ben": 0.6, "model:judge@1": 2.0})
    found = summary(ratings, sets, seed=0)
    assert [r.name for r in found.raters] == ["person:anna", "person:ben", "model:judge@1"]
    assert [r.kind for r in found.raters] == ["person", "person", "model"]
    anna, _, model = found.raters
    assert anna.consistency.value > model.consistency.value
    assert (anna.judgements, anna.pairs, anna.consistency.n) == (120, 360, 36)
    assert anna.median_seconds == pytest.approx(20.5, abs=0.5)
    assert (found.candidate_sets, found.pairs, found.set_aside) == (120, 360, 0)
    assert [k.raters for k in found.kappas] == [
        ("model:judge@1", "person:anna"),
        ("model:judge@1", "person:ben"),
        ("person:anna", "person:ben"),
    ]
    assert 0.5 < found.agreement.value < found.ceiling.value < 1
    assert found == summary(ratings, sets, seed=0)


def test_where_two_people_compared_answers_agreement_is_that_of_people():
    people = {"person:anna": 0.3, "person:ben": 0.6, "person:clara": 0.9}
    ratings, sets = many(people | {"model:judge@1": 2.0, "rule:shorter": 3.0})
    found = summary(ratings, sets, seed=0)
    alone = summary([r for r in ratings if r.rater in people], sets, seed=0)
    assert found.agreement_of == alone.agreement_of == "people"
    assert (found.alpha, found.agreement, found.ceiling) == (
        alone.alpha,
        alone.agreement,
        alone.ceiling,
    )
    assert found.raters[:3] == alone.raters
    for judge in found.raters[3:]:
        assert judge.accuracy.value is None
        assert judge.accuracy.why == "only people are compared"
    assert len(found.kappas) == 10


def test_with_one_person_or_none_agreement_is_that_of_all_raters():
    ratings, sets = many({"person:anna": 0.3, "model:judge@1": 0.6, "rule:shorter": 0.9})
    found = summary(ratings, sets, seed=0)
    assert found.agreement_of == "all raters"
    anna, model, rule = found.raters
    assert anna.accuracy.value > model.accuracy.value > rule.accuracy.value
    assert found.alpha.value is not None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_planted_raters_are_found_through_a_journal_as_it_comes(seed):
    """Lines out of order and doubled, minds that changed, ratings taken back and foreign ones."""
    six = {"p1": 0.7, "p2": 0.8, "p3": 0.9, "p4": 0.7, "p5": 0.8, "p6": 0.9}
    planted = {f"person:{name}": right for name, right in six.items()}
    journal, sets = journal_of(planted, pairs=2000, seed=seed)
    found = summary(journal, sets, seed=seed)
    assert {r.name: r.accuracy.value for r in found.raters} == pytest.approx(planted, abs=0.03)
    assert found.ceiling.value == pytest.approx(0.8, abs=0.03)
    assert [r.judgements for r in found.raters] == [2000] * 6
    assert found.set_aside == 6
    for rater in found.raters:
        assert rater.consistency.value == 1
        assert rater.position.earlier.low <= 0.5 <= rater.position.earlier.high


def test_a_summary_is_a_record():
    for names in ({}, {"person:anna": 0.3}, {"person:anna": 0.3, "person:ben": 0.3}):
        found = summary(*many(names, sets=12), seed=0)
        assert decode(encode(found), Raters) == found


def test_repeats_count_for_consistency_alone():
    ratings, sets = many({"person:anna": 0.3, "person:ben": 0.6}, sets=30)
    with_, without = (
        summary(some, sets, seed=0) for some in (ratings, [r for r in ratings if not r.repeats])
    )
    assert with_.alpha == without.alpha
    assert with_.kappas == without.kappas
    assert with_.raters[0].judgements == without.raters[0].judgements == 30
    assert without.raters[0].consistency.value is None


def test_skips_ties_undone_and_foreign_ratings_are_told_apart():
    sets = [candidate_set(f"s{n}", "x", "y") for n in range(6)]
    ratings = [
        pairwise(0),
        pairwise(1, "ab"),
        pairwise(2, "ab", both_bad=True),
        rating("s3", kind="skip", shown="ab"),
        replace(rating("s3", kind="comment", shown="a"), comment="odd"),
        rating("s3", kind="thumbs", shown="a", value=1),
        pairwise(4, at="2026-01-01T09:00:00Z"),
        rating("s4", kind="undo", shown="ab", undoes="r4"),
        rating("elsewhere", "a>b"),
    ]
    found = summary(ratings, sets, seed=0)
    [anna] = found.raters
    assert (anna.judgements, anna.skips, anna.pairs, anna.ties) == (4, 1, 3, 2)
    assert found.set_aside == 1
    assert "fewer than two raters" in found.alpha.why


def test_people_alone_are_asked_whether_they_read():
    sets = [candidate_set("s0", "w " * 100, "v " * 100)]
    for name, flagged in (("person:anna", 1), ("model:m@1", 0), ("rule:shorter", 0)):
        quick = replace(pairwise(0, rater=name), seconds=0.1)
        [rater] = summary([quick], sets, seed=0).raters
        assert len(rater.too_fast) == flagged


def test_strange_answers_and_names_are_raters_and_answers_like_others():
    texts = list(STRANGE_TEXTS.values())[:8]
    sets = [candidate_set("s", *texts)]
    ratings = [
        rating("s", "h>g>f>e>d>c>b>a", rater=f"person:{name}") for name in ("ю", "👩🏽‍🚀", ":")
    ]
    found = summary([replace(r, seconds=3.0) for r in ratings], sets, seed=0)
    assert {r.name for r in found.raters} == {"person:ю", "person:👩🏽‍🚀", "person::"}
    assert found.pairs == 28
    # 200 kB in three seconds.
    assert all(len(r.too_fast) == 1 for r in found.raters)
