"""Making spans: a tracer for one journal, and the spans that it starts.

A tracer knows which journal and which session its spans belong to. It knows
nothing about models or tools: whoever makes a call opens the span.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from workbench.errors import InputError
from workbench.journal import Journal
from workbench.records import Usage
from workbench.settings import Settings
from workbench.tracing import spans
from workbench.tracing.spans import Kind, SpanRecord

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OpenTelemetrySpan


@dataclass(frozen=True)
class Place:
    """Where a span is: its trace and its own id, as in `SpanRecord`."""

    trace_id: str
    id: str


class Tracer:
    """Spans into the journal at `path`, and to Langfuse when `settings` hold its keys.

        tracer = Tracer(settings.datasets / "traces" / "today.jsonl", settings)
        with tracer.span("tool", "search", input={"query": "torque"}) as span:
            span.finish(output=found)

    When `finish` returns, the span's line is on disk (fsynced): it survives
    `kill -9` and a loss of power. A span that was never finished leaves no
    line. Langfuse gets a copy as far as it can be reached.

    Spans nest through Python's context variables: a span that is started
    inside another one is its child, also across `await`. A new thread starts a
    new trace, unless it runs in `contextvars.copy_context()`.

    Secrets of the settings are blotted out of everything that a span records.
    Other secrets are not known here.
    """

    def __init__(self, path: Path | str, settings: Settings, session: str | None = None) -> None:
        from workbench.tracing import sinks

        self.path = Path(path)
        self.session = session
        self._secrets = settings.secrets
        self._destination = sinks.Destination(Journal(self.path, SpanRecord), session)
        self._provider = sinks.provider(settings)
        self._tracer = self._provider.get_tracer("workbench")

    @contextmanager
    def span(
        self,
        kind: Kind,
        name: str,
        *,
        input: Any = None,
        model: str | None = None,
        under: Place | None = None,
    ) -> Iterator[Span]:
        """A span around the body; spans started inside are its children.

        It ends with `finish` or `fail`, at the latest with the body. An exception
        marks it as failed and goes on. Not for the body of a generator, whose
        caller would find itself inside the span: use `start` there. `under` is the
        place of a span of another time or process, whose trace goes on here.
        Raises InputError where the journal can't be written.
        """
        from opentelemetry import context, trace

        span = self.start(kind, name, input=input, model=model, under=under)
        token = context.attach(trace.set_span_in_context(span.opentelemetry, self._context()))
        try:
            yield span
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            context.detach(token)
        span.finish()

    def start(
        self,
        kind: Kind,
        name: str,
        *,
        input: Any = None,
        model: str | None = None,
        under: Place | None = None,
    ) -> Span:
        """A span that its holder ends with `finish` or `fail`; no span becomes its child."""
        if kind not in get_args(Kind):
            raise InputError(
                f"There is no kind of span {kind!r}", f"Use one of {', '.join(get_args(Kind))}"
            )
        started = self._tracer.start_span(name, self._context(under))
        return Span(started, kind, input, model, self._secrets)

    def flush(self) -> None:
        """Hand pending spans to Langfuse now, as far as it takes them; waits some seconds at most.

        The journal needs no flush.
        """
        self._provider.force_flush()

    def _context(self, under: Place | None = None) -> Any:
        """The current context, with this tracer's journal as the destination of spans."""
        from opentelemetry import context, trace

        from workbench.tracing import sinks

        current = context.get_current()
        if under is not None:
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
            there = trace.SpanContext(
                int(under.trace_id, 16), int(under.id, 16), is_remote=True, trace_flags=flags
            )
            current = trace.set_span_in_context(trace.NonRecordingSpan(there), current)
        return context.set_value(sinks.DESTINATION, self._destination, current)


class Span:
    """A span under way. The first `finish` or `fail` ends it; later ones change nothing.

    `id` and `trace_id` are OpenTelemetry's, 16 and 32 hex digits.
    """

    def __init__(
        self,
        span: OpenTelemetrySpan,
        kind: Kind,
        input: Any,
        model: str | None,
        secrets: tuple[str, ...],
    ) -> None:
        self.opentelemetry = span
        context = span.get_span_context()
        self.id = f"{context.span_id:016x}"
        self.trace_id = f"{context.trace_id:032x}"
        self._began = time.perf_counter_ns()
        self._open = True
        self._secrets = secrets
        self._plain: list[str] = []
        span.set_attribute(spans.TYPE, kind)
        self._set(spans.INPUT, input)
        if model is not None:
            span.set_attribute(spans.MODEL, model)

    def finish(
        self,
        *,
        output: Any = None,
        usage: Usage | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """End the span with its result; on return it is on disk.

        `output` and `metadata` may hold any records or JSON values. Raises
        InputError where the journal can't be written.
        """
        if not self._open:
            return
        self._set(spans.OUTPUT, output)
        if usage is not None:
            self.opentelemetry.set_attribute(spans.USAGE, spans.usage_attribute(usage))
        if metadata:
            self._set(spans.METADATA, dict(metadata))
        self._end()

    def fail(
        self, error: BaseException | str, *, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """End the span as failed; on return it is on disk."""
        if not self._open:
            return
        from opentelemetry.trace import Status, StatusCode

        if isinstance(error, BaseException):
            error = f"{type(error).__name__}: {error}".removesuffix(": ")
        text: str = spans.json_value(error, self._secrets)
        self.opentelemetry.set_attributes({spans.LEVEL: "ERROR", spans.STATUS: text})
        self.opentelemetry.set_status(Status(StatusCode.ERROR, text))
        if metadata:
            self._set(spans.METADATA, dict(metadata))
        self._end()

    def _set(self, attribute: str, value: Any) -> None:
        if value is None:
            return
        value = spans.json_value(value, self._secrets)
        if isinstance(value, str):
            self._plain.append(attribute)
        self.opentelemetry.set_attribute(attribute, spans.value_attribute(value))

    def _end(self) -> None:
        """End by a monotonic clock: the wall clock may be set while a model answers."""
        self._open = False
        if self._plain:
            self.opentelemetry.set_attribute(spans.PLAIN, self._plain)
        started: int = self.opentelemetry.start_time  # type: ignore[attr-defined]
        self.opentelemetry.end(started + time.perf_counter_ns() - self._began)
