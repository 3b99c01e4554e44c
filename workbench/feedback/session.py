"""A rater at work: what to show next, and what was decided, kept in a journal.

The journal is the only memory: a session made again from the same sets and the
same journal goes on where the last one stopped. A decision counts once it is on
disk, not before. Knows nothing about screens. Not a guard against one rater
who judges the same sets in two notebooks at once: both judgements are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median

from workbench.errors import InputError
from workbench.feedback.presentation import Item, Key, rating_key
from workbench.journal import Journal
from workbench.records import Rating, content_id

LONGEST_COMMENT = 10_000
_PACE_OVER = 20


@dataclass(frozen=True)
class Decision:
    """What a rater said of the item on the screen; answers are named by their place, from 0.

    `ranking` (groups from best to worst, tied within a group) belongs to ranking
    and pairwise, `value` to thumbs (0 or 1) and stars (1 to 5). `both_bad` means
    that none is good. `seconds` is the time that it took.
    """

    ranking: tuple[tuple[int, ...], ...] = ()
    both_bad: bool = False
    value: int | None = None
    comment: str = ""
    seconds: float | None = None


class RatingSession:
    """The queue of one rater. `current` is the item to judge, None when none is left."""

    def __init__(self, items: Sequence[Item], journal: Journal[Rating], rater: str, door: str):
        self._items = tuple(items)
        self._journal = journal
        self._rater = rater
        self._door = door
        self._history: list[Rating | Item] = [*self._standing()]
        self._again: Item | None = None

    @property
    def current(self) -> Item | None:
        """The item to judge: the one just taken back, else the first that is open."""
        if self._again is not None:
            return self._again
        past = self._judged | {item.key for item in self.skipped}
        return next((item for item in self._items if item.key not in past), None)

    @property
    def total(self) -> int:
        """Number of items, judged and open."""
        return len(self._items)

    @property
    def done(self) -> int:
        """Number of items that are judged."""
        judged = self._judged
        return sum(item.key in judged for item in self._items)

    @property
    def skipped(self) -> tuple[Item, ...]:
        """Items set aside in this session; they are not recorded."""
        return tuple(event for event in self._history if isinstance(event, Item))

    @property
    def can_undo(self) -> bool:
        """Whether anything is left to take back."""
        return bool(self._history)

    @property
    def pace(self) -> float | None:
        """Median seconds per item over the last twenty; None before the first."""
        took = [e.seconds for e in self._history if isinstance(e, Rating) and e.seconds is not None]
        return median(took[-_PACE_OVER:]) if took else None

    def decide(self, decision: Decision) -> Rating:
        """Record what was decided about the current item; returns once it is on disk.

        Raises InputError when the decision doesn't fit the item or can't be
        written; the item then stays current.
        """
        item = self._need_current()
        _check(decision, item)
        rating = self._rating(item, decision)
        self._journal.append(rating)
        self._history.append(rating)
        self._again = None
        return rating

    def skip(self) -> None:
        """Set the current item aside until `revisit` or the next session."""
        self._history.append(self._need_current())
        self._again = None

    def revisit(self) -> None:
        """Put the skipped items back into the queue."""
        self._history = [event for event in self._history if isinstance(event, Rating)]

    def undo(self) -> Rating | None:
        """Take back the last rating (recorded as a new event) or the last skip.

        The item becomes current again. Returns the rating taken back, None for a
        skip. Raises InputError when there is nothing to take back.
        """
        if not self._history:
            raise InputError("There is nothing to take back", "Judge an answer first")
        last = self._history[-1]
        if isinstance(last, Item):
            self._history.pop()
            self._again = last
            return None
        at = _now()
        self._journal.append(
            Rating(
                id=content_id("undo", last.id, at),
                kind="undo",
                candidate_set=last.candidate_set,
                shown=last.shown,
                rater=self._rater,
                door=self._door,
                at=at,
                undoes=last.id,
            )
        )
        self._history.pop()
        self._again = next(item for item in self._items if item.key == rating_key(last))
        return last

    @property
    def _judged(self) -> set[Key]:
        return {rating_key(event) for event in self._history if isinstance(event, Rating)}

    def _standing(self) -> list[Rating]:
        """This rater's ratings of these items that were not taken back, oldest first."""
        asked = {item.key for item in self._items}
        standing: list[Rating] = []
        taken_back: set[str | None] = set()
        for rating in reversed(list(self._journal)):
            if rating.rater != self._rater or rating.id in taken_back:
                continue
            if rating.kind == "undo":
                taken_back.add(rating.undoes)
            elif rating_key(rating) in asked:
                standing.append(rating)
        return standing[::-1]

    def _need_current(self) -> Item:
        if (item := self.current) is None:
            raise InputError("Everything is judged", "Take one back, or bring more candidates")
        return item

    def _rating(self, item: Item, decision: Decision) -> Rating:
        rating = Rating(
            id="",
            kind=item.mode,
            candidate_set=item.candidate_set.id,
            shown=item.shown,
            rater=self._rater,
            door=self._door,
            at=_now(),
            ranking=tuple(tuple(item.shown[i] for i in group) for group in decision.ranking),
            both_bad=decision.both_bad,
            value=decision.value,
            comment=decision.comment.strip(),
            seconds=decision.seconds,
        )
        return replace(rating, id=content_id(rating))


def as_decision(rating: Rating) -> Decision:
    """What a rating said, by place on the screen; the opposite of `RatingSession.decide`."""
    return Decision(
        ranking=tuple(tuple(rating.shown.index(id) for id in group) for group in rating.ranking),
        both_bad=rating.both_bad,
        value=rating.value,
        comment=rating.comment,
    )


def _check(decision: Decision, item: Item) -> None:
    """Raise InputError unless `decision` answers `item`."""
    places = sorted(place for group in decision.ranking for place in group)
    whole = places == list(range(len(item.shown))) and all(decision.ranking)
    values = {"thumbs": range(2), "stars": range(1, 6)}.get(item.mode)
    if values is None:
        fits = whole and decision.value is None
        fits = fits and (not decision.both_bad or len(decision.ranking) == 1)
    else:
        fits = decision.value in values and not decision.ranking and not decision.both_bad
    if decision.seconds is not None:
        fits = fits and math.isfinite(decision.seconds) and decision.seconds >= 0
    if not fits or len(decision.comment) > LONGEST_COMMENT:
        raise InputError(
            f"The decision does not answer a {item.mode} of {len(item.shown)} answers",
            f"Judge every answer; a comment has at most {LONGEST_COMMENT} characters",
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
