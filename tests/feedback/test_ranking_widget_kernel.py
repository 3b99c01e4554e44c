"""The kernel's side of the widget: messages in, journal out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench import feedback, ratings
from workbench.errors import InputError, ServerError, SettingsError
from workbench.feedback import session
from workbench.feedback.presentation import REPEAT_AFTER
from workbench.journal import Journal
from workbench.records import Rating


@pytest.fixture
def journal(tmp_path: Path) -> Journal[Rating]:
    return Journal(tmp_path / "ratings.jsonl", Rating)


@pytest.fixture
def sets(make_set):
    return [make_set("s", "one", "two", "three"), make_set("r", "four", "five")]


@pytest.fixture
def many(make_set):
    """Thirty pairs: enough for three repeats."""
    return [make_set(f"set{n}", f"left {n}", f"right {n}") for n in range(30)]


def _widget(sets, journal, mode="ranking", rater="person:anna", **options):
    return feedback.RankingWidget(sets, journal, rater=rater, seed=7, mode=mode, **options)


def _send(widget, do="decide", turn=None, **content):
    """What the browser's `model.send` leads to."""
    turn = widget.view["turn"] if turn is None else turn
    widget._handle_custom_msg({"do": do, "turn": turn, **content}, [])


def _decide(widget, ranking=(), turn=None, **decision):
    _send(widget, turn=turn, decision={"ranking": ranking, "seconds": 2.5, **decision})


def _step(widget, step):
    _send(widget, "step", step=step)


def _work(widget, most=1000):
    """Judge pairs until the end or `most` of them."""
    while widget.view["answers"] and most > 0:
        _decide(widget, [[0], [1]])
        most -= 1


def test_a_decision_is_in_the_journal_as_it_was_shown(sets, journal) -> None:
    widget = _widget(sets, journal)
    _decide(widget, [[2], [0, 1]], comment=" clear ")
    (rating,) = journal
    a, b, c = rating.shown
    assert rating.ranking == ((c,), (a, b))
    assert (rating.kind, rating.rater, rating.door) == ("ranking", "person:anna", "widget")
    assert (rating.candidate_set, rating.comment, rating.seconds) == ("s", "clear", 2.5)
    assert widget.view["notice"] == {"kind": "saved", "text": "Saved"}
    assert (widget.view["done"], widget.view["total"], len(widget.view["answers"])) == (1, 2, 2)
    assert widget.view["pace"] == 2.5


def test_answers_are_shown_in_the_recorded_order(sets, journal) -> None:
    widget = _widget(sets, journal)
    html = [answer["html"] for answer in widget.view["answers"]]
    _decide(widget, [[0], [1], [2]])
    (rating,) = journal
    assert html == [f"<p>{sets[0].completion(id).text}</p>\n" for id in rating.shown]


@pytest.mark.parametrize(
    ("mode", "decision", "expected"),
    [
        ("pairwise", {"ranking": [[1], [0]]}, {"both_bad": False}),
        ("pairwise", {"ranking": [[0, 1]]}, {"both_bad": False}),
        ("pairwise", {"ranking": [[0, 1]], "both_bad": True}, {"both_bad": True}),
        ("thumbs", {"value": 0}, {"value": 0}),
        ("stars", {"value": 5, "comment": "x"}, {"value": 5, "comment": "x"}),
    ],
)
def test_every_mode_records_its_kind(sets, journal, mode, decision, expected) -> None:
    widget = _widget(sets, journal, mode)
    _decide(widget, **decision)
    (rating,) = journal
    assert rating.kind == mode
    assert {name: getattr(rating, name) for name in expected} == expected
    assert len(rating.shown) == (2 if mode == "pairwise" else 1)


def test_nothing_that_names_a_model_or_an_answer_reaches_the_browser(sets, journal) -> None:
    sent = json.dumps(_widget(sets, journal).get_state(), default=str)
    assert "one" in sent
    for secret in ("secret-backend", "secret-model", "s-0", "s-1", "r-0"):
        assert secret not in sent


def test_work_goes_on_where_it_stopped(sets, journal) -> None:
    _decide(_widget(sets, journal), [[0], [1], [2]])
    again = _widget(sets, journal)
    assert (again.view["done"], len(again.view["answers"])) == (1, 2)
    _decide(again, [[0], [1]])
    assert not again.view["answers"]
    assert not _widget(sets, journal).view["answers"]
    assert len(_widget(sets, journal, rater="person:boris").view["answers"]) == 3


