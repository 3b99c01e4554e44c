"""Ratings as their raters meant them: which fit, which count, which are set aside.

    checked = ratings.check(journal, candidate_sets)
    ratings.standing(checked.good)

A journal of ratings only grows, and every door writes the same records into it.
This module reads it: an undo takes its rating back, who judges the same thing
twice has changed their mind, and a rating that fits no answer is set aside with
its reason. It knows nothing about pairs, screens or servers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.errors import InputError
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside, encode

ORDERS = ("pairwise", "ranking")
"""Kinds that order the shown answers."""
_MARKS = {"thumbs": range(2), "stars": range(1, 6)}
_RATER = re.compile(r"(person|model|rule):.+", re.DOTALL)


@dataclass(frozen=True)
class Checked:
    """Ratings that fit their candidate sets, in the given order, and the others."""

    good: tuple[Rating, ...]
    aside: tuple[SetAside, ...]


def check(
    ratings: Iterable[Rating], candidate_sets: Iterable[CandidateSet], source: str = "ratings"
) -> Checked:
    """Tell the ratings that fit from those that don't; nothing is lost.

    A rating fits when its candidate set and its answers are known, when what it says
    answers what its kind asks, and when it has a rater, a time and numbers as a
    `Rating` states them. Of an undo only its time and what it undoes are looked at.
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

    One of an id and rater counts, the latest: two writers may put the same line into
    a journal. With `latest`, only a rater's last word on each thing.
    """
    settled: set[tuple[str, str | None]] = set()
    spoken_of: set[tuple[object, ...]] = set()
    found: list[Rating] = []
    for rating in sorted(ratings, key=when)[::-1]:
        if (rating.rater, rating.id) in settled:
            continue
        settled.add((rating.rater, rating.id))
        if rating.kind == "undo":
            settled.add((rating.rater, rating.undoes))
            continue
        about = subjects(rating)
        if not latest or spoken_of.isdisjoint(about):
            found.append(rating)
        spoken_of.update(about)
    return found[::-1]


def given_by(raters: str, ratings: Iterable[Rating]) -> list[Rating]:
    """The ratings of some raters: their names by commas, "people", or "all".

    Raises InputError for a name that gave none, naming those who gave some.
    """
    ratings = list(ratings)
    names = {rating.rater for rating in ratings}
    wanted = set(filter(None, map(str.strip, raters.split(","))))
    wanted |= {name for name in names if "people" in wanted and name.startswith("person:")}
    if "all" in wanted:
        wanted |= names
    if missing := wanted - names - {"all", "people"}:
        raise InputError(
            f"There are no ratings of {', '.join(sorted(missing))}",
            f"Those who judged are {', '.join(sorted(names)) or 'none'}",
        )
    return [rating for rating in ratings if rating.rater in wanted]


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
        when(rating).astimezone(UTC)
    except ValueError:
        return f"its time {rating.at!r} is not ISO 8601"
    except OverflowError:
        return f"its time {rating.at!r} is not a time in UTC"
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
    if (fault := _fault_of_circumstances(rating)) or rating.kind == "skip":
        return fault
    if rating.kind in ORDERS:
        return _fault_of_order(rating)
    return _fault_of_mark(rating)


def _fault_of_circumstances(rating: Rating) -> str | None:
    """What is wrong with who judged, what they saw, how long it took and how sure they were."""
    shown, seconds = rating.shown, rating.seconds
    if not _RATER.fullmatch(rating.rater):
        return f"{rating.rater!r} is not the name of a rater, such as person:NAME"
    if not shown:
        return "it shows no completion"
    if len(set(shown)) < len(shown):
        return "it shows a completion twice"
    if rating.traces and len(rating.traces) != len(shown):
        return f"it has {len(rating.traces)} traces for {len(shown)} completions"
    if seconds is not None and not 0 <= seconds < math.inf:
        return f"it took {seconds} seconds"
    if rating.confidence is not None and rating.confidence not in range(1, 6):
        return f"its confidence {rating.confidence} is not 1 to 5"
    return None


def _fault_of_order(rating: Rating) -> str | None:
    if rating.kind == "pairwise" and len(rating.shown) != 2:
        return f"a pairwise choice is of two completions, not {len(rating.shown)}"
    if rating.both_bad and len(rating.ranking) > 1:
        return "it calls both bad and one better"
    ranked = [id for group in rating.ranking for id in group]
    if len(set(ranked)) < len(ranked):
        return "it ranks a completion twice"
    if not set(ranked) <= set(rating.shown):
        return "it ranks a completion that was not shown"
    if len(rating.shown if rating.both_bad else ranked) < 2:
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


def subjects(rating: Rating) -> list[tuple[object, ...]]:
    """What a rating is about: a later one of the same subject replaces it."""
    whose = (rating.rater, rating.candidate_set)
    if rating.kind == "skip" and len(rating.shown) == 1:
        return [(*whose, kind, rating.shown) for kind in _MARKS]
    if rating.kind == "skip" or rating.kind in ORDERS:
        return [(*whose, "order", tuple(sorted(rating.shown)), rating.repeats)]
    return [(*whose, rating.kind, rating.shown)]


def when(rating: Rating) -> datetime:
    """Its time; UTC where it does not say. Raises ValueError for what is no time."""
    at = datetime.fromisoformat(rating.at)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
