"""A preference as a line of TRL's conversational preference format.

Three columns, `prompt`, `chosen` and `rejected`, each a list of messages as chat
templates take them. TRL 1.16 gives a meaning to further columns of some names
(`tools`, `images`, `chat_template_kwargs`, ...), so there are no others. This
module knows nothing about files.
"""

from __future__ import annotations

from typing import Any

from workbench.records import Completion, Message, Preference, ToolCall


def row(preference: Preference) -> dict[str, list[dict[str, Any]]]:
    """A line of TRL's conversational preference format, its three columns only."""
    return {
        "prompt": [_turn(message) for message in preference.prompt.messages],
        "chosen": [_answer(preference.chosen)],
        "rejected": [_answer(preference.rejected)],
    }


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _answer(completion: Completion) -> dict[str, Any]:
    # Inside the content, as the model wrote it: templates that know of thinking take it from
    # there, others leave it, and whoever renders the row sees the same text.
    thoughts = f"<think>\n{completion.reasoning}\n</think>\n\n" if completion.reasoning else ""
    return _turn(Message("assistant", thoughts + completion.text, completion.tool_calls))


def _call(call: ToolCall) -> dict[str, Any]:
    # Arguments stay text: as objects, Arrow would give every call the keys of all others.
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
