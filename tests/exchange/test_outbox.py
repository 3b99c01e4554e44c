"""Delivery of ratings as scores, against a stand-in of Langfuse on loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import langfuse_stand_in as langfuse
import pytest
from examples import STRANGE_TEXTS, candidate_set, rating
from langfuse_stand_in import project

from workbench.errors import InputError, ServerError, SettingsError, WorkbenchError
from workbench.exchange import delivery, langfuse_rejections
from workbench.exchange.delivery import Delivery, deliver, ledger_beside
from workbench.exchange.langfuse_plan import Handover
from workbench.exchange.langfuse_project import LangfuseProject, connect
from workbench.exchange.outbox import Outbox
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating
from workbench.settings import Settings

pytestmark = pytest.mark.slow  # together they take more than ten seconds


def traced(id: str, *texts: str) -> CandidateSet:
    """Completion `a` of set `s1` has the trace `trace-s1-a`."""
    plain = candidate_set(id, *texts)
    completions = (replace(c, trace_id=f"trace-{id}-{c.id}") for c in plain.completions)
    return replace(plain, completions=tuple(completions))


def drawn_together(id: str, *texts: str) -> CandidateSet:
    """All completions of set `s1` have the trace `trace-s1`."""
    plain = candidate_set(id, *texts)
    completions = (replace(c, trace_id=f"trace-{id}") for c in plain.completions)
    return replace(plain, completions=tuple(completions))


SETS = [traced("s1", "one", "two", "three")]


@pytest.fixture
def server() -> Iterator[langfuse.StandIn]:
    with langfuse.running() as stand_in:
        yield stand_in


@pytest.fixture
def ledger(tmp_path: Path) -> Journal[Handover]:
    return ledger_beside(tmp_path / "ratings.jsonl")


def said(server: langfuse.StandIn) -> set[tuple[Any, ...]]:
    return {(s["subject"]["id"], s["name"], s["dataType"], s["value"]) for s in server.scores}


def posts(server: langfuse.StandIn) -> int:
    return sum(method == "POST" for method, _ in server.requests)


def _only_b(score: dict[str, Any]) -> str:
    return "no such trace" if score["traceId"] == "trace-s1-b" else ""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(langfuse_rejections, "FIRST_WAIT_S", 0.02)


def sent_lines(ledger: Journal[Handover]) -> set[str]:
    return {line.score for line in ledger if line.state == "sent"}


def test_each_kind_of_rating_becomes_its_scores(server, ledger):
    ratings = [
        rating("s1", "b>ac"),
        rating("s1", kind="thumbs", shown="a", value=1),
        rating("s1", kind="stars", shown="b", value=4),
        rating("s1", kind="correction", shown="c", text="drei"),
        replace(rating("s1", kind="comment", shown="a"), comment="too short"),
        rating("s1", "", kind="pairwise", shown="ab", both_bad=True, rater="person:ben"),
    ]
    done = deliver(ratings, SETS, project(server.url), ledger)
    assert said(server) == {
        ("trace-s1-b", "preference", "NUMERIC", 1.0),
        ("trace-s1-a", "preference", "NUMERIC", 0.25),
        ("trace-s1-c", "preference", "NUMERIC", 0.25),
        ("trace-s1-a", "thumbs", "BOOLEAN", True),
        ("trace-s1-b", "stars", "NUMERIC", 4.0),
        ("trace-s1-c", "output", "CORRECTION", "drei"),
        ("trace-s1-a", "comment", "TEXT", "too short"),
        ("trace-s1-a", "both-bad", "CATEGORICAL", "both_bad"),
        ("trace-s1-b", "both-bad", "CATEGORICAL", "both_bad"),
    }
    assert (done.sent, done.pending, done.refused, done.without_trace) == (9, 0, (), 0)
    assert {s["metadata"]["rater"] for s in server.scores} == {"person:anna", "person:ben"}
    first = next(s for s in server.scores if s["value"] == 1.0)
    assert first["metadata"]["position"] == 1
    assert first["timestamp"] == "2026-01-01T10:00:00.000Z"


def test_answers_drawn_together_share_a_trace_and_keep_their_own_scores(server, ledger):
    drawn = drawn_together("s2", "one", "two", "three")
    done = deliver([rating("s2", "b>a>c")], [drawn], project(server.url), ledger)
    assert done.sent == 3
    found = {s["metadata"]["completion"]: (s["subject"]["id"], s["value"]) for s in server.scores}
    trace = "trace-s2"
    assert found == {"b": (trace, 1.0), "a": (trace, 0.5), "c": (trace, 0.0)}


def test_delivering_again_sends_nothing(server, ledger):
    ratings = [rating("s1", "a>b>c")]
    deliver(ratings, SETS, project(server.url), ledger)
    before = posts(server)
    assert deliver(ratings, SETS, project(server.url), ledger).sent == 0
    assert posts(server) == before


def test_the_trace_that_a_rating_names_comes_before_the_completions(server, ledger):
    shown = replace(rating("s1", kind="thumbs", shown="a", value=0), traces=("elsewhere",))
    deliver([shown], SETS, project(server.url), ledger)
    assert said(server) == {("elsewhere", "thumbs", "BOOLEAN", False)}


def test_skips_repeats_pulled_and_untraced_ratings_are_not_sent(server, ledger):
    thumb = rating("s1", kind="thumbs", shown="a", value=1)
    ratings = [
        rating("s1", kind="skip", shown="ab"),
        replace(thumb, id="again", repeats=thumb.id),
        replace(thumb, id="pulled", door="langfuse"),
        rating("s2", "a>b"),
        rating("gone", "a>b", id="of-no-set"),
    ]
    done = deliver(ratings, [*SETS, candidate_set("s2", "x", "y")], project(server.url), ledger)
    assert (done.sent, done.without_trace) == (0, 1)
    assert [item.source for item in done.unfit] == ["ratings: of-no-set"]
    assert server.scores == []


def test_a_change_of_mind_leaves_one_current_score(server, ledger):
    first = rating("s1", kind="stars", shown="a", value=2)
    second = rating("s1", kind="stars", shown="a", value=5, at="2026-01-01T10:05:00Z")
    there = project(server.url)
    deliver([first], SETS, there, ledger)
    done = deliver([first, second], SETS, there, ledger, settles_s=0)
    assert (done.sent, done.withdrawn) == (1, 1)
    assert said(server) == {("trace-s1-a", "stars", "NUMERIC", 5.0)}


def test_undo_deletes_and_undoing_the_undo_brings_the_score_back_under_a_new_id(server, ledger):
    thumb = rating("s1", kind="thumbs", shown="a", value=1)
    undo = rating("s1", kind="undo", shown="a", undoes=thumb.id, id="u1", at="2026-01-01T10:01:00Z")
    back = rating("s1", kind="undo", shown="a", undoes="u1", id="u2", at="2026-01-01T10:02:00Z")
    there = project(server.url)
    deliver([thumb], SETS, there, ledger)
    (old,) = server.scores
    deliver([thumb, undo], SETS, there, ledger, settles_s=0)
    assert server.scores == []
    deliver([thumb, undo, back], SETS, there, ledger, settles_s=0)
    (new,) = server.scores
    assert (old["value"], new["value"]) == (True, True)
    assert old["id"] != new["id"]


def test_a_late_server_is_asked_to_delete_only_what_it_can_find(server, ledger):
    server.delay_s = 0.4
    thumb = rating("s1", kind="thumbs", shown="a", value=1)
    undo = rating("s1", kind="undo", shown="a", undoes=thumb.id, at="2026-01-01T10:01:00Z")
    there = project(server.url)
    deliver([thumb], SETS, there, ledger)
    waiting = deliver([thumb, undo], SETS, there, ledger, settles_s=60, deadline_s=0.1)
    assert (waiting.withdrawn, waiting.pending) == (0, 1)
    assert "settled" in waiting.waiting
    deliver([thumb, undo], SETS, there, ledger, settles_s=1.5, deadline_s=5)
    time.sleep(0.5)
    assert server.scores == []


def test_a_rating_undone_before_it_was_sent_never_leaves(server, ledger):
    thumb = rating("s1", kind="thumbs", shown="a", value=1)
    undo = rating("s1", kind="undo", shown="a", undoes=thumb.id, at="2026-01-01T10:01:00Z")
    deliver([thumb, undo], SETS, project(server.url), ledger)
    assert posts(server) == 0


@pytest.mark.parametrize("trouble", ["500", "503", "429", "drop", "lost"])
def test_a_server_in_trouble_is_asked_again_until_it_says_yes(server, ledger, trouble):
    left = {"GET": [trouble, trouble], "POST": [trouble, trouble]}
    server.trouble = lambda method, path: left[method].pop() if left[method] else ""
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert (done.sent, done.pending) == (3, 0)
    assert len(server.scores) == 3
    assert sent_lines(ledger) == {s["id"] for s in server.scores}


def test_a_hanging_server_is_left_at_the_deadline_with_nothing_lost(server, ledger):
    server.trouble = lambda method, path: "hang"
    server.hang_s = 20
    began = time.monotonic()
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger, deadline_s=0.5)
    assert time.monotonic() - began < 10
    assert (done.sent, done.pending) == (0, 3)
    assert "can't be reached" in done.waiting
    assert sent_lines(ledger) == set()


def test_a_dead_server_leaves_all_pending(ledger):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    there = project(f"http://127.0.0.1:{port}")
    done = deliver([rating("s1", "a>b>c")], SETS, there, ledger, deadline_s=0.5)
    assert (done.sent, done.pending) == (0, 3)
    assert langfuse.SECRET not in done.waiting


def test_a_partial_failure_is_narrowed_down_to_the_score_that_is_refused(server, ledger):
    server.refuse = lambda score: "no such trace" if score["traceId"] == "trace-s1-b" else ""
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert {s["subject"]["id"] for s in server.scores} == {"trace-s1-a", "trace-s1-c"}
    assert [item.reason for item in done.refused] == ["no such trace"]
    before = posts(server)
    again = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert posts(server) == before
    assert again.refused == done.refused


def test_a_score_that_is_rejected_without_a_status_is_left_to_later_and_tried_anew(
    server, ledger, quick
):
    server.reject = _only_b
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert {s["subject"]["id"] for s in server.scores} == {"trace-s1-a", "trace-s1-c"}
    assert (done.sent, done.pending, done.put_off, done.refused) == (2, 1, 1, ())
    assert "rejected 1 scores, which are tried again: no such trace" in done.waiting
    assert Counter(line.state for line in ledger)["rejected"] == langfuse_rejections.TRIES
    server.reject = lambda score: ""
    again = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert (again.sent, again.pending, len(server.scores)) == (1, 0, 3)


def test_what_was_rejected_for_long_counts_as_refused_and_is_still_tried_anew(
    server, ledger, quick, monkeypatch
):
    monkeypatch.setattr(langfuse_rejections, "GIVES_UP_AFTER_S", 0.0)
    server.reject = _only_b
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert (done.pending, [item.reason for item in done.refused]) == (0, ["no such trace"])
    server.reject = lambda score: ""
    again = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert (again.sent, again.refused) == (1, ())


def test_the_words_of_a_server_hold_no_control_characters(server, ledger, quick):
    server.refuse = lambda score: "no\x1b[2J such\x07\ntrace"
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert {item.reason for item in done.refused} == {"no[2J such trace"}


def test_a_batch_that_is_rejected_as_a_whole_is_not_taken_apart(server, ledger, quick):
    server.reject = lambda score: "the store restarts"
    ratings = [rating("s1", kind="thumbs", shown=shown, value=1) for shown in "abc"]
    done = deliver(ratings, SETS, project(server.url), ledger)
    assert (done.pending, done.put_off) == (3, 3)
    assert posts(server) == langfuse_rejections.TRIES


def test_each_project_has_what_the_ledger_says_of_it(server, ledger):
    thumb = rating("s1", kind="thumbs", shown="a", value=1)
    undo = rating("s1", kind="undo", shown="a", undoes=thumb.id, at="2026-01-01T10:01:00Z")
    with langfuse.running(langfuse.StandIn(project="project-2")) as second:
        first_keys, second_keys = project(server.url), project(second.url)
        assert deliver([thumb], SETS, first_keys, ledger).sent == 1
        assert deliver([thumb], SETS, second_keys, ledger).sent == 1
        assert len(server.scores) == len(second.scores) == 1
        assert deliver([thumb], SETS, first_keys, ledger).sent == 0
        done = deliver([thumb, undo], SETS, second_keys, ledger, settles_s=0)
        assert (done.withdrawn, len(server.scores), len(second.scores)) == (1, 1, 0)
        assert deliver([thumb, undo], SETS, first_keys, ledger, settles_s=0).withdrawn == 1
        assert server.scores == []


def test_a_ledger_that_names_no_project_doubles_nothing_and_hides_nothing(server, ledger):
    thumb = rating("s1", kind="thumbs", shown="a", value=1)
    ratings = [rating("s1", "a>b>c"), thumb]
    deliver(ratings, SETS, project(server.url), ledger)
    lines = [replace(line, project="") for line in ledger]
    ledger.path.unlink()
    ledger.append(*lines)
    with langfuse.running(langfuse.StandIn(project="project-2")) as second:
        assert deliver(ratings, SETS, project(second.url), ledger).sent == 4
        assert len(second.scores) == 4
    assert deliver(ratings, SETS, project(server.url), ledger).sent == 4
    assert len(server.scores) == 4
    undo = rating("s1", kind="undo", shown="a", undoes=thumb.id, at="2026-01-01T10:01:00Z")
    deliver([*ratings, undo], SETS, project(server.url), ledger, settles_s=0)
    assert {score["name"] for score in server.scores} == {"preference"}


def test_while_no_server_says_which_project_it_is_all_is_pending(server, ledger):
    deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    server.trouble = lambda method, path: "503"
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger, deadline_s=0)
    assert (done.sent, done.pending) == (0, 3)
    assert "answered 503" in done.waiting


def test_a_partial_failure_that_passes_loses_nothing(server, ledger):
    server.fails_first = 1.0
    done = deliver([rating("s1", "a>b>c")], SETS, project(server.url), ledger)
    assert (done.sent, done.refused) == (3, ())
    assert len(server.scores) == 3


def test_a_score_that_is_too_large_does_not_hold_up_the_others(server, ledger, monkeypatch):
    monkeypatch.setattr(delivery, "LONGEST_BODY", 100_000)
    server.refuse = lambda score: "too large" if len(str(score["value"])) > 100_000 else ""
    ratings = [
        rating("s1", kind="correction", shown="a", text="x" * 150_000),
        rating("s1", kind="thumbs", shown="b", value=1),
    ]
    done = deliver(ratings, SETS, project(server.url), ledger)
    assert said(server) == {("trace-s1-b", "thumbs", "BOOLEAN", True)}
    assert [item.reason for item in done.refused] == ["too large"]


def test_wrong_keys_are_one_clear_error_and_nothing_counts_as_sent(server, ledger):
    there = project(server.url, secret="sk-lf-another-secret")
    with pytest.raises(ServerError, match="refused the keys: Invalid credentials") as caught:
        deliver([rating("s1", "a>b")], SETS, there, ledger)
    assert "sk-lf" not in str(caught.value)
    assert sent_lines(ledger) == set()
    assert deliver([rating("s1", "a>b")], SETS, project(server.url), ledger).sent == 2


def test_an_address_that_is_no_langfuse_is_a_clear_error(ledger):
    with langfuse.running() as server, pytest.raises(ServerError, match="answered 404"):
        _ = project(server.url + "/wrong").id


def test_without_keys_the_error_names_the_variable():
    settings = Settings(root=Path("/nowhere"), home=Path("/nowhere"), langfuse_public_key="pk")
    with pytest.raises(SettingsError, match="LANGFUSE_SECRET_KEY is empty"):
        connect(settings)


def test_the_client_does_not_show_its_secret(server):
    assert langfuse.SECRET not in repr(vars(project(server.url)))


def test_a_broken_line_of_the_ledger_is_named_and_removing_it_doubles_nothing(server, ledger):
    ratings = [rating("s1", "a>b>c")]
    there = project(server.url)
    deliver(ratings, SETS, there, ledger)
    lines = ledger.path.read_text().splitlines()
    ledger.path.write_text("\n".join([*lines[:-2], "broken", lines[-1]]) + "\n")
    with pytest.raises(InputError, match=f"line {len(lines) - 1} is not a Handover"):
        deliver(ratings, SETS, there, ledger)
    ledger.path.write_text("\n".join([*lines[:-2], lines[-1]]) + "\n")
    assert deliver(ratings, SETS, there, ledger).sent == 1
    assert len(server.scores) == 3


@pytest.mark.parametrize("name", STRANGE_TEXTS)
def test_strange_texts_arrive_as_they_are(server, ledger, name):
    text = STRANGE_TEXTS[name]
    ratings = [rating("s1", kind="correction", shown="a", text=text)]
    if text.strip():
        ratings.append(replace(rating("s1", kind="comment", shown="b"), comment=text))
    done = deliver(ratings, SETS, project(server.url), ledger)
    assert done.refused == ()
    by_type = {s["dataType"]: s for s in server.scores}
    assert by_type["CORRECTION"]["value"] == text
    if text.strip():
        whole = by_type["TEXT"]["comment"] or by_type["TEXT"]["value"]
        assert whole == text


def test_a_rating_that_stands_keeps_its_scores_when_its_candidate_set_is_not_given(server, ledger):
    there = project(server.url)
    standing = rating("s1", "a>b>c")
    replaced = rating("s1", kind="stars", shown="a", value=2)
    undone = rating("s1", kind="thumbs", shown="b", value=1)
    deliver([standing, replaced, undone], SETS, there, ledger)
    later = [
        rating("s1", kind="stars", shown="a", value=5, at="2026-01-01T10:05:00Z"),
        rating("s1", kind="undo", shown="b", undoes=undone.id, at="2026-01-01T10:05:00Z"),
    ]
    done = deliver(
        [standing, replaced, undone, *later], [traced("s2", "x")], there, ledger, settles_s=0
    )
    assert [item.reason for item in done.unfit] == ["there is no candidate set s1"] * 4
    assert done.withdrawn == 2
    assert {s["name"] for s in server.scores} == {"preference"}
    assert len(server.scores) == 3


def test_a_score_counts_as_withdrawn_only_when_the_server_no_longer_shows_it(server, ledger):
    """The server is later than `settles_s`: a deletion that is asked for at once misses."""
    server.delay_s = 1.0
    thumb = rating("s1", kind="thumbs", shown="a", value=1)
    undo = rating("s1", kind="undo", shown="a", undoes=thumb.id, at="2026-01-01T10:01:00Z")
    there = project(server.url)
    deliver([thumb], SETS, there, ledger)
    early = deliver([thumb, undo], SETS, there, ledger, settles_s=0.2, deadline_s=0.5)
    assert (early.withdrawn, early.pending) == (0, 1)
    done = deliver([thumb, undo], SETS, there, ledger, settles_s=0.2, deadline_s=20)
    assert (done.withdrawn, done.pending) == (1, 0)
    time.sleep(1.0)
    assert server.scores == []
    assert [line.state for line in ledger][-1] == "withdrawn"


def test_a_rating_that_can_not_be_said_in_scores_does_not_hold_up_the_others(server, ledger):
    odd = rating("s1", kind="thumbs", shown="a", value=1, at="0001-01-01T00:00:00+05:00")
    done = deliver([odd, rating("s1", "a>b")], SETS, project(server.url), ledger)
    assert done.sent == 2
    assert [item.source for item in done.unfit] == [f"ratings: {odd.id}"]


# --- in the background ----------------------------------------------------


def test_the_outbox_delivers_while_the_rater_goes_on(server, tmp_path, ledger):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    box = Outbox(ratings, SETS, project(server.url), ledger).start()
    try:
        ratings.append(rating("s1", "a>b>c"))
        assert box.flush(20).pending == 0
        assert len(server.scores) == 3
        ratings.append(rating("s1", kind="thumbs", shown="a", value=1))
        assert box.flush(20).pending == 0
        assert len(server.scores) == 4
    finally:
        box.stop()


def test_flush_gives_up_at_its_deadline_and_the_thread_goes_on(server, tmp_path, ledger):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(rating("s1", "a>b>c"))
    down = threading.Event()
    down.set()
    server.trouble = lambda method, path: "503" if down.is_set() else ""
    box = Outbox(ratings, SETS, project(server.url), ledger).start()
    try:
        box.flush(0.3)
        assert server.scores == []
        down.clear()
        assert box.flush(30).pending == 0
        assert len(server.scores) == 3
    finally:
        box.stop()


def test_flush_does_not_wait_for_rejected_scores_which_arrive_later(
    server, tmp_path, ledger, quick
):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(rating("s1", "a>b>c"))
    server.reject = _only_b
    box = Outbox(ratings, SETS, project(server.url), ledger).start()
    try:
        done = box.flush(600)  # beyond what any test may take
        assert (done.pending, done.put_off, done.refused) == (1, 1, ())
        assert "no such trace" in done.waiting
        server.reject = lambda score: ""
        _flush_until_all_arrived(box)
        assert len(server.scores) == 3
    finally:
        box.stop()


def test_a_store_in_trouble_for_a_while_loses_and_doubles_nothing(server, tmp_path, ledger, quick):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(*(rating("s1", kind="thumbs", shown=shown, value=1) for shown in "abc"))
    server.reject = lambda score: "the store restarts"
    box = Outbox(ratings, SETS, project(server.url), ledger).start()
    try:
        for _ in range(2 * langfuse_rejections.TRIES):
            assert box.flush(60).put_off == 3
            ratings.append(rating("s1", kind="skip", shown="ab", id=str(uuid.uuid4())))
        server.reject = lambda score: ""
        assert _flush_until_all_arrived(box).refused == ()
        assert len(server.scores) == 3
        assert set(server.writes.values()) == {1}
    finally:
        box.stop()


def test_an_outbox_tries_what_it_gave_up_only_when_it_begins_anew(
    server, tmp_path, ledger, quick, monkeypatch
):
    monkeypatch.setattr(langfuse_rejections, "GIVES_UP_AFTER_S", 0.0)
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(rating("s1", "a>b>c"))
    server.reject = _only_b
    there = project(server.url)
    box = Outbox(ratings, SETS, there, ledger).start()
    try:
        assert len(box.flush(60).refused) == 1
        server.reject = lambda score: ""
        before = posts(server)
        assert (len(box.flush(60).refused), posts(server)) == (1, before)
    finally:
        box.stop()
    anew = Outbox(ratings, SETS, there, ledger).start()
    try:
        done = anew.flush(60)
        assert (done.pending, done.refused, len(server.scores)) == (0, (), 3)
    finally:
        anew.stop()


def _flush_until_all_arrived(box: Outbox) -> Delivery:
    until = time.monotonic() + 60
    while (done := box.flush(60)).pending and time.monotonic() < until:
        time.sleep(0.05)
    assert done.pending == 0
    return done


def test_wrong_keys_end_the_thread_and_flush_says_so(server, tmp_path, ledger):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(rating("s1", "a>b"))
    box = Outbox(ratings, SETS, project(server.url, secret="wrong"), ledger)
    with pytest.raises(ServerError, match="refused the keys"):
        box.flush(20)


def test_the_outbox_keeps_candidate_sets_that_can_be_read_only_once(server, tmp_path, ledger):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(rating("s1", "a>b>c"))
    box = Outbox(ratings, (s for s in SETS), project(server.url), ledger, settles_s=0).start()
    try:
        assert box.flush(20).pending == 0
        ratings.append(rating("s1", kind="thumbs", shown="a", value=1))
        assert box.flush(20).unfit == ()
        assert len(server.scores) == 4
    finally:
        box.stop()


def test_an_unforeseen_error_ends_the_thread_and_flush_says_so(
    server, tmp_path, ledger, monkeypatch
):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(rating("s1", "a>b>c"))
    box = Outbox(ratings, SETS, project(server.url), ledger)
    with monkeypatch.context() as broken:
        broken.setattr(LangfuseProject, "put_scores", lambda *_: {}["lost"])
        with pytest.raises(WorkbenchError, match="error of the program") as caught:
            box.flush(20)
        assert isinstance(caught.value.__cause__, KeyError)
        with pytest.raises(WorkbenchError, match="error of the program"):
            _ = box.delivery
    try:
        assert box.flush(20).pending == 0
        assert len(server.scores) == 3
    finally:
        box.stop()


def test_flush_says_what_is_pending_where_no_pass_ended(server, tmp_path, ledger):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    ratings.append(rating("s1", "a>b>c"))
    server.trouble = lambda method, path: "hang"
    server.hang_s = 3
    box = Outbox(ratings, SETS, project(server.url), ledger).start()
    try:
        done = box.flush(0.2)
        assert (done.sent, done.pending) == (0, 3)
        assert done.waiting
    finally:
        box.stop()


def test_an_outbox_that_was_stopped_can_be_started_and_flushed(server, tmp_path, ledger):
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    box = Outbox(ratings, SETS, project(server.url), ledger).start()
    try:
        for n, shown in enumerate("abc", start=1):
            ratings.append(rating("s1", kind="thumbs", shown=shown, value=1))
            box.stop()
            box.start()
            assert box.flush(20).pending == 0
            assert len(server.scores) == n
    finally:
        box.stop()


# --- killed ---------------------------------------------------------------

RATINGS, KILLS = 10_000, 200
PAIRWISE = 1_000
"""Of the ratings, those of two answers that were drawn under one trace: two scores each."""
DELAY_S = 0.1
"""How late the server is."""
SETTLES_S = 3 * DELAY_S
REQUESTS = 15
"""Within how many requests a process is killed."""
PLANS_S, ANSWERS_S = 0.5, 0.05
"""About how long a process makes its plan, and the server takes to answer."""


class _Announcing(LangfuseProject):
    """Says through a pipe when a request about scores is about to leave."""

    def announce(self, pipe: int) -> LangfuseProject:
        self._pipe = pipe
        return self

    def put_scores(self, *args: Any) -> Any:
        os.write(self._pipe, b"!")
        return super().put_scores(*args)

    def scores_by_id(self, *args: Any, **options: Any) -> Any:
        os.write(self._pipe, b"!")
        return super().scores_by_id(*args, **options)

    def delete_score(self, id: str) -> None:
        os.write(self._pipe, b"!")
        super().delete_score(id)


def _ask(url: str, what: str, body: Any = None) -> Any:
    data = json.dumps(body).encode()
    with urllib.request.urlopen(f"{url}/control/{what}", data, timeout=30) as answer:
        return json.load(answer)


def _deliver_until_killed(
    ratings: list[Rating], sets: list[CandidateSet], url: str, path: Path, chance: random.Random
) -> bool:
    """Deliver in a child and kill it at any moment of its life; whether that came in time.

    One in REQUESTS is killed while it makes its plan, the others during or after any of
    their first requests: so much is done under kills, however busy the machine is.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            there = project(url)
            there.__class__ = _Announcing
            box = Journal(path, Handover)
            deliver(ratings, sets, there.announce(writes), box, settles_s=SETTLES_S)  # type: ignore[attr-defined]
            code = 0
        finally:
            os._exit(code)
    os.close(writes)
    requests = chance.randrange(REQUESTS)
    for _ in range(requests):
        if not os.read(reads, 1):  # it has done all that it was given
            break
    time.sleep(chance.uniform(0.0, ANSWERS_S if requests else PLANS_S))
    os.kill(child, signal.SIGKILL)
    os.close(reads)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.timeout(1800)
