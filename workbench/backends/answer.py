"""One answer in the making: takes logits, gives pieces, keeps what has been said.

It knows nothing about runtimes: whoever computes the logits feeds them in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.backends.constraint import Constraint
from workbench.backends.pieces import Pieces
from workbench.backends.sampling import Sampler
from workbench.records import (
    Delta,
    FinishReason,
    Sampling,
    Timing,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)


@dataclass(frozen=True)
class Request:
    """One call, rendered: token ids of the prompt, and how long a sequence may grow."""

    prompt: tuple[int, ...]
    capacity: int
    sampling: Sampling
    adapter: str | None
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None
    tool_choice: ToolChoice = "auto"

    @property
    def room(self) -> int:
        """How many tokens the answer may have."""
        return self.capacity - len(self.prompt)


class Answer:
    """One answer in the making: takes logits, keeps what has been said."""

    def __init__(
        self,
        request: Request,
        sampler: Sampler,
        pieces: Pieces,
        constraint: Constraint | None,
        eos_ids: frozenset[int],
    ) -> None:
        self.tokens: list[int] = []
        self.text = ""
        self.reasoning = ""
        self.tool_calls: list[ToolCall] = []
        self.finish: FinishReason | None = None
        self._prompt_tokens = len(request.prompt)
        self._room = request.room
        self._sampler, self._pieces, self._constraint = sampler, pieces, constraint
        self._eos_ids = eos_ids
        self._cached, self._prompt_s, self._began, self._ended = 0, 0.0, 0.0, 0.0

    def begin(self, cached: int, prompt_s: float, now: float) -> None:
        """The prompt has been computed."""
        self._cached, self._prompt_s, self._began = cached, prompt_s, now

    @property
    def usage(self) -> Usage:
        """Tokens so far; the end-of-turn token is not counted."""
        return Usage(self._prompt_tokens, len(self.tokens), self._cached)

    @property
    def timing(self) -> Timing:
        """Seconds of the prompt and of the answer (shared with answers drawn beside it)."""
        return Timing(self._prompt_s, self._ended - self._began)

    def take(self, logits: np.ndarray) -> list[Delta]:
        """Draw the next token; what it adds. `finish` is set after the last one."""
        if self._constraint is not None:
            logits = self._constraint.mask(logits)
        token = self._sampler.pick(logits)
        drawn: tuple[int, ...] = ()
        deltas: list[Delta] = []
        if token in self._eos_ids:
            self.finish = "stop"
        else:
            drawn = (token,)
            self.tokens.append(token)
            deltas = self._pieces.push(token)
            if self._constraint is not None:
                self._constraint.accept(token)
            if self._pieces.stopped or (self._constraint and self._constraint.finished):
                self.finish = "stop"
            elif len(self.tokens) == self._room:
                self.finish = "length"
        if self.finish:
            deltas += self._pieces.flush()
        self._keep(deltas)
        if self.finish == "stop" and self.tool_calls:
            self.finish = "length" if self._was_cut() else "tool_calls"
        if drawn:
            first = deltas[0] if deltas else Delta()
            deltas[:1] = [replace(first, token_ids=drawn)]
        self._ended = time.perf_counter()
        return deltas

    def _was_cut(self) -> bool:
        """Whether an argument has as many characters as the grammar lets it have at most.

        Such a text was ended by force; see `Grammars.tools`.
        """
        return any(_longest(json.loads(call.arguments)) == self._room for call in self.tool_calls)

    def _keep(self, deltas: list[Delta]) -> None:
        for delta in deltas:
            self.text += delta.text
            self.reasoning += delta.reasoning
            if delta.tool_call is not None:
                self.tool_calls.append(delta.tool_call)


def _longest(value: Any) -> int:
    """Characters of the longest string in a JSON value."""
    if isinstance(value, str):
        return len(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max(map(_longest, inner), default=0)
