"""Ways to a server that hold whatever comes back: bounded lines, bytes and messages.

The SDK's own transport of stdio reads lines without end and hands on some of our
environment, and its HTTP reads answers without end. So here are a way to a local process,
and an HTTP client to be used by the SDK's transport. Both count into a `Flow`, which is
renewed by each request of ours: a server may say much, but not without being asked.

It is not a boundary against a local server, which is a program with all rights of the user. One
that starts processes in sessions of their own leaves them behind.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx2
from anyio.abc import ByteReceiveStream, Process
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from workbench.errors import ServerError
from workbench.mcptools.config import Server
from workbench.tools.contract import one_line

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

_LINE = 4 << 20
"""Bytes of one message."""
_BYTES = 32 << 20
"""Bytes that a server may send after one request of ours."""
_MESSAGES = 3_000
_ASKED = 256 << 10
"""What a request that the SDK makes by itself costs: a server can make it ask again and again."""
_GRACE = 1.0
"""Seconds from closing a server's input to SIGTERM, and from there to SIGKILL."""
_TAIL = 2_000


class Flooded(ServerError):
    """A server said more than it was asked for."""


class Flow:
    """How much came from a server. `received` counts its messages, `said` is its last stderr.

    `ended` says that no more can come, `lost` that this was noticed. `process` is the id of
    a local server's process.
    """

    def __init__(self, server: Server) -> None:
        self.received = 0
        self.process: int | None = None
        self.ended = self.lost = False
        self._server = server
        self._tail = b""
        self.renew()

    def renew(self) -> None:
        """A request of ours: the server may speak again."""
        self._bytes, self._messages = _BYTES, _MESSAGES

    def spend(self, size: int, messages: int = 0) -> None:
        """Raises Flooded where that is more than a server may say."""
        self.received += messages
        self._bytes -= size
        self._messages -= messages
        if self._bytes < 0 or self._messages < 0:
            raise Flooded(
                f"The MCP server {self._server.name} sent without end and was cut off",
                "Look at what it does, or remove it",
            )

    @property
    def over(self) -> bool:
        """Whether a call can't arrive: also of a process that died and whose pipe is not read."""
        return self.ended or (self.process is not None and _has_exited(self.process))

    def tell(self, data: bytes) -> None:
        """Keep the end of what the server writes to stderr."""
        self._tail = (self._tail + data)[-_TAIL:]

    @property
    def said(self) -> str:
        """The last line of stderr, as it may be shown; "" where there is none."""
        lines = self._tail.decode(errors="replace").strip().splitlines()
        return one_line(self._server.blot(lines[-1]), 200) if lines else ""


@asynccontextmanager
async def local(server: Server, flow: Flow) -> AsyncGenerator[TransportStreams, None]:
    """Start a server and speak with it line by line; it has ended when the body is left.

    Raises OSError where it can't be started.
    """
    process = await anyio.open_process(
        [server.command, *server.args],
        env={**environment(), **server.env},
        cwd=Path(server.folder, server.cwd),
        start_new_session=True,
    )
    flow.process = process.pid
    into, messages = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    answers, out = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        assert process.stdout is not None
        try:
            async with into:
                async for line in _lines(process.stdout, flow):
                    with suppress(ValueError):  # what is no message was counted all the same
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                        await into.send(SessionMessage(message))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # nobody listens any more
        finally:
            flow.ended = True

    async def write() -> None:
        assert process.stdin is not None
        async with out:
            async for item in out:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    await process.stdin.send(text.encode() + b"\n")
                except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
                    flow.ended = True
                    into.close()
                    return

    async def listen() -> None:
        assert process.stderr is not None
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for data in process.stderr:
                flow.tell(data)

    try:
        async with anyio.create_task_group() as tasks:
            for task in (read, write, listen):
                tasks.start_soon(task)
            try:
                yield messages, answers
            finally:
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
            for stream in (into, messages, answers, out):
                stream.close()


def environment() -> dict[str, str]:
    """What a local server gets of our environment: where programs and the home folder are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8"}


def http_client(server: Server, flow: Flow) -> httpx2.AsyncClient:
    """The client for a server's address. Proxies of the environment are not used."""
    return httpx2.AsyncClient(
        headers={**server.headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(server.call_s, connect=server.start_s),
        transport=_Counting(flow),
        trust_env=False,
    )


class _Counting(httpx2.AsyncBaseTransport):
    """Counts what comes back."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer, whose body is counted while it is read."""
        self._flow.spend(_ASKED if request.method == "GET" else 0)
        response = await self._inner.handle_async_request(request)
        # Not asked for, and a few bytes could become gigabytes.
        response.headers.pop("content-encoding", None)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Counted(response.stream, self._flow),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, flow: Flow) -> None:
        self._inner, self._flow = inner, flow

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            self._flow.spend(len(data), messages=1)
            yield data

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _lines(stream: ByteReceiveStream, flow: Flow) -> AsyncIterator[bytes]:
    """Whole lines, each of bounded length."""
    parts: list[bytes] = []
    async for data in stream:
        *whole, rest = data.split(b"\n")
        flow.spend(len(data), messages=len(whole))
        for line in whole:
            yield b"".join([*parts, line])
            parts.clear()
        parts.append(rest)
        if sum(map(len, parts)) > _LINE:
            flow.spend(_BYTES + 1)


async def _end(process: Process) -> None:
    """Ask a server to end by closing its input, then tell and kill all of its process group."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    await _ended(process)
    for told in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, told)
        await _ended(process)
    # Its own `aclose` would wait for pipes that a process in another session may hold.
    process._process._transport.close()  # type: ignore[attr-defined]


def _has_exited(pid: int) -> bool:
    """Looks without taking the exit status, for which the event loop waits."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # taken already
        return True


async def _ended(process: Process) -> None:
    """Wait until a server has ended, for a moment at most."""
    with anyio.move_on_after(_GRACE):
        while process.returncode is None:
            await anyio.sleep(0.01)
