"""Tables in notebooks hold text only, whatever a model wrote."""

from __future__ import annotations

from workbench.tables import table


def test_cells_are_escaped_and_keep_their_lines() -> None:
    html = table(["<b>"], [("<script>alert(1)</script>\nnext",)])._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>next" in html
    assert "&lt;b&gt;" in html


def test_numbers_are_short_and_nothing_is_a_dash() -> None:
    assert repr(table(["a", "b", "c"], [(1 / 3, None, 7)])) == "a | b | c\n0.3333 | – | 7"
