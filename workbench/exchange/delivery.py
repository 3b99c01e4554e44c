"""Ratings on their way to Langfuse: delivered as scores until the server says yes.

    done = deliver(ratings, candidate_sets, connect(settings), ledger_beside(ratings.path))

The ratings journal is the truth and the ledger beside it says what the server
knows. A line "sending" is on disk before a score leaves, "sent" only after the
server said yes, and likewise for taking back: so a process that is killed at any
point knows what may have arrived, and sends it again under the same id. Broken
lines of the ledger may be removed: their scores are sent once more.

Only ratings that count (`ratings.standing`) are delivered. The scores of a rating
that was taken back or replaced, or that left the journal, are deleted there once
they had time to settle, and count as withdrawn when the server no longer shows
them. A rating whose candidate set was not given this time keeps its scores.
Not covered: a score that the server shows only after LATEST times that time, and
raters' own deletions in Langfuse, which are not undone.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import ServerError
from workbench.exchange.langfuse_errors import Invalid, Unavailable
from workbench.exchange.langfuse_plan import Handover, Outgoing, State, plan_of, refused_as
from workbench.exchange.langfuse_project import PATIENCE_S, LangfuseProject
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside, encode

BATCH = 100
LONGEST_BODY = 900_000
"""Bytes of one request; the server takes 1 MiB."""
SETTLES_S = 30.0
"""How long a score usually takes until the server shows it, or shows that it is gone."""
LATEST = 10
"""After so many times `SETTLES_S` a score that the server does not show is not there."""
_STRIKES = 5
"""How often a score, sent alone, is rejected without a status before it counts as refused."""
LONGEST_WAIT_S = 30.0
_FIRST_WAIT_S = 0.25
_LONGEST_LOOK_S = 5.0
"""Between two looks for a score that is to go."""


@dataclass(frozen=True)
class Delivery:
    """Where delivery stands. `sent` and `withdrawn` count scores of this call.

    `pending` scores are still to be sent or taken back, for the reason in
    `waiting`. `refused` scores will not be tried again; `unfit` ratings fit no
    answer that was given. `without_trace` counts ratings that have no trace to score.
    """

    sent: int = 0
    withdrawn: int = 0
    pending: int = 0
    waiting: str = ""
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
) -> Delivery:
    """Send what the server lacks and take back what no longer counts, until `deadline_s`.

    A server in trouble is tried again, with waits that double and jitter; what
    is left then is `pending`. Raises ServerError where the keys are wrong, and
    InputError where the ledger can't be read or written.
    """
    plan = plan_of(ratings, candidate_sets, ledger)
    run = _Run(project, ledger, time.monotonic() + deadline_s)
    sent = run.send(plan.to_send)
    withdrawn = run.withdraw(plan.to_withdraw, settles_s)
    pending = len(plan.to_send) - sent - len(run.refused) + len(plan.to_withdraw) - withdrawn
    return Delivery(
        sent,
        withdrawn,
        pending,
        run.waiting if pending else "",
        (*plan.refused, *run.refused),
        plan.unfit,
        plan.without_trace,
    )


def outlook(
    ratings: Iterable[Rating], candidate_sets: Iterable[CandidateSet], ledger: Journal[Handover]
) -> Delivery:
    """What a delivery would have to do, by the ledger alone; no server is asked."""
    plan = plan_of(ratings, candidate_sets, ledger)
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

    def send(self, outgoing: list[Outgoing]) -> int:
        """Send scores in batches; how many the server took."""
        queue = deque(_batches(outgoing))
        strikes: dict[str, int] = {}
        sent = 0
        while queue and self._in_time():
            batch = queue.popleft()
            self._note("sending", batch)
            try:
                receipt = self._project.put_scores([o.score for o in batch], self._patience)
            except Unavailable as error:
                queue.appendleft(batch)
                self._rest(error)
                continue
            accepted = set(receipt.accepted)
            self._note("sent", [out for out in batch if out.score.id in accepted])
            sent += len(accepted)
            self._refuse(batch, dict(receipt.refused))
            unclear = [out for out in batch if out.score.id in set(receipt.unclear)]
            failed = [out for out in batch if out.score.id in set(receipt.failed)]
            if len(unclear) > 1:
                half = len(unclear) // 2
                queue.extendleft([unclear[half:], unclear[:half]])
            elif unclear:
                (alone,) = unclear
                strikes[alone.score.id] = strikes.get(alone.score.id, 0) + 1
                if strikes[alone.score.id] >= _STRIKES:
                    self._refuse(unclear, {alone.score.id: receipt.reason})
                else:
                    failed += unclear
            if failed:
                queue.append(failed)
                self._rest(Unavailable(f"Langfuse did not take {len(failed)} scores yet"))
            elif accepted:
                self._troubles = 0
        return sent

    def withdraw(self, lines: list[Handover], settles_s: float) -> int:
        """Delete scores that no longer count; how many the server no longer shows.

        Only what it shows is deleted: a deletion misses a score that appears later.
        """
        now = time.monotonic()
        due = {  # when to look for each
            line.score: (
                now + (settles_s - _age_s(line) if line.state != "withdrawing" else 0),
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
                    if line.score in there and (not asked or _age_s(line) >= settles_s):
                        line = _line(line.score, line.rating, "withdrawing")
                        self._ledger.append(line)
                        due[line.score] = (later, line)
                        self._project.delete_score(line.score)
                    elif line.score in there or not (asked or _age_s(line) >= LATEST * settles_s):
                        due[line.score] = (later, line)
                    else:
                        self._ledger.append(_line(line.score, line.rating, "withdrawn"))
                        del due[line.score]
                        withdrawn += 1
                self._troubles = 0
            except Unavailable as error:
                self._rest(error)
            except Invalid as error:
                self.waiting = error.fact
                break
        return withdrawn

    def _shown(self, lines: list[Handover]) -> set[str]:
        """Which of the scores the server shows."""
        ids = [line.score for line in lines]
        return {score.id for score in self._project.scores_by_id(ids, attempts=1)}

    def _note(self, state: State, batch: list[Outgoing]) -> None:
        if batch:
            self._ledger.append(*(_line(out.score.id, out.rating, state) for out in batch))

    def _refuse(self, batch: list[Outgoing], reasons: dict[str, str]) -> None:
        lines = [
            _line(out.score.id, out.rating, "refused", reasons[out.score.id])
            for out in batch
            if out.score.id in reasons
        ]
        if lines:
            self._ledger.append(*lines)
            self.refused += [refused_as(line) for line in lines]

    @property
    def _patience(self) -> float:
        """Seconds that one request may take: never far beyond the deadline."""
        return min(PATIENCE_S, max(1.0, self._until - time.monotonic()))

    def _in_time(self) -> bool:
        return time.monotonic() < self._until

    def _rest(self, error: ServerError) -> None:
        """Wait before the next attempt: twice as long each time, by a random share less."""
        self.waiting = error.fact
        longest = min(_FIRST_WAIT_S * 2**self._troubles, LONGEST_WAIT_S)
        self._troubles += 1
        asked = getattr(error, "retry_after", None) or 0.0
        self._sleep(max(asked, longest * random.uniform(0.5, 1.0)))

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


def _line(score: str, rating: str, state: State, reason: str = "") -> Handover:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Handover(score, rating, state, at, reason)


def _age_s(line: Handover) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(line.at)).total_seconds()
