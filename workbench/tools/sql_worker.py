"""One question to a SQLite or DuckDB file: the program that runs in the sandbox.

It gets a JSON object on stdin and prints one. It imports nothing of the package,
since it is handed to the sandbox's Python as text. The sandbox limits its time and
memory and holds the file read-only; what the engines are told here keeps a question
from other files of the folder.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

VALUE_CHARS = 1_000
_NAME_CHARS = 100
_LOCKED_S = 1.0
"""How long a question waits, in seconds, while another program writes."""
_EXACT = 2**53
"""Whole numbers up to here are the same in every reader of JSON."""

_PRAGMAS = {
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "foreign_key_list",
}


class Refused(Exception):
    """The question can't be answered; the message is why."""


def plain(value: Any) -> Any:
    """A JSON value that says the same; long texts are cut, and the cut is told."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(bytes(value)):,} bytes]"
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {_cut(str(key), _NAME_CHARS): plain(each) for key, each in value.items()}
    return _cut(str(value), VALUE_CHARS)


def answer(
    columns: Iterable[str], rows: Iterable[Sequence[Any]], limit: int, chars: int
) -> dict[str, Any]:
    """The first rows as JSON values: at most `limit`, and about `chars` characters of them."""
    shown: list[list[Any]] = []
    names = [_cut(str(name), _NAME_CHARS) for name in columns]
    for row in rows:
        if len(shown) == limit or chars <= 0:
            return {"columns": names, "rows": shown, "more": True}
        shown.append([plain(value) for value in row])
        chars -= len(json.dumps(shown[-1], default=str))
    return {"columns": names, "rows": shown, "more": False}


def _cut(text: str, limit: int) -> str:
    text = text.encode(errors="replace").decode()
    if len(text) <= limit:
        return text
    return f"{text[:limit]} [{len(text) - limit:,} characters left out]"


def sqlite(file: str, sql: str) -> Iterator[Sequence[Any]]:
    """Names of the columns, then rows."""
    connection = _opened(file)
    connection.text_factory = lambda data: data.decode(errors="replace")
    connection.execute("PRAGMA query_only = on")
    connection.execute("PRAGMA trusted_schema = off")
    connection.set_authorizer(_authorized)
    cursor = connection.execute(sql)
    if cursor.description is None:
        raise Refused("it is not one SELECT")
    yield [column[0] for column in cursor.description]
    yield from cursor


def _opened(file: str) -> sqlite3.Connection:
    """A file with a write-ahead log wants its helper files; without a log it needs none.

    Only then is it read without locks ("immutable"). Who begins to write to it in that moment
    is not seen.
    """
    address = f"{Path(file).absolute().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_LOCKED_S)
        connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError as error:
        log = Path(f"{file}-wal")
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
            raise Refused(
                "a program died while it wrote to the database, which has to be opened for "
                "writing once, so that SQLite puts it in order"
            ) from None
        if _code(error) == sqlite3.SQLITE_BUSY or (log.exists() and log.stat().st_size):
            raise Refused("another program writes to the database") from None
        if _code(error) != sqlite3.SQLITE_CANTOPEN or not _logs_ahead(file):
            raise
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True)
    return connection


def _code(error: sqlite3.Error) -> int:
    """The error's kind, without what SQLite says about it in the higher bits."""
    return error.sqlite_errorcode & 0xFF


def _logs_ahead(file: str) -> bool:
    """Whether its header says that it is written through a log (fileformat2.html, 1.3.3)."""
    with open(file, "rb") as database:
        return database.read(20)[18:] == b"\2\2"


def _authorized(action: int, first: str | None, second: str | None, *_: Any) -> int:
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() != "load_extension":
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def duckdb(file: str, sql: str) -> Iterator[Sequence[Any]]:
    """Names of the columns, then rows."""
    import duckdb

    settings: dict[str, Any] = {
        "enable_external_access": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "threads": 1,
    }
    try:
        connection = duckdb.connect(file, read_only=True, config=settings)
        connection.execute("SET lock_configuration = true")
        statements = connection.extract_statements(sql)
        kinds = [statement.type for statement in statements]
        if kinds not in ([duckdb.StatementType.SELECT], [duckdb.StatementType.EXPLAIN]):
            raise Refused("it is not one SELECT")
        cursor = connection.execute(statements[0])
        yield [column[0] for column in cursor.description or ()]
        while row := cursor.fetchone():
            yield row
    except duckdb.Error as error:
        raise Refused(str(error)) from None


ENGINES = {"sqlite": sqlite, "duckdb": duckdb}


def main() -> None:
    """Answer the question on stdin."""
    asked = json.load(sys.stdin)
    try:
        rows = ENGINES[asked["kind"]](asked["file"], asked["sql"])
        told = answer(next(rows), rows, asked["rows"], asked["chars"])
    except (Refused, sqlite3.Error, sqlite3.Warning, OSError, ValueError, MemoryError) as error:
        told = {"refused": str(error) or type(error).__name__}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
