"""What was approved, used once, and what came of it: a ledger that survives a kill.

A grant is bound to the digest of one exact call. To run it is to use it up, and that
is on disk before the tool starts: whoever comes with the same grant again, in this
process or another one, is refused. So a run that was killed can tell the calls that
are over, whose results are here, from those that it was in when it died, which may
or may not have had their effect and are never repeated.

It knows nothing about who decides, nor how tools run.
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from workbench.approval.requests import Decision, Request
from workbench.errors import ApprovalError
from workbench.records import decode, encode
from workbench.sqlite_file import connect

_PLACE = """
    json_extract(CAST(request AS TEXT), '$.run'), json_extract(CAST(request AS TEXT), '$.step')
"""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS calls (
    digest TEXT PRIMARY KEY,
    request BLOB NOT NULL,
    decision BLOB,
    used TEXT,
    ended TEXT,
    failed INTEGER,
    outcome TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS places ON calls ({_PLACE})
"""
_USE = f"""
UPDATE calls SET used = ? WHERE digest = ? AND used IS NULL AND NOT EXISTS (
    SELECT 1 FROM calls
    WHERE ({_PLACE}) = (?, ?) AND used IS NOT NULL
    AND json_extract(CAST(request AS TEXT), '$.risk') != 'read'
)
"""
_COLUMNS = "request, decision, used, ended, failed, outcome"

GOOD_S = 3600.0
"""How long, in seconds, a grant can be used after its request expired: a run that was killed
goes on with what was approved, but not with what someone approved long ago."""

State = Literal["asked", "refused", "granted", "started", "succeeded", "failed"]


@dataclass(frozen=True)
class Grant:
    """Leave to run one call once. `arguments` are those to run it with, canonical JSON."""

    digest: str
    tool: str
    arguments: str
    definition: str


@dataclass(frozen=True)
class Record:
    """What the ledger knows of a call; `outcome` is what the model was told, once it is over.

    "started" and no more is a call that was under way when its process died.
    """

    request: Request
    decision: Decision | None
    state: State
    outcome: str = ""

    @property
    def grant(self) -> Grant | None:
        """Leave to run it, used or not; None where nobody gave it."""
        if self.decision is None or self.state == "refused":
            return None
        changed = self.decision.arguments
        arguments = self.request.arguments if changed is None else changed
        return Grant(self.request.digest, self.request.tool, arguments, self.request.definition)


class Grants:
    """The ledger in an SQLite file; safe to use from many threads and processes.

    Every change is on disk when its method returns.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._database = connect(self.path)
        self._database.isolation_level = None
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def ask(self, request: Request) -> Record:
        """Write a request down; what is known of that call, if it was asked before."""
        self._write(
            "INSERT OR IGNORE INTO calls (digest, request) VALUES (?, ?)",
            request.digest,
            encode(request),
        )
        return self.look(request.digest)

    def decide(self, decision: Decision) -> Record:
        """Write a decision down; what is known of the call after it.

        The first decision stands. "escalate" decides nothing: the request is then one
        level up, with as much time again. Raises ApprovalError for a call that was not
        asked about, was decided before, or, unless it is a refusal or the policy's, for one
        after the request expired.
        """
        known = self.look(decision.digest)
        request = known.request
        refuses = decision.answer in ("reject", "terminate")
        if decision.by != "policy" and not refuses and not request.seconds_left:
            raise ApprovalError(
                f"The request to call {request.tool} expired at {request.expires}",
                "Refuse it, or go on: the model is told and may ask again. wait_s in the policy "
                "gives more time",
            )
        if decision.answer == "escalate":
            written = self._write(
                "UPDATE calls SET request = ? "
                "WHERE digest = ? AND request = ? AND decision IS NULL",
                encode(request.escalated()),
                decision.digest,
                encode(request),
            )
        else:
            written = self._write(
                "UPDATE calls SET decision = ? WHERE digest = ? AND decision IS NULL",
                encode(decision),
                decision.digest,
            )
        if not written:
            raise ApprovalError(
                f"This call of {request.tool} was decided about before",
                "A decision counts once; the model has to ask anew",
            )
        return self.look(decision.digest)

    def use(self, grant: Grant) -> None:
        """Use a grant up, just before its call runs.

        Raises ApprovalError where it is not, to the letter, the grant that was given,
        where it was used before, where another call, that did not only read, ran at its
        place of its run, or `GOOD_S` after its request expired.
        """
        known = self.look(grant.digest)
        if known.grant != grant:
            raise ApprovalError(
                f"Nobody approved this call of {grant.tool}",
                "Ask for approval of exactly these arguments",
            )
        if known.request.seconds_late > GOOD_S:
            raise ApprovalError(
                f"The approval of this call of {grant.tool} is too old",
                "Ask for approval again",
            )
        place = (known.request.run, known.request.step)
        if not self._write(_USE, _now(), grant.digest, *place):
            if self.look(grant.digest).state == "granted":
                raise ApprovalError(
                    f"Another call was started in the place of this one of {grant.tool}",
                    "Look what that did before you ask again",
                )
            raise ApprovalError(
                f"The approval of this call of {grant.tool} has been used",
                "An approval is for one call; ask again",
            )

    def finish(self, grant: Grant, outcome: str, *, failed: bool) -> None:
        """Write down what came of a call; `outcome` is what the model is told."""
        self._write(
            "UPDATE calls SET ended = ?, failed = ?, outcome = ? WHERE digest = ?",
            _now(),
            int(failed),
            outcome,
            grant.digest,
        )

    def look(self, digest: str) -> Record:
        """What is known of the call of that digest. Raises ApprovalError where nothing is."""
        row = self._row(digest)
        if row is None:
            raise ApprovalError(
                "Nobody asked about such a call", "Ask for approval of exactly these arguments"
            )
        request, decision, used, ended, failed, outcome = row
        decided = None if decision is None else decode(decision, Decision)
        return Record(
            decode(request, Request), decided, _state(decided, used, ended, failed), outcome or ""
        )

    def _row(self, digest: str) -> Any:
        statement = f"SELECT {_COLUMNS} FROM calls WHERE digest = ?"
        with self._lock, closing(self._database.execute(statement, (digest,))) as cursor:
            return cursor.fetchone()

    def _write(self, statement: str, *values: object) -> int:
        with self._lock, closing(self._database.execute(statement, values)) as cursor:
            return cursor.rowcount


def _state(decision: Decision | None, used: Any, ended: Any, failed: Any) -> State:
    if decision is None:
        return "asked"
    if decision.answer not in ("approve", "modify"):
        return "refused"
    if used is None:
        return "granted"
    if ended is None:
        return "started"
    return "failed" if failed else "succeeded"


def _now() -> str:
    return datetime.now(UTC).isoformat()
