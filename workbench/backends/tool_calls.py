"""Reads the calls of an answer that is still being written, in the form of its model.

    reader = CallReader(FORMS["hermes"], tools)
    reader.read('\\n{"name": "search", "arg')    # None: more is needed
    reader.read('\\n{"name": "search"}\\n</tool')  # Calls of one, and how much of it they took

What it says of a text depends on the beginning that decides it alone, so that cutting a
stream elsewhere changes nothing. It does not ask whether a call is valid, nor whether
there is such a tool: calls are what a model wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from workbench.backends.plain_schema import plain
from workbench.models.tool_forms import BLANK, PYTHON_TAG, ToolForm
from workbench.records import Tool

_PIECE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\]]', re.DOTALL)
_NAME = r"[^\s<>{}\[\]\"]{1,128}"
_HEADS = {
    "[ARGS]": re.compile(rf"\s*({_NAME})(?:\[CALL_ID\][A-Za-z0-9]*)?(?:\[ARGS\])?\s*"),
    ">": re.compile(rf"({_NAME})>\s*"),
}
_IN_HEADS = re.compile(r"[^\n<{}\"]{0,160}")
_FUNCTION = re.compile(r"\s*<function=([^<>\s]{1,128})>")
_PARAMETER = re.compile(r"\s*<parameter=([^<>\s]+)>\n?")
_ENDED = re.compile(r"\s*</function>")
CLOSED = "</parameter>"
"""What ends an argument in XML, wherever it comes in a text."""


@dataclass(frozen=True)
class Call:
    """A call as it was written: the tool's name, and a JSON object as text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Calls:
    """What was read: the calls, and how many characters they took. None: it is plain text."""

    calls: tuple[Call, ...]
    length: int


_TEXT = Calls((), 0)


class CallReader:
    """Reads what follows the opening of `form`; `tools` say which values of XML are text."""

    def __init__(self, form: ToolForm, tools: Sequence[Tool]) -> None:
        self.form = form
        self._properties = {tool.name: _properties(tool.parameters) for tool in tools}

    def begins(self, text: str) -> bool | None:
        """Whether an answer that begins with `text` is a call without opening; None: too early."""
        text = text.lstrip(BLANK)
        if text.startswith(("{", PYTHON_TAG)):
            return True
        return None if PYTHON_TAG.startswith(text) else False

    def read(self, body: str) -> Calls | None:
        """The calls at the beginning of `body`; None as long as more is needed to say."""
        start = len(body) - len(body.lstrip(BLANK))
        if not self.form.opening and body.startswith(PYTHON_TAG, start):
            start += len(PYTHON_TAG)
            start += len(body) - start - len(body[start:].lstrip(BLANK))
        if start == len(body):
            return None
        if body[start] in "{[":
            return self._json(body, start)
        match self.form.layout:
            case "named":
                return self._named(body)
            case "xml":
                return self._xml(body, start)
            case _:
                return _TEXT

    def _json(self, body: str, start: int) -> Calls | None:
        """One object with a name and arguments, or a list of such objects."""
        end = _end_of_json(body, start)
        if end is None:
            return None
        try:
            value = _loads(body[start:end])
            records = value if isinstance(value, list) else [value]
            calls = tuple(self._call(record) for record in records)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return _TEXT
        return Calls(calls, end)

    def _call(self, record: dict[str, Any]) -> Call:
        """A call of {"name": ..., "arguments": {...}}; Llama says "parameters"."""
        if self.form.opening:
            arguments = record.get("arguments", record.get("parameters"))
        else:  # any JSON may be an answer: a call must have both keys
            arguments = record["arguments"] if "arguments" in record else record["parameters"]
        if not isinstance(record["name"], str) or not record["name"]:
            raise ValueError("a call without a name")
        return Call(_sound(record["name"]), _arguments(arguments))

    def _named(self, body: str) -> Calls | None:
        """The name, then the JSON of its arguments."""
        brace = body.find("{")
        head = body if brace < 0 else body[:brace]
        if not _IN_HEADS.fullmatch(head):
            return _TEXT
        if brace < 0:
            return None
        named = _HEADS[self.form.separator].fullmatch(head)
        if not named:
            return _TEXT
        end = _end_of_json(body, brace)
        if end is None:
            return None
        try:
            call = Call(_sound(named[1]), _arguments(_loads(body[brace:end])))
        except (ValueError, TypeError, RecursionError):
            return _TEXT
        return Calls((call,), end)

    def _xml(self, body: str, start: int) -> Calls | None:
        """<function=NAME>, a <parameter=KEY> for each argument, </function>."""
        tag = "<function="
        if not body.startswith(tag, start):
            return None if tag.startswith(body[start:]) else _TEXT
        head = _FUNCTION.match(body)
        if not head:
            return None
        known = self._properties.get(head[1], {})
        values: dict[str, Any] = {}
        at = head.end()
        while parameter := _PARAMETER.match(body, at):
            kind = known.get(parameter[1], "text")
            end = _closed(body, parameter.end(), kind)
            if end is None:
                return None
            text = body[parameter.end() : end].removesuffix("\n")
            values[parameter[1]] = _value(text, kind)
            at = end + len(CLOSED)
        ended = _ENDED.match(body, at)
        if not ended:
            return None
        try:
            call = Call(_sound(head[1]), _arguments(values))
        except (ValueError, RecursionError):
            return _TEXT
        return Calls((call,), ended.end())


