"""Exported notebooks run nothing and fetch nothing, in the file and in a real browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.html import clean_html, export

HOSTILE = (
    "<script>window.hit = 1</script>",
    '<img src="http://127.0.0.1:9/x.png" onerror="window.hit = 1">',
    "<svg onload='window.hit = 1'></svg>",
    '<a href="javascript:window.hit = 1">x</a>',
    '<iframe src="http://127.0.0.1:9/"></iframe>',
    "<style>@import url(http://127.0.0.1:9/x.css)</style>",
    '<div style="background:url(http://127.0.0.1:9/y.png)">y</div>',
    '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">',
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A notebook whose outputs are hostile, as HTML."""
    outputs = [
        new_output("display_data", data={"text/html": html, "text/plain": "x"}) for html in HOSTILE
    ]
    outputs += [
        new_output("display_data", data={"application/javascript": "window.hit = 1"}),
        new_output("display_data", data={"text/markdown": HOSTILE[0], "text/plain": "plain"}),
        new_output("display_data", data={"text/html": "<table><tr><th>kept</th></tr></table>"}),
        new_output("stream", name="stdout", text=HOSTILE[0]),
        new_output("stream", name="stderr", text="progress"),
    ]
    cells = [new_markdown_cell("# A title\n\ntext"), new_code_cell("pass", outputs=outputs)]
    notebook = new_notebook(cells=cells, metadata={"widgets": {"x": 1}})
    path = tmp_path / "notebook.ipynb"
    nbformat.write(notebook, path)
    return export(path)


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


def test_a_policy_forbids_scripts_and_the_network(exported: Path) -> None:
    head = exported.read_text().split("</head>")[0]
    assert "default-src 'none'" in head
    assert head.index("Content-Security-Policy") < head.index("<style")


def test_clean_html_keeps_tables_and_drops_what_is_fetched() -> None:
    row = '<table><tbody><tr><td align="left">a<br>b</td></tr></tbody></table>'
    assert clean_html(row) == row
    assert "src" not in clean_html('<img src="data:image/png;base64,AA" alt="x">')
    assert "javascript" not in clean_html(HOSTILE[3])


@pytest.mark.browser
def test_nothing_runs_and_nothing_is_fetched_in_a_browser(exported: Path) -> None:
    if os.environ.get("WORKBENCH_NO_BROWSER"):
        pytest.skip("WORKBENCH_NO_BROWSER is set")
    from playwright.sync_api import sync_playwright

    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert chromium, "No chromium found: install it, or set CHROMIUM or WORKBENCH_NO_BROWSER=1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page()
        fetched: list[str] = []
        page.on("requestfinished", lambda request: fetched.append(request.url))
        page.on("requestfailed", lambda request: fetched.append(request.url))
        page.goto(exported.as_uri())
        page.wait_for_timeout(500)
        hit = page.evaluate("window.hit")
        browser.close()
    assert hit is None
    outside = [url for url in fetched if not url.startswith(("file:", "data:"))]
    assert not [url for url in outside if "127.0.0.1" in url]