def test_a_repeated_message_changes_nothing(sets, journal) -> None:
    widget = _widget(sets, journal)
    _decide(widget, [[0], [1], [2]], turn=0)
    serial = widget.view["serial"]
    _decide(widget, [[0], [1], [2]], turn=0)
    _send(widget, "step", turn=0, step="skip")
    assert len(list(journal)) == 1
    assert (widget.view["done"], widget.view["skipped"]) == (1, 0)
    assert widget.view["serial"] > serial, "the browser learns where the kernel is"


def test_undo_is_a_new_event_and_shows_the_decision_again(sets, journal) -> None:
    widget = _widget(sets, journal)
    _decide(widget, [[2], [0, 1]], comment="hasty")
    _send(widget, "step", step="undo")
    rating, undo = journal
    assert (undo.kind, undo.undoes, undo.shown) == ("undo", rating.id, rating.shown)
    assert (undo.rater, undo.candidate_set) == ("person:anna", "s")
    assert widget.view["done"] == 0
    assert widget.view["draft"]["ranking"] == ((2,), (0, 1))
    assert widget.view["draft"]["comment"] == "hasty"
    _decide(widget, [[0], [1], [2]])
    assert [r.kind for r in journal] == ["ranking", "undo", "ranking"]
    assert len({r.id for r in journal}) == 3
    assert widget.view["done"] == 1


def test_undo_reaches_back_over_a_restart_and_stays_undone(sets, journal) -> None:
    _decide(_widget(sets, journal), [[0], [1], [2]])
    again = _widget(sets, journal)
    assert again.view["can_undo"]
    _send(again, "step", step="undo")
    assert len(again.view["answers"]) == 3
    third = _widget(sets, journal)
    assert (third.view["done"], third.view["can_undo"]) == (0, False)


def test_another_rater_can_not_undo_mine(sets, journal) -> None:
    _decide(_widget(sets, journal), [[0], [1], [2]])
    other = _widget(sets, journal, rater="person:boris")
    _send(other, "step", step="undo")
    assert other.view["notice"]["kind"] == "error"
    assert len(list(journal)) == 1


def test_a_skip_is_on_record_and_can_be_taken_back(sets, journal) -> None:
    widget = _widget(sets, journal)
    _step(widget, "skip")
    assert len(widget.view["answers"]) == 2
    (skip,) = journal
    assert (skip.kind, skip.candidate_set, len(skip.shown), skip.ranking) == ("skip", "s", 3, ())
    _step(widget, "undo")
    assert (len(widget.view["answers"]), widget.view["skipped"]) == (3, 0)
    assert ratings.standing(journal) == []


def test_skipped_sets_come_back_when_asked_for(sets, journal) -> None:
    widget = _widget(sets, journal)
    _step(widget, "skip")
    _step(widget, "skip")
    assert (len(widget.view["answers"]), widget.view["skipped"]) == (0, 2)
    _step(widget, "revisit")
    assert (len(widget.view["answers"]), widget.view["skipped"]) == (3, 0)
    _decide(widget, [[0], [1], [2]])
    _step(widget, "skip")
    assert (widget.view["done"], widget.view["skipped"], widget.view["answers"]) == (1, 1, ())
    assert [r.kind for r in ratings.standing(journal)] == ["ranking", "skip"]


def test_the_next_session_asks_for_what_was_skipped_at_the_end(sets, journal) -> None:
    _step(_widget(sets, journal), "skip")
    again = _widget(sets, journal)
    assert (len(again.view["answers"]), again.view["skipped"]) == (2, 0)
    _decide(again, [[0], [1]])
    assert len(again.view["answers"]) == 3
    _decide(again, [[0], [1], [2]])
    assert (again.view["done"], again.view["total"], again.view["answers"]) == (2, 2, ())


def test_repeats_come_later_turned_round_and_look_like_the_others(many, journal) -> None:
    widget = _widget(many, journal, "pairwise")
    assert widget.view["total"] == 33
    views = []
    while widget.view["answers"]:
        views.append(set(widget.view))
        _decide(widget, [[0], [1]])
    assert (widget.view["done"], len(views)) == (33, 33)
    assert len({frozenset(names) for names in views}) == 1
    given = list(journal)
    first = {rating.id: n for n, rating in enumerate(given)}
    repeats = [(n, rating) for n, rating in enumerate(given) if rating.repeats]
    assert len(repeats) == 3
    for n, repeat in repeats:
        before = given[first[repeat.repeats]]
        assert repeat.shown == before.shown[::-1]
        assert (repeat.candidate_set, before.repeats) == (before.candidate_set, None)
        assert n - first[repeat.repeats] > REPEAT_AFTER
    assert len(ratings.standing(given)) == 30


