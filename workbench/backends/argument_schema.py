"""A tool's JSON Schema as the grammar takes it: narrower than what is valid, never wider.

A small model that may go on for ever does. Whatever a schema leaves without a bound gets one
here, so that arguments end: strings (`longest` characters), arrays and free keys (`MOST`),
digits (`DIGITS` before the point, 6 after it), references in a circle (`DEPTH`). Keys that a
schema does not name are left out where it names some; where it says of what kind they are,
they are left out beside optional ones, with which they can't be counted. A few formats are
narrowed to what every validator takes. Bounds of the schema's own stay as they are. All of this
ends, but for keys by a pattern beside optional ones; that it ends within `max_tokens` nobody
can promise.

It knows nothing about grammars. The model is told the schema as it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from workbench.backends.exclusive_schema import check_exclusive
from workbench.backends.joined_schema import Closings
from workbench.backends.plain_schema import (
    ANYTHING,
    DEFINITIONS,
    IN_PLACE,
    LISTS,
    MAPS,
    SINGLE,
    implied,
    plain,
    types,
)
from workbench.errors import BackendError
from workbench.records import content_id

MOST = 16
"""Items of an array, and keys of a map, to which the schema sets no bound."""

DEPTH = 4
"""References in a circle that may be followed, one within the other."""

DIGITS = 15
"""Digits before the point: what a float64 holds exactly."""

_KEY_CHARS = 40
_KEY, _LONG_KEY = f"^.{{1,{_KEY_CHARS}}}$", f"^.{{{_KEY_CHARS + 1},}}$"
"""A key that the schema does not name, and one that is too long to be such a key."""

_LARGEST = 10**DIGITS - 1
_SMALL = 1e-3  # bounds nearer to zero than this leave the decimals alone

_DAYS = (
    r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])",
    r"(?:0[13-9]|1[0-2])-(?:29|30)",
    r"(?:0[13578]|1[02])-31",
)
_DATE = rf"[12][0-9]{{3}}-(?:{'|'.join(_DAYS)})"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-]{_CLOCK})"
_NUMBER = r"[0-9]{1,4}"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?"
_HOST = rf"(?:{_LABEL}\.){{1,3}}[a-z]{{2,8}}"
_FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": rf"P(?:{_NUMBER}[DW]|(?:{_NUMBER}D)?T(?:{_NUMBER}H)?(?:{_NUMBER}M)?{_NUMBER}S)",
    "email": rf"[A-Za-z0-9]{{1,24}}(?:[._+-][A-Za-z0-9]{{1,16}}){{0,3}}@{_HOST}",
    "hostname": _HOST,
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "ipv4": rf"(?:{_BYTE}\.){{3}}{_BYTE}",
    "uri": rf"https?://{_HOST}(?::[0-9]{{2,4}})?(?:/[A-Za-z0-9._~-]{{1,32}}){{0,6}}/?",
}
"""Formats as patterns: those without a bound, those of which llguidance takes more than
validators do (leap seconds, the year 0), and those that XML forms need. Years are 1000 to 2999,
and addresses are on the web."""


def bounded(schema: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """`schema` with an end to everything; strings get `longest` characters.

    Raises BackendError for what is no schema, and for the one keyword that llguidance takes
    without keeping it: `minProperties` of keys that it may repeat.
    """
    try:
        given = {"type": "object", **plain(schema)}
        if set(given) == {"type"} and "additionalProperties" not in schema:
            given["additionalProperties"] = (
                False  # this is how tools without parameters are written
            )
        return _unrolled(_Bounds(longest, _definitions(given)).whole(given))
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise BackendError(
            f"A tool's parameters are no JSON Schema ({type(error).__name__}: {error})",
            "Give every tool an object of JSON Schema (Draft 2020-12)",
        ) from error


class _Bounds:
    """Narrows the parts of one plain schema.

    A part that is `joined` has another schema speak of the same value, which it must not shut
    out: it leaves open which keys there are. So each definition may be needed twice, by itself
    and as a part; the outermost schema of those that are joined shuts out the rest.
    """

    def __init__(self, longest: int, definitions: Mapping[str, Any]) -> None:
        self._longest, self._definitions = longest, definitions
        self._free = _free(longest)
        self._closings = Closings(definitions, partial(self.narrow, joined=False))
        self._parts: dict[str, Any] = {}

    def whole(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The outermost schema, with its definitions as they stand by themselves and as parts."""
        narrowed: dict[str, Any] = self.narrow(schema, joined=False)
        if self._parts:
            narrowed["$defs"] = {**narrowed.get("$defs", {}), **self._parts}
        return narrowed

    def narrow(self, schema: Any, *, joined: bool) -> Any:
        """A schema that ends."""
        if schema in ANYTHING:
            return True if joined else self._free
        if schema is False:
            return False
        new = dict(schema)
        shared = {key for key in (*IN_PLACE, "$ref") if key in new and (joined or key == "allOf")}
        shared |= {key for key in (*IN_PLACE, "$ref") if key in new and _says_more(new, key)}
        named = self._closings.names(schema) if shared and not joined else set()
        if "oneOf" in new:
            check_exclusive(new["oneOf"], self._definitions, closed="oneOf" not in shared)
        for key in MAPS:
            if key in new:
                own = key == "properties"
                new[key] = {
                    k: self.narrow(v, joined=own and (joined or k in named))
                    for k, v in new[key].items()
                }
        for key in LISTS:
            if key in new:
                new[key] = [self.narrow(v, joined=key in shared) for v in new[key]]
        for key in SINGLE:
            if key in new:
                new[key] = self.narrow(new[key], joined=joined)
        if "$ref" in shared:
            new["$ref"] = self._part(new["$ref"])
        if "enum" in new or "const" in new:
            return new
        self._bound(new, joined=joined)
        if shared and not joined and (closing := self._closings.of(schema)) is not True:
            new["allOf"] = [*new.get("allOf", ()), closing]
        return new

    def _bound(self, new: dict[str, Any], *, joined: bool) -> None:
        """Set the bounds that a schema doesn't set itself."""
        together = joined or bool({*IN_PLACE, "$ref"} & set(new))
        if not together and "type" not in new and (kinds := implied(new)):
            new["type"] = sorted(kinds)  # values of all others would have no bounds
        kinds = types(new)
        if "string" in kinds:
            _bound_string(new, self._longest)
        if kinds & {"number", "integer"}:
            _bound_number(new, fraction="number" in kinds)
        if "array" in kinds:
            new.setdefault("maxItems", max(MOST, new.get("minItems", 0)))
            if not together:
                whole = len(new.get("prefixItems", ())) >= max(1, new.get("minItems", 0))
                new.setdefault("items", False if whole else self._free)
        if "object" in kinds or "properties" in new or "minProperties" in new:
            _bound_object(new, self._free, joined=together)

    def _part(self, reference: str) -> str:
        """The reference to a definition that leaves open which keys there are."""
        if reference not in self._definitions:
            return reference
        name = _named(f"{reference}_part")
        if name not in self._parts:
            self._parts[name] = True  # while it is made: it may refer to itself
            self._parts[name] = self.narrow(self._definitions[reference], joined=True)
        return f"#/$defs/{name}"


