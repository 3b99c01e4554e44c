"""What a run in the sandbox may use, and what came of it.

This module knows nothing about how the limits are held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from workbench.errors import InputError

Write = Literal["none", "folder", "repository"]
"""What a program may change: nothing, its folder without its .git, or all of its folder."""
Ended = Literal["exit", "signal", "timeout", "memory", "processes", "output", "disk", "stopped"]
"""Why a run ended: by itself, by a signal of its own, by the limit of that name, or because it
was stopped from outside (see `stopping`)."""


@dataclass(frozen=True)
class Limits:
    """What one run may use, over all its processes together.

    Raises InputError for a limit that is no positive number.
    """

    seconds: float = 30.0
    """Wall time; the processor time of each process is bounded by it as well."""
    memory_mb: int = 512
    """MiB of anonymous and shared memory. Files in /tmp and /dev/shm count as disk."""
    processes: int = 64
    """Processes and threads at one time."""
    output_bytes: int = 64_000
    """Of stdout and stderr together that are kept; more is cut in the middle."""
    disk_mb: int = 64
    """MiB by which the folder may grow; /tmp and /dev/shm hold as much each. A file counts as
    at least 4 KiB."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, kinds = (
                getattr(self, field.name),
                int | float if field.name == "seconds" else int,
            )
            if not isinstance(value, kinds) or not 0 < value < math.inf:
                whole = "" if field.name == "seconds" else "whole "
                raise InputError(
                    f"The limit {field.name} is {value!r}", f"Give a {whole}number above zero"
                )


@dataclass(frozen=True)
class Ran:
    """What came of one run."""

    exit_code: int | None
    """As a shell gives it: 128 and the signal's number after a signal; None where a limit ended."""
    stdout: str
    """Control characters but newline and tab are written as \\x1b."""
    stderr: str
    truncated: bool
    """Whether stdout or stderr was cut; the text says where, and by how much."""
    ended: Ended
    seconds: float
    """Wall time, without the making of the sandbox."""
