"""What an agent's run is, and what is left of it.

Records alone: they know nothing about models, graphs or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from workbench.approval import Request
from workbench.records import Completion, Usage

Finish = Literal["answered", "waiting", "terminated", "steps", "tokens", "seconds"]
"""answered: the model answered by itself. waiting: someone has to decide about a call.
terminated: whoever decided ended it. The others: that budget ran out, and the answer is
what the model could say then."""


@dataclass(frozen=True)
class Budget:
    """How much a run may use: model calls, tokens of prompts and answers, seconds.

    Tokens are those that were computed: what of a prompt came from a cache doesn't count.
    Time that someone takes to decide doesn't count. The last answer comes on top. What is
    under way is brought to its end: an answer is bounded by its greatest length, a call by
    the limits of its tool. Calls that wait when tokens or time are used up are refused.
    """

    steps: int = 12
    tokens: int = 100_000
    seconds: float = 600.0

    def spent(self, steps: int, tokens: int, seconds: float) -> Finish | None:
        """Which budget is used up; None where none is."""
        if steps >= self.steps:
            return "steps"
        if tokens >= self.tokens:
            return "tokens"
        return "seconds" if seconds >= self.seconds else None


@dataclass(frozen=True)
class Made:
    """A call that a run made."""

    tool: str
    arguments: str
    state: Literal["succeeded", "failed", "refused"]


@dataclass(frozen=True)
class AgentRun:
    """One run, as far as it came.

    `id` names it: with it a run goes on after a pause or a kill. `data` is the answer
    of the schema that was asked for, `request` the call that waits for a decision.
    `seconds` is the time that models and tools took. Spans of the run are in the
    trace `trace_id`. `completion` is the answer as a candidate that people can judge,
    with the usage of the whole run; None without an answer, or of a model that does not
    say what made it.
    """

    id: str
    task: str
    finish: Finish
    answer: str
    data: Any
    calls: tuple[Made, ...]
    steps: int
    usage: Usage
    seconds: float
    trace_id: str
    request: Request | None = None
    completion: Completion | None = None
