"""What annotators did becomes ratings, and what says nothing is set aside with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from examples import STRANGE_TEXTS, candidate_set
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from workbench import ratings as rules
from workbench.errors import InputError
from workbench.exchange.label_studio import config, tasks
from workbench.exchange.label_studio_annotations import Reading, append_new, clean, person, read
from workbench.exchange.label_studio_files import read_export
from workbench.exchange.label_studio_questions import OurTasks, TheirTasks, Unusable
from workbench.journal import Journal
from workbench.records import CandidateSet, Completion, Rating, SetAside, encode

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
    return read(clean(given), questions.of(data), person="person:anna", source="here")


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


TEXT = st.text(st.characters())  # half a surrogate pair is a character to JSON
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
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
            questions.of(clean(data))


@given(JSON)
def test_an_annotator_of_any_shape_is_somebody_or_nobody(completed_by: Any) -> None:
    try:
        assert person(clean(completed_by), {1: "anna@example.com"}, {}) == "person:anna@example.com"
    except Unusable:
        assert completed_by != 1 or isinstance(completed_by, bool)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(Unusable, match="nested"):
        clean(deep)


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_joined() -> None:
    odd = "x\ud83d", "\ud83d\ude42"
    comments = [result("comment", "textarea", text=[text]) for text in odd]
    got = reading(annotation(verdict("A"), *comments, result("mood\udc00", "choices")))
    assert got.rating is not None
    assert got.rating.comment == "x\N{REPLACEMENT CHARACTER}\n🙂"
    assert json.loads(got.aside[0].content)["from_name"] == "mood\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00Z"]
)
def test_an_annotation_of_an_impossible_time_is_set_aside(at: str) -> None:
    got = reading(annotation(verdict("A"), updated_at=at))
    assert got.rating is None
    assert "can't be right" in got.aside[0].reason


@pytest.mark.parametrize("odd", [10**40, float("nan"), [["A"]], {"a": 1}])
def test_a_part_of_any_value_is_set_aside_as_it_came(odd: Any) -> None:
    got = reading(annotation(verdict("A"), result("mood", "choices", choices=odd)))
    assert got.rating is not None
    assert str(json.loads(got.aside[0].content)["value"]["choices"]) == str(odd)


def test_an_annotation_is_one_rating_whatever_its_annotator_is_called() -> None:
    question, given = OURS.of(PAIR), annotation(verdict("A"))
    anna, number = (read(given, question, person=p, source="").rating for p in ("a", "b"))
    other = read({**given, "id": 8}, question, person="a", source="").rating
    assert anna is not None
    assert number is not None
    assert other is not None
    assert anna.id == number.id != other.id
    nameless = [
        read({**given, "id": None}, question, person=p, source="").rating for p in ("a", "b")
    ]
    assert len({rating.id for rating in nameless if rating is not None}) == 2


@pytest.mark.parametrize(
    ("completed_by", "name"),
    [
        (1, "person:anna@example.com"),
        ({"id": 1}, "person:anna@example.com"),
        ({"id": 9, "email": "boris@example.com"}, "person:boris"),
        (2, "person:boris"),
        (3, "person:clara"),
    ],
)
def test_an_annotator_is_known_by_the_servers_list_or_by_the_names_given(
    completed_by: Any, name: str
) -> None:
    names = {"boris@example.com": "boris", "2": "boris@example.com", "3": "clara"}
    assert person(completed_by, {1: "anna@example.com"}, names) == name


@pytest.mark.parametrize("nobody", [None, True, 4, "1", {}, {"id": 4}, {"email": ["x"]}, [1]])
def test_nobody_is_guessed(nobody: Any) -> None:
    with pytest.raises(Unusable, match="annotator"):
        person(nobody, {1: "anna@example.com"}, {"1": "anna"})


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


def test_a_task_of_ours_is_never_taken_for_one_of_others() -> None:
    theirs, own = TheirTasks(config("pairwise")), tasks([SET], seed=0, template="pairwise")
    others = {name: value for name, value in own[0].data.items() if name != "task_key"}
    assert theirs.of(others).candidate_set.id != SET.id
    for task in own:
        with pytest.raises(Unusable, match="without --foreign"):
            theirs.of(task.data)


def test_pages_without_a_question_ask_different_things():
    pages = [{"question": " ", "one": f"left {n}", "two": f"right {n}"} for n in range(2)]
    one, other = (TheirTasks(THEIRS).of(page).candidate_set.prompt for page in pages)
    assert one.id != other.id
    assert one.topic != other.topic


@pytest.mark.parametrize("config", ["", "<View", "<View/>", config("verdict"), config("ranker")])
def test_a_page_without_a_pair_is_refused_in_one_line(config: str) -> None:
    with pytest.raises(InputError, match="no <Pairwise> of two texts") as refusal:
        TheirTasks(config)
    assert "\n" not in str(refusal.value)


def test_the_annotations_of_these_tests_are_what_label_studio_accepts() -> None:
    regions = [verdict("A"), result("confidence", "rating", rating=4)]
    assert LabelInterface(config("verdict")).validate_annotation({"result": regions})


# --- export files -----------------------------------------------------------

ANNA = {"1": "anna@example.com"}


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
            tmp_path,
            json.dumps(items).encode(),
            names={"1": "a@example.com", "a@example.com": "anna", "b@example.com": "boris"},
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
    ratings, aside, _ = taken_in(tmp_path, json.dumps(items).encode(), names=ANNA)
    assert len(ratings) == 1
    assert [item.source.rpartition(", ")[2] for item in aside] == [f"task {n}" for n in range(1, 6)]
    assert "JSON-MIN" in aside[1].reason
    assert "task_key" in aside[2].reason


def test_a_number_that_nobody_names_is_set_aside_with_the_remedy(tmp_path: Path) -> None:
    given = [annotation(verdict("A")), annotation(verdict("B"), id=8, completed_by=2)]
    content = json.dumps([{"id": 1, "data": PAIR, "annotations": given}]).encode()
    ratings, aside, _ = taken_in(tmp_path, content, names=ANNA)
    assert [rating.rater for rating in ratings] == ["person:anna@example.com"]
    assert "annotator 2" in aside[0].reason
    assert "--name 2=EMAIL" in aside[0].reason
    more = {"2": "boris@example.com"}
    ratings, _, pulled = taken_in(tmp_path, content, names=more)
    assert (pulled.ratings, len(ratings)) == (1, 2)


@pytest.mark.parametrize("content", [b"", b"[{", b"\xff\xfe", b"{}", b"3", b"null", b"[" * 10**5])
def test_a_broken_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    ratings, aside, pulled = taken_in(tmp_path, content)
    assert (ratings, pulled.ratings, pulled.aside) == ([], 0, 1)
    assert "not a list of tasks" in aside[0].reason


THREE = json.dumps(
    [{"id": n, "data": PAIR, "annotations": [annotation(verdict("A"), id=n)]} for n in (1, 2, 3)]
)
LAST = THREE.index('{"id": 3')


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (THREE[:-40], 2),
        (THREE[:LAST], 2),
        (THREE[:-1], 3),
        (THREE + "]", 3),
        (THREE[: LAST - 2] + "; " + THREE[LAST:], 2),
        (THREE[:LAST] + "9" * 5000 + "]", 2),
        (THREE[:LAST] + "[" * 900 + "]" * 900 + "]", 2),
        (THREE.replace("[", "[,", 1), 0),
    ],
)
def test_the_tasks_before_a_break_are_kept(tmp_path: Path, content: str, whole: int) -> None:
    for new in (whole, 0):
        ratings, aside, pulled = taken_in(tmp_path, content.encode(), names=ANNA)
        assert (pulled.ratings, pulled.looked_at) == (new, whole)
    assert len(ratings) == whole
    assert len(aside) == 1
    assert "not a list of tasks" in aside[0].reason
    assert aside[0].content in content


@pytest.mark.parametrize(
    "content",
    [
        THREE.encode("utf-8-sig"),
        THREE.encode("utf-16"),
        THREE.replace('"lead_time": 3.5', '"lead_time": NaN').encode(),
        THREE.replace('"lead_time": 3.5', '"note": "\\ud83d"').encode(),
        THREE.replace('"lead_time": 3.5', '"note": "x\n\ty"').encode(),
        f" \n{THREE}\n ".encode(),
        THREE.replace('"lead_time": 3.5', '"note": "é"').encode("latin-1"),
    ],
)
def test_a_file_that_is_odd_but_whole_is_taken_in(tmp_path: Path, content: bytes) -> None:
    ratings, aside, _ = taken_in(tmp_path, content, names=ANNA)
    assert (len(ratings), aside) == (3, [])


APPENDS = """
import sys, time
from pathlib import Path
from workbench.exchange.label_studio_annotations import append_new
from workbench.journal import Journal
from workbench.records import SetAside, Rating, decode

