"""The command line of bubblewrap: what a program in the sandbox sees of this machine.

    /usr /bin /lib ...      read-only, as they are here
    the interpreter         read-only, where it lies: `python3` is the Python that runs us
    readable folders        read-only, where they lie
    /work                   the folder, read-only or writable; its .git only for git's own sake
    /tmp  /dev/shm          private, in memory, of limited size
    /etc                    a user, localhost and the linker's cache; nothing of the machine's own
    /proc  /dev             of the sandbox alone; /proc and all the rest are read-only

It is not a boundary for what it shows: a program can read all of /usr and of the readable
folders, the names under which they are mounted (/proc/self/mountinfo), and the machine's
load and memory (/proc/meminfo). Nor is it one against a program that already runs in the folder
and swaps its .git for a link in the milliseconds in which another sandbox is made there.

This module knows nothing about limits over time, and starts nothing.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import InputError, SandboxError
from workbench.sandbox.limits import Write

WORK = Path("/work")
_MOVED = Path("/interpreter")
"""Where an interpreter is mounted that lies beneath /work here."""

_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FROM_ETC = (Path("/etc/ld.so.cache"), Path("/etc/alternatives"))
ETC = {
    "/etc/passwd": b"user:x:1000:1000::/tmp:/bin/sh\n",
    "/etc/group": b"user:x:1000:\n",
    "/etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n",
}
"""Files that are made for the sandbox."""


def find() -> str:
    """The path of bwrap. Raises SandboxError with the line that installs it."""
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError(
            "Nothing was run, for there is no sandbox: bwrap is not installed",
            "Install bubblewrap (Linux only): `apt install bubblewrap` on Debian and Ubuntu, "
            "`dnf install bubblewrap` on Fedora, `pacman -S bubblewrap` on Arch",
        )
    return found


def refusal(message: str) -> SandboxError:
    """The error for what bwrap said when it could not make a sandbox."""
    said = message.strip().splitlines()
    reason = said[-1][:300] if said else "bwrap ended without a word"
    return SandboxError(f"Nothing was run, for no sandbox can be made: {reason}", _remedy())


def _remedy() -> str:
    """What has to be changed so that a user may make namespaces."""
    for name, off, line in (
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ):
        try:
            value = Path("/proc/sys", name).read_text().strip()
        except OSError:
            continue
        if value == off:
            return f"Allow user namespaces: `sudo sysctl -w {line}`"
    return (
        "See that `bwrap --unshare-all --ro-bind / / true` works; in a container, start that with "
        "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined`"
    )


def interpreter() -> dict[Path, Path]:
    """Folders of the Python that runs us -> where they are mounted; none for the system's own."""
    places: dict[Path, Path] = {}
    for number, prefix in enumerate(dict.fromkeys((sys.prefix, sys.base_prefix))):
        folder = Path(prefix)
        if not folder.is_relative_to("/usr"):
            moved = folder.is_relative_to(WORK)
            places[folder] = _MOVED / str(number) if moved else folder
    return places


def environment() -> dict[str, str]:
    """All that a program finds in its environment (and bwrap as well)."""
    first = interpreter().get(Path(sys.prefix), Path("/usr/local"))
    return {
        "PATH": f"{first}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
    }


def arguments(
    folder: Path,
    write: Write,
    readable: Sequence[Path],
    room: int,
    files: dict[str, int],
) -> list[str]:
    """Options that make namespaces and mounts; `room` is the size of /tmp and of /dev/shm in bytes.

    `files` are made with what can be read from their descriptors. Raises InputError for a
    readable path that does not exist or can't be mounted, and for a .git that is a link.
    """
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    options += ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    options += ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    for path in _FROM_ETC:
        if path.exists():
            options += ["--ro-bind", str(path), str(path)]
    for name, descriptor in files.items():
        options += ["--file", str(descriptor), name]
    size = ["--size", str(room), "--tmpfs"]
    options += ["--proc", "/proc", "--dev", "/dev", *size, "/dev/shm", *size, "/tmp"]
    # Zeros can be read of it too, but it gives no shared memory that nobody could count.
    options += ["--dev-bind", "/dev/full", "/dev/zero"]
    places = interpreter() | {path: path for path in map(_mountable, readable)}
    for source, place in sorted(places.items()):  # a folder before what lies beneath it
        options += ["--ro-bind", str(source), str(place)]
    options += ["--ro-bind" if write == "none" else "--bind", str(folder), str(WORK)]
    if write == "folder" and (repository := _repository(folder)) is not None:
        options += ["--ro-bind", str(repository), str(WORK / ".git")]
    for closed in ("/dev", "/proc", "/"):
        options += ["--remount-ro", closed]
    return [*options, "--chdir", str(WORK)]


def _repository(folder: Path) -> Path | None:
    """The folder's .git, a folder or (in a worktree) a file. Raises InputError for a link.

    A program may have left the link, and bwrap would follow it: to a folder beside this one.
    """
    path = folder / ".git"
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(mode):
        raise InputError(
            "Nothing was run, for .git in the folder is a link, which may lead outside",
            "Remove it, or give the folder of the repository itself",
        )
    return path


def _mountable(path: Path) -> Path:
    path = Path(path).absolute()
    if not path.exists():
        raise InputError(f"{path} was to be readable in the sandbox and does not exist", "Check it")
    for taken in (WORK, Path("/proc"), Path("/sys"), Path("/dev")):
        if path.is_relative_to(taken) or taken.is_relative_to(path):
            raise InputError(
                f"{path} can't be readable in the sandbox, where {taken} is another folder",
                "Copy what is needed into the work folder",
            )
    return path
