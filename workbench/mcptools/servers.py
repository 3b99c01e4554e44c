"""MCP servers as tools: connected at the start or at run time, called like any other tool.

    with Servers(registry, settings.root / "mcp.lock.json") as servers:
        servers.load(settings.root / "mcp.json")
        servers.add(Server("files", command="npx", args=("-y", "some-server")))
        registry.get("files__read")
        servers.remove("files")

Their tools stand in the registry under the server's name, so that approval, tracing and
limits are those of every tool. One thread with an event loop owns all connections; what is
here may be called from any thread. A server that dies, hangs or floods costs one ToolError.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.errors import InputError, ToolError
from workbench.mcptools import config, foreign
from workbench.mcptools.config import Server
from workbench.mcptools.foreign import Said
from workbench.mcptools.pins import Change, Pinned, Pins, digest
from workbench.sandbox import stopped
from workbench.tools import Context, Definition, Registry
from workbench.tools.problems import Problem

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from anyio.from_thread import BlockingPortal
    from mcp.types import Tool

    from workbench.mcptools.connection import Connection

T = TypeVar("T")

_LOOK = 0.05
"""Seconds between two looks whether a call is still wanted."""
_LOGGERS = ("mcp", "client", "httpx2")
"""The SDK logs what servers send, and addresses with what is secret in them."""


@dataclass(frozen=True)
class Status:
    """A server as it is now: the names of its tools, and why it can't be used."""

    name: str
    shown: str
    connected: bool
    tools: tuple[str, ...]
    problem: str
    changes: tuple[Change, ...]

    @property
    def digest(self) -> str:
        """Name of what all its changed tools say now; `Servers.accept` wants it."""
        return digest(self.changes)


