"""Databases answer a question and can't be changed, whatever is asked."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asked_tools import INJECTION, ask, refused
from examples import STRANGE_TEXTS

from workbench.approval import Policy
from workbench.errors import SettingsError, ToolError
from workbench.sandbox import Limits
from workbench.tools import Context, Registry
from workbench.tools.databases import addresses

ROWS = [
    (1, "one", 1.5, b"\0\1"),
    (2, INJECTION, None, b""),
    (3, STRANGE_TEXTS["Russian"], 2**0.5, b"x"),
]


def with_databases(context: Context, *entries: str) -> Context:
    limits = Limits(seconds=20)  # for a machine that is busy
    return replace(context, settings=replace(context.settings, databases=entries), limits=limits)


def hurried(context: Context) -> Context:
    return replace(context, limits=Limits(seconds=2))


@pytest.fixture
def sqlite(context: Context, tmp_path: Path) -> Context:
    with sqlite3.connect(tmp_path / "engine ü.db") as connection:
        connection.execute("CREATE TABLE runs (id INTEGER, name TEXT, value REAL, raw BLOB)")
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", ROWS)
    connection.close()
    return with_databases(context, "engine=sqlite:engine ü.db")


@pytest.fixture
def duckdb(context: Context, tmp_path: Path) -> Context:
    import duckdb

    with duckdb.connect(tmp_path / "engine.duckdb") as connection:
        connection.execute("CREATE TABLE runs (id BIGINT, name TEXT, value DOUBLE, raw BLOB)")
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", ROWS)
    return with_databases(context, "engine=duckdb:engine.duckdb")


def query(context: Context, sql: str, **more: Any) -> Any:
    return ask(context, "query_database", database="engine", sql=sql, **more)


def query_refused(context: Context, sql: str) -> str:
    return refused(context, "query_database", database="engine", sql=sql)


@pytest.fixture(params=["sqlite", "duckdb"])
def engine(request: pytest.FixtureRequest) -> Context:
    return request.getfixturevalue(request.param)


def test_rows_come_as_json(engine: Context) -> None:
    found = query(engine, "SELECT * FROM runs ORDER BY id")
    assert found == {
        "columns": ["id", "name", "value", "raw"],
        "rows": [
            [1, "one", 1.5, "[2 bytes]"],
            [2, INJECTION, None, "[0 bytes]"],
            [3, STRANGE_TEXTS["Russian"], 2**0.5, "[1 bytes]"],
        ],
        "more": False,
    }


def test_rows_are_limited_and_the_rest_is_told(engine: Context) -> None:
    found = query(engine, "SELECT id FROM runs ORDER BY id", rows=2)
    assert (found["rows"], found["more"]) == ([[1], [2]], True)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO runs VALUES (4, 'x', 0, '')",
        "UPDATE runs SET name = 'x'",
        "DELETE FROM runs",
        "DROP TABLE runs",
        "CREATE TABLE more (x INT)",
        "CREATE TEMP TABLE more AS SELECT 1",
        "SELECT 1; DELETE FROM runs",
        "ATTACH 'other.db' AS other",
        "ATTACH ':memory:' AS other",
        "VACUUM INTO 'copy.db'",
        "PRAGMA query_only = off",
        "PRAGMA writable_schema = on",
        "SELECT load_extension('x.so')",
        "SELECT readfile('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "COPY runs TO 'out.csv'",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "EXPORT DATABASE 'out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "BEGIN; DELETE FROM runs; COMMIT",
        "SELECT nothing FROM runs",
        "not sql",
        "",
        ";",
        "SELECT 'a\0b'; DELETE FROM runs",
        "WITH x AS (SELECT 1) DELETE FROM runs",
        "SELECT * FROM x'",
    ],
)
def test_only_one_question_is_answered(sql: str, engine: Context, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.glob("*.d*b") if path.is_file()}
    query_refused(engine, sql)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.d*b") if path.is_file()} == before
    assert not list(tmp_path.rglob("out*"))
    assert len(query(engine, "SELECT * FROM runs")["rows"]) == 3


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def test_an_endless_question_ends(engine: Context) -> None:
    assert "it took too long" in query_refused(hurried(engine), ENDLESS)


def test_a_question_that_wants_all_the_memory_is_refused(sqlite: Context, duckdb: Context) -> None:
    sqlite, duckdb = hurried(sqlite), hurried(duckdb)
    query_refused(sqlite, "SELECT hex(zeroblob(900000000))")
    query_refused(sqlite, "SELECT printf('%.*c', 2e9, 'x')")
    query_refused(duckdb, "SELECT length(repeat('x', 2000000000))")
    query_refused(duckdb, "SELECT levenshtein(repeat('a', 100000), repeat('b', 100000))")


def test_a_write_ahead_log_is_read_or_refused(context: Context, tmp_path: Path) -> None:
    asked = with_databases(context, "engine=sqlite:wal.db")
    connection = sqlite3.connect(tmp_path / "wal.db")
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    try:
        rows = query(asked, "SELECT x FROM t")["rows"]
    except ToolError as error:
        rows = str(error)
    assert rows == [[1]] or "another program writes" in rows
    connection.close()
    assert query(asked, "SELECT x FROM t")["rows"] == [[1]]


@contextmanager
def writing(path: Path, mode: str, *, spilled: bool = True) -> Iterator[None]:
    """Another program in the midst of a transaction: of 2,000 rows of 1 some are 2 by now."""
    connection = sqlite3.connect(path, isolation_level=None)
    with closing(connection):
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?)", [(1,)] * 2_000)
        connection.execute("COMMIT")
        connection.execute("PRAGMA cache_size = 2" if spilled else "PRAGMA cache_size = 2000")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE t SET x = 2 WHERE rowid > 24")
        yield
        connection.execute("ROLLBACK")


COUNTED = "SELECT x, count(*) FROM t GROUP BY x"


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist"])
def test_what_another_program_has_half_written_is_not_told(
    mode: str, context: Context, tmp_path: Path
) -> None:
    asked = with_databases(context, "engine=sqlite:live.db")
    with writing(tmp_path / "live.db", mode):
        assert "another program writes" in query_refused(asked, COUNTED)
    assert query(asked, COUNTED)["rows"] == [[1, 2_000]]


def test_what_another_program_only_means_to_write_does_not_matter(
    context: Context, tmp_path: Path
) -> None:
    asked = with_databases(context, "engine=sqlite:live.db")
    with writing(tmp_path / "live.db", "delete", spilled=False):
        assert (tmp_path / "live.db-journal").exists()
        assert query(asked, COUNTED)["rows"] == [[1, 2_000]]


def test_what_a_killed_program_has_half_written_is_not_told(
    context: Context, tmp_path: Path
) -> None:
    asked = with_databases(context, "engine=sqlite:dead.db")
    with writing(tmp_path / "live.db", "delete"):
        for end in ("", "-journal"):
            shutil.copy(tmp_path / f"live.db{end}", tmp_path / f"dead.db{end}")
    assert "a program died while it wrote" in query_refused(asked, COUNTED)
    with closing(sqlite3.connect(tmp_path / "dead.db")) as connection:
        assert connection.execute(COUNTED).fetchall() == [(1, 2_000)]
    assert query(asked, COUNTED)["rows"] == [[1, 2_000]]


def test_tables_can_be_described(sqlite: Context, duckdb: Context) -> None:
    assert query(sqlite, "SELECT name FROM sqlite_master")["rows"] == [["runs"]]
    assert len(query(sqlite, "PRAGMA table_info(runs)")["rows"]) == 4
    found = query(duckdb, "SELECT table_name FROM information_schema.tables")
    assert found["rows"] == [["runs"]]
    assert query(duckdb, "EXPLAIN SELECT * FROM runs")["rows"]


def test_values_that_json_has_not_are_texts(duckdb: Context) -> None:
    sql = (
        "SELECT DATE '2026-03-14', 1.10::DECIMAL(4, 2), 'nan'::DOUBLE, [1, 2], {'a': 1}, "
        "12345678901234567890::HUGEINT, true, TIMESTAMP '2026-03-14 10:00:00', INTERVAL 1 DAY"
    )
    (row,) = query(duckdb, sql)["rows"]
    assert row == [
        "2026-03-14",
        "1.10",
        "nan",
        [1, 2],
        {"a": 1},
        "12345678901234567890",
        True,
        "2026-03-14T10:00:00",
        "1 day, 0:00:00",
    ]


def test_a_long_value_is_cut_and_the_cut_is_told(engine: Context) -> None:
    ((value,),) = query(engine, f"SELECT '{'x' * 15_000}'")["rows"]
    assert "characters left out" in value
    assert len(value) < 1_100


def test_a_model_names_a_database_and_never_an_address(sqlite: Context) -> None:
    for name in ("other", "sqlite:engine ü.db", "/etc/passwd", ""):
        told = refused(sqlite, "query_database", database=name, sql="SELECT 1")
        assert "Use one of engine" in told or "shorter than" in told or "Give {" in told
    bare = with_databases(sqlite)
    assert "has to set DATABASES" in refused(bare, "query_database", database="x", sql="SELECT 1")


def test_a_missing_or_broken_file_is_one_line(context: Context, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 100)
    for kind in ("sqlite", "duckdb"):
        for file in ("none.db", "broken.db"):
            told = query_refused(
                with_databases(context, f"engine={kind}:{file}"), "SELECT 1 FROM x"
            )
            assert str(tmp_path) not in told or file == "broken.db"
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("entry", ["x", "=sqlite:a", "x=mysql://anna:hidden@h/n", "x=hidden"])
def test_a_broken_setting_is_refused_without_repeating_it(entry: str, context: Context) -> None:
    settings = replace(context.settings, databases=("a=sqlite:a.db", entry))
    with pytest.raises(SettingsError, match="Entry 2 of DATABASES") as refusal:
        addresses(settings)
    assert "hidden" not in str(refusal.value)
    assert "hidden" not in repr(settings)
    assert "DATABASES" not in settings.environment


HERE = (
    "sqlite:engine.db",
    "duckdb:engine.duckdb",
    "postgresql://me:p%40w@localhost/d",
    "postgresql://127.0.0.1:5432,[::1]:5433/d",
    "postgresql://%2Fvar%2Frun%2Fpostgresql/d",
    "postgresql:///d?host=/var/run/postgresql&connect_timeout=3",
)
ELSEWHERE = (
    "postgresql://me:pw@db.example.org/d",
    "postgresql://localhost@db.example.org/d",
    "postgresql://localhost,db.example.org/d",
    "postgresql://localhost/d?host=db.example.org",
    "postgresql://localhost/d?hostaddr=192.0.2.1",
    "postgresql://localhost/d?service=far",
    "postgresql://localhost.example.org/d",
    "postgresql:///d",
    "postgresql://[broken/d",
)


def risk(context: Context, *addresses: str) -> str:
    entries = [f"n{n}={address.replace(',', '%2C')}" for n, address in enumerate(addresses)]
    return Registry(with_databases(context, *entries).settings).get("query_database").risk


def test_a_database_of_this_machine_is_read(context: Context) -> None:
    assert [risk(context, address) for address in HERE] == ["read"] * len(HERE)
    assert risk(context, *HERE) == risk(context) == risk(context, "nonsense") == "read"


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_question_that_may_leave_this_machine_is_asked_about(
    address: str, context: Context
) -> None:
    assert risk(context, *HERE, address) == "network"
    definition = Registry(with_databases(context, f"a={address}").settings).get("query_database")
    assert Policy().rule(definition, {"database": "a", "sql": "SELECT 1"}).ruling == "ask"


# --- PostgreSQL -------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """Addresses of a PostgreSQL server of our own: as a reader, and as a superuser."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    from test_services import postgres

    folder = Path(tempfile.mkdtemp(prefix="workbench-"))
    folder.chmod(0o755)
    try:
        with postgres(folder / "postgres") as url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    "CREATE TABLE runs (id BIGINT, name TEXT, value FLOAT8, raw BYTEA)"
                )
                with connection.cursor() as cursor:
                    cursor.executemany("INSERT INTO runs VALUES (%s, %s, %s, %s)", ROWS)
                connection.execute("CREATE ROLE reader LOGIN PASSWORD 'p,w'")
                connection.execute("GRANT ALL ON runs TO reader")
                connection.execute("CREATE SEQUENCE counter; GRANT ALL ON counter TO reader")
            host = url.rpartition("@")[2]
            yield f"postgresql://reader:p%2Cw@{host}", url
    finally:
        shutil.rmtree(folder)


