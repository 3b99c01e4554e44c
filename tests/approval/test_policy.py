"""What a policy lets run, asks about and refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from agent_parts import READ, SHELL
from asked_tools import settings_of

from workbench.approval import Policy, Rule
from workbench.errors import InputError
from workbench.tools import Registry, read_arguments


def ruling(policy: Policy, definition=SHELL, **arguments: object) -> str:
    return policy.rule(definition, arguments).ruling


def test_without_rules_reading_runs_and_all_else_is_asked():
    assert ruling(Policy(), READ, key="a") == "approve"
    for risk in ("write", "execute", "network"):
        assert ruling(Policy(), replace(SHELL, risk=risk), command="ls") == "ask"


def test_the_first_rule_that_fits_decides():
    policy = Policy(
        (
            Rule("reject", tool="shell", arguments={"command": ".*secret.*"}),
            Rule("approve", tool="sh*", arguments={"command": "git (status|log)( .*)?"}),
            Rule("terminate", risk=("network",)),
            Rule("escalate", arguments={"command": "rm .*"}),
        )
    )
    assert ruling(policy, command="git status") == "approve"
    assert ruling(policy, command="git log secret") == "reject"
    assert ruling(policy, command="rm -r .") == "escalate"
    assert ruling(policy, command="mv a b") == "ask"
    assert ruling(policy, replace(SHELL, name="fetch", risk="network"), url="x") == "terminate"


@pytest.mark.parametrize(
    "command", ["git status; rm -r .", "sudo git status", "git status\nrm -r .", "git  status"]
)
def test_a_pattern_must_fit_the_whole_argument(command):
    policy = Policy((Rule("approve", arguments={"command": "git status"}),))
    assert ruling(policy, command=command) == "ask"


def test_a_second_line_does_not_slip_through_a_dot():
    policy = Policy((Rule("approve", arguments={"command": "git log.*"}),))
    assert ruling(policy, command="git log --oneline") == "approve"
    assert ruling(policy, command="git log\nrm -r .") == "ask"


def test_an_absent_argument_fits_no_pattern():
    policy = Policy((Rule("approve", arguments={"command": ".*", "folder": ".*"}),))
    assert ruling(policy, command="ls") == "ask"


def test_arguments_within_arguments_and_numbers_are_matched_as_json():
    rule = Rule("approve", arguments={"limits.rows": "[0-9]{1,2}"})
    assert ruling(Policy((rule,)), limits={"rows": 20}) == "approve"
    assert ruling(Policy((rule,)), limits={"rows": 2000}) == "ask"
    assert ruling(Policy((rule,)), limits=20) == "ask"


@pytest.mark.parametrize("name", ["read_file", "list_files", "delete_file", "git", "search_logs"])
@pytest.mark.parametrize(
    "path", ["private/key", "./private/key", ".//private/./key", "private//key", "private/key/."]
)
def test_a_file_is_matched_however_it_is_spelled(path: str, name: str, tmp_path: Path) -> None:
    definition = Registry(settings_of(tmp_path)).get(name)
    argument = "folder" if name == "search_logs" else "path"
    given = {argument: path}
    given |= {"git": {"command": "log"}, "search_logs": {"pattern": "x"}}.get(name, {})
    read = read_arguments(definition, json.dumps(given))
    assert read[argument] == "private/key"
    policy = Policy((Rule("reject", arguments={argument: "private/.*"}),))
    assert policy.rule(definition, read).ruling == "reject"


def test_a_list_of_files_is_matched_in_one_spelling(tmp_path: Path) -> None:
    definition = Registry(settings_of(tmp_path)).get("git_write")
    paths = ["./a", "b//c/", ".", "../d", "/e//f"]
    given = json.dumps({"command": "commit", "message": "./m", "paths": paths})
    read = read_arguments(definition, given)
    assert read["paths"] == ["a", "b/c", ".", "../d", "/e//f"]
    assert read["message"] == "./m"


def test_a_rule_can_change_arguments():
    policy = Policy((Rule("modify", set={"rows": 10}),))
    ruled = policy.rule(SHELL, {"command": "ls", "rows": 10_000})
    assert (ruled.ruling, ruled.arguments) == ("modify", {"command": "ls", "rows": 10})


def test_a_policy_is_read_from_yaml(tmp_path):
    path = tmp_path / "approval.yaml"
    path.write_text(
        "wait_s: 20\nrules:\n"
        "  - {tool: shell, arguments: {command: 'git .*'}, decide: approve, reason: читает}\n"
        "  - {risk: [network], decide: reject}\n"
    )
    policy = Policy.load(path)
    assert policy.wait_s == 20
    assert policy.rule(SHELL, {"command": "git log"}).reason == "читает"


@pytest.mark.parametrize(
    "text",
    [
        "rules: [{decide: allow}]",
        "rules: [{decide: approve, tools: shell}]",
        "rules: [{decide: approve, arguments: {command: '('}}]",
        "rules: [{decide: modify}]",
        "rules: [{decide: approve, set: {a: 1}}]",
        "rules: [{decide: modify, set: {day: 2026-01-01}}]",
        "rules: [{decide: modify, set: {rows: .nan}}]",
        "rules: [{decide: approve, risk: [deadly]}]",
        "wait_s: .inf",
        "wait_s: .nan",
        "wait_s: 0",
        "wait_s: -1",
        "wait_s: 1e9",
        "wait_s: 1.0e+9",
        "rules: {",
        "- just a list",
        "!!python/object/apply:os.system [id]",
    ],
)
def test_a_broken_policy_is_one_clear_line(tmp_path, text):
    path = tmp_path / "approval.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"approval\.yaml is no policy") as caught:
        Policy.load(path)
    assert "\n" not in str(caught.value)
