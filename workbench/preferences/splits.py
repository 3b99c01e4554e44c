"""Which side of a split a prompt is on: train, validation or test.

Prompts that ask the same or share a topic are on one side, always. The side is
a seeded hash of the topic, so that it depends neither on the order of the
prompts nor on which others there are: a dataset that grows keeps its split.
The one exception can't be avoided: a prompt that joins two topics moves one of
them. This module does not know near-duplicates, sessions or source documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import InputError
from workbench.preferences.text import normalise, question_key
from workbench.records import Prompt, Split, content_id


@dataclass(frozen=True)
class Fractions:
    """Expected shares of topics held out; the rest is for training.

    Sides are drawn topic by topic, so that with few topics the shares of pairs
    can differ much from these. Raises InputError where nothing would be left.
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


def split(prompts: Sequence[Prompt], fractions: Fractions, *, seed: int = 0) -> tuple[Split, ...]:
    """The side of each prompt, in the given order.

    Prompts are connected by an equal topic (an empty one connects nothing) and
    by an equal question (letter case and system prompt aside), also in a chain.
    """
    parent: dict[_Key, _Key] = {}
    for prompt in prompts:
        first, *others = connections(prompt)
        for key in others:
            _join(parent, first, key)
    # Tuples sort topics before questions: where there is a topic, it alone decides.
    speaker: dict[_Key, _Key] = {}
    for prompt in prompts:
        for key in connections(prompt):
            root = _root(parent, key)
            speaker[root] = min(speaker.get(root, key), key)
    return tuple(
        fractions.side(_draw(speaker[_root(parent, connections(prompt)[0])], seed))
        for prompt in prompts
    )


_Key = tuple[int, str]
_TOPIC, _QUESTION = 0, 1


def connections(prompt: Prompt) -> tuple[_Key, ...]:
    """What connects a prompt with others: its topic, where it has one, then its question."""
    topic = normalise(prompt.topic).casefold()
    question = (_QUESTION, question_key(prompt))
    return ((_TOPIC, topic), question) if topic else (question,)


def _draw(key: _Key, seed: int) -> float:
    """A number in [0, 1) for a key: 52 bits of a hash, the same on every machine."""
    return int(content_id(seed, key, length=13), 16) / 16**13


def _root(parent: dict[_Key, _Key], key: _Key) -> _Key:
    while (up := parent.get(key, key)) != key:
        parent[key] = parent.get(up, up)
        key = up
    return key


def _join(parent: dict[_Key, _Key], a: _Key, b: _Key) -> None:
    parent[_root(parent, b)] = _root(parent, a)
