"""Delivery to Langfuse in the background of a notebook.

    outbox = Outbox(ratings, candidate_sets, connect(settings), ledger_beside(ratings.path))
    outbox.start()                  # a daemon thread; the rater never waits for a server
    outbox.flush(deadline_s=30)     # before the notebook ends

The thread looks at the ratings journal every few seconds and hands what is new to
`deliver`. It holds nothing itself: a kernel that is killed loses nothing, and
the next outbox goes on from the ledger. It knows the candidate sets it was made
with; a rating of another one waits for an outbox that knows it. Scores that the server
rejected before it began are tried again (see `delivery`). Knows nothing about scores.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from workbench.errors import WorkbenchError
from workbench.exchange.delivery import (
    LONGEST_WAIT_S,
    SETTLES_S,
    Delivery,
    deliver,
    outlook,
)
from workbench.exchange.langfuse_plan import Handover
from workbench.exchange.langfuse_project import LangfuseProject
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating

_POLL_S = 2.0


class Outbox:
    """Delivery in the background of a notebook. Making and starting one never waits."""

    def __init__(
        self,
        ratings: Journal[Rating],
        candidate_sets: Iterable[CandidateSet],
        project: LangfuseProject,
        ledger: Journal[Handover],
        *,
        settles_s: float = SETTLES_S,
    ) -> None:
        self._ratings = ratings
        self._candidate_sets = tuple(candidate_sets)
        self._project = project
        self._ledger = ledger
        self._settles_s = settles_s
        self._changed = threading.Condition()
        self._wanted = self._passes = 0
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._last: Delivery | None = None
        self._fault: WorkbenchError | None = None
        self._since = datetime.now(UTC)

    @property
    def delivery(self) -> Delivery:
        """Where delivery stood after the last pass, or stands by the ledger before the first.

        Raises what made the thread end.
        """
        if self._fault is not None:
            raise self._fault
        return self._last or self._outlook()

    def start(self) -> Outbox:
        """Deliver from now on in a daemon thread; what a killed kernel left is next time's."""
        with self._changed:
            self._stopping = False  # a thread that has not ended yet goes on
            if not self._works():
                self._fault = None
                self._since = datetime.now(UTC)
                self._thread = threading.Thread(
                    target=self._work, name="workbench-outbox", daemon=True
                )
                self._thread.start()
        return self

    def flush(self, deadline_s: float = 30.0) -> Delivery:
        """Wait until all ratings given so far are delivered, at most `deadline_s` seconds.

        Scores that the server rejects are not waited for: they stay `put_off`, with its
        words in `waiting`, and the thread tries them again later. Where no pass ended in
        time, `pending` is what the ledger lacks. Raises
        ServerError or InputError where the thread met what no waiting mends, and
        WorkbenchError where it met an error of the program.
        """
        self.start()
        until = time.monotonic() + deadline_s
        passed = False
        with self._changed:
            while self._works() and (left := until - time.monotonic()) > 0:
                self._wanted = self._passes + 1
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda: self._passes >= self._wanted or not self._works(), left
                )
                passed = self._passes >= self._wanted
                if passed and self._last and self._last.pending == self._last.put_off:
                    break
        if passed or self._fault is not None:
            return self.delivery
        waiting = self._last.waiting if self._last else ""
        return replace(self._outlook(), waiting=waiting or "the delivery under way has not ended")

    def stop(self) -> None:
        """End the thread after the score batch under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _works(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _outlook(self) -> Delivery:
        return outlook(self._ratings, self._candidate_sets, self._ledger, self._project.known_id)

    def _work(self) -> None:
        seen: int | None = None
        failures = 0
        try:
            while True:
                with self._changed:
                    if self._stopping:
                        self._thread = None  # under the lock: who starts next starts a new one
                        self._changed.notify_all()
                        return
                    wanted, last = self._wanted, self._last
                size = self._size()
                if size != seen or last is None or last.pending or wanted > self._passes:
                    last = deliver(
                        self._ratings,
                        self._candidate_sets,
                        self._project,
                        self._ledger,
                        deadline_s=_POLL_S,
                        settles_s=self._settles_s,
                        since=self._since,
                    )
                    seen = size
                    failures = failures + 1 if last.pending and not last.sent else 0
                with self._changed:
                    self._last = last
                    self._passes = max(self._passes, wanted)
                    self._changed.notify_all()
                    self._changed.wait_for(
                        lambda: self._stopping or self._wanted > self._passes,
                        min(_POLL_S * 2**failures, LONGEST_WAIT_S) * random.uniform(0.5, 1.0),
                    )
        except WorkbenchError as error:
            self._end(error)
        except Exception as error:
            fault = WorkbenchError(
                f"Delivery ended by an error of the program ({type(error).__name__}: {error})",
                "Report it; start() delivers on from the ledger",
            )
            fault.__cause__ = error
            self._end(fault)

    def _end(self, fault: WorkbenchError) -> None:
        with self._changed:
            self._fault, self._thread = fault, None
            self._changed.notify_all()

    def _size(self) -> int:
        return self._ratings.path.stat().st_size if self._ratings.path.exists() else 0
