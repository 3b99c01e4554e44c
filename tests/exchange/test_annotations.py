"""What annotators did becomes ratings, and what says nothing is set aside with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from examples import STRANGE_TEXTS, candidate_set
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from workbench import ratings as rules
from workbench.errors import InputError
from workbench.exchange.annotations import Reading, read, read_export
from workbench.exchange.label_studio import config, tasks
from workbench.exchange.label_studio_questions import OurTasks, TheirTasks, Unusable
from workbench.journal import Journal
from workbench.records import CandidateSet, Completion, Rating, SetAside

SET = candidate_set("s", "first", "second", "third")
OURS = OurTasks([SET])
PAIR = next(t.data for t in tasks([SET], seed=0))
RANKING = tasks([SET], seed=0, template="ranker")[0].data
THEIRS = """<View><Header value="$question"/><Pairwise name="pw" toName="t1,t2"/>
<Text name="t1" value="$one"/><Text name="t2" value="$two"/></View>"""


def result(name: str, type: str, **value: Any) -> dict[str, Any]:
    return {"id": "x", "from_name": name, "to_name": "prompt", "type": type, "value": value}


def verdict(choice: Any) -> dict[str, Any]:
    return result("verdict", "choices", choices=[choice])


def annotation(*results: Any, **fields: Any) -> dict[str, Any]:
    made = {"id": 7, "result": list(results), "completed_by": 1, "was_cancelled": False}
    return {**made, "updated_at": "2026-01-02T03:04:05.678901Z", "lead_time": 3.5, **fields}


def reading(given: Any, data: dict[str, Any] = PAIR, questions: Any = OURS) -> Reading:
    return read(given, questions.of(data), person="person:anna", source="here")


def rating_of(*results: Any, data: dict[str, Any] = PAIR, **fields: Any) -> Rating:
    got = reading(annotation(*results, **fields), data)
    assert got.aside == ()
    assert got.rating is not None
    assert rules.check([got.rating], [SET]).good == (got.rating,)
    return got.rating


def text(id: str) -> str:
    return SET.completion(id).text


def test_a_verdict_orders_the_answers_as_they_were_shown() -> None:
    first, second = rating_of(verdict("A")).shown
    assert (text(first), text(second)) == (PAIR["answer_a"], PAIR["answer_b"])
    assert rating_of(verdict("A")).ranking == ((first,), (second,))
    assert rating_of(verdict("B")).ranking == ((second,), (first,))
    assert rating_of(verdict("tie")).ranking == ((first, second),)
    assert not rating_of(verdict("tie")).both_bad
    assert rating_of(verdict("both bad")).both_bad


def test_everything_that_was_said_is_kept() -> None:
    more = result("confidence", "rating", rating=4), result("comment", "textarea", text=["да", "x"])
    rating = rating_of(verdict("A"), *more)
    assert (rating.kind, rating.rater, rating.door) == ("pairwise", "person:anna", "label-studio")
    assert (rating.confidence, rating.comment, rating.seconds) == (4, "да\nx", 3.5)
    assert rating.at == "2026-01-02T03:04:05.678901+00:00"
    assert rating.traces == ()


@pytest.mark.parametrize("comment", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS)
def test_comments_of_any_script_are_kept(comment: str) -> None:
    said = rating_of(verdict("A"), result("comment", "textarea", text=[comment]))
    assert said.comment == comment.strip()


def test_the_traces_of_the_shown_answers_follow_their_order() -> None:
    answers = tuple(
        Completion(**{**{f: getattr(c, f) for f in c.__dataclass_fields__}, "trace_id": trace})
        for c, trace in zip(SET.completions, ("trace-a", None, "trace-c"), strict=True)
    )
    traced = CandidateSet(SET.id, SET.prompt, answers)
    got = reading(annotation(verdict("A")), questions=OurTasks([traced])).rating
    assert got is not None
    assert got.traces == tuple(traced.completion(id).trace_id or "" for id in got.shown)


def test_label_studios_own_pairwise_is_read() -> None:
    chosen = rating_of(result("pairwise", "pairwise", selected="right"))
    assert chosen.ranking == ((chosen.shown[1],), (chosen.shown[0],))


def test_a_ranking_holds_the_order_and_the_bad_together() -> None:
    a, b, c = (answer["id"] for answer in RANKING["answers"])
    buckets = {"_": [], "best_first": [c], "bad": [a, b]}
    rating = rating_of(result("ranking", "ranker", ranker=buckets), data=RANKING)
    shown = [text(id) for id in rating.shown]
    assert shown == [answer["body"] for answer in RANKING["answers"]]
    assert rating.kind == "ranking"
    assert rating.ranking == ((rating.shown[2],), (rating.shown[0], rating.shown[1]))
    all_bad = result("ranking", "ranker", ranker={"bad": [a, b, c]})
    assert rating_of(all_bad, data=RANKING).both_bad


def test_a_skip_is_a_rating_that_says_nothing_of_the_answers() -> None:
    skip = rating_of(verdict("A"), was_cancelled=True)
    assert (skip.kind, skip.ranking) == ("skip", ())


def test_an_edit_has_another_id_and_the_same_annotation_the_same() -> None:
    same = [rating_of(verdict("A")), rating_of(verdict("A"))]
    edited = rating_of(verdict("A"), updated_at="2026-01-02T03:04:06Z")
    assert same[0] == same[1]
    assert edited.id != same[0].id
    assert rules.standing([edited, same[0]]) == [edited]


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([], "no judgement"),
        ([verdict("maybe")], "not a verdict"),
        ([verdict(["A"])], "not a verdict"),
        ([verdict("A"), verdict("B")], "two judgements"),
        ([result("pairwise", "pairwise", selected="top")], "neither the left nor the right"),
        ([result("ranking", "ranker", ranker={"best_first": ["?", "!"]})], "not shown"),
        ([result("ranking", "ranker", ranker="x")], "fewer than two"),
        ([result("quality", "choices", choices=["good"])], "none that a rating holds"),
        ([{"from_name": "verdict", "type": "choices"}], "no value"),
        ([17, None, "x", []], "no value"),
    ],
)
def test_an_annotation_without_a_judgement_is_set_aside(results: list[Any], reason: str) -> None:
    got = reading(annotation(*results))
    assert got.rating is None
    assert any(reason in item.reason for item in got.aside)
    assert json.loads(got.aside[-1].content)["id"] == 7


@pytest.mark.parametrize(
    "broken",
    [
        result("confidence", "rating", rating=9),
        result("confidence", "rating", rating=True),
        result("comment", "textarea", text=[1]),
        result("mood", "choices", choices=["glad"]),
    ],
)
def test_a_part_that_says_nothing_is_set_aside_and_the_verdict_kept(broken: Any) -> None:
    got = reading(annotation(verdict("A"), broken))
    assert got.rating is not None
    assert (got.rating.confidence, got.rating.comment) == (None, "")
    assert [json.loads(item.content) for item in got.aside] == [broken]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["verdict", "pairwise", "ranking", "confidence", "comment"])
TYPES = st.sampled_from(["choices", "pairwise", "ranker", "rating", "textarea"])
KEYS = st.sampled_from(["choices", "selected", "ranker", "rating", "text", "best_first"])
REGIONS = st.builds(
    lambda name, type, value: {"from_name": name, "type": type, "value": value},
    NAMES,
    TYPES,
    st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)),
)


@given(st.one_of(JSON, st.lists(REGIONS).map(lambda regions: annotation(*regions))))
def test_nothing_that_a_server_sends_is_fatal(sent: Any) -> None:
    got = reading(sent)
    assert (got.rating is None) <= bool(got.aside)


@given(JSON | st.dictionaries(st.sampled_from(["task_key", "answers"]), JSON))
def test_data_of_any_shape_asks_something_or_is_refused(data: Any) -> None:
    for questions in (OURS, TheirTasks(THEIRS)):
        with pytest.raises(Unusable):
            questions.of(data)


def test_a_ranking_whose_answers_were_changed_there_is_refused() -> None:
    for answers in ([], 3, [{"id": "?"}], RANKING["answers"][:2]):
        with pytest.raises(Unusable, match="not those of its candidate set"):
            OURS.of({**RANKING, "answers": answers})


def test_others_tasks_become_candidate_sets_of_their_texts() -> None:
    question = TheirTasks(THEIRS).of({"question": "Why?", "one": "left text", "two": "right text"})
    made = question.candidate_set
    assert made.prompt.messages[0].content == "Why?"
    assert [made.completion(id).text for id in question.shown] == ["left text", "right text"]
    assert {(c.backend, c.model) for c in made.completions} == {("label-studio", "")}
    chosen = annotation(result("pw", "pairwise", selected="right"))
    rating = read(chosen, question, person="person:anna", source="").rating
    assert rating is not None
    assert rules.check([rating], [made]).good == (rating,)
    assert made.completion(rating.ranking[0][0]).text == "right text"


@pytest.mark.parametrize("config", ["", "<View", "<View/>", config("verdict"), config("ranker")])
def test_a_page_without_a_pair_is_refused_in_one_line(config: str) -> None:
    with pytest.raises(InputError, match="no <Pairwise> of two texts") as refusal:
        TheirTasks(config)
    assert "\n" not in str(refusal.value)


def test_the_annotations_of_these_tests_are_what_label_studio_accepts() -> None:
    regions = [verdict("A"), result("confidence", "rating", rating=4)]
    assert LabelInterface(config("verdict")).validate_annotation({"result": regions})


# --- export files -----------------------------------------------------------


def taken_in(
    tmp_path: Path, content: bytes, **more: Any
) -> tuple[list[Rating], list[SetAside], Any]:
    path = tmp_path / "export.json"
    path.write_bytes(content)
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    aside = Journal(tmp_path / "aside.jsonl", SetAside)
    pulled = read_export(path, more.pop("questions", OURS), ratings, aside, **more)
    return list(ratings), list(aside), pulled


def test_an_export_file_is_taken_in_once(tmp_path: Path) -> None:
    by_email = annotation(verdict("B"), completed_by={"id": 2, "email": "b@example.com"})
    items = [{"id": 1, "data": PAIR, "annotations": [annotation(verdict("A")), by_email]}]
    for new in (2, 0):
        ratings, aside, pulled = taken_in(
            tmp_path, json.dumps(items).encode(), names={"1": "anna", "b@example.com": "boris"}
        )
        assert (pulled.ratings, pulled.looked_at) == (new, 1)
    assert [rating.rater for rating in ratings] == ["person:anna", "person:boris"]
    assert aside == []


def test_a_broken_item_is_set_aside_and_the_rest_kept(tmp_path: Path) -> None:
    good = {"id": 1, "data": PAIR, "annotations": [annotation(verdict("A"))]}
    unknown = {**good, "data": {"task_key": "0" * 16}}
    nobody = {**good, "annotations": [annotation(verdict("A"), completed_by=None)]}
    flat = {"id": 3, "verdict": "A", **PAIR}
    items = [7, flat, unknown, nobody, {"annotations": ["?"], "data": PAIR}, good]
    ratings, aside, _ = taken_in(tmp_path, json.dumps(items).encode())
    assert len(ratings) == 1
    assert [item.source.rpartition(", ")[2] for item in aside] == [f"task {n}" for n in range(1, 6)]
    assert "JSON-MIN" in aside[1].reason
    assert "task_key" in aside[2].reason


@pytest.mark.parametrize("content", [b"", b"[{", b"\xff\xfe", b"{}", b"3", b'[{"id": 1}'])
def test_a_broken_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    ratings, aside, pulled = taken_in(tmp_path, content)
    assert (ratings, pulled.ratings, pulled.aside) == ([], 0, 1)
    assert "not a list of tasks" in aside[0].reason


def test_others_export_brings_its_candidate_sets(tmp_path: Path) -> None:
    data = {"question": "Why?", "one": "left", "two": "right"}
    chosen = annotation(result("pw", "pairwise", selected="left"))
    content = json.dumps([{"id": 1, "data": data, "annotations": [chosen]}]).encode()
    sets = Journal(tmp_path / "sets.jsonl", CandidateSet)
    ratings, _, _ = taken_in(tmp_path, content, questions=TheirTasks(THEIRS), sets=sets)
    assert rules.check(ratings, sets).good == tuple(ratings)
    assert len(ratings) == 1


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    ratings = Journal(tmp_path / "r", Rating)
    with pytest.raises(InputError, match="can't be read"):
        read_export(tmp_path / "none.json", OURS, ratings, Journal(tmp_path / "a", SetAside))