def _says_more(schema: Mapping[str, Any], key: str) -> bool:
    return bool(set(schema) - {key, *DEFINITIONS})


def _bound_string(new: dict[str, Any], longest: int) -> None:
    pattern = _FORMATS.get(new.get("format", ""))
    if pattern and "pattern" not in new:
        del new["format"]
        new["pattern"] = f"^(?:{pattern})$"
    elif "format" not in new or pattern:
        new.setdefault("maxLength", max(longest, new.get("minLength", 0)))


def _bound_number(new: dict[str, Any], *, fraction: bool) -> None:
    low = new.get("minimum", new.get("exclusiveMinimum"))
    high = new.get("maximum", new.get("exclusiveMaximum"))
    if low is None:
        new["minimum"] = -_LARGEST if high is None or high > -_LARGEST else high * 10
    if high is None:
        new["maximum"] = _LARGEST if low is None or low < _LARGEST else low * 10
    if fraction and not any(bound and abs(bound) < _SMALL for bound in (low, high)):
        new.setdefault("multipleOf", 1e-6)


def _bound_object(new: dict[str, Any], free: Mapping[str, Any], *, joined: bool) -> None:
    named = set(new.get("properties", ()))
    required = set(new.get("required", ()))
    if new.get("minProperties", 0) > max(1, len(required)):
        raise BackendError(
            "The schema can't be enforced (minProperties of keys that may repeat)",
            "Name the keys in `properties` and list them in `required`",
        )
    patterns = "patternProperties" in new
    if joined:  # another schema may name keys
        if not named and (patterns or "additionalProperties" in new):
            new.setdefault("maxProperties", MOST)
        return
    if "additionalProperties" not in new:
        known = (named or patterns) and required <= named
        new["additionalProperties"] = False if known else free
    others = new["additionalProperties"]
    if others is False and not patterns:
        return
    if named <= required:
        new.setdefault("maxProperties", MOST + len(required))
    elif not patterns and required <= named:
        new["additionalProperties"] = False  # llguidance counts no keys beside optional ones
        return
    if patterns or any(len(name) > _KEY_CHARS for name in named | required):
        return
    if named:
        new["patternProperties"] = {_LONG_KEY: False}
    else:
        new["patternProperties"] = {_KEY: others}
        new["additionalProperties"] = False


