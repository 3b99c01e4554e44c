"""Schemas that speak of one value together: which keys none of them names.

In JSON Schema each part of an `allOf` leaves the keys open that it does not name, since another
part may name them. A model may then write keys without end. Only a schema that knows all
parts can shut out the rest. Schemas here are plain (plain_schema.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.backends.plain_schema import ANYTHING, IN_PLACE

_MOST = 2_000
"""Schemas that are looked at: a few definitions can stand for very many."""


class Closings:
    """What shuts out the keys that no part of a schema names.

    `definitions` are by reference (#/$defs/NAME); `free` is any value where nothing is said of
    it, and `free_object` any object.
    """

    def __init__(
        self,
        definitions: Mapping[str, Any],
        free: Mapping[str, Any],
        free_object: Mapping[str, Any],
    ) -> None:
        self._definitions, self._free, self._free_object = definitions, free, free_object
        self._left = _MOST

    def of(self, schema: Mapping[str, Any]) -> Any:
        """What is to be required beside `schema`, deep into its properties.

        True, which shuts out nothing, where a part says of what kind other keys are, or not
        all parts can be seen.
        """
        return self._of([schema], frozenset())

    def _of(self, schemas: list[Any], around: frozenset[str]) -> Any:
        """`around` are the references that lead here: one of them again has no end."""
        parts = [schema for schema in schemas if isinstance(schema, Mapping)]
        named: dict[str, list[Any]] = {}
        items: list[Any] = []
        required: set[str] = set()
        kinds: set[str] = set()
        inside: set[str] = set()
        for part in parts:  # which grow
            self._left -= 1
            free = part.get("additionalProperties", False) is not False
            if free or "patternProperties" in part or self._left < 0:
                return True
            others = [each for key in IN_PLACE for each in part.get(key, ())]
            reference = part.get("$ref")
            if reference is not None and reference not in inside:
                if reference in around or reference not in self._definitions:
                    return True
                inside.add(reference)
                others.append(self._definitions[reference])
            parts += [each for each in others if isinstance(each, Mapping)]
            for name, schema in part.get("properties", {}).items():
                named.setdefault(name, []).append(schema)
            required |= set(part.get("required", ()))
            items += [part["items"]] if "items" in part else []
            kind = part.get("type", ())
            kinds |= {kind} if isinstance(kind, str) else set(kind)
        closed: dict[str, Any] = {}
        deeper = around | inside
        if named and required <= set(named):
            closed["properties"] = {name: self._value(each, deeper) for name, each in named.items()}
            closed["additionalProperties"] = False
        elif "object" in kinds and not named and not required:
            closed |= self._free_object
        if items and (each := self._value(items, deeper)) is not True:
            closed["items"] = each
        elif "array" in kinds and not items and not any("prefixItems" in part for part in parts):
            closed["items"] = self._free
        return closed or True

    def _value(self, schemas: list[Any], around: frozenset[str]) -> Any:
        """What closes a value that these speak of."""
        said = [schema for schema in schemas if schema not in ANYTHING]
        if not said:
            return self._free
        if len(said) == 1 and set(said[0]) == {"$ref"}:
            return said[0]  # which is closed by itself
        return self._of(said, around)
