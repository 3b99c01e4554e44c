"""The picture of a dataset: where its pairs come from, and how long their answers are."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from workbench import style
from workbench.preferences.audit import SPLITS, Audit, Share, word_lengths
from workbench.preferences.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SPLIT_COLOURS = dict(zip(SPLITS, style.SERIES, strict=False))
_MOST_TOPICS = 14


@style.styled
def plot(dataset: Dataset) -> Figure:
    """Pairs per topic and language, and the length of chosen against rejected answers."""
    audit = dataset.manifest.audit
    topics = audit.topics[:_MOST_TOPICS]
    figure = style.figure(max(4.6, 2.2 + 0.27 * (len(topics) + len(audit.languages))))
    panels = figure.subplot_mosaic(
        [["topics", "lengths"], ["languages", "lengths"]],
        height_ratios=[len(topics) + 1, len(audit.languages) + 1],
        width_ratios=[1, 1.15],
    )
    some = f" ({len(topics)} of {len(audit.topics)})" if len(topics) < len(audit.topics) else ""
    _bars(panels["topics"], topics, f"Pairs by topic{some}")
    _bars(panels["languages"], audit.languages, "Pairs by language")
    panels["languages"].set_xlabel("pairs")
    _lengths(panels["lengths"], dataset)
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


def _words(name: str, audit: Audit) -> tuple[str, str]:
    """Title and note."""
    judges = ", ".join(f"{share.name} ({share.total})" for share in audit.judges)
    dropped = audit.dropped
    return (
        f"{audit.pairs.total} pairs in “{name}”; "
        f"the chosen answer is the longer one in {audit.chosen_longer:.0%}",
        f"Judged by: {judges}. Mean length: chosen {audit.chosen_words:.1f}, "
        f"rejected {audit.rejected_words:.1f} words. Left out: {dropped.duplicates} duplicates, "
        f"{dropped.identical} with equal answers, {dropped.contradictions} contradicting others.",
    )
