"""Which ratings count: the last word of each rater on each thing, of those that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from examples import candidate_set, rating

from workbench import ratings
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
    ],
)
def test_what_fits_nothing_is_set_aside_with_its_reason(bad, reason: str) -> None:
    good = rating("s", "a>b>c")
    checked = ratings.check([bad, good], [SET])
    assert checked.good == (good,)
    (aside,) = checked.aside
    assert reason in aside.reason
    assert decode(aside.content, RatingRecord) == bad


def test_what_is_set_aside_is_kept_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "aside.jsonl", SetAside)
    one, two = SetAside("here", "why", "what"), SetAside("here", "why", "something else")
    assert ratings.set_aside(journal, [one, one]) == 1
    assert ratings.set_aside(journal, [one, two]) == 1
    assert list(journal) == [one, two]
