"""Whether the parts of a `oneOf` have no value in common.

llguidance asks for it, but sees schemas that are narrower than those given: their parts may
share no value where those given do. Schemas here are plain (plain_schema.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from workbench.backends.plain_schema import IN_PLACE, implied, types
from workbench.errors import BackendError

_SCALARS = {"string", "number", "boolean", "null"}
_ALL = {"object", "array", *_SCALARS}
_IN_PLACE = {*IN_PLACE, "$ref"}
_OPEN = {*_IN_PLACE, "additionalProperties", "patternProperties"}
_LONGEST = 8


def check_exclusive(parts: Sequence[Any], definitions: Mapping[str, Any], *, closed: bool) -> None:
    """Raise BackendError where objects or lists may fit two parts, as far as can be seen.

    `closed` says that each part is bounded to the keys that it names. Of other values
    llguidance sees for itself whether they may.
    """
    found = [_resolved(part, definitions) for part in parts]
    for one, other in combinations(found, 2):
        if not _exclusive(one, other, definitions, closed):
            raise BackendError(
                "The schema can't be enforced (a value may fit two parts of oneOf)",
                "Use anyOf, or give each part a required property with a constant of its own",
            )


def _exclusive(one: Any, other: Any, definitions: Mapping[str, Any], closed: bool) -> bool:
    return all(
        _shuts_out(second, first, definitions, closed)
        for first, second in ((one, other), (other, one))
    )


def _shuts_out(schema: Any, narrowed: Any, definitions: Mapping[str, Any], closed: bool) -> bool:
    """Whether no value of `narrowed`, once it is narrowed, is one of `schema` as given."""
    common = _kinds(schema) & _kinds(narrowed, closed=closed)
    if "array" in common or (common - {"object"} and _kinds(schema) == _ALL):
        return False
    if "object" not in common:
        return True
    if not isinstance(schema, Mapping) or not isinstance(narrowed, Mapping):
        return False
    if closed and _lacks(narrowed, schema):
        return True
    shared = set(schema.get("required", ())) & set(narrowed.get("required", ()))
    return any(
        _told_apart(_property(schema, name, definitions), _property(narrowed, name, definitions))
        for name in shared
    )


def _told_apart(one: Any, other: Any) -> bool:
    """Whether no value can satisfy both, by constants or types."""
    first, second = _values(one), _values(other)
    if first is not None and second is not None:
        return not any(value in second for value in first)
    return not _kinds(one) & _kinds(other)


def _lacks(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether `other` requires a key that `one`, which names all of its own, doesn't have."""
    if not isinstance(one, Mapping) or not one.get("properties") or _OPEN & set(one):
        return False
    named = set(one["properties"])
    return set(one.get("required", ())) <= named and bool(set(other.get("required", ())) - named)


def _property(schema: Mapping[str, Any], name: str, definitions: Mapping[str, Any]) -> Any:
    return _resolved(schema.get("properties", {}).get(name, True), definitions)


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    for _ in range(_LONGEST):  # references to references; a circle ends, too
        if not isinstance(schema, Mapping) or set(schema) != {"$ref"}:
            break
        schema = definitions.get(schema["$ref"], True)
    return schema


def _values(schema: Any) -> list[Any] | None:
    """The only values of a schema that lists them."""
    if not isinstance(schema, Mapping):
        return None
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _kinds(schema: Any, *, closed: bool = False) -> set[str]:
    """The types of values that may satisfy a schema: as given, or as it is narrowed alone."""
    if not isinstance(schema, Mapping):
        return set() if schema is False else _SCALARS if closed else _ALL
    values = _values(schema)
    if values is not None:
        return {_kind(value) for value in values}
    named = types(schema) or (implied(schema) if closed and not _IN_PLACE & set(schema) else set())
    return {"number" if kind == "integer" else kind for kind in named} or _ALL


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    kinds = {str: "string", list: "array", dict: "object", type(None): "null"}
    return kinds[type(value)]
