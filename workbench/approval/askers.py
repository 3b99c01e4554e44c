"""Who is asked about a tool call: a person at the terminal, several in turn, or nobody.

An asker gives the answer or None, and None is a refusal. Notebooks don't ask in
this way: there a run pauses, and `ApprovalWidget` goes on with it.
"""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import threading
from collections.abc import Sequence
from getpass import getuser
from typing import Protocol, TextIO, get_args

from workbench.approval.requests import Answer, Decision, Request, canonical
from workbench.characters import escaped

_CHOICES = "[a]pprove, [m]odify, [r]eject, [t]erminate, [e]scalate"
_WORDS: dict[str, Answer] = {
    word: answer for answer in get_args(Answer) for word in (answer, answer[0])
}


class Asker(Protocol):
    """Someone who may decide."""

    def ask(self, request: Request) -> Decision | None:
        """The decision; None where none came before the request expired."""
        ...


class Nobody:
    """Is asked where no person is: whatever the policy leaves to people is refused."""

    def ask(self, request: Request) -> None:
        """No answer."""


class Terminal:
    """A person at the terminal, asked one question at a time, also by many threads.

    `input` is a file descriptor. What was typed before a question is thrown away, where
    the input is a terminal; a pipe's answers are taken as they come. What is
    hidden in a call is written out, so that arguments can't paint over what is asked.
    """

    _turn = threading.Lock()
    """All terminals of a process: they read one keyboard."""

    def __init__(self, input: int = 0, output: TextIO | None = None) -> None:
        self._input = input
        self._output = output or sys.stderr
        self._name = f"person:{getuser()}"

    def ask(self, request: Request) -> Decision | None:
        """Ask until there is an answer, or the request expired, or the input ended."""
        if not self._turn.acquire(timeout=request.seconds_left):
            return None
        try:
            return self._ask(request)
        finally:
            self._turn.release()

    def _ask(self, request: Request) -> Decision | None:
        call = request.digest[:8]
        self._say(f"\n{request.tool} ({request.risk}; {request.reason}) wants to run with")
        self._say(json.dumps(json.loads(request.arguments), indent=2, ensure_ascii=False))
        while True:
            line = self._line(request, f"Call {call}: {_CHOICES}? ")
            if line is None:
                return None
            match _answer(line):
                case "modify", _:
                    line = self._line(
                        request, f"All arguments of call {call}, as JSON in one line: "
                    )
                    decision = self._modified(request, line)
                    if decision is not None:
                        return decision
                case answer, reason:
                    return Decision(request.digest, answer, self._name, reason)

    def _modified(self, request: Request, line: str | None) -> Decision | None:
        try:
            arguments = json.loads(line or "")
            if not isinstance(arguments, dict):
                raise ValueError("not an object")
            changed = canonical(arguments)
        except (ValueError, RecursionError) as error:
            self._say(f"That is no JSON object ({error})")
            return None
        return Decision(request.digest, "modify", self._name, arguments=changed)

    def _line(self, request: Request, question: str) -> str | None:
        """One line of input after the question; None once the request expired or the input ended.

        Nothing typed before the question answers it.
        """
        if os.isatty(self._input):
            termios.tcflush(self._input, termios.TCIFLUSH)
        self._say(question)
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._input], [], [], request.seconds_left)
            read = os.read(self._input, 1) if ready else b""
            if not read:
                return None
            line += read
        return line.decode("utf-8", "replace")

    def _say(self, text: str) -> None:
        print(escaped(text), file=self._output, flush=True)


class InTurn:
    """Several askers: whoever is asked first may escalate to the next."""

    def __init__(self, askers: Sequence[Asker]) -> None:
        self._askers = tuple(askers)

    def ask(self, request: Request) -> Decision | None:
        """Ask the one whose turn it is; nobody is above the last."""
        if request.level >= len(self._askers):
            return None
        return self._askers[request.level].ask(request)


def _answer(line: str) -> tuple[Answer, str] | None:
    """The answer in a line and the reason behind it; None where its first word is none.

    What runs a call is the whole word, or its letter alone: "abort" and "a moment" don't.
    """
    word, _, reason = line.strip().partition(" ")
    answer = _WORDS.get(word.lower())
    if answer is None or (word.lower() == "a" and reason):
        return None
    return answer, reason
