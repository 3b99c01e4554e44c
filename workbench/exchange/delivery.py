"""Ratings on their way to Langfuse: delivered as scores until the server says yes.

    done = deliver(ratings, candidate_sets, connect(settings), ledger_beside(ratings.path))

The ratings journal is the truth and the ledger beside it says what the server
knows. A line "sending" is on disk before a score leaves, "sent" only after the
server said yes, and likewise for taking back: so a process that is killed at any
point knows what may have arrived, and sends it again under the same id. Broken
lines of the ledger may be removed: their scores are sent once more.

Only ratings that count (`ratings.standing`) are delivered; a rating that was
taken back or replaced is deleted there, once its score had time to settle.
Not covered: a request that a server handles after its deletion, and raters' own
deletions in Langfuse, which are not undone.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from workbench import ratings as judged
from workbench.errors import ServerError
from workbench.exchange.langfuse_project import PATIENCE_S, Invalid, LangfuseProject, Unavailable
from workbench.exchange.langfuse_records import NewScore
from workbench.exchange.scores import DOOR, again, scores_of, traces_of
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside, encode

BATCH = 100
LONGEST_BODY = 900_000
"""Bytes of one request; the server takes 1 MiB."""
SETTLES_S = 30.0
"""How long a score may take until the server can find it, and thus delete it."""
_STRIKES = 5
"""How often a score, sent alone, is rejected without a status before it counts as refused."""
LONGEST_WAIT_S = 30.0
_FIRST_WAIT_S = 0.25

State = Literal["sending", "sent", "refused", "withdrawing", "withdrawn"]


@dataclass(frozen=True)
class Handover:
    """A line of the ledger: what became of a rating's score, and when (ISO 8601, UTC)."""

    score: str
    rating: str
    state: State
    at: str
    reason: str = ""


@dataclass(frozen=True)
class Delivery:
    """Where delivery stands. `sent` and `withdrawn` count scores of this call.

    `pending` scores are still to be sent or taken back, for the reason in
    `waiting`. `refused` scores will not be tried again; `unfit` ratings fit no
    answer. `without_trace` counts ratings that have no trace to score.
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
    plan = _plan(ratings, candidate_sets, ledger)
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


# --- one delivery ---------------------------------------------------------


@dataclass(frozen=True)
class _Outgoing:
    score: NewScore
    rating: str


@dataclass(frozen=True)
class _Plan:
    to_send: list[_Outgoing]
    to_withdraw: list[Handover]
    refused: list[SetAside]
    unfit: tuple[SetAside, ...]
    without_trace: int


def _plan(
    ratings: Iterable[Rating], candidate_sets: Iterable[CandidateSet], ledger: Journal[Handover]
) -> _Plan:
    """What the server lacks and what it has too much, by the ledger."""
    sets = {candidate_set.id: candidate_set for candidate_set in candidate_sets}
    checked = judged.check(ratings, sets.values())
    last: dict[str, Handover] = {}
    taken_back: set[str] = set()
    for line in ledger:
        last[line.score] = line
        if line.state == "withdrawing":
            taken_back.add(line.score)
    wanted: dict[str, _Outgoing] = {}
    without_trace = 0
    for rating in judged.standing(checked.good):
        if rating.kind == "skip" or rating.door == DOOR:
            continue
        scores = scores_of(rating, traces_of(rating, sets[rating.candidate_set]))
        without_trace += not scores
        for score in scores:
            id = again(score.id, taken_back)
            wanted[id] = _Outgoing(score if id == score.id else replace(score, id=id), rating.id)
    known = {id for id, line in last.items() if line.state in ("sent", "refused")}
    there = ("sending", "sent", "withdrawing")
    return _Plan(
        [outgoing for id, outgoing in wanted.items() if id not in known],
        [line for id, line in last.items() if line.state in there and id not in wanted],
        [_refused(line) for id, line in last.items() if line.state == "refused" and id in wanted],
        checked.aside,
        without_trace,
    )


class _Run:
    """One delivery: its deadline, its waits, and what the server said."""

    def __init__(self, project: LangfuseProject, ledger: Journal[Handover], until: float) -> None:
        self._project = project
        self._ledger = ledger
        self._until = until
        self._troubles = 0
        self.waiting = ""
        self.refused: list[SetAside] = []

    def send(self, outgoing: list[_Outgoing]) -> int:
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
        """Delete scores that no longer count, each once it had time to settle; how many."""
        withdrawn = 0
        queue = deque(sorted(lines, key=lambda line: line.at))
        while queue and self._in_time():
            line = queue[0]
            settled = datetime.fromisoformat(line.at) + timedelta(seconds=settles_s)
            wait = (settled - datetime.now(UTC)).total_seconds()
            if line.state != "withdrawing" and wait > 0:
                self.waiting = "scores that no longer count are deleted once they have settled"
                if not self._sleep(wait):
                    break
            try:
                self._ledger.append(_line(line.score, line.rating, "withdrawing"))
                self._project.delete_score(line.score)
            except Unavailable as error:
                self._rest(error)
                continue
            except Invalid as error:
                self.waiting = error.fact
                queue.popleft()
                continue
            self._ledger.append(_line(line.score, line.rating, "withdrawn"))
            queue.popleft()
            withdrawn += 1
            self._troubles = 0
        return withdrawn

    def _note(self, state: State, batch: list[_Outgoing]) -> None:
        if batch:
            self._ledger.append(*(_line(out.score.id, out.rating, state) for out in batch))

    def _refuse(self, batch: list[_Outgoing], reasons: dict[str, str]) -> None:
        lines = [
            _line(out.score.id, out.rating, "refused", reasons[out.score.id])
            for out in batch
            if out.score.id in reasons
        ]
        if lines:
            self._ledger.append(*lines)
            self.refused += [_refused(line) for line in lines]

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


def _batches(outgoing: list[_Outgoing]) -> Iterator[list[_Outgoing]]:
    """Batches of at most BATCH scores and LONGEST_BODY bytes; a larger score goes alone."""
    batch: list[_Outgoing] = []
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
    return Handover(score, rating, state, datetime.now(UTC).isoformat(timespec="seconds"), reason)


def _refused(line: Handover) -> SetAside:
    return SetAside(f"langfuse: score {line.score}", line.reason, f"rating {line.rating}")
