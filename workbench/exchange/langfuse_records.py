"""What passes between Langfuse and us: scores, traces and dataset items as records.

What a server sends is hostile: on its way in, text is made writable and JSON is
made plain. This module knows nothing about requests, ratings or journals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from workbench.errors import InputError
from workbench.tracing.spans import json_value

DataType = Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"]


@dataclass(frozen=True)
class NewScore:
    """A score to write on a trace. The same `id` and `at` write it again, and not twice.

    `value` is a number for NUMERIC and BOOLEAN (0 or 1), else text; TEXT takes 1
    to 500 UTF-16 units. `at` is ISO 8601 in UTC.
    """

    id: str
    trace: str
    name: str
    data_type: DataType
    value: float | str
    at: str
    comment: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """What the server said of a batch, by score id.

    `refused` will be refused again; `rejected` did not pass, and nothing says whether
    they ever will; both with reasons. Where the server tells only that some of a batch
    did not pass, all of it is in `unclear`: send smaller batches.
    """

    accepted: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True)
class Filters:
    """Which traces: begun in [since, until), with all of `tags`, of a session, by root name.

    `scores` names the scores to read; none named: all.
    """

    since: datetime | None = None
    until: datetime | None = None
    tags: tuple[str, ...] = ()
    session: str = ""
    name: str = ""
    scores: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """A run as its root observation tells it; `input` and `output` are raw text."""

    id: str
    root: str
    at: datetime
    ended: bool
    input: str
    output: str
    model: str
    session: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True)
class Score:
    """A score as it stands on the server; `subject` is the id of what `kind` names.

    `trace` is "" for a score of a session or an experiment. `at` is when it was
    given, `updated` when it was last written.
    """

    id: str
    name: str
    data_type: str
    value: float | str
    source: str
    kind: str
    subject: str
    trace: str
    comment: str
    config: str
    author: str
    at: datetime
    updated: datetime
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class ScoreConfig:
    """What a score may be: bounds of a number, or labels and their numbers."""

    low: float | None
    high: float | None
    categories: Mapping[str, float]


@dataclass(frozen=True)
class DatasetItem:
    """An item of a Langfuse dataset; values are JSON. An archived one is kept, not used."""

    id: str
    input: Any
    expected_output: Any
    metadata: Any
    status: Literal["ACTIVE", "ARCHIVED"] = "ACTIVE"


def trace_of(observation: Any) -> Trace:
    """The trace whose root is `observation`, of the SDK's model ObservationV2."""
    usage = observation.usage_details or {}
    return Trace(
        id=text_of(observation.trace_id),
        root=text_of(observation.id),
        at=utc(observation.start_time),
        ended=observation.end_time is not None,
        input=text_of(observation.input),
        output=text_of(observation.output),
        model=text_of(observation.model),
        session=text_of(observation.session_id),
        tags=tuple(text_of(tag) for tag in observation.tags or ()),
        metadata=json_value(observation.metadata or {}),
        prompt_tokens=usage.get("input", 0) + usage.get("input_cached_tokens", 0),
        completion_tokens=usage.get("output", 0),
        seconds=observation.latency or 0.0,
    )


def score_of(score: Any) -> Score:
    """A score of the SDK's models ScoreV3."""
    subject = score.subject
    kind = subject.kind if subject else ""
    trace = subject.id if kind == "trace" else getattr(subject, "trace_id", None)
    return Score(
        id=text_of(score.id),
        name=text_of(score.name),
        data_type=score.data_type,
        value=text_of(score.value) if isinstance(score.value, str) else float(score.value),
        source=str(score.source.value),
        kind=kind,
        subject=text_of(subject.id if subject else ""),
        trace=text_of(trace),
        comment=text_of(score.comment),
        config=text_of(score.config_id),
        author=text_of(score.author_user_id),
        at=utc(score.timestamp),
        updated=utc(score.updated_at),
        metadata=json_value(score.metadata or {}),
    )


def text_of(value: Any) -> str:
    """A server's value as text that a journal can hold; None is empty, what is no text is JSON."""
    if value is None:
        return ""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return value.encode("utf-8", "replace").decode()


def utc(moment: datetime) -> datetime:
    """The moment in UTC; one without a zone is taken as UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def local_time(text: str) -> datetime | None:
    """A time for `Filters` as people write it (ISO 8601), in UTC; None for an empty text.

    One without an offset is local time. Raises InputError for what is no time, or
    lies outside the years 1 to 9999.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"{text!r} is no time that can be used ({error})",
            "Write a date such as 2026-11-01, or a time such as 2026-11-01T09:30:00",
        ) from None
