"""Which roles, tools and model a task needs, and why.

    route("Is the login form safe from SQL injection?").roles    # ('security',)
    route(task, Examples(Embedder())).reasons                    # and what examples teach

A choice needs two points. A phrase that decides gives two, one that hints gives one.
What was learned from examples.jsonl gives one where it speaks for a choice and two where
it does so clearly: examples.py.

A rule's points are never taken away: more text, "choose no security role" included,
removes no role and no tool that rules found. What examples taught may change with every
word. It also means that a negated task ("don't run the
tests") is routed like its opposite. This is no boundary: it proposes. What a tool may do
is decided by approval, and what may leave the machine by the settings of the Director.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from workbench.consilium.examples import Evidence, Examples
from workbench.consilium.roles import DEFAULT, ROLES
from workbench.consilium.vocabulary import DEBATE, DECISION, ROLE_CUES, TOOL_CUES
from workbench.consilium.words import Phrases

Model = Literal["local", "director"]
"""One answer of the local model, or a debate of the roles that the Director decides."""

TOOLS = tuple(TOOL_CUES)
"""Kinds of tools that a task may need; one kind may be several tools of the registry."""

_REGISTERED = {
    "file_operations": ("list_files", "read_file", "write_file", "delete_file"),
    "git": ("git", "git_write"),
}

_COMPANY = ("architect", "qa")
"""Who debates with a role that a task needs alone."""

_NEEDED = 2


@dataclass(frozen=True)
class Reason:
    """Why a role, a tool or the director was chosen."""

    choice: str
    because: str


@dataclass(frozen=True)
class Route:
    """What a task needs. Roles and tools stand in the order of their tables."""

    roles: tuple[str, ...]
    tools: tuple[str, ...]
    model: Model
    reasons: tuple[Reason, ...]

    @property
    def registered(self) -> tuple[str, ...]:
        """The names of the tools in the registry: reading and changing are apart there."""
        return tuple(name for tool in self.tools for name in registered(tool))


def registered(tool: str) -> tuple[str, ...]:
    """The tools of the registry that are of one kind of `TOOLS`."""
    return _REGISTERED.get(tool, (tool,))


def debaters(names: tuple[str, ...]) -> tuple[str, ...]:
    """`names` as they are from two on; fewer in the company of architect or qa, or of both."""
    others = [name for name in _COMPANY if name not in names]
    return (*names, *others[: max(0, 2 - len(names))])


def route(task: str, examples: Examples | None = None) -> Route:
    """The roles, tools and model for a task; by the rules alone without `examples`.

    Where no role is found it is `dev`, who also joins where a tool is needed that no other
    chosen role may use. The director is chosen where a debate is asked for, where three
    roles are needed, and where a decision is asked for that concerns the architect or two
    roles. Any text is taken, in any language: the rules know English and Russian, in
    others the examples speak alone.
    """
    evidence = _said(task) + (examples.evidence(task) if examples is not None else [])
    tools = _needed(TOOL_CUES, evidence)
    evidence += _unsaid_role(evidence, tools)
    roles = _needed(ROLES, evidence)
    debate = _why_debate(evidence, roles)
    reasons = [Reason(c, e.because) for c in (*roles, *tools) for e in evidence if e.choice == c]
    if debate:
        reasons.append(Reason("director", debate))
    return Route(roles, tools, "director" if debate else "local", tuple(reasons))


def _needed(choices: Iterable[str], evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Those of `choices` with points enough, in their own order."""
    points = Counter[str]()
    for e in evidence:
        points[e.choice] += e.points
    return tuple(choice for choice in choices if points[choice] >= _NEEDED)


def _unsaid_role(evidence: Sequence[Evidence], tools: tuple[str, ...]) -> list[Evidence]:
    """The default role where no other one was found, or where a tool would have no user."""
    roles = _needed(ROLES, evidence)
    usable = {tool for role in roles for tool in ROLES[role].tools}
    alone = [tool for tool in tools if not usable & set(registered(tool))]
    if alone:
        return [Evidence(DEFAULT, _NEEDED, f"may use {', '.join(alone)}")]
    return [] if roles else [Evidence(DEFAULT, _NEEDED, "no other role was found")]


def _why_debate(evidence: Sequence[Evidence], roles: tuple[str, ...]) -> str:
    """Why a debate is needed, "" where it isn't."""
    because = {e.choice: e.because for e in reversed(evidence)}
    if "debate" in because:
        return because["debate"]
    if len(roles) >= 3:
        return f"{len(roles)} roles are needed"
    if "decision" in because and (len(roles) == 2 or "architect" in roles):
        return f"a decision of {' and '.join(roles)}: {because['decision']}"
    return ""


@cache
def _rules() -> tuple[Phrases, dict[str, list[tuple[str, int]]]]:
    """All phrases, and phrase -> the choices that it speaks for, with its points."""
    speaks_for: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for choice, cues in (*ROLE_CUES.items(), *TOOL_CUES.items()):
        for points, phrases in ((_NEEDED, cues.decides), (1, cues.hints)):
            for phrase in phrases:
                speaks_for[phrase].append((choice, points))
    for choice, phrases in (("decision", DECISION), ("debate", DEBATE)):
        for phrase in phrases:
            speaks_for[phrase].append((choice, _NEEDED))
    return Phrases(speaks_for), dict(speaks_for)


def _said(task: str) -> list[Evidence]:
    """What the rules find. The same words speak once for a choice, as strongly as they can."""
    phrases, speaks_for = _rules()
    strongest: dict[tuple[str, str], int] = {}
    for phrase, words in phrases.find(task).items():
        for choice, points in speaks_for[phrase]:
            strongest[choice, words] = max(points, strongest.get((choice, words), 0))
    return [Evidence(c, points, f'says "{words}"') for (c, words), points in strongest.items()]
