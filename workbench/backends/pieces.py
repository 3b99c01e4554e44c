"""From tokens to pieces of an answer: whole characters, stop strings, reasoning, tool calls.

Each stage holds back only what it can't decide yet, so the pieces of a stream,
joined, are the answer. It knows nothing about models: it is given `decode`.

    pieces = Pieces(tokenizer.decode, stop=("END",))
    pieces.push(token)      # what can be shown now, as Deltas
    pieces.flush()          # the rest, once the answer is over
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from workbench.backends.tool_calls import CallReader
from workbench.models.tool_forms import BLANK, THINK, THINK_END
from workbench.records import Delta, ToolCall

_INCOMPLETE = "\ufffd"
_SHORT = 256
"""Characters of a call that are looked at as they come, to see early that they are none."""


class Pieces:
    """One answer's tokens, in; Deltas of text, reasoning and tool calls, out.

    `thinking` says that the prompt ended inside `<think>`. Tool calls are looked for
    only when `reader` is given; `calls` is the beginning of their ids.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        *,
        stop: Sequence[str] = (),
        thinking: bool = False,
        reader: CallReader | None = None,
        calls: str = "",
    ) -> None:
        self._detokenizer = Detokenizer(decode)
        self._stop = StopFinder(stop)
        self._segments = Segments(thinking=thinking, reader=reader, calls=calls)

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


_State = Literal["start", "reasoning", "between", "text", "call", "called", "more"]


class Segments:
    """Splits text into reasoning, answer and tool calls.

    Reasoning is what stands between `<think>` at the very beginning and `</think>`. A call
    is given as soon as it is whole, whether or not its closing tag follows; what begins like
    one and is none stays text, tags and all. White space around reasoning and after a
    call is left out.
    """

    def __init__(self, *, thinking: bool, reader: CallReader | None, calls: str) -> None:
        self._state: _State = "reasoning" if thinking else "start"
        self._reader = reader
        self._calls = calls
        self._called = 0
        self._opened = ""  # what stood before the body of the call that is being read
        self._seen = 0  # how much of that body was looked at
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
            rest = self._opened + rest
        elif self._state in ("between", "called", "more"):
            rest = rest.lstrip(BLANK)
        return [Delta(text=rest)] if rest else []

    @property
    def _opening(self) -> str:
        return self._reader.form.opening if self._reader else ""

    def _advance(self, deltas: list[Delta]) -> bool:
        """Take one step over the buffer; False when more text is needed."""
        match self._state:
            case "start":
                return self._start()
            case "between":
                return self._between()
            case "reasoning":
                ready, found = self._until(THINK_END)
                if ready:
                    deltas.append(Delta(reasoning=ready))
                if found:
                    self._state = "between"
                return found
            case "text":
                ready, found = self._until(self._opening) if self._opening else self._all()
                if ready:
                    deltas.append(Delta(text=ready))
                if found:
                    self._begin_call(self._opening)
                return found
            case "call":
                return self._call(deltas)
            case "called":
                return self._closed()
            case "more":
                return self._another()

    def _start(self) -> bool:
        """Reasoning comes first, if at all."""
        beginning = self._buffer.lstrip(BLANK)
        if THINK.startswith(beginning[: len(THINK)]):
            if len(beginning) < len(THINK):
                return False
            self._buffer = beginning[len(THINK) :]
            self._state = "reasoning"
            return True
        return self._answer()

    def _between(self) -> bool:
        self._buffer = self._buffer.lstrip(BLANK)
        return bool(self._buffer) and self._answer()

    def _answer(self) -> bool:
        """Text, or a call that needs no opening."""
        begins: bool | None = False
        if self._reader and not self._opening:
            begins = self._reader.begins(self._buffer)
        if begins is None:
            return False
        if begins:
            self._begin_call("")
        else:
            self._state = "text"
        return True

    def _begin_call(self, opened: str) -> None:
        self._state, self._opened, self._seen = "call", opened, 0

    def _call(self, deltas: list[Delta]) -> bool:
        assert self._reader is not None
        new, self._seen = self._buffer[self._seen :], len(self._buffer)
        if self._seen > _SHORT and not any(end in new for end in "}]>"):
            return False  # nothing can have ended here: long calls are not read at every token
        read = self._reader.read(self._buffer)
        if read is None:
            return False
        if not read.calls:
            self._state = "text"
            if self._opened:
                deltas.append(Delta(text=self._opened))
            return True
        for call in read.calls:
            self._called += 1
            id = f"{self._calls}-{self._called}"
            deltas.append(Delta(tool_call=ToolCall(id, call.name, call.arguments)))
        self._buffer, self._state = self._buffer[read.length :], "called"
        return True

    def _closed(self) -> bool:
        """Pass over the closing tag, where the form has one and the model wrote it."""
        assert self._reader is not None
        closing = self._reader.form.closing
        rest = self._buffer.lstrip(BLANK)
        if closing and len(rest) < len(closing) and closing.startswith(rest):
            return False
        self._buffer = rest.removeprefix(closing)
        self._state = "between" if self._opening else "more"
        return True

    def _another(self) -> bool:
        """Llama separates calls by semicolons or lines, where it writes several."""
        assert self._reader is not None
        rest = self._buffer.lstrip(BLANK)
        if not rest or rest == ";":
            return False
        begins = self._reader.begins(rest.removeprefix(";"))
        if begins is None:
            return False
        if begins:
            self._begin_call(";" if rest.startswith(";") else "")
            rest = rest.removeprefix(";")
        else:
            self._state = "text"
        self._buffer = rest
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


def _hold_back(text: str, markers: Sequence[str]) -> tuple[str, str]:
    """`text` without, and the longest end that may become one of `markers`."""
    longest = max((len(m) for m in markers), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(m.startswith(text[-size:]) for m in markers):
            return text[:-size], text[-size:]
    return text, ""
