from __future__ import annotations

import pytest
from examples import candidate_set, rating

from workbench.errors import InputError
from workbench.preferences import build

FOUR = candidate_set("s", "one", "two", "three", "four")
THREE_RATERS = ("person:anna", "person:ben", "person:cleo")


def stars(*values, rater="person:anna"):
    """One rating for each of the first answers."""
    return [
        rating("s", kind="stars", shown="abcd"[i], value=value, rater=rater)
        for i, value in enumerate(values)
    ]


def pairs(*ratings, sets=(FOUR,), **options):
    return [(p.chosen.id, p.rejected.id) for p in build(sets, ratings, **options)]


def test_best_against_worst_is_one_pair_per_ranking():
    assert pairs(rating("s", "c>a>d>b")) == [("c", "b")]


def test_all_pairs_leave_out_ties():
    assert sorted(pairs(rating("s", "c>ad>b"), strategy="all")) == [
        ("a", "b"),
        ("c", "a"),
        ("c", "b"),
        ("c", "d"),
        ("d", "b"),
    ]


def test_of_tied_answers_the_first_of_the_set_is_taken():
    assert pairs(rating("s", "db>ca")) == [("b", "a")]


def test_a_pairwise_choice_gives_its_pair():
    assert pairs(rating("s", "b>a", kind="pairwise")) == [("b", "a")]


def test_ties_and_both_bad_give_no_pair():
    tie = rating("s", "ab", kind="pairwise")
    bad = rating("s", "cd", kind="pairwise", both_bad=True)
    unranked = rating("s", "", kind="pairwise", shown="bc", both_bad=True)
    assert pairs(tie, bad, unranked) == []


def test_stars_and_thumbs_order_the_answers_where_they_differ():
    assert pairs(*stars(2, 5, 5)) == [("b", "a")]
    thumbs = [rating("s", kind="thumbs", shown=id, value=1) for id in "ab"]
    assert pairs(*thumbs) == []


def test_marks_of_different_raters_are_not_compared():
    one = rating("s", kind="stars", shown="a", value=1, rater="person:anna")
    other = rating("s", kind="stars", shown="b", value=5, rater="person:ben")
    assert pairs(one, other) == []


def test_a_pair_from_marks_names_both_ratings():
    marks = stars(1, 5)
    [pair] = build([FOUR], marks)
    assert pair.ratings == tuple(sorted(mark.id for mark in marks))


def test_a_comparison_outranks_marks_of_the_same_rater():
    assert pairs(*stars(1, 5), rating("s", "a>b", kind="pairwise")) == [("a", "b")]


def test_a_correction_is_chosen_against_its_original():
    [pair] = build([FOUR], [rating("s", kind="correction", shown="b", text="Two!")])
    assert (pair.chosen.text, pair.rejected.id) == ("Two!", "b")
    assert pair.chosen.id != pair.rejected.id
    assert pair.chosen.backend == "person:anna"
    assert pair.chosen.token_ids == ()


def test_a_correction_that_changes_nothing_gives_no_pair():
    assert pairs(rating("s", kind="correction", shown="b", text=" two\n")) == []


def test_raters_with_the_same_correction_share_a_pair():
    both = [
        rating("s", kind="correction", shown="b", text="Two!", rater=rater)
        for rater in ("person:anna", "person:ben")
    ]
    [pair] = build([FOUR], both)
    assert pair.raters == ("person:anna", "person:ben")


def test_the_latest_rating_of_a_rater_counts_whatever_the_order_of_lines():
    first = rating("s", "a>b>c>d", at="2026-01-01T10:00:00Z")
    later = rating("s", "d>c>b>a", at="2026-01-01T12:30:00+02:00", id="later")
    latest = rating("s", "b>a>d>c", at="2026-01-01T10:45:00.5Z", id="latest")
    assert pairs(latest, later, first) == [("b", "c")]


