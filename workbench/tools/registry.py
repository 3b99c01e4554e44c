"""All tools by name: built in, from installed packages, from manifests, from open servers.

`refresh` looks again; what can't be used is a `Problem`, one line each, and never
stops the others. A name belongs to one source: a built-in tool can't be replaced,
and where two others claim a name neither gets it, since which was meant can't be told.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from workbench.errors import InputError
from workbench.records import Tool
from workbench.settings import Settings
from workbench.tools.contract import Definition, check
from workbench.tools.manifests import Manifests
from workbench.tools.plugins import Plugins
from workbench.tools.problems import Problem

BUILT_IN = {
    "get_map": "workbench.tools.maps:GET_MAP",
    "search_logs": "workbench.tools.logs:SEARCH_LOGS",
    "search_knowledge": "workbench.tools.passages:SEARCH_KNOWLEDGE",
    "list_files": "workbench.tools.files:LIST_FILES",
    "read_file": "workbench.tools.files:READ_FILE",
    "write_file": "workbench.tools.files:WRITE_FILE",
    "delete_file": "workbench.tools.files:DELETE_FILE",
    "apply_patch": "workbench.tools.patches:APPLY_PATCH",
    "run_tests": "workbench.tools.testing:RUN_TESTS",
    "run_python": "workbench.tools.code:RUN_PYTHON",
    "shell": "workbench.tools.code:SHELL",
    "git": "workbench.tools.repository:GIT",
    "git_write": "workbench.tools.repository:GIT_WRITE",
    "query_database": "workbench.tools.databases:query_database",
    "system_info": "workbench.tools.machine:SYSTEM_INFO",
}
"""The tools of the package: name -> where its definition is, or what makes it from settings."""


class Registry:
    """The tools there are. Iterates over definitions: built-in ones first, others by name.

    `without` names built-in tools that can't work here: they are not offered.
    """

    def __init__(self, settings: Settings, *, without: Collection[str] = ()) -> None:
        self._without = frozenset(without)
        self._built_in = _built_in(settings)
        self._manifests = Manifests(settings.tools, network=settings.allow_network_tools)
        self._plugins = Plugins()
        self._connected: dict[str, tuple[Definition, ...]] = {}
        self._tools: Mapping[str, Definition] = {}
        self.problems: tuple[Problem, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Find tools that are new, changed or gone. Those that are as before stay the same."""
        problems: list[Problem] = []
        found = [
            *self._plugins.definitions(problems),
            *self._manifests.definitions(problems),
            *(each for source in self._connected.values() for each in source),
        ]
        claims: dict[str, list[Definition]] = defaultdict(list)
        for definition in found:
            try:
                check(definition)
            except Exception as error:  # its fields may hold anything
                problems.append(Problem.of(definition.source, error))
                continue
            claims[definition.name].append(definition)
        tools = dict(self._built_in)
        for name, claimed in sorted(claims.items()):
            sources = [definition.source for definition in claimed]
            if name in BUILT_IN:
                sources = [tools[name].source, *sources]
            if len(sources) == 1:
                tools[name] = claimed[0]
                continue
            problems.append(
                Problem(
                    source=", ".join(sources),
                    reason=f"The name {name} is taken twice: {' and '.join(sources)}. "
                    + ("The built-in tool stays." if name in BUILT_IN else "Neither is offered."),
                )
            )
        self._tools = {name: tools[name] for name in tools if name not in self._without}
        self.problems = tuple(problems)

    def connect(self, source: str, definitions: Iterable[Definition]) -> None:
        """Take in the tools of a source that is open now, in place of those it gave before."""
        self._connected[source] = tuple(definitions)
        self.refresh()

    def disconnect(self, source: str) -> None:
        """Forget the tools of a source."""
        self._connected.pop(source, None)
        self.refresh()

    def get(self, name: str) -> Definition:
        """The tool of that name. Raises InputError, which names them all, if there is none."""
        try:
            return self._tools[name]
        except KeyError:
            raise InputError(
                f"There is no tool {name[:80]!r}", f"Use one of {', '.join(self._tools)}"
            ) from None

    def schemas(self) -> tuple[Tool, ...]:
        """All tools as they are offered to a model: name, description and parameters."""
        return tuple(definition.tool for definition in self)

    def __iter__(self) -> Iterator[Definition]:
        return iter(tuple(self._tools.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __len__(self) -> int:
        return len(self._tools)


def _built_in(settings: Settings) -> Mapping[str, Definition]:
    found = {}
    for name, where in BUILT_IN.items():
        module, _, attribute = where.partition(":")
        made = getattr(importlib.import_module(module), attribute)
        found[name] = made if isinstance(made, Definition) else made(settings)
    return found