def text_valued(schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether every value of a plain schema is a string: XML forms write it without quotes."""
    schema = resolved(schema, root)
    if not isinstance(schema, Mapping):
        return False
    if "const" in schema:
        return isinstance(schema["const"], str)
    if isinstance(schema.get("enum"), list):
        return all(isinstance(value, str) for value in schema["enum"])
    return schema.get("type") == "string" and not set(schema) & {"anyOf", "oneOf", "allOf", "$ref"}


def resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    """`schema`, or the definition in `root` that it stands for."""
    for _ in range(8):  # references to references; a circle ends, too
        if not isinstance(schema, Mapping) or set(schema) != {"$ref"}:
            break
        kind, _, name = str(schema["$ref"]).removeprefix("#/").partition("/")
        definitions = root.get(kind)
        schema = definitions.get(name) if isinstance(definitions, Mapping) else None
    return schema


def _properties(schema: Mapping[str, Any]) -> dict[str, str]:
    """For each argument, whether it is written as "text" or as "json"."""
    schema = plain(schema)
    fields = schema.get("properties", {})
    return {k: "text" if text_valued(v, schema) else "json" for k, v in fields.items()}


def _value(text: str, kind: str) -> Any:
    if kind == "text":
        return text
    try:
        return _loads(text)
    except (ValueError, RecursionError):
        return text


def _closed(text: str, start: int, kind: str) -> int | None:
    """Where the closing tag of the value that begins at `start` begins; None while it is open.

    JSON may hold the tag in its strings, text may not.
    """
    if kind == "json" and text.startswith(('"', "{", "["), start):
        end = _end_of_json(text, start)
        if end is None:
            return None
        start = end
    at = text.find(CLOSED, start)
    return at if at >= 0 else None


def _end_of_json(text: str, start: int) -> int | None:
    """Where the string, object or list that begins at `start` ends; None while it is open."""
    depth = 0
    for piece in _PIECE.finditer(text, start):
        mark = piece[0]
        if mark[0] == '"':
            if not piece[1]:
                return None
        else:
            depth += 1 if mark in "{[" else -1
        if depth <= 0:
            return piece.end()
    return None


def _arguments(value: Any) -> str:
    """A JSON object as text. Some models write it as a string, and some leave it out.

    Raises ValueError where it is no object, no Unicode (half a surrogate pair), or beyond a
    float64.
    """
    if isinstance(value, str):
        value = _loads(value)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise ValueError("arguments that are no object")
    return _sound(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _sound(text: str) -> str:
    """`text`, if it is Unicode: an escape can make half a surrogate pair."""
    text.encode()
    return text
