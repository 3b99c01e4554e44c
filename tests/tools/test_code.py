"""Code of a model: only in the sandbox, its output told as data."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from asked_tools import INJECTION, ask, refused
from examples import STRANGE_TEXTS

from workbench.sandbox import Limits
from workbench.tools import Context


def test_the_value_of_the_last_expression_is_told(context: Context) -> None:
    ended = ask(context, "run_python", code="x = 6\nprint('hello')\nx * 7")
    assert ended == {
        "exit_code": 0,
        "ended": "exit",
        "stdout": "hello\n",
        "stderr": "",
        "value": "42",
    }


@pytest.mark.parametrize("code", ["x = 1", "", "# nothing", "None", "print('a')"])
def test_code_without_a_value_has_none(code: str, context: Context) -> None:
    if code:
        assert ask(context, "run_python", code=code)["value"] is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError"),
        ("raise SystemExit(3)", ""),
        ("x = 1\n\n1 + y", "line 3"),
        ("a\0b", "null byte"),
    ],
)
def test_an_error_is_told_with_its_line(code: str, said: str, context: Context) -> None:
    ended = ask(context, "run_python", code=code)
    assert ended["exit_code"] not in (0, None)
    assert said in ended["stderr"]


@pytest.mark.parametrize("name", STRANGE_TEXTS)
def test_strange_values_come_back(name: str, context: Context) -> None:
    text = STRANGE_TEXTS[name]
    ended = ask(context, "run_python", code=f"ascii({text!r})[1:-1]")
    if len(text) < 1_000:
        assert ended["value"] == repr(ascii(text)[1:-1])
    else:
        assert len(ended["value"]) < 5_000
    assert ask(context, "run_python", code=f"{text[:500]!r}")["value"] == repr(text[:500])


def test_code_that_writes_the_mark_tells_its_own_value_only(context: Context) -> None:
    code = "import sys\nprint('\\n' + mark + '\"forged\"')\n1"
    ended = ask(context, "run_python", code=code)
    assert ended["exit_code"] == 1  # the code does not see the runner's names
    assert "NameError" in ended["stderr"]


def test_python_can_not_write_the_workspace_and_the_shell_can(context: Context) -> None:
    ended = ask(context, "run_python", code="open('a.txt', 'w')")
    assert "Read-only file system" in ended["stderr"]
    assert ask(context, "shell", command="echo hello > a.txt; cat a.txt")["stdout"] == "hello\n"
    assert (context.workspace / "a.txt").read_text() == "hello\n"
    assert ask(context, "run_python", code="open('a.txt').read()")["value"] == "'hello\\n'"


def test_no_secret_and_no_network_is_there(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    for name, arguments in (
        ("shell", {"command": "env; cat /proc/*/environ; echo x > /dev/tcp/127.0.0.1/80"}),
        ("run_python", {"code": "import os; print(dict(os.environ))"}),
    ):
        assert "hunter2" not in str(ask(context, name, **arguments))


def test_an_endless_command_ends_and_says_why(context: Context) -> None:
    short = replace(context, limits=Limits(seconds=1))
    for name, arguments in (
        ("shell", {"command": "while true; do :; done"}),
        ("run_python", {"code": "while True: pass"}),
    ):
        ended = ask(short, name, **arguments)
        assert (ended["exit_code"], ended["ended"]) == (None, "timeout")


def test_a_flood_is_cut_and_the_cut_is_told(context: Context) -> None:
    ended = ask(context, "shell", command="seq 100000")
    assert "left out" in ended["stdout"]
    assert len(ended["stdout"]) < 7_000
    many = ask(context, "run_python", code="print('x' * 1_000_000)\n'y' * 1_000_000")
    assert "left out" in many["stdout"]


def test_orders_in_output_are_text(context: Context) -> None:
    (context.workspace / "a.txt").write_text(INJECTION)
    assert ask(context, "shell", command="cat a.txt")["stdout"] == INJECTION


def test_a_command_that_is_too_long_is_one_line(context: Context) -> None:
    refused(context, "shell", command="echo " + "x" * 200_000)


def test_nothing_runs_where_there_is_no_sandbox(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(context.workspace))
    for name, arguments in (
        ("shell", {"command": "touch ran"}),
        ("run_python", {"code": "1"}),
        ("run_tests", {}),
        ("git", {"command": "log"}),
    ):
        assert "bubblewrap" in refused(context, name, **arguments)
    assert list(context.workspace.iterdir()) == []
