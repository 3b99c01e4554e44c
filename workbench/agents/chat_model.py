"""Any Backend as a LangChain chat model: for our loop, and for others' chains and graphs.

    model = BackendChat(backend=backend, sampling=Sampling.greedy())
    model.bind_tools([tool], tool_choice="any").invoke("What is in boost_target?")
    model.with_structured_output(schema).invoke("Who wrote it?")

What is thought before an answer stands in `additional_kwargs["reasoning_content"]`,
apart from the answer. The last piece of a stream, and each whole message, say in
`response_metadata` why the answer ended and what made it. Tool calls and structured
answers are constrained while they are written, so that they always fit their schema.

Imports langchain_core, so this module is imported when an agent is first made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from workbench.backends import Backend
from workbench.errors import InputError
from workbench.records import (
    Delta,
    Message,
    NamedTool,
    Role,
    Sampling,
    Timing,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)

_ROLES: dict[str, Role] = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}
_CHOICES: dict[str | bool | None, ToolChoice] = {
    None: "auto",
    False: "auto",
    "auto": "auto",
    "any": "required",
    "required": "required",
    True: "required",
    "none": "none",
}


class BackendChat(BaseChatModel):
    """A LangChain chat model that asks `backend`; every other argument is as in `Backend.chat`."""

    backend: Any
    sampling: Sampling = Sampling()
    adapter: str | None = None

    @property
    def _llm_type(self) -> str:
        return "workbench"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"backend": self.backend.name, "model": self.backend.model, "adapter": self.adapter}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool | Tool],
        *,
        tool_choice: str | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools; `tool_choice` is "auto", "any", "none" or the name of one."""
        offered = tuple(map(_tool, tools))
        choice = _CHOICES.get(tool_choice) or NamedTool(str(tool_choice))
        return self.bind(tools=offered, tool_choice=choice, **kwargs)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """This model with every answer bound to `schema` (JSON Schema, or a pydantic class)."""
        is_class = isinstance(schema, type)
        wanted = schema.model_json_schema() if is_class else schema  # type: ignore[union-attr]

        def read(message: AIMessage) -> Any:
            found = json.loads(str(message.text))
            return schema.model_validate(found) if is_class else found  # type: ignore[union-attr]

        raw = self.bind(schema=wanted, **kwargs)
        if not include_raw:
            return raw | RunnableLambda(read)

        def attempt(given: LanguageModelInput) -> dict[str, Any]:
            said = raw.invoke(given)
            try:
                return {"raw": said, "parsed": read(said), "parsing_error": None}
            except ValueError as error:
                return {"raw": said, "parsed": None, "parsing_error": error}

        return RunnableLambda(attempt)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        gathered: AIMessageChunk | None = None
        for piece in self._pieces(messages, stop, kwargs):
            gathered = piece if gathered is None else gathered + piece
        assert gathered is not None  # the last delta is always there
        return ChatResult(generations=[ChatGeneration(message=message_chunk_to_message(gathered))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for piece in self._pieces(messages, stop, kwargs):
            chunk = ChatGenerationChunk(message=piece)
            if run_manager is not None:
                run_manager.on_llm_new_token(str(piece.text), chunk=chunk)
            yield chunk

    def _pieces(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> Iterator[AIMessageChunk]:
        sampling = options.get("sampling", self.sampling)
        if stop:
            sampling = replace(sampling, stop=tuple(stop))
        asked: dict[str, Any] = {"sampling": sampling, "adapter": self.adapter}
        asked |= {name: options[name] for name in ("tools", "schema") if options.get(name)}
        if "tools" in asked:
            asked["tool_choice"] = options.get("tool_choice", "auto")
        calls = 0
        tokens: list[int] = []
        backend: Backend = self.backend
        for delta in backend.chat([to_record(message) for message in messages], **asked):
            tokens += delta.token_ids
            yield self._chunk(delta, calls, tokens, sampling)
            calls += delta.tool_call is not None

    def _chunk(
        self, delta: Delta, calls: int, tokens: list[int], sampling: Sampling
    ) -> AIMessageChunk:
        chunk = AIMessageChunk(content=delta.text)
        if delta.reasoning:
            chunk.additional_kwargs["reasoning_content"] = delta.reasoning
        if delta.tool_call is not None:
            call = delta.tool_call
            chunk = AIMessageChunk(
                content=delta.text,
                tool_call_chunks=[
                    {"name": call.name, "args": call.arguments, "id": call.id, "index": calls}
                ],
            )
        if delta.finish_reason is not None:
            chunk.response_metadata = {
                "finish_reason": delta.finish_reason,
                "context": self.backend.context,
                "model_name": self.backend.model,
                "backend": self.backend.name,
                "adapter": self.backend.adapters.get(self.adapter) if self.adapter else None,
                "token_ids": list(tokens),
                "sampling": msgspec.to_builtins(sampling),
                "timing": msgspec.to_builtins(delta.timing or Timing(0.0, 0.0)),
            }
        if delta.usage is not None:
            chunk.usage_metadata = _usage(delta.usage)
        return chunk


def to_record(message: BaseMessage) -> Message:
    """A LangChain message as ours. Raises InputError for a kind that no chat template knows."""
    if message.type not in _ROLES:
        raise InputError(
            f"A message of the kind {message.type!r} can't be rendered",
            f"Use one of {', '.join(_ROLES)}",
        )
    calls: tuple[ToolCall, ...] = ()
    if isinstance(message, AIMessage):
        calls = tuple(
            ToolCall(call["id"] or "", call["name"], json.dumps(call["args"], ensure_ascii=False))
            for call in message.tool_calls
        )
    answered = message.tool_call_id if isinstance(message, ToolMessage) else None
    return Message(_ROLES[message.type], str(message.text), calls, answered)


def _tool(given: Any) -> Tool:
    if isinstance(given, Tool):
        return given
    function = convert_to_openai_tool(given)["function"]
    return Tool(function["name"], function.get("description", ""), function["parameters"])


def _usage(usage: Usage) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        input_token_details=InputTokenDetails(cache_read=usage.cached_tokens),
    )
