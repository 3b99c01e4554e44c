"""What traces asked and answered, read as messages.

A trace's input and output are raw text: plain, or JSON in one of the shapes that
chat libraries and our own backends write. Input is read in these shapes:

    plain text, or a JSON string
    [{"role": "user", "content": ...}, ...]         OpenAI; LangChain with "type": "human"
    {"messages": [...]}
    {"input" | "question" | "prompt" | "query": one of the above}
    {"args": [one of the above], "kwargs": {}}      Langfuse's @observe

Anything else is refused with its reason rather than guessed at. This module
knows nothing about servers or ratings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.records import Message, Role, ToolCall

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_QUESTIONS = ("messages", "input", "question", "prompt", "query")
_ANSWERS = ("output", "answer", "response", "content", "text")
_SAID = {"text", "reasoning", "tool_calls"}
"""Keys of an answer of ours that is more than text."""
_DEEPEST = 6


def asked(text: str) -> tuple[Message, ...]:
    """The conversation that an answer was asked for, from a trace's input.

    Raises ValueError, with the reason, where `text` is empty or of no known
    shape, or where it does not end in a turn that wants an answer.
    """
    return messages_of(_parsed(text))


def messages_of(value: Any) -> tuple[Message, ...]:
    """The conversation in a JSON value. Raises ValueError as `asked` does."""
    messages = _messages(value, _DEEPEST)
    if not any(message.content.strip() for message in messages):
        raise ValueError("the input is empty")
    if messages[-1].role not in ("user", "tool"):
        raise ValueError(f"the input ends in a turn of the {messages[-1].role}")
    return messages


def answered(text: str) -> Message:
    """The answer in a trace's output: the last message of a chat shape, else the text as it is.

    JSON of any other shape stays text: it may be what the model wrote. Raises
    ValueError, with the reason, where there is no answer.
    """
    message = _answer(_parsed(text), _DEEPEST) or Message("assistant", text)
    if not message.content and not message.tool_calls:
        raise ValueError("it has no output")
    return message


def drawn(text: str, n: int) -> list[Message]:
    """The answers of a trace under which `n` were drawn, as `TracedBackend.sample` writes them.

    Reasoning is left out. Raises ValueError where the output does not hold `n` answers.
    """
    outputs = _parsed(text)
    if not isinstance(outputs, list) or len(outputs) != n:
        raise ValueError(f"its metadata names {n} answers, its output holds others")
    answers = [_answer(output, 2) for output in outputs]
    if None in answers:
        raise ValueError("an answer of unknown shape")
    return [answer for answer in answers if answer is not None]


def _parsed(text: str) -> Any:
    """JSON objects, lists and strings as values; all else is plain text."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _messages(value: Any, depth: int) -> tuple[Message, ...]:
    if depth == 0:
        raise ValueError("the input is nested too deep")
    if isinstance(value, str):
        return (Message("user", _clean(value)),)
    if isinstance(value, list) and value and all(isinstance(turn, Mapping) for turn in value):
        return tuple(map(_message, value))
    if isinstance(value, Mapping):
        if "role" in value:
            return (_message(value),)
        if isinstance(value.get("args"), list) and isinstance(value.get("kwargs"), Mapping):
            return _messages(_argument(value["args"], value["kwargs"]), depth - 1)
        named = [name for name in _QUESTIONS if value.get(name)]
        if named:
            return _messages(value[named[0]], depth - 1)
        raise ValueError(f"no question among its keys: {', '.join(map(str, value))[:100]}")
    raise ValueError("the input is neither text nor messages")


def _argument(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The one argument of an observed function that can be a question."""
    if kwargs and not args:
        return kwargs
    if len(args) != 1:
        raise ValueError(f"a call with {len(args)} arguments: which one is the question?")
    return args[0]


def _message(turn: Mapping[str, Any]) -> Message:
    name = turn.get("role") or turn.get("type")
    role = _ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        raise ValueError(f"a turn of unknown role {str(name)[:50]!r}")
    call_id = turn.get("tool_call_id")
    return Message(
        role,
        _content(turn.get("content")),
        _tool_calls(turn.get("tool_calls") or []),
        call_id if isinstance(call_id, str) else None,
    )


def _content(content: Any) -> str:
    """Text of a turn; of a list of parts, where all of them are text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return _clean(content)
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    raise ValueError("a turn whose content is no text")


def _part(part: Any) -> str:
    if isinstance(part, str):
        return _clean(part)
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return _clean(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise ValueError(f"a turn with a part that is no text ({str(kind)[:50]})")


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    if not isinstance(calls, list):
        raise ValueError("tool calls that are no list")
    return tuple(map(_tool_call, calls))


def _tool_call(call: Any) -> ToolCall:
    """A call as OpenAI writes it ({"function": {...}}), or LangChain ({"name", "args"})."""
    if not isinstance(call, Mapping):
        raise ValueError("a tool call of unknown shape")
    inner = call.get("function")
    function = inner if isinstance(inner, Mapping) else call
    name, arguments = function.get("name"), function.get("arguments", function.get("args", "{}"))
    if not isinstance(name, str):
        raise ValueError("a tool call without a name")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(_clean(str(call.get("id") or "")), _clean(name), _clean(arguments))


def _answer(value: Any, depth: int) -> Message | None:
    """The answer in a chat shape; None where there is no such shape."""
    if depth == 0:
        return None
    if isinstance(value, str):
        return Message("assistant", _clean(value))
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        last = value[-1]
        return _answer(last, depth - 1) if "role" in last or "type" in last else None
    if not isinstance(value, Mapping):
        return None
    if "role" in value or _ROLES.get(str(value.get("type"))) == "assistant":
        message = _message(value)
        if message.role != "assistant":
            raise ValueError(f"its output is a turn of the {message.role}")
        return message
    if value.keys() == _SAID:
        return Message("assistant", _content(value["text"]), _tool_calls(value["tool_calls"]))
    for name in ("messages", "choices"):
        if isinstance(value.get(name), list):
            return _answer(value[name], depth - 1) if name == "messages" else _choice(value[name])
    if len(value) == 1 and next(iter(value)) in _ANSWERS:
        return _answer(next(iter(value.values())), depth - 1)
    return None


def _choice(choices: Sequence[Any]) -> Message | None:
    """The first choice of an OpenAI completion."""
    first = choices[0] if choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    return _message(message) if isinstance(message, Mapping) else None


def _clean(text: str) -> str:
    """Text that a journal can hold: JSON may name half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()
