"""What is asked before a tool runs, and what may be answered.

A request names one call: these arguments, of this tool as it is defined now, at
this place of this run. Its digest is the name of all of that; whoever approves,
approves the digest. This module knows nothing about who is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from workbench.errors import InputError
from workbench.records import content_id
from workbench.tools import Definition, Risk

Answer = Literal["approve", "modify", "reject", "terminate", "escalate"]
"""approve: run it; modify: run it with other arguments; reject: the model is told no;
terminate: end the run; escalate: ask the next one who may decide."""


@dataclass(frozen=True)
class Request:
    """A tool call that waits for a decision.

    `run` and `step` say where in which run the model asked for it. `arguments` is
    canonical JSON: keys sorted, nothing left out. `definition` is the fingerprint of
    the tool as it was when the request was made. `level` counts escalations. Times
    are ISO 8601 in UTC; after `expires` only a refusal counts.
    """

    run: str
    step: int
    tool: str
    arguments: str
    definition: str
    risk: Risk
    reason: str
    asked: str
    expires: str
    wait_s: float
    level: int = 0

    @property
    def digest(self) -> str:
        """Name of exactly this call, the same whenever it is asked again."""
        parts = (self.run, self.step, self.tool, self.arguments, self.definition)
        return content_id("tool call", *parts, length=64)

    @property
    def seconds_left(self) -> float:
        """How long an approval still counts; 0 once it is too late."""
        return max(-self.seconds_late, 0.0)

    @property
    def seconds_late(self) -> float:
        """How long ago it expired; below 0 while it has not."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.expires)).total_seconds()

    def escalated(self) -> Request:
        """The same request to the next one who may decide, with as much time again."""
        return replace(self, level=self.level + 1, expires=_in(self.wait_s))


@dataclass(frozen=True)
class Decision:
    """The answer to the request of that digest.

    `by` is `policy`, `person:NAME` or `nobody` (no answer came in time).
    `arguments`, canonical JSON, goes with "modify" alone. `reason` is told to the model.
    """

    digest: str
    answer: Answer
    by: str
    reason: str = ""
    arguments: str | None = None

    def __post_init__(self) -> None:
        if (self.arguments is not None) != (self.answer == "modify"):
            raise InputError(
                f"The decision {self.answer!r} with{'out' if self.arguments is None else ''} "
                "other arguments makes no sense",
                "Give arguments with modify, and only there",
            )


def request(
    definition: Definition,
    arguments: Mapping[str, Any],
    *,
    run: str,
    step: int,
    reason: str,
    wait_s: float,
) -> Request:
    """The request to call `definition` with `arguments`; it expires `wait_s` seconds from now."""
    return Request(
        run=run,
        step=step,
        tool=definition.name,
        arguments=canonical(arguments),
        definition=definition.fingerprint,
        risk=definition.risk,
        reason=reason,
        asked=_in(0),
        expires=_in(wait_s),
        wait_s=float(wait_s),
    )


def canonical(arguments: Mapping[str, Any]) -> str:
    """Arguments as JSON in the one spelling that is shown, hashed and run."""
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
