"""Servers from a file: what can't be used is told, and secrets are seen by nobody."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from examples import STRANGE_TEXTS
from mcp_parts import HOSTILE, calls, settings

from workbench.approval import Rule
from workbench.errors import InputError
from workbench.mcptools import Server, Servers, config
from workbench.records import ToolCall
from workbench.tools import Registry

SECRET = "sk-0123456789"


def _write(folder: Path, **servers: object) -> Path:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def test_the_usual_layout_is_read_and_other_programs_keys_are_passed_over(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        local={"type": "stdio", "command": "x", "args": ["-y"], "autoApprove": ["*"], "env": {}},
        far={"url": "https://example.org/mcp?v=1", "headers": {"A": "b"}, "alwaysAllow": True},
    )
    (local, far), wrong = config.read(path)
    assert (local.command, local.args, local.risk_of("any")) == ("x", ("-y",), "execute")
    assert (far.shown, far.risk_of("any")) == ("example.org", "network")
    assert wrong == {}


def test_one_wrong_server_stops_no_other(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        good={"command": "x"},
        both={"command": "x", "url": "http://localhost/"},
        neither={},
        nothing=None,
        kind={"command": ["x"]},
        risk={"command": "x", "risk": "none"},
        scheme={"url": "file:///etc/passwd"},
        password={"url": "https://me:secret-word@example.org/"},
        late={"command": "x", "call_s": 0},
        variable={"command": "x", "env": {"A": "${THIS_IS_NOT_SET}"}},
        **{
            "a__b": {"command": "x"},
            "с пробелом": {"command": "x"},
            "bad\x1b[2J": {"command": "x"},
        },
    )
    servers, wrong = config.read(path)
    assert [server.name for server in servers] == ["good"]
    assert len(wrong) == 12
    assert "secret-word" not in str(wrong)
    assert all(str(error).isprintable() for error in wrong.values())


def test_no_file_means_no_servers_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    assert config.read(tmp_path / "none.json") == ([], {})
    for text in ("", "[]", '{"mcpServers": []}', "{", "\x00"):
        (tmp_path / "mcp.json").write_text(text)
        with pytest.raises(InputError, match="list of MCP servers"):
            config.read(tmp_path / "mcp.json")


def test_variables_are_filled_in_from_the_environment() -> None:
    entry = {"url": "https://h/${P}", "headers": {"Authorization": "Bearer ${TOKEN}"}}
    server = config.server("far", entry, {"P": "mcp", "TOKEN": SECRET})
    assert (server.url, server.headers["Authorization"]) == ("https://h/mcp", f"Bearer {SECRET}")


@pytest.mark.parametrize("text", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS.keys())
def test_secrets_are_blotted_out_of_any_text(text: str) -> None:
    server = config.server(
        "far",
        {
            "url": "https://h/mcp?key=query-secret",
            "headers": {"Authorization": f"Bearer {SECRET}"},
        },
        {},
    )
    blotted = server.blot({"a": [f"{text}{SECRET}{text}", "query-secret"], SECRET: 1})
    assert blotted == {"a": [f"{text}[secret]{text}", "[secret]"], "[secret]": 1}
    assert SECRET not in repr(server)
    assert "query-secret" not in repr(server)


def test_what_variables_were_filled_with_is_secret_wherever_it_stands() -> None:
    environ = {"KEY": SECRET, "DB": "postgresql://me:pass-word@h/d", "HOME": "/home/anna"}
    args = ["--key=${KEY}", "--db", "${DB}", "${HOME}/notes"]
    local = config.server("local", {"command": "x", "args": args}, environ)
    assert local.args == (f"--key={SECRET}", "--db", environ["DB"], "/home/anna/notes")
    assert local.blot([SECRET, environ["DB"], "pass-word"]) == ["[secret]"] * 3
    assert local.blot("/home/anna/notes/a.md") == "/home/anna/notes/a.md"
    assert SECRET not in repr(local)
    far = config.server("far", {"url": "https://h/${KEY}/mcp"}, environ)
    assert far.blot(f"404: /{SECRET}/mcp") == "404: /[secret]/mcp"


def test_another_command_or_address_makes_another_version_and_another_key_does_not() -> None:
    entry = {"command": "x", "args": ["--key", "${KEY}"], "env": {"A": "${KEY}"}}
    here = config.server("s", entry, {"KEY": SECRET}).version
    assert config.server("s", entry, {"KEY": "another key"}).version == here
    for change in ({"command": "y"}, {"args": ["${KEY}"]}, {"env": {"B": "1"}}, {"cwd": "/"}):
        assert config.server("s", {**entry, **change}, {"KEY": SECRET}).version != here
    far = {"url": "https://h/mcp?key=${KEY}"}
    there = config.server("s", far, {"KEY": SECRET}).version
    assert config.server("s", far, {"KEY": "another key"}).version == there
    assert config.server("s", {"url": "https://g/mcp?key=${KEY}"}, {"KEY": SECRET}).version != there


def test_a_local_server_gets_its_own_environment_and_its_secrets_stay_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "our own secret")
    made = calls(tmp_path, Rule("approve"))
    entry = {"command": sys.executable, "args": ["-S", "-E", str(HOSTILE), "secrets"]}
    path = _write(tmp_path, tell={**entry, "env": {"API_KEY": SECRET, "DEBUG": "1"}})
    with Servers(made.registry, tmp_path / "mcp.lock.json") as servers:
        servers.load(path)
        assert made.registry.get("tell__tell").description == "Uses [secret]"
        told = made.make(ToolCall("c", "tell__tell", "{}"), run="r", step=0)
        environment = json.loads(json.loads(told.text)["told"].partition("all: ")[2])
        assert environment["API_KEY"] == "[secret]"
        assert set(environment) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "API_KEY", "DEBUG"}
        seen = [str(servers.list()), str(servers.problems)]
    written = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p != path]
    assert all(SECRET.encode() not in data for data in written)
    assert SECRET not in "".join(seen)
    assert os.environ["OURS"] not in told.text


def test_the_secrets_of_a_server_that_dies_are_not_told(tmp_path: Path) -> None:
    made = calls(tmp_path, Rule("approve"))
    server = Server(
        "bad",
        command=sys.executable,
        args=("-S", "-E", str(HOSTILE), "die on call"),
        env={"API_KEY": SECRET},
    )
    with Servers(made.registry, tmp_path / "mcp.lock.json") as servers:
        servers.add(server)
        told = made.make(ToolCall("c", "bad__echo", "{}"), run="r", step=0)
        assert "Segmentation fault: [31mkey [secret]" in told.text
        assert SECRET not in str(servers.list())
    assert SECRET not in (tmp_path / "spans.jsonl").read_text()


@pytest.mark.parametrize("cwd", ["", "servers"])
def test_paths_of_a_file_start_at_its_folder_wherever_one_stands(
    cwd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "notebooks"
    for folder in (elsewhere, tmp_path / cwd):
        folder.mkdir(exist_ok=True)
    shutil.copy(HOSTILE, tmp_path / cwd / "server.py")
    entry = {"command": sys.executable, "args": ["-S", "-E", "server.py", "well"], "cwd": cwd}
    path = _write(tmp_path, here=entry)
    registry = Registry(settings(tmp_path))
    monkeypatch.chdir(elsewhere)
    with Servers(registry, tmp_path / "mcp.lock.json") as servers:
        servers.load(path)
        assert "here__echo" in registry, servers.problems


def test_a_project_that_was_moved_has_the_same_servers(tmp_path: Path) -> None:
    entry = {"command": "./server", "cwd": "servers"}
    versions = set()
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        ((made,), _) = config.read(_write(tmp_path / name, here=entry))
        versions.add(made.version)
    assert versions == {config.server("here", entry).version}


def test_servers_of_a_file_are_connected_at_once_and_disabled_ones_are_not(tmp_path: Path) -> None:
    registry = Registry(settings(tmp_path))
    entry = {"command": sys.executable, "args": ["-S", "-E", str(HOSTILE), "well"]}
    path = _write(
        tmp_path,
        one=entry,
        two=entry,
        off={**entry, "disabled": True},
        gone={"command": "/nowhere/x"},
        wrong={},
    )
    with Servers(registry, tmp_path / "mcp.lock.json") as servers:
        servers.load(path)
        assert "one__echo" in registry
        assert "two__echo" in registry
        assert "off__echo" not in registry
        assert {s.name: bool(s.problem) for s in servers.list()} == {
            "one": False,
            "two": False,
            "gone": True,
            "wrong": True,
        }
