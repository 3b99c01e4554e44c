"""Append-only JSONL: one line, one record, on disk before it is acknowledged.

A journal survives a kill at any moment: a line that was not written whole (a
torn tail) is moved aside to `NAME.torn` when the journal is next opened for
writing, and skipped when it is read. A broken line in the middle is an error that names
the line, since it means that something else wrote to the file.

Appends of one process are serialised by a lock on the file, so that two
notebooks may write to one journal. It is not a boundary against programs that
do not take the lock, nor for network file systems without `flock`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from workbench.errors import InputError
from workbench.records import decode, encode

R = TypeVar("R")


class Journal(Generic[R]):
    """Records of one type in one file.

    journal = Journal(path, Rating)
    journal.append(rating)      # returns once the line is on disk
    list(journal)               # all records, in order
    """

    def __init__(self, path: Path | str, type: type[R]) -> None:
        self.path = Path(path)
        self.type = type

    def append(self, *records: R) -> None:
        """Write records and fsync, with the name of a new file.

        Raises InputError where it can't be written.
        """
        data = b"".join(encode(record) + b"\n" for record in records)
        try:
            make_folder(self.path.parent)
            with open(self.path, "ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._set_torn_tail_aside(file)
                start = file.seek(0, os.SEEK_END)
                if start == 0:
                    sync_folder(self.path.parent)
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    # Disk full half-way through a line: leave the journal as it was.
                    os.ftruncate(file.fileno(), start)
                    raise
        except OSError as error:
            raise InputError(
                f"{self.path} can't be written ({error.strerror})",
                "Free some space or allow writing there, then repeat the last step",
            ) from error

    def __iter__(self) -> Iterator[R]:
        """Every whole record, oldest first; nothing when there is no file.

        Raises InputError for a broken line and for a file that can't be read.
        """
        try:
            with open(self.path, "rb") as file:
                for number, line in enumerate(file, start=1):
                    if not line.endswith(b"\n"):
                        return
                    yield _decode(line, self.type, self.path, number)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _set_torn_tail_aside(self, file: Any) -> None:
        """Move bytes after the last newline to NAME.torn."""
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        end = _last_newline(file, size)
        file.seek(end)
        with open(self.path.with_name(self.path.name + ".torn"), "ab") as aside:
            aside.write(file.read() + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        os.ftruncate(file.fileno(), end)


def read(path: Path | str, type: type[R]) -> list[R]:
    """All records of a file that must be there.

    Raises InputError when it is missing or when a line is not a record of `type`,
    a torn last line included: a file that was handed over must be whole.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise _unreadable(path, error) from error
    return [_decode(line, type, path, n) for n, line in enumerate(lines, start=1) if line.strip()]


def write_atomically(path: Path | str, write: Callable[[Path], None]) -> Path:
    """Make a file whole or not at all: `write` fills a neighbour, which then takes the name.

    On disk, with its name, when this returns.
    """
    path = Path(path)
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    return path


def write_whole(path: Path | str, content: bytes | str) -> Path:
    """Make a file hold exactly `content` (text as UTF-8), or leave it as it was.

    Raises InputError where it can't be written.
    """
    data = content.encode() if isinstance(content, str) else content

    def write(partial: Path) -> None:
        partial.write_bytes(data)

    try:
        return write_atomically(path, write)
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror})",
            "Free some space or allow writing there, then repeat the last step",
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; their names are on disk then."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk, as fsync does for a file's content.

    A file system that knows no such thing (EINVAL) is written to without it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path} can't be read ({error.strerror})", "Check the path, or run the step before"
    )


def _decode(line: bytes, type: type[R], path: Path, number: int) -> R:
    try:
        return decode(line, type)
    except ValueError as error:
        raise InputError(
            f"{path}, line {number} is not a {type.__name__}: {error}",
            "Mend or remove that line; the others are whole",
        ) from None


def _last_newline(file: Any, size: int, block: int = 1 << 16) -> int:
    """Offset just after the last newline, 0 if there is none."""
    end = size
    while end > 0:
        start = max(0, end - block)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
