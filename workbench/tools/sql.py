"""One read-only question to SQLite, DuckDB or PostgreSQL, with its time and rows limited.

The SQL is hostile.

    SQLite      in the sandbox; opened read-only, and an authorizer that knows only SELECT
                and what describes tables: no ATTACH, no other PRAGMA, no load_extension
    DuckDB      in the sandbox; read-only, no access to files or network, configuration
                locked, one SELECT
    PostgreSQL  in this process, as the server is elsewhere: a role without superuser
                rights, a read-only transaction that is rolled back, one SELECT (a
                cursor), and a time limit that the server keeps

What this does not cover: a function that the owner of a PostgreSQL database made to
write elsewhere still does, and a single huge value of such a server fills memory here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from workbench import sandbox
from workbench.errors import InputError, MissingLibrary
from workbench.sandbox import Limits
from workbench.tools import sql_worker

FILES = tuple(sql_worker.ENGINES)
"""Kinds of databases that are files."""
KINDS = (*FILES, "postgresql")

_CHARS = 24_000
_CONNECT_SECONDS = 5


def from_file(kind: str, path: Path, sql: str, rows: int, limits: Limits) -> Mapping[str, Any]:
    """columns, rows and more, asked of a file. Raises InputError for what is refused or fails."""
    asked = {"kind": kind, "file": path.name, "sql": sql, "rows": rows, "chars": _CHARS}
    program = Path(sql_worker.__file__).read_text(encoding="utf-8")
    ran = sandbox.run(
        ["python3", "-I", "-B", "-X", "utf8", "-c", program],
        folder=path.parent,
        stdin=json.dumps(asked),
        limits=limits,
    )
    if ran.ended == "timeout":
        raise _refused("it took too long", limits.seconds)
    if ran.ended != "exit" or ran.exit_code != 0 or ran.truncated:
        raise _refused("it needs too much memory, or its answer is too long", limits.seconds)
    told: dict[str, Any] = json.loads(ran.stdout)
    if "refused" in told:
        raise _refused(told["refused"], limits.seconds)
    return told


def from_postgresql(address: str, sql: str, rows: int, limits: Limits) -> Mapping[str, Any]:
    """columns, rows and more, asked of a server. Raises InputError as `from_file` does.

    Raises MissingLibrary without psycopg.
    """
    try:
        import psycopg
    except ImportError:
        raise MissingLibrary("psycopg", "A PostgreSQL database", extra="postgres") from None

    milliseconds = max(int(limits.seconds * 1000), 1)
    options = (
        f"-c default_transaction_read_only=on -c statement_timeout={milliseconds} "
        f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}"
    )
    try:
        connection = psycopg.connect(address, options=options, connect_timeout=_CONNECT_SECONDS)
    except psycopg.Error as error:  # its message may name users and hosts
        raise InputError(
            f"The database can't be reached ({type(error).__name__})", "Tell the user so"
        ) from None
    with closing(connection):
        connection.read_only = True
        try:
            if connection.execute(_MIGHTY).fetchone() != (False,):
                raise InputError(
                    "The database is opened by a role that may do more than read",
                    "The user has to name a role without superuser and server file rights",
                )
            with connection.cursor(name="answer") as cursor:  # DECLARE takes one SELECT only
                cursor.execute(sql.encode())
                names = [column.name for column in cursor.description or ()]
                return sql_worker.answer(names, cursor.fetchmany(rows + 1), rows, _CHARS)
        except psycopg.errors.QueryCanceled:
            raise _refused("it took too long", limits.seconds) from None
        except psycopg.Error as error:
            raise _refused(str(error), limits.seconds) from None
        finally:
            connection.rollback()


_MIGHTY = """
SELECT current_setting('is_superuser') = 'on' OR EXISTS (
    SELECT FROM pg_roles WHERE pg_has_role(session_user, oid, 'member') AND (
        rolsuper OR rolname IN (
            'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')))
"""
"""Whether the role could reach files or programs of the server's machine."""


def _refused(reason: str, seconds: float) -> InputError:
    return InputError(
        f"The question was refused: {reason}",
        f"Ask one SELECT that needs less than {seconds:g} s",
    )
