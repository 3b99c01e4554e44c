"""Which ratings count: well-formed, not taken back, not given again later.

A journal of ratings only grows. This module reads it as its raters meant it:
an undo takes its rating back, and who judges the same thing twice has changed
their mind. It knows nothing about pairs or training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from workbench.errors import InputError
from workbench.records import CandidateSet, Rating

_MARKS = {"thumbs": range(2), "stars": range(1, 6)}


def standing(ratings: Iterable[Rating]) -> list[Rating]:
    """The ratings that count, oldest first by their `at` (journal order where equal).

    An undo takes back a rating of the same rater; an undo can itself be undone.
    Of several ratings by one rater of the same thing the latest counts: the same
    shown answers for a ranking or a pairwise choice, the same single answer for
    thumbs, stars and corrections. Ratings must have passed `well_formed`.
    """
    taken_back: set[tuple[str, str | None]] = set()
    latest: dict[tuple[object, ...], Rating] = {}
    for rating in sorted(ratings, key=_when)[::-1]:
        if (rating.rater, rating.id) in taken_back:
            continue
        if rating.kind == "undo":
            taken_back.add((rating.rater, rating.undoes))
        else:
            latest.setdefault(_subject(rating), rating)
    return list(reversed(latest.values()))


def well_formed(
    ratings: Sequence[Rating], sets: Mapping[str, CandidateSet], *, strict: bool = True
) -> list[Rating]:
    """The ratings that fit the candidate sets they speak of, by id.

    With `strict` the first that doesn't fit raises InputError, with the number
    of all such; without it they are left out.
    """
    given = {(rating.rater, rating.id) for rating in ratings}
    faults = [(rating, _fault(rating, sets, given)) for rating in ratings]
    good = [rating for rating, fault in faults if fault is None]
    if strict and len(good) < len(ratings):
        first, fault = next((r, f) for r, f in faults if f is not None)
        raise InputError(
            f"{len(ratings) - len(good)} of {len(ratings)} ratings can't be used; "
            f"the first is {first.id}: {fault}",
            "Give the candidate sets that the ratings belong to, "
            f"or pass strict=False to go on with the other {len(good)}",
        )
    return good


def _fault(
    rating: Rating, sets: Mapping[str, CandidateSet], given: set[tuple[str, str]]
) -> str | None:
    """What is wrong with a rating, or None."""
    try:
        _when(rating)
    except ValueError:
        return f"its time {rating.at!r} is not ISO 8601"
    if rating.kind == "undo":
        known = rating.undoes is not None and (rating.rater, rating.undoes) in given
        return None if known else f"it undoes {rating.undoes}, which {rating.rater} did not give"
    candidate_set = sets.get(rating.candidate_set)
    if candidate_set is None:
        return f"there is no candidate set {rating.candidate_set}"
    ids = {completion.id for completion in candidate_set.completions}
    unknown = [id for id in rating.shown if id not in ids]
    if unknown:
        return f"candidate set {candidate_set.id} has no completion {unknown[0]}"
    if rating.kind in ("pairwise", "ranking"):
        return _fault_of_order(rating)
    return _fault_of_mark(rating)


def _fault_of_order(rating: Rating) -> str | None:
    ranked = [id for group in rating.ranking for id in group]
    if len(set(ranked)) < len(ranked):
        return "it ranks a completion twice"
    if not set(ranked) <= set(rating.shown):
        return "it ranks a completion that was not shown"
    if not rating.both_bad and len(ranked) < 2:
        return "it ranks fewer than two completions"
    return None


def _fault_of_mark(rating: Rating) -> str | None:
    if len(rating.shown) != 1:
        return f"a rating of kind {rating.kind} is of one completion, not {len(rating.shown)}"
    if rating.kind == "correction":
        return None if rating.text is not None else "the text of the correction is missing"
    if rating.value not in _MARKS[rating.kind]:
        return f"{rating.value} is not a value of {rating.kind}"
    return None


def _subject(rating: Rating) -> tuple[object, ...]:
    """What a rating is about: a later one of the same subject replaces it."""
    if rating.kind in ("pairwise", "ranking"):
        return (rating.rater, rating.candidate_set, "order", tuple(sorted(rating.shown)))
    return (rating.rater, rating.candidate_set, rating.kind, rating.shown)


def _when(rating: Rating) -> datetime:
    at = datetime.fromisoformat(rating.at)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
