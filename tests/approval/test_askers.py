"""Whoever is asked decides about what was shown; without an answer a call is refused."""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections.abc import Callable

import httpx
import pytest
from agent_parts import SHELL

from workbench.approval import Decision, InTurn, Terminal, request
from workbench.approval.http import Desk
from workbench.errors import SettingsError


def asked(command: str = "ls", wait_s: float = 30, level: int = 0):
    made = request(
        SHELL, {"command": command}, run="r", step=0, reason="its risk is execute", wait_s=wait_s
    )
    for _ in range(level):
        made = made.escalated()
    return made


def at_terminal(said: str, question) -> tuple[Decision | None, str]:
    reading, writing = os.pipe()
    os.write(writing, said.encode())
    os.close(writing)
    output = io.StringIO()
    try:
        return Terminal(reading, output).ask(question), output.getvalue()
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("a\n", "approve"),
        ("approve fine\n", "approve"),
        ("?\n\nr\n", "reject"),
        ("t\n", "terminate"),
        ("e\n", "escalate"),
        ("R no\n", "reject"),
        ('m\nnonsense\nm\n{"command": "ls -l"}\n', "modify"),
        ('m\n{"command": NaN}\nmodify\n{"command": "ls", "n": 1e999}\nr\n', "reject"),
    ],
)
def test_a_person_at_the_terminal_answers(said, answer):
    decision, shown = at_terminal(said, asked())
    assert decision is not None
    assert (decision.answer, decision.digest) == (answer, asked().digest)
    assert decision.by.startswith("person:")
    assert '"command": "ls"' in shown


@pytest.mark.parametrize(
    "said",
    ["abort", "a moment, please", "approved?", "all is wrong", "retry", "more", "test", "end"],
)
def test_a_word_that_only_begins_like_an_answer_is_none(said):
    decision, shown = at_terminal(f"{said}\nreject\n", asked())
    assert decision is not None
    assert decision.answer == "reject"
    assert shown.count("[a]pprove") == 2


@pytest.fixture
def keyboard():
    """Both ends of a terminal: `typed` is what a person's keys are written to."""
    typed, terminal = os.openpty()
    yield typed, terminal
    os.close(typed)
    os.close(terminal)


def wait_for(found: Callable[[], bool]) -> None:
    latest = time.monotonic() + 20
    while not found():
        assert time.monotonic() < latest
        time.sleep(0.01)


def test_what_was_typed_before_a_call_was_shown_does_not_approve_it(keyboard):
    typed, terminal = keyboard
    os.write(typed, b"approve\n" * 3)
    wait_for(lambda: bool(select.select([terminal], [], [], 0)[0]))
    assert Terminal(terminal, io.StringIO()).ask(asked(wait_s=0.5)) is None


def test_of_many_calls_one_is_asked_at_a_time_and_gets_its_own_answer(keyboard):
    typed, terminal = keyboard
    output = io.StringIO()
    decided: dict[str, Decision | None] = {}

    def ask(command: str) -> None:
        decided[command] = Terminal(terminal, output).ask(asked(command))

    commands = [f"command {number}" for number in range(4)]
    threads = [threading.Thread(target=ask, args=[command]) for command in commands]
    for thread in threads:
        thread.start()
    for count in range(1, 5):
        wait_for(lambda: output.getvalue().count("[a]pprove") == count)  # noqa: B023
        time.sleep(0.05)  # whoever else wants to ask does so now
        last = output.getvalue().rpartition("wants to run with")[2]
        [shown] = [command for command in commands if command in last]
        assert f"Call {asked(shown).digest[:8]}:" in last
        os.write(typed, f"reject {shown}\n".encode())
        wait_for(lambda: len(decided) == count)  # noqa: B023
    for thread in threads:
        thread.join()
    assert all(
        decision and (decision.digest, decision.reason) == (asked(command).digest, command)
        for command, decision in decided.items()
    )


def test_who_is_not_asked_in_time_is_not_asked(keyboard):
    _, terminal = keyboard
    output = io.StringIO()
    first = threading.Thread(target=Terminal(terminal, output).ask, args=[asked(wait_s=1)])
    first.start()
    wait_for(lambda: "[a]pprove" in output.getvalue())
    assert Terminal(terminal, output).ask(asked("pwd", wait_s=0.1)) is None
    first.join()
    assert "pwd" not in output.getvalue()


