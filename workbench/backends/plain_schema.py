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

_SPEAKS_OF = {
    "object": {"properties", "required", "additionalProperties", "patternProperties"}
    | {"minProperties", "maxProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


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


def types(schema: Mapping[str, Any]) -> set[str]:
    """The types that `schema` allows by `type`; none where it doesn't say."""
    kinds = schema.get("type", ())
    return {kinds} if isinstance(kinds, str) else set(kinds)


def implied(schema: Mapping[str, Any]) -> set[str]:
    """The types of which a schema without `type` speaks: it leaves all others free."""
    return {kind for kind, words in _SPEAKS_OF.items() if words & set(schema)}
