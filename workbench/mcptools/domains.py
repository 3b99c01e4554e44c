"""Servers for a domain: a YAML file that lists tools which are Python objects of installed code.

    name: chemistry
    instructions: Molar masses and dilutions.
    tools:
      - workbench.mcptools.chemistry:MOLAR_MASS

A file can name code, never hold any. To name a module is to import it, which runs it: such a
file is as much to be trusted as a program that one starts.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import InputError
from workbench.tools import Definition, check
from workbench.tools.contract import one_line


@dataclass(frozen=True)
class Domain:
    """The tools of one server."""

    name: str
    instructions: str
    tools: tuple[Definition, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    tools: tuple[str, ...]
    instructions: str = ""


def read(path: Path) -> Domain:
    """The domain in a file. Raises InputError, with the tool, for what can't be served."""
    import yaml

    try:
        file = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), _File)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"{path} is no list of a domain's tools ({' '.join(str(error).split())})",
            "Write name and tools as in the documentation of workbench.mcptools.domains",
        ) from None
    return Domain(file.name, file.instructions, tuple(_tool(path, name) for name in file.tools))


def _tool(path: Path, name: str) -> Definition:
    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a module may do anything
        reason = one_line(f"{type(error).__name__}: {error}")
        raise InputError(
            f"{path} names the tool {name!r}, which can't be imported ({reason})",
            "Write it as module:NAME, and install what it needs",
        ) from None
    if not isinstance(found, Definition):
        raise InputError(f"{path} names {name!r}, which is no tool", "Name a Definition")
    check(found)
    return found
