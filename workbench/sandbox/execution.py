"""Runs a program in a bubblewrap sandbox, under limits, or not at all.

Walls: namespaces of its own for users, processes, mounts, network, host name, messages and
control groups; no capabilities; a filter of system calls; no environment; no descriptor but
stdin, stdout and stderr. The program starts only once it is watched and bound to us: when
`run` returns or raises, or we are killed at any moment, no process of it is left.

How each limit is held:
- wall time: the whole process namespace is killed; processor time: the kernel, for each process
- memory: watched over all processes; the kernel bounds each process's own data (RLIMIT_DATA)
- processes and threads: watched; the kernel refuses twice as many, but never to root
- output: pipes that are read here; what can't be kept is counted, and a flood ends the run
- disk: /tmp and /dev/shm have a size; their number of files and the folder are watched; the
  kernel bounds each file

It is not a boundary against faults in the kernel itself, nor against what can be learnt from
timing on a shared machine. What is watched can be exceeded for a moment (see `watch`). Run by
root, the program is root to the kernel for files that it sees, without root's capabilities.
What a program wrote into the folder before it was ended stays there.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import resource
import select
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workbench.errors import InputError, SandboxError
from workbench.sandbox import bubblewrap, seccomp
from workbench.sandbox.limits import Ended, Limits, Ran, Write
from workbench.sandbox.output import Kept, texts, visible
from workbench.sandbox.stopping import stopped
from workbench.sandbox.watch import Watch

_LOOK = 0.02
"""Seconds between two looks at what a sandbox uses."""
_SETUP = 10.0
"""Seconds in which bwrap must have made the sandbox; it takes some milliseconds."""
_FLOOD = 256
"""A run ends when it has put out this many times what is kept."""
_DESCRIPTORS = 512
_NICE = 5
_PROCESSORS = 4
"""More would only make libraries start more threads than the limit on processes allows."""
_STDIN = "/etc/stdin"
_WAIT = f'read -r word && exec "$@" < {_STDIN}'
"""Starts the program when a line comes by stdin, and nothing when that is closed."""
_SEALING = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
_ARGUMENT = 131_071
"""Bytes of one argument: MAX_ARG_STRLEN of linux/binfmts.h without the zero."""


def run(
    argv: Sequence[str],
    *,
    folder: Path,
    write: Write = "none",
    stdin: str = "",
    limits: Limits = Limits(),
    readable: Sequence[Path] = (),
) -> Ran:
    """Run a program with `folder` at /work, which is also where it starts.

    run(["python3", "-c", "print(1)"], folder=folder).stdout    # "1\\n"

    `write="folder"` lets it write there, but not into the .git that the folder has, whose hooks
    and settings the user's own git would run; where there is none it can make one. "repository"
    lets it do both.

    The environment holds PATH, HOME (/tmp) and LANG. `readable` files and folders are there
    read-only, where they lie here. A program that can't be found ends with 127, as in a shell.

    Raises SandboxError where there is no sandbox, with what to install or allow; nothing was
    run then. Raises InputError for a folder, argument or path that can't be used, and for a folder
    to be written whose .git is a symbolic link.
    """
    _check(argv)
    place = Path(folder).resolve()
    if not place.is_dir() or place == Path("/"):
        raise InputError(f"{folder} can't be a sandbox's folder", "Give the path of a folder")
    with ExitStack() as stack:
        sandbox = _make(argv, place, write, stdin, limits, readable, stack)
        grows = stack.enter_context(_descriptor(place)) if write != "none" else None
        return _attend(sandbox, Watch(sandbox.processes, grows, limits), limits)


def why_unavailable() -> SandboxError | None:
    """The error that `run` would raise for want of a sandbox; None where it works."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(["true"], folder=Path(folder))
    except SandboxError as error:
        return error
    return None


def available() -> bool:
    """Whether programs can be run here. Tries it, in some milliseconds."""
    return why_unavailable() is None


@dataclass(frozen=True)
class _Sandbox:
    """A sandbox that is made, in which the program waits."""

    bwrap: subprocess.Popen[bytes]
    first: int
    """pidfd of its first process; all others end with it."""
    processes: int
    """Descriptor of its own /proc."""
    stdout: int
    stderr: int
    start: IO[bytes]
    """Takes the word for the program to start; closed without it, none starts."""
    told: IO[bytes]
    """What bwrap tells, a JSON document a line."""


