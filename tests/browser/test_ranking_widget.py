"""The ranking widget as a rater meets it: a real JupyterLab, a real browser, keys only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS, Witness

from workbench.journal import Journal
from workbench.records import (
    CandidateSet,
    Completion,
    Message,
    Prompt,
    Rating,
    Sampling,
    Timing,
    Usage,
)

pytestmark = pytest.mark.browser

CELL = """
from workbench.feedback import RankingWidget
from workbench.journal import Journal, read
from workbench.records import CandidateSet, Rating

RankingWidget(
    read({sets!r}, CandidateSet), Journal({ratings!r}, Rating), rater="person:anna", mode={mode!r}
)
"""


def _set(id: str, *texts: str) -> CandidateSet:
    blank = Completion(
        id="",
        text="",
        token_ids=(),
        finish_reason="stop",
        usage=Usage(1, 1),
        timing=Timing(0.0, 0.0),
        backend="secret-backend",
        model="secret-model",
        sampling=Sampling(),
    )
    answers = tuple(replace(blank, id=f"{id}-secret-{n}", text=t) for n, t in enumerate(texts))
    return CandidateSet(id, Prompt(id, (Message("user", f"What is {id}?"),), "t"), answers)


@dataclass(frozen=True)
class Desk:
    """A notebook with the widget in it, opened in a browser."""

    page: Any
    lab: Any
    journal: Journal[Rating]

    @property
    def widget(self) -> Any:
        return self.page.locator(".jp-OutputArea-output .wb")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait_for(self, text: str) -> None:
        self.widget.get_by_text(text).first.wait_for()

    @property
    def total(self) -> int:
        return int(self.widget.locator("[role=progressbar]").get_attribute("aria-valuemax"))

    def begin(self) -> None:
        self.widget.focus()

    def reload(self) -> None:
        self.page.reload()
        self.lab.run_all(self.page)


@pytest.fixture
def sit_down(lab, page, tmp_path: Path):
    """`sit_down(sets, mode=...)`: open a notebook that shows the widget."""

    def open(sets: list[CandidateSet], mode: str = "ranking", extra: tuple[str, ...] = ()) -> Desk:
        Journal(tmp_path / "sets.jsonl", CandidateSet).append(*sets)
        ratings = tmp_path / "ratings" / "anna.jsonl"
        cell = CELL.format(sets=str(tmp_path / "sets.jsonl"), ratings=str(ratings), mode=mode)
        name = f"{tmp_path.name}.ipynb"
        lab.add_notebook(name, cell, *extra)
        lab.open(page, name)
        desk = Desk(page, lab, Journal(ratings, Rating))
        desk.begin()
        return desk

    return open


def test_rank_by_keyboard_reload_and_go_on(sit_down) -> None:
    sets = [_set("salt", "a", "b", "c"), _set("rust", "d", "e"), _set("dew", "f", "g")]
    desk = sit_down(sets)
    desk.wait_for("0 of 3 ranked")
    desk.press("3", "1", "t", "2", "Enter")
    desk.wait_for("1 of 3 ranked")
    (first,) = desk.journal
    a, b, c = first.shown
    assert first.ranking == ((c,), (a, b))
    assert (first.candidate_set, first.rater, first.door) == ("salt", "person:anna", "widget")

    desk.reload()
    desk.wait_for("1 of 3 ranked")
    desk.wait_for("What is rust?")
    desk.begin()
    desk.press("2", "Enter")  # the last answer takes the last place by itself
    desk.wait_for("2 of 3 ranked")
    desk.press("b", "c")
    desk.page.keyboard.type("neither, said b")
    desk.press("Enter", "Enter")
    desk.wait_for("All judged")

    ratings = list(desk.journal)
    assert [r.candidate_set for r in ratings] == ["salt", "rust", "dew"]
    assert ratings[1].ranking == ((ratings[1].shown[1],), (ratings[1].shown[0],))
    assert (ratings[2].both_bad, ratings[2].comment) == (True, "neither, said b")
    assert all(r.seconds is not None and r.seconds >= 0 for r in ratings)

    desk.reload()
    desk.wait_for("All judged")
    assert len(list(desk.journal)) == 3


def test_undo_shows_the_decision_again(sit_down) -> None:
    desk = sit_down([_set("salt", "a", "b"), _set("rust", "c", "d")], mode="pairwise")
    desk.press("1", "Enter")
    desk.wait_for("1 of 2 compared")
    desk.press("z")
    desk.wait_for("0 of 2 compared")
    desk.wait_for("Better")
    desk.press("2", "Enter")
    desk.wait_for("1 of 2 compared")
    first, undo, second = desk.journal
    assert (undo.kind, undo.undoes) == ("undo", first.id)
    assert first.ranking == second.ranking[::-1]


@pytest.mark.parametrize(("mode", "key", "value"), [("stars", "4", 4), ("thumbs", "d", 0)])
def test_one_answer_at_a_time(sit_down, mode: str, key: str, value: int) -> None:
    desk = sit_down([_set("salt", "a", "b")], mode=mode)
    desk.press(key, "Enter")
    desk.wait_for("1 of 2 rated")
    (rating,) = desk.journal
    assert (rating.kind, rating.value, len(rating.shown)) == (mode, value, 1)


def test_a_failing_write_keeps_the_decision_on_the_screen(sit_down) -> None:
    desk = sit_down([_set("salt", "a", "b"), _set("rust", "c", "d")])
    blocked = desk.journal.path.parent
    blocked.write_text("a file where the folder should be")
    desk.press("2", "1", "Enter")
    desk.wait_for("can't be written")
    desk.wait_for("0 of 2 ranked")
    ranks = desk.widget.locator(".wb-rank").all_text_contents()
    assert ranks == ["2nd", "1st"]
    blocked.unlink()
    desk.press("Enter")
    desk.wait_for("1 of 2 ranked")
    assert len(list(desk.journal)) == 1


def test_a_dead_kernel_is_not_shown_as_saved(sit_down) -> None:
    desk = sit_down([_set("salt", "a", "b"), _set("rust", "c", "d")])
    desk.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    desk.begin()
    desk.press("1", "Enter")
    desk.wait_for("the kernel does not answer")
    desk.wait_for("0 of 2 ranked")
    assert desk.widget.locator(".wb-rank").first.text_content() == "1st"
    assert list(desk.journal) == []


def test_a_busy_kernel_saves_what_was_sent_first_and_once(sit_down) -> None:
    busy = "import time; time.sleep(12)"
    desk = sit_down([_set("salt", "a", "b"), _set("rust", "c", "d")], extra=(busy,))
    desk.press("1", "Enter")
    desk.wait_for("the kernel does not answer")
    desk.press("2", "t", "Enter")  # the decision is on its way: it can't be changed now
    desk.wait_for("1 of 2 ranked")
    (rating,) = desk.journal
    assert rating.ranking == ((rating.shown[0],), (rating.shown[1],))


def test_a_second_enter_does_not_rate_twice(sit_down) -> None:
    desk = sit_down([_set("salt", "a", "b"), _set("rust", "c", "d")])
    desk.press("1", "Enter", "Enter", "Enter")
    desk.wait_for("1 of 2 ranked")
    desk.press("2", "Enter")
    desk.wait_for("All judged")
    assert [r.candidate_set for r in desk.journal] == ["salt", "rust"]


def test_keys_stay_in_the_widget(sit_down) -> None:
    """Lab's own keys of one letter would cut (x), delete (d d), or change (m, y) cells."""
    desk = sit_down([_set("salt", "a", "b")], extra=("1", "2"))
    before = desk.page.evaluate(CELLS)
    desk.press("x", "d", "d", "a", "m", "y", "1", "ArrowDown", "ArrowRight", "x", "d", "d")
    assert desk.page.evaluate(CELLS) == before
    assert len(before) == 3


CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.widgets].map(
    (cell) => [cell.model.type, cell.model.sharedModel.getSource()])"""


def test_a_russian_keyboard_works_by_the_place_of_the_keys(sit_down) -> None:
    desk = sit_down([_set("salt", "a", "b")])
    for key, code in (("и", "KeyB"), ("Enter", "Enter")):
        desk.widget.evaluate(
            "(element, init) => element.dispatchEvent("
            "new KeyboardEvent('keydown', { ...init, bubbles: true, cancelable: true }))",
            {"key": key, "code": code},
        )
    desk.wait_for("All judged")
    (rating,) = desk.journal
    assert rating.both_bad


def test_the_browser_learns_no_names(sit_down, page) -> None:
    heard: list[str] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))),
    )
    sit_down([_set("salt", "a telling answer", "harmless answer")])
    assert any("harmless answer" in frame for frame in heard)
    for name in ("secret-backend", "secret-model", "salt-secret"):
        assert not [frame for frame in heard if name in frame]
        assert name not in page.content()


def test_hostile_answers_run_and_fetch_nothing(sit_down, page) -> None:
    """Every payload, eight at a time, as prompt and as answer, compared and corrected too."""
    witness = Witness(page)
    payloads = [*PAYLOADS.values(), "harmless"]
    sets = [_set(f"set{n}", *payloads[n : n + 8]) for n in range(0, len(payloads) - 1, 8)]
    sets = [
        replace(s, prompt=replace(s.prompt, messages=(Message("user", s.completions[0].text),)))
        for s in sets
    ]
    desk = sit_down(sets)
    inside = ".wb-text script, .wb-text :is(img, svg, math, a, style, iframe, form, input, link)"
    for done in range(desk.total):
        desk.press("d")
        witness.poke(".wb-text, .wb-text *")
        assert desk.widget.locator(inside).count() == 0
        desk.press("e", "x", "Escape")
        desk.wait_for("corrected")
        desk.press("b", "Enter")
        page.wait_for_function(f"() => document.querySelector('.wb-count b').textContent > {done}")
    desk.wait_for("All judged")
    assert not witness.ran
    assert witness.fetched == []
    assert len([r for r in desk.journal if r.kind == "ranking"]) == desk.total


def test_corrections_keep_keys_from_jupyter(sit_down) -> None:
    """Ctrl+Enter would run the cell again, which makes a new widget."""
    desk = sit_down([_set("salt", "a", "b")], extra=("1",))
    before = desk.page.evaluate(CELLS)
    desk.press("2", "e")
    desk.page.keyboard.type("dd xx m y: ")
    desk.press("Control+Enter")
    desk.wait_for("corrected")
    assert desk.widget.locator(".wb-rank").last.text_content() == "1st"
    assert desk.page.evaluate(CELLS) == before
    (correction,) = desk.journal
    assert correction.text in ("dd xx m y: a", "dd xx m y: b")


def test_long_answers_fold_and_open(sit_down) -> None:
    desk = sit_down([_set("salt", "A long line of words. " * 400, "short")])
    folded = desk.widget.locator(".wb-folded")
    folded.wait_for()
    assert folded.count() == 1
    desk.press("f")
    folded.wait_for(state="detached")
    desk.press("f")
    folded.wait_for()


def test_narrow_pages_stack_the_answers(sit_down) -> None:
    desk = sit_down([_set("salt", "a", "b")])
    cards = desk.widget.locator(".wb-card")

    def tops() -> set[float]:
        return {cards.nth(i).bounding_box()["y"] for i in range(2)}

    assert len(tops()) == 1
    desk.page.set_viewport_size({"width": 860, "height": 1000})
    desk.page.wait_for_function(
        "() => new Set([...document.querySelectorAll('.wb-card')]"
        ".map((card) => card.getBoundingClientRect().top)).size === 2"
    )
    assert len(tops()) == 2


def test_a_screen_reader_is_told_what_happens(sit_down) -> None:
    desk = sit_down([_set("salt", "a", "b", "c"), _set("rust", "d", "e")])
    status = desk.widget.locator("[role=status]")
    assert status.get_attribute("aria-live") == "polite"
    assert status.text_content() == "Which answer is best?"
    desk.press("2")
    assert desk.widget.get_by_label("Answer 2, 1st").count() == 1
    assert status.text_content() == "Which is next? 2 to place."
    desk.press("t", "1", "Enter")
    desk.wait_for("1 of 2 ranked")
    assert status.text_content() == "Saved. Which answer is best?"
    progress = desk.widget.locator("[role=progressbar]")
    assert (progress.get_attribute("aria-valuenow"), progress.get_attribute("aria-valuemax")) == (
        "1",
        "2",
    )
