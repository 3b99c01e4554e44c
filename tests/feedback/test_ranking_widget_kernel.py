"""The kernel's side of the widget: messages in, journal out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import feedback
from workbench.errors import InputError, SettingsError
from workbench.journal import Journal
from workbench.records import Rating


@pytest.fixture
def journal(tmp_path: Path) -> Journal[Rating]:
    return Journal(tmp_path / "ratings.jsonl", Rating)


@pytest.fixture
def sets(make_set):
    return [make_set("s", "one", "two", "three"), make_set("r", "four", "five")]


def _widget(sets, journal, mode="ranking", rater="person:anna"):
    return feedback.RankingWidget(sets, journal, rater=rater, seed=7, mode=mode)


def _send(widget, do="decide", turn=None, **content):
    """What the browser's `model.send` leads to."""
    turn = widget.view["turn"] if turn is None else turn
    widget._handle_custom_msg({"do": do, "turn": turn, **content}, [])


def _decide(widget, ranking=(), turn=None, **decision):
    _send(widget, turn=turn, decision={"ranking": ranking, "seconds": 2.5, **decision})


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


def test_skipped_sets_are_not_recorded_and_come_back(sets, journal) -> None:
    widget = _widget(sets, journal)
    _send(widget, "step", step="skip")
    assert len(widget.view["answers"]) == 2
    _send(widget, "step", step="undo")
    assert len(widget.view["answers"]) == 3
    _send(widget, "step", step="skip")
    _send(widget, "step", step="skip")
    assert (len(widget.view["answers"]), widget.view["skipped"]) == (0, 2)
    _send(widget, "step", step="revisit")
    assert (len(widget.view["answers"]), widget.view["skipped"]) == (3, 0)
    assert list(journal) == []


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


def test_a_broken_journal_is_an_error_and_not_a_fresh_start(sets, journal) -> None:
    journal.path.write_text('{"not": "a rating"}\n')
    with pytest.raises(InputError, match="line 1"):
        _widget(sets, journal)
