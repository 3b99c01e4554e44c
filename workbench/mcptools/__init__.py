"""MCP: our tools for other programs, and other programs' servers as tools of ours.

with Servers(registry, settings.root / "mcp.lock.json") as servers:    # theirs as ours
    servers.load(settings.root / "mcp.json")

served = Served(calls)                                                 # ours for them
run_stdio(served)

`config` reads which servers to connect, `foreign` makes their words harmless, `pins` holds
them to those, `connection` and `transports` bear what they do. `serving` and `http` serve;
`domains` reads what a server for a domain offers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.mcptools.config import Server
    from workbench.mcptools.pins import Change
    from workbench.mcptools.servers import Servers, Status
    from workbench.mcptools.serving import Served, run_stdio

__all__ = ["Change", "Served", "Server", "Servers", "Status", "run_stdio"]

# Deferred: the command line lists this room's commands, and most runs have no server.
_LAZY = {
    "Change": "workbench.mcptools.pins",
    "Served": "workbench.mcptools.serving",
    "Server": "workbench.mcptools.config",
    "Servers": "workbench.mcptools.servers",
    "Status": "workbench.mcptools.servers",
    "run_stdio": "workbench.mcptools.serving",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
