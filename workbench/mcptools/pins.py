"""What the tools of servers said of themselves when they were accepted: a file beside `mcp.json`.

A tool is accepted when it is first seen, since the user has just connected its server. From
then on it is held to its word: another description or schema, or the same words from another
command or address, is a `Change`, and until that is accepted the tool is offered as it was and
refuses every call. It is accepted by its digest: nothing is taken but what somebody was shown.
So a server can't get something harmless approved and then turn it into something else. What a
command does today is not known here: a package that is fetched anew at each start may be
another one.

Knows nothing about connections.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from workbench.characters import escaped
from workbench.errors import InputError
from workbench.journal import write_whole
from workbench.mcptools.config import Server
from workbench.mcptools.foreign import Said
from workbench.records import content_id
from workbench.tools.contract import one_line

_SHOWN = 200
_SHOWN_BEFORE = 60
"""Characters of a text before the first that is another."""
_DIGEST = 32
"""Hex digits. A server writes what is shown and what comes later: with half as many digits it
could find two texts of one digest."""


@dataclass(frozen=True)
class Pinned:
    """A tool as it was accepted; `server` is the `Server.version` that said it."""

    description: str
    parameters: dict[str, Any]
    result: dict[str, Any]
    server: str = ""

    @classmethod
    def of(cls, said: Said, server: Server) -> Pinned:
        """What is held of it."""
        return cls(said.description, said.parameters, said.result, server.version)


@dataclass(frozen=True)
class Change:
    """A tool that is not any more what was accepted."""

    tool: str
    accepted: Pinned
    now: Pinned

    def __str__(self) -> str:
        parts = []
        for name in ("description", "parameters", "result"):
            before, after = getattr(self.accepted, name), getattr(self.now, name)
            if before != after:
                was, now = _around(_text(before), _text(after))
                parts.append(f"{name} was {was} and is {now}")
        if self.accepted.server != self.now.server:
            parts.append("its server has another command or address")
        return f"{self.tool} changed since it was accepted: {'; '.join(parts)}"

    @property
    def digest(self) -> str:
        """Name of what the tool says now; `Servers.accept` wants it."""
        return digest([self])

    @property
    def diff(self) -> str:
        """All that changed, with nothing hidden: lines of JSON, `-` as accepted and `+` as now."""
        lines = unified_diff(_lines(self.accepted), _lines(self.now), lineterm="")
        return "\n".join(
            "..." if each.startswith("@@") else each for each in islice(lines, 2, None)
        )


def digest(changes: Iterable[Change]) -> str:
    """Name of what these tools say now."""
    said = {change.tool: change.now for change in changes}
    return content_id(said, length=_DIGEST)


class Pins:
    """The file; safe to use from many processes."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def changes(self, tools: Iterable[Said], server: Server) -> dict[str, Change]:
        """Changed tools of a server by name. Those seen for the first time are accepted."""
        with self._lock():
            known = self._read()
            before = dict(known)
            changed = {}
            for said in tools:
                now = Pinned.of(said, server)
                accepted = known.setdefault(said.name, now)
                if accepted != now:
                    changed[said.name] = Change(said.name, accepted, now)
            if known != before:
                self._write(known)
        return changed

    def accept(self, changes: Iterable[Change]) -> None:
        """From now on these tools are held to what they say now."""
        with self._lock():
            self._write({**self._read(), **{change.tool: change.now for change in changes}})

    def _lock(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.lock")

    def _read(self) -> dict[str, Pinned]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Pinned])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path} can't be read ({error})",
                "Mend it; if you remove it, all tools of servers count as new",
            ) from None

    def _write(self, pins: dict[str, Pinned]) -> None:
        write_whole(self.path, _text(msgspec.to_builtins(pins), indent=1) + "\n")


def _text(value: Any, indent: int | None = None) -> str:
    """A text as it is, all else as JSON: the same however the keys were sorted."""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False)


def _lines(pinned: Pinned) -> list[str]:
    return escaped(_text(msgspec.to_builtins(pinned), indent=1)).splitlines()


def _around(before: str, after: str) -> tuple[str, str]:
    """Both texts in one line each, around the first place where they differ."""
    pairs = enumerate(zip(before, after, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))
    start = max(0, same - _SHOWN_BEFORE)
    cut = "…" if start else ""
    return cut + one_line(before[start:], _SHOWN), cut + one_line(after[start:], _SHOWN)
