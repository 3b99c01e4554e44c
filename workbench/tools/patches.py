"""`apply_patch`: a unified diff onto the workspace, all of it or none.

With a test command the patch is first applied to a copy, in which the tests
run; only where they pass is the workspace changed, so a failing patch is never
in it, not even for the time of a test. Files are then exchanged one by one, each
atomically, and put back if one fails. What this does not cover: a process killed
between two files leaves the first ones changed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.sandbox import Root
from workbench.tools.contract import Context, Definition
from workbench.tools.files import readable, writable
from workbench.tools.patch_text import Change, Patched, patched
from workbench.tools.schemas import flag, parameters, record, text
from workbench.tools.testing import Outcome, run_command

_FILE_BYTES = 5_000_000
_COPY_BYTES = 256_000_000
_COPY_FILES = 20_000

Files = Mapping[str, bytes | None]


@dataclass(frozen=True)
class Applied:
    """What a patch did, or would do; the workspace is unchanged unless `applied`."""

    applied: bool
    why: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    tests: Outcome | None = None


def _apply_patch(arguments: Mapping[str, Any], context: Context) -> Applied:
    root = Root(context.workspace)
    before: dict[str, bytes | None] = {}

    def read(path: str) -> bytes | None:
        if path not in before:
            readable(path)
            before[path] = root.read(path, limit=_FILE_BYTES) if root.exists(path) else None
        return before[path]

    after = patched(arguments["patch"], read)
    changes, notes = tuple(after.changes), tuple(after.notes)
    command = arguments.get("test_command", [])
    for path in after.files:
        read(writable(path))
    if arguments.get("dry_run", False):
        return Applied(False, "dry run: the patch fits", changes, notes)
    tests = _tried(after, command, context) if command else None
    if tests and not tests.ok:
        return Applied(False, "the tests fail with it", changes, notes, tests)
    for path, content in before.items():
        if (root.read(path, limit=_FILE_BYTES) if root.exists(path) else None) != content:
            raise InputError(f"{path} was changed by someone else meanwhile", "Try again")
    _exchange(root, before, after)
    return Applied(True, "the tests pass" if tests else "it fits", changes, notes, tests)


def _tried(after: Patched, command: list[str], context: Context) -> Outcome:
    """The tests, on a copy of the workspace with the patch in it."""
    with tempfile.TemporaryDirectory(prefix="workbench-patch-") as temporary:
        copy = Path(temporary) / "copy"
        _copy(context.workspace, copy)
        _exchange(Root(copy), {}, after)
        return run_command(command, copy, context.limits)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; links stay links. Raises InputError where it is too large for a trial."""
    files = size = 0
    for path in source.rglob("*"):
        state = path.lstat()
        files, size = files + 1, size + state.st_size
        if files > _COPY_FILES or size > _COPY_BYTES:
            raise InputError(
                f"The workspace has more than {_COPY_FILES:,} files or {_COPY_BYTES >> 20} MiB",
                "Leave test_command out, and run the tests afterwards with run_tests",
            )
    shutil.copytree(source, target, symlinks=True, ignore=_not_plain)


def _not_plain(folder: str, names: list[str]) -> list[str]:
    """Sockets, pipes and devices, which can't be copied."""
    paths = {name: Path(folder) / name for name in names}
    return [n for n, p in paths.items() if not (p.is_symlink() or p.is_file() or p.is_dir())]


def _exchange(root: Root, before: Files, after: Patched) -> None:
    """Put `after` in place of `before`; put `before` back if one of them fails."""
    done: list[str] = []
    known = {*after.files, *after.origins.values()}
    modes = {path: root.mode(path) for path in known if root.exists(path)}
    try:
        # new content first: a file that is moved exists twice for a moment, and is never lost
        for path in sorted(after.files, key=lambda path: after.files[path] is None):
            _put(root, path, after.files[path], modes.get(after.origins.get(path, path)))
            done.append(path)
    except BaseException:
        for path in reversed(done):
            _put(root, path, before.get(path), modes.get(path))
        raise


def _put(root: Root, path: str, content: bytes | None, mode: int | None) -> None:
    if content is not None:
        root.write(path, content, mode=mode)
    elif root.exists(path):
        root.delete(path)


APPLY_PATCH = Definition(
    "apply_patch",
    "Apply a unified diff to files of the workspace, all or nothing. With test_command, "
    "only if the tests pass.",
    parameters(
        {"patch": text("Unified diff: --- a/FILE, +++ b/FILE, @@ hunks", minLength=1)},
        {
            "dry_run": flag("true: only tell what would change; default false"),
            "test_command": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 50,
                "description": 'Tests to run first, such as ["python3", "-m", "pytest", "-q"]',
            },
        },
    ),
    record(Applied),
    "execute",
    _apply_patch,
)