class Slow(Journal):
    def append(self, *records):
        time.sleep(0.5)  # so that both have read before either writes, where nothing stops them
        super().append(*records)

rating = decode(sys.argv[2], Rating)
print(append_new(Slow(Path(sys.argv[1]), Rating), [rating]))
"""


def test_two_imports_at_once_write_no_doubles(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ratings.jsonl"
    command = [sys.executable, "-c", APPENDS, str(path), encode(rating_of(verdict("A"))).decode()]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(one.communicate()[0]) for one in both) == [0, 1]
    assert len(list(Journal(path, Rating))) == 1


def test_a_journal_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        append_new(Journal(tmp_path / "file" / "r.jsonl", Rating), [rating_of(verdict("A"))])


def test_others_export_brings_its_candidate_sets(tmp_path: Path) -> None:
    data = {"question": "Why?", "one": "left", "two": "right"}
    chosen = annotation(result("pw", "pairwise", selected="left"))
    content = json.dumps([{"id": 1, "data": data, "annotations": [chosen]}]).encode()
    sets = Journal(tmp_path / "sets.jsonl", CandidateSet)
    ratings, _, _ = taken_in(tmp_path, content, questions=TheirTasks(THEIRS), sets=sets, names=ANNA)
    assert rules.check(ratings, sets).good == tuple(ratings)
    assert len(ratings) == 1


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    ratings = Journal(tmp_path / "r", Rating)
    with pytest.raises(InputError, match="can't be read"):
        read_export(tmp_path / "none.json", OURS, ratings, Journal(tmp_path / "a", SetAside))
