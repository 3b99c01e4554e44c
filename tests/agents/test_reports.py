"""Reports on a map can name the anomalies that the tool found, all of them, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from asked_tools import settings_of

from workbench.agents import map_report
from workbench.tools import Context, Registry, call

TEXTS = {"summary": "s" * 40, "next_action": "n" * 10}


def got(folder: Path, name: str = "boost_target", **arguments: Any) -> str:
    """What an agent is told by get_map, in a project with the samples."""
    settings = settings_of(Path.cwd())
    definition = Registry(settings).get("get_map")
    given = json.dumps({"name": name, **arguments})
    return json.dumps(call(definition, given, Context(settings, folder)), ensure_ascii=False)


def report(result: str, suggested: float = 100) -> dict[str, Any]:
    """A report that says of each anomaly what the tool said."""
    changes = [
        {key: each[key] for key in ("kind", "at", "value")} | {"suggested": suggested}
        for each in json.loads(result)["anomalies"]
    ]
    return {**TEXTS, "changes": changes}


def table(folder: Path, name: str, missing: int, size: int = 30) -> None:
    """A table of long numbers in which the first values are missing."""
    values: list[list[float | None]] = [
        [100 + r / 7 + c / 11 for c in range(size)] for r in range(size)
    ]
    for number in range(missing):
        values[number // size][number % size] = None
    axes = [{"name": n, "unit": "", "values": list(range(size))} for n in ("row", "column")]
    (folder / "maps").mkdir(exist_ok=True)
    made = {"title": "t", "unit": "", "axes": axes, "values": values}
    (folder / "maps" / f"{name}.json").write_text(json.dumps(made))


def test_a_report_says_of_each_anomaly_what_the_tool_said(tmp_path: Path) -> None:
    result = got(tmp_path)
    schema = map_report([result])
    assert schema is not None
    good = jsonschema_rs.validator_for(schema)
    told = report(result)
    assert len(told["changes"]) == 4
    assert good.is_valid(told)
    first, *others = told["changes"]
    for change in ({"kind": "dent"}, {"at": {"rpm": 1, "load": 1}}, {"value": 0}):
        assert not good.is_valid({**told, "changes": [{**first, **change}, *others]})
    for changes in (others, [*told["changes"], first], [*others, first], []):
        assert not good.is_valid({**told, "changes": changes})
    assert not good.is_valid({**told, "summary": ""})
    assert not good.is_valid({**told, "more": 1})


def test_what_is_suggested_stays_within_the_bounds_of_the_map(tmp_path: Path) -> None:
    result = got(tmp_path)
    low, high = (json.loads(result)[name] for name in ("low", "high"))
    schema = map_report([result])
    assert schema is not None
    good = jsonschema_rs.validator_for(schema)
    assert good.is_valid(report(result, low))
    assert good.is_valid(report(result, high))
    assert not good.is_valid(report(result, low - 1))
    assert not good.is_valid(report(result, high + 1))


def test_the_last_map_is_reported_on_and_other_results_are_passed_over(tmp_path: Path) -> None:
    table(tmp_path, "mine", missing=1)
    mine, sample = got(tmp_path, "mine"), got(tmp_path)
    schema = map_report([sample, mine, '{"exit_code": 0}', "no JSON", '"text"'])
    assert schema == map_report([mine])
    assert schema != map_report([sample])
    assert map_report([]) is None
    assert map_report([got(tmp_path, show="values")]) is None


@pytest.mark.parametrize(
    "result",
    [
        '{"anomalies": [{}]}',
        '{"anomalies": [1]}',
        '{"anomalies": {"kind": "spike"}}',
        '{"anomalies": [{"kind": "spike", "at": {"x": "y"}, "value": 1}]}',
        '{"anomalies": [], "low": "much"}',
        '{"anomalies": [], "low": 2, "high": 1}',
        "[" * 100_000,
        "",
    ],
)
def test_what_only_looks_like_a_map_is_none(result: str) -> None:
    assert map_report([result]) is None


@pytest.mark.parametrize("missing", [12, 13, 40, 200])
def test_a_report_says_how_many_anomalies_it_leaves_out(missing: int, tmp_path: Path) -> None:
    table(tmp_path, "gaps", missing)
    result = got(tmp_path, "gaps", show="anomalies")
    assert len(json.loads(result)["anomalies"]) == min(missing, 50)
    schema = map_report([result])
    assert schema is not None
    good = jsonschema_rs.validator_for(schema)
    told = report(result)
    told["changes"] = told["changes"][:12]
    left = {"left_out": missing - 12} if missing > 12 else {}
    assert good.is_valid({**told, **left})
    assert not good.is_valid({**told, "left_out": missing - 11})
    if left:
        assert not good.is_valid(told)


def test_anomalies_that_the_tool_did_not_list_are_counted_too() -> None:
    found = {"kind": "missing", "at": {"x": 1}, "value": None}
    schema = map_report([json.dumps({"anomalies": [found] * 13, "more_anomalies": 7})])
    assert schema is not None
    assert schema["properties"]["left_out"] == {"const": 8}


def test_a_map_with_many_long_values_has_a_report(tmp_path: Path) -> None:
    table(tmp_path, "long", missing=3)
    result = got(tmp_path, "long")
    assert len(result) <= 16_000
    schema = map_report([result])
    assert schema is not None
    assert jsonschema_rs.validator_for(schema).is_valid(report(result))
