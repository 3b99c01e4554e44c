"""Which roles, tools and model a task needs, and why.

    route("Is the login form safe from SQL injection?").roles    # ('security',)
    route(task, Examples(Embedder())).reasons                    # embeddings where rules are silent

A choice needs two points. A phrase that decides gives two, one that hints gives one.
Where the rules find no role, or no tool, the nearest example speaks: near gives one
point, very near two. What is near, and whether the model can read a language at all, is
measured on the examples themselves.

Points are never taken away: more text, "choose no security role" included, removes no
role and no tool that a rule found. It also means that a negated task ("don't run the
tests") is routed like its opposite. This is no boundary: it proposes. What a tool may do
is decided by approval, and what may leave the machine by the settings of the Director.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.consilium.roles import DEFAULT, ROLES
from workbench.consilium.vocabulary import DEBATE, DECISION, ROLE_CUES, TOOL_CUES
from workbench.consilium.words import Phrases

if TYPE_CHECKING:
    import numpy as np

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
_NEAR, _VERY_NEAR = 0.9, 1.0
_UNDERSTOOD = 0.6
_READ_CHARACTERS = 2_000
_WORD = re.compile(r"\w+")
_LETTER = re.compile(r"[^\W\d_]")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")


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


@dataclass(frozen=True)
class Evidence:
    """What speaks for one choice, and how strongly."""

    choice: str
    points: int
    because: str


class Embeds(Protocol):
    """What turns texts into unit vectors, such as `workbench.knowledge.Embedder`."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors, float [len(texts), width]."""


class Examples:
    """The examples of all roles and tools, as an embedding model sees them.

    An example is near where its cosine with the task is above that of 90 % of the pairs
    of examples that belong to different roles (of tools: to different tools), very near
    above all of them; pairs are of the task's language, Russian or not. A language is not
    understood where two examples of one choice are nearer than two of different choices
    in less than 60 % of comparisons. There the model is not asked: runs of letters are
    compared instead, and for tools alone.
    """

    def __init__(self, embedder: Embeds) -> None:
        roles = {name: role.examples for name, role in ROLES.items()}
        tools = {name: cues.examples for name, cues in TOOL_CUES.items()}
        letters = _Letters([text for texts in tools.values() for text in texts])
        self._speaking: dict[bool, list[_Table]] = {}
        for russian in (False, True):
            tables = [_Table(embedder, examples, russian) for examples in (roles, tools)]
            if not all(table.understood for table in tables):
                tables = [_Table(letters, tools, russian)]
            self._speaking[russian] = tables

    def nearest(self, task: str) -> list[Evidence]:
        """The nearest role and tool, where they are near. 2,000 characters of a task are read."""
        start = task[:_READ_CHARACTERS]
        nearest = [table.nearest(start) for table in self._speaking[_is_russian(start)]]
        return [evidence for evidence in nearest if evidence.points]


class _Table:
    """Some choices' examples in one language, and how alike those of different choices are."""

    def __init__(
        self, embeds: Embeds, examples: Mapping[str, Sequence[str]], russian: bool
    ) -> None:
        import numpy as np

        pairs = [(name, text) for name, texts in examples.items() for text in texts]
        self._examples = [pair for pair in pairs if _is_russian(pair[1]) == russian]
        self._embeds = embeds
        self._vectors = embeds.embed([text for _, text in self._examples])
        names = np.array([name for name, _ in self._examples])
        one, other = np.triu_indices(len(names), k=1)
        cosines, same = (self._vectors @ self._vectors.T)[one, other], names[one] == names[other]
        together, apart = cosines[same], cosines[~same]
        self._levels = np.quantile(apart, (_NEAR, _VERY_NEAR))
        self.understood = bool((together[:, None] > apart).mean() >= _UNDERSTOOD)

    def nearest(self, text: str) -> Evidence:
        cosines = self._vectors @ self._embeds.embed([text])[0]
        best = int(cosines.argmax())
        name, example = self._examples[best]
        because = f'like the example "{example}" (cosine {cosines[best]:.2f})'
        return Evidence(name, int((cosines[best] > self._levels).sum()), because)


class _Letters:
    """Texts as their runs of three to five letters within words, weighted by TF-IDF.

    Rare runs weigh more: log((1 + n) / (1 + d)) + 1 for one that d of n `texts` have.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        import math

        have = Counter(run for text in texts for run in set(_runs(text)))
        self._place = {run: place for place, run in enumerate(have)}
        self._weights = [math.log((1 + len(texts)) / (1 + d)) + 1 for d in have.values()]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        vectors = np.zeros((len(texts), len(self._place)))
        for vector, text in zip(vectors, texts, strict=True):
            for run in _runs(text):
                if run in self._place:
                    vector[self._place[run]] += self._weights[self._place[run]]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths, lengths, 1)


def _runs(text: str) -> list[str]:
    words = [f" {word} " for word in _WORD.findall(text.casefold())]
    return [
        word[at : at + size]
        for word in words
        for size in (3, 4, 5)
        for at in range(len(word) - size + 1)
    ]


def route(task: str, examples: Examples | None = None) -> Route:
    """The roles, tools and model for a task; by the rules alone without `examples`.

    Where no role is found it is `dev`, who also joins where a tool is needed that no other
    chosen role may use. The director is chosen where a debate is asked for, where three
    roles are needed, and where a decision is asked for that concerns the architect or two
    roles. Any text is taken, in any language: the rules know English and Russian, in
    others the examples speak alone.
    """
    evidence = _said(task)
    silent = [kind for kind in (ROLES, TOOL_CUES) if not _needed(kind, evidence)]
    if examples is not None and silent and task.strip():
        near = examples.nearest(task)
        evidence += [e for e in near if any(e.choice in kind for kind in silent)]
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


def _is_russian(text: str) -> bool:
    """Whether most of its letters are Cyrillic."""
    letters = _LETTER.findall(text)
    return 2 * sum(bool(_CYRILLIC.match(letter)) for letter in letters) > len(letters)
