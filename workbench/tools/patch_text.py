"""A unified diff, read and applied to texts in memory.

Context and removed lines must match exactly (fuzz 0). A hunk that does not fit
at its line number is placed elsewhere only where it fits once, and the place is
told. A patch whose lines end in LF fits a file whose lines all end in CRLF; its lines
then end so too. Files keep their modes, which are never set; binary patches, symbolic links and
submodules are refused.
This module touches no file: it is given a function that reads one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from workbench.errors import InputError

if TYPE_CHECKING:
    from unidiff import Hunk, PatchedFile

Read = Callable[[str], bytes | None]
"""The content of a file by its path; None where there is none."""

_NULL = "/dev/null"
_BINARY = re.compile(r"^GIT binary patch", re.MULTILINE)
_ASK_AGAIN = "Read the file again and make the patch from what it says now"


@dataclass(frozen=True)
class Change:
    """What a patch does to one file; `lines` is where each hunk was placed, counted from 1."""

    path: str
    kind: Literal["new", "deleted", "changed", "renamed", "copied"]
    added: int
    removed: int
    lines: tuple[int, ...] = ()
    source: str | None = None


@dataclass
class Patched:
    """Files after a patch: new content by path, None for one that is gone.

    `origins` tells of a file that was renamed or copied what it was before the patch.
    """

    changes: list[Change] = field(default_factory=list)
    files: dict[str, bytes | None] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def patched(patch: str, read: Read) -> Patched:
    """The files that `patch` changes, as they would be. Raises InputError where it doesn't fit."""
    result = Patched()

    def current(path: str) -> bytes | None:
        return result.files[path] if path in result.files else read(path)

    for file in _parsed(patch):
        source, target = _paths(file)
        new = source == _NULL
        before = None if new else current(source)
        if new and current(target) is not None:
            raise InputError(f"{target} is there already", "Patch it instead of making it new")
        if before is None and not new:
            if not file.is_added_file:
                raise InputError(f"{source} is not there", "See the names with list_files")
            new = True
        text, lines = _applied(file, target if new else source, _text(source, before or b""))
        gone = target == _NULL
        if gone and text:
            raise InputError(
                f"{source} holds more than the patch deletes", "Delete all of its lines"
            )
        moved = not new and not gone and source != target
        if moved and current(target) is not None:
            raise InputError(f"{target} is there already", "Take another name")
        if moved:
            result.origins[target] = result.origins.get(source, source)
        copied = moved and _says(file, "copy from ")
        if gone or (moved and not copied):
            result.files[source] = None
        if not gone:
            result.files[target] = text.encode()
        if _says(file, "old mode ", "new file mode 100755"):
            result.notes.append(f"The mode of {target} is not set")
        result.changes.append(
            Change(
                path=source if gone else target,
                kind=_kind(new, gone, moved, copied),
                added=file.added,
                removed=file.removed,
                lines=tuple(lines),
                source=source if moved else None,
            )
        )
    return result


def _kind(
    new: bool, gone: bool, moved: bool, copied: bool
) -> Literal["new", "deleted", "changed", "renamed", "copied"]:
    if new:
        return "new"
    if gone:
        return "deleted"
    return "copied" if copied else "renamed" if moved else "changed"


def _parsed(patch: str) -> list[PatchedFile]:
    from unidiff import PatchSet, UnidiffParseError

    if "\0" in patch or _BINARY.search(patch):
        raise InputError("The patch is binary", "Give a unified diff of text")
    try:
        files = list(PatchSet(patch if patch.endswith("\n") else f"{patch}\n"))
    except UnidiffParseError as error:
        reason = str(error).split("\n")[0][:120]
        raise InputError(
            f"The patch can't be read: {reason}",
            "Give a unified diff: --- a/FILE, +++ b/FILE, and hunks whose @@ -line,count "
            "+line,count @@ tells how many lines follow",
        ) from None
    for file in files:
        if file.is_binary_file:
            raise InputError(f"The patch of {file.path} is binary", "Give a unified diff of text")
        if file.is_symlink or file.is_submodule:
            raise InputError(
                f"{file.path} is a symbolic link or submodule", "Patch plain files only"
            )
    if not any(file or _says(file, "rename ", "copy ", "new file", "deleted") for file in files):
        raise InputError(
            "The patch changes nothing", "Give a unified diff with --- a/FILE and +++ b/FILE"
        )
    return files


