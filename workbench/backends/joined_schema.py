"""Schemas that speak of one value together: which keys none of them names.

In JSON Schema each part of an `allOf` leaves the keys open that it does not name, since another
part may name them. A model may then write keys without end. Only a schema that knows all
parts can shut out the rest. Schemas here are plain (plain_schema.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.backends.plain_schema import ANYTHING, IN_PLACE, types
from workbench.errors import BackendError

_MOST = 2_000
"""Schemas that are looked at: a few definitions can stand for very many."""


class Closings:
    """What shuts out the keys that no part of a schema names.

    `definitions` are by reference (#/$defs/NAME); `narrow` bounds a schema that alone speaks of
    its value.
    """

    def __init__(self, definitions: Mapping[str, Any], narrow: Callable[[Any], Any]) -> None:
        self._definitions, self._narrow = definitions, narrow
        self._left = _MOST

    def of(self, schema: Mapping[str, Any]) -> Any:
        """What is to be required beside `schema`, deep into its properties.

        True, which shuts out nothing, where a part says of what kind other keys are, or not
        all parts can be seen. Raises BackendError for schemas that stand for too many.
        """
        return self._of([schema], frozenset())

    def names(self, schema: Mapping[str, Any]) -> set[str]:
        """Keys that parts of `schema` name, beside its own `properties`."""
        others = {key: value for key, value in schema.items() if key != "properties"}
        named: set[str] = set()
        for part in self._parts([others]):
            named |= set(part.get("properties", ()))
        return named

    def _parts(self, schemas: list[Any]) -> list[Mapping[str, Any]]:
        """All that speak of the value that `schemas` speak of, as far as they can be seen."""
        parts = [schema for schema in schemas if isinstance(schema, Mapping)]
        seen: set[str] = set()
        for part in parts:  # which grow
            self._look(1)
            others = [each for key in IN_PLACE for each in part.get(key, ())]
            reference = part.get("$ref")
            if reference is not None and reference in self._definitions and reference not in seen:
                seen.add(reference)
                others.append(self._definitions[reference])
            parts += [each for each in others if isinstance(each, Mapping)]
        return parts

    def _look(self, n: int) -> None:
        self._left -= n
        if self._left < 0:
            raise BackendError(
                "The schema can't be enforced (too many parts that speak of one value)",
                "Write them as one object",
            )

    def _of(self, schemas: list[Any], around: frozenset[str]) -> Any:
        """`around` are the references that lead here: one of them again has no end."""
        parts = self._parts(schemas)
        inside = {part["$ref"] for part in parts if "$ref" in part}
        free = {"const", "enum", "patternProperties"}
        if (
            inside & around
            or not inside <= set(self._definitions)
            or any(free & set(part) for part in parts)
            or any(part.get("additionalProperties", False) is not False for part in parts)
        ):
            return True
        named: dict[str, list[Any]] = {}
        for part in parts:
            for name, schema in part.get("properties", {}).items():
                named.setdefault(name, []).append(schema)
        self._look(len(named))
        items = [part["items"] for part in parts if "items" in part]
        required = {name for part in parts for name in part.get("required", ())}
        kinds = {kind for part in parts for kind in types(part)}
        closed: dict[str, Any] = {}
        deeper = around | inside
        if named and required <= set(named):
            closed["properties"] = {name: self._value(each, deeper) for name, each in named.items()}
            closed["additionalProperties"] = False
        elif "object" in kinds and not named and not required:
            closed |= self._narrow({"type": "object"})
            del closed["type"]  # it may be another kind of value
        if items:
            closed["items"] = self._value(items, deeper)
        elif "array" in kinds and not any("prefixItems" in part for part in parts):
            closed["items"] = self._narrow(True)
        return closed or True

    def _value(self, schemas: list[Any], around: frozenset[str]) -> Any:
        """What closes a value of which these speak: one alone is bounded as it stands."""
        said: list[Any] = []
        for schema in schemas:
            if schema not in ANYTHING and schema not in said:
                said.append(schema)
        if len(said) > 1:
            return self._of(said, around)
        return self._narrow(said[0] if said else True)
