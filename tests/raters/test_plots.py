"""The picture of raters says what the summary says, for one rater and for many."""

from __future__ import annotations

import io

import pytest
from examples import candidate_set, rating
from planted import outcomes_of

from workbench.raters.overview import Raters, summary
from workbench.raters.plots import plot

pytestmark = pytest.mark.slow  # together they take more than ten seconds

NAMES = [
    "person:anna",
    "person:boris",
    "person:clara",
    "person:dmitri",
    "person:emma",
    "person:fyodor",
    "person:galina",
    "model:qwen3-8b@3fa1b2c4",
    "rule:short-first-sentence",
    "person:👩🏽‍🚀",
    "person:$\\frac$",
    "person:two\nlines",
    "person:" + "x" * 80,
]


def raters(names: list[str], pairs: int = 60) -> Raters:
    said = outcomes_of({n: 0.9 - 0.02 * i for i, n in enumerate(names)}, pairs=pairs, seed=0)
    ratings = [
        rating(
            pair.candidate_set,
            "a>b" if outcome == "first" else "b>a",
            kind="pairwise",
            shown="ab" if i % 2 else "ba",
            rater=rater,
        )
        for i, (pair, row) in enumerate(said.items())
        for rater, outcome in row.items()
    ]
    return summary(ratings, [candidate_set(f"set {i}", "x", "y") for i in range(pairs)], seed=0)


def texts(figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text().replace("\n", " ") for text in figure.findobj(Text)]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 12, 13])
@pytest.mark.filterwarnings("ignore:Glyph")  # the font has no astronauts
def test_any_number_of_raters_is_drawn_within_the_figure(n):
    figure = plot(raters(NAMES[:n]))
    figure.savefig(io.BytesIO(), format="png")
    assert figure.get_figwidth() * figure.dpi == 800
    figure.draw_without_rendering()
    inside = figure.get_window_extent()
    drawn = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert drawn.x0 >= inside.x0
    assert drawn.x1 <= inside.x1
    assert drawn.y0 >= inside.y0
    assert drawn.y1 <= inside.y1


def test_the_figure_says_what_the_summary_says():
    found = raters(NAMES[:3])
    shown = texts(plot(found))
    title = next(text for text in shown if "alpha" in text)
    assert f"{found.alpha.value:.2f} ({found.alpha.low:.2f} to {found.alpha.high:.2f})" in title
    assert "of people" in title
    assert f"win rate they can show is {found.ceiling.value:.0%}" in title
    judged_by_all = raters(["person:anna", *NAMES[7:9]])
    assert any("Krippendorff's alpha of all raters" in t for t in texts(plot(judged_by_all)))
    for n, rater in enumerate(found.raters, start=1):
        assert f"{rater.name}  {n}" in shown
        assert f"{rater.accuracy.value:.0%}" in shown
        assert f"{rater.position.earlier.value:.0%}" in shown
    for kappa in found.kappas:
        assert shown.count(f"{kappa.kappa.value:.2f}".removeprefix("0")) >= 2


def test_what_can_not_be_told_is_said_and_not_drawn():
    shown = texts(plot(raters(NAMES[:2])))
    assert shown.count("–") == 4  # accuracy and consistency of both
    assert any(text.startswith("Agreement can't be told") for text in texts(plot(raters([]))))


def test_of_many_raters_the_busiest_are_shown_and_the_others_counted():
    shown = texts(plot(raters(NAMES)))
    assert any("12 of 13 raters shown" in text for text in shown)