@dataclass
class _Open:
    """A server that was added."""

    connection: Connection
    said: dict[str, Said] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class Servers:
    """The servers of one registry; `pins` is the file of what their tools said when accepted."""

    def __init__(self, registry: Registry, pins: Path | str) -> None:
        self._registry = registry
        self._pins = Pins(pins)
        self._open: dict[str, _Open] = {}
        self._broken: dict[str, InputError] = {}
        self._lock = threading.RLock()
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._tasks: TaskGroup | None = None

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections and the local servers, and forget their tools."""
        waiting = [self._forget(name) for name in list(self._open)]
        wait(waiting)
        self._stack.close()
        self._portal = None

    def load(self, path: Path) -> None:
        """Add the servers of a file, all at once. One that can't be used stops no other.

        What is wrong is told by `list` and `problems`. Raises InputError where the file, or that
        of the pins, can't be read.
        """
        servers, self._broken = config.read(path)
        wanted = [server for server in servers if not server.disabled]
        _settle([self._start(server) for server in wanted if server.name not in self._open])

    def add(self, server: Server) -> tuple[str, ...]:
        """Connect a server now; the names of its tools.

        Raises InputError where one of that name is connected, and ToolError where it can't be
        connected; it is then kept and tried again by `refresh`.
        """
        if server.name in self._open:
            raise InputError(
                f"There is an MCP server {server.name} already", "Remove it, or take another name"
            )
        self._wait(self._start(server))
        return self._status(server.name).tools

    def remove(self, name: str) -> None:
        """End the connection to a server and forget its tools."""
        self._wait(self._forget(name))

    def refresh(self) -> None:
        """Ask all servers for their tools again, and connect those that are not."""
        _settle([self._soon(self._ready, known) for known in list(self._open.values())])

    def list(self) -> tuple[Status, ...]:
        """All servers as they are now, also those of the file that can't be used."""
        broken = [
            Status(name, "", False, (), str(error), ()) for name, error in self._broken.items()
        ]
        return (*(self._status(name) for name in self._open), *broken)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, and which tools changed since they were accepted: one line each."""
        found: list[Problem] = []
        for status in self.list():
            source = foreign.source(status.name)
            found += [Problem(source, status.problem)] if status.problem else []
            found += [Problem(source, str(change)) for change in status.changes]
        for known in self._open.values():
            found += known.problems
        return tuple(found)

    def accept(self, name: str, seen: str) -> None:
        """Take a changed tool, or all of a server, as they were when `seen` was its digest.

        Raises InputError where nothing of that name changed, or it says something else by now.
        """
        for server, known in self._open.items():
            taken = [each for each in known.changes.values() if name in (each.tool, server)]
            if taken:
                if digest(taken) != seen:
                    raise InputError(
                        f"{name} does not say what {seen[:80]!r} stands for",
                        "Look at what it says now: `workbench mcp list`",
                    )
                self._pins.accept(taken)
                self._offer(known)
                return
        raise InputError(f"There is no changed tool {name[:80]!r}", "See `workbench mcp list`")

    # --- the loop's thread ----------------------------------------------------

    def _start(self, server: Server) -> Future[None]:
        """Begin to connect a server."""
        portal = self._running()
        # The SDK takes most of a second to import: only where a server is connected.
        from anyio import to_thread

        from workbench.mcptools.connection import Connection

        async def listed(tools: list[Tool]) -> None:
            # Not in the loop's own thread: a server's schemas may take seconds to compile.
            await to_thread.run_sync(self._take, known, tools)

        assert self._tasks is not None
        tasks = self._tasks

        async def made() -> Connection:
            return Connection(server, tasks, listed)

        known = _Open(portal.call(made))
        with self._lock:
            self._open[server.name] = known
        return self._soon(self._ready, known)

    def _forget(self, name: str) -> Future[None]:
        """Take a server's tools out of the registry, and begin to end its connection."""
        known = self._known(name)
        with self._lock:
            del self._open[name]
            self._registry.disconnect(foreign.source(name))
        return self._soon(known.connection.close)

    async def _ready(self, known: _Open) -> None:
        await known.connection.ready(anew=True)

    def _running(self) -> BlockingPortal:
        """The loop's thread, started when it is first needed."""
        with self._lock:
            if self._portal is None:
                from anyio.from_thread import start_blocking_portal

                for name in _LOGGERS:
                    logging.getLogger(name).addHandler(logging.NullHandler())
                    logging.getLogger(name).propagate = False
                portal = self._stack.enter_context(start_blocking_portal())
                tasks = self._stack.enter_context(
                    portal.wrap_async_context_manager(portal.call(_task_group))
                )
                self._portal, self._tasks = portal, tasks
            return self._portal

    def _soon(self, function: Callable[..., Awaitable[T]], *args: Any) -> Future[T]:
        return self._running().start_task_soon(function, *args)

    def _wait(self, future: Future[T]) -> T:
        """What comes of it; whoever does not want it any more, or is interrupted, cancels it."""
        try:
            while not wait([future], _LOOK).done:
                if stopped():
                    raise ToolError("The call was stopped", "Go on without it")
            return future.result()
        finally:
            future.cancel()

    # --- tools ----------------------------------------------------------------

    def _take(self, known: _Open, tools: Sequence[Tool]) -> None:
        """Offer what a server lists; in a thread that ends soon where the loop cancels the wait."""
        from anyio.from_thread import check_cancelled

        said, problems = foreign.read(known.connection.server, tools, check_cancelled)
        with self._lock:
            known.said = {each.name: each for each in said}
            known.problems = tuple(problems)
            self._offer(known)

    def _offer(self, known: _Open) -> None:
        """Put a server's tools into the registry; changed ones as they were accepted."""
        name = known.connection.server.name
        with self._lock:
            known.changes = self._pins.changes(known.said.values(), known.connection.server)
            if self._open.get(name) is known:
                self._registry.connect(
                    foreign.source(name),
                    [self._definition(known, said) for said in known.said.values()],
                )

    def _definition(self, known: _Open, said: Said) -> Definition:
        change = known.changes.get(said.name)
        server = known.connection.server
        promised = change.accepted if change else Pinned.of(said, server)

        def run(arguments: Mapping[str, Any], context: Context) -> Any:
            if self._open.get(server.name) is not known:
                raise ToolError(f"The MCP server {server.name} was removed", "Do without it")
            return self._wait(self._soon(self._call, known, said.name, promised, arguments))

        return replace(
            said.definition(server, run),
            description=promised.description,
            parameters=promised.parameters,
            result=promised.result,
            version=promised.server,
        )

    async def _call(
        self, known: _Open, name: str, promised: Pinned, arguments: Mapping[str, Any]
    ) -> Any:
        """Call a tool, but only while it is what was offered."""
        connection = known.connection
        await connection.ready()
        said = known.said.get(name)
        if said is None:
            raise ToolError(f"The MCP server has {name} no more", "Do without it")
        if Pinned.of(said, connection.server) != promised:
            raise ToolError(
                f"{name} changed since it was accepted",
                "Do without it. `workbench mcp list` shows a person what changed, to be accepted",
            )
        result = await connection.call(said.called, arguments)
        return foreign.content(connection.server, name, result)

    def _status(self, name: str) -> Status:
        known = self._known(name)
        connection = known.connection
        return Status(
            name,
            connection.server.shown,
            connection.connected,
            tuple(known.said),
            connection.problem,
            tuple(known.changes.values()),
        )

    def _known(self, name: str) -> _Open:
        try:
            return self._open[name]
        except KeyError:
            raise InputError(
                f"There is no MCP server {name[:80]!r}",
                f"Use one of {', '.join(self._open)}" if self._open else "Add one",
            ) from None


def _settle(waiting: Sequence[Future[None]]) -> None:
    """Wait for all. What a server does wrong is told by `Servers.list`; all else is raised."""
    for future in waiting:
        error = future.exception()
        if error is not None and not isinstance(error, ToolError):
            raise error


async def _task_group() -> Any:
    import anyio

    return anyio.create_task_group()
