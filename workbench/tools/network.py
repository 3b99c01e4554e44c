"""Beyond this machine: which hosts lie there, and a command that may reach them.

Such a command is a manifest whose risk is network and which the user allowed. It is outside
the sandbox, and this is no boundary: it may read and write all that the user may. It gets
no environment but PATH and LANG, and its output is kept up to the limit. At its end, or after
the time limit, its process group is killed; a child that began a session of its own (`setsid`)
lives on.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

from workbench.errors import ToolError
from workbench.sandbox import Limits, Ran


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is that of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def run_outside(argv: Sequence[str], folder: Path, limits: Limits) -> Ran:
    """Run `argv` in `folder`. Raises ToolError where the program can't be started."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(
                f"{argv[0]} can't be started: {error.strerror}", "Tell the user"
            ) from None
        ended: Literal["exit", "timeout"] = "exit"
        try:
            process.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            ended = "timeout"
        finally:
            _end(process)
        stdout, cut_out = _read(out, limits.output_bytes)
        stderr, cut_err = _read(err, limits.output_bytes)
    code = process.returncode if ended == "exit" else None
    seconds = time.monotonic() - started
    return Ran(code, stdout, stderr, cut_out or cut_err, ended, seconds)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the command's process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(file: IO[bytes], limit: int) -> tuple[str, bool]:
    file.seek(0)
    data = file.read(limit + 1)
    text = data[:limit].decode(errors="replace")
    if len(data) <= limit:
        return text, False
    return f"{text}\n[cut: only the first {limit:,} bytes are kept]", True
