"""Stopping what runs: whoever asked for a call may say that it is not wanted any more.

    stop = threading.Event()
    with stoppable(stop):
        run(["sleep", "60"], folder=folder)     # ends at once when another thread sets `stop`

The event is a context variable, so that tools between the two need not hand it on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """What runs in the body, in this thread, ends once `stop` is set."""
    token = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(token)


def stopped() -> bool:
    """Whether what runs here is not wanted any more."""
    stop = _STOP.get()
    return stop is not None and stop.is_set()
