"""The ranking widget: blind judgement by keyboard, in JupyterLab, Notebook 7 and VS Code.

The kernel is the truth: it decides what is shown, writes a decision to the
journal, and only then publishes the next view. The browser holds a draft and
nothing else; it is sent the answers' text, never an id, a backend or a model's
name. What the browser sends is checked like any other input.

Needs anywidget, so this module is imported when RankingWidget is first used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anywidget
import msgspec
import traitlets

from workbench.errors import SettingsError, WorkbenchError
from workbench.feedback.markup import to_safe_html
from workbench.feedback.presentation import Item, Mode, items
from workbench.feedback.session import Decision, RatingSession, as_decision
from workbench.journal import Journal
from workbench.records import CandidateSet, Completion, Rating

_HERE = Path(__file__).parent


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """What the browser may send; `turn` is the question that it answers."""

    turn: int


class _Decide(_Message, frozen=True, tag="decide"):
    decision: Decision


class _Step(_Message, frozen=True, tag="step"):
    step: Literal["skip", "undo", "revisit"]


@dataclass(frozen=True)
class Turn:
    """One message of the conversation that led to the answers: its role and safe HTML."""

    role: str
    html: str


@dataclass(frozen=True)
class Answer:
    """One answer as safe HTML; `cut_off` when it ended at its length limit."""

    html: str
    cut_off: bool


@dataclass(frozen=True)
class Notice:
    """What the last message led to; `text` is for the rater."""

    kind: Literal["saved", "undone", "skipped", "error"]
    text: str


@dataclass(frozen=True)
class View:
    """All that the browser is told.

    `turn` grows when another question is shown: messages name the turn that they
    answer, so that a repeated one changes nothing. `serial` grows with every
    view. `draft` is a decision just taken back. Without `answers` the work is done.
    """

    turn: int
    serial: int
    mode: Mode
    rater: str
    prompt: tuple[Turn, ...]
    answers: tuple[Answer, ...]
    done: int
    total: int
    skipped: int
    pace: float | None
    can_undo: bool
    draft: Decision | None = None
    notice: Notice | None = None


class RankingWidget(anywidget.AnyWidget):
    """Judge candidate sets blind, by keyboard; every rating goes to `journal`.

        RankingWidget(candidate_sets, Journal(path, Rating), rater="person:anna")

    `rater` is `person:NAME`. `seed` fixes the order of the answers. `mode` is
    "ranking" (2 to 8 answers side by side), "pairwise" (each pair of a set),
    "thumbs" or "stars" (one answer at a time). What this rater has judged already
    is not shown again. Raises SettingsError for a rater or mode of another form,
    and InputError for sets that can't be shown.
    """

    _esm = _HERE / "widget.js"
    _css = _HERE / "widget.css"

    view = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        candidate_sets: Sequence[CandidateSet],
        journal: Journal[Rating],
        rater: str,
        seed: int = 0,
        *,
        mode: Mode = "ranking",
    ) -> None:
        if not rater.startswith("person:") or not rater.removeprefix("person:").strip():
            raise SettingsError(f"{rater!r} is no person", 'Name the rater "person:NAME"')
        queue = items(candidate_sets, mode, seed=seed, rater=rater)
        self._session = RatingSession(queue, journal, rater, door="widget")
        self._mode: Mode = mode
        self._rater = rater
        self._turn = 0
        self._serial = 0
        super().__init__()
        self._publish()
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Act on a message of the browser, then publish what came of it."""
        try:
            message = msgspec.convert(content, _Decide | _Step)
            if message.turn != self._turn:
                self._publish()
                return
            notice, draft = self._act(message)
        except msgspec.ValidationError as error:
            self._publish(Notice("error", f"Not saved: the page sent a broken message ({error})."))
        except WorkbenchError as error:
            self._publish(Notice("error", f"Not saved: {error}"))
        else:
            self._turn += 1
            self._publish(notice, draft)

    def _act(self, message: _Decide | _Step) -> tuple[Notice | None, Decision | None]:
        if isinstance(message, _Decide):
            self._session.decide(message.decision)
            return Notice("saved", "Saved"), None
        if message.step == "undo":
            rating = self._session.undo()
            return Notice("undone", "Taken back"), as_decision(rating) if rating else None
        if message.step == "skip":
            self._session.skip()
            return Notice("skipped", "Skipped"), None
        self._session.revisit()
        return None, None

    def _publish(self, notice: Notice | None = None, draft: Decision | None = None) -> None:
        self._serial += 1
        item = self._session.current
        view = View(
            turn=self._turn,
            serial=self._serial,
            mode=self._mode,
            rater=self._rater.removeprefix("person:"),
            prompt=_prompt(item) if item else (),
            answers=tuple(_answer(c) for c in item.completions) if item else (),
            done=self._session.done,
            total=self._session.total,
            skipped=len(self._session.skipped),
            pace=self._session.pace,
            can_undo=self._session.can_undo,
            draft=draft,
            notice=notice,
        )
        self.view = msgspec.to_builtins(view)


def _prompt(item: Item) -> tuple[Turn, ...]:
    messages = item.candidate_set.prompt.messages
    return tuple(Turn(message.role, to_safe_html(message.content)) for message in messages)


def _answer(completion: Completion) -> Answer:
    calls = "".join(f"\n\n```json\n{c.name} {c.arguments}\n```" for c in completion.tool_calls)
    return Answer(
        html=to_safe_html(completion.text + calls), cut_off=completion.finish_reason == "length"
    )
