"""`search_logs`: lines of log files by text, regular expression and time.

A model's expression runs in RE2, whose time is linear in the text: none can
hang the search. Logs lie in the workspace or in datasets/samples/logs/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import Any

from workbench.errors import InputError
from workbench.sandbox import Root
from workbench.tools.contract import Context, Definition
from workbench.tools.files import readable
from workbench.tools.schemas import flag, parameters, record, text, whole

_FILES = ("*.log", "*.log.[0-9]*", "*.txt")
_FILE_BYTES = 50_000_000
_DEPTH = 8
_LIMIT = 20
_LINE_CHARS = 400
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?: ?(?:Z|[+-]\d\d:?\d\d))?")
_STAMP_WITHIN = 80
"""A time stamp is looked for in so many characters at the beginning of a line."""


@dataclass(frozen=True)
class Match:
    """A line that matched, with its neighbours; `line` counts from 1."""

    file: str
    line: int
    text: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matches:
    """The first matches; `left_out` more were found in `files` files, `skipped` can't be read."""

    matches: tuple[Match, ...]
    left_out: int
    files: int
    skipped: tuple[str, ...] = ()


def _search_logs(arguments: Mapping[str, Any], context: Context) -> Matches:
    fits = _matcher(arguments)
    since, until = _time(arguments, "since"), _time(arguments, "until")
    around, limit = arguments.get("context", 0), arguments.get("limit", _LIMIT)
    pattern = arguments.get("files", "")
    matches: list[Match] = []
    skipped: list[str] = []
    files = found = 0
    patterns = (pattern,) if pattern else _FILES
    for name, root, path in _logs(context, patterns, arguments.get("folder", "")):
        try:
            data = root.read(readable(path), limit=_FILE_BYTES)
        except InputError:
            skipped.append(name)
            continue
        files += 1
        lines = data.decode(errors="replace").split("\n")
        if lines[-1] == "":
            lines.pop()
        for number in _within(lines, since, until):
            if not fits(lines[number]):
                continue
            found += 1
            if len(matches) < limit:
                before = lines[max(number - around, 0) : number]
                after = lines[number + 1 : number + 1 + around]
                cut = (tuple(map(_cut, before)), tuple(map(_cut, after)))
                matches.append(Match(name, number + 1, _cut(lines[number]), *cut))
    if not files and not skipped:
        raise InputError(
            f"No log file is named like {pattern or ', '.join(_FILES)}",
            "Leave files out, or see the names with list_files",
        )
    return Matches(tuple(matches), found - len(matches), files, tuple(skipped[:20]))


def _matcher(arguments: Mapping[str, Any]) -> Callable[[str], bool]:
    wanted, case = arguments["pattern"], not arguments.get("ignore_case", False)
    if not arguments.get("regex", False):
        if case:
            return lambda line: wanted in line
        folded = wanted.casefold()
        return lambda line: folded in line.casefold()
    import re2

    options = re2.Options()
    options.log_errors, options.case_sensitive = False, case
    try:
        expression = re2.compile(wanted, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InputError(
            f"The regular expression can't be used: {reason}",
            "Mend it (there is no look-around and no back-reference), or set regex to false",
        ) from None
    return lambda line: expression.search(line) is not None


def _logs(
    context: Context, patterns: tuple[str, ...], folder: str
) -> Iterator[tuple[str, Root, str]]:
    """(name as shown, root, path below it) of each log, in order of name."""
    places = [("", Root(context.workspace))]
    samples = context.settings.datasets / "samples" / "logs"
    if samples.is_dir() and not folder:
        places.append(("samples/logs/", Root(samples)))
    for prefix, root in places:
        for entry in root.list(folder or ".", depth=_DEPTH):
            names = (prefix + entry.name, entry.name.rpartition("/")[2])
            if entry.kind == "file" and any(fnmatch(n, p) for n in names for p in patterns):
                yield names[0], root, entry.name


def _within(lines: list[str], since: datetime | None, until: datetime | None) -> Iterator[int]:
    """Indices of the lines in the range; a line without a time has that of the line before."""
    if since is None and until is None:
        yield from range(len(lines))
        return
    at: datetime | None = None
    for number, line in enumerate(lines):
        stamp = _STAMP.search(line[:_STAMP_WITHIN])
        at = (_parsed(stamp[0]) if stamp else None) or at
        if at and (since is None or at >= since) and (until is None or at <= until):
            yield number


def _time(arguments: Mapping[str, Any], name: str) -> datetime | None:
    if name not in arguments:
        return None
    at = _parsed(arguments[name])
    if at is None:
        raise InputError(
            f"{name} is {arguments[name]!r}", "Give a time such as 2026-03-14T10:00:00Z"
        )
    return at


def _parsed(stamp: str) -> datetime | None:
    """An ISO 8601 time; without a zone it is in UTC. None if it is none."""
    try:
        at = datetime.fromisoformat(stamp.strip().replace(",", ".").replace(" +", "+"))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]}… [{len(line):,} characters]"


SEARCH_LOGS = Definition(
    "search_logs",
    "Find lines in log files by text or regular expression, and by time.",
    parameters(
        {"pattern": text("Text to find", minLength=1, maxLength=1_000)},
        {
            "regex": flag("true: pattern is a regular expression (RE2); default false"),
            "ignore_case": flag("true: upper and lower case are the same; default false"),
            "files": text("Only files named like this, such as *.log"),
            "folder": text("Only below this folder of the workspace"),
            "since": text("Only lines from this time on, such as 2026-03-14T10:00:00Z"),
            "until": text("Only lines up to this time"),
            "context": whole("Lines to show before and after each; default 0", 0, 10),
            "limit": whole(f"Most matches to show; default {_LIMIT}", 1, 100),
        },
    ),
    record(Matches),
    "read",
    _search_logs,
    paths=("folder",),
)
