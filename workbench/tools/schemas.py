"""JSON Schemas of tools: written shortly, made from records, compiled and checked.

Schemas also come from outside, so none reaches for another file or address, and
their patterns are small once compiled and take time linear in the text. What this
does not cover: a schema can be slow by its sheer size, or by many patterns.
(jsonschema-rs, since jsonschema runs patterns by `re`, and takes 2.4 s to import
where its format checkers are installed.)
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from workbench.errors import InputError

Schema = dict[str, Any]

_MESSAGE_CHARS = 200
_PATTERN_BYTES = 1 << 20
"""What one pattern takes when it is compiled, and again at most when it is matched."""


def parameters(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """The schema of an object with these properties and no other."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def text(description: str, **more: Any) -> Schema:
    """The schema of a string."""
    return {"type": "string", "description": description, **more}


def choice(description: str, *options: str) -> Schema:
    """The schema of one of a few strings."""
    return {"type": "string", "enum": list(options), "description": description}


def whole(description: str, least: int, most: int) -> Schema:
    """The schema of a whole number from `least` to `most`."""
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def flag(description: str) -> Schema:
    """The schema of true or false."""
    return {"type": "boolean", "description": description}


def record(kind: type) -> Schema:
    """The schema of a frozen record, as msgspec writes it to JSON."""
    schema = msgspec.json.schema(kind)
    definitions = schema.pop("$defs", {})
    name = schema["$ref"].rpartition("/")[2]
    top = definitions.pop(name)
    return {**top, "$defs": definitions} if definitions else top


class Check:
    """A compiled schema. Raises InputError for one that is broken, or points elsewhere."""

    def __init__(self, schema: Schema) -> None:
        import jsonschema_rs

        self._schema = schema
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                schema,
                pattern_options=jsonschema_rs.RegexOptions(
                    size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
                ),
                retriever=_nothing,
            )
        except (ValueError, RecursionError) as error:  # its own errors are ValueErrors
            reason = getattr(error, "message", None) or str(error)
            raise InputError(
                f"the JSON Schema can't be used: {_short(reason)}",
                "Mend it; references stay within it, and patterns are small, without look-around",
            ) from None

    def wrong(self, value: Any) -> str:
        """What is wrong with `value`, in one sentence; "" if it fits."""
        error = next(self._validator.iter_errors(value), None)
        if error is None:
            return ""
        where = "".join(f"[{part!r}]" for part in error.instance_path)
        return f"{_short(where)}: {_short(error.message)}" if where else _short(error.message)

    @property
    def outline(self) -> str:
        """The properties of an object in one line: name, type, optional or not."""
        needed = self._schema.get("required", [])
        parts = [
            f"{name}{'' if name in needed else '?'}: {_kind(schema)}"
            for name, schema in self._schema.get("properties", {}).items()
        ]
        return f"{{{', '.join(parts)}}}" if parts else "{}"


def _kind(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "anything"
    if "enum" in schema:
        return " | ".join(str(option) for option in schema["enum"])
    return str(schema.get("type", "anything"))


def _nothing(uri: str) -> NoReturn:
    """Refuses what a schema points to elsewhere."""
    raise ValueError("a schema is read alone")


def _short(message: str) -> str:
    """The beginning and the end of a message, which may hold a whole value."""
    half = _MESSAGE_CHARS // 2
    return message if len(message) <= 2 * half else f"{message[:half]}…{message[-half:]}"
