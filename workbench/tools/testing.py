"""`run_tests`: the workspace's tests in the sandbox, and what failed in a few lines.

pytest by default; the setting `test_command` names another command line. In it
`{report}` is the file for JUnit XML and `{paths}` stands for what to test.
Without `{report}` only the exit code is known. The report is written by the code
under test, so it is read as hostile: without a DOCTYPE, up to a size.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from workbench import sandbox
from workbench.errors import InputError, SettingsError
from workbench.sandbox import Limits, Root
from workbench.tools.contract import Context, Definition, shortened
from workbench.tools.schemas import parameters, record

_PYTEST = (
    *("python3", "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
    *("--junitxml={report}", "{paths}"),
)
_REPORT_BYTES = 10_000_000
_FAILURES = 10
_FAILURE_LINES = 12
_FAILURE_CHARS = 1_000
_OUTPUT_CHARS = 3_000


@dataclass(frozen=True)
class Failure:
    """A test that failed or could not run, and the first lines of why."""

    test: str
    kind: str
    lines: str


@dataclass(frozen=True)
class Outcome:
    """What a test command did. Counts are None where it left no report.

    `ended` is "exit", or why the command was killed. `failures` holds the first
    few, `output` the beginning and end of what was printed where no report tells more.
    """

    ok: bool
    ended: str
    exit_code: int | None
    passed: int | None = None
    failed: int | None = None
    errors: int | None = None
    skipped: int | None = None
    failures: tuple[Failure, ...] = ()
    output: str = ""


def run_command(argv: Sequence[str], folder: Path, limits: Limits) -> Outcome:
    """Run a test command in the sandbox, in `folder`, which it may change."""
    name = f".report-{secrets.token_hex(8)}.xml"
    root = Root(folder)
    ran = sandbox.run(
        [element.replace("{report}", name) for element in argv],
        folder=folder,
        write="folder",
        limits=limits,
    )
    ok = ran.ended == "exit" and ran.exit_code == 0
    counts = _counts(root, name)
    output = "" if counts else shortened(f"{ran.stdout}\n{ran.stderr}".strip(), _OUTPUT_CHARS)
    return Outcome(ok, ran.ended, ran.exit_code, **counts, output=output)


def _run_tests(arguments: Mapping[str, Any], context: Context) -> Outcome:
    command = _command(context.settings.test_command)
    paths = arguments.get("paths", [])
    for path in paths:
        if path.startswith("-"):
            raise InputError(f"{path!r} is an option and no path", "Name files or folders of tests")
    argv = [e for element in command for e in (paths if element == "{paths}" else [element])]
    if paths and "{paths}" not in command:
        raise InputError("This test command takes no paths", "Leave paths out")
    return run_command(argv, context.workspace, context.limits)


def _command(setting: str) -> Sequence[str]:
    try:
        return shlex.split(setting) or _PYTEST
    except ValueError as error:
        raise SettingsError(f"TEST_COMMAND can't be read: {error}", "Close its quotes") from None


def _counts(root: Root, name: str) -> dict[str, Any]:
    """Counts and failures from a report, which is removed; {} where there is none to be read."""
    try:
        data = root.read(name, limit=_REPORT_BYTES)
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            return {}
        cases = list(ElementTree.fromstring(data).iter("testcase"))
    except (InputError, ElementTree.ParseError):
        return {}
    finally:
        with suppress(InputError):
            root.delete(name)
    found = {"failure": 0, "error": 0, "skipped": 0}
    failures: list[Failure] = []
    for case in cases:
        for kind in found:
            if (told := case.find(kind)) is None:
                continue
            found[kind] += 1
            if kind != "skipped" and len(failures) < _FAILURES:
                test = f"{case.get('classname', '')}::{case.get('name', '')}"
                failures.append(Failure(test[:200], kind, _first_lines(told)))
            break
    passed = len(cases) - sum(found.values())
    return {
        "passed": passed,
        "failed": found["failure"],
        "errors": found["error"],
        "skipped": found["skipped"],
        "failures": tuple(failures),
    }


def _first_lines(told: ElementTree.Element) -> str:
    """The message, and the lines that show where: those that pytest marks, else the first."""
    lines = (told.text or "").strip().split("\n")
    marked = [line for line in lines if line.startswith(("E ", ">"))] or lines
    message = told.get("message", "").split("\n")[0]
    return shortened("\n".join([message, *marked[:_FAILURE_LINES]]), _FAILURE_CHARS)


RUN_TESTS = Definition(
    "run_tests",
    "Run the tests of the workspace in a sandbox; tells how many passed and why others failed.",
    parameters(
        {},
        {
            "paths": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "maxItems": 50,
                "description": "Only these files or folders of tests; default: all",
            }
        },
    ),
    record(Outcome),
    "execute",
    _run_tests,
)
