"""Our client and our server together: the same tools, approved on both sides."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mcp_parts import calls, context, definition, settings

from workbench import tools
from workbench.approval import Rule
from workbench.errors import InputError, ToolError
from workbench.mcptools import Served, Server, Servers, http
from workbench.records import ToolCall
from workbench.sandbox import stoppable
from workbench.tools import Registry

TOKEN = "a token for the tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def test_tools_over_http_are_of_network_risk_and_the_token_is_never_seen(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    ours = calls(here, Rule("approve", tool="far__shell"))
    with (
        http.serving(Served(calls(there, Rule("approve", tool="shell"))), TOKEN) as url,
        Servers(ours.registry, here / "mcp.lock.json") as servers,
    ):
        names = servers.add(Server("far", url=url, headers=HEADERS))
        assert "far__read_file" in names
        assert ours.registry.get("far__read_file").risk == "network"
        ran = ours.make(ToolCall("1", "far__shell", '{"command": "echo hi"}'), run="r", step=0)
        assert json.loads(json.loads(ran.text))["stdout"] == "hi\n"
        asked = ours.make(ToolCall("2", "far__read_file", '{"path": "a"}'), run="r", step=1)
        assert asked.risk == "network"  # a request: nobody approved it
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert all(TOKEN.encode() not in p.read_bytes() for p in written)


def test_a_wrong_token_and_a_wrong_address_are_one_clear_line(tmp_path: Path) -> None:
    with (
        http.serving(Served(calls(tmp_path)), TOKEN) as url,
        Servers(Registry(settings(tmp_path)), tmp_path / "mcp.lock.json") as servers,
    ):
        wrong = {"Authorization": "Bearer not-the-token"}
        with pytest.raises(ToolError, match="MCP server far can't be used") as told:
            servers.add(Server("far", url=url, headers=wrong))
        assert "not-the-token" not in str(told.value)
        with pytest.raises(ToolError, match="MCP server near can't be used"):
            servers.add(Server("near", url="http://127.0.0.1:9/mcp"))
        with pytest.raises(InputError, match="There is an MCP server far already"):
            servers.add(Server("far", url=url))
        assert [status.connected for status in servers.list()] == [False, False]


@contextmanager
def _with_sessions(asked: list[str], *, silent: bool = False) -> Iterator[str]:
    """A server of the older protocol, as most are; one that is silent does not let go."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, message: object = None) -> None:
            body = json.dumps(message).encode() if message else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Mcp-Session-Id", "one")
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(405)

        def do_DELETE(self) -> None:
            asked.append(f"DELETE {self.headers['mcp-session-id']}")
            if silent:
                over.wait()
            self.answer(200)

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if "id" not in message:
                self.answer(202)
                return
            asked.append(message["method"])
            results = {
                "initialize": {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "old", "version": "1"},
                },
                "tools/list": {"tools": []},
            }
            result = results.get(message["method"])
            wrong = {"error": {"code": -32601, "message": "Method not found"}}
            told = {"result": result} if result else wrong
            self.answer(200, {"jsonrpc": "2.0", "id": message["id"], **told})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("silent", [False, True])
def test_a_server_is_told_that_its_session_has_ended(tmp_path: Path, silent: bool) -> None:
    asked: list[str] = []
    with (
        _with_sessions(asked, silent=silent) as url,
        Servers(Registry(settings(tmp_path)), tmp_path / "mcp.lock.json") as servers,
    ):
        servers.add(Server("old", url=url))
        servers.remove("old")  # also where nobody answers to that
        assert asked[-2:] == ["tools/list", "DELETE one"]


def test_many_calls_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=20)
    meet = definition("meet", "read", lambda arguments, context: together.wait() >= 0)
    registry = Registry(settings(tmp_path))
    with (
        http.serving(Served(calls(tmp_path, tools=(meet,))), TOKEN) as url,
        Servers(registry, tmp_path / "mcp.lock.json") as servers,
    ):
        servers.add(Server("far", url=url, headers=HEADERS))
        far = registry.get("far__meet")
        with ThreadPoolExecutor(16) as pool:
            made = [pool.submit(tools.call, far, "{}", context(tmp_path)) for _ in range(48)]
            assert [each.result() for each in made] == ["true"] * 48


def test_to_stop_a_call_here_ends_the_program_there(tmp_path: Path) -> None:
    registry = Registry(settings(tmp_path))
    mark = "3274.25"

    def running() -> bool:
        return (
            subprocess.run(["pgrep", "-f", f"sleep {mark}"], stdout=-3, check=False).returncode == 0
        )

    with (
        http.serving(Served(calls(tmp_path, Rule("approve", tool="shell"))), TOKEN) as url,
        Servers(registry, tmp_path / "mcp.lock.json") as servers,
    ):
        servers.add(Server("far", url=url, headers=HEADERS))
        stop = threading.Event()

        def call() -> None:
            with stoppable(stop), pytest.raises(ToolError, match="was stopped"):
                tools.call(
                    registry.get("far__shell"), f'{{"command": "sleep {mark}"}}', context(tmp_path)
                )

        caller = threading.Thread(target=call)
        caller.start()
        while not running():
            time.sleep(0.05)
        stop.set()
        caller.join()
        latest = time.monotonic() + 20
        while running() and time.monotonic() < latest:
            time.sleep(0.05)
        assert not running()


def test_servers_come_and_go_while_others_are_called(tmp_path: Path) -> None:
    registry = Registry(settings(tmp_path))
    with (
        http.serving(Served(calls(tmp_path), tools=["list_files"]), TOKEN) as url,
        Servers(registry, tmp_path / "mcp.lock.json") as servers,
    ):
        servers.add(Server("stays", url=url, headers=HEADERS))
        for _ in range(3):
            servers.add(Server("goes", url=url, headers=HEADERS))
            assert "goes__list_files" in registry
            tools.call(registry.get("stays__list_files"), "{}", context(tmp_path))
            servers.remove("goes")
            assert "goes__list_files" not in registry
    assert "stays__list_files" not in registry
