"""One look for every figure: calm, readable at 800 pixels, safe for colour-blind readers.

Colours are Okabe and Ito's ("Color Universal Design", 2008): blue stands for the
adapter and what is good for it, vermillion for its base, grey for neither.
Figures are made without pyplot, so that nothing is kept or shown behind the
caller's back. Knows nothing about what is drawn.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

P = ParamSpec("P")

ADAPTER = "#0072B2"
BASE = "#D55E00"
NEITHER = "#B9BDC1"
INK = "#24292F"
MUTED = "#5F6872"
FAINT = "#E3E6E8"
SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")

_WIDTH = 8.0  # inches, at 100 dots each
_STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.5,
    "text.color": INK,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 10.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": NEITHER,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    # Names of raters and topics are not formulas.
    "text.parse_math": False,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in this style and leave matplotlib's settings as they were."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            return draw(*args, **kwargs)

    return drawn


def figure(height: float) -> Figure:
    """An empty figure, 8 inches (800 pixels) wide and `height` inches high.

    In a notebook it shows as the value of a cell, without `%matplotlib inline`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    _show_in_notebooks(Figure)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    return Figure(figsize=(_WIDTH, height), layout=layout)


def caption(figure: Figure, title: str, note: str = "") -> None:
    """What the figure says, above it; on what that stands, in smaller type below it."""
    figure.suptitle(
        textwrap.fill(title, 74), x=0.012, ha="left", fontsize=12.5, fontweight="bold", color=INK
    )
    if note:
        figure.supxlabel(textwrap.fill(note, 112), x=0.012, ha="left", fontsize=9.5, color=MUTED)


def equality(axes: Axes) -> None:
    """Both axes from 0 over the same range, with the diagonal on which they are equal."""
    end = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.set(xlim=(0, end), ylim=(0, end), aspect="equal")
    axes.plot([0, end], [0, end], color=NEITHER, linewidth=1, zorder=1)


def whole_numbers(axis: Axis) -> None:
    """A few ticks, at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _show_in_notebooks(figure_class: type[Figure]) -> None:
    """Give figures a picture in Jupyter, unless somebody has chosen one already."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    try:
        shell.display_formatter.formatters["image/png"].lookup_by_type(figure_class)
    except KeyError:
        from IPython.core.pylabtools import select_figure_formats

        select_figure_formats(shell, {"retina"})
