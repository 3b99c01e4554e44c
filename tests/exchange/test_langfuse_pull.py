"""Other people's traces and scores into our journals, from a stand-in of Langfuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import langfuse_stand_in as langfuse
import pytest
from examples import STRANGE_TEXTS, candidate_set, rating

from workbench import ratings as judged
from workbench.errors import ServerError
from workbench.exchange.delivery import deliver, ledger_beside
from workbench.exchange.langfuse_project import LangfuseProject, Unavailable, connect
from workbench.exchange.langfuse_pull import Pulled, pull_scores
from workbench.exchange.langfuse_records import Filters
from workbench.exchange.scores import Labels, Scale
from workbench.journal import Journal
from workbench.records import CandidateSet, Completion, Rating, SetAside, ToolCall
from workbench.settings import Settings

pytestmark = pytest.mark.slow  # together they take more than ten seconds

ROOT = Path(__file__).resolve().parents[2]


def project(url: str, secret: str = langfuse.SECRET) -> LangfuseProject:
    settings = Settings(
        root=Path("/nowhere"),
        home=Path("/nowhere"),
        langfuse_public_key=langfuse.PUBLIC,
        langfuse_secret_key=secret,
        langfuse_base_url=url,
    )
    return connect(settings)


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
    for completion in traced:
        server.put_trace(completion.trace_id or "", "Why?", completion.text)
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
    ours = {"workbench_rating": "r1", "kind": "pairwise", "rater": "person:anna", "ranked": 2}
    share = {"name": "preference", "dataType": "NUMERIC"}
    desk.server.put_score(
        id="s1", traceId="t1", value=1.0, metadata={**ours, "position": 2}, **share
    )
    assert desk.pull().ratings == 0
    desk.server.put_score(
        id="s2", traceId="t2", value=0.0, metadata={**ours, "position": 1}, **share
    )
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
options = ["-q", "-m", "not slow", "-p", "no:cacheprovider"]
sys.exit(pytest.main([*options, *(f"{{here}}/{{name}}" for name in names)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
