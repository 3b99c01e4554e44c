"""A new SQLite file may be opened by many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from workbench.approval import Grants
from workbench.errors import InputError
from workbench.sqlite_file import connect


def _open_ledger(path: Path) -> None:
    Grants(path).close()


def _open_checkpoints(path: Path) -> None:
    database = connect(path)
    SqliteSaver(database).get_tuple({"configurable": {"thread_id": "run"}})
    database.close()


@pytest.mark.parametrize("open_one", [_open_ledger, _open_checkpoints])
def test_whoever_opens_a_new_file_waits_for_who_makes_it(
    open_one: Callable[[Path], None], tmp_path: Path
) -> None:
    failed: list[Exception] = []

    def attempt(path: Path, together: threading.Barrier) -> None:
        together.wait()
        try:
            open_one(path)
        except Exception as error:
            failed.append(error)

    for number in range(20):
        together = threading.Barrier(6)
        path = tmp_path / str(number) / "new.sqlite"
        threads = [threading.Thread(target=attempt, args=(path, together)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


def test_a_file_that_is_no_database_is_refused_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "mine.sqlite"
    path.write_text("not one of ours, and longer than any header of a database would be" * 9)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"mine\.sqlite can't be opened .*not a database"):
        connect(path)
    assert path.read_bytes() == before
