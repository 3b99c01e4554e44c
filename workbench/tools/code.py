"""`run_python` and `shell`: a model's code, in the sandbox and nowhere else.

Python computes: the workspace is read-only for it. The shell may change the
workspace. Neither has network, environment or anything else of this machine.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench import sandbox
from workbench.tools.contract import Context, Definition, shortened
from workbench.tools.schemas import parameters, record, text

_OUTPUT_CHARS = 6_000
_VALUE_CHARS = 4_000

_RUNNER = """
import ast, json, sys, traceback
mark, code = json.loads(sys.stdin.readline())
names = {"__name__": "__main__"}
try:
    tree = ast.parse(code, "code")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "code", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "code", "eval"), names)
        if value is not None:
            shown = repr(value)
            sys.stdout.flush()
            print("\\n" + mark + json.dumps(shown))
except SystemExit:
    raise
except BaseException as error:
    step = error.__traceback__.tb_next
    traceback.print_exception(type(error), error, step)
    sys.exit(1)
"""
"""Runs code as a notebook's cell does: the value of a last expression is told after `mark`.

Code could find the mark and tell a value of its own: it is its own value.
"""


@dataclass(frozen=True)
class Ended:
    """What a program left: `exit_code` is None where it was killed, and `ended` says why."""

    exit_code: int | None
    ended: str
    stdout: str
    stderr: str
    value: str | None = None


def _run_python(arguments: Mapping[str, Any], context: Context) -> Ended:
    mark = f"value-{secrets.token_hex(8)}:"
    ran = sandbox.run(
        ["python3", "-I", "-B", "-X", "utf8", "-c", _RUNNER],
        folder=context.workspace,
        stdin=json.dumps([mark, arguments["code"]]) + "\n",
        limits=context.limits,
    )
    stdout, found, value = ran.stdout.rpartition(f"\n{mark}")
    if not found:
        stdout, value = ran.stdout, ""
    return Ended(
        exit_code=ran.exit_code,
        ended=ran.ended,
        stdout=shortened(stdout, _OUTPUT_CHARS),
        stderr=shortened(ran.stderr, _OUTPUT_CHARS),
        value=_value(value) if found else None,
    )


def _value(told: str) -> str:
    line = told.partition("\n")[0]
    try:
        return shortened(str(json.loads(line)), _VALUE_CHARS)
    except ValueError:  # the output was cut within it
        return shortened(line, _VALUE_CHARS)


def _shell(arguments: Mapping[str, Any], context: Context) -> Ended:
    ran = sandbox.run(
        ["bash", "--noprofile", "--norc", "-c", arguments["command"]],
        folder=context.workspace,
        write="folder",
        limits=context.limits,
    )
    return Ended(
        exit_code=ran.exit_code,
        ended=ran.ended,
        stdout=shortened(ran.stdout, _OUTPUT_CHARS),
        stderr=shortened(ran.stderr, _OUTPUT_CHARS),
    )


RUN_PYTHON = Definition(
    "run_python",
    "Run Python code in a sandbox. The workspace is the current folder, read-only; "
    "the value of the last expression is returned.",
    parameters({"code": text("Python code", minLength=1)}),
    record(Ended),
    "execute",
    _run_python,
)
SHELL = Definition(
    "shell",
    "Run a bash command in a sandbox, in the workspace, without network.",
    parameters({"command": text("Command for bash -c", minLength=1)}),
    record(Ended),
    "execute",
    _shell,
)
