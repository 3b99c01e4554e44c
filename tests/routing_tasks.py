"""The labelled tasks of datasets/routing/, their parts, and how routes are scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.consilium.routing import Route
from workbench.journal import read

Part = Literal["development", "held-out", "unseen"]

FILE = Path(__file__).resolve().parents[1] / "datasets" / "routing" / "tasks.jsonl"


@dataclass(frozen=True)
class Task:
    """One task and what it needs. Tasks of one `group` are translations of each other."""

    id: str
    group: str
    language: Literal["en", "ru"]
    text: str
    roles: tuple[str, ...]
    tools: tuple[str, ...]
    debate: bool

    @property
    def part(self) -> Part:
        """Rules are mended by looking at "development" alone; the rest is only measured.

        By a hash of the group, but for the last batch: it was written when the rules stood.
        """
        if self.group.startswith("seventh"):
            return "unseen"
        digest = hashlib.sha256(self.group.encode()).digest()
        return "held-out" if digest[-1] % 2 else "development"


@dataclass(frozen=True)
class Score:
    """How routes compare with labels. Shares are 0 to 1.

    `roles_exact`, `tools_exact` and `exact`: the set of roles, of tools, and both, are
    what the label says. `roles_f1` and `tools_f1` are micro-averaged over all choices.
    `missing` is the share of tasks that lack a needed role or tool, `missing_choices` that
    of the needed roles and tools that are lacking. `debate`: rightly debated or not.
    """

    n: int
    roles_exact: float
    tools_exact: float
    exact: float
    roles_f1: float
    tools_f1: float
    f1: float
    missing: float
    missing_choices: float
    debate: float


def tasks() -> list[Task]:
    """All labelled tasks, in the order of the file."""
    return list(read(FILE, Task))


def score(results: Iterable[tuple[Task, Route]]) -> Score:
    """The figures of some tasks and their routes."""
    results = list(results)
    n = len(results)
    roles = [(set(task.roles), set(route.roles)) for task, route in results]
    tools = [(set(task.tools), set(route.tools)) for task, route in results]
    both = [(a | c, b | d) for (a, b), (c, d) in zip(roles, tools, strict=True)]
    return Score(
        n=n,
        roles_exact=sum(need == got for need, got in roles) / n,
        tools_exact=sum(need == got for need, got in tools) / n,
        exact=sum(need == got for need, got in both) / n,
        roles_f1=_micro_f1(roles),
        tools_f1=_micro_f1(tools),
        f1=_micro_f1(both),
        missing=sum(not need <= got for need, got in both) / n,
        missing_choices=sum(len(need - got) for need, got in both)
        / sum(len(need) for need, _ in both),
        debate=sum(t.debate == (r.model == "director") for t, r in results) / n,
    )


def _micro_f1(pairs: Iterable[tuple[set[str], set[str]]]) -> float:
    """2 TP / (2 TP + FP + FN) over all pairs of a needed and a chosen set."""
    pairs = list(pairs)
    right = sum(len(need & got) for need, got in pairs)
    total = sum(len(need) + len(got) for need, got in pairs)
    return 2 * right / total if total else 1.0
