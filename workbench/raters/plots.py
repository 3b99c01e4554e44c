"""The picture of raters: who agrees with whom, and what each is like, a row a rater.

plot(raters).savefig("raters.svg")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench import style
from workbench.raters.estimates import Estimate
from workbench.raters.overview import Rater, Raters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_RATERS = 12
_ROW = 0.4  # inches
_NUMBER = 8.0  # points
_ROOMY = 8  # raters, whose numbers fit their cells
_LONGEST_NAME = 22
_TWO = {"people": "people", "all raters": "raters"}
_CELL = 0.32  # width of a cell, in widths of another panel


@style.styled
def plot(raters: Raters) -> Figure:
    """Agreement of each two raters, and each one's accuracy, position bias and consistency.

    Shows the 12 raters with the most compared pairs.
    """
    busiest = sorted(raters.raters, key=lambda rater: -rater.pairs)[:_MOST_RATERS]
    rows = [rater for rater in raters.raters if rater in busiest]
    figure = style.figure(2.4 + _ROW * len(rows))
    matrix, accuracy, position, consistency = figure.subplots(
        1, 4, sharey=True, width_ratios=[max(1, _CELL * len(rows)), 1, 1, 1]
    )
    _agreement(matrix, rows, raters)
    _estimates(accuracy, [r.accuracy for r in rows], "Accuracy", "right about\na pair", middle=0.5)
    _estimates(
        position,
        [rater.position.earlier for rater in rows],
        "Position",
        "shown earlier\nwins",
        middle=0.5,
        colours=[_bias_colour(rater) for rater in rows],
    )
    _estimates(
        consistency, [rater.consistency for rater in rows], "Repeats", "same when\nasked again"
    )
    _rows(matrix, rows)
    style.caption(figure, _title(raters), _note(raters, shown=len(rows)))
    return figure


def _rows(axes: Axes, rows: Sequence[Rater]) -> None:
    numbered = [f"{_short(rater.name)}  {n}" for n, rater in enumerate(rows, start=1)]
    axes.set_yticks(range(len(rows)), numbered, color=style.INK, fontsize=9)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)


def _agreement(axes: Axes, rows: Sequence[Rater], raters: Raters) -> None:
    """Kappa of each two raters as a coloured cell with its number."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    size = _NUMBER if len(rows) <= _ROOMY else _NUMBER - 1.2
    colours = LinearSegmentedColormap.from_list("kappa", [style.BASE, "white", style.ADAPTER])
    place = {rater.name: row for row, rater in enumerate(rows)}
    values = {frozenset(pair.raters): pair.kappa.value for pair in raters.kappas}
    for a in rows:
        for b in rows:
            x, y = place[b.name], place[a.name]
            kappa = values.get(frozenset({a.name, b.name}))
            face = style.FAINT if kappa is None else colours((kappa + 1) / 2)
            axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=face, linewidth=0))
            ink = "white" if kappa is not None and abs(kappa) > 0.6 else style.INK
            text = "" if a is b else "–" if kappa is None else _decimal(kappa)
            axes.text(x, y, text, ha="center", va="center", color=ink, fontsize=size)
    axes.set_xticks(range(len(rows)), [str(n + 1) for n in range(len(rows))], fontsize=9)
    axes.set_xlim(-0.5, max(len(rows), 1) - 0.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_title("Agreement", fontsize=10)
    axes.set_xlabel("kappa with\nrater number", fontsize=9)


def _estimates(
    axes: Axes,
    estimates: Sequence[Estimate],
    title: str,
    label: str,
    *,
    middle: float | None = None,
    colours: Sequence[str] = (),
) -> None:
    """A point and its interval in each row, and the number on the right."""
    from matplotlib.transforms import blended_transform_factory

    margin = blended_transform_factory(axes.transAxes, axes.transData)
    if middle is not None:
        axes.axvline(middle, color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for row, estimate in enumerate(estimates):
        colour = colours[row] if colours else style.ADAPTER
        number, ink = "–", style.MUTED
        if estimate.value is not None:
            number, ink = f"{estimate.value:.0%}", style.INK
            axes.plot(estimate.value, row, "o", color=colour, markersize=6)
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2)
        axes.text(1.09, row, number, transform=margin, va="center", color=ink, fontsize=_NUMBER)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100%"], fontsize=8)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label, fontsize=9)


def _bias_colour(rater: Rater) -> str:
    return style.BASE if rater.position.biased else style.ADAPTER


def _title(raters: Raters) -> str:
    alpha, ceiling = raters.alpha, raters.ceiling
    if alpha.value is None:
        return f"Agreement can't be told: {alpha.why}"
    between = _between(alpha, "{:.2f}".format)
    title = f"Krippendorff's alpha of {raters.agreement_of} {alpha.value:.2f}{between}"
    if ceiling.value is not None:
        title += f": the highest win rate they can show is {ceiling.value:.0%}"
    return title


def _note(raters: Raters, *, shown: int) -> str:
    agreement = raters.agreement
    some = f", {shown} of {len(raters.raters)} raters shown" if shown < len(raters.raters) else ""
    parts = [f"{raters.pairs} pairs of answers in {raters.candidate_sets} candidate sets{some}."]
    if agreement.value is not None:
        parts.append(
            f"Two {_TWO[raters.agreement_of]} who both prefer an answer prefer the same one in "
            f"{agreement.value:.0%}{_between(agreement, '{:.0%}'.format)}."
        )
    parts.append(
        "Lines are 95 % intervals. Accuracy is estimated from the agreement of "
        f"{raters.agreement_of} and needs three of them. Orange: the place on the screen matters. "
        "–: can't be told."
    )
    return " ".join(parts)


def _between(estimate: Estimate, form: Callable[[float], str]) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" ({form(estimate.low)} to {form(estimate.high)})"


def _decimal(value: float) -> str:
    """0.72 as ".72", which fits a small cell."""
    return f"{value:.2f}".replace("0.", ".", 1).replace("-", "−")


def _short(name: str) -> str:
    """A name on one short line: it may hold anything."""
    plain = " ".join(name.split()) or "(no name)"
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 1]}…"
