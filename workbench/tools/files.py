"""The files of the workspace: list, read, write, delete.

Four tools and not one with an operation: each has one risk, so a policy can
let a model read without letting it write, and a small model reads a shorter
schema. All names are resolved beneath the workspace by `sandbox.Root`.

Files in which secrets are usually written, by their names (`PRIVATE`), are neither read nor
written, since reading is not asked about. That is no boundary: a secret in a file of another
name is text like any, and an approved program sees the whole workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from workbench.errors import InputError
from workbench.sandbox import Root
from workbench.tools.contract import Context, Definition, shortened
from workbench.tools.schemas import flag, parameters, record, text, whole

_ENTRIES = 200
_LINES = 200
_READ_CHARS = 12_000

PRIVATE = (".env*", "mcp.json", ".netrc", ".git-credentials", ".git/*config*")
"""Names of files and folders that hold settings and keys, whatever the case of their letters.

git's config is among them for the addresses of its remotes, which may hold a token."""


@dataclass(frozen=True)
class Listed:
    """A file or folder; `bytes` is its size, 0 for a folder."""

    path: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class Listing:
    """What a folder holds; `left_out` entries more than are shown."""

    entries: tuple[Listed, ...]
    left_out: int


@dataclass(frozen=True)
class Lines:
    """Lines of a text file, from `first_line`, counted from 1; the file has `total_lines`."""

    path: str
    first_line: int
    total_lines: int
    text: str


@dataclass(frozen=True)
class Written:
    """A file that was written; `new` if there was none before."""

    path: str
    bytes: int
    new: bool


@dataclass(frozen=True)
class Deleted:
    """A file that was deleted."""

    path: str


def _list_files(arguments: Mapping[str, Any], context: Context) -> Listing:
    pattern = arguments.get("pattern", "*")
    found = Root(context.workspace).list(
        arguments.get("path", "."), depth=arguments.get("depth", 1)
    )
    entries = sorted(
        (entry for entry in found if _matches(entry.name, pattern)), key=lambda entry: entry.name
    )
    shown = tuple(Listed(e.name, e.kind, e.size) for e in entries[:_ENTRIES])
    return Listing(shown, len(entries) - len(shown))


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) or fnmatch(name.rpartition("/")[2], pattern)


def _read_file(arguments: Mapping[str, Any], context: Context) -> Lines:
    path, first = arguments["path"], arguments.get("first_line", 1)
    lines = decoded(path, Root(context.workspace).read(readable(path))).split("\n")
    if lines[-1] == "":
        lines.pop()
    if first > max(len(lines), 1):
        raise InputError(f"{path} has {len(lines)} lines", "Start at one of them")
    chosen = lines[first - 1 : first - 1 + arguments.get("lines", _LINES)]
    return Lines(path, first, len(lines), shortened("\n".join(chosen), _READ_CHARS))


def decoded(path: str, data: bytes) -> str:
    """The text of a file. Raises InputError for one that is not UTF-8 text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", "Take another file") from None
    return text


def readable(path: str) -> str:
    """`path`, unless it is one of the files that may hold the user's keys."""
    parts = [part for part in path.lower().split("/") if part not in ("", ".")]
    ends = ["/".join(parts[first:]) for first in range(len(parts))]
    if any(fnmatch(end, name) or fnmatch(end, f"{name}/*") for end in ends for name in PRIVATE):
        raise InputError(f"{path} may hold keys and passwords", "Do without it, or ask the user")
    return path


def writable(path: str) -> str:
    """`path`, unless it may hold keys, or lies in a .git folder, of which the user's git runs much.

    Whoever writes settings chooses where requests go, and keys with them.
    """
    if any(part.lower() == ".git" for part in path.split("/")):
        raise InputError(f"{path} belongs to git", "Use git_write, or ask the user")
    return readable(path)


def _write_file(arguments: Mapping[str, Any], context: Context) -> Written:
    root, path = Root(context.workspace), writable(arguments["path"])
    data = arguments["content"].encode()
    there = root.exists(path)
    if there and not arguments.get("replace", False):
        raise InputError(f"{path} is there already", "Set replace to true, or take another name")
    root.write(path, data)
    return Written(path, len(data), not there)


def _delete_file(arguments: Mapping[str, Any], context: Context) -> Deleted:
    path = writable(arguments["path"])
    Root(context.workspace).delete(path)
    return Deleted(path)


_PATH = text("Path below the workspace, such as src/main.py", minLength=1)

LIST_FILES = Definition(
    "list_files",
    "List or find files and folders of the workspace.",
    parameters(
        {},
        {
            "path": text("Folder to start from; default: the workspace"),
            "pattern": text("Only names like this, such as *.py"),
            "depth": whole("How many levels down; default 1", 1, 8),
        },
    ),
    record(Listing),
    "read",
    _list_files,
    paths=("path",),
)
READ_FILE = Definition(
    "read_file",
    "Read lines of a text file of the workspace.",
    parameters(
        {"path": _PATH},
        {
            "first_line": whole("First line, counted from 1; default 1", 1, 10_000_000),
            "lines": whole(f"How many lines; default {_LINES}", 1, 2_000),
        },
    ),
    record(Lines),
    "read",
    _read_file,
    paths=("path",),
)
WRITE_FILE = Definition(
    "write_file",
    "Write a text file of the workspace, whole.",
    parameters(
        {"path": _PATH, "content": text("The whole text of the file")},
        {"replace": flag("true: overwrite a file that is there; default false")},
    ),
    record(Written),
    "write",
    _write_file,
    paths=("path",),
)
DELETE_FILE = Definition(
    "delete_file",
    "Delete one file of the workspace.",
    parameters({"path": _PATH}),
    record(Deleted),
    "write",
    _delete_file,
    paths=("path",),
)
