"""One folder, beneath which file names are resolved: the files that a model may name.

A name is never resolved as a string. The kernel opens it beneath the folder's descriptor and
refuses every symbolic link on the way (openat2, Linux 5.6); older kernels go component by
component. So a folder that is swapped for a link while it is used leads nowhere else.

It is not a boundary against other programs of the same user, which can change the files
themselves, nor against mounts beneath the folder.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.errors import InputError

Kind = Literal["file", "folder", "link", "other"]

_MOST_ENTRIES = 10_000
_LONGEST = 4000
"""Bytes of a name: somewhat less than the kernel takes at once (PATH_MAX)."""
_SYS_OPENAT2 = 437
# linux/openat2.h
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Entry:
    """What lies in a folder. `name` counts from the root; `size` is in bytes, 0 but for files."""

    name: str
    kind: Kind
    size: int


class Root:
    """One folder; every name that leads out of it raises InputError.

    root = Root(folder)
    root.write("notes/today.md", b"...")
    root.read("notes/today.md")

    Only plain files are read and replaced: no links, no pipes or devices, and no file with a
    second name (a hard link), which may lie outside. Messages name no path outside the folder.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(
                f"{path} can't be opened as a folder ({error.strerror})", "Give a folder's path"
            ) from error
        weakref.finalize(self, os.close, self._folder)

    def read(self, name: str, *, limit: int = 1_000_000) -> bytes:
        """All bytes of a file. Raises InputError for one that is larger than `limit` bytes."""
        # O_NONBLOCK: a pipe is opened at once, and then refused.
        with (
            _told(name),
            _opened(self._folder, _checked(name), os.O_RDONLY | os.O_NONBLOCK) as file,
        ):
            found = _plain(os.fstat(file), name)
            data = b"" if found.st_size > limit else _read(file, limit + 1)
            if found.st_size > limit or len(data) > limit:
                raise InputError(
                    f"{_shown(name)} is larger than {limit:,} bytes",
                    "Read a smaller file, or search in it",
                )
            return data

    def mode(self, name: str) -> int:
        """Who may read, write and run a file, as for chmod."""
        with _told(name), _opened(self._folder, _checked(name), os.O_PATH) as file:
            return _plain(os.fstat(file), name).st_mode & 0o777

    def write(self, name: str, data: bytes, *, mode: int | None = None) -> None:
        """Make or replace a file whole, with its parent folders; readers see the old or the new.

        A file that is replaced keeps its mode, unless one is given.
        """
        with _told(name), self._parent(name, make=True) as (folder, last):
            with suppress(FileNotFoundError):
                found = _plain(os.stat(last, dir_fd=folder, follow_symlinks=False), name)
                mode = found.st_mode & 0o777 if mode is None else mode
            draft = f".{secrets.token_hex(8)}.part"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(draft, flags, 0o666, dir_fd=folder)
            try:
                with open(file, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    if mode is not None:
                        os.fchmod(file, mode)
                    os.fsync(file)
                os.rename(draft, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(draft, dir_fd=folder)
                raise
            os.fsync(folder)

    def list(self, name: str = ".", *, depth: int = 1) -> list[Entry]:
        """What lies in a folder, and `depth` - 1 folders beneath; sorted by name.

        Letters that are no UTF-8 are written as \\xff, so such a file can be seen but not named.
        Raises InputError for more than 10,000 entries.
        """
        entries: list[Entry] = []
        folders = [(_checked(name, itself=True), 1)]
        with _told(name):
            while folders:
                path, level = folders.pop()
                try:
                    listed = _entries(self._folder, path)
                except OSError:
                    if level == 1:
                        raise
                    continue  # gone meanwhile, or closed to us
                entries += listed
                if len(entries) > _MOST_ENTRIES:
                    raise InputError(
                        f"{_shown(name)} holds more than {_MOST_ENTRIES:,} entries",
                        "List a folder beneath it, or less deep",
                    )
                if level < depth:
                    found = (entry.name for entry in listed if entry.kind == "folder")
                    folders += [(folder, level + 1) for folder in found]
        return sorted(entries, key=lambda entry: entry.name)

    def delete(self, name: str) -> None:
        """Remove a file, a link (not what it points to) or an empty folder."""
        with _told(name), self._parent(name) as (folder, last):
            if stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
                os.rmdir(last, dir_fd=folder)
            else:
                os.unlink(last, dir_fd=folder)

    def exists(self, name: str) -> bool:
        """Whether a file or folder of that name is there."""
        try:
            with _told(name), _opened(self._folder, _checked(name, itself=True), os.O_PATH) as file:
                return stat.S_IFMT(os.fstat(file).st_mode) in (stat.S_IFREG, stat.S_IFDIR)
        except _Missing:
            return False

    @contextmanager
    def _parent(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds `name`, and the last part of the name."""
        *parents, last = _checked(name).split("/")
        above = "."
        for part in parents:
            if make:
                with _opened(self._folder, above, os.O_PATH) as at, suppress(FileExistsError):
                    os.mkdir(part, dir_fd=at)
            above = f"{above}/{part}"
        with _opened(self._folder, above, os.O_RDONLY | os.O_DIRECTORY) as folder:
            yield folder, last


def open_beneath(folder: int, name: str, flags: int) -> int:
    """Open `name` beneath a folder's descriptor, through no symbolic link and no `..` out of it.

    Raises OSError: EXDEV or ELOOP for what leads outside.
    """
    try:
        return _openat2(folder, name, flags | os.O_CLOEXEC)
    except OSError as error:
        # EPERM: filters of older container runtimes refuse what they don't know.
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return _step_by_step(folder, name, flags | os.O_CLOEXEC)


def _openat2(folder: int, name: str, flags: int) -> int:
    path = os.fsencode(name)
    how = (ctypes.c_uint64 * 3)(flags, 0, _BENEATH | _NO_MAGICLINKS | _NO_SYMLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    number = ctypes.c_long(_SYS_OPENAT2)
    opened = _libc.syscall(number, ctypes.c_int(folder), path, ctypes.byref(how), size)
    if opened < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(opened)


def _step_by_step(folder: int, name: str, flags: int) -> int:
    """The same by one openat for each part of the name."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or name.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    at = os.dup(folder)
    for position, part in enumerate(parts or ["."], start=1):
        last = position >= len(parts)
        try:
            beneath = os.open(part, (flags if last else os.O_PATH) | os.O_NOFOLLOW, dir_fd=at)
        finally:
            os.close(at)
        at = beneath
        # O_PATH opens a link itself instead of refusing it.
        if stat.S_ISLNK(os.fstat(at).st_mode):
            os.close(at)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return at


@contextmanager
def _opened(folder: int, name: str, flags: int) -> Iterator[int]:
    descriptor = open_beneath(folder, name, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _entries(root: int, path: str) -> list[Entry]:
    """What lies in one folder, or the first of more than is shown."""
    entries: list[Entry] = []
    with _opened(root, path, os.O_RDONLY | os.O_DIRECTORY) as folder, os.scandir(folder) as found:
        for item in found:
            if len(entries) > _MOST_ENTRIES:
                break
            try:
                about = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            beneath = item.name if path == "." else f"{path}/{item.name}"
            kind = _kind(about.st_mode)
            entries.append(Entry(_readable(beneath), kind, about.st_size if kind == "file" else 0))
    return entries


class _Missing(InputError):
    """There is nothing of that name."""


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What the kernel refuses, in words."""
    try:
        yield
    except OSError as error:
        shown, code = _shown(name), error.errno
        if code == errno.ENOENT:
            fact = f"There is no {shown} in the folder"
            raise _Missing(fact, "Take a name from its list") from error
        if code == errno.ENOTDIR:
            fact = f"A part of {shown} is a file and no folder"
            raise _Missing(fact, "Take a name from the folder's list") from error
        if code in (errno.ELOOP, errno.EXDEV):
            raise InputError(
                f"{shown} leads through a link or out of the folder",
                "Name a file that lies in the folder itself",
            ) from error
        raise InputError(
            f"{shown} can't be used ({error.strerror})", "Check the name, its kind and its place"
        ) from error


def _checked(name: str, *, itself: bool = False) -> str:
    """The name, without empty parts. Raises InputError where it can't lie beneath the folder."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise InputError(
            f"{_shown(name)} leads out of the folder", "Give a name beneath it, without `..`"
        )
    if not name or "\0" in name or not (parts or itself):
        raise InputError(f"{_shown(name)} is no name of a file", "Give a name beneath the folder")
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError as error:
        raise InputError(
            f"{_shown(name)} holds characters that no file name can have", "Leave them out"
        ) from error
    if size > _LONGEST:
        raise InputError(f"{_shown(name)} is too long for a name", f"Keep to {_LONGEST} bytes")
    return "/".join(parts) or "."


def _plain(found: os.stat_result, name: str) -> os.stat_result:
    """Raises InputError for what is no plain file with one name."""
    if not stat.S_ISREG(found.st_mode):
        kind = {"folder": "a folder", "link": "a link"}.get(
            _kind(found.st_mode), "a pipe or device"
        )
        raise InputError(f"{_shown(name)} is {kind}", "Name a plain file")
    if found.st_nlink > 1:
        raise InputError(
            f"{_shown(name)} has a second name (a hard link), which may lie outside",
            "Copy it to a file of its own",
        )
    return found


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def _read(file: int, limit: int) -> bytes:
    with open(file, "rb", closefd=False) as stream:
        return stream.read(limit)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:77] + "...")


def _readable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
