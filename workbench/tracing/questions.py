"""Questions to journals of spans, in SQL, answered by DuckDB.

    tracing.query("SELECT name, max(seconds) FROM spans GROUP BY name", path)

DuckDB reads the journals itself, into a table of its own memory; the question
then runs with files and network shut off, so it can't change a journal.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.tracing.spans import read

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_COLUMNS = {
    "id": "VARCHAR",
    "trace_id": "VARCHAR",
    "parent_id": "VARCHAR",
    "kind": "VARCHAR",
    "name": "VARCHAR",
    "session": "VARCHAR",
    "started": "TIMESTAMPTZ",
    "ended": "TIMESTAMPTZ",
    "seconds": "DOUBLE",
    "input": "JSON",
    "output": "JSON",
    "model": "VARCHAR",
    "usage": "STRUCT(prompt_tokens BIGINT, completion_tokens BIGINT, cached_tokens BIGINT)",
    "error": "VARCHAR",
    "metadata": "JSON",
}

_SUMMARY = """
    SELECT kind, coalesce(model, '') AS model, count(*) AS calls, count(error) AS failed,
           sum(seconds) AS seconds,
           coalesce(sum(usage.prompt_tokens), 0)::BIGINT AS prompt_tokens,
           coalesce(sum(usage.completion_tokens), 0)::BIGINT AS completion_tokens
    FROM spans GROUP BY ALL ORDER BY kind, model
"""


@dataclass(frozen=True)
class SpanSummary:
    """Spans of one kind and model (a fingerprint, or "" where a span names none), added up."""

    kind: str
    model: str
    calls: int
    failed: int
    seconds: float
    prompt_tokens: int
    completion_tokens: int


def query(sql: str, *paths: Path | str) -> pd.DataFrame:
    """The answer to `sql` over the table `spans`: the spans of all `paths`, a column per field.

    `usage` is a struct (`usage.prompt_tokens`), `input`, `output` and `metadata`
    are JSON (`output->>'text'`), times are in UTC. Raises InputError for a
    missing journal, a line that is not a span, and SQL that DuckDB refuses.
    """
    with closing(_connect(paths)) as connection:
        import duckdb

        try:
            return connection.execute(sql).df()
        except duckdb.Error as error:
            raise InputError(
                f"The question was refused: {error}",
                "Ask with SELECT over the table spans",
            ) from None


def summary(path: Path | str) -> list[SpanSummary]:
    """Calls, failures, seconds and tokens by kind and model. Raises InputError as `query` does."""
    with closing(_connect([path])) as connection:
        return [SpanSummary(*row) for row in connection.sql(_SUMMARY).fetchall()]


def _connect(paths: tuple[Path | str, ...] | list[Path | str]) -> duckdb.DuckDBPyConnection:
    """A connection in memory that holds the spans of `paths` and reaches nothing else."""
    import duckdb

    if not paths:
        raise InputError("No journal was given", "Name at least one file of spans")
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    try:
        with tempfile.TemporaryDirectory() as folder:
            whole = [str(_whole(Path(path), Path(folder) / str(i))) for i, path in enumerate(paths)]
            connection.execute(
                "CREATE TABLE spans AS SELECT * FROM "
                "read_json(?, format = 'newline_delimited', columns = ?)",
                [whole, _COLUMNS],
            )
    except duckdb.Error as error:
        connection.close()
        for path in paths:
            read(path)
        raise InputError(f"The spans can't be read: {error}", "Check the files") from None
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")
    return connection


def _whole(path: Path, copy: Path) -> Path:
    """`path`, or a copy without its torn last line (a process was killed while writing it)."""
    if not path.is_file():
        raise InputError(f"There are no spans at {path}", "Check the path, or run the step before")
    with open(path, "rb") as file:
        if path.stat().st_size == 0:
            return path
        file.seek(-1, 2)
        if file.read() == b"\n":
            return path
        file.seek(0)
        data = file.read()
    copy.write_bytes(data[: data.rfind(b"\n") + 1])
    return copy
