"""What a judge that was asked in both orders named in each: an answer, or only a place.

Both replies stand in the rating's comment, in the words of `replies`. This module
knows nothing about how they were had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.raters.estimates import Estimate, share
from workbench.records import Rating

FIRST, SECOND, TIE = "A", "B", "tie"
"""Replies: the answer shown first, the one shown second, neither."""

_REPLIES = "asked in both orders: {}, then {}"
_READ = re.compile(_REPLIES.format(*[f"({FIRST}|{SECOND}|{TIE})"] * 2))


def replies(one: str, other: str) -> str:
    """The comment of a rating whose judge replied `one`, and `other` in the opposite order."""
    return _REPLIES.format(one, other)


def sides(rating: Rating) -> tuple[str | None, str | None] | None:
    """The ids that a model judge preferred in `shown`'s order and in the opposite one.

    None in place of an id is a tie; None altogether where a rating was not asked twice.
    """
    found = _READ.fullmatch(rating.comment)
    if found is None or not rating.rater.startswith("model:") or len(rating.shown) != 2:
        return None
    left, right = rating.shown
    return {FIRST: left, SECOND: right}.get(found[1]), {FIRST: right, SECOND: left}.get(found[2])


def same_side(ratings: Iterable[Rating]) -> Estimate:
    """The share of pairs asked in both orders in which the judge named one side twice.

    Two different answers at the same place; ties are not that.
    """
    hits: dict[str, int] = {}
    totals: dict[str, int] = {}
    for rating in ratings:
        if (preferred := sides(rating)) is not None:
            one, other = preferred
            same = one is not None and other is not None and one != other
            hits[rating.candidate_set] = hits.get(rating.candidate_set, 0) + same
            totals[rating.candidate_set] = totals.get(rating.candidate_set, 0) + 1
    return share(list(hits.values()), list(totals.values()), why="no pair was asked twice")
