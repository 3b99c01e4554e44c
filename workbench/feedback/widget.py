"""The ranking widget: blind judgement by keyboard, in JupyterLab, Notebook 7 and VS Code.

The kernel is the truth: it decides what is shown, writes a decision to the
journal, and only then publishes the next view. The browser holds a draft and
nothing else; it is sent the answers' text, never an id, a backend or a model's
name, nor whether a question is a repeat. What the browser sends is checked like
any other input.

Needs anywidget, so this module is imported when RankingWidget is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anywidget
import msgspec
import traitlets

from workbench.errors import SettingsError, WorkbenchError
from workbench.feedback.markup import to_safe_html
from workbench.feedback.presentation import Item, Mode, items, with_repeats
from workbench.feedback.session import Decision, RatingSession
from workbench.journal import Journal
from workbench.records import CandidateSet, Completion, Rating

_HERE = Path(__file__).parent
_SCRIPTS = ("differences.js", "widget.js")


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """What the browser may send; `turn` is the question that it answers."""

    turn: int


class _Decide(_Message, frozen=True, tag="decide"):
    decision: Decision


class _Correct(_Message, frozen=True, tag="correct"):
    answer: int
    text: str


class _Step(_Message, frozen=True, tag="step"):
    step: Literal["skip", "undo", "revisit"]


@dataclass(frozen=True)
class Turn:
    """One message of the conversation that led to the answers: its role and safe HTML."""

    role: str
    html: str


@dataclass(frozen=True)
class Answer:
    """One answer as safe HTML and as its author wrote it.

    `cut_off` when it ended at its length limit; `correction` is what the rater
    made of it.
    """

    html: str
    text: str
    cut_off: bool
    correction: str | None


@dataclass(frozen=True)
class Notice:
    """What the last message led to; `text` is for the rater."""

    kind: Literal["saved", "undone", "skipped", "warning", "error"]
    text: str


@dataclass(frozen=True)
class View:
    """All that the browser is told.

    `turn` grows with every message that was followed: messages name the turn that
    they answer, so that a repeated one changes nothing. `question` grows when
    another one is shown, `serial` with every view. `draft` is a decision just
    taken back. Without `answers` the work is done.
    """

    turn: int
    question: int
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
    is not shown again, save for `repeats`: the share of rankings and pairs that is
    asked a second time, unannounced, to measure the rater. `on_rated` is called with
    every event once it is on disk and the browser knows of it, for instance to
    begin its delivery to a server; the next decision waits until it returns. What
    it raises is shown to the rater. Raises SettingsError for a rater, mode or
    share of another form, and InputError for sets that can't be shown.
    """

    _esm = "\n".join((_HERE / script).read_text() for script in _SCRIPTS)
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
        repeats: float = 0.1,
        on_rated: Callable[[Rating], object] | None = None,
    ) -> None:
        if not rater.startswith("person:") or not rater.removeprefix("person:").strip():
            raise SettingsError(f"{rater!r} is no person", 'Name the rater "person:NAME"')
        asked = items(candidate_sets, mode, seed=seed, rater=rater)
        queue = with_repeats(asked, repeats, seed=seed, rater=rater)
        self._session = RatingSession(queue, journal, rater, door="widget")
        self._mode: Mode = mode
        self._rater = rater
        self._on_rated = on_rated
        self._turn = 0
        self._question = 0
        self._serial = 0
        super().__init__()
        self._publish()
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Act on a message of the browser, then publish what came of it."""
        before = self._session.current
        try:
            message = msgspec.convert(content, _Decide | _Correct | _Step)
            if message.turn != self._turn:
                self._publish()
                return
            rating, notice = self._act(message)
        except msgspec.ValidationError as error:
            self._publish(Notice("error", f"Not saved: the page sent a broken message ({error})."))
        except WorkbenchError as error:
            self._publish(Notice("error", f"Not saved: {error}"))
        else:
            self._turn += 1
            self._question += self._session.current is not before
            self._publish(notice)
            self._hand_on(rating)

    def _act(self, message: _Decide | _Correct | _Step) -> tuple[Rating | None, Notice | None]:
        """Do what the message says; the event that was recorded, if any, and what to say."""
        session = self._session
        if isinstance(message, _Decide):
            return session.decide(message.decision), Notice("saved", "Saved")
        if isinstance(message, _Correct):
            rating = session.correct(message.answer, message.text)
            kept = rating is not None and rating.kind == "correction"
            text = "Correction saved" if kept else "No correction"
            return rating, Notice("saved" if kept else "undone", text)
        if message.step == "undo":
            return session.undo(), Notice("undone", "Taken back")
        if message.step == "skip":
            return session.skip(), Notice("skipped", "Skipped")
        session.revisit()
        return None, None

    def _hand_on(self, rating: Rating | None) -> None:
        """Tell `on_rated`: the rating is saved and shown as saved, whatever comes of it."""
        if rating is None or self._on_rated is None:
            return
        try:
            self._on_rated(rating)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            self._publish(Notice("warning", f"Saved here, but not handed on ({what})."))

    def _publish(self, notice: Notice | None = None) -> None:
        self._serial += 1
        session = self._session
        item = session.current
        view = View(
            turn=self._turn,
            question=self._question,
            serial=self._serial,
            mode=self._mode,
            rater=self._rater.removeprefix("person:"),
            prompt=_prompt(item) if item else (),
            answers=_answers(item, session.corrections(item)) if item else (),
            done=session.done,
            total=session.total,
            skipped=session.skipped,
            pace=session.pace,
            can_undo=session.can_undo,
            draft=session.draft,
            notice=notice,
        )
        self.view = msgspec.to_builtins(view)


def _prompt(item: Item) -> tuple[Turn, ...]:
    messages = item.candidate_set.prompt.messages
    return tuple(Turn(message.role, to_safe_html(message.content)) for message in messages)


def _answers(item: Item, corrections: tuple[str | None, ...]) -> tuple[Answer, ...]:
    return tuple(
        Answer(
            html=to_safe_html(completion.text + _calls(completion)),
            text=completion.text,
            cut_off=completion.finish_reason == "length",
            correction=correction,
        )
        for completion, correction in zip(item.completions, corrections, strict=True)
    )


def _calls(completion: Completion) -> str:
    """The tool calls of an answer, as Markdown."""
    return "".join(f"\n\n```json\n{c.name} {c.arguments}\n```" for c in completion.tool_calls)
