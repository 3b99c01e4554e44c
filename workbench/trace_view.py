"""A trace to look at: its spans as a tree with timings, tokens, arguments and results.

    trace_view.show(tracing.read(path), run.trace_id)     # in a notebook
    trace_view.html(spans)                                 # for a page

One piece of HTML without a script: branches fold by themselves. Every text in it is
escaped, since models and tools wrote it, and the characters that hide or reorder
others are shown by their code. This module knows nothing about agents: it shows any
spans.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.characters import escaped
from workbench.errors import InputError
from workbench.tracing import SpanRecord

LONGEST = 4000
"""Characters of one text that are shown; the cut is stated."""


@dataclass(frozen=True)
class Branch:
    """A span as it is drawn.

    `left` and `width` are per cent of the whole trace's time; `parts` are its texts
    under their names.
    """

    name: str
    kind: str
    seconds: float
    left: float
    width: float
    note: str
    error: str
    parts: tuple[tuple[str, str], ...]
    branches: tuple[Branch, ...]

    @property
    def open(self) -> bool:
        """Whether it begins unfolded: what holds others, and what failed."""
        return bool(self.branches) or bool(self.error)


class TraceView:
    """A trace that a notebook draws."""

    def __init__(self, spans: Sequence[SpanRecord]) -> None:
        self.spans = tuple(spans)

    def _repr_html_(self) -> str:
        return html(self.spans)

    def __repr__(self) -> str:
        return "\n".join(_lines(tree(self.spans), ""))


def show(spans: Iterable[SpanRecord], trace_id: str) -> TraceView:
    """The trace of that id. Raises InputError where it has no span."""
    found = [span for span in spans if span.trace_id == trace_id]
    if not found:
        raise InputError(f"No span of the trace {trace_id} is there", "Look in another journal")
    return TraceView(found)


def html(spans: Sequence[SpanRecord]) -> str:
    """The tree as HTML with its own style."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
    )
    roots = tree(spans)
    return environment.get_template("trace_view.html").render(
        roots=roots, seconds=_whole(spans), spans=len(spans)
    )


def tree(spans: Sequence[SpanRecord]) -> tuple[Branch, ...]:
    """Spans as trees, in the order in which they began.

    A span whose parent is not there, since its process was killed, is a root.
    """
    known = {span.id for span in spans}
    under: dict[str | None, list[SpanRecord]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.started, span.ended)):
        under[span.parent_id if span.parent_id in known else None].append(span)
    if not spans:
        return ()
    began, whole = _began(spans), _whole(spans)

    def branch(span: SpanRecord) -> Branch:
        before = (datetime.fromisoformat(span.started) - began).total_seconds()
        return Branch(
            name=_shown(span.name),
            kind=_shown(span.kind),
            seconds=span.seconds,
            left=100 * before / whole,
            width=100 * span.seconds / whole,
            note=_note(span),
            error=_shown(span.error or ""),
            parts=tuple(_parts(span)),
            branches=tuple(map(branch, under[span.id])),
        )

    return tuple(map(branch, under[None]))


def _began(spans: Sequence[SpanRecord]) -> datetime:
    return min(datetime.fromisoformat(span.started) for span in spans)


def _whole(spans: Sequence[SpanRecord]) -> float:
    """Seconds from the first beginning to the last end; never 0."""
    ended = max(datetime.fromisoformat(span.ended) for span in spans)
    return max((ended - _began(spans)).total_seconds(), 1e-6)


def _note(span: SpanRecord) -> str:
    """Tokens, and who approved, in a few words."""
    notes = []
    if span.usage is not None:
        cached = f" ({span.usage.cached_tokens} cached)" if span.usage.cached_tokens else ""
        notes.append(f"{span.usage.prompt_tokens}{cached} → {span.usage.completion_tokens} tokens")
    approval = span.metadata.get("approval")
    if isinstance(approval, dict):
        notes.append(f"{approval.get('answer')} by {approval.get('by')}")
    return _shown(" · ".join(notes))


def _parts(span: SpanRecord) -> Iterable[tuple[str, str]]:
    for name, value in (("input", span.input), ("output", span.output), ("about", span.metadata)):
        if value not in (None, "", {}, []):
            yield name, _text(name, value)


def _text(name: str, value: Any) -> str:
    """A value as people read it: a conversation turn by turn, text as it is, else JSON."""
    if _is_conversation(value):
        turns = (f"{turn['role']}\n{turn.get('content', '')}{_calls(turn)}" for turn in value)
        return _shown("\n\n".join(turns))
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return _shown(value)
    try:
        return _shown(json.dumps(value, ensure_ascii=False, indent=2))
    except RecursionError:
        return "[nested too deep to be shown]"


def _is_conversation(value: Any) -> bool:
    """Whether these are messages; what tools and other people's traces hold may look alike."""
    return isinstance(value, list) and all(
        isinstance(turn, dict) and "role" in turn and _are_calls(turn.get("tool_calls"))
        for turn in value
    )


def _are_calls(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(call, dict) for call in value)
    )


def _calls(turn: dict[str, Any]) -> str:
    return "".join(
        f"\n→ {call.get('name')} {call.get('arguments')}" for call in turn.get("tool_calls") or ()
    )


def _shown(text: str) -> str:
    """Text with nothing hidden in it, cut at `LONGEST`."""
    plain = escaped(text[: LONGEST + 1])
    left = len(text) - LONGEST
    return f"{plain[:LONGEST]}\n[{left:,} characters left out]" if left > 0 else plain


def _lines(branches: Iterable[Branch], indent: str) -> Iterable[str]:
    for branch in branches:
        failed = f"  FAILED: {branch.error}" if branch.error else ""
        note = f"  {branch.note}" if branch.note else ""
        yield f"{indent}{branch.name} [{branch.kind}] {branch.seconds:.2f} s{note}{failed}"
        yield from _lines(branch.branches, indent + "  ")
