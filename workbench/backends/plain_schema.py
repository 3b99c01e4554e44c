"""A JSON Schema without the words that say nothing about what is valid.

Titles, defaults, vendors' keywords, `allOf` of one schema: what reads schemas afterwards need
not know of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IN_PLACE = ("anyOf", "oneOf", "allOf")
"""Lists of schemas that speak of the same value as the schema they stand in."""

LISTS = (*IN_PLACE, "prefixItems")
DEFINITIONS = ("$defs", "definitions")
MAPS = ("properties", "patternProperties", *DEFINITIONS)
SINGLE = ("items", "additionalProperties")

ANYTHING: tuple[Any, ...] = (True, {})
"""The schemas that shut nothing out."""

_WORDS = {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
_CONTENT = {"contentEncoding", "contentMediaType"}  # annotations since Draft 2019-09
_ANNOTATIONS = _WORDS | _CONTENT | {"$schema", "$id", "$comment", "nullable"}

_SAYS_NOTHING: dict[str, tuple[Any, ...]] = {
    "additionalProperties": ANYTHING,
    "uniqueItems": (False,),
    "propertyNames": (*ANYTHING, {"type": "string"}),
}
"""Values of keywords that shut nothing out."""


def plain(schema: Any) -> Any:
    """`schema`, and all that it holds, without annotations and keywords that begin with x-."""
    if not isinstance(schema, Mapping):
        return schema
    new = {k: v for k, v in schema.items() if k not in _ANNOTATIONS and not k.startswith("x-")}
    for key in new:
        if key in MAPS:
            new[key] = {name: plain(each) for name, each in new[key].items()}
        elif key in LISTS:
            new[key] = [plain(each) for each in new[key]]
        elif key in SINGLE:
            new[key] = plain(new[key])
    new = {k: v for k, v in new.items() if v not in _SAYS_NOTHING.get(k, ())}
    if set(new) == {"allOf"} and len(new["allOf"]) == 1:
        return new["allOf"][0]
    return new
