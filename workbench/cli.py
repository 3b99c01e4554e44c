"""The command line: `workbench run | verify | doctor | up | down`, and those of the rooms.

Commands are thin: they read settings, call one function of the package and
print. An error of ours is one line on stderr and exit code 2.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench import __version__
from workbench.commands import COMMANDS
from workbench.errors import WorkbenchError
from workbench.mcptools.commands import mcp


class _Group(click.Group):
    """Prints WorkbenchErrors in one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except WorkbenchError as error:
            click.echo(f"workbench: {error}", err=True)
            sys.exit(2)


@click.group(cls=_Group)
@click.version_option(__version__)
def main() -> None:
    """People's judgements into a better local model, with proof that it is better."""


@main.command()
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A notebook parameter; repeat for more.",
)
@click.option("--name", help="Name of the run: continued if it exists. Default: the time.")
def run(parameters: tuple[tuple[str, str], ...], name: str | None) -> None:
    """Run the loop: all notebooks in order, then print the path of the report."""
    from workbench import runs
    from workbench.settings import Settings

    index = runs.run(Settings.load(), dict(parameters), name=name)
    click.echo(f"Report: {index}")


@main.command()
@click.argument("generation", type=click.Path(path_type=Path))
def verify(generation: Path) -> None:
    """Recompute every hash behind an adapter generation; name the first link that broke."""
    from workbench import adapters
    from workbench.settings import Settings

    settings = Settings.load()
    for link in adapters.verify(generation, settings.root, settings.home):
        click.echo(f"ok {link}")


@main.command()
def doctor() -> None:
    """Say what is installed, which model and runtime are set, and what is missing."""
    from workbench.doctor import examine
    from workbench.settings import Settings

    checks = examine(Settings.load())
    for check in checks:
        click.echo(f"{'ok ' if check.ok else 'NO '} {check.what:<18} {check.found}")
    sys.exit(0 if all(check.ok for check in checks) else 2)


@main.command()
@click.argument("service", type=click.Choice(["label-studio"]))
@click.option("--port", type=click.IntRange(1, 65535), help="Port on this machine. Default: 8080.")
def up(service: str, port: int | None) -> None:
    """Start a server beside the workbench; it is installed at the first start."""
    from workbench import services
    from workbench.settings import Settings

    running = services.up(services.SERVICES[service], Settings.load(), port=port, tell=click.echo)
    click.echo(f"{services.SERVICES[service].title} is at {running.url}")
    if running.fresh:
        click.echo(f"Log in as {running.access.email} with {running.access.password}")
        click.echo(f"Token for programs: {running.access.token} (shown once)")


@main.command()
@click.argument("service", type=click.Choice(["label-studio"]))
def down(service: str) -> None:
    """Stop a server that `up` started."""
    from workbench import services
    from workbench.settings import Settings

    ran = services.down(services.SERVICES[service], Settings.load())
    click.echo(f"{services.SERVICES[service].title} {'is stopped' if ran else 'was not running'}")


for command in (*COMMANDS, mcp):
    main.add_command(command)
