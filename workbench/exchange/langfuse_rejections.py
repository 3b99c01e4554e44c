"""Scores that Langfuse rejects without saying whether it ever takes them, and when to try again.

It answers so both to what it will never take and while its store is in trouble. So a
score is tried TRIES times by one delivery, then by later ones after waits that double,
up to LONGEST_WAIT_S. Once it was rejected for GIVES_UP_AFTER_S, and again since, it is
given up, until someone begins anew. Lines of the ledger are all that is remembered.
Knows nothing about servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from workbench.exchange.langfuse_plan import Handover, Outgoing

TRIES = 5
"""How often one delivery sends a score before it leaves it to later ones."""
GIVES_UP_AFTER_S = 3600.0
"""From the first rejection on, until a score that is rejected once more is given up."""
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 600.0


class Rejections:
    """The rejections of scores that were not taken yet, oldest first.

    Those before `since` say only how long a score has been rejected: it is tried anew.
    """

    def __init__(self, outgoing: Iterable[Outgoing], since: datetime) -> None:
        self._since = since
        self._lines = {out.score.id: list(out.rejections) for out in outgoing if out.rejections}

    def add(self, lines: Iterable[Handover]) -> None:
        """Scores were rejected, as the lines say."""
        for line in lines:
            self._lines.setdefault(line.score, []).append(line)

    def settle(self, scores: Iterable[str]) -> None:
        """Scores were taken, or refused for good."""
        for score in scores:
            self._lines.pop(score, None)

    def due(self, score: str) -> bool:
        """Whether a delivery that begins now is to try the score."""
        lines, tries = self._lines.get(score, []), self._tries(score)
        if not tries:
            return True
        wait = min(FIRST_WAIT_S * 2.0 ** min(tries, 20), LONGEST_WAIT_S)
        return lines[-1].age_s >= wait and not _too_long(lines)

    def at_once(self, score: str) -> bool:
        """Whether the delivery that has just tried the score is to try it again."""
        return self._tries(score) < TRIES and not _too_long(self._lines[score])

    def left(self) -> tuple[list[Handover], list[Handover]]:
        """The last rejection of each score that was tried: those given up, those put off."""
        tried = [lines for score, lines in self._lines.items() if self._tries(score)]
        return (
            [lines[-1] for lines in tried if _too_long(lines)],
            [lines[-1] for lines in tried if not _too_long(lines)],
        )

    def _tries(self, score: str) -> int:
        """How often the score was rejected since whoever delivers began."""
        times = (datetime.fromisoformat(line.at) for line in self._lines.get(score, ()))
        return sum(time >= self._since for time in times)


def _too_long(lines: Sequence[Handover]) -> bool:
    return lines[0].age_s >= GIVES_UP_AFTER_S