def _free(longest: int) -> dict[str, Any]:
    """Any value that ends: no list and no object, which could hold others without end."""
    value: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
    _bound_string(value, longest)
    _bound_number(value, fraction=True)
    return value


# --- recursion ------------------------------------------------------------

_ROOT = "#"
_VALUES = {"const", "enum"}
"""Keywords that hold no schemas."""


def _unrolled(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with each definition that contains itself as `DEPTH` definitions, one within
    the other, of which the last contains nothing of the kind."""
    definitions = _definitions(schema)
    definitions[_ROOT] = {k: v for k, v in schema.items() if k not in DEFINITIONS}
    inside = {name: set(_references(part)) & set(definitions) for name, part in definitions.items()}
    known: dict[str, set[str]] = {}
    while inside != known:  # what is contained in what is contained, and so on
        known = inside
        inside = {n: found.union(*(known[m] for m in found)) for n, found in known.items()}
    recursive = {name for name in definitions if name in inside[name]}
    if not recursive:
        return schema
    levels: dict[str, Any] = {}
    for name, definition in definitions.items():
        same = {other for other in inside[name] & recursive if name in inside[other]}
        for level in range(DEPTH if name in recursive else 1):
            deeper = {n: level + 1 if n in same else 0 for n in definitions}
            levels[_level(name, level)] = _leveled(definition, deeper)
    outermost: dict[str, Any] = levels[_level(_ROOT, 0)]
    return {**outermost, "$defs": levels}


def _definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a schema defines, by reference."""
    return {
        f"#/{kind}/{name}": definition
        for kind in DEFINITIONS
        for name, definition in schema.get(kind, {}).items()
    }


def _level(name: str, level: int) -> str:
    return _named(f"{name}_{level}")


def _named(words: str) -> str:
    """A name for a definition of ours."""
    return re.sub(r"\W", "_", words) + f"_{content_id(words, length=8)}"


def _leveled(schema: Any, levels: Mapping[str, int]) -> Any:
    """`schema` whose references lead to definitions of their level, and beyond the last nowhere."""
    if isinstance(schema, list):
        return [_leveled(part, levels) for part in schema]
    if not isinstance(schema, dict):
        return schema
    new = {key: part if key in _VALUES else _leveled(part, levels) for key, part in schema.items()}
    target = schema.get("$ref")
    if isinstance(target, str) and target in levels:
        if levels[target] == DEPTH:
            return False
        new["$ref"] = f"#/$defs/{_level(target, levels[target])}"
    return new


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for key, part in schema.items():
            if key not in _VALUES:
                yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)
