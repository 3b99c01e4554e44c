"""A rater at work: what to show next, and what was decided, kept in a journal.

The journal is the only memory: a session made again from the same sets and the
same journal goes on where the last one stopped, with what was skipped at the
end. A decision counts once it is on disk, not before. Knows nothing about
screens. Not a guard against one rater who judges the same sets in two notebooks
at once: both judgements are kept, and the later one counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from statistics import median

from workbench import ratings
from workbench.errors import InputError
from workbench.feedback.presentation import REPEAT_AFTER, Item, Key, rating_key, traces
from workbench.journal import Journal
from workbench.records import Rating, RatingKind, content_id

LONGEST_COMMENT = 10_000
LONGEST_CORRECTION = 1_000_000
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
        self._items = {item.key: item for item in items}
        self._journal = journal
        self._rater = rater
        self._door = door
        self._taken_back: Rating | None = None
        self._history = self._standing()
        self._recount()
        self._revisited: set[str] = set()
        self.revisit()

    @property
    def current(self) -> Item | None:
        """The item to judge: one just taken back, else the first open one, else a skipped one."""
        if self._taken_back is not None:
            return self._items[rating_key(self._taken_back)]
        unseen = (item for item in self._items.values() if item.key not in self._last)
        again = (self._items[key] for key, r in self._last.items() if self._is_revisited(r))
        return next(filter(self._is_ready, unseen), None) or next(again, None)

    @property
    def draft(self) -> Decision | None:
        """What was decided about the current item before it was taken back."""
        rating = self._taken_back
        return as_decision(rating) if rating is not None and rating.kind != "skip" else None

    @property
    def total(self) -> int:
        """Number of questions, judged, skipped and open; repeats count like any other."""
        firsts = [item for item in self._items.values() if not item.repeat]
        left = sum(self._is_open(item) for item in firsts)
        repeats = (item for item in self._items.values() if item.repeat)
        return len(firsts) + sum(self._may_come(item, left) for item in repeats)

    @property
    def done(self) -> int:
        """Number of questions that are judged."""
        return sum(rating.kind != "skip" for rating in self._last.values())

    @property
    def skipped(self) -> int:
        """Number of questions that were skipped and wait for `revisit` or the next session."""
        return sum(
            rating.kind == "skip" and rating.id not in self._revisited
            for rating in self._last.values()
        )

    @property
    def can_undo(self) -> bool:
        """Whether anything is left to take back."""
        return bool(self._history)

    @property
    def pace(self) -> float | None:
        """Median seconds per item over the last twenty; None before the first."""
        took = [rating.seconds for rating in self._history if rating.seconds is not None]
        return median(took[-_PACE_OVER:]) if took else None

    def corrections(self, item: Item) -> tuple[str | None, ...]:
        """What the rater has made of each shown answer while it is on the screen, else None."""
        given = (self._correction(item, id) for id in item.shown)
        return tuple(None if rating is None else rating.text for rating in given)

    def decide(self, decision: Decision) -> Rating:
        """Record what was decided about the current item; returns once it is on disk.

        Raises InputError when the decision doesn't fit the item or can't be
        written; the item then stays current.
        """
        item = self._need_current()
        _check(decision, item)
        rating = replace(
            self._about(item, item.mode),
            ranking=tuple(tuple(item.shown[i] for i in group) for group in decision.ranking),
            both_bad=decision.both_bad,
            value=decision.value,
            comment=_encodable(decision.comment).strip(),
            seconds=decision.seconds,
        )
        return self._answer(self._signed(rating))

    def skip(self) -> Rating:
        """Set the current item aside, on record, until `revisit` or the next session."""
        return self._answer(self._signed(self._about(self._need_current(), "skip")))

    def revisit(self) -> None:
        """Put the skipped items back at the end of the queue."""
        self._revisited |= {rating.id for rating in self._history if rating.kind == "skip"}

    def correct(self, place: int, text: str) -> Rating | None:
        """Record the answer at `place` as it should have been; the item stays current.

        The answer's own text takes an earlier correction back. Returns what was
        recorded: None when `text` is what stands already. Raises InputError for
        a place that isn't shown and for an empty or endless text.
        """
        item = self._need_current()
        if not 0 <= place < len(item.shown):
            raise InputError(f"There is no answer {place + 1}", "Correct one that is shown")
        if not text.strip() or len(text) > LONGEST_CORRECTION:
            raise InputError(
                f"A correction of {len(text)} characters can't be kept",
                f"Write the answer as it should have been, in 1 to {LONGEST_CORRECTION} characters",
            )
        id, text = item.shown[place], _encodable(text)
        answer, before = item.completions[place].text, self._correction(item, id)
        if text == (answer if before is None else before.text):
            return None
        if before is not None and text == answer:
            return self._take_back(before)
        alone = replace(item, shown=(id,), repeat=False)
        return self._keep(self._signed(replace(self._about(alone, "correction"), text=text)))

    def undo(self) -> Rating:
        """Take back the last rating, skip or correction, recorded as a new event.

        The item becomes current again. Returns the event. Raises InputError when
        there is nothing to take back.
        """
        if not self._history:
            raise InputError("There is nothing to take back", "Judge an answer first")
        last = self._history[-1]
        undo = self._take_back(last)
        if last.kind != "correction":
            self._taken_back = last
        return undo

    def _standing(self) -> list[Rating]:
        """This rater's ratings of these questions that were not taken back, oldest first."""
        sets = {item.candidate_set.id: item.candidate_set for item in self._items.values()}
        modes = {item.mode for item in self._items.values()}
        kinds = modes.union(ratings.ORDERS if modes & set(ratings.ORDERS) else (), ("skip",))
        mine = [rating for rating in self._journal if rating.rater == self._rater]
        return [
            rating
            for rating in ratings.not_undone(ratings.check(mine, sets.values()).good)
            if rating.kind == "correction"
            or (rating.kind in kinds and rating_key(rating) in self._items)
        ]

    def _recount(self) -> None:
        """Sum up the history. A correction is no answer to a question."""
        answers = [rating for rating in self._history if rating.kind != "correction"]
        self._last: dict[Key, Rating] = {rating_key(rating): rating for rating in answers}
        self._answered_since = {
            rating_key(rating): len(answers) - n for n, rating in enumerate(answers, start=1)
        }

    def _is_revisited(self, rating: Rating) -> bool:
        return rating.kind == "skip" and rating.id in self._revisited

    def _is_open(self, item: Item) -> bool:
        last = self._last.get(item.key)
        return last is None or self._is_revisited(last)

    def _is_ready(self, item: Item) -> bool:
        """Whether it may be asked now: a repeat waits until its first was judged a while ago."""
        if not item.repeat:
            return True
        first = self._last.get(item.first_key)
        judged = first is not None and first.kind != "skip"
        return judged and self._answered_since[item.first_key] >= REPEAT_AFTER

    def _may_come(self, repeat: Item, left: int) -> bool:
        """Whether a repeat was asked or can be, with `left` other questions still open."""
        first = self._last.get(repeat.first_key)
        if repeat.key in self._last or first is None:
            return True
        between = self._answered_since[repeat.first_key] + left
        return first.kind != "skip" and between >= REPEAT_AFTER

    def _correction(self, item: Item, id: str) -> Rating | None:
        """What was corrected since this question came up: an older one would tell a repeat."""
        about = (item.candidate_set.id, (id,))
        given = takewhile(lambda r: r.kind == "correction", reversed(self._history))
        return next((r for r in given if (r.candidate_set, r.shown) == about), None)

    def _need_current(self) -> Item:
        if (item := self.current) is None:
            raise InputError("Everything is judged", "Take one back, or bring more candidates")
        return item

    # Writing: on disk first, then in the history.

    def _answer(self, rating: Rating) -> Rating:
        self._keep(rating)
        self._taken_back = None
        return rating

    def _keep(self, rating: Rating) -> Rating:
        self._journal.append(rating)
        self._history.append(rating)
        self._recount()
        return rating

    def _take_back(self, rating: Rating) -> Rating:
        undo = self._signed(
            Rating(
                id="",
                kind="undo",
                candidate_set=rating.candidate_set,
                shown=rating.shown,
                rater=self._rater,
                door=self._door,
                at="",
                undoes=rating.id,
                traces=rating.traces,
            )
        )
        self._journal.append(undo)
        self._history.remove(rating)
        self._recount()
        return undo

    def _about(self, item: Item, kind: RatingKind) -> Rating:
        """A rating of this item that says nothing yet."""
        first = self._last[item.first_key].id if item.repeat else None
        return Rating(
            id="",
            kind=kind,
            candidate_set=item.candidate_set.id,
            shown=item.shown,
            rater=self._rater,
            door=self._door,
            at="",
            repeats=first,
            traces=traces(item.candidate_set, item.shown),
        )

    def _signed(self, rating: Rating) -> Rating:
        """The rating with its time and id; never earlier than those before, whatever the clocks.

        What was taken back and what replaces what is told by time, and another door may
        have given a rating by a clock that is ahead.
        """
        at = max([datetime.now(UTC), *map(ratings.when, self._history)])
        rating = replace(rating, at=at.isoformat(timespec="microseconds"))
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


def _encodable(text: str) -> str:
    """`text` without halves of characters: a browser may cut an emoji in two."""
    return text.encode(errors="replace").decode()
