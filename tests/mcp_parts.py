"""What tests of MCP share: a server's tools in the open, and a server that misbehaves."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio

from workbench.agents.calls import Calls
from workbench.approval import Grants, Policy, Rule
from workbench.mcptools import Server
from workbench.settings import Settings
from workbench.tools import Context, Definition, Registry
from workbench.tracing import Tracer

HERE = Path(__file__).parent
HOSTILE = HERE / "mcptools" / "hostile_server.py"


def settings(folder: Path) -> Settings:
    return Settings(root=folder, home=folder / "home")


def context(folder: Path) -> Context:
    return Context(settings(folder), workspace=folder)


def calls(folder: Path, *rules: Rule, tools: tuple[Definition, ...] = ()) -> Calls:
    """Calls with a ledger and a journal of their own; `tools` come on top of the built-in ones."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    given = settings(folder)
    registry = Registry(given)
    if tools:
        registry.connect("tests", tools)
    return Calls(
        registry,
        Grants(folder / "grants.sqlite"),
        Policy(rules),
        Context(given, workspace=workspace),
        tracer(folder),
    )


def tracer(folder: Path) -> Tracer:
    return Tracer(folder / "spans.jsonl", settings(folder))


def hostile(*how: str, name: str = "bad", **more: Any) -> Server:
    """The server that misbehaves as `how` says."""
    return Server(name, command=sys.executable, args=("-S", "-E", str(HOSTILE), *how), **more)


def definition(name: str, risk: Any, run: Any = None, parameters: Any = None) -> Definition:
    def ran(arguments: Mapping[str, Any], context: Context) -> Any:
        return {"ran": dict(arguments)}

    free = {"type": "object", "properties": {}}
    return Definition(name, f"Do {name}.", parameters or free, {}, risk, run or ran)


def run_apart(work: Callable[[], Awaitable[Any]]) -> Any:
    """What a client gets to know, in a thread of its own.

    Playwright's synchronous interface leaves a loop running in the main thread.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, work).result()