def test_no_restart_asks_a_repeat_twice_or_forgets_it(many, journal) -> None:
    for _ in range(33):
        _work(_widget(many, journal, "pairwise"), most=1)
    assert not _widget(many, journal, "pairwise").view["answers"]
    assert len({rating.id for rating in journal}) == 33
    assert sum(rating.repeats is not None for rating in journal) == 3


def test_a_repeat_of_a_first_that_was_taken_back_names_the_one_that_stands(many, journal) -> None:
    widget = _widget(many, journal, "pairwise", repeats=1.0)
    _decide(widget, [[0], [1]])
    _step(widget, "undo")
    _decide(widget, [[1], [0]])
    _work(widget)
    first, undo, instead = list(journal)[:3]
    assert undo.undoes == first.id
    named = [r.repeats for r in journal if r.repeats and r.candidate_set == first.candidate_set]
    assert named == [instead.id]


def test_a_repeat_is_taken_back_like_any_other(many, journal) -> None:
    widget = _widget(many, journal, "pairwise")
    while not any(rating.repeats for rating in journal):
        _decide(widget, [[0], [1]])
    repeat = list(journal)[-1]
    _step(widget, "undo")
    shown = [answer["text"] for answer in widget.view["answers"]]
    of_set = next(s for s in many if s.id == repeat.candidate_set)
    assert shown == [of_set.completion(id).text for id in repeat.shown]
    _work(widget)
    standing = ratings.not_undone(journal)
    assert len(standing) == 33
    assert sum(rating.repeats == repeat.repeats for rating in standing) == 1


def test_what_was_skipped_is_not_repeated(many, journal) -> None:
    widget = _widget(many, journal, "pairwise", repeats=1.0)
    _step(widget, "skip")
    _work(widget)
    skipped = next(rating for rating in journal if rating.kind == "skip").candidate_set
    assert skipped not in {rating.candidate_set for rating in journal if rating.repeats}
    assert widget.view["done"] + widget.view["skipped"] == widget.view["total"]


def test_what_is_judged_last_has_no_repeat_and_the_count_agrees(many, journal) -> None:
    widget = _widget(many, journal, "pairwise", repeats=1.0)
    for _ in range(30):
        _step(widget, "skip")
    _step(widget, "revisit")
    _work(widget)
    assert widget.view["done"] == widget.view["total"]
    assert 0 < sum(rating.repeats is not None for rating in journal) <= 25


@pytest.mark.parametrize("mode", ["ranking", "pairwise", "thumbs", "stars"])
def test_few_or_single_answers_have_no_repeats(make_set, journal, mode) -> None:
    few = [make_set(f"f{n}", "a", "b") for n in range(REPEAT_AFTER)]
    widget = _widget(few, journal, mode, repeats=1.0)
    assert widget.view["total"] == len(few) * (2 if mode in ("thumbs", "stars") else 1)


def test_a_correction_stands_beside_the_ranking(sets, journal) -> None:
    widget = _widget(sets, journal)
    original = widget.view["answers"][1]["text"]
    _send(widget, "correct", answer=1, text="as it should be")
    question = widget.view["question"]
    assert [a["correction"] for a in widget.view["answers"]] == [None, "as it should be", None]
    assert widget.view["answers"][1]["text"] == original
    _decide(widget, [[0], [1], [2]])
    correction, ranking = journal
    assert (correction.kind, correction.text) == ("correction", "as it should be")
    assert correction.shown == (ranking.shown[1],)
    assert ratings.check(journal, sets).aside == ()
    assert widget.view["question"] == question + 1
    assert (widget.view["done"], len(ratings.standing(journal))) == (1, 2)


def test_a_correction_is_taken_back_by_undo_or_by_the_first_text(sets, journal) -> None:
    widget = _widget(sets, journal)
    original = widget.view["answers"][0]["text"]
    _send(widget, "correct", answer=0, text="good")
    _send(widget, "correct", answer=0, text="better")
    _step(widget, "undo")
    assert widget.view["answers"][0]["correction"] == "good"
    _send(widget, "correct", answer=0, text=original)
    assert widget.view["answers"][0]["correction"] is None
    assert widget.view["question"] == 0, "the same question, so that the draft stays"
    assert ratings.standing(journal) == []
    assert not _widget(sets, journal).view["can_undo"]


def test_an_unchanged_answer_is_no_correction(sets, journal) -> None:
    widget = _widget(sets, journal)
    _send(widget, "correct", answer=0, text=widget.view["answers"][0]["text"])
    assert list(journal) == []


