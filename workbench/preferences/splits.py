"""Which side of a split a prompt is on: train, validation or test.

Prompts that are connected are on one side, always. These connect, also in a
chain: an equal topic, an equal question (letter case and system prompt aside),
nearly the same words in a question, whatever their order, any session that both
were asked in or have answers from, a debate, and any document that both were given.
What is empty connects nothing, a question neither.

The side is a seeded hash of one name in the component (a topic where there is
one), so that it depends neither on the order of the prompts nor on other
components: a dataset that grows keeps its split. Two exceptions can't be
avoided: a prompt that joins two components moves one of them, and a component
without a topic can move when a name that sorts before the others joins it.
This module does not know paraphrases in other words, nor translations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from workbench.errors import InputError
from workbench.preferences.near import alike, words
from workbench.preferences.text import asked, normalise, question_key
from workbench.records import Prompt, Split, content_id

SAME_WORDS = 0.75
"""Jaccard similarity of the words of two questions from which they are connected."""


@dataclass(frozen=True)
class Fractions:
    """Expected shares of components held out; the rest is for training.

    Sides are drawn component by component (topic by topic, where nothing else
    connects), so that with few of them the shares of pairs can differ much from
    these. Raises InputError where nothing would be left.
    """

    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise InputError(
                f"Fractions {self.validation:g} (validation) and {self.test:g} (test) "
                "leave nothing to train on",
                "Give two numbers of 0 or more whose sum is below 1",
            )

    def side(self, draw: float) -> Split:
        """The side of a draw from [0, 1)."""
        if draw < self.test:
            return "test"
        return "validation" if draw < self.test + self.validation else "train"


_Key = tuple[int, str]
"""A kind, smaller where it should speak for a component rather than another, and a name."""
_TOPIC, _DEBATE, _SESSION, _DOCUMENT, _QUESTION, _ITSELF = range(6)


@dataclass(frozen=True)
class Components:
    """What connects prompts: the name of the component of each, in the given order."""

    names: tuple[_Key, ...]

    @property
    def count(self) -> int:
        """Number of components."""
        return len(set(self.names))

    @property
    def largest(self) -> float:
        """Share of the prompts that are in the largest component; 0 without prompts."""
        sizes = Counter(self.names).values()
        return max(sizes) / len(self.names) if sizes else 0.0

    def sides(self, fractions: Fractions, seed: int) -> tuple[Split, ...]:
        """The side of each prompt."""
        return tuple(fractions.side(_draw(name, seed)) for name in self.names)


def split(prompts: Sequence[Prompt], fractions: Fractions, *, seed: int = 0) -> tuple[Split, ...]:
    """The side of each prompt, in the given order."""
    return connect(prompts).sides(fractions, seed)


def connect(prompts: Sequence[Prompt]) -> Components:
    """The connected components of prompts; what connects them stands at the head of the module."""
    from scipy.cluster.hierarchy import DisjointSet

    joined: DisjointSet[_Key] = DisjointSet()
    keys = [_keys(prompt) for prompt in prompts]
    for key in chain.from_iterable(keys):
        joined.add(key)
    for first, *others in keys:
        for key in others:
            joined.merge(first, key)
    questions: dict[frozenset[str], _Key] = {}
    for prompt, (first, *_) in zip(prompts, keys, strict=True):
        found = words(asked(prompt))
        if found:
            joined.merge(questions.setdefault(found, first), first)
    firsts = list(questions.values())
    for a, b in alike(list(questions), SAME_WORDS):
        joined.merge(firsts[a], firsts[b])
    speaker: dict[_Key, _Key] = {}
    for key in chain.from_iterable(keys):
        root = joined[key]
        speaker[root] = min(speaker.get(root, key), key)
    return Components(tuple(speaker[joined[first]] for first, *_ in keys))


def _keys(prompt: Prompt) -> tuple[_Key, ...]:
    """The names that a prompt shares with those it is connected with; at least one.

    The last is its question, and where that is empty its own id.
    """
    origin = prompt.origin
    question = question_key(prompt)
    named = (
        (_TOPIC, normalise(prompt.topic).casefold()),
        (_DEBATE, origin.debate.strip()),
        *((_SESSION, session.strip()) for session in (origin.session, *origin.answered_in)),
        *((_DOCUMENT, document.strip()) for document in origin.documents),
    )
    last = (_QUESTION, question) if question else (_ITSELF, prompt.id)
    return (*((kind, name) for kind, name in named if name), last)


def _draw(key: _Key, seed: int) -> float:
    """A number in [0, 1) for a key: 52 bits of a hash, the same on every machine."""
    return int(content_id(seed, key, length=13), 16) / 16**13
