"""Delivery to Langfuse in the background of a notebook.

    outbox = Outbox(ratings, candidate_sets, connect(settings), ledger_beside(ratings.path))
    outbox.start()                  # a daemon thread; the rater never waits for a server
    outbox.flush(deadline_s=30)     # before the notebook ends

The thread looks at the ratings journal every few seconds and hands what is new to
`deliver`. It holds nothing itself: a kernel that is killed loses nothing, and
the next outbox goes on from the ledger. Knows nothing about scores.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable

from workbench.errors import WorkbenchError
from workbench.exchange.delivery import (
    LONGEST_WAIT_S,
    SETTLES_S,
    Delivery,
    Handover,
    deliver,
)
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
        self._candidate_sets = candidate_sets
        self._project = project
        self._ledger = ledger
        self._settles_s = settles_s
        self._changed = threading.Condition()
        self._wanted = self._passes = 0
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._last = Delivery()
        self._fault: WorkbenchError | None = None

    @property
    def delivery(self) -> Delivery:
        """Where delivery stood after the last pass. Raises what made the thread end."""
        if self._fault is not None:
            raise self._fault
        return self._last

    def start(self) -> Outbox:
        """Deliver from now on in a daemon thread; what a killed kernel left is next time's."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._stopping, self._fault = False, None
                self._thread = threading.Thread(
                    target=self._work, name="workbench-outbox", daemon=True
                )
                self._thread.start()
        return self

    def flush(self, deadline_s: float = 30.0) -> Delivery:
        """Wait until all ratings given so far are delivered, at most `deadline_s` seconds.

        Raises ServerError or InputError where the thread met what no waiting mends.
        """
        self.start()
        until = time.monotonic() + deadline_s
        with self._changed:
            while self._fault is None and (left := until - time.monotonic()) > 0:
                self._wanted = self._passes + 1
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda: self._passes >= self._wanted or self._fault is not None, left
                )
                if self._passes >= self._wanted and not self._last.pending:
                    break
        return self.delivery

    def stop(self) -> None:
        """End the thread after the score batch under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _work(self) -> None:
        seen: int | None = None
        failures = 0
        try:
            while not self._stopping:
                wanted, size = self._wanted, self._size()
                if size != seen or self._last.pending or wanted > self._passes:
                    self._last = deliver(
                        self._ratings,
                        self._candidate_sets,
                        self._project,
                        self._ledger,
                        deadline_s=_POLL_S,
                        settles_s=self._settles_s,
                    )
                    seen = size
                    failures = failures + 1 if self._last.pending and not self._last.sent else 0
                with self._changed:
                    self._passes = max(self._passes, wanted)
                    self._changed.notify_all()
                    self._changed.wait_for(
                        lambda: self._stopping or self._wanted > self._passes,
                        min(_POLL_S * 2**failures, LONGEST_WAIT_S) * random.uniform(0.5, 1.0),
                    )
        except WorkbenchError as error:
            with self._changed:
                self._fault = error
                self._changed.notify_all()

    def _size(self) -> int:
        return self._ratings.path.stat().st_size if self._ratings.path.exists() else 0
