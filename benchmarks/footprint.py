"""Wall time and peak memory of a command with all the processes that it starts.

    .venv/bin/python benchmarks/footprint.py .venv/bin/workbench run

Memory is the sum of the proportional set sizes (PSS) of the process tree, taken every
second: a page that several processes share counts once. Linux only.
"""

from __future__ import annotations

import sys
import time

import psutil


def proportional_set_size(process: psutil.Process) -> int:
    """PSS in bytes; 0 for a process that has just ended."""
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def main() -> None:
    begun = time.monotonic()
    command = psutil.Popen(sys.argv[1:])
    peak = 0
    while True:
        try:
            command.wait(timeout=1)
            break
        except psutil.TimeoutExpired:
            tree = [command, *command.children(recursive=True)]
            peak = max(peak, sum(proportional_set_size(process) for process in tree))
    seconds = time.monotonic() - begun
    print(f"{seconds:.0f} s, peak {peak / 2**30:.2f} GiB, exit status {command.returncode}")
    sys.exit(command.returncode)


if __name__ == "__main__":
    main()
