"""What a server says of its tools, made into definitions that a model may be offered.

Names, descriptions and schemas come from outside and are hostile: control and invisible
characters are taken out, all is bounded in length, and what is then no sound tool is set
aside with the reason. A server's own word on risk (`readOnlyHint` and the like) is not read.

What this can't do: tell a lie. A description may still ask the model for something; that is
why every call needs approval.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.characters import hidden
from workbench.errors import InputError, ToolError
from workbench.mcptools.config import Server
from workbench.tools import Context, Definition, check
from workbench.tools.contract import one_line
from workbench.tools.problems import Problem

if TYPE_CHECKING:
    from mcp.types import CallToolResult, Tool

MOST_TOOLS = 100
"""Tools of one server; a model could not read the descriptions of more."""
_SCHEMA_CHARS = 16_000
_PATTERNS = 20
"""Different patterns of one schema. Each may take 1 MiB and some milliseconds to compile."""
_PATTERN_CHARS = 1_000
"""Of them together: one of 15,000 takes a minute to compile, in which no thread can run."""
_ALL_PATTERNS = 100
"""Patterns of one server."""
_DEPTH = 24
_DESCRIPTION_CHARS = 1_024
_PART_CHARS = 400
_ANNOTATIONS = {"description", "title", "$comment"}
"""Keys of a schema whose text is meant to be read, and nothing else."""
_REPLACED = re.compile(r"[./ ]")

Run = Callable[[Mapping[str, Any], Context], Any]


@dataclass(frozen=True)
class Said:
    """A tool as its server describes it now, made harmless to show.

    `called` is the server's own name of it, `name` the one by which it is offered.
    """

    called: str
    name: str
    description: str
    parameters: dict[str, Any]
    result: dict[str, Any]

    def definition(self, server: Server, run: Run) -> Definition:
        """The tool to be offered; `run` calls it."""
        return Definition(
            self.name,
            self.description,
            self.parameters,
            self.result,
            server.risk_of(self.called),
            run,
            source=source(server.name),
        )


def source(server: str) -> str:
    """How the registry names a server as a source of tools."""
    return f"MCP server {server}"


def read(
    server: Server, tools: Sequence[Tool], look: Callable[[], None] = lambda: None
) -> tuple[list[Said], list[Problem]]:
    """The tools that can be offered, in the server's order, and what is wrong with the others.

    Where two of them would have one name, neither is offered. Takes seconds for a server that
    means harm: `look` is called before each tool, and ends this by raising CancelledError.
    """
    wanted = [tool for tool in tools if not server.tools or tool.name in server.tools]
    problems = []
    if len(wanted) > MOST_TOOLS:
        problems.append(
            Problem(
                source(server.name),
                f"It has {len(wanted)} tools, and only the first {MOST_TOOLS} are looked at. "
                "Name those that you want (tools).",
            )
        )
    said: list[Said] = []
    left = _ALL_PATTERNS
    for tool in wanted[:MOST_TOOLS]:
        look()
        try:
            made = _said(server, tool)
            left -= _patterns_within(made, left)
            check(made.definition(server, lambda arguments, context: None))
            said.append(made)
        except Exception as error:  # what comes from outside may break anything
            problems.append(Problem.of(source(server.name), error))
    claims = Counter(each.name for each in said)
    problems += [
        Problem(source(server.name), f"It has {count} tools named {name}. Neither is offered.")
        for name, count in claims.items()
        if count > 1
    ]
    return [each for each in said if claims[each.name] == 1], problems


def content(server: Server, name: str, result: CallToolResult) -> Any:
    """What a call came to: the structured content, or else the text, with secrets blotted out.

    Raises ToolError with what the server said where it calls that an error. Pictures, sound
    and files are named and left out.
    """
    text = server.blot("\n".join(_text(block) for block in result.content))
    if result.is_error:
        raise ToolError(
            f"{name} failed: {one_line(text) or 'its server gave no reason'}", "Try other arguments"
        )
    if result.structured_content is not None:
        return server.blot(result.structured_content)
    return text


def _said(server: Server, tool: Tool) -> Said:
    if not tool.name or any(hidden(c) for c in tool.name):
        raise InputError(
            f"It has a tool named {ascii(tool.name)[:80]}", "Names have visible characters alone"
        )
    name = f"{server.name}__{_REPLACED.sub('_', tool.name)}"
    description = server.blot(tool.description or tool.title or f"{tool.name} of {server.name}")
    return Said(
        tool.name,
        name,
        one_line(description, _DESCRIPTION_CHARS) or f"{tool.name} of {server.name}",
        _schema(server, name, tool.input_schema),
        _schema(server, name, tool.output_schema or {}),
    )


def _patterns_within(said: Said, left: int) -> int:
    """How many patterns a tool has. Raises InputError where they can't be borne."""
    found = [set(_patterns(schema)) for schema in (said.parameters, said.result)]
    for each in found:
        if len(each) > _PATTERNS or sum(map(len, each)) > _PATTERN_CHARS:
            raise InputError(
                f"A schema of {said.name} has more than {_PATTERNS} patterns, or more than "
                f"{_PATTERN_CHARS:,} characters of them",
                "Leave the tool out",
            )
    count = sum(map(len, found))
    if count > left:
        raise InputError(
            f"With {said.name} its tools have more than {_ALL_PATTERNS} patterns",
            "Name those that you want (tools)",
        )
    return count


def _patterns(value: Any) -> Iterator[str]:
    """All that may be compiled as a pattern, wherever it stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "pattern" and isinstance(item, str):
                yield item
            elif key == "patternProperties" and isinstance(item, dict):
                yield from item
            yield from _patterns(item)
    elif isinstance(value, list):
        for item in value:
            yield from _patterns(item)


def _schema(server: Server, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without what nobody would see. Raises InputError for a large one."""
    try:
        size = len(json.dumps(schema, ensure_ascii=False))
    except (ValueError, RecursionError):
        size = _SCHEMA_CHARS + 1
    if size > _SCHEMA_CHARS:
        raise InputError(
            f"A schema of {name} is longer than {_SCHEMA_CHARS:,} characters", "Leave the tool out"
        )
    return dict(server.blot(_cleaned(name, schema, 0)))


def _cleaned(name: str, value: Any, depth: int) -> Any:
    if depth > _DEPTH:
        raise InputError(f"A schema of {name} is nested too deeply", "Leave the tool out")
    if isinstance(value, dict):
        return {
            _plain(name, key): one_line(item, _PART_CHARS)
            if key in _ANNOTATIONS and isinstance(item, str)
            else _cleaned(name, item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(name, item, depth + 1) for item in value]
    return _plain(name, value) if isinstance(value, str) else value


def _plain(name: str, text: str) -> str:
    """A text that has to stay as it is, or else the tool can't be used."""
    if any(hidden(c) for c in text):
        raise InputError(
            f"A schema of {name} holds invisible characters: {ascii(text)[:80]}",
            "Leave the tool out",
        )
    return text


def _text(block: Any) -> str:
    """A block of content as text."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource" and hasattr(block.resource, "text"):
        return str(block.resource.text)
    if block.type == "resource_link":
        return f"[link: {one_line(str(block.uri), _PART_CHARS)}]"
    data: str = getattr(block, "data", "") or getattr(getattr(block, "resource", None), "blob", "")
    kind = getattr(block, "mime_type", None) or block.type
    return f"[{one_line(str(kind), 80)}, {len(data):,} characters in base64, left out]"
