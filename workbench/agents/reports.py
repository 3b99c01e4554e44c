"""Answers that can name only what the tools found.

A small model that is asked what it saw invents. Here the places of a report are those
of the tool's result: what is left to the model is to say what they mean, and what to
do about each, within the bounds that the map states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_TEXT_CHARS = 320
_MOST = 12
"""Anomalies of one report; a map with more of them has another problem."""


def map_report(results: Sequence[str]) -> dict[str, Any] | None:
    """The JSON Schema of a report on the last map among `results`; None where there is none.

    `summary` is free text. `changes` holds one entry for each anomaly that the tool
    found, in its order: where it is and its value as the tool said them, and the value
    that the model suggests, within the map's bounds. `next_action` says what to do now.
    """
    maps = [found for found in map(_parsed, results) if isinstance(found.get("anomalies"), list)]
    if not maps:
        return None
    found = maps[-1]
    return _object(
        {
            "summary": _text(40),
            "changes": {
                "type": "array",
                "prefixItems": [_change(each, found) for each in found["anomalies"][:_MOST]],
                "items": False,
                "minItems": len(found["anomalies"][:_MOST]),
            },
            "next_action": _text(10),
        }
    )


def _change(anomaly: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    suggested: dict[str, Any] = {"type": "number"}
    if found.get("low") is not None:
        suggested["minimum"] = found["low"]
    if found.get("high") is not None:
        suggested["maximum"] = found["high"]
    return _object(
        {
            "kind": {"const": anomaly["kind"]},
            "at": {"const": anomaly["at"]},
            "value": {"const": anomaly["value"]},
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


def _parsed(result: str) -> dict[str, Any]:
    try:
        found = json.loads(result)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