def test_a_correction_does_not_tell_a_repeat_from_a_first(many, journal) -> None:
    widget = _widget(many, journal, "pairwise")
    while widget.view["answers"]:
        assert [a["correction"] for a in widget.view["answers"]] == [None, None]
        _send(widget, "correct", answer=0, text="better")
        assert [a["correction"] for a in widget.view["answers"]] == ["better", None]
        _decide(widget, [[0], [1]])
    _step(widget, "undo")
    assert [a["correction"] for a in widget.view["answers"]] == ["better", None]
    assert any(rating.repeats for rating in journal)


def test_answers_of_other_sets_with_the_same_ids_are_not_corrected(make_set, journal) -> None:
    one = make_set("s", "a", "b")
    other = replace(one, id="other")
    widget = _widget([one, other], journal)
    _send(widget, "correct", answer=0, text="better")
    _decide(widget, [[0], [1]])
    assert [a["correction"] for a in widget.view["answers"]] == [None, None]


def test_who_delivers_is_told_after_the_browser_and_of_every_event(sets, journal) -> None:
    told = []
    widget = _widget(sets, journal, on_rated=lambda r: told.append((r, widget.view["done"])))
    _decide(widget, [[0], [1], [2]])
    _step(widget, "undo")
    _send(widget, "correct", answer=0, text="better")
    _step(widget, "skip")
    assert [rating for rating, _ in told] == list(journal)
    assert [done for _, done in told] == [1, 0, 0, 0]


def test_a_delivery_that_fails_leaves_the_rating_saved_and_says_so(sets, journal) -> None:
    def fail(_rating):
        raise ServerError("Nobody answers", "Start the server")

    widget = _widget(sets, journal, on_rated=fail)
    _decide(widget, [[0], [1], [2]])
    assert (widget.view["done"], len(list(journal))) == (1, 1)
    assert widget.view["notice"]["kind"] == "warning"
    assert "Nobody answers. Start the server" in widget.view["notice"]["text"]
    _decide(widget, [[0], [1]])
    assert len(list(journal)) == 2


def test_traces_stand_in_the_order_shown(make_set, journal) -> None:
    bare = make_set("s", "a", "b", "c")
    first, *rest = bare.completions
    traced = replace(bare, completions=(replace(first, trace_id="trace-of-a"), *rest))
    widget = _widget([traced, make_set("r", "d", "e")], journal)
    _decide(widget, [[0], [1], [2]])
    _decide(widget, [[0], [1]])
    with_trace, without = journal
    assert with_trace.traces == tuple(
        "trace-of-a" if id == "s-0" else "" for id in with_trace.shown
    )
    assert without.traces == ()


def test_half_an_emoji_does_not_stop_a_comment(sets, journal) -> None:
    widget = _widget(sets, journal)
    _decide(widget, [[0], [1], [2]], comment="cut \ud83d")
    (rating,) = journal
    assert rating.comment == "cut ?"


def test_a_clock_that_goes_back_takes_nothing_back(sets, journal, monkeypatch) -> None:
    class Clock(datetime):
        hour_now = 10

        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, cls.hour_now, tzinfo=UTC)

    monkeypatch.setattr(session, "datetime", Clock)
    widget = _widget(sets, journal)
    _decide(widget, [[0], [1], [2]])
    Clock.hour_now = 9
    _step(widget, "undo")
    assert ratings.standing(journal) == []
    _decide(widget, [[2], [1], [0]])
    _decide(widget, [[0], [1]])
    assert [r.candidate_set for r in ratings.standing(journal)] == ["s", "r"]
    assert _widget(sets, journal).view["done"] == 2


def test_what_another_door_gave_by_a_clock_ahead_can_be_taken_back(sets, journal) -> None:
    _decide(_widget(sets, journal), [[0], [1], [2]])
    (given,) = journal
    journal.path.unlink()
    journal.append(replace(given, door="label-studio", at="2099-01-01T12:00:00+03:00"))
    _step(_widget(sets, journal), "undo")
    _decide(_widget(sets, journal), [[2], [1], [0]])
    (last,) = ratings.standing(journal)
    assert last.ranking[0] == (last.shown[2],)
    assert _widget(sets, journal).view["done"] == 1


def test_ratings_that_fit_nothing_do_not_stop_the_rater(sets, journal) -> None:
    _decide(_widget(sets, journal), [[0], [1], [2]])
    (rating,) = journal
    journal.append(replace(rating, id="x", at="yesterday"), replace(rating, id="y", shown=("z",)))
    assert _widget(sets, journal).view["done"] == 1


