"""The picture of a dataset: where its pairs come from, and what may have biased them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from workbench import style
from workbench.preferences.audit import SPLITS, Audit, Share, word_lengths
from workbench.preferences.dataset import Dataset
from workbench.preferences.raters import Position

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SPLIT_COLOURS = dict(zip(SPLITS, style.SERIES, strict=False))
_MOST_TOPICS = 14
_MOST_LANGUAGES = 6


@style.styled
def plot(dataset: Dataset) -> Figure:
    """Pairs per topic and language, chosen against rejected length, and position bias.

    The last is drawn where the audit has judgements.
    """
    audit = dataset.manifest.audit
    topics = audit.topics[:_MOST_TOPICS]
    languages = audit.languages[:_MOST_LANGUAGES]
    positions = audit.judgements.positions if audit.judgements else ()
    layout = [["topics", "lengths"], ["languages", "lengths"]]
    rows = [len(topics) + 1.0, len(languages) + 1.0]
    if positions:
        layout.append(["position", "position"])
        rows.append(len(positions) + 0.6)
    least = 4.6 + (0.9 + 0.3 * len(positions) if positions else 0)
    figure = style.figure(max(least, 2.2 + 0.27 * sum(rows)))
    if positions:
        above = least - 2.2 - 0.27 * rows[2]
        stretch = max(1.0, above / (0.27 * (rows[0] + rows[1])))
        rows = [rows[0] * stretch, rows[1] * stretch, rows[2]]
    panels: dict[str, Axes] = figure.subplot_mosaic(
        layout,  # type: ignore[arg-type]  # lists of lists are what it takes
        height_ratios=rows,
        width_ratios=[1, 1.15],
    )
    some = f" ({len(topics)} of {len(audit.topics)})" if len(topics) < len(audit.topics) else ""
    _bars(panels["topics"], topics, f"Pairs by topic{some}")
    _bars(panels["languages"], languages, "Pairs by language")
    panels["languages"].set_xlabel("pairs")
    _lengths(panels["lengths"], dataset)
    if positions:
        _positions(panels["position"], positions)
    style.caption(figure, *_words(dataset.name, audit))
    return figure


def _bars(axes: Axes, shares: tuple[Share, ...], title: str) -> None:
    rows = range(len(shares))
    names = [textwrap.shorten(share.name or "(none)", 26, placeholder="…") for share in shares]
    left = [0] * len(shares)
    for split in SPLITS:
        widths = [getattr(share, split) for share in shares]
        if any(widths):
            axes.barh(rows, widths, left=left, color=_SPLIT_COLOURS[split], height=0.72)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(rows, names)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    style.whole_numbers(axes.xaxis)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)


def _lengths(axes: Axes, dataset: Dataset) -> None:
    for split, marker in zip(SPLITS, "osD", strict=True):
        pairs = [pair for pair in dataset.pairs if pair.split == split]
        if pairs:
            chosen, rejected = zip(*word_lengths(pairs), strict=True)
            axes.scatter(
                rejected,
                chosen,
                s=22,
                alpha=max(0.08, 0.7 / (1 + len(dataset.pairs) / 500)),
                linewidth=0,
                marker=marker,
                color=_SPLIT_COLOURS[split],
                label=f"{split} ({len(pairs)})",
            )
    style.equality(axes)
    axes.set_anchor("N")
    axes.set_title("Length of the two answers")
    axes.set_xlabel("rejected answer (words)")
    axes.set_ylabel("chosen answer (words)")
    legend = axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=3,
        columnspacing=1.2,
        handletextpad=0.2,
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _positions(axes: Axes, positions: tuple[Position, ...]) -> None:
    """A share with its interval for each kind of rater, against one half."""
    axes.axvline(0.5, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    for row, position in enumerate(positions):
        axes.errorbar(
            position.share,
            row,
            xerr=[[position.share - position.low], [position.high - position.share]],
            fmt="o",
            color=style.BASE if position.biased else style.INK,
            markersize=6,
            capsize=4,
            linewidth=1.6,
        )
    axes.set_yticks(range(len(positions)), [f"{p.judge} (n={p.n})" for p in positions])
    axes.set(xlim=(0, 1), ylim=(len(positions) - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title("The answer shown earlier won (dashed: no difference)")


def _words(name: str, audit: Audit) -> tuple[str, str]:
    """Title and note."""
    judges = ", ".join(f"{share.name} ({share.total})" for share in audit.judges)
    dropped = audit.dropped
    duplicates = dropped.duplicates + dropped.near_duplicates
    left_out = (
        f"{duplicates} duplicates, {dropped.identical} with equal answers, "
        f"{dropped.contradictions} contradicting others, "
        f"{dropped.refused + dropped.not_asked} without consent"
    )
    personal = ", ".join(item.kind for item in audit.personal) or "none found"
    return (
        f"{audit.pairs.total} pairs in “{name}”; "
        f"the chosen answer is the longer one in {audit.chosen_longer:.0%}",
        f"Judged by: {judges}. Mean length: chosen {audit.chosen_words:.1f}, "
        f"rejected {audit.rejected_words:.1f} words. Left out: {left_out}. "
        f"Largest component: {audit.largest_component:.0%} of pairs. "
        f"Personal data: {personal}.",
    )
