"""What a tool is, and how a call of it is checked, run and answered.

A model's call is hostile text until `call` has read it: parsed strictly,
validated by the tool's JSON Schema, run, its result validated and kept within
a length. This module knows nothing about approval, models or traces, and
nothing about where tools come from: whoever calls has decided that the call
may run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

import msgspec

from workbench.characters import hidden
from workbench.errors import InputError, ToolError, WorkbenchError
from workbench.records import Tool, content_id
from workbench.sandbox import Limits
from workbench.settings import Settings
from workbench.tools.schemas import Check

if TYPE_CHECKING:
    from workbench.knowledge import Hit

Risk = Literal["read", "write", "execute", "network"]
"""The worst that a call could do.

    read      looks at what the program shows it, and changes nothing
    write     changes files of the workspace
    execute   runs code that the model or the workspace brings, in the sandbox
    network   reaches beyond this machine
"""

ARGUMENT_CHARS = 2_000_000
"""Longest arguments that are parsed: a file of 200 kB fits, however its JSON is escaped."""
RESULT_CHARS = 16_000
"""Longest result, as JSON: about 4,000 tokens of English; of numbers up to one a character."""
_ERROR_CHARS = 400
_DEEPEST = 100
"""Levels of arguments and results: what reads them after a call (blots, traces) recurses."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_DESCRIPTION_CHARS = 1_024


@dataclass(frozen=True)
class Context:
    """What a tool may use. The program gives it, never the model.

    `workspace` is the one folder whose files a tool may touch. `search` finds
    passages (query, how many); None where no knowledge is open. `limits` bound
    what runs in the sandbox, `result_chars` the JSON of a result.
    """

    settings: Settings
    workspace: Path
    search: Callable[[str, int], Sequence[Hit]] | None = None
    limits: Limits = field(default_factory=Limits)
    result_chars: int = RESULT_CHARS


@dataclass(frozen=True)
class Definition:
    """A tool. `parameters` and `result` are JSON Schemas (Draft 2020-12).

    `run` gets validated arguments and returns a JSON value or a record; what it
    can't do it says with a WorkbenchError. `source` says where the tool comes from, `version`
    which one of that source it is: another one may do something else under the same words.
    `paths` names the arguments that are names of files beneath the workspace: they are spelled
    in one way before a policy sees them.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    result: dict[str, Any]
    risk: Risk
    run: Callable[[Mapping[str, Any], Context], Any]
    source: str = "built in"
    version: str = ""
    paths: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """Name of the tool as it is now: another description, schema or version makes another."""
        said = (self.name, self.description, self.parameters, self.result, self.risk)
        return content_id(*said, self.source, self.version)

    @property
    def tool(self) -> Tool:
        """The tool as it is offered to a model."""
        return Tool(self.name, self.description, self.parameters)

    @cached_property
    def arguments_check(self) -> Check:
        """The schema of the arguments, compiled once. Raises InputError for a broken one."""
        return Check(self.parameters)

    @cached_property
    def result_check(self) -> Check:
        """The schema of the result, compiled once. Raises InputError for a broken one."""
        return Check(self.result)


def check(definition: Definition) -> None:
    """Raise InputError, in one line, unless `definition` can be offered and called."""
    name = definition.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{one_line(repr(name), 80)} can't name a tool",
            "Use up to 64 letters, digits, _ and -, a letter first",
        )
    if not definition.description.strip() or len(definition.description) > _DESCRIPTION_CHARS:
        raise InputError(
            f"The tool {name} has no description, or a very long one",
            f"Describe it in 1 to {_DESCRIPTION_CHARS:,} characters: the model reads them",
        )
    if definition.risk not in get_args(Risk):
        raise InputError(
            f"The tool {name} has the risk {one_line(repr(definition.risk), 80)}",
            f"Use one of {', '.join(get_args(Risk))}",
        )
    if definition.parameters.get("type") != "object":
        raise InputError(
            f"The parameters of {name} are not those of an object",
            'Give a JSON Schema with "type": "object"',
        )
    for part, compiled in (("parameters", "arguments_check"), ("result", "result_check")):
        try:
            getattr(definition, compiled)
        except InputError as error:
            raise InputError(f"The {part} of {name}: {error.fact}", error.remedy) from error


def call(definition: Definition, arguments: str, context: Context) -> Any:
    """Run the tool on `arguments`, a JSON object as text; its result as a JSON value.

    A result longer than `context.result_chars` becomes an object that says so and
    holds its beginning. Raises ToolError for arguments that don't fit the schema
    (the tool did not run then), for a tool that refuses or fails, and for a result
    that does not fit its own schema or is nested more than 100 deep.
    """
    try:
        given = read_arguments(definition, arguments)
        result = as_json(definition.run(given, context))
        value = json.loads(result)
        if _too_deep(value):
            raise ToolError(
                f"The result of {definition.name} is nested more than {_DEEPEST} deep",
                "Ask for a part of it",
            )
        wrong = definition.result_check.wrong(value)
        if wrong:
            raise ToolError(
                f"The result of {definition.name} is not what it promises: {wrong}",
                "Go on without this tool; its author has to mend it",
            )
        return _within(result, context.result_chars)
    except WorkbenchError as error:
        raise _told(error) from error
    except Exception as error:  # a tool from outside may raise anything
        raise _told(
            ToolError(
                f"The tool {definition.name} failed: {type(error).__name__}: {error}",
                "Try other arguments, or go on without it",
            )
        ) from error


def one_line(text: str, limit: int = _ERROR_CHARS) -> str:
    """`text` in one line of at most `limit` characters, with no invisible character in it."""
    cut = text[: limit * 2]
    shown = " ".join("".join(" " if hidden(c) else c for c in cut).split())
    return shown if len(shown) <= limit and cut == text else f"{shown[: limit - 1]}…"


def shortened(text: str, limit: int) -> str:
    """`text`, or its beginning and end with a line between them that says what was left out."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[len(text) - limit // 3 :]
    return f"{head}\n[{len(text) - len(head) - len(tail):,} characters left out]\n{tail}"


