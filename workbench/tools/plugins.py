"""Tools of installed Python packages, by pluggy and the entry-point group `workbench.tools`.

A package names a module there, and the module implements the one hook:

    from workbench.tools import Definition, hookimpl

    @hookimpl
    def workbench_tools() -> list[Definition]: ...

A plugin is Python code of this process, installed by the user: nothing here
guards against a hostile one. One that breaks is set aside and stops no other.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from workbench.records import content_id
from workbench.tools.contract import Definition
from workbench.tools.problems import Problem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "workbench.tools"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """What a plugin implements."""

    @hookspec
    def workbench_tools(self) -> Iterable[Definition]:  # type: ignore[empty-body]
        """The tools that the plugin offers."""


@dataclass(frozen=True)
class _Version:
    """What tells whether a plugin is still the one that was loaded."""

    value: str
    release: str
    module: tuple[int, int]


class Plugins:
    """The plugins that are installed. Loaded once each, and again when they change.

    Changed means: another version of the package, or another file of the module
    that the entry point names. That module and those below it are imported anew;
    other modules stay as they were first imported.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, tuple[_Version, tuple[Definition, ...]]] = {}

    def definitions(self, problems: list[Problem]) -> Iterator[Definition]:
        """The tools of all plugins; those that break are added to `problems`."""
        importlib.invalidate_caches()
        metadata.MetadataPathFinder().invalidate_caches()
        found = sorted(metadata.entry_points(group=GROUP), key=lambda e: (e.name, e.value))
        named = {_source(entry): entry for entry in found}
        self._loaded = {source: kept for source, kept in self._loaded.items() if source in named}
        for source, entry in named.items():
            try:
                version = _version(entry)
                known = self._loaded.pop(source, None)
                if known is None or known[0] != version:
                    known = (version, tuple(_load(entry, version, anew=known is not None)))
                self._loaded[source] = known
            except (Exception, SystemExit) as error:  # a plugin's module may do anything
                problems.append(Problem.of(source, error))
                continue
            yield from known[1]


def _source(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist else "?"
    return f"package {package} ({entry.name} = {entry.value})"


def _version(entry: EntryPoint) -> _Version:
    spec = importlib.util.find_spec(entry.module) if entry.module not in sys.modules else None
    origin = getattr(sys.modules.get(entry.module), "__file__", None) or (spec and spec.origin)
    state = Path(origin).stat() if origin and Path(origin).is_file() else None
    stamp = (state.st_mtime_ns, state.st_size) if state else (0, 0)
    return _Version(entry.value, entry.dist.version if entry.dist else "", stamp)


def _load(entry: EntryPoint, version: _Version, *, anew: bool) -> Iterator[Definition]:
    if anew:
        for name in [n for n in sys.modules if f"{n}.".startswith(f"{entry.module}.")]:
            del sys.modules[name]
    plugin: Any = entry.load()
    manager = pluggy.PluginManager(GROUP)  # one each: a hook that fails must not stop the others
    manager.add_hookspecs(Hooks)
    manager.register(plugin)
    manager.check_pending()
    offered = manager.hook.workbench_tools()
    if not offered:
        raise TypeError("it does not implement workbench_tools")
    for definition in offered[0]:
        if not isinstance(definition, Definition):
            raise TypeError(f"it offers {type(definition).__name__} in place of a Definition")
        yield replace(definition, source=_source(entry), version=content_id(version))
