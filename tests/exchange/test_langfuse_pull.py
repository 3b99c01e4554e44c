"""Other people's traces and scores into our journals, from a stand-in of Langfuse."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import langfuse_stand_in as langfuse
import pytest
from examples import STRANGE_TEXTS, candidate_set, completion, rating
from langfuse_stand_in import project

from workbench import ratings as judged
from workbench.backends.contract import Backend
from workbench.backends.traced import TracedBackend
from workbench.errors import ServerError
from workbench.exchange.delivery import deliver, ledger_beside
from workbench.exchange.langfuse_errors import Unavailable
from workbench.exchange.langfuse_pull import Pulled, pull_scores
from workbench.exchange.langfuse_records import Filters
from workbench.exchange.scores import Labels, Scale
from workbench.journal import Journal
from workbench.preferences import build, write
from workbench.records import CandidateSet, Completion, Rating, SetAside, ToolCall
from workbench.settings import Settings
from workbench.tracing import Tracer, spans

pytestmark = pytest.mark.slow  # together they take more than ten seconds

AT = "2026-01-01T10:00:00.000+00:00"
OURS = {
    "workbench_rating": "r1",
    "kind": "pairwise",
    "rater": "person:anna",
    "scores": 2,
    "shown": ["b", "a"],
    "traces": ["t2", "t1"],
}
"""Metadata of a share as another workbench writes it."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Desk:
    """The journals of one machine, and the server that it pulls from."""

    server: langfuse.StandIn
    folder: Path

    @property
    def sets(self) -> Journal[CandidateSet]:
        return Journal(self.folder / "candidates.jsonl", CandidateSet)

    @property
    def ratings(self) -> Journal[Rating]:
        return Journal(self.folder / "ratings.jsonl", Rating)

    @property
    def aside(self) -> Journal[SetAside]:
        return Journal(self.folder / "aside.jsonl", SetAside)

    def pull(self, filters: Filters = Filters(), **options: Any) -> Pulled:
        with closing(project(self.server.url)) as there:
            return pull_scores(there, filters, self.sets, self.ratings, self.aside, **options)

    def current(self) -> dict[str, CandidateSet]:
        return {s.id: s for s in self.sets}

    def answer(self, trace: str) -> Completion:
        found = [c for s in self.current().values() for c in s.completions if c.trace_id == trace]
        (completion,) = found
        return completion

    def standing(self) -> list[Rating]:
        checked = judged.check(self.ratings, self.sets)
        assert checked.aside == ()
        return judged.standing(checked.good)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with langfuse.running() as server:
        yield Desk(server, tmp_path / "here")


def sizes(desk: Desk) -> tuple[int, int, int]:
    return len(list(desk.sets)), len(list(desk.ratings)), len(list(desk.aside))


def test_traces_that_ask_the_same_are_one_set(desk):
    turns = [{"role": "user", "content": "Why?"}]
    desk.server.put_trace("t1", "Why?", "Because.", sessionId="monday")
    desk.server.put_trace("t2", turns, "No idea.", sessionId="tuesday")
    desk.server.put_trace("t3", "How?", "So.")
    done = desk.pull()
    assert (done.traces, done.answers, done.ratings) == (3, 3, 0)
    why, _how = sorted(desk.sets, key=lambda s: -len(s.completions))
    assert [c.text for c in why.completions] == ["Because.", "No idea."]
    assert why.prompt.origin.session == "monday"
    assert why.prompt.origin.answered_in == ("tuesday",)
    assert desk.answer("t1").model == "gpt-oss"
    assert desk.answer("t1").usage.completion_tokens == 7


