"""Files and folders: their sha256 (hex digits), forced to disk.

In hashes only content and relative names count; never times, owners or absolute paths.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def sha256_file(path: Path | str) -> str:
    """Hash of one file's bytes. Raises OSError when it can't be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_files(root: Path | str, files: Iterable[Path]) -> str:
    """One hash over files below `root`: each one's relative name and content, sorted by name."""
    root = Path(root)
    lines = sorted(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256_folder(folder: Path | str) -> str:
    """One hash over every file below `folder`."""
    return sha256_files(folder, (path for path in Path(folder).rglob("*") if path.is_file()))


def sha256_code() -> str:
    """One hash over the modules of this package (workbench/**/*.py)."""
    package = Path(__file__).resolve().parent.parent
    return sha256_files(package, package.rglob("*.py"))


def sync(folder: Path) -> None:
    """Force every file below `folder` to disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