def read_arguments(definition: Definition, arguments: str) -> dict[str, Any]:
    """The arguments of a call, which a model wrote as a JSON object; files in one spelling.

    Raises ToolError for what is no such object or does not fit the tool's schema.
    """
    name = definition.name
    if len(arguments) > ARGUMENT_CHARS:
        raise ToolError(
            f"The arguments of {name} are {len(arguments):,} characters long",
            f"Give at most {ARGUMENT_CHARS:,}",
        )
    try:
        arguments.encode()
        given = json.loads(
            arguments or "{}", object_pairs_hook=_without_doubles, parse_constant=_no_constant
        )
        # An escape may hide half a character, and 1e999 is infinite.
        json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ToolError(
            f"The arguments of {name} are not JSON: {_reason(error)}",
            "Give one JSON object",
        ) from None
    if _too_deep(given):
        raise ToolError(
            f"The arguments of {name} are nested more than {_DEEPEST} deep", "Nest less"
        )
    wrong = definition.arguments_check.wrong(given)
    if wrong:
        raise ToolError(
            f"The arguments of {name} don't fit: {wrong}",
            f"Give {definition.arguments_check.outline}",
        )
    plain = {path: _spelled(given[path]) for path in definition.paths if path in given}
    return {**given, **plain}


def _spelled(value: Any) -> Any:
    """A name, or names, of files without empty parts and `.`: `./a//b` and `a/b` are one file.

    Names that lead out of the folder stay as they are, for the tool to refuse.
    """
    if isinstance(value, list):
        return [_spelled(each) for each in value]
    if not isinstance(value, str) or not value or value.startswith("/"):
        return value
    return "/".join(part for part in value.split("/") if part not in ("", ".")) or "."


def as_json(value: Any) -> str:
    """A record or JSON value as the JSON that a model is shown.

    Raises ValueError or TypeError for what JSON has not.
    """
    text = json.dumps(
        msgspec.to_builtins(value, str_keys=True), ensure_ascii=False, allow_nan=False
    )
    text.encode()
    return text


def _too_deep(value: Any, room: int = _DEEPEST) -> bool:
    """Whether lists and objects stand in one another more than `room` deep."""
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return not room or any(_too_deep(part, room - 1) for part in parts)


def _within(result: str, limit: int) -> Any:
    """The value of `result`, or an object with its beginning that says what is left out."""
    if len(result) <= limit:
        return json.loads(result)
    return {
        "cut": f"The result has {len(result):,} characters; these are the first {limit:,}",
        "beginning": result[:limit],
    }


def _told(error: WorkbenchError) -> ToolError:
    return ToolError(one_line(error.fact), one_line(error.remedy))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a key given twice is refused: who approved it may have read the other value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return "half of a surrogate pair"
    return str(error)
