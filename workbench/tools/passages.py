"""`search_knowledge`: passages of the documents that the program opened, each citable.

The search itself is given by the program; this module knows no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import ToolError
from workbench.tools.contract import Context, Definition, shortened
from workbench.tools.schemas import parameters, record, text, whole

_PASSAGES = 3
_TEXT_CHARS = 2_000
_CITATION = 8
"""Hex digits of a passage's id that cite it."""


@dataclass(frozen=True)
class Cited:
    """A passage. An answer cites it by `citation`; `score` is the cosine with the query."""

    citation: str
    source: str
    line: int
    heading: str
    text: str
    score: float


@dataclass(frozen=True)
class Passages:
    """The passages nearest to the query, best first."""

    passages: tuple[Cited, ...]


def _search_knowledge(arguments: Mapping[str, Any], context: Context) -> Passages:
    if context.search is None:
        raise ToolError("No knowledge base is open", "Answer without it, and say so")
    hits = context.search(arguments["query"], arguments.get("passages", _PASSAGES))
    return Passages(
        tuple(
            Cited(
                citation=hit.passage.id[:_CITATION],
                source=hit.passage.source,
                line=hit.passage.line,
                heading=hit.passage.heading,
                text=shortened(hit.passage.text, _TEXT_CHARS),
                score=round(hit.score, 3),
            )
            for hit in hits
        )
    )


SEARCH_KNOWLEDGE = Definition(
    "search_knowledge",
    "Find passages of the knowledge base by meaning. Cite each that you use.",
    parameters(
        {"query": text("What you want to know", minLength=1, maxLength=2_000)},
        {"passages": whole(f"How many; default {_PASSAGES}", 1, 10)},
    ),
    record(Passages),
    "read",
    _search_knowledge,
)
