"""A backend whose calls are spans: what was asked, what was answered, what it cost.

It knows where nothing is written; that is the tracer's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.backends.contract import Backend
from workbench.errors import BackendError
from workbench.records import (
    Completion,
    Delta,
    FinishReason,
    Message,
    Sampling,
    Score,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
    conversation,
)
from workbench.tracing import Span, Tracer


class TracedBackend:
    """Wraps a backend; each `chat`, `complete`, `sample` and `score` is one span.

        backend = TracedBackend(backend, Tracer(path, settings))
        backend.complete("Hello").trace_id

    Completions carry the id of their trace. `logprobs` leaves no span: its
    result is numbers for other programs, and large.
    """

    def __init__(self, backend: Backend, tracer: Tracer) -> None:
        self.backend = backend
        self.tracer = tracer
        self.name = backend.name
        self.model = backend.model
        self.precision = backend.precision

    def __enter__(self) -> TracedBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def context(self) -> int:
        """Tokens that a conversation and its answer may have together."""
        return self.backend.context

    @property
    def adapters(self) -> Mapping[str, str]:
        """Loaded adapters: name -> fingerprint."""
        return self.backend.adapters

    def chat(
        self,
        messages: Sequence[Message] | str,
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        tool_choice: ToolChoice = "auto",
        sampling: Sampling = Sampling(),
        adapter: str | None = None,
    ) -> Iterator[Delta]:
        """Stream one answer; the span ends with the stream, also when it is broken off."""
        deltas = self.backend.chat(
            messages,
            tools=tools,
            schema=schema,
            tool_choice=tool_choice,
            sampling=sampling,
            adapter=adapter,
        )
        about = self._about(sampling, adapter) | _offered(tools, tool_choice)
        return self._traced(deltas, self._start("chat", messages), about)

    def complete(
        self,
        messages: Sequence[Message] | str,
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        tool_choice: ToolChoice = "auto",
        sampling: Sampling = Sampling(),
        adapter: str | None = None,
    ) -> Completion:
        """One answer."""
        with self._span("complete", messages) as span:
            completion = self.backend.complete(
                messages,
                tools=tools,
                schema=schema,
                tool_choice=tool_choice,
                sampling=sampling,
                adapter=adapter,
            )
            span.finish(
                output=_said(completion.text, completion.reasoning, completion.tool_calls),
                usage=completion.usage,
                metadata=self._about(sampling, adapter, completion.finish_reason)
                | _offered(tools, tool_choice),
            )
        return replace(completion, trace_id=span.trace_id)

    def sample(
        self,
        messages: Sequence[Message] | str,
        n: int,
        *,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = "auto",
        sampling: Sampling = Sampling(),
        adapter: str | None = None,
    ) -> list[Completion]:
        """n answers under one span, since they were computed together."""
        with self._span("sample", messages) as span:
            completions = self.backend.sample(
                messages,
                n,
                tools=tools,
                tool_choice=tool_choice,
                sampling=sampling,
                adapter=adapter,
            )
            prompt = completions[0].usage
            answered = sum(c.usage.completion_tokens for c in completions)
            span.finish(
                output=[_said(c.text, c.reasoning, c.tool_calls) for c in completions],
                usage=Usage(prompt.prompt_tokens, answered, prompt.cached_tokens),
                metadata=self._about(sampling, adapter)
                | _offered(tools, tool_choice)
                | {"n": n, "completions": [c.id for c in completions]},
            )
        return [replace(c, trace_id=span.trace_id) for c in completions]

    def score(
        self, messages: Sequence[Message] | str, answer: str, *, adapter: str | None = None
    ) -> Score:
        """Log-probability of an answer."""
        with self._span("score", messages) as span:
            score = self.backend.score(messages, answer, adapter=adapter)
            span.finish(
                output={"answer": answer, "total": score.total, "tokens": len(score.token_ids)},
                metadata=self._about(None, adapter),
            )
        return score

    def logprobs(
        self, tokens: Sequence[int], start: int, *, adapter: str | None = None
    ) -> np.ndarray:
        """As of the backend beneath."""
        return self.backend.logprobs(tokens, start, adapter=adapter)

    def refused(self, tools: Sequence[Tool]) -> Mapping[str, BackendError]:
        """As of the backend beneath."""
        return self.backend.refused(tools)

    def load_adapter(self, path: Path | str, name: str) -> None:
        """As of the backend beneath."""
        self.backend.load_adapter(path, name)

    def unload_adapter(self, name: str) -> None:
        """As of the backend beneath."""
        self.backend.unload_adapter(name)

    def close(self) -> None:
        """Close the backend and hand its spans on."""
        self.backend.close()
        self.tracer.flush()

    def _span(self, name: str, messages: Sequence[Message] | str) -> Any:
        return self.tracer.span(
            "generation", name, input=conversation(messages), model=self._label()
        )

    def _start(self, name: str, messages: Sequence[Message] | str) -> Span:
        return self.tracer.start(
            "generation", name, input=conversation(messages), model=self._label()
        )

    def _label(self) -> str:
        return f"{self.model[:16]} {self.precision} ({self.name})"

    def _about(
        self,
        sampling: Sampling | None,
        adapter: str | None,
        finish_reason: FinishReason | None = None,
    ) -> dict[str, Any]:
        about = {
            "backend": self.name,
            "model": self.model,
            "precision": self.precision,
            "adapter": self.adapters.get(adapter) if adapter else None,
            "sampling": sampling,
            "finish_reason": finish_reason,
        }
        return {key: value for key, value in about.items() if value is not None}

    def _traced(
        self, deltas: Iterator[Delta], span: Span, about: dict[str, Any]
    ) -> Iterator[Delta]:
        text, reasoning, calls = "", "", []
        finish: FinishReason = "cancelled"
        usage: Usage | None = None
        try:
            for delta in deltas:
                text += delta.text
                reasoning += delta.reasoning
                calls += [delta.tool_call] if delta.tool_call else []
                finish = delta.finish_reason or finish
                usage = delta.usage or usage
                yield delta
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish(
                output=_said(text, reasoning, calls),
                usage=usage,
                metadata=about | {"finish_reason": finish},
            )


def _said(text: str, reasoning: str, calls: Sequence[ToolCall]) -> Any:
    """An answer as a span shows it: its text alone where that is all."""
    if not reasoning and not calls:
        return text
    return {"text": text, "reasoning": reasoning, "tool_calls": list(calls)}


def _offered(tools: Sequence[Tool], choice: ToolChoice) -> dict[str, Any]:
    """What a span says of tools: which were offered, and whether they had to be called."""
    return {"tools": [tool.name for tool in tools], "tool_choice": choice} if tools else {}
