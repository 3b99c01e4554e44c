"""Our tools as an MCP server: every call goes the way that an agent's call goes.

    served = Served(calls, asker=Terminal(), name="workbench")
    run_stdio(served)                       # or `http.run(served, port=8765, token=token)`

What the policy approves runs; what it does not approve is asked about where there is
an asker, and else refused; each call is a span of its own trace. Whoever calls learns what a
model would be told. A call that the client cancels, or that it leaves by going away, is
stopped: what it runs in the sandbox dies.

Knows nothing about transports, or who the client is: everyone who is let in may call.
"""

from __future__ import annotations

import contextvars
import itertools
import json
import threading
import time
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import anyio
import mcp.types as types
from mcp.server import Server, ServerRequestContext

from workbench.agents.calls import Calls, Told
from workbench.approval import Asker, Request
from workbench.errors import InputError
from workbench.records import ToolCall
from workbench.sandbox import stoppable
from workbench.tools import Definition

_AT_ONCE = 8
"""Calls that run at one time; more wait."""
_BEAT = 1.0
"""Seconds between two notes of progress."""


class Served:
    """Tools on offer: those named by `tools`, else all of the registry, as it is at each moment."""

    def __init__(
        self,
        calls: Calls,
        *,
        name: str = "workbench",
        instructions: str = "",
        tools: Sequence[str] | None = None,
        asker: Asker | None = None,
    ) -> None:
        for tool in tools or ():
            if tool not in calls.registry:
                raise InputError(f"There is no tool {tool[:80]!r} to serve", "Leave it out")
        self._calls, self._asker, self._tools = calls, asker, tools
        self._run = f"mcp-{uuid.uuid4().hex}"
        self._steps = itertools.count()
        self._limiter: anyio.CapacityLimiter | None = None
        self.name = name
        self.instructions = instructions

    def server(self) -> Server[Any]:
        """A server of the SDK with these tools."""
        return Server(
            self.name,
            version=version("workbench"),
            instructions=self.instructions or None,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    def _offered(self) -> list[Definition]:
        return [d for d in self._calls.registry if self._tools is None or d.name in self._tools]

    async def _list(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(each) for each in self._offered()])

    async def _call(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        if params.name not in {each.name for each in self._offered()}:
            return _result(f"There is no tool {params.name[:80]!r}.", failed=True)
        arguments = json.dumps(params.arguments or {}, ensure_ascii=False)
        call = ToolCall(str(context.request_id), params.name, arguments)
        told = await self._made(context, call, next(self._steps))
        return _result(told.text, failed=told.state != "succeeded")

    async def _made(self, context: ServerRequestContext[Any], call: ToolCall, step: int) -> Told:
        """What comes of a call, made in a thread; cancelling this stops what the call runs."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        stop = threading.Event()

        async def beat() -> None:
            began = time.monotonic()
            try:
                while True:
                    seconds = time.monotonic() - began
                    await context.session.report_progress(seconds, None, f"{call.name} runs")
                    await anyio.sleep(_BEAT)
            finally:
                stop.set()

        def make() -> Told:
            # Without the client's context: it could name one of our traces as its own.
            return contextvars.Context().run(self._make, call, step, stop)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            # The thread is waited for, also when this is cancelled: `stop` makes that short.
            told = await anyio.to_thread.run_sync(make, limiter=self._limiter)
            tasks.cancel_scope.cancel()
        return told

    def _make(self, call: ToolCall, step: int, stop: threading.Event) -> Told:
        with stoppable(stop):
            told = self._calls.make(call, run=self._run, step=step)
            while isinstance(told, Request):
                self._calls.ask(told, self._asker)
                if stop.is_set():  # the client went away while somebody was asked
                    return Told("The call was stopped before it ran.", "refused")
                told = self._calls.make(call, run=self._run, step=step)
            return told


def run_stdio(served: Served) -> None:
    """Serve one client over stdin and stdout until it closes them."""
    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        server = served.server()
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)


def _tool(definition: Definition) -> types.Tool:
    return types.Tool(
        name=definition.name,
        description=definition.description,
        input_schema=definition.parameters,
        annotations=types.ToolAnnotations(
            read_only_hint=definition.risk == "read",
            destructive_hint=definition.risk in ("write", "execute"),
            open_world_hint=definition.risk == "network",
        ),
    )


def _result(text: str, *, failed: bool) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], is_error=failed
    )
