"""`get_map`: a table or series by its key, with what a small model can't see in the numbers.

A map is a JSON file in `maps/` of the workspace or in datasets/samples/maps/;
the README there says what is in it. What would make a result too long is left out, and that
is said: values first, then those of the axes, anomalies last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.errors import InputError
from workbench.sandbox import Root
from workbench.tools import anomalies
from workbench.tools.contract import Context, Definition, as_json
from workbench.tools.schemas import choice, parameters, record, text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CELLS = 1_024
"""Largest table whose values are shown."""
_ALL_CELLS = 1_000_000
_ANOMALIES = 50
"""Most of them that are listed."""
_DIGITS = 5
"""Significant digits of values that are too long to be shown whole."""


class Axis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One axis of a map. `trend` says how values should change along it; "" where unknown."""

    name: str
    unit: str
    values: tuple[float, ...]
    trend: anomalies.Trend = ""


class MapFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A map as it lies in its file: one axis and a list, or two axes and rows of values.

    A row belongs to a value of the first axis; null is a missing value. `low` and
    `high` bound what a value may be.
    """

    title: str
    unit: str
    axes: tuple[Axis, ...]
    values: list[Any]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Statistics:
    """Over all values that are there."""

    cells: int
    missing: int
    least: float
    most: float
    mean: float
    median: float


@dataclass(frozen=True)
class Anomaly:
    """A cell that stands out: where on the axes, its value, and what its neighbours say."""

    kind: anomalies.Kind
    at: dict[str, float]
    value: float | None
    expected: float | None
    score: float | None


@dataclass(frozen=True)
class MapView:
    """A map, or the parts of it that were asked for; `left_out` says what is not whole.

    An axis whose values are left out has none. `more_anomalies` were found and are not listed.
    """

    name: str
    title: str
    unit: str
    axes: tuple[Axis, ...]
    low: float | None
    high: float | None
    values: list[Any] | None = None
    left_out: str = ""
    statistics: Statistics | None = None
    anomalies: tuple[Anomaly, ...] | None = None
    more_anomalies: int = 0
    rule: str = ""


def _get_map(arguments: Mapping[str, Any], context: Context) -> MapView:
    import numpy as np

    name, show = arguments["name"], arguments.get("show", "everything")
    read = _read(name, context)
    values = _values(name, read)
    view = MapView(name, read.title, read.unit, read.axes, read.low, read.high)
    parts: dict[str, Any] = {}
    if show in ("everything", "values"):
        parts["values"] = read.values
    if show in ("everything", "statistics"):
        parts["statistics"] = _statistics(values)
    if show in ("everything", "anomalies"):
        trends, axes = [a.trend for a in read.axes], [a.values for a in read.axes]
        found = anomalies.find(np.array(values), axes, trends, read.low, read.high)
        parts["anomalies"] = tuple(_named(each, read.axes) for each in found[:_ANOMALIES])
        parts["more_anomalies"] = len(found[_ANOMALIES:])
        parts["rule"] = anomalies.RULE
    return _within(replace(view, **parts), values.size, context.result_chars)


def _within(view: MapView, cells: int, limit: int) -> MapView:
    """`view` without what makes its JSON longer than `limit` characters."""

    def long() -> bool:
        return len(as_json(view)) > limit

    if view.values is not None and cells <= _CELLS and long():
        said = f"digits: the values are rounded to {_DIGITS}"
        view = replace(view, values=_rounded(view.values), left_out=said)
    if view.values is not None and (cells > _CELLS or long()):
        said = f"the values: {cells:,} are too many to show"
        view = replace(view, values=None, left_out=said)
    if long():
        spans = [
            f"{a.name} ({len(a.values):,} from {a.values[0]} to {a.values[-1]})" for a in view.axes
        ]
        said = "; ".join(filter(None, [view.left_out, f"the values of {' and '.join(spans)}"]))
        axes = tuple(msgspec.structs.replace(axis, values=()) for axis in view.axes)
        view = replace(view, axes=axes, left_out=said)
    while view.anomalies and long():
        shown, more = view.anomalies[:-1], view.more_anomalies + 1
        view = replace(view, anomalies=shown, more_anomalies=more)
    return view


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _read(name: str, context: Context) -> MapFile:
    places = list(_places(context))
    for root, folder in places:
        file = f"{folder}{name}.json"
        if not root.exists(file):
            continue
        try:
            return msgspec.json.decode(root.read(file, limit=20_000_000), type=MapFile)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"The map {name} is broken: {error}", "Take another map") from None
    known = sorted({each for root, folder in places for each in _names(root, folder)})
    raise InputError(
        f"There is no map {name!r}",
        f"Use one of {', '.join(known[:50])}" if known else "None are there: put one into maps/",
    )


def _places(context: Context) -> Iterator[tuple[Root, str]]:
    """Where maps lie: a folder to be confined to, and the prefix below it."""
    yield Root(context.workspace), "maps/"
    samples = context.settings.datasets / "samples" / "maps"
    if samples.is_dir():
        yield Root(samples), ""


def _names(root: Root, folder: str) -> Iterator[str]:
    if folder and not root.exists(folder.rstrip("/")):
        return
    for entry in root.list(folder.rstrip("/") or "."):
        if entry.name.endswith(".json"):
            yield entry.name.rpartition("/")[2].removesuffix(".json")


def _values(name: str, read: MapFile) -> NDArray[np.float64]:
    """The values as an array, NaN where one is missing.

    Raises InputError where shapes differ, an axis does not rise or no value is within bounds.
    """
    import numpy as np

    shape = tuple(len(axis.values) for axis in read.axes)
    try:
        values = np.array(read.values, dtype=float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != shape or len(shape) not in (1, 2) or not 0 < values.size <= _ALL_CELLS:
        raise InputError(
            f"The values of the map {name} don't fit its axes, which are {shape} long",
            "Give one or two axes and a number or null for each cell",
        )
    for axis in read.axes:
        if any(b <= a for a, b in zip(axis.values, axis.values[1:], strict=False)):
            raise InputError(
                f"The axis {axis.name} of the map {name} does not rise", "Sort its values"
            )
    if read.low is not None and read.high is not None and read.low > read.high:
        raise InputError(
            f"The map {name} has a low of {read.low}, above its high of {read.high}",
            "Give bounds that a value can keep, or none",
        )
    return values


def _statistics(values: NDArray[np.float64]) -> Statistics | None:
    import numpy as np

    known = values[~np.isnan(values)]
    if known.size == 0:
        return None
    return Statistics(
        cells=values.size,
        missing=values.size - known.size,
        least=float(known.min()),
        most=float(known.max()),
        mean=round(float(known.mean()), 3),
        median=float(np.median(known)),
    )


def _named(found: anomalies.Found, axes: tuple[Axis, ...]) -> Anomaly:
    at = {axis.name: axis.values[i] for axis, i in zip(axes, found.cell, strict=True)}
    return Anomaly(found.kind, at, found.value, found.expected, found.score)


GET_MAP = Definition(
    "get_map",
    "Get a map (a table or series of numbers) by name: axes, units, values, statistics, "
    "and the cells that look wrong.",
    parameters(
        {"name": text("Name of the map, such as boost_target", minLength=1, maxLength=100)},
        {
            "show": choice(
                "Which part; default everything", "everything", "values", "statistics", "anomalies"
            )
        },
    ),
    record(MapView),
    "read",
    _get_map,
)
