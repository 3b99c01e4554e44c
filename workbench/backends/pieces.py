"""From tokens to pieces of an answer: whole characters, stop strings, reasoning, tool calls.

Each stage holds back only what it can't decide yet, so the pieces of a stream,
joined, are the answer. It knows nothing about models: it is given `decode`.

    pieces = Pieces(tokenizer.decode, stop=("END",))
    pieces.push(token)      # what can be shown now, as Deltas
    pieces.flush()          # the rest, once the answer is over
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal

from workbench.records import Delta, ToolCall

THINK, THINK_END = "<think>", "</think>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
_INCOMPLETE = "\ufffd"


class Pieces:
    """One answer's tokens, in; Deltas of text, reasoning and tool calls, out.

    `thinking` says that the prompt ended inside `<think>`. Tool calls are looked
    for only when `calls` is given: the beginning of their ids.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        *,
        stop: Sequence[str] = (),
        thinking: bool = False,
        calls: str | None = None,
    ) -> None:
        self._detokenizer = Detokenizer(decode)
        self._stop = StopFinder(stop)
        self._segments = Segments(thinking=thinking, calls=calls)

    @property
    def stopped(self) -> bool:
        """Whether a stop string was found; nothing after it is part of the answer."""
        return self._stop.found

    def push(self, token: int) -> list[Delta]:
        """What can be shown after one more token."""
        return self._segments.push(self._stop.push(self._detokenizer.push(token)))

    def flush(self) -> list[Delta]:
        """What was held back; call it once, at the end."""
        rest = self._stop.push(self._detokenizer.flush()) + self._stop.flush()
        return self._segments.push(rest) + self._segments.flush()


class Detokenizer:
    """Text of a growing list of tokens, never half a character.

    Decodes the last few tokens together with those before them, since
    tokenizers join bytes across tokens and drop leading spaces (the method of
    Hugging Face's text-generation-inference).
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._shown = 0  # tokens whose text was given out
        self._context = 0  # first token that is still decoded with the new ones

    def push(self, token: int) -> str:
        """Text that is complete now."""
        self._tokens.append(token)
        text = self._new_text()
        if not text or text.endswith(_INCOMPLETE):
            return ""
        self._context, self._shown = self._shown, len(self._tokens)
        return text

    def flush(self) -> str:
        """The rest; bytes that never became a character show as U+FFFD."""
        text = self._new_text()
        self._context = self._shown = len(self._tokens)
        return text

    def _new_text(self) -> str:
        before = self._decode(self._tokens[self._context : self._shown])
        return self._decode(self._tokens[self._context :])[len(before) :]


class StopFinder:
    """Passes text on up to the first stop string, which may come in parts."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.found = False
        self._stop = tuple(stop)
        self._held = ""

    def push(self, text: str) -> str:
        """Text that can't be part of a stop string any more."""
        if self.found:
            return ""
        text = self._held + text
        at = [i for i in (text.find(s) for s in self._stop) if i >= 0]
        if at:
            self.found, self._held = True, ""
            return text[: min(at)]
        ready, self._held = _hold_back(text, self._stop)
        return ready

    def flush(self) -> str:
        """Text that looked like the beginning of a stop string and was none."""
        text, self._held = self._held, ""
        return text


class Segments:
    """Splits text into reasoning, answer and tool calls.

    Reasoning is what stands between `<think>` at the very beginning and
    `</think>`. A tool call is `<tool_call>{"name": ..., "arguments": ...}</tool_call>`
    (Hermes and Qwen); one that is not such JSON stays text, tags and all.
    """

    def __init__(self, *, thinking: bool, calls: str | None) -> None:
        self._state: Literal["start", "reasoning", "between", "text", "call"] = (
            "reasoning" if thinking else "start"
        )
        self._calls = calls
        self._called = 0
        self._buffer = ""

    def push(self, text: str) -> list[Delta]:
        """The pieces that are decided."""
        self._buffer += text
        deltas: list[Delta] = []
        while self._advance(deltas):
            pass
        return deltas

    def flush(self) -> list[Delta]:
        """The undecided rest: an unfinished tool call is given as text."""
        rest, self._buffer = self._buffer, ""
        if self._state == "reasoning":
            return [Delta(reasoning=rest)] if rest else []
        if self._state == "call":
            return [self._call(rest, closed=False)]
        return [Delta(text=rest)] if rest and self._state != "between" else []

    def _advance(self, deltas: list[Delta]) -> bool:
        """Take one step over the buffer; False when more text is needed."""
        match self._state:
            case "start":
                beginning = self._buffer.lstrip()
                if THINK.startswith(beginning[: len(THINK)]):
                    if len(beginning) < len(THINK):
                        return False
                    self._buffer = beginning[len(THINK) :]
                    self._state = "reasoning"
                else:
                    self._state = "text"
                return True
            case "between":
                self._buffer = self._buffer.lstrip()
                if self._buffer:
                    self._state = "text"
                return bool(self._buffer)
            case "reasoning":
                ready, found = self._until(THINK_END)
                if ready:
                    deltas.append(Delta(reasoning=ready))
                if found:
                    self._state = "between"
                return found
            case "text":
                ready, found = self._until(CALL) if self._calls is not None else self._all()
                if ready:
                    deltas.append(Delta(text=ready))
                if found:
                    self._state = "call"
                return found
            case "call":
                body, end, rest = self._buffer.partition(CALL_END)
                if not end:
                    return False
                self._buffer, self._state = rest, "between"
                deltas.append(self._call(body, closed=True))
                return True

    def _until(self, marker: str) -> tuple[str, bool]:
        """Text before `marker`, taken out of the buffer with it, and whether it is there."""
        before, found, rest = self._buffer.partition(marker)
        if not found:
            before, rest = _hold_back(self._buffer, (marker,))
        self._buffer = rest
        return before, bool(found)

    def _all(self) -> tuple[str, bool]:
        text, self._buffer = self._buffer, ""
        return text, False

    def _call(self, body: str, *, closed: bool) -> Delta:
        try:
            record = json.loads(body)
            name, arguments = record["name"], record.get("arguments", {})
        except (ValueError, KeyError, TypeError, AttributeError):
            return Delta(text=CALL + body + (CALL_END if closed else ""))
        self._called += 1
        return Delta(
            tool_call=ToolCall(
                id=f"{self._calls}-{self._called}",
                name=str(name),
                arguments=json.dumps(arguments, ensure_ascii=False),
            )
        )


def _hold_back(text: str, markers: Sequence[str]) -> tuple[str, str]:
    """`text` without, and the longest end that may become one of `markers`."""
    longest = max((len(m) for m in markers), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(m.startswith(text[-size:]) for m in markers):
            return text[:-size], text[-size:]
    return text, ""
