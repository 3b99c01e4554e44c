"""Answers that can name only what the tools found.

A small model that is asked what it saw invents. Here the places of a report are those
of the tool's result: what is left to the model is to say what they mean, and what to
do about each, within the bounds that the map states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

_TEXT_CHARS = 200
_MOST = 12
"""Anomalies of one report; a map with more of them has another problem."""


class _Anomaly(msgspec.Struct):
    kind: str
    at: dict[str, int | float]
    value: int | float | None


class _Map(msgspec.Struct):
    """What is read of a result of `get_map`; results of other tools are none.

    Nor is one whose bounds leave no value to suggest: no answer could keep its schema.
    """

    anomalies: tuple[_Anomaly, ...]
    more_anomalies: int = 0
    low: int | float | None = None
    high: int | float | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low is above high")


def map_report(results: Sequence[str]) -> dict[str, Any] | None:
    """The JSON Schema of a report on the last map among `results`; None where there is none.

    `summary` is free text. `changes` holds one entry for each of the first 12 anomalies
    that the tool found, in its order: where it is and its value as the tool said them, and
    the value that the model suggests, within the map's bounds. `left_out`, there only where
    the tool found more, is how many. `next_action` says what to do now.
    """
    maps = [found for found in map(_parsed, results) if found is not None]
    if not maps:
        return None
    found = maps[-1]
    shown = found.anomalies[:_MOST]
    more = len(found.anomalies) - len(shown) + found.more_anomalies
    return _object(
        {
            "summary": _text(40),
            "changes": {
                "type": "array",
                "prefixItems": [_change(each, found) for each in shown],
                "items": False,
                "minItems": len(shown),
            },
            **({"left_out": {"const": more}} if more else {}),
            "next_action": _text(10),
        }
    )


def _change(anomaly: _Anomaly, found: _Map) -> dict[str, Any]:
    suggested: dict[str, Any] = {"type": "number"}
    if found.low is not None:
        suggested["minimum"] = found.low
    if found.high is not None:
        suggested["maximum"] = found.high
    return _object(
        {
            "kind": {"const": anomaly.kind},
            "at": {"const": anomaly.at},
            "value": {"const": anomaly.value},
            "suggested": suggested,
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(least: int) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": _TEXT_CHARS}


def _parsed(result: str) -> _Map | None:
    try:
        return msgspec.json.decode(result, type=_Map)
    except (ValueError, RecursionError):
        return None
