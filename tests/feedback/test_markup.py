"""What a model wrote is shown, and does nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.feedback.markup import LONGEST, to_safe_html

PAYLOADS = [*hostile.PAYLOADS.values(), "<script>" * 20_000]


class _Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _assert_inert(html: str) -> None:
    allowed = set(
        "p br hr h1 h2 h3 h4 h5 h6 strong em s blockquote ul ol li pre code span "  # noqa: SIM905
        "table thead tbody tr th td".split()
    )
    for tag, attributes in _Elements(html).found:
        assert tag in allowed
        assert set(attributes) <= {"class", "start"}
        for name in (attributes.get("class") or "").split():
            assert name.startswith("wb-")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_markup_is_inert(payload: str) -> None:
    html = to_safe_html(payload)
    _assert_inert(html)
    assert html.strip()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_markup_is_inert_in_the_middle_of_an_answer(payload: str) -> None:
    _assert_inert(to_safe_html(f"# Title\n\n- item {payload}\n\n> {payload}\n\n**{payload}**"))


@given(st.text(alphabet=st.sampled_from("<>&\"'`*_[]()!|#-\n \\/=:abehijlmnoprstx0"), max_size=200))
def test_no_text_makes_an_element_that_is_not_ours(text: str) -> None:
    _assert_inert(to_safe_html(text))


def test_markdown_is_rendered() -> None:
    html = to_safe_html("# T\n\n1. **a**\n2. *b*\n\n| x | y |\n|-|-|\n| 1 | 2 |\n\n~~c~~\nd")
    for part in (
        "<h1>T</h1>",
        "<strong>a</strong>",
        "<em>b</em>",
        "<td>1</td>",
        "<s>c</s>",
        "<br>",
    ):
        assert part in html


def test_code_is_coloured_and_kept_as_it_is() -> None:
    html = to_safe_html("```python\nif a < b:\n    return 'x & y'\n```")
    assert '<span class="wb-code-k">if</span>' in html
    assert re.sub(r"<[^>]+>", "", html) == "if a &lt; b:\n    return 'x &amp; y'\n\n"


def test_code_of_an_unknown_language_is_plain() -> None:
    assert to_safe_html("```brainfuck\n<.>\n```") == "<pre><code>&lt;.&gt;\n</code></pre>\n"


def test_a_link_shows_where_it_would_lead() -> None:
    assert "docs</span> <code>https://a.example/b</code>" in to_safe_html(
        "[docs](https://a.example/b)"
    )
    assert to_safe_html("<https://a.example>").count("a.example") == 1


def test_an_image_is_named_and_not_loaded() -> None:
    html = to_safe_html("![a cat](https://a.example/cat.png)")
    assert "image, not loaded: a cat https://a.example/cat.png" in html


def test_html_in_an_answer_is_shown_as_text() -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in to_safe_html("<b>bold</b>")


@pytest.mark.parametrize("text", ["**x** " * LONGEST, "x" * (LONGEST + 1), "\n\nx\n" * LONGEST])
def test_a_very_long_answer_is_plain_text_in_pieces_and_whole(text: str) -> None:
    pieces = re.findall(r"<pre>\n(.*?)</pre>", to_safe_html(text), re.DOTALL)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= 2001
