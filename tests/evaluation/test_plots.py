from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from examples import completion, preference, rating

from workbench import preferences
from workbench.evaluation import plots, verdict
from workbench.records import Comparison


def comparisons(n: int = 40) -> list[Comparison]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(n):
        base, adapter = (" ".join(["w"] * int(rng.poisson(m) + 1)) for m in (16, 11))
        outcome = rng.choice(["win", "loss", "tie"], p=[0.6, 0.25, 0.15])
        made.append(
            Comparison(
                f"p{i}",
                completion(base, f"b{i}"),
                completion(adapter, f"a{i}", adapter="f" * 64),
                str(outcome),
                rating(f"s{i}", "a>b", rater="rule:short-first-sentence"),
            )
        )
    return made


def dataset(tmp_path, topics: int = 20):
    rng = np.random.default_rng(0)
    pairs = [
        preference(
            f"Q {i}?",
            " ".join(["c"] * int(rng.poisson(12) + 1)),
            " ".join(["r"] * int(rng.poisson(20) + 1)),
            topic=f"тема {i % topics}",
            language="ru" if i % 3 else "en",
            raters=("rule:short-first-sentence",),
        )
        for i in range(60)
    ]
    return preferences.write(pairs, "demo", tmp_path, validation=0.2, test=0.1)


def texts(figure) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def all_figures(tmp_path):
    some = comparisons()
    return {
        "outcomes": plots.outcomes(verdict(some)),
        "lengths": plots.lengths(some),
        "losses": plots.losses([(i, 0.7 * 0.95**i + 0.02 * (i % 3)) for i in range(1, 31)]),
        "divergences": plots.divergences([("fp32", 0.0), ("Q4_1", 3e-5), ("int8", 0.009)]),
        "dataset": preferences.plot(dataset(tmp_path)),
    }


def test_every_figure_is_800_pixels_wide_and_draws_as_png_and_svg(tmp_path):
    for name, figure in all_figures(tmp_path).items():
        assert figure.get_figwidth() * figure.dpi == 800, name
        for form in ("png", "svg"):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=form)
            assert len(buffer.getvalue()) > 5000, (name, form)


def test_nothing_is_drawn_over_the_edge(tmp_path):
    for name, figure in all_figures(tmp_path).items():
        figure.draw_without_rendering()
        inside = figure.get_window_extent()
        drawn = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
        assert drawn.x0 >= inside.x0, name
        assert drawn.x1 <= inside.x1, name
        assert drawn.y0 >= inside.y0, name
        assert drawn.y1 <= inside.y1, name


def test_the_verdict_s_figure_says_all_that_belongs_beside_the_number():
    result = verdict(comparisons())
    shown = texts(plots.outcomes(result))
    for said in (
        f"win rate {result.win_rate:.0%}",
        f"interval {result.low:.0%} to {result.high:.0%}",
        f"{result.n} held-out prompts",
        "rule:short-first-sentence",
        "equal length",
        "longer answer always won",
    ):
        assert said in shown


def test_bars_show_every_outcome_and_no_other():
    from matplotlib.patches import Rectangle

    result = verdict(comparisons())
    [bar, _] = plots.outcomes(result).axes
    widths = [p.get_width() for p in bar.patches if isinstance(p, Rectangle)]
    expected = [count / result.n for count in (result.wins, result.ties, result.losses)]
    assert widths == pytest.approx(expected)


def test_figures_take_whatever_a_small_run_gives(tmp_path):
    one = comparisons(1)
    for figure in (
        plots.outcomes(verdict(one)),
        plots.lengths(one),
        plots.losses([(1, 0.69)]),
        plots.divergences([("fp32", 0.0)]),
        preferences.plot(
            preferences.write([preference("Q?", "a", "b")], "one", tmp_path, test=0, validation=0)
        ),
    ):
        figure.savefig(io.BytesIO(), format="png")


def test_names_are_not_read_as_formulas():
    some = [
        Comparison("p", completion("x", "b"), completion("y", "a"), "win",
                   rating("s", "a>b", rater="person:$\\frac$"))
    ]  # fmt: skip
    plots.outcomes(verdict(some)).savefig(io.BytesIO(), format="png")


def test_drawing_leaves_matplotlib_s_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.losses([(1, 0.7), (2, 0.6)])
    assert dict(matplotlib.rcParams) == before
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_a_figure_shows_itself_in_a_notebook(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    code = "from workbench.evaluation import plots\nplots.losses([(1, 0.7), (2, 0.6)])"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    [output] = notebook.cells[0].outputs
    assert "image/png" in output.data
