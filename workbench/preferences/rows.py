"""Conversations and answers as trainers read them: as messages, or as plain text.

Messages are those of chat templates. Plain text names each role on a line of its
own and leaves the last answer open. Reasoning and tool calls survive in both.
This module knows nothing about files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from workbench.records import Completion, Message, Preference, ToolCall

Row = dict[str, Any]


def row(preference: Preference) -> Row:
    """A line of TRL's conversational preference format.

    Three columns, `prompt`, `chosen` and `rejected`, each a list of messages.
    TRL 1.16 gives a meaning to further columns of some names (`tools`, `images`,
    `chat_template_kwargs`, ...), so there are no others.
    """
    return {
        "prompt": turns(preference.prompt.messages),
        "chosen": [answer(preference.chosen)],
        "rejected": [answer(preference.rejected)],
    }


def turns(messages: Sequence[Message]) -> list[Row]:
    """Messages as chat templates take them."""
    return [_turn(message) for message in messages]


def answer(completion: Completion) -> Row:
    """An answer as the assistant's message."""
    return _turn(Message("assistant", _content(completion), completion.tool_calls))


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as plain text, up to where the assistant begins to answer."""
    told = [f"{m.role}:\n{_with_calls(m.content, m.tool_calls)}\n\n" for m in messages]
    return "".join([*told, "assistant:\n"])


def answer_text(completion: Completion) -> str:
    """An answer as plain text."""
    return _with_calls(_content(completion), completion.tool_calls)


def _turn(message: Message) -> Row:
    turn: Row = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _content(completion: Completion) -> str:
    # Inside the content, as the model wrote it: templates that know of thinking take it from
    # there, others leave it, and whoever renders the row sees the same text.
    thoughts = f"<think>\n{completion.reasoning}\n</think>\n\n" if completion.reasoning else ""
    return thoughts + completion.text


def _call(call: ToolCall) -> Row:
    # Arguments stay text: as objects, Arrow would give every call the keys of all others.
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _with_calls(text: str, calls: Sequence[ToolCall]) -> str:
    """Text and tool calls in the markup of Hermes, which Qwen's models share."""
    shown = (
        json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
        for call in calls
    )
    return "\n".join([text, *(f"<tool_call>\n{call}\n</tool_call>" for call in shown)])
