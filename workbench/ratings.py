"""Ratings as their raters meant them: which fit, which count, which are set aside.

    checked = ratings.check(journal, candidate_sets)
    ratings.standing(checked.good)

A journal of ratings only grows, and every door writes the same records into it.
This module reads it: an undo takes its rating back, who judges the same thing
twice has changed their mind, and a rating that fits no answer is set aside with
its reason. It knows nothing about pairs, screens or servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside, encode

ORDERS = ("pairwise", "ranking")
"""Kinds that order the shown answers."""
_MARKS = {"thumbs": range(2), "stars": range(1, 6)}


@dataclass(frozen=True)
class Checked:
    """Ratings that fit their candidate sets, in the given order, and the others."""

    good: tuple[Rating, ...]
    aside: tuple[SetAside, ...]


def check(
    ratings: Iterable[Rating], candidate_sets: Iterable[CandidateSet], source: str = "ratings"
) -> Checked:
    """Tell the ratings that fit from those that don't; nothing is lost.

    A rating fits when its candidate set and its answers are known, and when what
    it says answers what its kind asks.
    """
    ratings = list(ratings)
    sets = {candidate_set.id: candidate_set for candidate_set in candidate_sets}
    given = {(rating.rater, rating.id) for rating in ratings}
    good, aside = [], []
    for rating in ratings:
        reason = _fault(rating, sets, given)
        if reason is None:
            good.append(rating)
        else:
            aside.append(SetAside(f"{source}: {rating.id}", reason, encode(rating).decode()))
    return Checked(tuple(good), tuple(aside))


def standing(ratings: Iterable[Rating]) -> list[Rating]:
    """The ratings that count, oldest first by their `at` (journal order where equal).

    An undo takes back a rating of the same rater; an undo can itself be undone.
    Of several ratings by one rater of the same thing the latest counts: the same
    shown answers for a ranking, a pairwise choice or a skip, the same single
    answer for thumbs, stars, corrections and comments; a skip of a single answer
    stands for its thumbs and its stars alike. Ratings that repeat a
    question measure the rater and never count. Ratings must have passed `check`.
    """
    return [rating for rating in not_undone(ratings, latest=True) if rating.repeats is None]


def not_undone(ratings: Iterable[Rating], *, latest: bool = False) -> list[Rating]:
    """The ratings that nobody took back, repeats included, oldest first.

    With `latest`, only a rater's last word on each thing.
    """
    taken_back: set[tuple[str, str | None]] = set()
    spoken_of: set[tuple[object, ...]] = set()
    found: list[Rating] = []
    for rating in sorted(ratings, key=_when)[::-1]:
        if (rating.rater, rating.id) in taken_back:
            continue
        if rating.kind == "undo":
            taken_back.add((rating.rater, rating.undoes))
            continue
        subjects = _subjects(rating)
        if not latest or spoken_of.isdisjoint(subjects):
            found.append(rating)
        spoken_of.update(subjects)
    return found[::-1]


def set_aside(journal: Journal[SetAside], rejected: Sequence[SetAside]) -> int:
    """Keep what can't be used, each once however often it comes; how many were new."""
    known = set(journal)
    new = list(dict.fromkeys(item for item in rejected if item not in known))
    if new:
        journal.append(*new)
    return len(new)


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
    if rating.kind == "skip":
        return None
    if rating.kind in ORDERS:
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
    if rating.kind == "comment":
        return None if rating.comment.strip() else "the comment is empty"
    if rating.value not in _MARKS[rating.kind]:
        return f"{rating.value} is not a value of {rating.kind}"
    return None


def _subjects(rating: Rating) -> list[tuple[object, ...]]:
    """What a rating is about: a later one of the same subject replaces it."""
    whose = (rating.rater, rating.candidate_set)
    if rating.kind == "skip" and len(rating.shown) == 1:
        return [(*whose, kind, rating.shown) for kind in _MARKS]
    if rating.kind == "skip" or rating.kind in ORDERS:
        return [(*whose, "order", tuple(sorted(rating.shown)), rating.repeats)]
    return [(*whose, rating.kind, rating.shown)]


def _when(rating: Rating) -> datetime:
    at = datetime.fromisoformat(rating.at)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
