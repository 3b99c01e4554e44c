"""A program in the sandbox ends when whoever asked for it doesn't want it any more."""

from __future__ import annotations

import threading
from pathlib import Path

from workbench.sandbox import run, stoppable


def test_a_program_that_is_stopped_ends_and_leaves_what_it_said(tmp_path: Path) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    with stoppable(stop):
        ran = run(["sh", "-c", "echo before; sleep 60; echo after"], folder=tmp_path)
    assert (ran.ended, ran.exit_code, ran.stdout) == ("stopped", None, "before\n")


def test_who_did_not_ask_is_not_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with stoppable(stop):
        pass
    assert run(["true"], folder=tmp_path).ended == "exit"
