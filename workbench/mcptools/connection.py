"""One server, as seen from the event loop: connected when needed, listed, called, given up.

A connection is one task that owns the server's process or HTTP client; calls are others.
What a server does wrong ends in one ToolError, and the next call connects anew: at
once the first time, then after 1, 2, 4 ... 60 seconds. A call is never repeated,
for it may have had its effect.

Knows nothing about approval or registries.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    Tool,
    ToolListChangedNotification,
)
from pydantic import TypeAdapter

from workbench.errors import ToolError, WorkbenchError
from workbench.mcptools.config import Server
from workbench.mcptools.foreign import MOST_TOOLS
from workbench.mcptools.transports import Flooded, Flow, http_client, local
from workbench.tools.contract import one_line

_PAGES = 50
_LONGEST_WAIT = 60.0
_MOMENT = 0.2
"""Seconds in which a connection may end by itself, and so tell why."""
_PARTING = 1.0
"""Seconds in which we take leave: a server with a session is told that it has ended."""
_RESULT: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(
    CallToolResult | InputRequiredResult
)

Listed = Callable[[list[Tool]], Awaitable[None]]


class Connection:
    """A server. All methods run in the loop's thread; `tasks` holds the connection's own task.

    `listed` is told the server's tools after each listing, before anything is called.
    """

    def __init__(self, server: Server, tasks: TaskGroup, listed: Listed) -> None:
        self.server = server
        self.problem = ""
        self._tasks, self._listed = tasks, listed
        self._connecting = anyio.Lock()
        self._client: Client | None = None
        self._flow = Flow(server)
        self._scope = anyio.CancelScope()
        self._leave, self._left = anyio.Event(), anyio.Event()
        self._left.set()
        self._stale = True
        self._removed = False
        self._failures = 0
        self._not_before = 0.0

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._client is not None and not self._flow.over

    async def ready(self, *, anew: bool = False) -> None:
        """Connect where needed, and list the tools where they may have changed.

        Raises ToolError where that fails, or failed a moment ago.
        """
        async with self._connecting:
            if self._removed:
                raise ToolError(f"The MCP server {self.server.name} was removed", "Do without it")
            if not self.connected:
                await self._end()
                await self._connect()
            elif self._stale or anew:
                await self._list()

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool by the server's own name of it; `ready` was called before.

        Raises ToolError for whatever goes wrong on the way.
        """
        client = self._client
        if client is None:
            raise self._gone("the connection ended")
        flow, heard = self._flow, self._flow.received
        flow.renew()
        request = CallToolRequest(
            params=CallToolRequestParams(name=tool, arguments=dict(arguments))
        )
        seconds = self.server.call_s
        try:
            # Not `client.call_tool`, which runs the patterns of the server's own schema by `re`.
            with anyio.fail_after(seconds):
                result = await client.session.send_request(request, _RESULT)
        except TimeoutError:
            if flow.received == heard:
                await self._lose("it is silent", flow)
            raise ToolError(
                f"The MCP server {self.server.name} did not answer within {seconds:g} s",
                "Go on without it, or ask for less",
            ) from None
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or error.message == "Session terminated":
                raise self._gone(await self._lose("the connection ended", flow)) from None
            raise ToolError(
                f"The MCP server {self.server.name} refused: {self._clean(error.message)}",
                "Try other arguments, or go on without it",
            ) from None
        except ValueError:  # the SDK could not make a result of the answer
            raise ToolError(
                f"The MCP server {self.server.name} answered with something that is no result",
                "Go on without it",
            ) from None
        self._failures = 0
        if isinstance(result, InputRequiredResult):
            raise ToolError(
                f"The MCP server {self.server.name} wants to ask somebody before it answers",
                "Go on without it: nobody can be asked by it here",
            )
        return result

    async def close(self) -> None:
        """End the connection, and with it a local server, for good."""
        self._removed = True
        await self._end()

    async def _end(self) -> None:
        scope, left = self._scope, self._left  # while we wait, another may connect anew
        self._flow.ended = True
        self._leave.set()
        try:
            if self._client is not None:
                with anyio.move_on_after(_PARTING):
                    await left.wait()
        finally:  # also where nobody waits any more
            scope.cancel()
        await left.wait()

    # --- the connection's own task ------------------------------------------

    async def _connect(self) -> None:
        wait = self._not_before - time.monotonic()
        if wait > 0:
            raise ToolError(
                f"The MCP server {self.server.name} is not there ({self.problem})",
                f"Go on without it, or try again in {wait:.0f} s",
            )
        self.problem = ""
        self._stale = True
        self._flow, self._scope = Flow(self.server), anyio.CancelScope()
        self._leave, self._left, greeted = anyio.Event(), anyio.Event(), anyio.Event()
        self._tasks.start_soon(
            self._live, self._flow, self._scope, self._leave, self._left, greeted
        )
        with anyio.move_on_after(self.server.start_s):
            await greeted.wait()
            if self._client is not None:
                await self._list()
                return
        reason = f"it was not ready within {self.server.start_s:g} s"
        raise self._absent(await self._lose(reason, self._flow))

    async def _live(
        self,
        flow: Flow,
        scope: anyio.CancelScope,
        leave: anyio.Event,
        left: anyio.Event,
        greeted: anyio.Event,
    ) -> None:
        """Hold the connection until it is to leave; what ends it before is its problem."""
        try:
            with scope:
                async with self._opened(flow) as client:
                    self._client = client
                    greeted.set()
                    await leave.wait()
        except Exception as error:
            self.problem = self._reason(error, flow)
        finally:
            self._client = None
            flow.ended = True
            greeted.set()
            left.set()

    @asynccontextmanager
    async def _opened(self, flow: Flow) -> AsyncIterator[Client]:
        async def changed(message: object) -> None:
            if isinstance(message, ToolListChangedNotification):
                self._stale = True

        if self.server.url:
            async with (
                http_client(self.server, flow) as http,
                self._client_of(
                    streamable_http_client(self.server.url, http_client=http), changed
                ) as client,
            ):
                yield client
        else:
            async with self._client_of(local(self.server, flow), changed) as client:
                yield client

    def _client_of(self, transport: Any, changed: Any) -> Client:
        return Client(
            transport,
            read_timeout_seconds=self.server.start_s,
            message_handler=changed,
            client_info=Implementation(name="workbench", version=version("workbench")),
            cache=None,
        )

    async def _list(self) -> None:
        """Read all tools and tell them. Raises ToolError where the server can't say them."""
        assert self._client is not None
        self._stale = False  # what changes from here on is one more change
        try:
            with anyio.fail_after(self.server.start_s):
                await self._listed(await self._all_tools(self._client))
        except TimeoutError:
            self._stale = True
            reason = "it can't list its tools: it took too long"
            raise self._absent(await self._lose(reason, self._flow)) from None
        except BaseException:
            self._stale = True
            raise

    async def _all_tools(self, client: Client) -> list[Tool]:
        tools: list[Tool] = []
        cursor: str | None = None
        try:
            for _ in range(_PAGES):
                self._flow.renew()
                page = await client.list_tools(cursor=cursor)
                tools += page.tools
                cursor = page.next_cursor
                if not cursor or len(tools) > 10 * MOST_TOOLS:
                    break
        except (MCPError, ValueError, RuntimeError) as error:
            reason = f"it can't list its tools: {self._reason(error, self._flow)}"
            raise self._absent(await self._lose(reason, self._flow)) from None
        return tools

    # --- what goes wrong ----------------------------------------------------

    async def _lose(self, reason: str, flow: Flow) -> str:
        """Give the connection of that flow up; the reason, or the better one that it ended with."""
        if flow is not self._flow or flow.lost:
            return self.problem or reason
        flow.lost = True
        with anyio.move_on_after(_MOMENT):
            await self._left.wait()
        await self._end()
        self.problem = self.problem or self._with_stderr(reason, flow)
        self._failures += 1
        if self._failures > 1:
            self._not_before = time.monotonic() + min(2.0 ** (self._failures - 2), _LONGEST_WAIT)
        return self.problem

    def _absent(self, reason: str) -> ToolError:
        return ToolError(
            f"The MCP server {self.server.name} can't be used: {reason}", "Go on without it"
        )

    def _gone(self, reason: str) -> ToolError:
        return ToolError(
            f"The MCP server {self.server.name} is lost: {reason}",
            "A call that was under way may have had its effect. Look before you try again",
        )

    def _reason(self, error: BaseException, flow: Flow) -> str:
        """What an error says, without what could be secret: that of the SDK may hold anything."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, Flooded):
            return "it sent without end"
        if isinstance(error, WorkbenchError):
            return self._clean(str(error))
        if isinstance(error, TimeoutError):
            return "it took too long"
        if isinstance(error, ValueError):
            return "it answers with something that is not MCP"
        if isinstance(error, FileNotFoundError | PermissionError):
            return f"{self.server.shown} can't be started ({error.strerror})"
        if isinstance(error, MCPError) and error.code not in (CONNECTION_CLOSED, INVALID_REQUEST):
            return self._clean(error.message)
        if isinstance(error, MCPError):
            return self._with_stderr("it closed the connection", flow)
        return self._with_stderr(f"{self.server.shown}: {type(error).__name__}", flow)

    def _with_stderr(self, reason: str, flow: Flow) -> str:
        return f"{reason}; it said: {flow.said}" if flow.said else reason

    def _clean(self, text: str) -> str:
        return one_line(self.server.blot(text), 300)
