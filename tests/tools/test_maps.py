"""Maps by name, and the cells that stand out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked_tools import INJECTION, ask, refused
from hypothesis import given
from hypothesis import strategies as st

from workbench.tools import Context
from workbench.tools.anomalies import find

PLANTED = {(4500, 100), (3500, 70), (5000, 80), (1500, 30)}


def put(context: Context, name: str, **changes: Any) -> None:
    """A small series in the workspace."""
    made = {
        "title": "t",
        "unit": "V",
        "axes": [{"name": "x", "unit": "s", "values": [0, 1, 2, 3, 4, 5]}],
        "values": [1, 2, 3, 4, 5, 6],
    }
    folder = context.workspace / "maps"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(made | changes))


def test_the_sample_map_shows_exactly_its_planted_anomalies(context: Context) -> None:
    view = ask(context, "get_map", name="boost_target", show="anomalies")
    found = {(a["at"]["rpm"], a["at"]["load"]): a["kind"] for a in view["anomalies"]}
    assert set(found) == PLANTED
    assert found[4500, 100] == "outside bounds"
    assert found[3500, 70] == "spike"
    assert found[5000, 80] == found[1500, 30] == "dent"
    assert view["values"] is None
    assert "Iglewicz" in view["rule"]


def test_each_anomaly_tells_what_was_to_be_expected(context: Context) -> None:
    view = ask(context, "get_map", name="boost_target")
    table = view["values"]
    rpm, load = (axis["values"] for axis in view["axes"])
    for anomaly in view["anomalies"]:
        row, column = rpm.index(anomaly["at"]["rpm"]), load.index(anomaly["at"]["load"])
        assert table[row][column] == anomaly["value"]
        assert abs(anomaly["expected"] - anomaly["value"]) > 4
        assert 60 < anomaly["expected"] < 182


def test_a_map_is_told_with_units_and_statistics(context: Context) -> None:
    view = ask(context, "get_map", name="boost_target", show="statistics")
    assert [(axis["name"], axis["unit"]) for axis in view["axes"]] == [
        ("rpm", "1/min"),
        ("load", "%"),
    ]
    assert view["unit"] == "kPa"
    assert (view["statistics"]["most"], view["statistics"]["cells"]) == (214.0, 108)


def test_the_whole_map_fits_a_small_model(context: Context) -> None:
    assert len(json.dumps(ask(context, "get_map", name="boost_target"))) < 4_000


def test_an_unknown_map_names_those_there_are(context: Context) -> None:
    put(context, "mine")
    assert "Use one of boost_target, mine" in refused(context, "get_map", name="bost_target")


def test_a_map_of_the_workspace_goes_first(context: Context) -> None:
    put(context, "boost_target", title=INJECTION)
    assert ask(context, "get_map", name="boost_target")["title"] == INJECTION


@pytest.mark.parametrize("name", ["../maps/boost_target", "/etc/passwd", "a/../../b", "..", "x\0y"])
def test_a_name_leads_nowhere_else(name: str, context: Context) -> None:
    refused(context, "get_map", name=name)


@pytest.mark.parametrize(
    "changes",
    [
        {"values": [1, 2, 3]},
        {"values": [[1], [2, 3]]},
        {"values": ["a"] * 6},
        {"values": []},
        {"values": {"a": 1}},
        {"axes": []},
        {"axes": [{"name": "x", "unit": "s", "values": [0, 1, 1, 3, 4, 5]}]},
        {"axes": [{"name": "x", "unit": "s", "values": [0, 1, 2], "trend": "sideways"}]},
        {"more": 1},
        {"title": None},
        {"low": 2, "high": 1},
    ],
)
def test_a_broken_map_is_one_line(changes: dict[str, Any], context: Context) -> None:
    put(context, "broken", **changes)
    refused(context, "get_map", name="broken")


def test_a_file_that_is_no_map_is_one_line(context: Context) -> None:
    put(context, "broken")
    for data in (b"", b"\xff", b"[" * 100_000, b"{}"):
        (context.workspace / "maps" / "broken.json").write_bytes(data)
        refused(context, "get_map", name="broken")


def test_a_large_map_leaves_its_values_out_and_says_so(context: Context) -> None:
    axes = [{"name": n, "unit": "", "values": list(range(40))} for n in "xy"]
    put(context, "large", axes=axes, values=[[r + c for c in range(40)] for r in range(40)])
    view = ask(context, "get_map", name="large")
    assert view["values"] is None
    assert "1,600" in view["left_out"]
    assert view["statistics"]["cells"] == 1_600
    assert view["anomalies"] == []


def test_a_series_shows_spikes_and_missing_values(context: Context) -> None:
    x = list(range(30))
    values: list[float | None] = [math.sin(i / 9) for i in x]
    values[12] = 3.0
    values[20] = None
    put(context, "series", axes=[{"name": "x", "unit": "s", "values": x}], values=values)
    found = ask(context, "get_map", name="series", show="anomalies")["anomalies"]
    assert [(a["kind"], a["at"]["x"]) for a in found] == [("missing", 20), ("spike", 12)]
    assert found[1]["expected"] == pytest.approx(math.sin(12 / 9), abs=0.02)


def smooth() -> np.ndarray:
    rows, columns = np.arange(10.0)[:, None], np.arange(12.0)[None, :]
    return np.round(100 + 8 * rows + 60 / (1 + np.exp(5 - columns)) * (rows / 9), 1)


AXES = ([float(i) for i in range(10)], [float(i) for i in range(12)])


@given(st.integers(1, 8), st.integers(1, 10), st.sampled_from([-6.0, -3.0, 3.0, 6.0]))
def test_a_planted_fault_is_found_and_nothing_else(row: int, column: int, size: float) -> None:
    values = smooth()
    values[row, column] += size
    (found,) = find(values, AXES, ["", ""])
    assert found.cell == (row, column)
    assert found.kind == ("spike" if size > 0 else "dent")
    assert found.expected == pytest.approx(smooth()[row, column], abs=1.5)


def test_a_smooth_table_shows_nothing() -> None:
    assert find(smooth(), AXES, ["rising", "rising"]) == []
    assert find(np.full((10, 12), 5.0), AXES, ["rising", "falling"]) == []


def test_a_value_against_the_trend_is_found_where_one_is_stated() -> None:
    values = np.array([1.0, 2.0, 3.0, 2.9, 4.0, 5.0])
    axis = [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]
    assert ("not monotonic", (3,)) in [(f.kind, f.cell) for f in find(values, axis, ["rising"])]
    assert "not monotonic" not in [f.kind for f in find(values, axis, [""])]
    falling = find(-values, axis, ["falling"])
    assert ("not monotonic", (3,)) in [(f.kind, f.cell) for f in falling]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_short_axes_are_no_error(size: int) -> None:
    axis = [float(i) for i in range(size)]
    assert find(np.zeros((size, size)), [axis, axis], ["", ""]) == []
    assert find(np.full(size, np.nan), [axis], [""])[0].kind == "missing"


def test_there_may_be_no_map_at_all(context: Context, tmp_path: Path) -> None:
    bare = replace(context, settings=replace(context.settings, root=tmp_path / "nowhere"))
    assert "None are there" in refused(bare, "get_map", name="boost_target")


def rough(rows: int, columns: int) -> list[list[float]]:
    """Smooth values of all digits, with a spike in the middle."""
    values = [[100 + math.pi * r + math.e * c for c in range(columns)] for r in range(rows)]
    values[rows // 2][columns // 2] += 50.0
    return values


@pytest.mark.parametrize("show", ["everything", "values"])
def test_long_values_are_rounded_before_they_are_left_out(show: str, context: Context) -> None:
    axes = [{"name": n, "unit": "", "values": list(range(30))} for n in "xy"]
    put(context, "long", axes=axes, values=rough(30, 30))
    view = ask(context, "get_map", name="long", show=show)
    assert view["values"][1][1] == 105.86
    assert view["left_out"] == "digits: the values are rounded to 5"
    assert len(json.dumps(view)) <= context.result_chars
    few = replace(context, result_chars=4_000)
    view = ask(few, "get_map", name="long", show=show)
    assert view["values"] is None
    assert view["left_out"] == "the values: 900 are too many to show"
    if show == "everything":
        assert [a["at"] for a in view["anomalies"]] == [{"x": 15, "y": 15}]
        assert view["anomalies"][0]["value"] == rough(30, 30)[15][15]


def test_anomalies_are_told_whatever_the_size_of_the_map(context: Context) -> None:
    x = [i / 7 for i in range(20_000)]
    values: list[float | None] = [math.sin(each / 900) for each in x]
    values[12_000] = 9.0
    put(context, "series", axes=[{"name": "x", "unit": "s", "values": x}], values=values)
    for show in ("everything", "anomalies"):
        view = ask(context, "get_map", name="series", show=show)
        assert [a["at"]["x"] for a in view["anomalies"]] == [x[12_000]]
        assert view["axes"][0]["values"] == []
        assert f"the values of x (20,000 from 0.0 to {x[-1]})" in view["left_out"]


def test_anomalies_that_are_not_listed_are_counted(context: Context) -> None:
    put(
        context,
        "gaps",
        axes=[{"name": "x" * 100, "unit": "", "values": list(range(60))}],
        values=[None] * 60,
    )
    view = ask(replace(context, result_chars=6_000), "get_map", name="gaps", show="anomalies")
    assert 0 < len(view["anomalies"]) < 50
    assert len(view["anomalies"]) + view["more_anomalies"] == 60
    view = ask(context, "get_map", name="gaps", show="anomalies")
    assert (len(view["anomalies"]), view["more_anomalies"]) == (50, 10)


def test_the_rule_says_how_many_spikes_are_looked_for(context: Context) -> None:
    values = [float(i % 3 == 1 and i % 7 == 1) * 90 + i / 100 for i in range(2_000)]
    axis = {"name": "x", "unit": "s", "values": list(range(2_000))}
    put(context, "spikes", axes=[axis], values=values)
    view = ask(context, "get_map", name="spikes", show="anomalies")
    assert (len(view["anomalies"]), view["more_anomalies"]) == (50, 0)
    assert "at most 50 are looked for" in view["rule"]
