"""`workbench mcp serve | list | accept`: our tools for other programs, and servers as our tools.

Thin: each reads the settings, calls this room and prints. Nothing heavy is imported before
a command runs.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from workbench.agents.calls import Calls
    from workbench.mcptools.domains import Domain
    from workbench.settings import Settings

CONFIG = "mcp.json"
PINS = "mcp.lock.json"
POLICY = "approval.yaml"

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def mcp() -> None:
    """Our tools for other programs, and their servers as tools of ours (MCP)."""


@mcp.command()
@click.option("--http", "over_http", is_flag=True, help="On loopback over HTTP. Default: stdio.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
@click.option("--domain", type=_FILE, help="Serve the tools that this YAML file lists.")
@click.option("--tool", "tools", multiple=True, help="Serve this tool; repeat for more.")
@click.option("--policy", type=_FILE, help=f"Rules of approval. Default: {POLICY}, if there.")
@click.option("--ask", is_flag=True, help="Ask here, at the terminal, about calls (with --http).")
@click.option("--workspace", type=click.Path(path_type=Path, exists=True, file_okay=False))
def serve(
    over_http: bool,
    port: int,
    domain: Path | None,
    tools: tuple[str, ...],
    policy: Path | None,
    ask: bool,
    workspace: Path | None,
) -> None:
    """Serve tools until the client goes (stdio) or until interrupted (HTTP).

    Calls that the policy does not approve are refused, or asked about with --ask. Documents of
    the project (datasets/knowledge) can be searched, as they are when first asked for. The token
    for HTTP is printed, unless the setting MCP_TOKEN holds one.
    """
    from workbench import loopback
    from workbench.approval import Terminal
    from workbench.mcptools import domains, http, serving
    from workbench.settings import Settings

    if ask and not over_http:
        raise click.UsageError("--ask needs --http: with stdio the client has the terminal")
    settings = Settings.load()
    offered = domains.read(domain) if domain else None
    served = serving.Served(
        _calls(settings, policy, workspace or Path.cwd(), offered),
        name=offered.name if offered else "workbench",
        instructions=offered.instructions if offered else "",
        tools=[tool.name for tool in offered.tools] if offered else list(tools) or None,
        asker=Terminal() if ask else None,
    )
    if not over_http:
        serving.run_stdio(served)
        return
    token = settings.mcp_token or loopback.new_token()
    if not settings.mcp_token:
        click.echo(f"Token: {token}", err=True)
    with http.serving(served, token, port) as url:
        click.echo(f"Serving at {url}; Ctrl-C ends it", err=True)
        http.wait()


@mcp.command("list")
def list_() -> None:
    """Connect the servers of mcp.json; their tools, what is wrong, and what changed in tools."""
    from workbench.mcptools.servers import Servers
    from workbench.settings import Settings
    from workbench.tools import Registry

    settings = Settings.load()
    registry = Registry(settings)
    with Servers(registry, settings.root / PINS) as servers:
        servers.load(settings.root / CONFIG)
        for status in servers.list():
            state = "connected" if status.connected else "not connected"
            click.echo(f"{status.name} ({status.shown}): {state}, {len(status.tools)} tools")
            for name in status.tools:
                risk = registry.get(name).risk if name in registry else "not offered"
                click.echo(f"  {name}  {risk}")
            for change in status.changes:
                click.echo(f"  {change.tool} changed since it was accepted:")
                click.echo(indent(change.diff, "    "))
                click.echo(f"  To accept it: workbench mcp accept {change.tool} {change.digest}")
            if len(status.changes) > 1:
                click.echo(f"  To accept all: workbench mcp accept {status.name} {status.digest}")
        for problem in servers.problems:
            click.echo(f"! {problem}")


@mcp.command()
@click.argument("name")
@click.argument("digest")
def accept(name: str, digest: str) -> None:
    """Take the changed tool NAME, or all tools of the server NAME, as `mcp list` showed them.

    DIGEST stands there beside each change: if by now it is another one, nothing is taken.
    """
    from workbench.mcptools.servers import Servers
    from workbench.settings import Settings
    from workbench.tools import Registry

    settings = Settings.load()
    with Servers(Registry(settings), settings.root / PINS) as servers:
        servers.load(settings.root / CONFIG)
        servers.accept(name, digest)
    click.echo(f"{name} is taken as it is now")


def _calls(
    settings: Settings, policy: Path | None, workspace: Path, domain: Domain | None
) -> Calls:
    """What calls go through: the same policy, grants and tracing as an agent's."""
    from workbench.agents.calls import Calls
    from workbench.approval import Grants, Policy
    from workbench.errors import InputError
    from workbench.knowledge import searcher
    from workbench.tools import Context, Registry
    from workbench.tracing import Tracer

    rules = policy or settings.root / POLICY
    traces = settings.datasets / "traces"
    tracer = Tracer(traces / "mcp.jsonl", settings, session="mcp")
    search = searcher(settings.datasets / "knowledge", tracer=tracer)
    registry = Registry(settings, without=() if search else ("search_knowledge",))
    if domain:
        registry.connect(f"domain {domain.name}", domain.tools)
        for tool in domain.tools:
            if not any(each is tool for each in registry):  # else another would be served
                raise InputError(
                    f"The domain {domain.name} can't serve {tool.name}: the name is taken twice",
                    "Give the tool another name, and list it once",
                )
    return Calls(
        registry,
        Grants(traces / "mcp-grants.sqlite"),
        Policy.load(rules) if policy or rules.exists() else Policy(),
        Context(settings, workspace=workspace, search=search),
        tracer,
    )