def test_a_later_trace_joins_the_set_and_earlier_ratings_stay_valid(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    desk.server.put_score(id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=1)
    desk.pull()
    desk.server.put_trace("t2", "Why?", "No idea.")
    desk.pull()
    assert len(desk.current()) == 1
    assert len(desk.standing()) == 1
    assert len(next(iter(desk.current().values())).completions) == 2


def test_pulling_again_appends_nothing(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    desk.server.put_trace("t2", {"temperature": 1}, "x")
    desk.server.put_score(id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=1)
    desk.server.put_score(id="s2", traceId="t1", name="x", value=0.73)
    desk.pull()
    before = sizes(desk)
    done = desk.pull()
    assert sizes(desk) == before == (1, 1, 2)
    assert (done.answers, done.ratings, done.undone, done.aside) == (0, 0, 0, 0)


def test_every_kind_of_score_is_read(desk):
    for n in range(9):
        desk.server.put_trace(f"t{n}", "Why?", f"Answer {n}")
    put = desk.server.put_score
    desk.server.configs.append(
        {
            "id": "c1",
            "name": "grade",
            "createdAt": langfuse.NOW,
            "updatedAt": langfuse.NOW,
            "projectId": langfuse.PROJECT,
            "dataType": "NUMERIC",
            "isArchived": False,
            "minValue": 0,
            "maxValue": 10,
        }
    )
    person = {"source": "ANNOTATION", "authorUserId": "user-7"}
    put(id="s0", traceId="t0", name="ok", dataType="BOOLEAN", value=0, **person)
    put(id="s1", traceId="t1", name="thumb", value=0)
    put(id="s2", traceId="t2", name="stars", value=4, comment="nice")
    put(id="s3", traceId="t3", name="percent", value=100)
    put(id="s4", traceId="t4", name="grade", value=5, configId="c1", source="EVAL")
    put(id="s5", traceId="t5", name="tone", dataType="CATEGORICAL", value="bad")
    put(id="s6", traceId="t6", name="verdict", dataType="CATEGORICAL", value="ship it")
    put(id="s7", traceId="t7", name="output", dataType="CORRECTION", value="Better.", **person)
    put(id="s8", traceId="t8", name="note", dataType="TEXT", value="Too long.")
    desk.pull(scales={"percent": Scale(0, 100), "verdict": Labels({"ship it": 1})})
    assert list(desk.aside) == []
    read = {r.traces[0]: (r.kind, r.value, r.text, r.comment, r.rater) for r in desk.standing()}
    nobody = "person:langfuse"
    assert read == {
        "t0": ("thumbs", 0, None, "", "person:user-7"),
        "t1": ("thumbs", 0, None, "", nobody),
        "t2": ("stars", 4, None, "nice", nobody),
        "t3": ("stars", 5, None, "", nobody),
        "t4": ("stars", 3, None, "", "model:grade"),
        "t5": ("thumbs", 0, None, "", nobody),
        "t6": ("thumbs", 1, None, "", nobody),
        "t7": ("correction", None, "Better.", "", "person:user-7"),
        "t8": ("comment", None, None, "Too long.", nobody),
    }


def test_what_can_not_be_used_is_set_aside_with_its_reason(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    desk.server.put_trace("t2", {"temperature": 1}, "x")
    desk.server.put_trace("t3", "Why not?", "")
    put = desk.server.put_score
    put(id="s1", traceId="t1", name="x", value=0.73)
    put(
        id="s2", subject={"kind": "session", "id": "monday"}, name="ok", dataType="BOOLEAN", value=1
    )
    step = {"kind": "observation", "id": "a-tool", "traceId": "t1"}
    put(id="s3", subject=step, name="ok", dataType="BOOLEAN", value=1)
    root = {"kind": "observation", "id": "root-of-t1", "traceId": "t1"}
    put(id="s4", subject=root, name="ok", dataType="BOOLEAN", value=1)
    put(id="s5", traceId="of-another", name="ok", dataType="BOOLEAN", value=1)
    put(id="s6", traceId="t1", name="only ones", value=1)
    done = desk.pull()
    reasons = {item.source.split()[-1]: item.reason for item in desk.aside}
    assert reasons == {
        "t2": "no question among its keys: temperature",
        "t3": "it has no output",
        "s1": "0.73 is on no known scale; declare one for its name",
        "s2": "it judges a whole session, not an answer",
        "s3": "it judges a step of trace t1, not its answer",
        "s6": "1 is on no known scale; declare one for its name",
    }
    assert (done.ratings, done.elsewhere, done.aside) == (1, 1, 6)


def test_a_changed_score_is_a_new_rating_and_the_latest_counts(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    values = [(1, "2026-01-01T12:01:00Z"), (0, "2026-01-01T12:02:00Z"), (1, "2026-01-01T12:03:00Z")]
    for value, at in values:
        desk.server.put_score(
            id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=value, updatedAt=at
        )
        desk.pull()
        assert [r.value for r in desk.standing()] == [value]
    assert len(list(desk.ratings)) == 3


def test_a_score_that_changes_its_kind_takes_the_old_rating_back(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    desk.server.put_score(id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=1)
    desk.pull()
    desk.server.put_score(
        id="s1",
        traceId="t1",
        name="ok",
        dataType="CORRECTION",
        value="Since.",
        updatedAt="2026-02-01T00:00:00Z",
    )
    desk.pull()
    assert [(r.kind, r.text) for r in desk.standing()] == [("correction", "Since.")]


def test_a_deleted_score_is_an_undo_and_takes_back_every_version(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    for value, at in ((1, "2026-01-01T12:01:00Z"), (0, "2026-01-01T12:02:00Z")):
        desk.server.put_score(
            id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=value, updatedAt=at
        )
        desk.pull()
    desk.server.drop_score("s1")
    assert desk.pull().undone == 2
    assert desk.standing() == []
    assert desk.pull().undone == 0
    desk.server.put_score(id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=1)
    desk.pull()
    assert [r.value for r in desk.standing()] == [1]


def test_an_undo_counts_where_our_clock_is_behind_the_servers(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    later = {"timestamp": "2126-01-01T12:00:00Z", "updatedAt": "2126-01-01T12:00:00Z"}
    desk.server.put_score(id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=1, **later)
    desk.pull()
    desk.server.drop_score("s1")
    assert desk.pull().undone == 1
    assert desk.standing() == []
    assert desk.pull().undone == 0


def test_a_score_that_filters_leave_out_or_that_was_forgotten_with_its_trace_stays(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    desk.server.put_score(id="s1", traceId="t1", name="ok", dataType="BOOLEAN", value=1)
    desk.pull()
    assert desk.pull(Filters(scores=("other",))).undone == 0
    desk.server.drop_score("s1")
    desk.server.observations.clear()
    assert desk.pull().undone == 0
    assert len(desk.standing()) == 1


def test_filters_choose_traces(desk):
    old = {"startTime": "2025-01-01T00:00:00Z"}
    desk.server.put_trace("t1", "1?", "x", tags=["pilot", "a"], sessionId="monday", name="bot")
    desk.server.put_trace("t2", "2?", "x", tags=["pilot"])
    desk.server.put_trace("t3", "3?", "x", **old)
    desk.server.put_trace("t4", "4?", "x", isRootObservation=False)

    def found(filters: Filters) -> set[str]:
        with closing(project(desk.server.url)) as there:
            return {trace.id for trace in there.traces(filters)}

    year = datetime(2026, 1, 1, tzinfo=UTC)
    assert found(Filters()) == {"t1", "t2", "t3"}
    assert found(Filters(tags=("pilot", "a"))) == {"t1"}
    assert found(Filters(since=year)) == {"t1", "t2"}
    assert found(Filters(until=year)) == {"t3"}
    assert found(Filters(session="monday", name="bot")) == {"t1"}


def test_many_pages_are_read(desk):
    for n in range(250):
        desk.server.put_trace(f"t{n}", f"Why {n}?", "Because.")
        desk.server.put_score(id=f"s{n}", traceId=f"t{n}", name="ok", dataType="BOOLEAN", value=1)
    done = desk.pull()
    assert (done.traces, done.scores, done.ratings) == (250, 250, 250)


def test_consent_is_kept_and_a_refusal_stays_apart(desk):
    desk.server.put_trace("t1", "Why?", "1", metadata={"consent": "given"})
    desk.server.put_trace("t2", "Why?", "2", tags=["consent:refused"])
    desk.server.put_trace(
        "t3", "Why?", "3", tags=["consent:given"], metadata={"consent": "refused"}
    )
    desk.server.put_trace("t4", "Why?", "4")
    desk.pull()
    said = {s.prompt.origin.consent: [c.text for c in s.completions] for s in desk.sets}
    assert said == {"given": ["1"], "refused": ["2", "3"], "": ["4"]}


def test_unfinished_traces_wait_for_the_next_pull(desk):
    trace = desk.server.put_trace("t1", "Why?", "", endTime=None)
    assert desk.pull().unfinished == 1
    trace.update(endTime=langfuse.NOW, output="Because.")
    assert desk.pull().answers == 1
    assert list(desk.aside) == []


def test_tool_calls_are_kept(desk):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    output = {"role": "assistant", "content": None, "tool_calls": [call]}
    desk.server.put_trace("t1", "Go", output)
    desk.pull()
    assert desk.answer("t1").tool_calls == (ToolCall("c", "f", "{}"),)


@pytest.mark.parametrize("name", STRANGE_TEXTS)
def test_strange_texts_come_in_as_they_are(desk, name):
    text = STRANGE_TEXTS[name]
    desk.server.put_trace("t1", "Why?", "x")
    desk.server.put_score(id="s1", traceId="t1", name="output", dataType="CORRECTION", value=text)
    desk.server.put_score(
        id="s2", traceId="t1", name="ok", dataType="BOOLEAN", value=1, comment=text
    )
    desk.pull()
    read = {r.kind: r for r in desk.standing()}
    assert read["correction"].text == text
    assert read["thumbs"].comment == text


def test_our_own_scores_do_not_come_back_and_another_machine_gets_the_ratings_whole(desk):
    """Here: four answers rated and delivered. There: an empty machine that pulls."""
    server = desk.server
    plain = candidate_set("here", "one", "two", "three", "four", question="Why?")
    traced = tuple(replace(c, trace_id=f"t-{c.id}") for c in plain.completions)
    for answer in traced:
        server.put_trace(answer.trace_id or "", "Why?", answer.text)
    desk.sets.append(replace(plain, completions=traced))
    ratings = [
        rating("here", "b>ac>d", shown="abcd"),
        rating("here", kind="thumbs", shown="a", value=1),
        replace(rating("here", "c>a", kind="pairwise", shown="ac"), comment="c is short"),
        rating("here", "bd", shown="bd", both_bad=True),
    ]
    desk.ratings.append(*ratings)
    with closing(project(server.url)) as there:
        ledger = ledger_beside(desk.folder / "ratings.jsonl")
        deliver(desk.ratings, desk.sets, there, ledger)
        assert desk.pull().ratings == 0

        other = Desk(server, desk.folder.parent / "there")
        assert other.pull().ratings == 4
        assert other.pull().ratings == 0
        words = {c.id: c.text for s in other.sets for c in s.completions}
        names = {"one": "a", "two": "b", "three": "c", "four": "d"}

        def told(rating: Rating, name: dict[str, str]) -> tuple[Any, ...]:
            ranked = tuple(tuple(sorted(name[id] for id in group)) for group in rating.ranking)
            shown = tuple(name[id] for id in rating.shown)
            said = (rating.value, rating.both_bad, rating.comment)
            return (rating.id, rating.kind, rating.rater, shown, ranked, said)

        there_named = {id: names[text] for id, text in words.items()}
        here_named = {id: id for id in "abcd"}
        assert sorted(told(r, there_named) for r in other.standing()) == sorted(
            told(r, here_named) for r in ratings
        )
        before = len(server.scores)
        ledger = ledger_beside(other.folder / "ratings.jsonl")
        assert deliver(other.ratings, other.sets, there, ledger).sent == 0
        assert len(server.scores) == before


def test_half_of_a_ranking_waits_until_all_of_it_can_be_read(desk):
    desk.server.put_trace("t1", "Why?", "1")
    desk.server.put_trace("t2", "Why?", "2")
    share = {"name": "preference", "dataType": "NUMERIC", "metadata": OURS}
    desk.server.put_score(id="s1", traceId="t1", value=1.0, **share)
    assert desk.pull().ratings == 0
    desk.server.put_score(id="s2", traceId="t2", value=0.0, **share)
    assert desk.pull().ratings == 1
    (read,) = desk.standing()
    assert read.traces == ("t2", "t1")
    assert read.ranking == ((desk.answer("t1").id,), (desk.answer("t2").id,))


def test_a_server_in_trouble_is_asked_again_and_one_that_stays_so_is_an_error(desk, monkeypatch):
    monkeypatch.setattr("workbench.exchange.langfuse_project.time.sleep", lambda seconds: None)
    desk.server.put_trace("t1", "Why?", "Because.")
    left = ["503"]
    desk.server.trouble = lambda method, path: left.pop() if left else ""
    assert desk.pull().answers == 1
    desk.server.trouble = lambda method, path: "503"
    before = sizes(desk)
    with pytest.raises(Unavailable, match="answered 503: in trouble"):
        desk.pull()
    assert sizes(desk) == before


def test_wrong_keys_are_one_clear_error(desk):
    there = project(desk.server.url, "sk-lf-wrong")
    with closing(there), pytest.raises(ServerError, match="refused the keys") as caught:
        pull_scores(there, Filters(), desk.sets, desk.ratings, desk.aside)
    assert "sk-lf" not in str(caught.value)


# --- answers that were drawn here -----------------------------------------


class _Speaks:
    """A backend that says what it is told to: a draw's spans need no model."""

    name, model, precision = "stand-in", "f" * 64, "fp32"
    adapters: Mapping[str, str] = {}

    def __init__(self, completions: list[Completion]) -> None:
        self._completions = completions

    def sample(self, messages: Any, n: int, **_: Any) -> list[Completion]:
        return self._completions[:n]


def draw(server: langfuse.StandIn, folder: Path, id: str, completions: list[Completion]) -> Any:
    """A candidate set drawn under one trace, and that trace on the server."""
    path = folder / "spans.jsonl"
    tracer = Tracer(path, Settings(root=folder, home=folder))
    backend = TracedBackend(cast(Backend, _Speaks(completions)), tracer)
    plain = candidate_set(id, question="Why?")
    answers = backend.sample(plain.prompt.messages, len(completions))
    span = spans.read(path)[-1]
    texts = (spans.value_attribute(value) for value in (span.input, span.output))
    server.put_trace(span.trace_id, *texts, metadata=span.metadata, model=span.model)
    return replace(plain, completions=tuple(answers))


def answers(n: int) -> list[Completion]:
    """Their ids together are longer than the server shows of metadata unless asked."""
    return [completion(f"answer {i}") for i in range(n)]


def test_a_draw_comes_in_as_its_answers_under_their_own_ids(desk, tmp_path):
    call = ToolCall("c", "f", "{}")
    said = [*answers(20), replace(completion("", "calls"), tool_calls=(call,), reasoning="Hm.")]
    drawn = draw(desk.server, tmp_path, "here", [*said, completion("", "silent")])
    done = desk.pull()
    assert (done.traces, done.answers, done.aside) == (1, 22, 0)
    (read,) = desk.sets
    assert read.prompt.messages == drawn.prompt.messages
    assert [(c.id, c.text, c.tool_calls, c.trace_id) for c in read.completions] == [
        (c.id, c.text, c.tool_calls, c.trace_id) for c in drawn.completions
    ]
    assert desk.pull().answers == 0


def test_ratings_of_a_draw_come_back_whole_on_an_empty_machine(desk, tmp_path):
    drawn = draw(desk.server, tmp_path, "here", answers(4))
    a, b, c, d = (c.id for c in drawn.completions)
    plain = Rating("r1", "ranking", "here", (c, a, d, b), "person:anna", "widget", AT)
    given = [
        replace(plain, ranking=((b,), (a, c)), seconds=8.5, confidence=2, comment="hm"),
        replace(plain, id="r2", kind="stars", shown=(d,), value=3, seconds=1.5, confidence=4),
        replace(plain, id="r3", kind="pairwise", shown=(d, b), both_bad=True),
        replace(plain, id="r4", kind="pairwise", shown=(d, c), ranking=((d, c),), both_bad=True),
    ]
    with closing(project(desk.server.url)) as there:
        deliver(given, [drawn], there, ledger_beside(tmp_path / "r.jsonl"))
    assert desk.pull().ratings == 4
    read = {found.id: found for found in desk.standing()}
    for gave in given:
        back = replace(read[gave.id], candidate_set="here", door="widget", at=AT, traces=())
        assert replace(back, ranking=_sorted(back)) == replace(gave, ranking=_sorted(gave))
    assert list(desk.aside) == []
    assert desk.pull().ratings == 0


def _sorted(rating: Rating) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(sorted(group)) for group in rating.ranking)


def test_scores_of_others_land_on_the_sets_that_were_drawn_here(desk, tmp_path):
    drawn = draw(desk.server, tmp_path, "here", answers(3))
    single = replace(candidate_set("single", "one"), id="single")
    single = replace(single, completions=(replace(single.completions[0], trace_id="t-one"),))
    desk.server.put_trace("t-one", "Question of single?", "one")
    trace = drawn.completions[0].trace_id
    mark = {"traceId": trace, "name": "ok", "dataType": "BOOLEAN", "value": 1}
    second = drawn.completions[1].id
    desk.server.put_score(id="s1", **mark, metadata={"completion": second})
    desk.server.put_score(id="s2", **mark)
    desk.server.put_score(id="s3", **mark, metadata={"completion": "another"})
    desk.server.put_score(id="s4", **{**mark, "traceId": "t-one"})
    done = desk.pull(drawn=iter([drawn, single]))
    assert (done.answers, done.ratings, done.aside) == (0, 2, 2)
    assert list(desk.sets) == []
    checked = judged.check(desk.ratings, [drawn, single])
    assert {(r.candidate_set, r.shown) for r in checked.good} == {
        ("here", (second,)),
        ("single", ("a",)),
    }
    reasons = {item.source.split()[-1]: item.reason for item in desk.aside}
    assert "holds 3 answers; the score's metadata must name" in reasons["s2"]
    assert reasons["s3"] == f"trace {trace} holds no completion 'another'"


def test_a_draw_that_was_read_as_others_answers_before_is_ours_once_it_is_given(desk, tmp_path):
    drawn = draw(desk.server, tmp_path, "here", answers(2))
    desk.pull()
    desk.server.put_score(
        id="s1",
        traceId=drawn.completions[0].trace_id,
        name="ok",
        dataType="BOOLEAN",
        value=1,
        metadata={"completion": drawn.completions[0].id},
    )
    desk.pull(drawn=[drawn])
    assert [rating.candidate_set for rating in desk.ratings] == ["here"]


def test_a_draw_whose_ids_do_not_fit_its_answers_is_set_aside(desk):
    put = desk.server.put_trace
    put("t1", "Why?", ["one", "two"], metadata={"completions": ["a", "b", "c"]})
    put("t2", "Why?", "one", metadata={"completions": ["a", "b"]})
    put("t3", "Why?", ["one", "two"], metadata={"completions": ["a", "a"]})
    put("t4", "Why?", ["one", "two"], metadata={"completions": ["a", "b"]})
    put("t5", "Why?", ["three", "four"], metadata={"completions": ["b", "c"]})
    desk.pull()
    assert {item.source.split()[-1]: item.reason for item in desk.aside} == {
        "t1": "its metadata names 3 answers, its output holds others",
        "t2": "its metadata names 2 answers, its output holds others",
        "t3": "its metadata names a completion twice",
        "t5": "another trace holds its completion b",
    }


# --- rankings in parts ----------------------------------------------------


@pytest.mark.parametrize("ranking", ["ab", ""])
def test_both_bad_waits_for_all_of_its_scores(desk, ranking):
    plain = candidate_set("here", "one", "two", question="Why?")
    traced = tuple(replace(c, trace_id=f"t-{c.id}") for c in plain.completions)
    for answer in traced:
        desk.server.put_trace(answer.trace_id or "", "Why?", answer.text)
    given = rating("here", ranking, kind="pairwise", shown="ab", both_bad=True)
    with closing(project(desk.server.url)) as there:
        ledger = ledger_beside(desk.folder / "other.jsonl")
        deliver([given], [replace(plain, completions=traced)], there, ledger)
    hidden = next(s for s in desk.server.scores if s["name"] == "both-bad")
    desk.server.drop_score(hidden["id"])
    assert desk.pull().ratings == 0
    assert desk.pull(Filters(scores=("preference",))).ratings == 0
    desk.server.put_score(**hidden)
    assert desk.pull().ratings == 1
    (read,) = desk.standing()
    assert (read.both_bad, len(read.shown), len(read.ranking)) == (True, 2, len(given.ranking))


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "much", "dataType": "TEXT"},
        {"value": 7.0},
        {"metadata": {"workbench_rating": "r1", "kind": "pairwise", "scores": "two"}},
        {"metadata": {"workbench_rating": "r1", "kind": "pairwise", "scores": 1}},
        {"metadata": {"workbench_rating": ["r1"], "kind": "pairwise", "scores": 1, "shown": 7}},
    ],
)
def test_an_odd_share_of_a_ranking_is_set_aside_and_the_pull_goes_on(desk, changes):
    desk.server.put_trace("t1", "Why?", "1")
    desk.server.put_trace("t2", "Why?", "2")
    whole = {**OURS, "scores": 1}
    share = {"traceId": "t1", "name": "preference", "dataType": "NUMERIC", "value": 1.0}
    desk.server.put_score(id="odd", **{**share, "metadata": whole, **changes})
    desk.server.put_score(id="good", traceId="t1", name="ok", dataType="BOOLEAN", value=1)
    done = desk.pull()
    assert (done.ratings, done.aside) == (1, 1)
    assert [item.source for item in desk.aside] == ["langfuse: score odd"]


# --- sessions on one side of a split --------------------------------------


SESSIONS = range(12)


def put_questions(desk: Desk) -> None:
    """Two sessions of each number, each with a question of its own, answered well and badly."""
    for i in SESSIONS:
        for session, question in ((f"A{i}", f"both{i} same{i}?"), (f"B{i}", f"hers{i} lone{i}?")):
            drawn = [f"{session}-good", f"{session}-bad"]
            metadata = {"completions": drawn}
            desk.server.put_trace(
                session, question, ["good", "bad"], sessionId=session, metadata=metadata
            )
            put_thumb(desk, session, 1, completion=drawn[0])
            put_thumb(desk, session, 0, completion=drawn[1])


def put_joining(desk: Desk) -> None:
    """Each second session asks the question of the first too, and gets another answer."""
    for i in SESSIONS:
        desk.server.put_trace(f"joins{i}", f"both{i} same{i}?", "fine", sessionId=f"B{i}")
        put_thumb(desk, f"joins{i}", 1)


def put_thumb(desk: Desk, trace: str, value: int, **metadata: str) -> None:
    name = f"s-{trace}-{value}"
    mark = {"name": "ok", "dataType": "BOOLEAN", "metadata": metadata}
    desk.server.put_score(id=name, traceId=trace, value=value, **mark)


def torn(desk: Desk) -> int:
    """How many sessions have answers on both sides of a dataset that is split in halves."""
    pairs = build(desk.current().values(), desk.standing(), strategy="all")
    version = write(pairs, "pulled", desk.folder / "data", validation=0, test=0.5)
    assert {pair.split for pair in version.pairs} == {"train", "test"}
    session = {seen["traceId"]: seen["sessionId"] for seen in desk.server.observations}
    sides = defaultdict(set)
    for pair in version.pairs:
        for answer in (pair.preference.chosen, pair.preference.rejected):
            sides[session[answer.trace_id]].add(pair.split)
    assert len(sides) == 2 * len(SESSIONS)
    return sum(len(found) > 1 for found in sides.values())


def test_no_session_that_an_answer_came_from_is_on_two_sides(desk):
    put_questions(desk)
    put_joining(desk)
    desk.pull()
    assert torn(desk) == 0


def test_the_session_of_an_answer_that_joins_a_set_later_counts_too(desk):
    put_questions(desk)
    desk.pull()
    put_joining(desk)
    desk.pull()
    assert torn(desk) == 0


def test_a_journal_that_knows_only_the_first_session_learns_the_others_once(desk):
    """As Workbench wrote it before it kept them."""
    put_questions(desk)
    put_joining(desk)
    desk.pull()
    forgetful = [
        replace(s, prompt=replace(s.prompt, origin=replace(s.prompt.origin, answered_in=())))
        for s in desk.sets
    ]
    desk.sets.append(*forgetful)
    assert torn(desk) > 0
    assert desk.pull().answers == 0
    assert torn(desk) == 0
    before = sizes(desk)
    desk.pull()
    assert sizes(desk) == before


# --- scores that change ---------------------------------------------------


def test_a_score_that_is_listed_twice_counts_as_it_was_written_last(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    for value, at in ((0, "2026-01-01T12:02:00Z"), (1, "2026-01-01T12:01:00Z")):
        mark = {"id": "s1", "traceId": "t1", "name": "ok", "dataType": "BOOLEAN"}
        desk.server.put_score(**mark, value=value, timestamp=at)
    assert desk.pull().ratings == 1
    assert [rating.value for rating in desk.standing()] == [0]
    assert desk.pull().ratings == 0


def test_a_score_that_was_edited_to_what_can_not_be_read_takes_its_rating_back(desk):
    desk.server.put_trace("t1", "Why?", "Because.")
    mark = {"id": "s1", "traceId": "t1", "name": "tone", "dataType": "CATEGORICAL"}
    desk.server.put_score(**mark, value="good")
    desk.pull()
    desk.server.put_score(**mark, value="horrible", updatedAt="2026-01-02T00:00:00Z")
    done = desk.pull()
    assert (done.undone, done.aside) == (1, 1)
    assert desk.standing() == []
    assert desk.pull().undone == 0
    desk.server.put_score(**mark, value="bad", updatedAt="2026-01-03T00:00:00Z")
    desk.pull()
    assert [rating.value for rating in desk.standing()] == [0]


def test_what_was_guessed_is_taken_back_when_later_numbers_show_another_scale(desk):
    def put(n: int, value: float) -> None:
        desk.server.put_trace(f"t{n}", "Why?", f"Answer {n}")
        desk.server.put_score(id=f"s{n}", traceId=f"t{n}", name="quality", value=value)

    put(0, 0)
    put(1, 1)
    assert desk.pull().ratings == 2
    put(2, 7)
    done = desk.pull()
    assert (done.ratings, done.undone, done.aside) == (0, 2, 3)
    assert desk.standing() == []
    assert desk.pull(scales={"quality": Scale(0, 10)}).ratings == 3


def test_what_was_guessed_stays_when_a_pull_sees_fewer_numbers(desk):
    desk.server.put_trace("t1", "Why?", "1")
    desk.server.put_trace("t2", "Why?", "2")
    desk.server.put_score(id="s1", traceId="t1", name="thumb", value=0)
    late = "2026-01-02T00:00:00Z"
    desk.server.put_score(id="s2", traceId="t2", name="thumb", value=1, timestamp=late)
    desk.pull()
    done = desk.pull(Filters(since=datetime(2026, 1, 2, tzinfo=UTC)))
    assert (done.scores, done.undone, done.aside) == (1, 0, 0)
    assert len(desk.standing()) == 2


def test_what_a_declared_scale_read_stays_when_a_later_pull_does_not_declare_it(desk):
    desk.server.put_trace("t1", "Why?", "1")
    desk.server.put_score(id="s1", traceId="t1", name="percent", value=75)
    desk.pull(scales={"percent": Scale(0, 100)})
    assert desk.pull().undone == 0
    assert [rating.value for rating in desk.standing()] == [4]


# --- SDK 4 ----------------------------------------------------------------

SDK_4 = "4.18.0"


def test_delivery_and_pull_pass_with_sdk_4():
    """The tests of both, in a process that imports SDK 4.18 (kept in the user's cache)."""
    folder = Settings.load(root=ROOT).home / "test-environments" / f"langfuse-{SDK_4}"
    if not (folder / f"langfuse-{SDK_4}.dist-info").is_dir():
        assert find_spec("pip"), "pip installs the other SDK"
        target = ["--target", str(folder), "--no-deps", f"langfuse=={SDK_4}"]
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *target], check=True)
    run = f"""
import sys
sys.path.insert(0, {str(folder)!r})
from importlib.metadata import version
assert version("langfuse") == "{SDK_4}"
import pytest
here = {str(Path(__file__).parent)!r}
names = ("test_outbox.py", "test_langfuse_pull.py", "test_langfuse_datasets.py")
options = ["-q", "-k", "not kills and not sdk_4", "-p", "no:cacheprovider"]
sys.exit(pytest.main([*options, *(f"{{here}}/{{name}}" for name in names)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
