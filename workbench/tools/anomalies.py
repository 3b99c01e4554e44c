"""Cells of a table or series that stand out, by stated rules.

    outside bounds   the value is below or above the limits that the map states
    missing          there is no value
    spike, dent      the value is far from what its neighbours say
    not monotonic    the value falls along an axis that the map says is rising, or rises
                     along one that is falling

What the neighbours say is the straight line between them in a series, so that the
difference is a second difference. In a table it is the surface blended from the
eight around the cell (Coons, 1967): line along one axis, plus line along the other,
minus line of lines. So a bend that goes through the whole table is no anomaly. The
ends of a series and the edges of a table are not judged by this rule, and a wrong
value there may show as its neighbour. Values that are missing or outside the bounds
are first filled in from the lines that pass through them.

A difference d is far if its modified z-score 0.6745 (d - median) / MAD is above 3.5
in size: Iglewicz and Hoaglin, How to Detect and Handle Outliers (ASQC, 1993). Where
MAD is 0, the mean absolute deviation times 1.253314 takes the place of MAD / 0.6745.
The cell that stands out most is replaced by what its neighbours say, and the rest
looked at again, for a spike makes its neighbours look dented.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

Trend = Literal["", "rising", "falling"]
Kind = Literal["outside bounds", "missing", "spike", "dent", "not monotonic"]

THRESHOLD = 3.5
RULE = (
    "spike or dent: modified z-score of the difference from what the neighbours say above 3.5 "
    "(Iglewicz and Hoaglin 1993), of which at most 50 are looked for; "
    "outside bounds, not monotonic: as the map states"
)
_MOST = 50
"""Spikes and dents: after each the whole map is looked at again."""


@dataclass(frozen=True)
class Found:
    """An anomaly at `cell`; `expected` is what its neighbours say, `score` the z-score."""

    kind: Kind
    cell: tuple[int, ...]
    value: float | None
    expected: float | None
    score: float | None = None


def find(
    values: Values,
    axes: Sequence[Sequence[float]],
    trends: Sequence[Trend],
    low: float | None = None,
    high: float | None = None,
) -> list[Found]:
    """The anomalies of `values` (one or two axes; NaN where a value is missing).

    Of spikes and dents the 50 that stand out most.
    """
    import numpy as np

    out = (values < (-np.inf if low is None else low)) | (
        values > (np.inf if high is None else high)
    )
    missing = np.isnan(values)
    filled, expected = _filled(values, axes, out | missing)
    repaired, outliers = _outliers(filled, axes)
    outside = [
        Found("outside bounds", cell, float(values[cell]), _known(expected[cell]))
        for cell in _cells(out)
    ]
    absent = [Found("missing", cell, None, _known(expected[cell])) for cell in _cells(missing)]
    return [*outside, *absent, *outliers, *_not_monotonic(repaired, trends)]


def _known(value: float) -> float | None:
    return None if value != value else round(float(value), 3)


def _filled(
    values: Values, axes: Sequence[Sequence[float]], wrong: NDArray[np.bool_]
) -> tuple[Values, Values]:
    """`values` with the `wrong` ones filled in, and the means of the lines through each cell."""
    import numpy as np

    right = np.where(wrong, np.nan, values)
    lines = np.stack([_between(right, axis, along) for along, axis in enumerate(axes)])
    count = (~np.isnan(lines)).sum(axis=0)
    means = np.where(count > 0, np.nansum(lines, axis=0) / np.maximum(count, 1), np.nan)
    return np.where(wrong, means, values), means


def _outliers(values: Values, axes: Sequence[Sequence[float]]) -> tuple[Values, list[Found]]:
    """`values` without the spikes and dents, and those, the worst first."""
    import numpy as np

    repaired = values.copy()
    found: list[Found] = []
    centre, spread = _centre_and_spread(values - _expected(values, axes))
    while len(found) < _MOST:
        expected = _expected(repaired, axes)
        scores = np.nan_to_num((repaired - expected - centre) / spread)
        cell = tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(scores)), scores.shape))
        if abs(scores[cell]) <= THRESHOLD or any(cell == known.cell for known in found):
            break
        kind: Kind = "spike" if scores[cell] > 0 else "dent"
        value, said = float(values[cell]), _known(expected[cell])
        found.append(Found(kind, cell, value, said, round(float(scores[cell]), 1)))
        repaired[cell] = expected[cell]
    return repaired, found


def _expected(values: Values, axes: Sequence[Sequence[float]]) -> Values:
    """What its neighbours say of each cell; NaN at the edges, and beside a missing value."""
    first = _between(values, axes[0], 0)
    if len(axes) == 1:
        return first
    return first + _between(values, axes[1], 1) - _between(first, axes[1], 1)


def _between(values: Values, axis: Sequence[float], along: int) -> Values:
    """What the two neighbours of each cell along an axis say; NaN at its ends."""
    import numpy as np

    lines = np.full_like(values, np.nan)
    if len(axis) < 3:
        return lines
    at = np.asarray(axis, dtype=float)
    moved, into = np.moveaxis(values, along, 0), np.moveaxis(lines, along, 0)
    share = ((at[1:-1] - at[:-2]) / (at[2:] - at[:-2])).reshape(-1, *[1] * (values.ndim - 1))
    into[1:-1] = moved[:-2] * (1 - share) + moved[2:] * share
    return lines


def _centre_and_spread(differences: Values) -> tuple[float, float]:
    """The median of the differences, and what one unit of the modified z-score is."""
    import numpy as np

    known = differences[~np.isnan(differences)]
    if known.size == 0:
        return 0.0, np.inf
    centre = float(np.median(known))
    deviations = np.abs(known - centre)
    spread = float(np.median(deviations)) / 0.6745 or float(np.mean(deviations)) * 1.253314
    return centre, spread or np.inf


def _not_monotonic(values: Values, trends: Sequence[Trend]) -> Iterator[Found]:
    import numpy as np

    for along, trend in enumerate(trends):
        if not trend:
            continue
        steps = np.diff(values, axis=along) * (1 if trend == "rising" else -1)
        for cell in _cells(steps < 0):
            here = tuple(i + (n == along) for n, i in enumerate(cell))
            yield Found("not monotonic", here, float(values[here]), None)


def _cells(mask: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    import numpy as np

    return [tuple(int(i) for i in cell) for cell in np.argwhere(mask)]
