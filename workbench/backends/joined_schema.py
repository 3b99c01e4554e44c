"""Schemas that speak of one value together: which keys none of them names.

In JSON Schema each part of an `allOf` leaves the keys open that it does not name, since another
part may name them. A model may then write keys without end. Only a schema that knows all
parts can shut out the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IN_PLACE = ("anyOf", "oneOf", "allOf")
"""Lists of schemas that speak of the same value as the schema they stand in."""

_UNSAID: tuple[Any, ...] = (None, True, {}, False)
"""What says nothing of keys."""

_MOST = 2_000
"""Schemas that are looked at."""


def closing(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A schema that shuts out the keys that no part of `schema` names, deep into its properties.

    `definitions` are by reference (#/$defs/NAME). The result is to be required beside
    `schema`; True, which shuts out nothing, where keys are free or the parts can't all be seen.
    """
    return _Search(definitions).closing([schema], frozenset())


class _Search:
    """Through schemas that refer to others, of which a few can stand for very many."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions, self._left = definitions, _MOST

    def closing(self, schemas: list[Any], around: frozenset[str]) -> Any:
        """`around` are the references that lead here: one of them again has no end."""
        parts = [schema for schema in schemas if schema not in _UNSAID]
        named: dict[str, list[Any]] = {}
        items: list[Any] = []
        required: set[str] = set()
        inside: set[str] = set()
        for part in parts:  # which grow
            self._left -= 1
            free = part.get("additionalProperties") not in _UNSAID
            if free or "patternProperties" in part or self._left < 0:
                return True
            others = [each for key in IN_PLACE for each in part.get(key, ())]
            reference = part.get("$ref")
            if reference is not None and reference not in inside:
                if reference in around or reference not in self._definitions:
                    return True
                inside.add(reference)
                others.append(self._definitions[reference])
            parts += [each for each in others if each not in _UNSAID]
            for name, schema in part.get("properties", {}).items():
                named.setdefault(name, []).append(schema)
            required |= set(part.get("required", ()))
            items += [part["items"]] if "items" in part else []
        closed: dict[str, Any] = {}
        deeper = around | inside
        if named and required <= set(named):
            properties = {name: self.closing(each, deeper) for name, each in named.items()}
            closed |= {"properties": properties, "additionalProperties": False}
        if items and (each := self.closing(items, deeper)) is not True:
            closed["items"] = each
        return closed or True
