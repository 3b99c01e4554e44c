"""A chat model as a debate asks it: free or bound to a form, traced, its reply a Completion.

It knows nothing about roles and rounds. A bound reply is asked for twice at most: a model
that did not come to an end within its tokens is asked again for short texts, which fit
into few tokens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from workbench.backends import ENGINES
from workbench.backends.traced import TracedBackend
from workbench.consilium.cloud import CloudChat
from workbench.consilium.record import Where, added
from workbench.consilium.wording import Form
from workbench.errors import BackendError
from workbench.records import (
    Completion,
    FinishReason,
    Message,
    Sampling,
    Timing,
    Usage,
    content_id,
)
from workbench.tracing import Tracer

T = TypeVar("T")

SHORT = 120
"""Characters of a text in a form that is asked for the second time: in English about 30 tokens,
at worst, one token a byte and all of them escaped, 720."""


@dataclass(frozen=True)
class Reply(Generic[T]):
    """What came of asking; `usage` and `seconds` are those of all calls that it took."""

    value: T
    completion: Completion
    usage: Usage
    seconds: float


class Voice:
    """A chat model, asked for one debate.

    Voice(model, tracer).say("dev answers", messages).value
    """

    def __init__(self, model: BaseChatModel, tracer: Tracer) -> None:
        self._model, self._tracer = model, tracer

    @property
    def where(self) -> Where:
        """Where the model computes."""
        if isinstance(self._model, CloudChat):
            return "cloud"
        backend = getattr(self._model, "backend", None)
        return "local" if getattr(backend, "name", None) in ENGINES else "given"

    @property
    def label(self) -> str:
        """The model's name, as far as it has one."""
        backend = getattr(self._model, "backend", None)
        if backend is not None:
            return f"{backend.model[:16]} {backend.precision} ({backend.name})"
        if isinstance(self._model, CloudChat):
            return f"{self._model.model_name} at {self._model.host}"
        name = getattr(self._model, "model_name", None) or getattr(self._model, "model", None)
        return str(name or self._model._llm_type)

    def say(self, name: str, messages: Sequence[Message]) -> Reply[str]:
        """A free reply; one that was cut off is taken as it is."""
        reply = self._ask(name, messages, self._model)
        return Reply(reply.text, reply, reply.usage, reply.timing.completion_s)

    def fill(
        self, name: str, messages: Sequence[Message], form: Form[T], characters: int
    ) -> Reply[T]:
        """A reply of that form, its texts at most so many characters long.

        Raises BackendError where both attempts came to nothing.
        """
        tried: list[Completion] = []
        reason = ""
        for room in (characters, min(characters, SHORT)):
            bound = self._model.with_structured_output(form.schema(room), include_raw=True)
            tried.append(self._ask(name, messages, bound))
            try:
                value = form.read(tried[-1].text)
            except ValueError as error:
                reason = " ".join(str(error).split())
                continue
            seconds = sum(reply.timing.completion_s for reply in tried)
            return Reply(value, tried[-1], added(reply.usage for reply in tried), seconds)
        cut = " It was cut off." if tried[-1].finish_reason == "length" else ""
        raise BackendError(
            f"{name}: the reply of {self.label} is not of the form asked for ({reason}).{cut}",
            "Let it write more tokens (max_tokens, N_CTX), or take another model",
        )

    def completion(
        self,
        name: str,
        text: str,
        *,
        finish: FinishReason,
        usage: Usage,
        seconds: float,
        trace_id: str,
        reasoning: str = "",
        token_ids: Sequence[int] = (),
    ) -> Completion:
        """What this model said in the step of that name, as a record."""
        backend = getattr(self._model, "backend", None)
        adapter = getattr(self._model, "adapter", None)
        sampling = getattr(self._model, "sampling", None)
        return Completion(
            id=content_id(trace_id, name, text),
            text=text,
            token_ids=tuple(token_ids),
            finish_reason=finish,
            usage=usage,
            timing=Timing(0.0, seconds),
            backend=backend.name if backend is not None else self._model._llm_type,
            model=backend.model if backend is not None else self.label,
            sampling=sampling if isinstance(sampling, Sampling) else Sampling(),
            adapter=backend.adapters[adapter] if backend is not None and adapter else None,
            reasoning=reasoning,
            trace_id=trace_id,
        )

    def _ask(self, name: str, messages: Sequence[Message], model: Any) -> Completion:
        """One model call, as a span; a generation within it where the model leaves none itself."""
        given = [_message(message) for message in messages]
        began = time.monotonic()
        with self._tracer.span("chain", name) as span:
            if self._traces_itself:
                completion = self._read(name, model.invoke(given), began, span.trace_id)
            else:
                label = self.label
                with self._tracer.span("generation", name, input=messages, model=label) as call:
                    completion = self._read(name, model.invoke(given), began, span.trace_id)
                    call.finish(output=completion.text, usage=completion.usage)
            span.finish(output=completion.text, metadata={"completion": completion.id})
        return completion

    @property
    def _traces_itself(self) -> bool:
        backend = getattr(self._model, "backend", None)
        return isinstance(self._model, CloudChat) or isinstance(backend, TracedBackend)

    def _read(self, name: str, said: Any, began: float, trace_id: str) -> Completion:
        message: AIMessage = said["raw"] if isinstance(said, dict) else said
        used: Any = message.usage_metadata or {}
        cached = (used.get("input_token_details") or {}).get("cache_read", 0)
        finish: Any = message.response_metadata.get("finish_reason")
        return self.completion(
            name,
            str(message.text).encode("utf-8", "replace").decode(),  # no half characters
            finish=finish if finish in get_args(FinishReason) else "stop",
            usage=Usage(used.get("input_tokens", 0), used.get("output_tokens", 0), cached),
            seconds=time.monotonic() - began,
            trace_id=trace_id,
            reasoning=str(message.additional_kwargs.get("reasoning_content", "")),
            token_ids=message.response_metadata.get("token_ids", ()),
        )


def _message(message: Message) -> BaseMessage:
    return (SystemMessage if message.role == "system" else HumanMessage)(message.content)
