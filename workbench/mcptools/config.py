"""Which MCP servers to connect: `mcp.json`, in the layout that other programs write as well.

    {"mcpServers": {
      "files": {"command": "npx", "args": ["-y", "some-server"], "env": {"API_KEY": "${API_KEY}"}},
      "search": {"url": "https://example.org/mcp", "headers": {"Authorization": "Bearer ..."},
                 "risks": {"look_up": "read"}, "call_s": 20}
    }}

`${NAME}` stands for a variable of the environment, so that secrets need not lie in the file: what
it is filled with counts as one, but for HOME, LANG and PATH, which every local server gets.
A local server starts in the folder of the file; a relative `cwd` is resolved from there.
Keys of other programs are passed over, also those by which they approve tools.

Knows nothing about connections. Secrets are in no `repr`, and `Server.blot` takes them out of
what comes back. It looks for them to the letter: a server that is given a secret can say it
in other letters. One that is written out in `args` or in the path of an address is not known
for one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from workbench.errors import InputError
from workbench.records import content_id
from workbench.tools import Risk

_NAME = re.compile(r"[A-Za-z](_?[A-Za-z0-9-]){0,31}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHORTEST_SECRET = 6
"""A shorter value (`1`, `true`) stands in many texts where it is none."""
_SCHEMES = {"Bearer", "bearer"}
_SECRET = "[secret]"
_COMMON = {"HOME", "LANG", "PATH"}
"""Variables that a local server is given anyway; paths below HOME have to come back whole."""


@dataclass(frozen=True)
class Server:
    """One server, started here (`command`) or reached by its address (`url`).

    A local server gets PATH, HOME, LANG and `env`, and nothing else of our environment.
    `risk` is that of all its tools (default: `execute` for a command, `network` for an
    address), `risks` that of single ones, by the server's own names; what a server says
    about its risks counts for nothing. `tools` names those that are wanted, empty: all.
    It starts in `cwd`, resolved from `folder`: that of the file, or else where this program is.
    `start_s` bounds start and greeting, `call_s` one call, in seconds. `filled_in` are values
    that came from variables, wherever they were put.
    Raises InputError for what can't be connected.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: dict[str, str] = field(default_factory=dict, repr=False)
    cwd: str = ""
    url: str = field(default="", repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    risk: Risk | None = None
    risks: dict[str, Risk] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    start_s: float = 30.0
    call_s: float = 60.0
    disabled: bool = False
    filled_in: tuple[str, ...] = field(default=(), repr=False)
    folder: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name[:80]!r} can't name an MCP server",
                "Use up to 32 letters, digits, - and single _, a letter first",
            )
        if bool(self.command) == bool(self.url):
            raise InputError(
                f"The MCP server {self.name} has not one of command and url", "Give one of them"
            )
        if self.url:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise InputError(
                    f"The address of the MCP server {self.name} is not one of http or https",
                    "Give one as https://HOST/PATH",
                )
            if "@" in parts.netloc:
                raise InputError(
                    f"The address of the MCP server {self.name} holds a user name or a password",
                    "Give them in headers",
                )
        for name in ("start_s", "call_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise InputError(
                    f"{name} of the MCP server {self.name} is {getattr(self, name)!r}",
                    "Give seconds, above 0 and at most 3600",
                )

    def risk_of(self, tool: str) -> Risk:
        """The risk of the tool which the server calls `tool`."""
        return self.risks.get(tool) or self.risk or ("network" if self.url else "execute")

    @property
    def shown(self) -> str:
        """Where it is, without what could be secret: the program, or the host."""
        return urlsplit(self.url).netloc if self.url else Path(self.command).name

    @cached_property
    def version(self) -> str:
        """Name of what is started or reached: another command or address makes another.

        Secrets are left out: a key that was exchanged makes no other server. So is `folder`: a
        project that was moved has the same servers.
        """
        started = (self.command, self.blot(self.args), sorted(self.env), self.cwd)
        return content_id(*started, self.blot(self.url), sorted(self.headers))

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        """Values that must not be seen, the longest first; of an address the password as well."""
        headers = [word for value in self.headers.values() for word in value.split()]
        values = [*self.env.values(), *self.headers.values(), *headers]
        values += [value for _, value in parse_qsl(urlsplit(self.url).query)]
        values += self.filled_in
        values += [_password(value) for value in (*self.env.values(), *self.filled_in)]
        found = {value for value in values if len(value) >= _SHORTEST_SECRET} - _SCHEMES
        return tuple(sorted(found, key=len, reverse=True))

    def blot(self, value: Any) -> Any:
        """`value`, a JSON value, without the secrets of this server."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, _SECRET)
            return value
        if isinstance(value, Mapping):
            return {self.blot(key): self.blot(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.blot(item) for item in value]
        return value


class _Entry(msgspec.Struct, frozen=True):
    """A server as it is written."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    risk: Risk | None = None
    risks: dict[str, Risk] = {}
    tools: tuple[str, ...] = ()
    start_s: float = 30.0
    call_s: float = 60.0
    disabled: bool = False


class _File(msgspec.Struct, frozen=True):
    mcpServers: dict[str, Any] = {}


def read(
    path: Path, environ: Mapping[str, str] | None = None
) -> tuple[list[Server], dict[str, InputError]]:
    """The servers of a file, and by name what is wrong with those that can't be used.

    No file: no servers. Raises InputError where the file is not such JSON.
    """
    environ = os.environ if environ is None else environ
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=_File).mcpServers
    except FileNotFoundError:
        return [], {}
    except (OSError, ValueError) as error:  # msgspec's errors quote no values
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path} can't be read as a list of MCP servers ({reason})",
            'Write {"mcpServers": {"NAME": {"command": "..."}}}',
        ) from None
    servers, wrong = [], {}
    for name, entry in entries.items():
        try:
            made = server(name, entry, environ)
            servers.append(replace(made, folder=str(path.parent.resolve())))
        except InputError as error:
            wrong[name] = error
    return servers, wrong


def server(name: str, entry: Any, environ: Mapping[str, str] | None = None) -> Server:
    """The server of one entry of the file. Raises InputError where it can't be used."""
    environ = os.environ if environ is None else environ
    try:
        given = msgspec.convert(entry, _Entry)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(
            f"The MCP server {name[:80]!r} is not described rightly: {error}",
            "See workbench.mcptools.config for the layout",
        ) from None

    used: set[str] = set()

    def filled(text: str) -> str:
        def value(found: re.Match[str]) -> str:
            if found[1] not in environ:
                raise InputError(
                    f"The MCP server {name[:80]!r} needs the variable {found[1]}",
                    f"Set {found[1]} in the environment",
                )
            if found[1] not in _COMMON:
                used.add(environ[found[1]])
            return environ[found[1]]

        return _VARIABLE.sub(value, text)

    fields = msgspec.structs.asdict(given)
    made = Server(name, **{**fields, "url": filled(given.url)})
    made = replace(
        made,
        args=tuple(filled(arg) for arg in given.args),
        env={key: filled(value) for key, value in given.env.items()},
        headers={key: filled(value) for key, value in given.headers.items()},
    )
    return replace(made, filled_in=tuple(sorted(used)))


def _password(value: str) -> str:
    try:
        return urlsplit(value).password or ""
    except ValueError:
        return ""
