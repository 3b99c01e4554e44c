"""Annotations of Label Studio as ratings: which answer they mean, and what they say.

    question = OurTasks(candidate_sets).of(task_data)
    reading = read(annotation, question, person="person:anna", source="...")

Whatever comes from a server or a file may be anything: what can't be used is set
aside with its reason, and the rest is kept. Results are told apart by `from_name`
only, since the page and the API write different `to_name`s. Knows nothing about
servers and cursors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from workbench import ratings as rules
from workbench.errors import InputError
from workbench.exchange.label_studio import VERDICTS
from workbench.exchange.label_studio_questions import Question, Questions, Unusable, part
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, RatingKind, SetAside, content_id

DOOR = "label-studio"
Order: TypeAlias = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Reading:
    """What an annotation gave: its rating, if it holds one, and what had to be set aside."""

    rating: Rating | None
    aside: tuple[SetAside, ...]


@dataclass(frozen=True)
class _Annotation:
    updated_at: datetime
    result: Any = None
    was_cancelled: bool | None = False
    lead_time: float | None = None


def read(annotation: Any, question: Question, *, person: str, source: str) -> Reading:
    """The rating in an annotation as Label Studio gives it (a JSON object).

    `person` is its rater, `source` says where it came from. A part that says
    nothing usable is set aside and the rest kept; without a judgement the whole is.
    """
    try:
        fields = msgspec.convert(annotation, _Annotation)
    except msgspec.ValidationError as error:
        return _none(annotation, source, f"it is not an annotation: {error}")
    at = fields.updated_at
    skeleton = Rating(
        id="",
        kind="skip",
        candidate_set=question.candidate_set.id,
        shown=question.shown,
        rater=person,
        door=DOOR,
        at=(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(),
        seconds=_seconds(fields.lead_time),
        traces=_traces(question),
    )
    said = _Said(question)
    aside = []
    for region in fields.result if isinstance(fields.result, list) else ():
        try:
            said.take(region)
        except Unusable as error:
            aside.append(set_aside(region, source, str(error)))
    try:
        rating = replace(skeleton, comment=said.comment)
        if not fields.was_cancelled:
            rating = said.judgement(rating)
    except Unusable as error:
        return Reading(None, (*aside, set_aside(annotation, source, str(error))))
    return Reading(replace(rating, id=content_id(rating)), tuple(aside))


def person(completed_by: Any, emails: Mapping[Any, str], names: Mapping[str, str]) -> str:
    """`person:NAME` of an annotation's `completed_by`: a number, or an object with an e-mail.

    `emails` gives those of the server's users by number, `names` a name by e-mail
    (or by number, as text, where no e-mail is known). Raises Unusable for nobody.
    """
    known = completed_by if isinstance(completed_by, dict) else {"id": completed_by}
    id = known.get("id")
    email = known.get("email") or (emails.get(id) if isinstance(id, int) else None)
    if not email and not isinstance(id, int):
        raise Unusable("nobody is named as its annotator; the account may be gone")
    key = str(email or id)
    return f"person:{names.get(key, str(email) if email else f'label-studio-user-{id}')}"


def set_aside(content: Any, source: str, reason: str) -> SetAside:
    """`content` (a piece of JSON) with the reason why it can't be used."""
    return SetAside(source, reason, msgspec.json.encode(content, order="sorted").decode())


@dataclass(frozen=True)
class Pulled:
    """What came in: new ratings, those taken back, and what was newly set aside.

    `ratings` counts judgements and skips, edited ones again; `looked_at` the tasks
    that were read for it.
    """

    ratings: int
    taken_back: int
    aside: int
    looked_at: int


