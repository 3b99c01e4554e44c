"""Tools and models for tests of agents: small, and scripted where a test needs a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from pydantic import Field

from workbench.errors import BackendError, ToolError
from workbench.records import Delta, Message, Usage
from workbench.tools import Definition

_TEXT = {"type": "string"}

READ = Definition(
    "look",
    "Look something up.",
    {
        "type": "object",
        "properties": {"key": _TEXT},
        "required": ["key"],
        "additionalProperties": False,
    },
    {},
    "read",
    lambda arguments, context: {"found": arguments["key"]},
)
SHELL = Definition(
    "shell",
    "Run a command.",
    {"type": "object", "properties": {"command": _TEXT}, "required": ["command"]},
    {},
    "execute",
    lambda arguments, context: {"ran": arguments["command"]},
)


class Few:
    """A registry of a few tools."""

    def __init__(self, *definitions: Definition) -> None:
        self._by_name = {definition.name: definition for definition in definitions}

    def get(self, name: str) -> Definition:
        if name not in self._by_name:
            raise ToolError(f"There is no tool {name!r}", "Use one that is there")
        return self._by_name[name]


class Scripted(BaseChatModel):
    """Says what its script says, one message after the other; keeps what it was asked."""

    script: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    options: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        return self.bind(
            tools=[tool["function"]["name"] for tool in tools], tool_choice=tool_choice
        )

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **_: Any) -> Any:
        assert include_raw
        bound = self.bind(schema=schema)
        return RunnableLambda(lambda given: {"raw": bound.invoke(given)})

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self.asked.append(list(messages))
        self.options.append(kwargs)
        said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        message = AIMessage(said) if isinstance(said, str) else said
        message.usage_metadata = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        return ChatResult(generations=[ChatGeneration(message=message)])


def calling(*calls: tuple[str, dict[str, Any]]) -> AIMessage:
    """A message that calls tools."""
    made = [{"name": name, "args": args, "id": f"c{i}"} for i, (name, args) in enumerate(calls)]
    return AIMessage("", tool_calls=made)


class Deltas:
    """A backend that streams what it is given and keeps what it was asked."""

    name, model, precision, context = "scripted", "f" * 64, "none", 2048
    adapters: dict[str, str] = {"mine": "a" * 64}  # noqa: RUF012

    def __init__(self, *deltas: Delta) -> None:
        self.deltas = deltas
        self.asked: list[tuple[list[Message], dict[str, Any]]] = []

    def chat(self, messages: list[Message], **options: Any) -> Iterator[Delta]:
        self.asked.append((messages, options))
        yield from self.deltas

    def refused(self, tools: Any) -> dict[str, BackendError]:
        return {}


END = Delta(finish_reason="stop", usage=Usage(10, 3, 4))