def test_at_equal_times_the_later_line_counts():
    assert pairs(rating("s", "a>b"), rating("s", "b>a")) == [("b", "a")]


def test_an_undo_takes_a_rating_back_and_the_one_before_stands_again():
    first = rating("s", "a>b", at="2026-01-01T10:00:00Z")
    second = rating("s", "b>a", at="2026-01-01T10:01:00Z")
    undo = rating("s", kind="undo", undoes=second.id, at="2026-01-01T10:02:00Z")
    assert pairs(first, second, undo) == [("a", "b")]
    undo_first = rating("s", kind="undo", undoes=first.id, at="2026-01-01T10:03:00Z")
    assert pairs(first, second, undo, undo_first) == []


def test_the_same_rating_given_again_after_an_undo_counts():
    again = [rating("s", "a>b", id="x", at=f"2026-01-01T10:0{i}:00Z") for i in (0, 2)]
    undo = rating("s", kind="undo", undoes="x", at="2026-01-01T10:01:00Z")
    assert pairs(again[0], undo, again[1]) == [("a", "b")]


def test_nobody_takes_back_the_rating_of_another():
    given = rating("s", "a>b", rater="person:anna")
    undo = rating("s", kind="undo", undoes=given.id, rater="person:ben")
    with pytest.raises(InputError, match="which person:ben did not give"):
        pairs(given, undo)


def test_the_majority_decides_a_conflict():
    orders = ("a>b", "b>a", "b>a")
    votes = [rating("s", o, rater=r) for o, r in zip(orders, THREE_RATERS, strict=True)]
    [pair] = build([FOUR], votes)
    assert (pair.chosen.id, pair.raters) == ("b", ("person:ben", "person:cleo"))
    assert pair.ratings == tuple(sorted(vote.id for vote in votes[1:]))


def test_an_even_vote_drops_the_pair():
    assert pairs(rating("s", "a>b"), rating("s", "b>a", rater="person:ben")) == []


def test_a_vote_for_a_tie_leaves_the_decision_to_the_others():
    assert pairs(rating("s", "a>b"), rating("s", "ab", rater="person:ben")) == [("a", "b")]


def test_raters_vote_on_pairs_that_are_not_their_own_extremes():
    anna = rating("s", "a>b>c>d", rater="person:anna")
    ben = rating("s", "b>d>a>c", rater="person:ben")
    # a against d is anna's pair; ben sees it the other way round.
    assert pairs(anna, ben) == [("b", "c")]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (rating("nowhere", "a>b"), "there is no candidate set nowhere"),
        (rating("s", "a>z"), "has no completion z"),
        (rating("s", "a>a"), "twice"),
        (rating("s", "a>b", shown="ac"), "not shown"),
        (rating("s", "a"), "fewer than two"),
        (rating("s", kind="stars", shown="a", value=6), "6 is not a value of stars"),
        (rating("s", kind="stars", shown="a"), "None is not a value"),
        (rating("s", kind="thumbs", shown="ab", value=1), "of one completion, not 2"),
        (rating("s", kind="correction", shown="a"), "text of the correction is missing"),
        (rating("s", kind="undo", undoes="unheard-of"), "did not give"),
        (rating("s", "a>b", at="yesterday"), "not ISO 8601"),
    ],
)
def test_a_rating_that_does_not_fit_is_named_or_left_out(bad, fault):
    good = rating("s", "c>d")
    with pytest.raises(InputError, match=fault) as raised:
        pairs(good, bad, bad)
    assert "2 of 3 ratings" in str(raised.value)
    assert pairs(good, bad, bad, strict=False) == [("c", "d")]


def test_two_different_sets_of_one_id_are_refused():
    with pytest.raises(InputError, match="Two different candidate sets have the id s"):
        pairs(rating("s", "a>b"), sets=(FOUR, candidate_set("s", "other", "texts")))


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InputError, match="best-vs-worst, all"):
        pairs(strategy="first-vs-last")
