"""The labelled tasks, those learned and those only measured, and how routes are scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.consilium.examples import FILE as EXAMPLES
from workbench.consilium.examples import LabelledTask
from workbench.consilium.routing import Route
from workbench.journal import read

Part = Literal["development", "held-out", "unseen"]

MEASURED = Path(__file__).resolve().parents[1] / "datasets" / "routing" / "tasks.jsonl"


@dataclass(frozen=True)
class Task(LabelledTask):
    """A labelled task. On "development" rules were mended and examples are learned."""

    part: Part


@dataclass(frozen=True)
class Score:
    """How routes compare with labels. Shares are 0 to 1.

    `roles_exact`, `tools_exact` and `exact`: the set of roles, of tools, and both, are
    what the label says. `roles_f1` and `tools_f1` are micro-averaged over all choices.
    `missing` is the share of tasks that lack a needed role or tool, `missing_choices` that
    of the needed roles and tools that are lacking, `false_choices` that of the chosen ones
    that are not needed. `debate`: rightly debated or not.
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
    false_choices: float
    debate: float


def tasks() -> list[Task]:
    """All labelled tasks. The seventh batch is "unseen": nobody that made rules read it."""
    learned = [Task(**vars(task), part="development") for task in read(EXAMPLES, LabelledTask)]
    return learned + [
        Task(**vars(task), part="unseen" if task.group.startswith("seventh") else "held-out")
        for task in read(MEASURED, LabelledTask)
    ]


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
    chosen = all_roles + all_tools - needed
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
        false_choices=1 - (right_roles + right_tools) / chosen,
        debate=debate / n,
    )
