"""Where spans go: OpenTelemetry providers of our own, with Langfuse on them when its keys are set.

Langfuse keeps one client per public key and process, and a second one with
other settings would silently be the first. So there is one provider per public
key here, and one without Langfuse; many tracers share them, and each span finds
the journal of its tracer through OpenTelemetry's context.

Without keys Langfuse is not imported: no thread, no network, no warning. With
keys, spans are sent by a background thread. Langfuse is a second copy: what it
can't be given within a few seconds stays in the journal alone, and neither
calls nor the end of the process wait longer for it.

Imported when the first tracer is made, since OpenTelemetry takes its time.
"""

from __future__ import annotations

import base64
import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from workbench.errors import SettingsError
from workbench.journal import Journal
from workbench.settings import LANGFUSE_CLOUD, Settings
from workbench.tracing import spans
from workbench.tracing.spans import SpanRecord

TRACES = "/api/public/otel/v1/traces"
PATIENCE_S = 5
"""Longest attempt at one hand-over to Langfuse, and how long it rests after a failed one."""

DESTINATION = "workbench.destination"
"""Key of OpenTelemetry's context: the Destination of the spans that start in it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """The journal of a tracer's spans, and their session."""

    journal: Journal[SpanRecord]
    session: str | None


@dataclass(frozen=True)
class _Connection:
    base_url: str
    secret_key: str
    provider: TracerProvider


_lock = threading.Lock()
_connections: dict[str, _Connection] = {}


def provider(settings: Settings) -> TracerProvider:
    """The process's provider for these settings.

    Raises SettingsError for half a pair of keys, for keys that this process
    already uses with another server, and where OpenTelemetry is switched off.
    """
    public, secret = settings.langfuse_public_key, settings.langfuse_secret_key
    if bool(public) != bool(secret):
        missing = "LANGFUSE_SECRET_KEY" if public else "LANGFUSE_PUBLIC_KEY"
        raise SettingsError(
            f"{missing} is empty while the other key is set", "Set both, or none to trace locally"
        )
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        raise SettingsError("OTEL_SDK_DISABLED switches all traces off", "Unset it")
    base_url = (settings.langfuse_base_url or LANGFUSE_CLOUD).rstrip("/") if public else ""
    with _lock:
        known = _connections.get(public)
        if known is None:
            known = _Connection(base_url, secret, _provider())
            if public:
                _add_langfuse(known.provider, public, secret, base_url)
            _connections[public] = known
    if (known.base_url, known.secret_key) != (base_url, secret):
        raise SettingsError(
            f"This process already sends traces of {public} to {known.base_url}",
            "Restart the kernel to change LANGFUSE_BASE_URL or LANGFUSE_SECRET_KEY",
        )
    return known.provider


class _OwnIds(IdGenerator):
    """Ids from the operating system: a seed that a notebook sets must not repeat them."""

    def generate_span_id(self) -> int:
        return secrets.randbits(64) or 1  # 0 is no id

    def generate_trace_id(self) -> int:
        return secrets.randbits(128) or 1

    def is_trace_id_random(self) -> bool:
        return True


def _provider() -> TracerProvider:
    """A provider that keeps every span whole, whatever OTEL_* variables say."""
    unset = SpanLimits.UNSET
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        id_generator=_OwnIds(),
        resource=Resource.create({"service.name": "workbench"}),
        shutdown_on_exit=False,
        span_limits=SpanLimits(
            max_span_attributes=unset, max_span_attribute_length=unset, max_attribute_length=unset
        ),
    )
    provider.add_span_processor(_Journals())
    return provider


def _add_langfuse(provider: TracerProvider, public: str, secret: str, base_url: str) -> None:
    """Langfuse's client on `provider`; its threads end, and its queue is sent, at exit."""
    from langfuse import Langfuse
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    credentials = base64.b64encode(f"{public}:{secret}".encode()).decode()
    exporter = OTLPSpanExporter(
        endpoint=base_url + TRACES,
        headers={
            "Authorization": f"Basic {credentials}",
            "x-langfuse-public-key": public,
            "x-langfuse-ingestion-version": "4",
        },
        timeout=PATIENCE_S,
        compression=Compression.Gzip,
    )
    Langfuse(
        public_key=public,
        secret_key=secret,
        base_url=base_url,
        timeout=PATIENCE_S,
        tracer_provider=provider,
        span_exporter=_Impatient(exporter, base_url),
        should_export_span=lambda span: True,
    )


class _Journals(SpanProcessor):
    """Writes each span to the journal of its context.

    A span of another library on this provider, started under one of ours, goes
    to the same journal. A span with no tracer above it is not ours to keep.
    """

    def __init__(self) -> None:
        self._destinations: dict[int, Destination] = {}

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        destination = context.get_value(DESTINATION, parent_context)
        if isinstance(destination, Destination):
            self._destinations[span.context.span_id] = destination
            if destination.session is not None:
                span.set_attribute(spans.SESSION, destination.session)

    def on_end(self, span: ReadableSpan) -> None:
        destination = self._destinations.pop(span.context.span_id, None)
        if destination is not None:
            destination.journal.append(spans.record(span))


class _Impatient(SpanExporter):
    """An exporter that is left alone for a while after it failed.

    When the process ends Langfuse hands over its whole queue, batch by batch;
    with a server that hangs, each batch would wait for its own time-out.
    """

    def __init__(self, exporter: SpanExporter, base_url: str) -> None:
        self._exporter = exporter
        self._base_url = base_url
        self._rests_until = float("-inf")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if time.monotonic() < self._rests_until:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._rests_until = time.monotonic() + PATIENCE_S
            _log.warning("Langfuse at %s took no spans; the journal has them", self._base_url)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
