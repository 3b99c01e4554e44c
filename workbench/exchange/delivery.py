"""Ratings on their way to Langfuse: delivered as scores until the server says yes.

    done = deliver(ratings, candidate_sets, connect(settings), ledger_beside(ratings.path))

The ratings journal is the truth and the ledger beside it says what the server
knows. A line "sending" is on disk before a score leaves, "sent" only after the
server said yes, and likewise for taking back: so a process that is killed at any
point knows what may have arrived, and sends it again under the same id. Broken
lines of the ledger may be removed: their scores are sent once more. What a ledger says
counts for the project that it says it of; another project lacks everything.

Only ratings that count (`ratings.standing`) are delivered. The scores of a rating
that was taken back or replaced, or that left the journal, are deleted there once
they had time to settle, and count as withdrawn when the server no longer shows
them. A rating whose candidate set was not given this time keeps its scores.

A score that the server refuses with the status of a client's error is never sent
again; one that it rejects without such a status is (see langfuse_rejections).

Not covered: a score that the server shows only after LATEST times that time; raters'
own deletions in Langfuse, which are not undone; two servers that give their projects
the same id.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from workbench.exchange.langfuse_errors import Invalid, Unavailable
from workbench.exchange.langfuse_plan import Handover, Outgoing, State, plan_of, refused_as
from workbench.exchange.langfuse_project import PATIENCE_S, LangfuseProject
from workbench.exchange.langfuse_rejections import Rejections
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside, encode

BATCH = 100
LONGEST_BODY = 900_000
"""Bytes of one request; the server takes 1 MiB."""
SETTLES_S = 30.0
"""How long a score usually takes until the server shows it, or shows that it is gone."""
LATEST = 10
"""After so many times `SETTLES_S` a score that the server does not show is not there."""
LONGEST_WAIT_S = 30.0
_FIRST_WAIT_S = 0.25
_LONGEST_LOOK_S = 5.0
"""Between two looks for a score that is to go."""


@dataclass(frozen=True)
class Delivery:
    """Where delivery stands. `sent` and `withdrawn` count scores of this call.

    `pending` scores are still to be sent or taken back, for the reason in
    `waiting`; where no server has said which project it is, all scores are. Of them
    `put_off` were rejected and are tried again later. `refused` scores will not be
    tried again by those who deliver now; `unfit` ratings fit no answer that was given.
    `without_trace` counts ratings that have no trace to score.
    """

    sent: int = 0
    withdrawn: int = 0
    pending: int = 0
    waiting: str = ""
    put_off: int = 0
    refused: tuple[SetAside, ...] = ()
    unfit: tuple[SetAside, ...] = ()
    without_trace: int = 0


def ledger_beside(ratings: Path | str) -> Journal[Handover]:
    """The ledger of a ratings journal: `NAME.delivered.jsonl` in the same folder."""
    path = Path(ratings)
    return Journal(path.with_name(f"{path.stem}.delivered.jsonl"), Handover)


def deliver(
    ratings: Iterable[Rating],
    candidate_sets: Iterable[CandidateSet],
    project: LangfuseProject,
    ledger: Journal[Handover],
    *,
    deadline_s: float = 60.0,
    settles_s: float = SETTLES_S,
    since: datetime | None = None,
) -> Delivery:
    """Send what the server lacks and take back what no longer counts, until `deadline_s`.

    A server in trouble is tried again, with waits that double and jitter; what
    is left then is `pending`. Scores that were rejected before `since` (default: now)
    are tried at once; whoever delivers again and again says since when they do.
    Raises ServerError where the keys are wrong, and InputError where the ledger
    can't be read or written.
    """
    ratings, lines = list(ratings), list(ledger)
    since = since or datetime.now(UTC)
    run = _Run(project, ledger, time.monotonic() + deadline_s)
    if (ratings or lines) and not run.identify():
        return replace(outlook(ratings, candidate_sets, lines, ""), waiting=run.waiting)
    plan = plan_of(ratings, candidate_sets, lines, project.known_id)
    rejections = Rejections(plan.to_send, since)
    sent = run.send(plan.to_send, rejections)
    withdrawn = run.withdraw(plan.to_withdraw, settles_s)
    given_up, put_off = rejections.left()
    refused = (*run.refused, *map(refused_as, given_up))
    pending = len(plan.to_send) - sent - len(refused) + len(plan.to_withdraw) - withdrawn
    waiting = run.waiting
    if put_off and pending == len(put_off):
        waiting = _rejection(len(put_off), put_off[-1].reason)
    return Delivery(
        sent,
        withdrawn,
        pending,
        waiting if pending else "",
        len(put_off),
        (*plan.refused, *refused),
        plan.unfit,
        plan.without_trace,
    )


def outlook(
    ratings: Iterable[Rating],
    candidate_sets: Iterable[CandidateSet],
    ledger: Iterable[Handover],
    project: str,
) -> Delivery:
    """What a delivery to a project ("": not known which) has to do; no server is asked."""
    plan = plan_of(ratings, candidate_sets, ledger, project)
    return Delivery(
        pending=len(plan.to_send) + len(plan.to_withdraw),
        refused=tuple(plan.refused),
        unfit=plan.unfit,
        without_trace=plan.without_trace,
    )


# --- one delivery ---------------------------------------------------------


class _Run:
    """One delivery: its deadline, its waits, and what the server said."""

    def __init__(self, project: LangfuseProject, ledger: Journal[Handover], until: float) -> None:
        self._project = project
        self._ledger = ledger
        self._until = until
        self._troubles = 0
        self.waiting = ""
        self.refused: list[SetAside] = []

    def identify(self) -> bool:
        """Learn which project the keys open; whether the server said so in time."""
        while True:
            try:
                self._project.identify(attempts=1, patience_s=self._patience)
            except Unavailable as error:
                self._rest(error.fact, error.retry_after)
            else:
                self._troubles, self.waiting = 0, ""
                return True
            if not self._in_time():
                return False

    def send(self, outgoing: list[Outgoing], rejections: Rejections) -> int:
        """Send scores in batches, those that were rejected before after all others.

        How many the server took.
        """
        fresh = [out for out in outgoing if not out.rejections]
        again = [out for out in outgoing if out.rejections and rejections.due(out.score.id)]
        queue = deque([*_batches(fresh), *_batches(again)])
        sent = 0
        while queue and self._in_time():
            batch = queue.popleft()
            self._note("sending", batch)
            try:
                receipt = self._project.put_scores([o.score for o in batch], self._patience)
            except Unavailable as error:
                queue.appendleft(batch)
                self._rest(error.fact, error.retry_after)
                continue
            self._note("sent", _of(batch, receipt.accepted))
            sent += len(receipt.accepted)
            lines = self._note("refused", _of(batch, receipt.refused), receipt.refused)
            self.refused += map(refused_as, lines)
            rejections.settle((*receipt.accepted, *receipt.refused))
            if receipt.accepted:
                self._troubles = 0
            if unclear := _of(batch, receipt.unclear):
                half = len(unclear) // 2
                queue.extendleft([unclear[half:], unclear[:half]])
            if rejected := _of(batch, receipt.rejected):
                rejections.add(self._note("rejected", rejected, receipt.rejected))
                if again := [out for out in rejected if rejections.at_once(out.score.id)]:
                    queue.append(again)
                if queue:
                    reason = receipt.rejected[rejected[-1].score.id]
                    self._rest(_rejection(len(rejected), reason))
        return sent

    def withdraw(self, lines: list[Handover], settles_s: float) -> int:
        """Delete scores that no longer count; how many the server no longer shows.

        Only what it shows is deleted: a deletion misses a score that appears later.
        """
        now = time.monotonic()
        due = {  # when to look for each
            line.score: (
                now + (settles_s - line.age_s if line.state != "withdrawing" else 0),
                line,
            )
            for line in lines
        }
        withdrawn = looks = 0
        while due and self._in_time():
            wait = min(when for when, _ in due.values()) - time.monotonic()
            if wait > 0:
                self.waiting = "scores that no longer count are deleted once they have settled"
                if not self._sleep(wait):
                    break
            now = time.monotonic()
            batch = [line for when, line in due.values() if when <= now][:BATCH]
            later = now + min(_FIRST_WAIT_S * 2**looks, _LONGEST_LOOK_S)
            looks += 1
            try:
                there = self._shown(batch)
                for line in batch:
                    asked = line.state == "withdrawing"
                    if line.score in there and (not asked or line.age_s >= settles_s):
                        line = self._line(line.score, line.rating, "withdrawing")
                        self._ledger.append(line)
                        due[line.score] = (later, line)
                        self._project.delete_score(line.score)
                    elif line.score in there or not (asked or line.age_s >= LATEST * settles_s):
                        due[line.score] = (later, line)
                    else:
                        self._ledger.append(self._line(line.score, line.rating, "withdrawn"))
                        del due[line.score]
                        withdrawn += 1
                self._troubles = 0
            except Unavailable as error:
                self._rest(error.fact, error.retry_after)
            except Invalid as error:
                self.waiting = error.fact
                break
        return withdrawn

    def _shown(self, lines: list[Handover]) -> set[str]:
        """Which of the scores the server shows."""
        ids = [line.score for line in lines]
        return {score.id for score in self._project.scores_by_id(ids, attempts=1)}

    def _note(
        self, state: State, batch: list[Outgoing], reasons: Mapping[str, str] | None = None
    ) -> list[Handover]:
        """Write a line of each score, with its reason where there are some."""
        lines = [
            self._line(out.score.id, out.rating, state, (reasons or {}).get(out.score.id, ""))
            for out in batch
        ]
        if lines:
            self._ledger.append(*lines)
        return lines

    def _line(self, score: str, rating: str, state: State, reason: str = "") -> Handover:
        at = datetime.now(UTC).isoformat()
        return Handover(score, rating, state, at, reason, self._project.known_id)

    @property
    def _patience(self) -> float:
        """Seconds that one request may take: never far beyond the deadline."""
        return min(PATIENCE_S, max(1.0, self._until - time.monotonic()))

    def _in_time(self) -> bool:
        return time.monotonic() < self._until

    def _rest(self, why: str, asked_s: float | None = None) -> None:
        """Wait before the next attempt: twice as long each time, by a random share less."""
        self.waiting = why
        longest = min(_FIRST_WAIT_S * 2**self._troubles, LONGEST_WAIT_S)
        self._troubles += 1
        self._sleep(max(asked_s or 0.0, longest * random.uniform(0.5, 1.0)))

    def _sleep(self, seconds: float) -> bool:
        """Sleep, but not beyond the deadline; whether there was time for all of it."""
        left = self._until - time.monotonic()
        time.sleep(max(0.0, min(seconds, left)))
        return seconds < left


def _batches(outgoing: list[Outgoing]) -> Iterator[list[Outgoing]]:
    """Batches of at most BATCH scores and LONGEST_BODY bytes; a larger score goes alone."""
    batch: list[Outgoing] = []
    size = 0
    for out in outgoing:
        bytes_ = len(encode(out.score))
        if batch and (len(batch) == BATCH or size + bytes_ > LONGEST_BODY):
            yield batch
            batch, size = [], 0
        batch.append(out)
        size += bytes_
    if batch:
        yield batch


def _of(batch: list[Outgoing], ids: Iterable[str]) -> list[Outgoing]:
    """Those of a batch that have one of the ids."""
    wanted = set(ids)
    return [out for out in batch if out.score.id in wanted]


def _rejection(number: int, reason: str) -> str:
    return f"Langfuse rejected {number} scores, which are tried again: {reason}"
