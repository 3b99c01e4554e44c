"""Our client against servers of the official SDK's own examples."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sdk_examples
from mcp_parts import context, settings

from workbench import tools
from workbench.errors import ToolError
from workbench.mcptools import Server, Servers
from workbench.sandbox import stoppable
from workbench.tools import Registry

pytestmark = pytest.mark.slow

RUN = "import runpy, sys; runpy.run_path(sys.argv[1])['mcp'].run()"
"""How the SDK's own command line runs an example that does not run by itself."""


@pytest.fixture(scope="module")
def examples() -> Path:
    return sdk_examples.folder()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(settings(tmp_path))


@pytest.fixture
def servers(registry: Registry, tmp_path: Path) -> Iterator[Servers]:
    with Servers(registry, tmp_path / "mcp.lock.json") as opened:
        yield opened


@contextmanager
def _everything(examples: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The conformance example, over HTTP."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_everything_server", "--port", str(port)],
        cwd=examples / "servers" / "everything-server",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


def test_the_quickstart_over_stdio(
    examples: Path, registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    quickstart = str(examples / "mcpserver" / "readme-quickstart.py")
    names = servers.add(Server("demo", command=sys.executable, args=("-c", RUN, quickstart)))
    assert names == ("demo__sum",)
    add = registry.get("demo__sum")
    assert (add.description, add.risk) == ("Add two numbers", "execute")
    assert tools.call(add, '{"a": 2, "b": 40}', context(tmp_path)) == {"result": 42}
    with pytest.raises(ToolError, match="don't fit"):
        tools.call(add, '{"a": "two", "b": 40}', context(tmp_path))


def test_any_letters_over_stdio(
    examples: Path, registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    example = str(examples / "mcpserver" / "unicode_example.py")
    servers.add(Server("letters", command=sys.executable, args=(example,)))
    hello = registry.get("letters__hello_unicode")
    assert "漢字 🎉" in hello.description
    told = tools.call(hello, '{"name": "Мир", "greeting": "שלום"}', context(tmp_path))
    assert told == {"result": "שלום, Мир! 👋"}


def test_the_everything_server_over_http(
    examples: Path, registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    with _everything(examples) as (_, port):
        names = servers.add(Server("all", url=f"http://127.0.0.1:{port}/mcp"))
        assert len(names) > 20

        def call(name: str) -> object:
            return tools.call(registry.get(f"all__{name}"), "{}", context(tmp_path))

        assert registry.get("all__test_simple_text").risk == "network"
        assert "simple text" in str(call("test_simple_text"))
        assert "image/png" in str(call("test_image_content"))
        assert "left out" in str(call("test_multiple_content_types"))
        assert call("test_tool_with_progress")
        assert call("test_tool_with_logging")
        assert call("test_reconnection")
        with pytest.raises(ToolError, match="test_error_handling failed"):
            call("test_error_handling")
        with pytest.raises(ToolError, match=r"nobody can be asked|failed|refused"):
            call("test_input_required_result_elicitation")
        assert "simple text" in str(call("test_simple_text"))


def test_the_everything_server_is_found_again_after_it_was_killed(
    examples: Path, registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    def call() -> str:
        text = registry.get("all__test_simple_text")
        return str(tools.call(text, "{}", context(tmp_path)))

    with _everything(examples) as (process, port):
        servers.add(Server("all", url=f"http://127.0.0.1:{port}/mcp"))
        assert "simple text" in call()
        process.kill()
        process.wait()
        with pytest.raises(ToolError, match="MCP server all"):
            call()
    with _everything(examples, port):
        assert "simple text" in call()


def test_a_call_that_hangs_can_be_stopped_and_interrupted(
    registry: Registry, servers: Servers, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()
    example = tmp_path / "sleeper.py"  # none of the examples sleeps
    example.write_text(
        "import anyio\nfrom mcp.server.mcpserver import MCPServer\n"
        "mcp = MCPServer('sleeper')\n"
        f"def say(what):\n    open({str(log)!r}, 'a').write(what)\n"
        "@mcp.tool()\n"
        "async def sleep(seconds: float) -> str:\n"
        "    say('began ')\n"
        "    try:\n        await anyio.sleep(seconds)\n"
        "    finally:\n        say('ended ')\n"
        "    return 'slept'\n"
        "mcp.run()\n"
    )

    def wait_for(said: str) -> None:
        while log.read_text() != said:
            time.sleep(0.05)

    def once(said: str, act: Callable[[], object]) -> None:
        threading.Thread(target=lambda: (wait_for(said), act()), daemon=True).start()

    servers.add(Server("s", command=sys.executable, args=(str(example),)))
    sleep = registry.get("s__sleep")
    stop = threading.Event()
    once("began ", stop.set)
    with stoppable(stop), pytest.raises(ToolError, match="was stopped"):
        tools.call(sleep, '{"seconds": 600}', context(tmp_path))
    wait_for("began ended ")
    once("began ended began ", lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        tools.call(sleep, '{"seconds": 600}', context(tmp_path))
    wait_for("began ended began ended ")
    assert tools.call(sleep, '{"seconds": 0}', context(tmp_path)) == {"result": "slept"}
