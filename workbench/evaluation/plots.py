"""Figures of an evaluation. Each function returns a matplotlib Figure and shows nothing.

plots.outcomes(verdict).savefig("verdict.svg")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from workbench import style
from workbench.evaluation.verdict import decision, judges, word_lengths
from workbench.records import Comparison, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = {
    "better": "The adapter is better than its base",
    "worse": "The adapter is worse than its base",
    "no proof": "No proof either way",
}
_OUTCOMES = {
    "win": ("adapter won", style.ADAPTER, "o"),
    "tie": ("tie", style.NEITHER, "s"),
    "loss": ("base won", style.BASE, "^"),
}
_ROOM = 0.12
_LEAST_KL = 1e-9


@style.styled
def outcomes(verdict: Verdict) -> Figure:
    """Wins, ties and losses in one bar, and the win rate with its interval below it."""
    figure = style.figure(3.1)
    bar, rate = figure.subplots(2, 1, sharex=True, height_ratios=[1.15, 1])
    _stack(bar, verdict)
    _rate(rate, verdict)
    controlled = (
        "can't be told" if verdict.length_controlled is None else f"{verdict.length_controlled:.0%}"
    )
    style.caption(
        figure,
        f"{_TITLES[decision(verdict)]}: win rate {verdict.win_rate:.0%} "
        f"({verdict.confidence:.0%} interval {verdict.low:.0%} to {verdict.high:.0%})",
        f"{verdict.n} held-out prompts, judged blind by {judges(verdict)}. "
        f"Win rate at equal length: {controlled}; "
        f"if the longer answer always won: {verdict.longest_wins:.0%}. "
        f"Mean length: base {verdict.base_words:.1f}, adapter {verdict.adapter_words:.1f} words.",
    )
    return figure


@style.styled
def lengths(comparisons: Sequence[Comparison]) -> Figure:
    """Length of the adapter's answer against the base's, a point a prompt."""
    figure = style.figure(5.0)
    axes = figure.subplots()
    for outcome, (label, colour, marker) in _OUTCOMES.items():
        some = [c for c in comparisons if c.outcome == outcome]
        if some:
            base, adapter = zip(*word_lengths(some), strict=True)
            axes.scatter(
                base,
                adapter,
                s=34,
                alpha=0.75,
                linewidth=0,
                color=colour,
                marker=marker,
                label=f"{label} ({len(some)})",
            )
    style.equality(axes)
    axes.set_anchor("W")
    axes.set_xlabel("base's answer (words)")
    axes.set_ylabel("adapter's answer (words)")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    pairs = word_lengths(comparisons)
    shorter = sum(adapter < base for base, adapter in pairs)
    style.caption(
        figure,
        f"The adapter's answer is the shorter one on {shorter} of {len(pairs)} prompts",
        "On the grey line both answers are equally long.",
    )
    return figure


@style.styled
def losses(points: Sequence[tuple[int, float]]) -> Figure:
    """The training loss, given (step, loss), with the running mean where there are enough steps."""
    figure = style.figure(3.6)
    axes = figure.subplots()
    steps = [step for step, _ in points]
    values = [value for _, value in points]
    window = max(1, len(points) // 8)
    means = [fmean(values[i - window : i]) for i in range(window, len(values) + 1)]
    if window > 1:
        axes.plot(steps, values, color=style.NEITHER, linewidth=1.2, label="each logged step")
        axes.plot(
            steps[window - 1 :], means, color=style.ADAPTER, label=f"mean of {window} logged steps"
        )
        axes.legend(loc="upper right")
    else:
        axes.plot(steps, values, color=style.ADAPTER, marker="o", markersize=5)
    style.whole_numbers(axes.xaxis)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss (nats)")
    style.caption(figure, f"Training loss from {means[0]:.2f} to {means[-1]:.2f}")
    return figure


@style.styled
def divergences(points: Sequence[tuple[str, float]]) -> Figure:
    """Mean KL divergence per token from the reference, given (precision, nats); log scale."""
    figure = style.figure(1.7 + 0.42 * len(points))
    axes = figure.subplots()
    names = [name for name, _ in points]
    values = [max(value, _LEAST_KL) for _, value in points]
    # Bars start well below the smallest value: on a log scale there is no zero to start from.
    start = 10.0 ** (math.floor(math.log10(min(values))) - 1)
    axes.barh(names, [v - start for v in values], left=start, height=0.62, color=style.ADAPTER)
    axes.set_xscale("log")
    axes.set_xlim(start, max(values) * 8)
    for row, (_, value) in enumerate(points):
        shown = f" {value:.2g}" if value > _LEAST_KL else f" below {_LEAST_KL:g}"
        axes.text(max(value, _LEAST_KL), row, shown, va="center", color=style.INK)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("mean KL divergence per token (nats, log scale)")
    style.caption(
        figure,
        "Drift from the reference by precision",
        "KL(reference || runtime) over the vocabulary; lower is closer.",
    )
    return figure


def _stack(axes: Axes, verdict: Verdict) -> None:
    """Shares of wins, ties and losses, from left to right."""
    left = 0.0
    counts = {"win": verdict.wins, "tie": verdict.ties, "loss": verdict.losses}
    for outcome, (label, colour, _) in _OUTCOMES.items():
        share = counts[outcome] / verdict.n
        axes.barh(0, share, left=left, color=colour, height=0.8, edgecolor="white")
        if share:
            ink = style.INK if outcome == "tie" else "white"
            text = f"{counts[outcome]}\n{label}" if share >= _ROOM else str(counts[outcome])
            axes.text(left + share / 2, 0, text, ha="center", va="center", color=ink, fontsize=10)
        left += share
    axes.set_axis_off()


def _rate(axes: Axes, verdict: Verdict) -> None:
    """The win rate as a point with its interval, against one half."""
    axes.axvline(0.5, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.errorbar(
        verdict.win_rate,
        0,
        xerr=[[verdict.win_rate - verdict.low], [verdict.high - verdict.win_rate]],
        fmt="o",
        color=style.INK,
        markersize=8,
        capsize=5,
        linewidth=2,
    )
    axes.set(xlim=(0, 1), ylim=(-1, 1), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("win rate of the adapter, ties as half (dashed: no difference)")
