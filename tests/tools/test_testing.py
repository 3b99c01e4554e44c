"""Tests are run in the sandbox, and their outcome is told in a few lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from asked_tools import INJECTION, ask, refused

from workbench.tools import Context

TESTS = f'''
import pytest

def test_right():
    pass

def test_wrong():
    assert 1 + 1 == 3, """{INJECTION}"""

@pytest.mark.skip
def test_later():
    pass

def test_broken(nothing):
    pass
'''


@pytest.fixture
def tests(context: Context) -> Context:
    (context.workspace / "tests").mkdir()
    (context.workspace / "tests" / "test_a.py").write_text(TESTS)
    (context.workspace / "tests" / "test_b.py").write_text("def test_b():\n    pass\n")
    return context


def with_command(context: Context, command: str) -> Context:
    return replace(context, settings=replace(context.settings, test_command=command))


@pytest.mark.slow
def test_outcomes_are_counted_and_failures_told(tests: Context) -> None:
    outcome = ask(tests, "run_tests")
    counts = ("ok", "passed", "failed", "errors", "skipped", "exit_code")
    assert [outcome[c] for c in counts] == [False, 2, 1, 1, 1, 1]
    wrong, broken = outcome["failures"]
    assert wrong["test"] == "tests.test_a::test_wrong"
    assert "assert (1 + 1) == 3" in wrong["lines"]
    assert "IGNORE ALL" in wrong["lines"]
    assert broken["kind"] == "error"
    assert "fixture 'nothing' not found" in broken["lines"]
    assert sorted(p.name for p in tests.workspace.iterdir()) == ["tests"]


@pytest.mark.slow
def test_paths_choose_what_runs(tests: Context) -> None:
    outcome = ask(tests, "run_tests", paths=["tests/test_b.py"])
    assert (outcome["ok"], outcome["passed"], outcome["failed"]) == (True, 1, 0)
    assert "is an option" in refused(tests, "run_tests", paths=["--rootdir=/"])


@pytest.mark.slow
def test_no_tests_are_no_success(context: Context) -> None:
    outcome = ask(context, "run_tests")
    assert not outcome["ok"]


def test_another_command_may_be_set(tests: Context) -> None:
    failing = with_command(tests, "bash -c 'echo it fails; exit 3'")
    outcome = ask(failing, "run_tests")
    assert (outcome["ok"], outcome["exit_code"], outcome["passed"]) == (False, 3, None)
    assert outcome["output"] == "it fails"
    assert "takes no paths" in refused(failing, "run_tests", paths=["a"])
    assert "TEST_COMMAND" in refused(with_command(tests, "bash -c 'x"), "run_tests")


@pytest.mark.parametrize(
    "report",
    [
        "not xml",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite><testcase/></testsuite>",
        "",
        "<testsuite>",
    ],
)
def test_a_hostile_report_counts_nothing(report: str, tests: Context) -> None:
    (tests.workspace / "report").write_text(report)
    outcome = ask(with_command(tests, "cp report {report}"), "run_tests")
    assert outcome["passed"] is None
    assert outcome["ok"]
    assert sorted(p.name for p in tests.workspace.iterdir()) == ["report", "tests"]


@pytest.mark.parametrize("made", ["head -c 11000000 /dev/zero > {report}", "ln -s tests {report}"])
def test_a_report_that_is_not_read_is_removed_too(made: str, tests: Context) -> None:
    outcome = ask(with_command(tests, f"sh -c '{made}'"), "run_tests")
    assert (outcome["ok"], outcome["passed"]) == (True, None)
    assert [p.name for p in tests.workspace.iterdir()] == ["tests"]


def test_a_report_that_leads_elsewhere_is_not_read(tests: Context) -> None:
    secret = tests.workspace.parent / "secret.xml"
    secret.write_text("<testsuite><testcase/><testcase/></testsuite>")
    outcome = ask(with_command(tests, f"ln -s {secret} {{report}}"), "run_tests")
    assert outcome["passed"] is None
    assert secret.exists()
