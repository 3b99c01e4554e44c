"""Markdown of a model -> HTML that is safe to show beside our own.

Model output is hostile. Raw HTML is shown as text, links are shown but can't be
followed, images are named but never fetched, and what the renderer makes passes
an allow-list of tags without any URL or style. Knows nothing about widgets.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

LONGEST = 50_000
"""Characters beyond which an answer is shown as plain text: Markdown may be made slow to parse."""
_PIECE = re.compile(r".{1,2000}(?:\s|\Z)|.{1,2000}", re.DOTALL)
"""A browser lays out pieces of plain text as they come into view; one of 200 kB takes seconds."""

# fmt: off
_TAGS = {
    "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "blockquote",
    "ul", "ol", "li", "pre", "code", "span", "table", "thead", "tbody", "tr", "th", "td",
}
_LANGUAGES = {
    "bash", "c", "cpp", "css", "go", "html", "java", "javascript", "js", "json", "py", "python",
    "rust", "sh", "shell", "sql", "ts", "typescript", "yaml",
}
# fmt: on
_CODE_CLASS = "wb-code-"


def to_safe_html(markdown: str) -> str:
    """The HTML of `markdown`, free of scripts, styles, links that work and anything remote."""
    if len(markdown) > LONGEST:
        pieces = _PIECE.findall(markdown)
        return "".join(f"<pre>\n{html.escape(piece)}</pre>" for piece in pieces)
    return nh3.clean(
        _parser().render(markdown),
        tags=_TAGS,
        attributes={"ol": {"start"}},
        allowed_classes={"span": _span_classes()},
        url_schemes=set(),
        link_rel=None,
    )


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "highlight": _highlight})
    parser.enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_open", _link_open)
    parser.add_render_rule("link_close", _link_close)
    return parser


@cache
def _span_classes() -> set[str]:
    from pygments.token import STANDARD_TYPES

    return {"wb-link", "wb-image"} | {_CODE_CLASS + name for name in STANDARD_TYPES.values()}


def _highlight(code: str, language: str, _attributes: str) -> str:
    """Coloured code, for well-known languages only: a lexer too is code that reads hostile text."""
    if language.lower() not in _LANGUAGES:
        return html.escape(code)
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(language.lower(), stripnl=False)
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix=_CODE_CLASS)))


def _image(_self: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    address = html.escape(str(tokens[index].attrs.get("src", "")))
    alternative = html.escape(tokens[index].content)
    return f'<span class="wb-image">image, not loaded: {alternative} {address}</span>'


def _link_open(*_: Any) -> str:
    return '<span class="wb-link">'


def _link_close(_self: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    opening = next(t for t in reversed(tokens[:index]) if t.type == "link_open")
    if opening.markup == "autolink":
        return "</span>"
    return f"</span> <code>{html.escape(str(opening.attrs['href']))}</code>"
