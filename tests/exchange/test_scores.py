"""What a rating is as scores, and what a score is as a rating."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from examples import rating

from workbench.errors import InputError
from workbench.exchange import scores
from workbench.exchange.langfuse_records import Score, ScoreConfig
from workbench.exchange.scores import Judgement, Labels, Scale, meanings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def score(data_type: str, value: Any, **fields: Any) -> Score:
    plain = Score(
        *("id-1", "helpful", data_type, value, "API", "trace", "t1", "t1", "", "", ""),
        *(NOW, NOW, {}),
    )
    return replace(plain, **fields)


def test_shares_are_the_part_of_the_others_that_an_answer_beats():
    assert scores.shares([("a",), ("b", "c"), ("d",)]) == {"a": 1, "b": 0.5, "c": 0.5, "d": 0}
    assert scores.shares([("a", "b")]) == {"a": 0.5, "b": 0.5}


def test_an_answer_without_a_trace_gets_no_score():
    found = scores.scores_of(rating("s", "a>b>c"), {"a": "ta", "c": "tc"})
    assert [(s.trace, s.value) for s in found] == [("ta", 1.0), ("tc", 0.0)]


def test_ids_tell_raters_ratings_and_answers_apart():
    traces = {"a": "ta", "b": "tb"}
    found = [
        *scores.scores_of(rating("s", "a>b"), traces),
        *scores.scores_of(rating("s", "a>b", rater="person:ben", id="same"), traces),
        *scores.scores_of(rating("s", "a>b", rater="person:eve", id="same"), traces),
    ]
    assert len({s.id for s in found}) == 6
    assert scores.scores_of(rating("s", "a>b"), traces) == found[:2]


def test_an_id_that_was_deleted_is_never_used_again():
    first = scores.again("x", [])
    second = scores.again("x", [first])
    third = scores.again("x", [first, second])
    assert first == "x"
    assert len({first, second, third}) == 3


def test_a_long_comment_is_cut_between_characters_and_kept_whole_beside():
    text = "a" + "😀" * 400
    (sent,) = scores.scores_of(
        replace(rating("s", kind="comment", shown="a"), comment=text), {"a": "t"}
    )
    assert sent.value == "a" + "😀" * 249
    assert sent.comment == text
    back = scores.read(score("TEXT", sent.value, comment=sent.comment), None)
    assert back.comment == text


@pytest.mark.parametrize(
    ("given", "meaning", "expected"),
    [
        (score("BOOLEAN", 1.0), None, Judgement("thumbs", 1)),
        (score("NUMERIC", 0.0), "thumbs", Judgement("thumbs", 0)),
        (score("NUMERIC", 3.0), "stars", Judgement("stars", 3)),
        (score("NUMERIC", 75.0), Scale(0, 100), Judgement("stars", 4)),
        (score("NUMERIC", 10.0), ScoreConfig(0, 10, {}), Judgement("stars", 5)),
        (score("CATEGORICAL", "Good"), None, Judgement("thumbs", 1)),
        (score("CATEGORICAL", "👎"), None, Judgement("thumbs", 0)),
        (score("CATEGORICAL", "meh"), Labels({"meh": 0}), Judgement("thumbs", 0)),
        (
            score("CATEGORICAL", "so-so"),
            ScoreConfig(None, None, {"poor": 0, "so-so": 1, "fine": 2}),
            Judgement("stars", 3),
        ),
        (
            score("CATEGORICAL", "b"),
            ScoreConfig(None, None, {"a": 0, "b": 1}),
            Judgement("thumbs", 1),
        ),
        (score("CORRECTION", "better"), None, Judgement("correction", text="better")),
        (score("TEXT", "hm", comment="more"), None, Judgement("comment", comment="hm\n\nmore")),
        (score("BOOLEAN", 0.0, comment="no"), None, Judgement("thumbs", 0, comment="no")),
    ],
)
def test_scores_are_read(given, meaning, expected):
    assert scores.read(given, meaning) == expected


@pytest.mark.parametrize(
    ("given", "meaning", "reason"),
    [
        (score("NUMERIC", 0.73), None, "no known scale"),
        (score("NUMERIC", 7.0), "stars", "no known scale"),
        (score("NUMERIC", 11.0), Scale(0, 10), "does not lie on its scale, 0 to 10"),
        (score("NUMERIC", float("nan")), Scale(0, 10), "does not lie on its scale"),
        (score("CATEGORICAL", "hmm"), None, "no known meaning"),
        (score("CATEGORICAL", "good"), Labels({"great": 1}), "no known meaning"),
        (score("TEXT", "  "), None, "empty"),
    ],
)
def test_what_can_not_be_read_says_why(given, meaning, reason):
    with pytest.raises(ValueError, match=reason):
        scores.read(given, meaning)


def test_how_scores_are_to_be_read_can_be_written_down():
    found = meanings(["quality = 0..10", "ok=thumbs", " ", "mood=stars"])
    assert found == {"quality": Scale(0, 10), "ok": "thumbs", "mood": "stars"}
    assert meanings(["loss=-1.5..2"]) == {"loss": Scale(-1.5, 2)}


@pytest.mark.parametrize(
    "text",
    [
        *("quality", "quality=", "=0..10", "q=10..0", "q=5..5", "q=a..b", "q=0..inf", "q=nan..1"),
        *("q=0...10", "q=0..10..20", "q=.5..1", "q=1_0..20", "q=0..1e3", "q=0..\u0661\u0660"),
    ],
)
def test_a_scale_that_is_none_is_named(text):
    with pytest.raises(InputError, match=f"'{re.escape(text)}' does not say"):
        meanings([text])


def test_a_name_that_is_read_in_two_ways_is_refused():
    with pytest.raises(InputError, match="said twice how 'quality' is to be read"):
        meanings(["quality=0..10", "quality=0..100"])


def test_numbers_are_guessed_only_where_they_tell():
    assert scores.guess([0, 1, 1]) == "thumbs"
    assert scores.guess([1, 5]) == "stars"
    assert scores.guess([1, 1]) is None
    assert scores.guess([0, 1, 4]) is None
    assert scores.guess([0, 1, 7, 10]) is None
    assert scores.guess([1, 3, 5, 8, 10]) is None
    assert scores.guess([0, 0.5, 1]) is None
    assert scores.guess([5, 80, 100]) is None
    assert scores.guess([]) is None


def test_who_gave_a_score():
    named = score("BOOLEAN", 1.0, source="ANNOTATION", author="user-7")
    ours = {"workbench_rating": "r1", "rater": "person:anna"}
    assert scores.rater_of(named, "person:x") == "person:user-7"
    assert scores.rater_of(score("BOOLEAN", 1.0, source="EVAL"), "person:x") == "model:helpful"
    assert scores.rater_of(score("BOOLEAN", 1.0, metadata=ours), "person:x") == "person:anna"
    assert scores.rater_of(score("BOOLEAN", 1.0), "rule:x") == "rule:x"
    for rater in ("anna", "person:", "root:anna", "person:a\nb", 7):
        claimed = score("BOOLEAN", 1.0, metadata={**ours, "rater": rater})
        assert scores.rater_of(claimed, "person:x") == "person:x"
