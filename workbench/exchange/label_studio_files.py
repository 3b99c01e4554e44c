"""Files that were exported on Label Studio's own page, as ratings.

    read_export("export.json", OurTasks(candidate_sets), ratings, aside, names={"1": email})

Such a file names annotators by number only. A file that breaks off is read up to
there: its whole tasks are kept, the rest is set aside. Knows nothing about servers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import ratings as rules
from workbench.errors import InputError
from workbench.exchange.label_studio_annotations import (
    Pulled,
    Reading,
    alone,
    append_new,
    clean,
    person,
    read,
    unread,
)
from workbench.exchange.label_studio_questions import Questions, Unusable, part
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside

_SPACE = re.compile(r"[ \t\r\n]*")
_HEAD = 2000
"""Characters that are kept of what follows a break: the file itself has the rest."""


def read_export(
    path: Path | str,
    questions: Questions,
    ratings: Journal[Rating],
    aside: Journal[SetAside],
    *,
    sets: Journal[CandidateSet] | None = None,
    names: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
) -> Pulled:
    """Take in a file that was exported as JSON on Label Studio's own page.

    `names` gives the e-mail of each annotator by the number (as text) that the file
    has for them, and a name by e-mail where a pull uses one; the annotations of a
    number that it lacks are set aside. A function that gives all that is called once
    the file was read. Reading a file again, or one of what was pulled, adds nothing. A
    file holds what was there, not what was taken back, so nothing is undone. `sets`
    receives the candidate sets of others' tasks. A broken task is set aside, and of a
    broken file what follows the break (its first 2,000 characters). Raises InputError
    for no file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror})", "Check the path") from error
    known = names() if callable(names) else names or {}
    readings: list[Reading] = []
    asked: list[CandidateSet] = []
    rejected: list[SetAside] = []
    tasks = 0
    try:
        for tasks, task in enumerate(_tasks(_text(content)), start=1):
            source = f"{path}, task {tasks}"
            readings += _read_task(task, questions, source, known, asked)
    except _Break as error:
        rejected.append(SetAside(f"{path}, after task {tasks}", str(error), clean(error.rest)))
    if sets is not None:
        append_new(sets, asked)
    new = append_new(ratings, [r.rating for r in readings if r.rating is not None])
    rejected += [item for reading in readings for item in reading.aside]
    with alone(aside):
        return Pulled(new, 0, rules.set_aside(aside, rejected), tasks)


class _Break(Exception):
    """Where a file stops being a list of tasks, and why; `rest` is how it goes on."""

    def __init__(self, why: str, text: str, at: int) -> None:
        super().__init__(f"from character {at + 1} on it is not a list of tasks in JSON: {why}")
        self.rest = text[at : at + _HEAD]


def _text(content: bytes) -> str:
    """What the bytes say, with or without a byte-order mark; broken ones become U+FFFD."""
    return content.decode(json.detect_encoding(content), "replace")


def _tasks(text: str) -> Iterator[Any]:
    """The tasks of a file, one by one, cleaned. Raises _Break where they end too early."""
    decoder = json.JSONDecoder(strict=False)  # line breaks inside texts do no harm
    at = _after_space(text, 0)
    if not text.startswith("[", at):
        raise _Break("it does not begin with [", text, at)
    at = _after_space(text, at + 1)
    if not text.startswith("]", at):
        while True:
            try:
                task, end = decoder.raw_decode(text, at)
                task = clean(task)
            except (ValueError, RecursionError, Unusable) as error:
                raise _Break(str(error), text, at) from None
            yield task
            at = _after_space(text, end)
            if not text.startswith(",", at):
                break
            at = _after_space(text, at + 1)
    if not text.startswith("]", at):
        raise _Break("neither a comma nor a ] follows", text, at)
    at = _after_space(text, at + 1)
    if at < len(text):
        raise _Break("something follows its end", text, at)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _read_task(
    task: Any,
    questions: Questions,
    source: str,
    names: Mapping[str, str],
    asked: list[CandidateSet],
) -> list[Reading]:
    """What the annotations of a task gave; its candidate set goes to `asked`."""
    given: Sequence[Any] | None = part(task, "annotations")
    if not isinstance(given, list):
        reason = "it is not a task with annotations; export as JSON, not as JSON-MIN"
        return [unread(task, source, reason)]
    if not given:
        return []
    try:
        question = questions.of(part(task, "data"))
    except Unusable as error:
        return [unread(annotation, source, str(error)) for annotation in given]
    asked.append(question.candidate_set)
    readings = []
    for annotation in given:
        try:
            who = person(part(annotation, "completed_by"), {}, names)
        except Unusable as error:
            readings.append(unread(annotation, source, str(error)))
        else:
            readings.append(read(annotation, question, person=who, source=source))
    return readings