def test_the_reason_is_what_stands_behind_the_answer():
    decision, _ = at_terminal("r слишком опасно\n", asked())
    assert decision is not None
    assert decision.reason == "слишком опасно"


@pytest.mark.parametrize("said", ["", "a", "m\n"])
def test_an_input_that_ends_is_no_answer(said):
    assert at_terminal(said, asked())[0] is None


def test_who_does_not_answer_in_time_has_not_approved():
    reading, writing = os.pipe()
    try:
        assert Terminal(reading, io.StringIO()).ask(asked(wait_s=0.1)) is None
    finally:
        os.close(reading)
        os.close(writing)


def test_arguments_can_not_paint_over_what_is_asked():
    _, shown = at_terminal("r\n", asked("ls\x1b[2K\x1b[1A\rgit status\u202e\u3164\u00a0\u2800"))
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert not set("\u202e\u3164\u00a0\u2800") & set(shown)
    assert "git status\\u202e\\u3164\\u00a0\\u2800" in shown
    assert "git status" in shown


class Says:
    """Someone who always says the same."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def ask(self, question):
        return Decision(question.digest, self.answer, "person:x")  # type: ignore[arg-type]


def test_to_escalate_is_to_ask_the_next():
    both = InTurn([Says("escalate"), Says("approve")])
    answers = [both.ask(asked(level=level)) for level in range(3)]
    assert [a and a.answer for a in answers] == ["escalate", "approve", None]


@pytest.fixture
def desk():
    with Desk("person:anna").serve() as open_desk:
        yield open_desk


def http(desk: Desk, method: str, path: str, token: str | None = None, **options):
    token = desk.token if token is None else token
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, desk.url + path, headers=headers, timeout=10, **options)


def waiting(desk: Desk, question) -> tuple[threading.Thread, list]:
    answers: list = []
    thread = threading.Thread(target=lambda: answers.append(desk.ask(question)))
    thread.start()
    while not http(desk, "GET", "/requests").json() and thread.is_alive():
        time.sleep(0.01)
    return thread, answers


def test_a_program_decides_over_http(desk):
    question = asked("ls 🌊")
    thread, answers = waiting(desk, question)
    [shown] = http(desk, "GET", "/requests").json()
    assert (shown["digest"], shown["arguments"]) == (question.digest, '{"command": "ls 🌊"}')
    said = {"answer": "modify", "reason": "less", "arguments": {"command": "ls"}}
    assert http(desk, "POST", f"/requests/{question.digest}", json=said).status_code == 200
    thread.join()
    assert answers == [
        Decision(question.digest, "modify", "person:anna", "less", '{"command": "ls"}')
    ]
    assert http(desk, "GET", "/requests").json() == []


@pytest.mark.parametrize("name", ["policy", "nobody", ""])
def test_nobody_decides_in_the_name_of_the_policy(name):
    with pytest.raises(SettingsError, match="can't decide"):
        Desk(name)


def test_without_the_token_nothing_is_shown_or_decided(desk):
    thread, answers = waiting(desk, question := asked(wait_s=2))
    for token in ("none", "wrong"):
        assert http(desk, "GET", "/requests", token).status_code == 401
        said = {"answer": "approve"}
        path = f"/requests/{question.digest}"
        assert http(desk, "POST", path, token, json=said).status_code == 401
    thread.join()
    assert answers == [None]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b'{"answer": "yes"}', 400),
        (b'{"answer": "approve", "arguments": {}}', 400),
        (b'{"answer": "modify"}', 400),
        (b'{"answer": "approve", "more": 1}', 400),
        (b"\xff", 400),
    ],
)
def test_a_broken_decision_is_refused_and_the_request_waits_on(desk, content, status):
    thread, answers = waiting(desk, question := asked(wait_s=20))
    path = f"/requests/{question.digest}"
    assert http(desk, "POST", path, content=content).status_code == status
    assert http(desk, "POST", "/requests/unknown", json={"answer": "approve"}).status_code == 404
    assert http(desk, "POST", path, json={"answer": "reject"}).status_code == 200
    assert http(desk, "POST", path, json={"answer": "approve"}).status_code == 404
    thread.join()
    assert [a.answer for a in answers] == ["reject"]
