"""Tracing: every model call, tool call and retrieval is a span.

    tracer = Tracer(path, settings)
    with tracer.span("generation", "chat", input=messages, model=fingerprint) as span:
        ...
        span.finish(output=text, usage=usage)

Spans are OpenTelemetry spans with Langfuse's attribute names. They are always
written to a journal, one JSON line a span; where Langfuse's keys are set they
go there as well. `read` gives the journal back, `query` asks it in SQL.
"""

from __future__ import annotations

from workbench.tracing.questions import SpanSummary, query, summary
from workbench.tracing.spans import Kind, SpanRecord, read
from workbench.tracing.tracer import Place, Span, Tracer

__all__ = [
    "Kind",
    "Place",
    "Span",
    "SpanRecord",
    "SpanSummary",
    "Tracer",
    "query",
    "read",
    "summary",
]