def _make(
    argv: Sequence[str],
    folder: Path,
    write: Write,
    stdin: str,
    limits: Limits,
    readable: Sequence[Path],
    stack: ExitStack,
) -> _Sandbox:
    """Start bwrap, wait until its mounts stand, and set the kernel's limits; `stack` ends it."""
    program = seccomp.program()
    if program is None:
        raise SandboxError(
            f"Nothing was run, for system calls of {os.uname().machine} can't be filtered",
            f"Use a machine of the kind {' or '.join(seccomp.ARCHITECTURES)}",
        )
    bwrap = bubblewrap.find()
    contents = {**bubblewrap.ETC, _STDIN: stdin.encode("utf-8", "replace")}
    files = {name: _source(data, stack) for name, data in contents.items()}
    filtered = _source(program, stack)
    told, tell = _pipe(stack)
    held, release = _pipe(stack)
    waits, start = _pipe(stack)
    options = bubblewrap.arguments(folder, write, readable, limits.disk_mb << 20, files)
    options += ["--seccomp", str(filtered), "--json-status-fd", str(tell.fileno())]
    options += ["--block-fd", str(held.fileno())]
    try:
        process = subprocess.Popen(
            [bwrap, *options, "--", "/bin/sh", "-c", _WAIT, "sh", *argv],
            env=bubblewrap.environment(),
            stdin=waits,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[*files.values(), filtered, tell.fileno(), held.fileno()],
            start_new_session=True,  # Ctrl-C ends the sandbox through us
            bufsize=0,
        )
    except OSError as error:
        raise InputError(
            f"The program can't be started ({error.strerror})",
            "Give shorter arguments; long text goes by stdin or a file",
        ) from error
    stack.enter_context(process)
    stack.callback(process.kill)
    tell.close()
    try:
        child = int(json.loads(told.readline())["child-pid"])
        first = os.pidfd_open(child)
    except (ValueError, ProcessLookupError):
        raise _refused(process) from None
    stack.callback(os.close, first)
    stack.callback(_end, first)
    latest = time.monotonic() + _SETUP
    while (processes := _own_proc(child)) is None:
        _wait_on(process, first, latest)
    stack.callback(os.close, processes)
    _bound(child, limits)
    release.write(b"\0")
    while not _is_tied(processes):
        _wait_on(process, first, latest)
    _hurry(child)
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.fileno(), process.stderr.fileno()
    return _Sandbox(process, first, processes, out, err, start, told)


