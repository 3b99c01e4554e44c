"""Three hundred decisions by keyboard in a JupyterLab that keeps being interrupted."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from examples import candidate_set

from workbench import ratings
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAIRS = 300
QUESTIONS = 330
"""With the repeats: a tenth of the pairs."""
INTERRUPTIONS = {35: "reload", 80: "restart", 145: "kill", 200: "reload", 290: "restart"}
CELL = """
from workbench.feedback import RankingWidget
from workbench.journal import Journal, read
from workbench.records import CandidateSet, Rating

RankingWidget(
    read({sets!r}, CandidateSet), Journal({ratings!r}, Rating), rater="person:anna", mode="pairwise"
)
"""
CLEAR = "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
KILL = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
MOVED = """(done) => {
    const count = document.querySelector(".wb-count b")?.textContent;
    return count !== undefined && count !== done;
}"""


def _done(page: Any) -> int:
    return int(page.locator(".wb-count b").text_content())


def _interrupt(lab: Any, page: Any, how: str) -> None:
    """Without waiting for what is under way."""
    if how == "reload":
        page.reload()
    else:
        page.evaluate(RESTART if how == "restart" else KILL)
        page.evaluate(CLEAR)
        if how == "kill":
            page.reload()
    lab.run_all(page)
    page.locator(".wb").focus()


def _outcome(rating: Rating) -> str:
    if rating.both_bad:
        return "b"
    return "t" if len(rating.ranking) == 1 else str(1 + rating.shown.index(rating.ranking[0][0]))


def test_no_decision_is_lost_or_doubled(lab: Any, page: Any, tmp_path: Path) -> None:
    sets = [candidate_set(f"s{n}", f"left {n}", f"right {n}") for n in range(PAIRS)]
    Journal(tmp_path / "sets.jsonl", CandidateSet).append(*sets)
    journal = Journal(tmp_path / "ratings.jsonl", Rating)
    cell = CELL.format(sets=str(tmp_path / "sets.jsonl"), ratings=str(journal.path))
    lab.add_notebook("long.ipynb", cell)
    lab.open(page, "long.ipynb")
    page.locator(".wb").focus()
    draw = random.Random(0)
    pressed: dict[int, str] = {}
    interruptions = dict(INTERRUPTIONS)
    while (done := _done(page)) < QUESTIONS:
        pressed[done] = draw.choice("12tb")
        page.keyboard.press(pressed[done])
        page.keyboard.press("Enter")
        if how := interruptions.pop(done, None):
            _interrupt(lab, page, how)
            continue
        page.wait_for_function(MOVED, arg=str(done))
        if draw.random() < 0.03:
            page.keyboard.press("z")
            page.wait_for_function(MOVED, arg=str(done + 1))
    assert interruptions == {}
    assert page.get_by_text("All judged").is_visible()

    given = list(journal)
    kept = ratings.not_undone(given)
    assert len({rating.id for rating in given}) == len(given)
    assert [_outcome(rating) for rating in kept] == [pressed[n] for n in range(QUESTIONS)]
    standing = ratings.standing(given)
    assert sorted(r.candidate_set for r in standing) == sorted(s.id for s in sets)
    repeats = [rating for rating in kept if rating.repeats]
    assert len({rating.repeats for rating in repeats}) == len(repeats) == QUESTIONS - PAIRS
    assert {rating.repeats for rating in repeats} <= {rating.id for rating in standing}
