"""Watches a sandbox from outside: its memory, its processes and its files.

Where control groups can't be written (most desktops and containers), the kernel limits a
process but not a family of them. So this looks at /proc and at the files every few
milliseconds, and names the limit that is exceeded; the caller then kills the sandbox.

It looks often, not always. Between two looks a program can go over a limit by what it
manages in that time: at full speed some tens of MB. Each process also has the kernel's own
limits (see `execution`). Not counted: the kernel's memory for sockets, pipes and page
tables; files that are deleted and mapped or on their way through a socket, but open nowhere,
or open in a process that made itself unreadable to a user like us (root sees them).
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from workbench.errors import SandboxError
from workbench.sandbox.confined import open_beneath
from workbench.sandbox.limits import Limits

_MIB = 1 << 20
_COUNTED = re.compile(rb"^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB", re.MULTILINE)
_SHARED_OUT = re.compile(rb"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB", re.MULTILINE)
_THREADS = re.compile(rb"^Threads:\s+(\d+)", re.MULTILINE)
_LEAST = 4096
"""Bytes that a file counts at least, so that empty ones are not without end."""
_IN_MEMORY = ("tmp", "dev/shm")
"""Of limited size, but empty files have none."""
_REST = 20
"""Looking into the folder may take one part in twenty of the time."""


class Watch:
    """One sandbox, while it runs.

    `processes` is a descriptor of its /proc, `folder` one of the folder that may grow. It is made
    before the program starts: what lies there then is not counted.
    """

    def __init__(self, processes: int, folder: int | None, limits: Limits) -> None:
        self._processes = processes
        self._limits = limits
        try:
            self._files = self._in_memory()
        except OSError as error:
            raise SandboxError(
                f"The sandbox's files in memory can't be counted ({error.strerror})",
                "Look whether /proc is mounted in full, and whether its processes may be looked at",
            ) from None
        self._growth = None if folder is None else _Growth(folder, limits.disk_mb * _MIB)

    def exceeded(self) -> Literal["memory", "processes", "disk"] | None:
        """The limit over which the sandbox is now."""
        ids = [name for name in os.listdir(self._processes) if name.isdigit() and name != "1"]
        if len(ids) > self._limits.processes:
            return "processes"
        found = [self._state(id) for id in ids]
        states = [state for _, state in found]
        if sum(_sum(_THREADS, state) for state in states) > self._limits.processes:
            return "processes"
        if sum(_sum(_COUNTED, state) for state in states) > self._limits.memory_mb * 1024:
            # Forked processes share pages, which were counted once for each of them.
            shares = (
                _sum(_SHARED_OUT, self._text(f"{name}/smaps_rollup")) or _sum(_COUNTED, state)
                for name, state in found
            )
            if sum(shares) > self._limits.memory_mb * 1024:
                return "memory"
        if self._crowded() or (
            self._growth is not None and self._growth.exceeded(self._deleted(ids))
        ):
            return "disk"
        return None

    def _crowded(self) -> bool:
        """Whether more files were made in memory than there is room for."""
        most = self._limits.disk_mb * _MIB // _LEAST
        with suppress(OSError):  # which says that the sandbox is gone, or just going
            counts = zip(self._files, self._in_memory(), strict=True)
            return any(now - before > most for before, now in counts)
        return False

    def _in_memory(self) -> list[int]:
        """How many files each file system in memory holds."""
        root = Path("/proc/self/fd", str(self._processes), "1", "root")
        found = [os.statvfs(root / place) for place in _IN_MEMORY]
        return [each.f_files - each.f_ffree for each in found]

    def _state(self, id: str) -> tuple[str, bytes]:
        """A process's name and status, or those of a thread of it that lives on after the first
        one, of which no memory is told any more."""
        status = self._text(f"{id}/status")
        if not _COUNTED.search(status):
            for thread in self._threads(id):
                if _COUNTED.search(found := self._text(f"{thread}/status")):
                    return thread, found
        return id, status

    def _threads(self, id: str) -> list[str]:
        return [f"{id}/task/{thread}" for thread in self._listed(f"{id}/task")]

    def _text(self, name: str) -> bytes:
        """A file of the sandbox's /proc; nothing once the process is gone."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._processes)
        except OSError:
            return b""
        try:
            return os.read(descriptor, 1 << 16)
        except OSError:
            return b""
        finally:
            os.close(descriptor)

    def _listed(self, name: str) -> list[str]:
        """What a folder of the sandbox's /proc holds; nothing once the process is gone."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._processes)
        except OSError:
            return []
        try:
            return os.listdir(descriptor)
        except OSError:
            return []
        finally:
            os.close(descriptor)

    def _deleted(self, ids: list[str]) -> Iterator[os.stat_result]:
        """Files that are open and have no name any more; each thread may have its own."""
        for thread in (thread for id in ids for thread in self._threads(id)):
            for descriptor in self._listed(f"{thread}/fd"):
                try:
                    found = os.stat(f"{thread}/fd/{descriptor}", dir_fd=self._processes)
                except OSError:
                    continue
                if found.st_nlink == 0 and stat.S_ISREG(found.st_mode):
                    yield found


class _Growth:
    """By how much a folder grew since the start.

    A folder that can't be looked into, or is too deep for that, counts as too much. A folder
    that is renamed faster than it is looked at can be missed.
    """

    def __init__(self, folder: int, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._device = os.fstat(folder).st_dev
        self._before, self._closed = self._measure(None)
        self._free = self._free_bytes()
        self._next = 0.0

    def exceeded(self, deleted: Iterator[os.stat_result]) -> bool:
        """Looks when the file system lost more than the limit, or when it is time again."""
        start, free = time.monotonic(), self._free_bytes()
        if start < self._next and self._free - free <= self._limit:
            return False
        size, closed = self._measure(self._before + self._limit)
        nameless = {file.st_ino: _size(file) for file in deleted if file.st_dev == self._device}
        self._free = free
        self._next = start + max(0.1, _REST * (time.monotonic() - start))
        return size + sum(nameless.values()) > self._before + self._limit or closed > self._closed

    def _measure(self, enough: int | None) -> tuple[int, int]:
        """Bytes, as far as `enough` at most, and how many folders can't be looked into."""
        size, closed, names = 0, 0, ["."]
        while names:
            name = names.pop()
            try:
                folder = open_beneath(self._folder, name, os.O_RDONLY | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                closed += 1
                continue
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        try:
                            found = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue
                        size += _size(found)
                        if stat.S_ISDIR(found.st_mode):
                            names.append(f"{name}/{entry.name}")
                        if enough is not None and size > enough:
                            return size, closed
            finally:
                os.close(folder)
        return size, closed

    def _free_bytes(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bfree * found.f_frsize


def _size(found: os.stat_result) -> int:
    return max(_LEAST, found.st_blocks * 512)


def _sum(pattern: re.Pattern[bytes], text: bytes) -> int:
    return sum(map(int, pattern.findall(text)))
