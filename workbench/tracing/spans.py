"""What a span is: its record in the journal and its form as OpenTelemetry attributes.

The attribute names are those of Langfuse's SDK, so that one set of attributes
serves both sinks, and a span that another library started under one of ours
(Langfuse's `observe`, its LangChain handler) reads back the same way. This
module knows neither journals nor servers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from workbench.errors import InputError
from workbench.journal import Journal
from workbench.records import Usage

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

Kind = Literal["generation", "tool", "retriever", "agent", "chain"]

TYPE = "langfuse.observation.type"
INPUT = "langfuse.observation.input"
OUTPUT = "langfuse.observation.output"
MODEL = "langfuse.observation.model.name"
USAGE = "langfuse.observation.usage_details"
METADATA = "langfuse.observation.metadata"
LEVEL = "langfuse.observation.level"
STATUS = "langfuse.observation.status_message"
SESSION = "session.id"
PLAIN = "workbench.plain"
"""Which of input and output are strings: Langfuse shows those as they are, without JSON's
quotes, so that the text `7` and the number 7 look alike there."""

_SECRET = "[secret]"
_INTEGER_BITS = 63


@dataclass(frozen=True)
class SpanRecord:
    """One finished span.

    `id` (16 hex digits), `trace_id` (32) and `parent_id` are OpenTelemetry's.
    `kind` is a `Kind`, or Langfuse's own type for a span of another library.
    `started` and `ended` are ISO 8601 in UTC; `seconds` is measured by a
    monotonic clock. `input` and `output` are JSON values. `error` is
    `Type: message` where the span failed, else None.
    """

    id: str
    trace_id: str
    parent_id: str | None
    kind: str
    name: str
    session: str | None
    started: str
    ended: str
    seconds: float
    input: Any = None
    output: Any = None
    model: str | None = None
    usage: Usage | None = None
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def read(path: Path | str) -> list[SpanRecord]:
    """All spans of a journal, in the order in which they finished.

    A last line that was not written whole is passed over. Raises InputError for
    a missing file, and for any other line that is not a span, naming the line.
    """
    if not Path(path).is_file():
        raise InputError(f"There are no spans at {path}", "Check the path, or run the step before")
    return list(Journal(path, SpanRecord))


def json_value(value: Any, secrets: Collection[str] = ()) -> Any:
    """`value` as JSON values that can be written and read back, with secrets blotted out.

    What JSON does not know becomes its `str`: objects, integers above 64 bits.
    """
    return _clean(blot(msgspec.to_builtins(value, str_keys=True, enc_hook=str), secrets))


def blot(value: Any, secrets: Collection[str]) -> Any:
    """A JSON value with secrets blotted out of its texts and keys, also of texts that are JSON.

    To the letter: half of a secret, or one in another encoding, is not found.
    """
    forms = {
        form
        for secret in secrets
        for form in (secret, json.dumps(secret, ensure_ascii=False)[1:-1])
    }
    return _blotted(value, sorted(forms, key=len, reverse=True)) if forms else value


def value_attribute(value: Any) -> str:
    """A JSON value as an attribute, the way Langfuse's SDK writes it: strings bare, else JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def usage_attribute(usage: Usage) -> str:
    """Token counts under Langfuse's names; cached tokens are counted apart from `input`."""
    details = {
        "input": usage.prompt_tokens - usage.cached_tokens,
        "input_cached_tokens": usage.cached_tokens,
        "output": usage.completion_tokens,
        "total": usage.prompt_tokens + usage.completion_tokens,
    }
    return json.dumps(details)


def record(span: ReadableSpan) -> SpanRecord:
    """The journal's record of a finished OpenTelemetry span."""
    attributes: Mapping[str, Any] = span.attributes or {}
    started, ended = span.start_time or 0, span.end_time or 0
    texts = attributes.get(PLAIN, ())
    failed = attributes.get(LEVEL) == "ERROR" or not span.status.is_ok
    return SpanRecord(
        id=f"{span.context.span_id:016x}",
        trace_id=f"{span.context.trace_id:032x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        kind=str(attributes.get(TYPE, "span")),
        name=span.name,
        session=_text(attributes, SESSION),
        started=_iso(started),
        ended=_iso(ended),
        seconds=(ended - started) / 1e9,
        input=_value(attributes, INPUT, texts),
        output=_value(attributes, OUTPUT, texts),
        model=_text(attributes, MODEL),
        usage=_usage(attributes),
        error=(_text(attributes, STATUS) or span.status.description or "failed")
        if failed
        else None,
        metadata=_metadata(attributes),
    )


def _blotted(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _SECRET)
        return value
    if isinstance(value, dict):
        return {_blotted(key, secrets): _blotted(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_blotted(item, secrets) for item in value]
    return value


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        return str(value)
    return value


def _iso(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="microseconds")


def _text(attributes: Mapping[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    return None if value is None else str(value)


def _value(attributes: Mapping[str, Any], name: str, texts: Collection[str]) -> Any:
    value = attributes.get(name)
    return value if value is None or name in texts else _parsed(value)


def _parsed(value: Any) -> Any:
    """An attribute read as JSON; one that is not JSON is a plain string."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def _usage(attributes: Mapping[str, Any]) -> Usage | None:
    details = _parsed(attributes.get(USAGE))
    if not isinstance(details, dict):
        return None
    cached = details.get("input_cached_tokens", 0)
    return Usage(details.get("input", 0) + cached, details.get("output", 0), cached)


def _metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata given whole (as here) or key by key (as Langfuse's SDK writes it)."""
    whole = _parsed(attributes.get(METADATA))
    prefix = METADATA + "."
    parts = {k: _parsed(v) for k, v in attributes.items() if k.startswith(prefix)}
    return {
        **(whole if isinstance(whole, dict) else {}),
        **{key.removeprefix(prefix): value for key, value in parts.items()},
    }
