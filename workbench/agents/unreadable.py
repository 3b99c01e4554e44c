"""Calls that a model meant to make and nobody can read or keep: they are answered, not lost.

A chat model of others may write arguments that are no JSON object; LangChain then sets
the call aside. Any model may write some that a checkpoint does not hold: nested without
end, a number of more than 64 bits, half a character, in its name too. Here such a call stands
among the others without its arguments, and why it can't be made stands beside it, so that the
model is told. Knows nothing about tools: whether arguments that can be read fit one is checked
where the call is made.
"""

from __future__ import annotations

import uuid
from typing import Any

from langchain_core.messages import AIMessage

_WHY = "unreadable_calls"
_DEEPEST = 100
"""A checkpoint holds about 200 levels, those of the message around the arguments included."""
_SHOWN = 200
"""Characters of what can't be read that the model is shown again."""


def taken_in(message: AIMessage) -> AIMessage:
    """`message` with all calls that were meant, those that can't be read without arguments."""
    calls: list[Any] = []
    why: dict[str, str] = {}
    for call in message.tool_calls:
        reason = _unkept(call["args"])
        if _unkept(call["name"]) or _unkept(call["id"]):
            reason = "came with a name or an id that holds half a character"
        calls.append(_emptied(call, reason, why) if reason else call)
    unkept = bool(why)
    for broken in message.invalid_tool_calls:
        shown = (broken["args"] or "")[:_SHOWN]
        calls.append(_emptied(broken, f"could not be read: {shown!r}", why))
    if not why:
        return message
    return message.model_copy(
        update={
            # Blocks of content may repeat the arguments.
            "content": str(message.text) if unkept else message.content,
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


def _emptied(call: Any, reason: str, why: dict[str, str]) -> dict[str, Any]:
    """That call without arguments; why it is not made is added to `why`."""
    id = call["id"] if call["id"] and not _unkept(call["id"]) else uuid.uuid4().hex
    name = call["name"] if call["name"] and not _unkept(call["name"]) else "unknown"
    why[id] = (
        f"The arguments of this call {reason}, so it was not made. Call again with one JSON object."
    )
    return {"type": "tool_call", "id": id, "name": name, "args": {}}


def _unkept(value: Any, room: int = _DEEPEST) -> str:
    """Why a checkpoint can't hold an argument; "" where it can."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "hold a number of more than 64 bits"
    if isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value):
        return "hold half a character"
    if not isinstance(value, dict | list):
        return ""
    if not room:
        return f"are nested more than {_DEEPEST} deep"
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    return next(filter(None, (_unkept(part, room - 1) for part in parts)), "")
