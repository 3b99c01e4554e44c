"""Exported notebooks run nothing and fetch nothing; browser/test_exported_html.py looks again."""

from __future__ import annotations

from html import escape
from pathlib import Path

import hostile
import nbformat
import pytest
from bs4 import BeautifulSoup
from examples import STRANGE_TEXTS

from workbench.html import clean_html, export


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A notebook whose outputs are hostile, as HTML."""
    return export(hostile.notebook(tmp_path / "notebook.ipynb"))


def test_outputs_are_cleaned_and_the_rest_is_kept(exported: Path) -> None:
    page = BeautifulSoup(exported.read_text(), "html.parser")
    assert page.h1.text.startswith("A title")
    assert page.find("th", string="kept")
    body = page.find("main") or page.body
    for area in body.select(".jp-OutputArea"):
        assert area.find(["script", "img", "iframe", "style", "svg", "link"]) is None
        for tag in area.find_all(True):
            assert not [name for name in tag.attrs if name.startswith("on")], tag
    assert "progress" not in page.text


@pytest.mark.parametrize("text", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS)
def test_any_answer_of_an_output_is_kept(text: str, tmp_path: Path) -> None:
    readable = "".join(c for c in text if c.isprintable() or c.isspace())
    output = nbformat.v4.new_output("display_data", {"text/html": f"<p>{escape(readable)}</p>"})
    cells = [nbformat.v4.new_code_cell("show()", outputs=[output])]
    file = tmp_path / "notebook.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), file)
    shown = BeautifulSoup(export(file).read_bytes(), "html.parser").get_text()
    assert all(word in shown for word in readable.split())


def test_a_policy_forbids_scripts_and_the_network(exported: Path) -> None:
    head = exported.read_text().split("</head>")[0]
    assert "default-src 'none'" in head
    assert head.index("Content-Security-Policy") < head.index("<style")


def test_clean_html_keeps_tables_and_drops_what_is_fetched() -> None:
    row = '<table><tbody><tr><td align="left">a<br>b</td></tr></tbody></table>'
    assert clean_html(row) == row
    assert "src" not in clean_html('<img src="data:image/png;base64,AA" alt="x">')
    assert "javascript" not in clean_html(hostile.PAYLOADS["javascript link"])
