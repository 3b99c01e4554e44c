"""Annotations of Label Studio as ratings: which answer they mean, and what they say.

    question = OurTasks(candidate_sets).of(clean(task_data))
    reading = read(clean(annotation), question, person="person:anna", source="...")

Whatever comes from a server or a file may be anything: what can't be used is set
aside with its reason, and the rest is kept. Results are told apart by `from_name`
only, since the page and the API write different `to_name`s. Knows nothing about
servers, files and cursors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from workbench.errors import InputError
from workbench.exchange.label_studio import VERDICTS
from workbench.exchange.label_studio_questions import Question, Unusable, part
from workbench.journal import Journal, make_folder
from workbench.records import Rating, RatingKind, SetAside, content_id

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
    id: int | None = None
    result: Any = None
    was_cancelled: bool | None = False
    lead_time: float | None = None


def read(annotation: Any, question: Question, *, person: str, source: str) -> Reading:
    """The rating in an annotation as Label Studio gives it (a JSON object, cleaned).

    `person` is its rater, `source` says where it came from. A part that says
    nothing usable is set aside and the rest kept; without a judgement the whole is.
    An annotation that says the same gives the same id, whatever its rater is called:
    pulled and imported from a file it is one rating.
    """
    try:
        fields = msgspec.convert(annotation, _Annotation)
        at = in_utc(fields.updated_at)
    except (msgspec.ValidationError, Unusable) as error:
        return unread(annotation, source, f"it is not an annotation: {error}")
    skeleton = Rating(
        id="",
        kind="skip",
        candidate_set=question.candidate_set.id,
        shown=question.shown,
        rater=person,
        door=DOOR,
        at=at,
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
    whose = person if fields.id is None else fields.id
    id = content_id("label-studio annotation", whose, replace(rating, rater=""))
    return Reading(replace(rating, id=id), tuple(aside))


def person(completed_by: Any, emails: Mapping[int, str], names: Mapping[str, str]) -> str:
    """`person:NAME` of an annotation's `completed_by`: a number, or an object with an e-mail.

    `emails` gives those of the server's accounts by number. `names` gives a name by
    e-mail, and an e-mail by number (as text) where no list of accounts is at hand. A
    number alone means another account on another server: Raises Unusable for one
    that neither knows, and for nobody.
    """
    known = completed_by if isinstance(completed_by, dict) else {"id": completed_by}
    id, email = known.get("id"), known.get("email")
    if isinstance(id, int) and not isinstance(id, bool) and not email:
        email = emails.get(id) or names.get(str(id))
        if not email:
            raise Unusable(
                f"nobody says who annotator {id} is; name them: --name {id}=EMAIL, "
                f'or names={{"{id}": EMAIL}}'
            )
    if not email or not isinstance(email, str):
        raise Unusable("nobody is named as its annotator; the account may be gone")
    return f"person:{names.get(email, email)}"


def in_utc(at: datetime | None) -> str:
    """A time of the server's as ISO 8601 in UTC. Raises Unusable where no clock shows it."""
    if at is None or not 1970 <= at.year <= 9998:
        raise Unusable(f"its time {at} can't be right")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def clean(value: Any) -> Any:
    """JSON whose texts can be written: half a surrogate pair becomes U+FFFD.

    Raises Unusable for what is nested too deeply to be read.
    """
    try:
        return _clean(value)
    except RecursionError:
        raise Unusable("it is nested too deeply") from None


def set_aside(content: Any, source: str, reason: str) -> SetAside:
    """`content` (a piece of JSON, cleaned) with the reason why it can't be used."""
    return SetAside(source, reason, json.dumps(content, sort_keys=True, ensure_ascii=False))


def unread(content: Any, source: str, reason: str) -> Reading:
    """`content` that gave nothing, set aside."""
    return Reading(None, (set_aside(content, source, reason),))


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


def append_new(journal: Journal[Any], records: Sequence[Any]) -> int:
    """Append the records whose `id` the journal does not hold; how many they were.

    Of two that do so at once the second waits. Raises InputError where nothing can
    be written.
    """
    with alone(journal):
        known = {record.id for record in journal}
        new = {record.id: record for record in records if record.id not in known}
        if new:
            journal.append(*new.values())
    return len(new)


@contextmanager
def alone(journal: Journal[Any]) -> Iterator[None]:
    """Nobody else reads and then appends meanwhile: a lock on a file beside the journal."""
    from filelock import FileLock

    lock = FileLock(journal.path.with_name(journal.path.name + ".lock"))
    try:
        make_folder(journal.path.parent)
        lock.acquire()
    except OSError as error:
        raise InputError(
            f"{journal.path} can't be written ({error.strerror})",
            "Allow writing there, then repeat the last step",
        ) from error
    try:
        yield
    finally:
        lock.release()


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


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_clean(name): _clean(item) for name, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


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