def _says(file: PatchedFile, *beginnings: str) -> bool:
    """Whether a line above the hunks begins with one of `beginnings`."""
    return any(line.startswith(beginnings) for line in file.patch_info or ())


def _paths(file: PatchedFile) -> tuple[str, str]:
    """Source and target, without a/ and b/ and quotes."""
    source, target = _unquoted(file.source_file), _unquoted(file.target_file)
    prefixed = source == _NULL or source.startswith("a/")
    if prefixed and (target == _NULL or target.startswith("b/")):
        return source.removeprefix("a/"), target.removeprefix("b/")
    return source, target


def _unquoted(name: str) -> str:
    """git quotes names with other than ASCII letters, as in C: octal bytes of UTF-8."""
    if not (len(name) > 1 and name[0] == name[-1] == '"'):
        return name.removesuffix("\r")
    try:
        return codecs.escape_decode(name[1:-1].encode())[0].decode()
    except ValueError:
        raise InputError(f"{name} is no file name", "Write the name without quotes") from None


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", "Patch text files only") from None


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a newline ends one."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _applied(file: PatchedFile, path: str, before: str) -> tuple[str, list[int]]:
    """The text after all hunks, and the line where each was placed."""
    lines = _lines(before)
    crlf = bool(lines) and all(line.endswith("\r\n") for line in lines)
    after: list[str] = []
    done, places = 0, []
    for number, hunk in enumerate(file, start=1):
        old, new = _sides(hunk)
        if crlf and not any("\r" in line for line in (*old, *new)):
            old, new = [_with_cr(line) for line in old], [_with_cr(line) for line in new]
        stated = hunk.source_start - 1 if old else hunk.source_start
        place = _place(lines, old, done, stated)
        if place is None:
            raise InputError(f"Hunk {number} does not fit {path}: {_why(lines, old)}", _ASK_AGAIN)
        after += lines[done:place] + new
        done = place + len(old)
        places.append(place + 1)
    after += lines[done:]
    if any(not line.endswith("\n") for line in after[:-1]):
        raise InputError(
            f"The patch puts lines after the last line of {path}, which has no newline",
            "Show that line as removed and added again",
        )
    return "".join(after), places


def _sides(hunk: Hunk) -> tuple[list[str], list[str]]:
    """Lines before and after, with ends; `\\ No newline` takes the end off the line above it."""
    old: list[str] = []
    new: list[str] = []
    touched: tuple[list[str], ...] = ()
    for line in hunk:
        if line.line_type == "\\":
            for side in touched:
                side[-1] = side[-1].removesuffix("\n").removesuffix("\r")
            continue
        touched = {" ": (old, new), "-": (old,), "+": (new,)}.get(line.line_type, ())
        for side in touched:
            side.append(line.value)
    return old, new


def _with_cr(line: str) -> str:
    return f"{line[:-1]}\r\n" if line.endswith("\n") else line


def _place(lines: list[str], old: list[str], done: int, stated: int) -> int | None:
    """Where `old` stands: at its stated line, or at the one other place from `done` on."""
    if stated >= done and lines[stated : stated + len(old)] == old and stated <= len(lines):
        return stated
    if not old:
        return None
    last = len(lines) - len(old)
    fitting = (at for at in range(done, last + 1) if lines[at : at + len(old)] == old)
    place = next(fitting, None)
    return place if next(fitting, None) is None else None


def _why(lines: list[str], old: list[str]) -> str:
    count = sum(lines[at : at + len(old)] == old for at in range(len(lines) - len(old) + 1))
    if old and count > 1:
        return f"its lines stand there {count} times, and not at the line that it names"
    known = set(lines)
    missing = next((line for line in old if line not in known), None)
    if missing is None:
        return "its lines do not stand there in this order"
    return f"there is no line {missing.rstrip()[:80]!r}"
