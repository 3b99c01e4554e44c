"""The labelled tasks of datasets/routing/, their parts, and how routes are scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
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
    return score_of([sum(column) for column in zip(*(counts(*r) for r in results), strict=True)])


def counts(task: Task, route: Route) -> tuple[int, ...]:
    """What a score is made of, for one task; counts of several tasks add up."""
    pairs = [(set(task.roles), set(route.roles)), (set(task.tools), set(route.tools))]
    (roles, got_roles), (tools, got_tools) = pairs
    missing = len(roles - got_roles) + len(tools - got_tools)
    exact = [int(need == got) for need, got in pairs]
    return (
        1,
        *exact,
        int(all(exact)),
        *(len(need & got) for need, got in pairs),
        *(len(need) + len(got) for need, got in pairs),
        int(missing > 0),
        missing,
        len(roles) + len(tools),
        int(task.debate == (route.model == "director")),
    )


def score_of(total: Sequence[float]) -> Score:
    """The figures of added `counts`. Micro-F1 is 2 TP / (needed + chosen)."""
    n, roles, tools, both, right_roles, right_tools, all_roles, all_tools, *rest = total
    lacking, missing, needed, debate = rest
    return Score(
        n=int(n),
        roles_exact=roles / n,
        tools_exact=tools / n,
        exact=both / n,
        roles_f1=2 * right_roles / all_roles,
        tools_f1=2 * right_tools / all_tools,
        f1=2 * (right_roles + right_tools) / (all_roles + all_tools),
        missing=lacking / n,
        missing_choices=missing / needed,
        debate=debate / n,
    )
