"""A server that dies, hangs, floods, lies or answers nonsense costs one clear error."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_parts import context, hostile, settings

from workbench import tools
from workbench.errors import InputError, ToolError
from workbench.mcptools import Servers
from workbench.tools import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(settings(tmp_path))


@pytest.fixture
def servers(registry: Registry, tmp_path: Path) -> Iterator[Servers]:
    with Servers(registry, tmp_path / "mcp.lock.json") as opened:
        yield opened


def _told(registry: Registry, folder: Path, name: str = "bad__echo") -> str:
    """What the model is told of a call."""
    try:
        return str(tools.call(registry.get(name), '{"text": "hello"}', context(folder)))
    except ToolError as error:
        told = str(error)
        assert "\n" not in told
        assert len(told) < 900
        return told


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("hang on call", "did not answer within 0.5 s"),
        ("die on call", "is lost: the connection ended"),
        ("flood on call", "is lost: it sent without end"),
        ("endless line", "is lost: it sent without end"),
        ("garbage on call", "answered with something that is no result"),
        ("error", "bad__echo failed: [2Jno such thing."),
        ("wrong id", "mine"),
        ("asks", "not supported"),
        ("picture", "image/png, 396 characters in base64, left out"),
        ("huge", "The result has"),
    ],
)
def test_what_a_server_does_wrong_in_a_call_is_told_in_one_line(
    how: str, told: str, registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    seconds = 0.5 if how == "hang on call" else 20.0
    servers.add(hostile(how, call_s=seconds))
    assert told in _told(registry, tmp_path)
    assert registry.get("read_file")  # all else goes on


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("never starts", "was not ready within 1.5 s"),
        ("garbage at start", "answers with something that is not MCP"),
        ("no list", "can't list its tools: it answers with something that is not MCP"),
        ("patterns without end", "was not ready within 1.5 s"),
    ],
)
def test_a_server_that_does_not_start_is_given_up(how: str, told: str, servers: Servers) -> None:
    with pytest.raises(ToolError, match=told):
        servers.add(hostile(how, start_s=1.5))
    assert [status.connected for status in servers.list()] == [False]


def test_a_program_that_is_not_there_is_named(servers: Servers) -> None:
    from workbench.mcptools import Server

    with pytest.raises(ToolError, match="no-such can't be started"):
        servers.add(Server("gone", command="/nowhere/no-such", args=("--token", "12345678")))
    assert "12345678" not in str(servers.problems)


def test_after_a_server_died_the_next_call_starts_it_again(
    registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    servers.add(hostile("die once", str(tmp_path / "died")))
    assert "is lost" in _told(registry, tmp_path)
    assert _told(registry, tmp_path) == "hello"


def test_a_server_that_dies_again_and_again_is_left_alone_for_a_while(
    registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    servers.add(hostile("die on call"))
    told = [_told(registry, tmp_path) for _ in range(3)]
    assert all("is lost" in each for each in told[:2])
    assert "is not there" in told[2]
    assert "try again in" in told[2]


def test_a_server_that_is_killed_while_nothing_runs_is_not_noticed(
    registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    servers.add(hostile("pid", str(pid)))
    first = int(pid.read_text())
    os.kill(first, 9)
    while _alive(first):
        time.sleep(0.01)
    assert _told(registry, tmp_path) == "hello"
    assert int(pid.read_text()) != first


def test_no_process_of_a_server_is_left(servers: Servers, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    servers.add(hostile("ignores the end", str(pid)))
    child = int(pid.read_text())
    assert _alive(child)
    servers.remove("bad")
    assert not _alive(child)


def test_one_silent_call_ends_the_server_and_not_the_others(
    registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    servers.add(hostile("hang on call", call_s=0.5))
    servers.add(hostile("well", name="good"))
    assert "did not answer" in _told(registry, tmp_path)
    assert _told(registry, tmp_path, "good__echo") == "hello"
    assert {status.name: status.connected for status in servers.list()} == {
        "bad": False,
        "good": True,
    }


def test_names_that_can_not_be_shown_or_told_apart_are_set_aside(
    registry: Registry, servers: Servers
) -> None:
    assert servers.add(hostile("names")) == ("bad__good",)
    reasons = "\n".join(str(problem) for problem in servers.problems)
    assert "2 tools named bad__twice" in reasons
    assert "2 tools named bad__a_b" in reasons
    assert len(servers.problems) == 8
    assert reasons.replace("\n", "").isprintable()


def test_of_500_tools_the_first_100_are_offered_or_those_that_are_named(
    registry: Registry, servers: Servers
) -> None:
    assert len(servers.add(hostile("many"))) == 100
    assert "500 tools" in str(servers.problems[0])
    servers.remove("bad")
    assert servers.add(hostile("many", tools=("tool_499",))) == ("bad__tool_499",)


def test_a_list_without_end_is_cut(servers: Servers) -> None:
    names = servers.add(hostile("endless list"))
    assert names == ()  # the same name again and again is offered by none
    assert "tools named bad__echo" in str(servers.problems)


def test_schemas_that_can_not_be_used_are_set_aside(servers: Servers) -> None:
    assert servers.add(hostile("schemas")) == ("bad__good", "bad__slow")
    assert len(servers.problems) == 9


def test_patterns_of_one_server_are_bounded_together(servers: Servers) -> None:
    assert servers.add(hostile("patterns")) == tuple(f"bad__tool_{i}" for i in range(5))
    assert "With bad__tool_5 its tools have more than 100 patterns" in str(servers.problems)


def test_a_pattern_of_a_server_can_not_stop_the_others(
    registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    servers.add(hostile("schemas", call_s=5))
    assert "not what it promises" in _told(registry, tmp_path, "bad__slow")


def test_descriptions_hold_nothing_that_a_person_does_not_see(
    registry: Registry, servers: Servers
) -> None:
    servers.add(hostile("descriptions"))
    shown = {name: registry.get(f"bad__{name}").description for name in ("seen", "long", "silent")}
    assert shown["seen"] == "[31mRed text Second line."
    assert len(shown["long"]) == 1024
    assert shown["long"].endswith("…")
    assert shown["silent"] == "silent of bad"


def test_a_servers_word_on_risk_counts_for_nothing_and_the_users_counts(
    registry: Registry, servers: Servers
) -> None:
    servers.add(hostile("well"))
    assert registry.get("bad__annotated").risk == "execute"
    servers.remove("bad")
    servers.add(hostile("well", risk="write", risks={"annotated": "read"}))
    assert registry.get("bad__annotated").risk == "read"
    assert registry.get("bad__echo").risk == "write"


def test_what_is_removed_is_gone_and_does_not_come_back(
    registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    servers.add(hostile("well"))
    echo = registry.get("bad__echo")
    servers.remove("bad")
    assert "bad__echo" not in registry
    with pytest.raises(ToolError, match="was removed"):
        tools.call(echo, "{}", context(tmp_path))
    with pytest.raises(InputError, match="no MCP server 'bad'"):
        servers.remove("bad")