needs_server = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("postgres"), reason="no PostgreSQL server here"),
]


@pytest.fixture
def postgresql(context: Context, server: tuple[str, str]) -> Context:
    return with_databases(context, f"engine={server[0]}", f"mighty={server[1]}")


class TestPostgres:
    pytestmark = needs_server

    def test_rows_come_as_json(self, postgresql: Context) -> None:
        found = query(postgresql, "SELECT * FROM runs ORDER BY id", rows=2)
        assert found["rows"] == [[1, "one", 1.5, "[2 bytes]"], [2, INJECTION, None, "[0 bytes]"]]
        assert found["more"]
        assert query(postgresql, "SELECT 'a%sb', '%(x)s'")["rows"] == [["a%sb", "%(x)s"]]

    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO runs VALUES (4, 'x', 0, '')",
            "DELETE FROM runs",
            "WITH x AS (DELETE FROM runs RETURNING *) SELECT * FROM x",
            "SELECT 1; COMMIT; DELETE FROM runs",
            "SELECT 1; SET TRANSACTION READ WRITE; DELETE FROM runs",
            "SET TRANSACTION READ WRITE",
            "SELECT set_config('transaction_read_only', 'off', true), nextval('counter')",
            "SELECT set_config('default_transaction_read_only', 'off', false), nextval('counter')",
            "SELECT nextval('counter')",
            "SELECT * FROM runs FOR UPDATE",
            "SELECT * INTO more FROM runs",
            "COPY runs TO STDOUT",
            "COPY runs TO PROGRAM 'cat'",
            "DO $$ BEGIN DELETE FROM runs; END $$",
            "CALL x()",
            "LISTEN x",
            "LOCK runs",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT lo_import('/etc/passwd')",
            "EXPLAIN ANALYZE DELETE FROM runs",
            "not sql",
            "SELECT 'a\0b'",
        ],
    )
    def test_only_one_question_is_answered(self, sql: str, postgresql: Context) -> None:
        query_refused(postgresql, sql)
        assert query(postgresql, "SELECT count(*) FROM runs")["rows"] == [[3]]

    def test_an_endless_question_ends(self, postgresql: Context) -> None:
        asked = hurried(postgresql)
        assert "it took too long" in query_refused(asked, "SELECT pg_sleep(60)")
        slow = "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)"
        assert "it took too long" in query_refused(asked, slow)

    def test_a_mighty_role_is_refused(self, postgresql: Context) -> None:
        told = refused(postgresql, "query_database", database="mighty", sql="SELECT 1")
        assert "may do more than read" in told

    def test_no_address_is_told(self, postgresql: Context, server: tuple[str, str]) -> None:
        wrong = server[0].replace("p%2Cw", "hidden")
        gone = "postgresql://reader:hidden@127.0.0.1:1/x"
        for address in (wrong, gone, "postgresql://[hidden"):
            told = query_refused(with_databases(postgresql, f"engine={address}"), "SELECT 1")
            assert "hidden" not in told
            assert "reader" not in told
            assert "can't be reached" in told
