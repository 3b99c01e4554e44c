"""The official SDK's client against our server: list, call, error, progress, cancel, reconnect."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from examples import STRANGE_TEXTS
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_parts import calls, definition, run_apart

from workbench import tracing
from workbench.approval import Decision, Request, Rule
from workbench.errors import InputError, ServerError
from workbench.mcptools import Served, http

TOKEN = "a token for the tests"
SHELL = Rule("approve", tool="shell")
Work = Callable[[Client], Awaitable[Any]]


def _stdio(folder: Path) -> StdioServerParameters:
    """The command line, as another program starts it."""
    (folder / "approval.yaml").write_text("rules: [{tool: shell, decide: approve}]")
    (folder / "workspace").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in ("PYTHONPATH", "PATH")}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_stdio", "serve", "--workspace", str(folder / "workspace")],
        env={**kept, "WORKBENCH_ROOT": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=folder,
    )


def _over_http(url: str, work: Work, *, mode: str = "auto", token: str = TOKEN) -> Any:
    async def run() -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as client,
            Client(streamable_http_client(url, http_client=client), mode=mode) as connected,
        ):
            return await work(connected)

    return run_apart(run)


def _over_stdio(folder: Path, work: Work, *, mode: str = "auto") -> Any:
    async def run() -> Any:
        async with Client(_stdio(folder), mode=mode) as connected:
            return await work(connected)

    return run_apart(run)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with http.serving(Served(calls(tmp_path, SHELL)), TOKEN) as address:
        yield address


async def _look_around(client: Client) -> Any:
    listed = await client.list_tools()
    risks = {t.name: t.annotations.read_only_hint for t in listed.tools if t.annotations}
    good = await client.call_tool("shell", {"command": "echo привет 🙂"})
    wrong = await client.call_tool("shell", {"command": 3})
    absent = await client.call_tool("no_such_tool", {})
    refused = await client.call_tool("write_file", {"path": "a", "content": "b"})
    return risks, good, wrong, absent, refused


def _check(found: Any) -> None:
    risks, good, wrong, absent, refused = found
    assert (risks["read_file"], risks["shell"]) == (True, False)
    assert not good.is_error
    assert json.loads(good.content[0].text)["stdout"] == "привет 🙂\n"
    assert [r.is_error for r in (wrong, absent, refused)] == [True, True, True]
    assert "don't fit" in wrong.content[0].text
    assert "There is no tool 'no_such_tool'" in absent.content[0].text
    assert "Nobody was there to approve it" in refused.content[0].text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_tools_are_listed_called_and_refused_over_http(url: str, mode: str) -> None:
    _check(_over_http(url, _look_around, mode=mode))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_tools_are_listed_called_and_refused_over_stdio(tmp_path: Path, mode: str) -> None:
    _check(_over_stdio(tmp_path, _look_around, mode=mode))
    assert not (tmp_path / "workspace" / "a").exists()


def test_every_call_is_a_span_of_its_own_trace(tmp_path: Path, url: str) -> None:
    async def work(client: Client) -> None:
        ours = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        await client.call_tool("shell", {"command": "true"}, meta=ours)  # type: ignore[arg-type]
        await client.call_tool("delete_file", {"path": "x"})

    _over_http(url, work)
    ran, refused = tracing.read(tmp_path / "spans.jsonl")
    assert (ran.kind, ran.name, ran.metadata["approval"]["by"]) == ("tool", "shell", "policy")
    assert (refused.name, refused.metadata["approval"]["by"]) == ("delete_file", "nobody")
    assert ran.trace_id != "a" * 32
    assert len({ran.trace_id, refused.trace_id}) == 2
    assert {ran.parent_id, refused.parent_id} == {None}


def test_whoever_is_asked_decides(tmp_path: Path) -> None:
    class Asker:
        def ask(self, request: Request) -> Decision | None:
            answer = "approve" if "good" in request.arguments else "reject"
            return Decision(request.digest, answer, "person:anna")  # type: ignore[arg-type]

    async def work(client: Client) -> list[bool]:
        given = [{"path": name, "content": "text"} for name in ("good", "bad")]
        results = [await client.call_tool("write_file", each) for each in given]
        return [bool(each.is_error) for each in results]

    with http.serving(Served(calls(tmp_path), asker=Asker()), TOKEN) as address:
        assert _over_http(address, work) == [False, True]
    assert [path.name for path in (tmp_path / "workspace").iterdir()] == ["good"]


@pytest.mark.parametrize("text", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS.keys())
def test_any_text_comes_through(tmp_path: Path, text: str) -> None:
    echo = definition("echo", "read", lambda arguments, context: arguments["text"][:9000])

    async def work(client: Client) -> str:
        result = await client.call_tool("echo", {"text": text})
        return str(json.loads(result.content[0].text))  # type: ignore[union-attr]

    with http.serving(Served(calls(tmp_path, tools=(echo,)), tools=["echo"]), TOKEN) as address:
        assert _over_http(address, work) == text[:9000]


def test_only_what_is_offered_can_be_called(tmp_path: Path) -> None:
    async def work(client: Client) -> Any:
        listed = await client.list_tools()
        return [t.name for t in listed.tools], await client.call_tool("read_file", {"path": "a"})

    with http.serving(Served(calls(tmp_path), tools=["list_files"]), TOKEN) as address:
        names, result = _over_http(address, work)
    assert names == ["list_files"]
    assert "There is no tool" in result.content[0].text
    with pytest.raises(InputError, match="no tool 'nothing'"):
        Served(calls(tmp_path), tools=["nothing"])


# --- progress and cancelling --------------------------------------------------


def _running(mark: str) -> bool:
    found = subprocess.run(["pgrep", "-f", mark], capture_output=True, text=True, check=False)
    return bool(found.stdout.split())


def _cancel(mark: str, notes: list[float]) -> Work:
    """Call a program that takes long, and give it up once it runs and was heard of."""

    async def noted(progress: float, total: float | None, message: str | None) -> None:
        notes.append(progress)

    async def work(client: Client) -> None:
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                await client.call_tool(
                    "shell", {"command": f"sleep {mark}"}, progress_callback=noted
                )

            tasks.start_soon(call)
            while not notes or not await anyio.to_thread.run_sync(_running, f"sleep {mark}"):
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(20):
            while await anyio.to_thread.run_sync(_running, f"sleep {mark}"):
                await anyio.sleep(0.05)
        again = await client.call_tool("shell", {"command": "echo still here"})
        assert not again.is_error

    return work


@pytest.mark.parametrize(("mode", "mark"), [("auto", "3271.25"), ("legacy", "3271.5")])
def test_a_cancelled_call_ends_its_program_over_http(
    tmp_path: Path, url: str, mode: str, mark: str
) -> None:
    notes: list[float] = []
    _over_http(url, _cancel(mark, notes), mode=mode)
    assert notes
    assert notes == sorted(notes)
    stopped, _ = tracing.read(tmp_path / "spans.jsonl")
    assert stopped.output["ended"] == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "mark"), [("auto", "3272.25"), ("legacy", "3272.5")])
def test_a_cancelled_call_ends_its_program_over_stdio(tmp_path: Path, mode: str, mark: str) -> None:
    notes: list[float] = []
    _over_stdio(tmp_path, _cancel(mark, notes), mode=mode)
    assert notes


@pytest.mark.slow
def test_a_client_that_goes_away_leaves_no_program(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "shell", {"command": "sleep 3273.25"})
            while not await anyio.to_thread.run_sync(_running, "sleep 3273.25"):
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    _over_stdio(tmp_path, work)
    latest = time.monotonic() + 20
    while _running("sleep 3273.25") and time.monotonic() < latest:
        time.sleep(0.05)
    assert not _running("sleep 3273.25")


def test_what_is_decided_after_the_client_left_does_not_run(tmp_path: Path) -> None:
    asked, decided = threading.Event(), threading.Event()

    class Asker:
        def ask(self, request: Request) -> Decision | None:
            asked.set()
            decided.wait(20)
            return Decision(request.digest, "approve", "person:anna")

    async def work(client: Client) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "write_file", {"path": "a", "content": "b"})
            await anyio.to_thread.run_sync(asked.wait)
            tasks.cancel_scope.cancel()

    with http.serving(Served(calls(tmp_path), asker=Asker()), TOKEN) as address:
        _over_http(address, work)
        time.sleep(0.3)  # the server learns of it
        decided.set()
    assert list((tmp_path / "workspace").iterdir()) == []


def test_many_calls_run_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=20)
    meet = definition("meet", "read", lambda arguments, context: together.wait() >= 0)

    async def work(client: Client) -> list[bool]:
        results: list[bool] = []

        async def one() -> None:
            results.append(bool((await client.call_tool("meet", {})).is_error))

        async with anyio.create_task_group() as tasks:
            for _ in range(24):
                tasks.start_soon(one)
        return results

    with http.serving(Served(calls(tmp_path, tools=(meet,))), TOKEN) as address:
        assert _over_http(address, work) == [False] * 24


def test_a_client_comes_back_after_the_server_was_started_again(tmp_path: Path) -> None:
    made = calls(tmp_path, SHELL)

    async def call(client: Client) -> bool:
        return bool((await client.call_tool("shell", {"command": "true"})).is_error)

    with http.serving(Served(made), TOKEN) as address:
        assert not _over_http(address, call)
    port = int(address.rpartition(":")[2].partition("/")[0])
    with pytest.raises((httpx2.ConnectError, MCPError, BaseExceptionGroup)):
        _over_http(address, call)
    with http.serving(Served(made), TOKEN, port) as address:
        assert not _over_http(address, call)


# --- who is let in ------------------------------------------------------------

_CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}
_HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
}


def _post(url: str, **changed: str) -> int:
    headers = {name: value for name, value in {**_HEADERS, **changed}.items() if value}
    return httpx.post(url, json=_CALL, headers=headers).status_code


def test_only_who_has_the_token_and_is_no_page_of_a_browser_gets_in(url: str) -> None:
    assert _post(url) == 200
    assert _post(url, Authorization="") == 401
    assert _post(url, Authorization=f"Bearer {TOKEN}x") == 401
    assert _post(url, Authorization=TOKEN) == 401
    assert _post(url, Host="evil.example") == 421
    assert _post(url, Host="evil.example:80", Authorization="") == 401
    assert _post(url, Origin="https://evil.example") == 403
    assert _post(url, Origin="null") == 403
    assert _post(url, **{"Content-Type": "text/plain"}) == 400
    for method in ("GET", "DELETE", "PUT", "OPTIONS", "HEAD"):
        assert httpx.request(method, url).status_code == 401
    assert httpx.get(url.removesuffix("/mcp") + "/", headers=_HEADERS).status_code == 404


def test_it_listens_on_one_address_alone(url: str) -> None:
    port = int(url.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)):
        pass
    for other in ("127.0.0.2", "::1"):
        with (
            pytest.raises(OSError, match=r"refused|assign"),
            socket.create_connection((other, port), 5),
        ):
            pass


def test_a_wrong_token_is_told_to_the_client(url: str) -> None:
    async def work(client: Client) -> None:
        await client.list_tools()

    with pytest.raises((MCPError, BaseExceptionGroup)):
        _over_http(url, work, token="another token, as long")


def test_a_short_token_and_a_taken_port_are_refused(tmp_path: Path, url: str) -> None:
    served = Served(calls(tmp_path))
    with pytest.raises(InputError, match="fewer than 16"), http.serving(served, "short"):
        pass
    port = int(url.rpartition(":")[2].partition("/")[0])
    with (
        pytest.raises(ServerError, match="can't be listened on"),
        http.serving(served, TOKEN, port),
    ):
        pass
