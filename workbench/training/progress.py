"""One line of progress per few steps, on stderr: fit for a terminal, a notebook and a log.

It knows a trainer's log entries, not the trainer.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Any

_LINES = 20


class Progress:
    """Prints about 20 lines for a training of any length."""

    def __init__(self, first_step: int, steps: int) -> None:
        self._steps = steps
        self._first = first_step
        self._every = math.ceil(steps / _LINES)
        self._started = time.monotonic()

    def show(self, step: int, entry: Mapping[str, Any]) -> None:
        """Show a log entry of TRL's (loss, rewards/accuracies) after `step` of all steps."""
        if step % self._every and step not in (self._first + 1, self._steps):
            return
        pace = (time.monotonic() - self._started) / max(1, step - self._first)
        left = pace * (self._steps - step)
        width = len(str(self._steps))
        say(
            f"step {step:>{width}}/{self._steps}  loss {float(entry['loss']):.3f}"
            f"  accuracy {float(entry['rewards/accuracies']):.2f}"
            f"  {pace:.1f} s/step  {left:.0f} s left"
        )


def say(text: str) -> None:
    """One line for the person who waits, to stderr."""
    print(f"[training] {text}", file=sys.stderr, flush=True)
