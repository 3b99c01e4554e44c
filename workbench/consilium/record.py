"""What a debate is: what was asked, what each role said, and what was decided.

Records alone: they know nothing about models, prompts or files. Within a debate an
answer goes by a letter, so that roles and director judge it without its author's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

from workbench.agents.state import Made
from workbench.knowledge import Hit
from workbench.records import Completion, Usage
from workbench.tracing import Place

Where = Literal["local", "cloud", "given"]
"""Where a model computes: in this process, behind DIRECTOR_BASE_URL, or, for a chat model
that the program gave, wherever that one does."""

DirectorChoice = Literal["local", "cloud"]
"""Who shall direct: a chat model of the program, or the one behind DIRECTOR_BASE_URL."""

SYNTHESIS = "synthesis"
"""What a decision is based on when it follows no single answer."""

_DIRECTED = {
    "local": "A local model directed: {}",
    "cloud": "A cloud model directed, and was sent the debate: {}",
    "given": "A chat model given by the program directed: {}",
}


@dataclass(frozen=True)
class Director:
    """Which model decided, and where."""

    where: Where
    model: str

    @property
    def said(self) -> str:
        """The same in a sentence, to stand beside the decision."""
        return _DIRECTED[self.where].format(self.model)


@dataclass(frozen=True)
class Question:
    """What a debate is about; written down before anyone is asked.

    `roles` stand in the order in which they are asked, `order` in that of their
    letters, drawn by `seed` and task. `passages` are the notes that all roles read.
    `place` is the debate's span.
    """

    id: str
    task: str
    roles: tuple[str, ...]
    order: tuple[str, ...]
    seed: int
    director: DirectorChoice
    passages: tuple[Hit, ...]
    place: Place

    def letter(self, role: str) -> str:
        """The letter of a role's answer."""
        return ascii_uppercase[self.order.index(role)]

    def role(self, letter: str) -> str:
        """Whose answer a letter is. Raises ValueError for a letter that none has."""
        if letter not in self.letters:
            raise ValueError(f"there is no answer {letter!r}")
        return self.order[ascii_uppercase.index(letter)]

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters in use."""
        return tuple(ascii_uppercase[: len(self.order)])


@dataclass(frozen=True)
class Answer:
    """What a role answered by itself.

    `passages` are those that it alone was shown: its notes, then what it found with its
    tools. `calls` are the tool calls that it made. `usage` and `seconds` are those of all
    model and tool calls behind it.
    """

    role: str
    completion: Completion
    passages: tuple[Hit, ...]
    calls: tuple[Made, ...]
    usage: Usage
    seconds: float


@dataclass(frozen=True)
class Critique:
    """What a role said to all answers: what is wrong, which is best, its own answer revised."""

    role: str
    text: str
    best: str
    revision: str
    completion: Completion
    usage: Usage
    seconds: float


@dataclass(frozen=True)
class Dissent:
    """A role that disagrees with the decision, and why; `told_by` says who tells so.

    The director may keep silent about a dissent. A role that held another answer to be
    the best than the one that was followed is therefore listed with its own critique.
    """

    role: str
    why: str
    told_by: Literal["director", "role"]


@dataclass(frozen=True)
class Decision:
    """What the director decided.

    `basis` is the role whose answer was followed, or "synthesis". `confidence` is in
    percent, as the director said it; nobody measured whether it is right so often.
    """

    text: str
    basis: str
    reasons: tuple[str, ...]
    dissent: tuple[Dissent, ...]
    confidence: int
    director: Director
    completion: Completion
    usage: Usage
    seconds: float


@dataclass(frozen=True)
class Debate:
    """A debate that is over. Its spans are in the trace `trace_id`."""

    question: Question
    answers: tuple[Answer, ...]
    critiques: tuple[Critique, ...]
    decision: Decision

    @property
    def id(self) -> str:
        """The debate's name."""
        return self.question.id

    @property
    def task(self) -> str:
        """What was asked."""
        return self.question.task

    @property
    def trace_id(self) -> str:
        """The trace that holds every call."""
        return self.question.place.trace_id

    @property
    def director(self) -> Director:
        """Which model decided, and where."""
        return self.decision.director

    @property
    def revisions(self) -> dict[str, str]:
        """Role -> its answer after it read the others."""
        return {critique.role: critique.revision for critique in self.critiques}

    @property
    def dissent(self) -> tuple[Dissent, ...]:
        """Who disagrees and why: those the director names, and those who say so themselves."""
        named = {dissent.role for dissent in self.decision.dissent}
        if self.decision.basis == SYNTHESIS:
            return self.decision.dissent
        silent = [
            Dissent(critique.role, critique.text, "role")
            for critique in self.critiques
            if critique.best != self.decision.basis and critique.role not in named
        ]
        return (*self.decision.dissent, *silent)

    @property
    def documents(self) -> tuple[str, ...]:
        """The documents whose passages anyone was shown, in order."""
        hits = [*self.question.passages, *(h for a in self.answers for h in a.passages)]
        return tuple(sorted({hit.passage.source for hit in hits}))

    @property
    def usage(self) -> Usage:
        """Tokens of all model calls together."""
        return added(said.usage for said in self._all)

    @property
    def seconds(self) -> float:
        """Time that models and tools took, added up; less passed where roles were asked at once."""
        return sum(said.seconds for said in self._all)

    @property
    def _all(self) -> tuple[Answer | Critique | Decision, ...]:
        return (*self.answers, *self.critiques, self.decision)


def added(usages: Iterable[Usage]) -> Usage:
    """Token counts of several calls together."""
    total = Usage(0, 0)
    for usage in usages:
        total = Usage(
            total.prompt_tokens + usage.prompt_tokens,
            total.completion_tokens + usage.completion_tokens,
            total.cached_tokens + usage.cached_tokens,
        )
    return total
