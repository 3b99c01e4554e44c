"""Who is asked about a tool call: a person at the terminal, several in turn, or nobody.

An asker gives the answer or None, and None is a refusal. Notebooks don't ask in
this way: there a run pauses, and `ApprovalWidget` goes on with it.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Sequence
from getpass import getuser
from typing import Protocol, TextIO

from workbench.approval.requests import Decision, Request, canonical


class Asker(Protocol):
    """Someone who may decide."""

    def ask(self, request: Request) -> Decision | None:
        """The decision; None where none came before the request expired."""
        ...


class Terminal:
    """A person at the terminal.

    `input` is a file descriptor. Every control character of the call is written out,
    so that arguments can't paint over what is asked.
    """

    def __init__(self, input: int = 0, output: TextIO | None = None) -> None:
        self._input = input
        self._output = output or sys.stderr
        self._name = f"person:{getuser()}"

    def ask(self, request: Request) -> Decision | None:
        """Ask until there is an answer, or the request expired, or the input ended."""
        self._say(f"\n{request.tool} ({request.risk}; {request.reason}) wants to run with")
        self._say(json.dumps(json.loads(request.arguments), indent=2, ensure_ascii=False))
        while True:
            self._say("[a]pprove, [m]odify, [r]eject, [t]erminate, [e]scalate? ")
            line = self._line(request)
            if line is None:
                return None
            word, _, rest = line.strip().partition(" ")
            match word[:1].lower():
                case "a":
                    return Decision(request.digest, "approve", self._name, rest)
                case "r":
                    return Decision(request.digest, "reject", self._name, rest)
                case "t":
                    return Decision(request.digest, "terminate", self._name, rest)
                case "e":
                    return Decision(request.digest, "escalate", self._name, rest)
                case "m":
                    self._say("All arguments, as JSON in one line: ")
                    decision = self._modified(request, self._line(request))
                    if decision is not None:
                        return decision

    def _modified(self, request: Request, line: str | None) -> Decision | None:
        try:
            arguments = json.loads(line or "")
            if not isinstance(arguments, dict):
                raise ValueError("not an object")
        except ValueError as error:
            self._say(f"That is no JSON object ({error})")
            return None
        return Decision(request.digest, "modify", self._name, arguments=canonical(arguments))

    def _line(self, request: Request) -> str | None:
        """One line of input; None once the request expired or the input ended."""
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._input], [], [], request.seconds_left)
            read = os.read(self._input, 1) if ready else b""
            if not read:
                return None
            line += read
        return line.decode("utf-8", "replace")

    def _say(self, text: str) -> None:
        shown = "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
        print(shown, file=self._output, flush=True)


class InTurn:
    """Several askers: whoever is asked first may escalate to the next."""

    def __init__(self, askers: Sequence[Asker]) -> None:
        self._askers = tuple(askers)

    def ask(self, request: Request) -> Decision | None:
        """Ask the one whose turn it is; nobody is above the last."""
        if request.level >= len(self._askers):
            return None
        return self._askers[request.level].ask(request)
