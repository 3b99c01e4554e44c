"""`workbench mcp`: what the commands print, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_parts import HOSTILE, run_apart, settings

from workbench.errors import InputError
from workbench.mcptools.commands import _calls, mcp
from workbench.records import ToolCall

SAMPLES = Path(__file__).resolve().parents[2] / "datasets" / "samples" / "mcp"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_ROOT", str(tmp_path))
    return tmp_path


def test_servers_are_listed_with_tools_risks_and_changes(project: Path) -> None:
    said = project / "said"
    said.write_text("Echo.")
    command = {"command": sys.executable, "args": ["-S", "-E", str(HOSTILE), "changing", str(said)]}
    servers = {"bad": {**command, "risk": "write"}, "gone": {"command": "/nowhere/x"}}
    (project / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    first = CliRunner().invoke(mcp, ["list"]).output
    assert "connected, 2 tools\n  bad__echo  write\n  bad__other  write" in first
    assert "! MCP server gone: x can't be started" in first
    said.write_text("Echo, and more.")
    shown = CliRunner().invoke(mcp, ["list"]).output
    assert '    - "description": "Echo.",\n    + "description": "Echo, and more.",\n' in shown
    assert "bad__echo changed since it was accepted: description was Echo. and is" in shown
    accept = re.findall(r"workbench mcp (accept bad__echo \w+)\n", shown)[0].split()
    said.write_text("Echo, and more than was shown.")
    with pytest.raises(InputError, match="bad__echo does not say what"):
        CliRunner().invoke(mcp, accept, catch_exceptions=False)
    said.write_text("Echo, and more.")
    assert "is taken" in CliRunner().invoke(mcp, accept).output
    assert "changed" not in CliRunner().invoke(mcp, ["list"]).output
    with pytest.raises(InputError, match="no changed tool"):
        CliRunner().invoke(mcp, accept, catch_exceptions=False)


def test_all_changes_of_a_server_are_accepted_at_once(project: Path) -> None:
    entry = {"command": sys.executable, "args": ["-S", "-E", str(HOSTILE), "well"]}
    for args in (entry["args"], [*entry["args"], "and more"]):
        (project / "mcp.json").write_text(
            json.dumps({"mcpServers": {"bad": {**entry, "args": args}}})
        )
        shown = CliRunner().invoke(mcp, ["list"]).output
    assert "its server has another command or address" in shown
    accept = re.findall(r"workbench mcp (accept bad \w+)\n", shown)[0].split()
    assert "is taken" in CliRunner().invoke(mcp, accept).output
    assert "changed" not in CliRunner().invoke(mcp, ["list"]).output


def test_to_ask_at_the_terminal_needs_a_terminal(project: Path) -> None:
    told = CliRunner().invoke(mcp, ["serve", "--ask"])
    assert told.exit_code == 2
    assert "--ask needs --http" in told.output


@pytest.mark.parametrize(
    "tools", [["domain_tools:READ"], ["workbench.mcptools.chemistry:DILUTION"] * 2]
)
def test_a_tool_of_a_domain_that_would_not_be_the_one_served_is_refused(
    tools: list[str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "domain_tools.py").write_text(
        "import dataclasses\nfrom workbench.mcptools.chemistry import DILUTION\n"
        "READ = dataclasses.replace(DILUTION, name='read_file')\n"
    )
    monkeypatch.syspath_prepend(project)
    domain = project / "domain.yaml"
    domain.write_text(json.dumps({"name": "mine", "tools": tools}))
    with pytest.raises(InputError, match="the name is taken twice"):
        CliRunner().invoke(mcp, ["serve", "--domain", str(domain)], catch_exceptions=False)


def test_documents_are_searched_where_there_are_any(project: Path) -> None:
    given = settings(project)
    assert "search_knowledge" not in _calls(given, None, project, None).registry
    folder = project / "datasets" / "knowledge" / "dev"
    folder.mkdir(parents=True)
    (folder / "broken.md").write_bytes(b"\xff")
    calls = _calls(given, None, project, None)
    assert "search_knowledge" in calls.registry
    search = ToolCall("c", "search_knowledge", '{"query": "Oil?"}')
    told = calls.make(search, run="r", step=0)
    assert "broken.md can't be read" in told.text


@pytest.mark.slow
def test_a_client_finds_the_passages_of_the_documents(project: Path) -> None:
    folder = project / "datasets" / "knowledge" / "dev"
    folder.mkdir(parents=True)
    (folder / "oil.md").write_text("# Oil\n\nOil is changed each year.\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    serve = ["-m", "mcp_stdio", "serve", "--workspace", str(project)]
    server = StdioServerParameters(command=sys.executable, args=serve, env=environment)

    async def ask() -> str:
        async with stdio_client(server) as streams, ClientSession(*streams) as session:
            await session.initialize()
            told = await session.call_tool("search_knowledge", {"query": "When is oil changed?"})
            return told.content[0].text

    [found] = json.loads(run_apart(ask))["passages"]
    assert (found["source"], found["text"]) == ("dev/oil.md", "Oil is changed each year.")


@pytest.mark.slow
def test_a_domain_is_served_over_http_until_it_is_ended(project: Path) -> None:
    domain = str(SAMPLES / "chemistry.yaml")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    serve = ["-m", "mcp_stdio", "serve", "--http", "--port", "0", "--domain", domain]
    process = subprocess.Popen(
        [sys.executable, *serve], cwd=project, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    token = process.stderr.readline().removeprefix("Token: ").strip()
    found = re.search(r"http://\S+/mcp", process.stderr.readline())
    assert found is not None
    start = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    headers = {"Accept": "application/json, text/event-stream"}
    assert httpx.post(found[0], json=start, headers=headers).status_code == 401
    headers["Authorization"] = f"Bearer {token}"
    answer = httpx.post(found[0], json=start, headers=headers)
    assert '"name":"chemistry"' in answer.text
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert "Traceback" not in process.stderr.read()
