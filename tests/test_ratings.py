"""Which ratings count: the last word of each rater on each thing, of those that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from examples import candidate_set, rating

from workbench import ratings
from workbench.errors import InputError
from workbench.journal import Journal
from workbench.records import Rating as RatingRecord
from workbench.records import SetAside, decode

SET = candidate_set("s", "one", "two", "three")
MORNING, NOON, NIGHT = (f"2026-01-01T{hour}:00:00Z" for hour in ("08", "12", "22"))


def test_the_last_word_of_a_rater_counts_whatever_the_order_on_the_screen() -> None:
    first = rating("s", "a>b", kind="pairwise", at=MORNING)
    changed = rating("s", "b>a", kind="pairwise", shown="ba", at=NOON)
    other = rating("s", "a>b", kind="pairwise", rater="person:ben", at=MORNING)
    assert ratings.standing([changed, other, first]) == [other, changed]


def test_a_skip_after_a_judgement_takes_its_place() -> None:
    judged = rating("s", "a>b", kind="pairwise", at=MORNING)
    skipped = rating("s", kind="skip", shown="ab", at=NOON)
    assert ratings.standing([judged, skipped]) == [skipped]


def test_a_skip_of_a_single_answer_stands_for_its_thumb_and_its_stars() -> None:
    thumb = rating("s", kind="thumbs", shown="a", value=1, at=MORNING)
    skipped = rating("s", kind="skip", shown="a", at=NOON)
    other = rating("s", kind="stars", shown="b", value=3, at=MORNING)
    stars = rating("s", kind="stars", shown="a", value=3, at=NIGHT)
    assert ratings.standing([thumb, other, skipped]) == [other, skipped]
    assert ratings.standing([thumb, other, skipped, stars]) == [other, stars]


def test_an_undone_undo_gives_the_rating_back() -> None:
    judged = rating("s", "a>b", at=MORNING)
    undo = rating("s", kind="undo", undoes=judged.id, at=NOON)
    again = rating("s", kind="undo", undoes=undo.id, at=NIGHT)
    assert ratings.standing([judged, undo]) == []
    assert ratings.standing([judged, undo, again]) == [judged]


def test_a_repeat_measures_the_rater_and_does_not_count() -> None:
    judged = rating("s", "a>b", kind="pairwise", at=MORNING)
    repeat = replace(rating("s", "b>a", kind="pairwise", shown="ba", at=NOON), repeats=judged.id)
    assert ratings.standing([judged, repeat]) == [judged]
    assert ratings.not_undone([judged, repeat]) == [judged, repeat]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (rating("elsewhere", "a>b"), "no candidate set elsewhere"),
        (rating("s", "a>z"), "no completion z"),
        (rating("s", "a>a", shown="ab"), "twice"),
        (rating("s", "a", shown="a"), "fewer than two"),
        (rating("s", kind="stars", shown="a", value=6), "6 is not a value of stars"),
        (rating("s", kind="thumbs", shown="ab", value=1), "of one completion, not 2"),
        (rating("s", kind="correction", shown="a"), "text of the correction is missing"),
        (rating("s", kind="comment", shown="a"), "comment is empty"),
        (rating("s", "a>b", at="yesterday"), "not ISO 8601"),
        (rating("s", kind="undo", undoes="nothing"), "did not give"),
        (rating("s", "a>b", at="0001-01-01T00:00:00+05:00"), "not a time in UTC"),
        (rating("s", "", kind="pairwise", both_bad=True), "shows no completion"),
        (rating("s", "a>b", shown="aab"), "shows a completion twice"),
        (rating("s", "a>b>c", kind="pairwise"), "of two completions, not 3"),
        (rating("s", shown="a", kind="pairwise", both_bad=True), "of two completions, not 1"),
        (rating("s", shown="a", both_bad=True), "fewer than two"),
        (rating("s", "a>b", both_bad=True), "both bad and one better"),
        (replace(rating("s", "a>b"), seconds=-5.0), "took -5.0 seconds"),
        (replace(rating("s", "a>b"), confidence=99), "confidence 99"),
        (replace(rating("s", "a>b"), confidence=0), "confidence 0"),
        (rating("s", "a>b", rater=""), "'' is not the name of a rater"),
        (rating("s", "a>b", rater="anna"), "'anna' is not the name of a rater"),
        (rating("s", "a>b", rater="person:"), "'person:' is not the name of a rater"),
        (rating("s", "a>b", rater="robot:r2"), "'robot:r2' is not the name of a rater"),
        (replace(rating("s", "a>b"), traces=("t",)), "1 traces for 2 completions"),
    ],
)
def test_what_fits_nothing_is_set_aside_with_its_reason(bad, reason: str) -> None:
    good = rating("s", "a>b>c")
    checked = ratings.check([bad, good], [SET])
    assert checked.good == (good,)
    (aside,) = checked.aside
    assert reason in aside.reason
    assert decode(aside.content, RatingRecord) == bad


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_set_aside(seconds: float) -> None:
    (aside,) = ratings.check([replace(rating("s", "a>b"), seconds=seconds)], [SET]).aside
    assert f"took {seconds} seconds" in aside.reason


@pytest.mark.parametrize(
    "good",
    [
        rating("s", "ab", kind="pairwise", both_bad=True),
        rating("s", "", kind="pairwise", shown="ab", both_bad=True),
        replace(rating("s", "a>b"), seconds=0.0, confidence=5, traces=("t", "")),
        rating("s", "a>b", rater="model:a:b@1"),
        rating("s", kind="skip", shown="abc", rater="rule:x"),
    ],
)
def test_what_a_rater_may_say_fits(good: RatingRecord) -> None:
    assert ratings.check([good], [SET]).good == (good,)


def test_lines_that_two_writers_doubled_count_once() -> None:
    judged = rating("s", "a>b", at=MORNING)
    repeat = replace(rating("s", "b>a", shown="ba", at=NOON), repeats=judged.id)
    undo = rating("s", kind="undo", undoes=repeat.id, at=NIGHT)
    assert ratings.not_undone([judged, repeat] * 2) == [judged, repeat]
    assert ratings.not_undone([judged, repeat, undo] * 2) == [judged]
    other = rating("s", "a>b", rater="person:ben", id=judged.id, at=NOON)
    assert ratings.not_undone([judged, other]) == [judged, other]


def test_what_is_set_aside_is_kept_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "aside.jsonl", SetAside)
    one, two = SetAside("here", "why", "what"), SetAside("here", "why", "something else")
    assert ratings.set_aside(journal, [one, one]) == 1
    assert ratings.set_aside(journal, [one, two]) == 1
    assert list(journal) == [one, two]


def test_raters_are_chosen_by_name_by_kind_or_all() -> None:
    given = [rating("s", "a>b", rater=r) for r in ("person:anna", "person:ben", "rule:x")]
    assert ratings.given_by(" person:ben , rule:x", given) == given[1:]
    assert ratings.given_by("people", given) == given[:2]
    assert ratings.given_by("all", given) == given
    with pytest.raises(InputError, match=r"no ratings of person:bne.*person:anna, person:ben"):
        ratings.given_by("person:anna,person:bne", given)
