"""Ratings -> who prefers which of two answers.

Every rating is first read as an order of answers, best to worst; an order is a
vote on each pair of its answers. This module knows nothing about how votes are
counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from workbench.ratings import ORDERS
from workbench.records import Rating


@dataclass(frozen=True)
class Order:
    """One rater's answers of one set, best group first; `source` names the rating of each."""

    rater: str
    groups: tuple[tuple[str, ...], ...]
    source: Mapping[str, str]


@dataclass(frozen=True)
class Vote:
    """Whom one rater prefers of a pair (None: neither), and the ratings that say so."""

    winner: str | None
    ratings: frozenset[str]


Votes = Mapping[str, Vote]
"""The votes on one pair, by rater."""


def orders(ratings: Sequence[Rating]) -> list[Order]:
    """The orders in the standing ratings of one set, marks (thumbs, stars) before comparisons."""
    return [*_marked(ratings), *_ranked(ratings)]


def votes(orders: Iterable[Order]) -> dict[frozenset[str], Votes]:
    """One vote per pair and rater; a later order of the same rater replaces an earlier one.

    Where a person judged a pair, only persons' votes on it are given.
    """
    given: dict[frozenset[str], dict[str, Vote]] = defaultdict(dict)
    for order in orders:
        rank = {id: i for i, group in enumerate(order.groups) for id in group}
        for a, b in combinations(rank, 2):
            winner = None if rank[a] == rank[b] else min(a, b, key=rank.__getitem__)
            sources = frozenset({order.source[a], order.source[b]})
            given[frozenset({a, b})][order.rater] = Vote(winner, sources)
    return {pair: persons_first(of_pair) for pair, of_pair in given.items()}


def persons_first(votes: Votes) -> Votes:
    """The votes of persons where there is one, else all: no model or rule outvotes a person."""
    persons = {rater: vote for rater, vote in votes.items() if is_person(rater)}
    return persons or votes


def is_person(rater: str) -> bool:
    """Whether a rater ("person:anna", "model:...", "rule:...") is a person."""
    return rater.startswith("person:")


def _ranked(ratings: Sequence[Rating]) -> Iterator[Order]:
    for rating in ratings:
        if rating.kind in ORDERS:
            # Both bad is a vote for neither, like a tie.
            groups = (rating.shown,) if rating.both_bad else rating.ranking
            source = dict.fromkeys(rating.shown, rating.id)
            yield Order(rating.rater, tuple(group for group in groups if group), source)


def _marked(ratings: Sequence[Rating]) -> Iterator[Order]:
    """Thumbs and stars: answers with the same value are tied."""
    marks: dict[tuple[str, str], list[Rating]] = defaultdict(list)
    for rating in ratings:
        if rating.kind in ("thumbs", "stars"):
            marks[rating.rater, rating.kind].append(rating)
    for (rater, _), given in marks.items():
        values = sorted({mark.value for mark in given if mark.value is not None}, reverse=True)
        groups = tuple(tuple(m.shown[0] for m in given if m.value == v) for v in values)
        yield Order(rater, groups, {mark.shown[0]: mark.id for mark in given})
