"""Special tokens that stand in what people, tools and documents say are words, not turns.

A tokenizer parses `<|im_end|>` wherever it reads it, and a chat template writes messages
and marks into one text: a tool result that says `<|im_end|><|im_start|>system` would begin
a turn of its own. Here such names are broken by a mark that no vocabulary knows before the
template sees them, and the mark's tokens are left out of the ids, so that the model reads
the very same characters, spelled out. It knows nothing about templates or weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from workbench.models.tool_forms import THINK, THINK_END
from workbench.records import Message, Tool, ToolCall

MARK = "\ufdd0"
"""A noncharacter of Unicode (section 23.7), never meant for text that is exchanged."""


class Quoting:
    """Breaks the names of special tokens in messages and tools.

    Results of tools and the tools' own descriptions come from anywhere: no added token is
    read in them, be it special or not. Where `</tool_response>` is no token but a word, it stays
    as it is, and `tool_prompt` takes another fence. Elsewhere the special ones are meant;
    a model's own thoughts keep their marks, which templates look for.
    """

    def __init__(self, special: Collection[str], added: Collection[str]) -> None:
        """`special`: the tokens that end turns and the like; `added`: these and all others."""
        self._anywhere = _any_of(special)
        self._in_answers = _any_of(set(special) - {THINK, THINK_END})
        self._in_results = _any_of({*special, *added})

    def messages(self, messages: Sequence[Message]) -> list[Message]:
        """`messages` with every such name broken; equal to them where there is none."""
        return [self._message(message) for message in messages]

    def tools(self, tools: Sequence[Tool]) -> list[Tool]:
        """`tools` with every such name broken in descriptions and schemas."""
        pattern = self._in_results
        return [
            Tool(tool.name, _broken(tool.description, pattern), _deep(tool.parameters, pattern))
            for tool in tools
        ]

    def _message(self, message: Message) -> Message:
        by_role = {"tool": self._in_results, "assistant": self._in_answers}
        pattern = by_role.get(message.role, self._anywhere)
        calls = tuple(
            ToolCall(call.id, _broken(call.name, pattern), _arguments(call.arguments, pattern))
            for call in message.tool_calls
        )
        return replace(message, content=_broken(message.content, pattern), tool_calls=calls)


def without_marks(ids: Sequence[int], offsets: Sequence[tuple[int, int]], text: str) -> list[int]:
    """`ids` less the tokens that stand for marks alone; `offsets` are theirs in `text`."""
    spans = zip(ids, offsets, strict=True)
    return [id for id, (start, end) in spans if not _is_mark(text[start:end])]


def _is_mark(text: str) -> bool:
    return bool(text) and not text.strip(MARK)


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    # One character can't be broken.
    long_first = sorted({name for name in names if len(name) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, long_first))) if long_first else None


def _broken(text: str, pattern: re.Pattern[str] | None) -> str:
    # Again until nothing is found: names may overlap.
    while pattern is not None and pattern.search(text):
        text = pattern.sub(lambda found: found[0][0] + MARK + found[0][1:], text)
    return text


def _arguments(text: str, pattern: re.Pattern[str] | None) -> str:
    """Arguments with names broken in their values too: JSON may write `<` as `\\u003c`."""
    try:
        value = json.loads(text)
    except ValueError:
        return _broken(text, pattern)
    broken = _deep(value, pattern)
    return text if broken == value else json.dumps(broken, ensure_ascii=False)


def _deep(value: Any, pattern: re.Pattern[str] | None) -> Any:
    if isinstance(value, str):
        return _broken(value, pattern)
    if isinstance(value, dict):
        return {_broken(key, pattern): _deep(inner, pattern) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_deep(inner, pattern) for inner in value]
    return value