def _own_proc(child: int) -> int | None:
    """A descriptor of the sandbox's /proc, in which only its own processes are seen.

    None before it is mounted. When it can be seen, all mounts are made.
    """
    try:
        found = os.open(Path("/proc", str(child), "root", "proc"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    if os.fstat(found).st_dev != os.stat("/proc").st_dev:
        return found
    os.close(found)
    return None


def _is_tied(processes: int) -> bool:
    """Whether the sandbox's first process will end with bwrap, and so with us.

    It asks the kernel for that just before it puts itself under the filter.
    """
    try:
        with open(os.open("1/status", os.O_RDONLY | os.O_CLOEXEC, dir_fd=processes)) as status:
            return "Seccomp:\t2" in status.read()
    except OSError:
        return False


def _wait_on(bwrap: subprocess.Popen[bytes], first: int, latest: float) -> None:
    """A moment. Raises SandboxError once bwrap has given up, or takes too long."""
    if bwrap.poll() is not None or time.monotonic() > latest:
        _end(first)
        raise _refused(bwrap)
    time.sleep(0.0005)


def _bound(child: int, limits: Limits) -> None:
    """Set the kernel's limits on the process that will become the program; it hands them on."""
    processors = sorted(os.sched_getaffinity(0))[:_PROCESSORS]
    data, file = limits.memory_mb << 20, limits.disk_mb << 20
    bounds = {
        resource.RLIMIT_DATA: data,
        resource.RLIMIT_FSIZE: file,
        resource.RLIMIT_CPU: math.ceil(limits.seconds * len(processors)) + 1,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_MSGQUEUE: 0,
        # 1 and not 0: with 0 the kernel still hands cores to a program of the machine (core(5)).
        resource.RLIMIT_CORE: 1,
    }
    if _counts_per_namespace():
        bounds[resource.RLIMIT_NPROC] = 2 * limits.processes + 1
    for kind, most in bounds.items():
        _, hard = resource.prlimit(child, kind)
        most = int(most) if hard == resource.RLIM_INFINITY else min(int(most), hard)
        resource.prlimit(child, kind, (most, most))
    os.sched_setaffinity(child, processors)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, child, min(ours + _NICE, 19))


def _hurry(child: int) -> None:
    """Let the sandbox's first process go before all others, which end only once it has run.

    A fork bomb would hold it up for minutes. Only root may ask for this, and needs it: for
    others the kernel bounds the number of processes.
    """
    with suppress(PermissionError):
        os.sched_setscheduler(child, os.SCHED_FIFO, os.sched_param(1))


def _counts_per_namespace() -> bool:
    """Linux 5.14 and later; before, RLIMIT_NPROC would count all processes of the user."""
    major, minor = (int(part) for part in os.uname().release.split(".")[:2])
    return (major, minor) >= (5, 14)


def _attend(sandbox: _Sandbox, watch: Watch, limits: Limits) -> Ran:
    """Let the program start, read what it says, and end it when it goes over a limit."""
    stdout, stderr = Kept(limits.output_bytes), Kept(limits.output_bytes)
    streams = {sandbox.stdout: stdout, sandbox.stderr: stderr}
    ended: Ended | None = None
    over = False
    ends = os.pidfd_open(sandbox.bwrap.pid)
    start = look = time.monotonic()
    sandbox.start.write(b"\n")
    with open(ends, "rb", buffering=0) as end, selectors.DefaultSelector() as waiting:
        for number in (*streams, end.fileno()):
            waiting.register(number, selectors.EVENT_READ)
        while not over and ended is None:
            for key, _ in waiting.select(_LOOK):
                if key.fd not in streams:
                    over = True
                elif data := os.read(key.fd, 1 << 16):
                    streams[key.fd].add(data)
                else:
                    waiting.unregister(key.fd)
            now = time.monotonic()
            if over:
                break
            if now - start >= limits.seconds:
                ended = "timeout"
            elif stopped():
                ended = "stopped"
            elif stdout.total + stderr.total > _FLOOD * limits.output_bytes:
                ended = "output"
            elif now >= look:
                ended = watch.exceeded()
                look = time.monotonic() + _LOOK
    seconds = time.monotonic() - start
    _end(sandbox.first)
    sandbox.bwrap.wait()
    for number, kept in streams.items():
        while data := os.read(number, 1 << 16):
            kept.add(data)
    out, err, truncated = texts(stdout, stderr, limits.output_bytes)
    if ended is not None:
        return Ran(None, out, err, truncated, ended, seconds)
    code = _exit_code(sandbox)
    by_signal = 128 < code < 128 + signal.NSIG
    return Ran(code, out, err, truncated, "signal" if by_signal else "exit", seconds)


def _exit_code(sandbox: _Sandbox) -> int:
    """The program's exit code, or that of bwrap where somebody killed it."""
    for line in sandbox.told.read().splitlines():
        if "exit-code" in (document := json.loads(line)):
            return int(document["exit-code"])
    return 128 - sandbox.bwrap.returncode


def _refused(bwrap: subprocess.Popen[bytes]) -> SandboxError:
    bwrap.kill()
    assert bwrap.stderr is not None
    return bubblewrap.refusal(visible(bwrap.stderr.read()))


def _end(first: int) -> None:
    """Kill the sandbox's first process, and wait until the kernel has ended all others."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(first, signal.SIGKILL)
    gone = select.poll()
    gone.register(first, select.POLLIN)
    gone.poll(_SETUP * 1000)


def _check(argv: Sequence[str]) -> None:
    """Raises InputError for what the kernel would not take as a program and its arguments."""
    if isinstance(argv, str) or not argv or not argv[0] or argv[0].startswith("-"):
        raise InputError("There is no program to run", "Give a list: its name, then its arguments")
    for argument in argv:
        try:
            size = len(os.fsencode(argument))
        except UnicodeEncodeError:
            size = -1
        if size < 0 or "\0" in argument:
            raise InputError(
                "An argument holds characters that no argument can have", "Leave them out"
            )
        if size > _ARGUMENT:
            raise InputError(
                f"An argument has {size:,} bytes, and {_ARGUMENT:,} is the most",
                "Give long text by stdin or in a file",
            )


def _source(data: bytes, stack: ExitStack) -> int:
    """A descriptor from which `data` can be read, and which nobody can write to."""
    memory = os.memfd_create("data", _SEALING)
    file = stack.enter_context(os.fdopen(memory, "r+b", buffering=0))
    file.write(data)
    file.seek(0)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return file.fileno()


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Its end to read and its end to write."""
    read, write = os.pipe()
    return (
        stack.enter_context(open(read, "rb", buffering=0)),
        stack.enter_context(open(write, "wb", buffering=0)),
    )


@contextmanager
def _descriptor(folder: Path) -> Iterator[int]:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)
