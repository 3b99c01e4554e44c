"""Calls that a model meant to make and nobody can read: they are answered, not lost.

A chat model of others may write arguments that are no JSON object; LangChain then sets
the call aside. Here it stands among the calls again, without arguments, and why it can't
be made stands beside it, so that the model is told. Knows nothing about tools: whether
arguments that can be read fit one is checked where the call is made.
"""

from __future__ import annotations

import uuid
from typing import Any

from langchain_core.messages import AIMessage

_WHY = "unreadable_calls"
_SHOWN = 200
"""Characters of what can't be read that the model is shown again."""


def taken_in(message: AIMessage) -> AIMessage:
    """`message` with all calls that were meant, those that can't be read without arguments."""
    if not message.invalid_tool_calls:
        return message
    calls: list[Any] = list(message.tool_calls)
    why: dict[str, str] = {}
    for broken in message.invalid_tool_calls:
        id = broken["id"] or uuid.uuid4().hex
        shown = (broken["args"] or "")[:_SHOWN]
        why[id] = (
            f"The arguments of this call could not be read, so it was not made: {shown!r}. "
            "Call again, with one JSON object."
        )
        name = broken["name"] or "unknown"
        calls.append({"type": "tool_call", "id": id, "name": name, "args": {}})
    return message.model_copy(
        update={
            "tool_calls": calls,
            "invalid_tool_calls": [],
            "additional_kwargs": {**message.additional_kwargs, _WHY: why},
        }
    )


def why_unreadable(message: AIMessage, id: str) -> str:
    """Why the call of that id can't be made; "" where it could be read."""
    return str(message.additional_kwargs.get(_WHY, {}).get(id, ""))


def all_unreadable(message: AIMessage) -> bool:
    """Whether there are calls, and none of them can be made."""
    calls = message.tool_calls
    return bool(calls) and all(why_unreadable(message, call["id"] or "") for call in calls)
