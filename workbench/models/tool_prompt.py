"""Tools in words, for models whose chat template knows nothing of tools.

The tools stand in the system message, a line each, in signatures that small models read
easily and that cost few tokens; past calls are written out as the model writes them, and
results come back as user turns, which every template can render. A result that speaks of its
own fence gets one with a number that it does not know, so none can say where it ends.

    search(query: string, limit?: integer 1..10) - Find passages. query: what to look for

Descriptions of nested fields are left out. A fence is words: a model may still take a line of a
result for one, or follow what it reads. It knows nothing about templates, nor whether a
call is valid.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.models.tool_forms import ToolForm
from workbench.records import Message, Tool, ToolCall

_FENCE = "tool_response"
_NUMBERED = re.compile(rf"{_FENCE}_(\d+)")


def described(tools: Sequence[Tool], form: ToolForm) -> str:
    """What the system message says about `tools`: one line each, and how to call them."""
    lines = "\n".join(_line(tool) for tool in tools)
    example = written(_example(tools[0]), form)
    return f"# Tools\n\nYou may call these tools:\n{lines}\n\nTo call one, write:\n{example}"


def _example(tool: Tool) -> ToolCall:
    """A call of `tool` without arguments.

    Small models copy what they see: of a placeholder for a value they make an argument.
    """
    return ToolCall("", tool.name, "{}")


def spelled_out(
    messages: Sequence[Message], tools: Sequence[Tool], form: ToolForm
) -> list[Message]:
    """`messages` without calls, results and tools that are not plain text.

    Neighbouring results make one user turn, as Qwen's templates have it.
    """
    plain: list[Message] = []
    after_result = False
    for message in messages:
        if message.role == "tool":
            result = _fenced(message.content)
            if after_result:
                result = f"{plain.pop().content}\n{result}"
            plain.append(Message("user", result))
        elif message.tool_calls:
            parts = [message.content, *(written(call, form) for call in message.tool_calls)]
            plain.append(Message(message.role, "\n".join(part for part in parts if part)))
        else:
            plain.append(message)
        after_result = message.role == "tool"
    if not tools:
        return plain
    told = described(tools, form)
    if plain and plain[0].role == "system":
        return [replace(plain[0], content=f"{plain[0].content}\n\n{told}"), *plain[1:]]
    return [Message("system", told), *plain]


def _fenced(result: str) -> str:
    """A result within its fence, whose name does not occur in it."""
    said, name = result.casefold(), _FENCE
    if name in said:
        taken = set(_NUMBERED.findall(said))
        name = next(f"{_FENCE}_{n}" for n in itertools.count(2) if str(n) not in taken)
    return f"<{name}>\n{result}\n</{name}>"


def written(call: ToolCall, form: ToolForm) -> str:
    """A call as the model writes it."""
    name = json.dumps(call.name, ensure_ascii=False)
    match form.layout:
        case "object":
            body = f'{{"name": {name}, "{form.key}": {call.arguments}}}'
            return f"{form.opening}\n{body}\n{form.closing}" if form.opening else body
        case "list":
            return f'{form.opening}[{{"name": {name}, "{form.key}": {call.arguments}}}]'
        case "named":
            return f"{form.opening}{call.name}{form.separator}{call.arguments}{form.closing}"
        case "xml":
            values: dict[str, Any] = json.loads(call.arguments)
            tags = "".join(
                f"<parameter={key}>\n{_raw(value)}\n</parameter>\n" for key, value in values.items()
            )
            return f"{form.opening}\n<function={call.name}>\n{tags}</function>\n{form.closing}"


def _raw(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- signatures -----------------------------------------------------------


def _line(tool: Tool) -> str:
    schema = tool.parameters
    told = f"{tool.name}({_fields(schema)})"
    joined = {k: v for k, v in schema.items() if k not in _SAID or k in ("anyOf", "oneOf", "$ref")}
    if joined:
        told += f" {json.dumps(joined, ensure_ascii=False)}"
    if tool.description:
        told += f" - {_sentence(tool.description)}"
    for name, field in schema.get("properties", {}).items():
        if isinstance(field, Mapping) and field.get("description"):
            told += f" {name}: {_sentence(str(field['description']))}"
    for name, definition in _definitions(schema).items():
        told += f" {name} = {signature(definition)}."
    return told


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema.get("definitions", {}), **schema.get("$defs", {})}


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {signature(field)}"
        for name, field in schema.get("properties", {}).items()
    )


_TYPES = {"type", "enum", "const", "anyOf", "oneOf", "$ref", "$defs", "definitions", "default"}
_PARTS = {"properties", "required", "additionalProperties", "items"}
_RANGES = {"minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength"}
_WORDS = {"description", "title", "examples", "deprecated", "readOnly", "writeOnly"}
_ABOUT = {"$schema", "$id", "$comment"}
_SAID = _TYPES | _PARTS | _RANGES | _WORDS | _ABOUT
"""Keywords that a signature speaks of, or that say nothing about what is valid."""


def signature(schema: Any) -> str:
    """A schema in the manner of a type annotation; what has no such writing is added as JSON."""
    if not isinstance(schema, Mapping) or not schema:
        return "any"
    rest = {key: value for key, value in schema.items() if key not in _SAID}
    told = _type(schema)
    if rest:
        told += f" {json.dumps(rest, ensure_ascii=False)}"
    if "default" in schema:
        told += f" = {json.dumps(schema['default'], ensure_ascii=False)}"
    return told


def _type(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return "|".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2] or "#"
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return "|".join(signature(option) for option in schema[union])
    kind = schema.get("type", "object" if "properties" in schema else "any")
    if isinstance(kind, list):
        return "|".join(_type({**schema, "type": one}) for one in kind)
    if kind == "object":
        return _object(schema)
    if kind == "array":
        items = signature(schema.get("items", {}))
        return f"[{items}]{_range(schema, 'minItems', 'maxItems')}"
    if kind == "string":
        return f"{kind}{_range(schema, 'minLength', 'maxLength', unit=' characters')}"
    return f"{kind}{_range(schema, 'minimum', 'maximum')}"


def _object(schema: Mapping[str, Any]) -> str:
    others = schema.get("additionalProperties", "properties" not in schema)
    if isinstance(others, Mapping) and others:
        values = f"...: {signature(others)}"
        fields = _fields(schema)
        return f"{{{fields}, {values}}}" if fields else f"{{{values}}}"
    return f"{{{_fields(schema) or ('...' if others else '')}}}"


def _range(schema: Mapping[str, Any], lowest: str, highest: str, *, unit: str = "") -> str:
    if lowest not in schema and highest not in schema:
        return ""
    return f" {schema.get(lowest, '')}..{schema.get(highest, '')}{unit}"