def read_export(
    path: Path | str,
    questions: Questions,
    ratings: Journal[Rating],
    aside: Journal[SetAside],
    *,
    sets: Journal[CandidateSet] | None = None,
    names: Mapping[str, str] | None = None,
) -> Pulled:
    """Take in a file that was exported as JSON on Label Studio's own page.

    Reading it again adds nothing. A file holds what was there, not what was taken
    back, so nothing is undone. `sets` receives the candidate sets of others'
    tasks. A broken file or task is set aside. Raises InputError for no file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror})", "Check the path") from error
    try:
        tasks = msgspec.json.decode(content, type=list[Any])
    except ValueError as error:
        head = content[:2000].decode(errors="replace")
        broken = SetAside(str(path), f"it is not a list of tasks in JSON: {error}", head)
        return Pulled(0, 0, rules.set_aside(aside, [broken]), 0)
    readings, asked = _read_tasks(tasks, questions, str(path), names or {})
    if sets is not None:
        append_new(sets, asked)
    found = [reading.rating for reading in readings if reading.rating is not None]
    rejected = [item for reading in readings for item in reading.aside]
    new = append_new(ratings, found)
    return Pulled(new, 0, rules.set_aside(aside, rejected), len(tasks))


def append_new(journal: Journal[Any], records: Sequence[Any]) -> int:
    """Append the records whose `id` the journal does not hold; how many they were."""
    known = {record.id for record in journal}
    new = {record.id: record for record in records if record.id not in known}
    if new:
        journal.append(*new.values())
    return len(new)


def _read_tasks(
    tasks: Sequence[Any], questions: Questions, path: str, names: Mapping[str, str]
) -> tuple[list[Reading], list[CandidateSet]]:
    readings, asked = [], []
    for number, task in enumerate(tasks, start=1):
        source = f"{path}, task {number}"
        annotations = task.get("annotations") if isinstance(task, dict) else None
        if not isinstance(annotations, list):
            reason = "it is not a task with annotations; export as JSON, not as JSON-MIN"
            readings.append(_none(task, source, reason))
            continue
        if not annotations:
            continue
        try:
            question = questions.of(task.get("data"))
        except Unusable as error:
            readings += [_none(annotation, source, str(error)) for annotation in annotations]
            continue
        asked.append(question.candidate_set)
        for annotation in annotations:
            try:
                who = person(part(annotation, "completed_by"), {}, names)
            except Unusable as error:
                readings.append(_none(annotation, source, str(error)))
            else:
                readings.append(read(annotation, question, person=who, source=source))
    return readings, asked


class _Said:
    """What the results of one annotation say, taken in one by one."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._orders: list[tuple[Order, bool]] = []
        self._comments: list[str] = []
        self._confidence: int | None = None

    @property
    def comment(self) -> str:
        return "\n".join(self._comments).strip()

    def judgement(self, rating: Rating) -> Rating:
        """`rating` with the order that was given. Raises Unusable without exactly one."""
        distinct = list(dict.fromkeys(self._orders))
        if not distinct:
            raise Unusable("it holds no judgement")
        if len(distinct) > 1:
            raise Unusable("it holds two judgements that differ")
        ((ranking, both_bad),) = distinct
        kind: RatingKind = "pairwise" if len(rating.shown) == 2 else "ranking"
        return replace(
            rating,
            kind=kind,
            ranking=ranking,
            both_bad=both_bad,
            confidence=self._confidence,
        )

    def take(self, region: Any) -> None:
        """Take in one result. Raises Unusable with the reason."""
        name, kind, value = (part(region, n) for n in ("from_name", "type", "value"))
        if not isinstance(value, dict):
            raise Unusable("a result has no value")
        if name == "verdict" and kind == "choices":
            self._orders.append(self._verdict(value.get("choices")))
        elif name == self._question.pairwise and kind == "pairwise":
            self._orders.append(self._selected(value.get("selected")))
        elif name == "ranking" and kind == "ranker":
            self._orders.append(self._ranked(value.get("ranker")))
        elif name == "confidence" and kind == "rating":
            self._confidence = _confidence(value.get("rating"))
        elif name == "comment" and kind == "textarea":
            self._comments += _texts(value.get("text"))
        else:
            raise Unusable(f"a result of {name!r} ({kind!r}) is none that a rating holds"[:200])

    def _verdict(self, choices: Any) -> tuple[Order, bool]:
        choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else choices
        if choice not in VERDICTS or len(self._question.shown) != 2:
            raise Unusable(f"{choice!r} is not a verdict"[:200])
        if choice in ("tie", "both bad"):
            return (self._question.shown,), choice == "both bad"
        return self._better(self._question.names[choice]), False

    def _selected(self, side: Any) -> tuple[Order, bool]:
        if side not in ("left", "right") or len(self._question.shown) != 2:
            raise Unusable(f"{side!r} is neither the left nor the right answer"[:200])
        return self._better(self._question.names[side]), False

    def _better(self, id: str) -> Order:
        return ((id,), *((other,) for other in self._question.shown if other != id))

    def _ranked(self, buckets: Any) -> tuple[Order, bool]:
        """Best first, one by one; then those called bad, together."""
        best, bad = (self._answers(buckets, name) for name in ("best_first", "bad"))
        if len({*best, *bad}) < len(best) + len(bad):
            raise Unusable("it ranks an answer twice")
        if len(best) + len(bad) < 2:
            raise Unusable("it ranks fewer than two answers")
        groups = tuple((id,) for id in best) + ((bad,) if bad else ())
        return groups, not best and len(bad) == len(self._question.shown)

    def _answers(self, buckets: Any, name: str) -> tuple[str, ...]:
        listed = part(buckets, name) or []
        known = self._question.names
        if not isinstance(listed, list) or not all(
            isinstance(item, str) and item in known for item in listed
        ):
            raise Unusable("it ranks an answer that was not shown")
        return tuple(known[item] for item in listed)


def _traces(question: Question) -> tuple[str, ...]:
    traces = tuple(question.candidate_set.completion(id).trace_id or "" for id in question.shown)
    return traces if any(traces) else ()


def _confidence(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in range(1, 6):
        raise Unusable(f"{value!r} is not a confidence from 1 to 5"[:200])
    return value


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Unusable("a comment is not text")
    return texts


def _seconds(lead_time: float | None) -> float | None:
    valid = lead_time is not None and math.isfinite(lead_time) and lead_time >= 0
    return lead_time if valid else None


def _none(content: Any, source: str, reason: str) -> Reading:
    return Reading(None, (set_aside(content, source, reason),))