@pytest.mark.parametrize(
    "content",
    [
        None,
        "decide",
        {},
        {"do": "decide", "turn": 0},
        {"do": "shell", "turn": 0},
        {"do": "step", "turn": 0, "step": "delete"},
        {"do": "step", "turn": "0", "step": "skip"},
        {"do": "step", "turn": 0, "step": "skip", "path": "/etc"},
        {"do": "correct", "turn": 0, "answer": 0},
        {"do": "correct", "turn": 0, "answer": 3, "text": "x"},
        {"do": "correct", "turn": 0, "answer": -1, "text": "x"},
        {"do": "correct", "turn": 0, "answer": "s-0", "text": "x"},
        {"do": "correct", "turn": 0, "answer": 0, "text": " "},
        {"do": "correct", "turn": 0, "answer": 0, "text": "x" * 1_000_001},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [2]], "seconds": 1e999}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [[2]]]}},
        {"do": "decide", "turn": 0, "decision": [[0], [1], [2]]},
        ["decide", 0],
        "x" * 1_000_000,
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1]]}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [1]]}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [3]]}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [], [1, 2]]}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [-1]]}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [2]], "both_bad": True}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [["s-0"], ["s-1"], ["s-2"]]}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [2]], "value": 1}},
        {"do": "decide", "turn": 0, "decision": {"ranking": [[0], [1], [2]], "seconds": -1}},
        {
            "do": "decide",
            "turn": 0,
            "decision": {"ranking": [[0], [1], [2]], "comment": "x" * 10_001},
        },
    ],
)
def test_a_broken_message_is_refused_and_said_so(sets, journal, content) -> None:
    widget = _widget(sets, journal)
    widget._handle_custom_msg(content, [])
    assert list(journal) == []
    assert widget.view["notice"]["kind"] == "error"
    assert widget.view["notice"]["text"].startswith("Not saved")
    assert (widget.view["turn"], widget.view["done"]) == (0, 0)


@pytest.mark.parametrize("value", [-1, 0, 6, None, 2.5, True])
def test_stars_are_one_to_five(sets, journal, value) -> None:
    widget = _widget(sets, journal, "stars")
    _decide(widget, value=value)
    assert list(journal) == []
    assert widget.view["notice"]["kind"] == "error"


def test_a_failing_write_is_shown_and_the_question_stays(sets, journal) -> None:
    journal.path.mkdir()
    widget = _widget(sets, Journal(journal.path / "x" / "r.jsonl", Rating))
    (journal.path / "x").write_text("a file where the folder should be")
    _decide(widget, [[0], [1], [2]])
    notice = widget.view["notice"]
    assert notice["kind"] == "error"
    assert "can't be written" in notice["text"]
    assert (widget.view["turn"], widget.view["done"]) == (0, 0)
    (journal.path / "x").unlink()
    _decide(widget, [[0], [1], [2]])
    assert widget.view["done"] == 1


def test_a_full_disk_is_shown_and_leaves_the_journal_whole(sets, journal, monkeypatch) -> None:
    widget = _widget(sets, journal)
    _decide(widget, [[0], [1], [2]])
    before = journal.path.read_bytes()

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    _decide(widget, [[0], [1]])
    assert "No space left" in widget.view["notice"]["text"]
    assert (widget.view["turn"], widget.view["done"]) == (1, 1)
    assert journal.path.read_bytes() == before


def test_the_decision_is_on_disk_before_the_browser_hears_of_it(sets, journal) -> None:
    widget = _widget(sets, journal)
    seen: list[int] = []
    widget.observe(lambda _change: seen.append(len(list(journal))), "view")
    _decide(widget, [[0], [1], [2]])
    assert seen == [1]


@pytest.mark.parametrize("rater", ["anna", "rule:shorter", "person:", "person: "])
def test_only_a_named_person_may_use_the_widget(sets, journal, rater: str) -> None:
    with pytest.raises(SettingsError, match="person:NAME"):
        _widget(sets, journal, rater=rater)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_of_repeats_is_between_none_and_all(sets, journal, share: float) -> None:
    with pytest.raises(SettingsError, match="from 0 to 1"):
        _widget(sets, journal, repeats=share)


def test_a_broken_journal_is_an_error_and_not_a_fresh_start(sets, journal) -> None:
    journal.path.write_text('{"not": "a rating"}\n')
    with pytest.raises(InputError, match="line 1"):
        _widget(sets, journal)