def test_ten_thousand_ratings_survive_two_hundred_kills_and_a_server_down_half_the_time(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(delivery, "BATCH", 40)
    monkeypatch.setattr(delivery, "_FIRST_WAIT_S", 0.02)
    chance = random.Random(7)
    marked = [traced(f"s{n}", "one", "two") for n in range((RATINGS - PAIRWISE) // 2)]
    together = [drawn_together(f"p{n}", "one", "two") for n in range(PAIRWISE)]
    sets = [*marked, *together]
    ratings = [
        *(
            rating(s.id, kind="thumbs", shown=c.id, value=chance.randrange(2))
            for s in marked
            for c in s.completions
        ),
        *(rating(s.id, chance.choice(["a>b", "b>a"]), kind="pairwise") for s in together),
    ]
    chance.shuffle(ratings)
    scores = RATINGS + PAIRWISE
    undone = [
        rating(
            r.candidate_set,
            kind="undo",
            shown="".join(r.shown),
            undoes=r.id,
            at="2026-01-02T10:00Z",
        )
        for r in ratings[::50]
    ]
    again = [replace(r, id=f"again-{r.id}", at="2026-01-03T10:00:00Z") for r in ratings[::50]]
    path = tmp_path / "ratings.delivered.jsonl"
    ledger = Journal(path, Handover)
    command = [sys.executable, langfuse.__file__, str(DELAY_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            with closing(project(url)) as there:
                # One delivery here, so that no child spends its life on loading the SDK.
                assert deliver(ratings[:1], sets, there, ledger).sent
            _ask(url, "troubled", 7)
            kills = read = extra = 0
            while kills < KILLS:
                given = round((RATINGS - 500) * (kills + 1) / KILLS) + 20 + extra
                so_far = [*ratings[:given], *undone[: given // 60], *again[: given // 70]]
                if _deliver_until_killed(so_far, sets, url, path, chance):
                    kills += 1
                else:
                    extra += 20  # all was delivered before the kill: more work for the next
                read = _check_new_lines(path, read, url)
            before = len(_ask(url, "ids"))
            whole = [*ratings, *undone, *again]
            _ask(url, "troubled", 0)  # else the rest would wait for its turns, up to 10 minutes
            with closing(project(url)) as there:
                done = deliver(whole, sets, there, ledger, deadline_s=300, settles_s=SETTLES_S)
            assert (done.pending, done.refused) == (0, ())
            time.sleep(DELAY_S)
            ids, writes = _ask(url, "ids"), _ask(url, "writes")
        finally:
            server.kill()
    assert kills == KILLS
    assert before > 0.7 * RATINGS  # the killed processes did most of it
    assert len(ids) == len(set(ids)) == scores
    last = {line.score: line.state for line in ledger}
    assert set(ids) == {id for id, state in last.items() if state == "sent"}
    assert max(writes.values()) > 1  # some were handled and their answer lost, and sent again


def _check_new_lines(path: Path, offset: int, url: str) -> int:
    """Nothing is acknowledged that the server does not have; where the next check begins."""
    data = path.read_bytes()[offset:] if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    lines = [json.loads(line) for line in whole.splitlines()]
    sent = [line["score"] for line in lines if line["state"] == "sent"]
    assert _ask(url, "missing", sent) == []
    return offset + len(whole)
