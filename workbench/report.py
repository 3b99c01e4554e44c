"""The index page of a run: its story in one self-contained HTML file.

The page opens from disk without network: figures are embedded as SVG images, a
content security policy forbids everything else, and every text a model wrote
is escaped. This module lays out what the steps recorded; it computes nothing
that a step did not.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.journal import write_whole


@dataclass(frozen=True)
class Figure:
    """A plot on the page; `svg` is the image's bytes, `alt` says what it shows."""

    svg: bytes
    alt: str
    caption: str

    @property
    def data_uri(self) -> str:
        """The image as a data URI."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True)
class Exchange:
    """One prompt with the answers before and after, and which of them won."""

    prompt: str
    before: str
    after: str
    outcome: str


@dataclass(frozen=True)
class Page:
    """All that the index page shows.

    `facts` are tables: title -> rows of (name, value). `traces` are trees of spans as
    HTML of trace_view, which is inert; every other text is escaped here.
    """

    title: str
    headline: str
    conclusion: str
    tiles: Sequence[tuple[str, str]]
    facts: Mapping[str, Sequence[tuple[str, str]]]
    figures: Sequence[Figure]
    exchanges: Sequence[Exchange]
    notebooks: Sequence[tuple[str, str]]
    traces: Sequence[tuple[str, str]] = ()


def svg(figure: Any) -> bytes:
    """A matplotlib Figure as SVG bytes, without a date, so that equal figures are equal files."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def write(page: Page, path: Path) -> Path:
    """The page as one HTML file, written whole or not at all."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
    )
    html = environment.get_template("report.html").render(page=page)
    return write_whole(path, html)
