"""The sandbox: programs without network or secrets, and files that stay in their folder.

    ran = run(["python3", "-c", "print(6 * 7)"], folder=folder, limits=Limits(seconds=5))
    ran.stdout, ran.ended                   # "42\\n", "exit"

    root = Root(folder)
    root.write("notes/today.md", b"...")    # never outside the folder

Programs run in bubblewrap or not at all: where it is missing, or the kernel does not let
us make namespaces, `run` raises SandboxError with the remedy.
"""

from __future__ import annotations

from workbench.sandbox.confined import Entry, Root
from workbench.sandbox.execution import available, run, why_unavailable
from workbench.sandbox.limits import Limits, Ran, Write
from workbench.sandbox.stopping import stoppable, stopped

__all__ = [
    "Entry",
    "Limits",
    "Ran",
    "Root",
    "Write",
    "available",
    "run",
    "stoppable",
    "stopped",
    "why_unavailable",
]
