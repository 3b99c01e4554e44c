"""Folders of files that are there whole or not at all, each file known by its hash.

A folder is written beside its place and renamed. The hashes find accidental
changes; they are not a boundary against someone who recomputes them. This module
does not know what is in the files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError
from workbench.journal import sync_folder

_PARTIAL = ".partial-"


@dataclass(frozen=True)
class HashedFile:
    """A file's name, without its folder, and the sha256 of its bytes."""

    name: str
    sha256: str


def put(target: Path, fill: Callable[[Path], None]) -> Path:
    """Let `fill` write a folder of its own, then give it its name; one that is there stays.

    Raises InputError where it can't be written.
    """
    from filelock import FileLock

    parent = target.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with FileLock(parent / ".lock"):
            for left_by_a_kill in parent.glob(f"{_PARTIAL}*"):
                shutil.rmtree(left_by_a_kill)
            if not target.exists():
                partial = parent / f"{_PARTIAL}{target.name}"
                try:
                    partial.mkdir()
                    fill(partial)
                    sync_folder(partial)
                    os.rename(partial, target)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
                sync_folder(parent)
    except OSError as error:
        raise InputError(
            f"{target} can't be written ({error.strerror})",
            "Free some space or allow writing there, then repeat",
        ) from error
    return target


def write(path: Path, data: bytes) -> HashedFile:
    """Write a file durably."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return HashedFile(path.name, hashlib.sha256(data).hexdigest())


def hashed(path: Path) -> HashedFile:
    """A file as it is now. Raises InputError where it can't be read."""
    try:
        with open(path, "rb") as file:
            return HashedFile(path.name, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror})", "Check the path, or run the step before"
        ) from error
