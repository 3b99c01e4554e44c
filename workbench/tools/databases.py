"""`query_database`: one question in SQL to a database that the user named.

Databases stand in the setting `databases`, as NAME=ADDRESS; a model gives the
name and never an address, and addresses are in no message. How each kind is kept
from writing, from files and from running on is in `sql`.

Where one of them may lie on another machine, a question can carry what the model knows
there: the tool's risk is then network, for all of them. What a tunnel or a proxy on this
machine does is not seen, nor PGHOSTADDR and PGSERVICE in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workbench.errors import InputError, SettingsError
from workbench.settings import Settings
from workbench.tools.contract import Context, Definition
from workbench.tools.network import is_loopback
from workbench.tools.schemas import parameters, record, text, whole
from workbench.tools.sql import FILES, KINDS, from_file, from_postgresql

_ROWS = 50


@dataclass(frozen=True)
class Rows:
    """The first rows of an answer; `more` if there were others."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool


def addresses(settings: Settings) -> dict[str, str]:
    """The databases by name. Raises SettingsError for an entry that is none, without its text."""
    found: dict[str, str] = {}
    for number, entry in enumerate(settings.databases, start=1):
        name, _, address = entry.partition("=")
        kind = address.partition(":")[0]
        if not name.strip() or kind not in KINDS or name.strip() in found:
            raise SettingsError(
                f"Entry {number} of DATABASES is not NAME=ADDRESS, or its name is taken",
                f"Write ADDRESS as {', '.join(f'{kind}:...' for kind in KINDS)}",
            )
        found[name.strip()] = address.strip().replace("%2C", ",")
    return found


def _query_database(arguments: Mapping[str, Any], context: Context) -> Rows:
    known, name = addresses(context.settings), arguments["database"]
    if name not in known:
        remedy = f"Use one of {', '.join(known)}" if known else "The user has to set DATABASES"
        raise InputError(f"There is no database {name!r}", remedy)
    kind, _, where = known[name].partition(":")
    sql, rows, limits = arguments["sql"], arguments.get("rows", _ROWS), context.limits
    if kind not in FILES:
        return Rows(**from_postgresql(known[name], sql, rows, limits))
    path = context.settings.root / unquote(where.removeprefix("//"))
    if not path.is_file():
        raise InputError(f"The file of the database {name} is missing", "Tell the user so")
    return Rows(**from_file(kind, path, sql, rows, limits))


def query_database(settings: Settings) -> Definition:
    """The tool with the risk that it has for these databases."""
    try:
        far = any(map(_may_be_elsewhere, addresses(settings).values()))
    except SettingsError:  # no question is asked before that is mended
        far = False
    return replace(_QUERY_DATABASE, risk="network") if far else _QUERY_DATABASE


def _may_be_elsewhere(address: str) -> bool:
    """Whether it names a host beyond this machine, or leaves the host to the environment."""
    if address.partition(":")[0] in FILES:
        return False
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        netlocs = parts.netloc.rpartition("@")[2].split(",")
        hosts = [urlsplit(f"//{each}").hostname for each in netlocs]
    except ValueError:
        return True
    hosts += [
        host for name in ("host", "hostaddr") for host in ",".join(query.get(name, [])).split(",")
    ]
    named = [unquote(host) for host in hosts if host]
    here = [host.startswith("/") or is_loopback(host) for host in named]  # "/": a socket's folder
    return "service" in query or not here or not all(here)


_QUERY_DATABASE = Definition(
    "query_database",
    "Ask a database one question in SQL. It can only read.",
    parameters(
        {
            "database": text("Name of the database", minLength=1),
            "sql": text("One SELECT statement", minLength=1, maxLength=20_000),
        },
        {"rows": whole(f"Most rows to return; default {_ROWS}", 1, 500)},
    ),
    record(Rows),
    "read",
    _query_database,
)
