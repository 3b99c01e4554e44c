"""The index page is one inert file: nothing runs, nothing is fetched, hostile text stays text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from examples import STRANGE_TEXTS

from workbench.report import Exchange, Figure, Page, write

HOSTILE = (
    "<script>alert(1)</script>",
    '<img src="https://evil.example/x.png" onerror="alert(1)">',
    '"><svg onload=alert(1)>',
    "{{ 7 * 7 }} {% raw %}",
    "</div></main><iframe src=//evil.example>",
    "‮ right to left \u0000 \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
)


def _page(text: str) -> Page:
    return Page(
        title=text,
        headline=text,
        conclusion=text,
        tiles=[(text, text)],
        facts={text: [(text, text)]},
        figures=[Figure(b"<svg xmlns='http://www.w3.org/2000/svg'/>", text, text)],
        exchanges=[Exchange(text, text, "", "win")],
        notebooks=[("00", "00.html")],
    )


def test_hostile_text_is_shown_not_run(tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        path = write(_page(text), tmp_path / f"{number}.html")
        soup = BeautifulSoup(path.read_text(), "html.parser")
        assert soup.find(["script", "iframe", "link"]) is None
        assert soup.h1.text == text.replace("\u0000", "�") or soup.h1.text == text
        for tag in soup.find_all(True):
            assert not [name for name in tag.attrs if name.startswith("on")]
            assert str(tag.get("src", "data:")).startswith("data:")


def readable(text: str) -> str:
    """Without control characters, for which a page has no place."""
    return "".join(c for c in text if (c.isprintable() and c != "\ufffd") or c.isspace())


@pytest.mark.parametrize("text", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS)
def test_any_text_is_shown_whole(text: str, tmp_path: Path) -> None:
    page = replace(_page("x"), exchanges=[Exchange(text, text, text, "win")])
    soup = BeautifulSoup(write(page, tmp_path / "index.html").read_bytes(), "html.parser")
    shown = readable(soup.get_text())
    assert all(word in shown for word in readable(text).split())


def test_the_page_forbids_itself_the_network(tmp_path: Path) -> None:
    html = write(_page("x"), tmp_path / "index.html").read_text()
    assert "default-src 'none'" in html
