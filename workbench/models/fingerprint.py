"""Name weights by their content: sha256, streamed, remembered per file.

A large model is read once; as long as its path, size and time of change stay
the same, the remembered hash answers. That is a convenience and not a guard
against someone who forges a file's time: `of_file` with no `home` always reads.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from workbench.errors import InputError, ModelError
from workbench.journal import write_whole

_REMEMBER_FROM = 1 << 20  # bytes; smaller files are quicker hashed than looked up


class _Entry(msgspec.Struct, frozen=True):
    path: str
    size: int
    mtime_ns: int
    sha256: str


def of_file(path: Path, home: Path | None = None) -> str:
    """sha256 (hex) of a file's bytes; `home` holds remembered hashes.

    Raises ModelError when the file can't be read.
    """
    try:
        path = path.resolve()
        stat = path.stat()
        if home is None or stat.st_size < _REMEMBER_FROM:
            return _hash(path)
        memory = home / "fingerprints" / hashlib.sha256(str(path).encode()).hexdigest()[:32]
        known = _recall(memory)
        if known and (known.path, known.size, known.mtime_ns) == (
            str(path),
            stat.st_size,
            stat.st_mtime_ns,
        ):
            return known.sha256
        entry = _Entry(str(path), stat.st_size, stat.st_mtime_ns, _hash(path))
    except OSError as error:
        raise ModelError(
            f"{path} can't be read ({error.strerror})", "Check the path and its permissions"
        ) from error
    _remember(memory, entry)
    return entry.sha256


def of_files(files: Iterable[Path], home: Path | None = None) -> str:
    """One sha256 (hex) for several files: over their sorted names and hashes."""
    lines = sorted(f"{file.name} {of_file(file, home)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recall(memory: Path) -> _Entry | None:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=_Entry)
    except (OSError, ValueError):
        return None


def _remember(memory: Path, entry: _Entry) -> None:
    """Best effort: a home that can't be written only costs the time of hashing again."""
    with contextlib.suppress(InputError):
        write_whole(memory, msgspec.json.encode(entry))
