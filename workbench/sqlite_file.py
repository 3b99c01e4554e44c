"""An SQLite file that many threads and processes open, also at once, and also while it is new."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from filelock import FileLock

from workbench.errors import InputError

_WAIT_S = 30.0


def connect(path: Path | str) -> sqlite3.Connection:
    """A connection for any thread, with a write-ahead log; file and folder are made.

    Who writes waits for who is writing, at most half a minute. Raises InputError for a file
    that is no database, can't be written, or is not let go of by whoever makes it.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
    try:
        # SQLite does not wait to change the mode of a new file: it says that the file is locked.
        with FileLock(f"{path}.lock", timeout=_WAIT_S):
            database.execute("PRAGMA journal_mode=WAL")
    except (sqlite3.Error, OSError) as error:
        database.close()
        raise InputError(
            f"{path} can't be opened ({error})", "Move it away if it is no database of ours"
        ) from error
    return database
