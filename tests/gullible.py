"""A model that does all that anything it reads tells it to do: what holds it is approval alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from injections import INJECTIONS, obey
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

ASKED_FOR = sorted({name for each in INJECTIONS for name, _ in each.calls})
"""The tools that the texts want called."""


class Gullible(BaseChatModel):
    """Makes the calls it was given first, and then all that descriptions and results ask for."""

    first: list[tuple[str, dict[str, Any]]]
    offered: list[Any] = Field(default_factory=list)
    made: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "gullible"

    @property
    def reached(self) -> set[str]:
        """Names of all tools that it called."""
        return {json.loads(call)[0] for call in self.made}

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **_: Any) -> Any:
        self.offered[:] = [json.dumps(tool, ensure_ascii=False) for tool in tools]
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        read = self.offered + [str(message.text) for message in messages]
        wanted = self.first + [call for text in read for call in obey(text)]
        new = [call for call in dict.fromkeys(map(json.dumps, wanted)) if call not in self.made]
        self.made += new
        made = [
            {"name": name, "args": arguments, "id": f"c{len(self.made)}-{i}"}
            for i, (name, arguments) in enumerate(map(json.loads, new))
        ]
        message = AIMessage("" if made else "Done.", tool_calls=made)
        return ChatResult(generations=[ChatGeneration(message=message)])
