"""A trace as people look at it: whole, in order, and inert."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from hostile import PAYLOADS

from workbench import trace_view
from workbench.errors import InputError
from workbench.records import Usage
from workbench.tracing import SpanRecord

TRACE = "a" * 32


def span(id: str, parent: str | None, name: str, at: float, seconds: float, **more) -> SpanRecord:
    def moment(second: float) -> str:
        return f"2026-01-01T00:00:{second:09.6f}+00:00"

    fields = {
        "kind": "chain",
        "session": None,
        "input": None,
        "output": None,
        "model": None,
        "usage": None,
        "error": None,
        "metadata": {},
        **more,
    }
    return SpanRecord(
        id=id,
        trace_id=TRACE,
        parent_id=parent,
        name=name,
        started=moment(at),
        ended=moment(at + seconds),
        seconds=seconds,
        **fields,
    )


SPANS = [
    span("3", "1", "look", 2, 1, kind="tool", input='{"key": "a"}', error="It is gone"),
    span("2", "1", "model", 0, 2, kind="generation", usage=Usage(100, 5, 60)),
    span("1", None, "agent", 0, 4, kind="agent", output="Done."),
    span("9", "killed", "later", 3, 1),
]


def test_spans_are_a_tree_in_the_order_of_time():
    agent, later = trace_view.tree(SPANS)
    assert [branch.name for branch in agent.branches] == ["model", "look"]
    assert later.name == "later"  # its parent's process was killed
    look = agent.branches[1]
    assert (look.left, look.width, look.error) == (50.0, 25.0, "It is gone")
    assert agent.branches[0].note == "100 (60 cached) → 5 tokens"


def test_in_text_it_is_an_indented_list():
    assert repr(trace_view.TraceView(SPANS)).splitlines()[:3] == [
        "agent [agent] 4.00 s",
        "  model [generation] 2.00 s  100 (60 cached) → 5 tokens",
        "  look [tool] 1.00 s  FAILED: It is gone",
    ]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_hostile_text_is_shown_not_run(payload):
    hostile = {"input": payload, "output": {payload: payload}, "name": payload, "error": payload}
    page = trace_view.html([replace(SPANS[0], **hostile, kind=payload)])
    soup = BeautifulSoup(page, "html.parser")
    assert soup.find(["script", "iframe", "link", "img", "svg", "object", "form"]) is None
    known = {"class", "style", "open", "data-kind"}
    assert {name for tag in soup.find_all(True) for name in tag.attrs} <= known
    assert len(soup.find_all("style")) == 1


def test_nothing_hides_in_a_text_and_a_cut_is_stated():
    page = trace_view.html([replace(SPANS[0], input="a\u202eb\x1b\u3164\U000e0041" + "x" * 5000)])
    assert "a\\u202eb\\u001b\\u3164\\udb40\\udc41x" in page
    assert "characters left out]" in page


def test_a_trace_without_spans_is_a_clear_error():
    with pytest.raises(InputError, match="No span of the trace b"):
        trace_view.show(SPANS, "b")


@pytest.mark.parametrize(
    "value",
    [
        [{"role": "user", "content": "hi", "tool_calls": calls}]
        for calls in ([1], {"name": "x"}, "x", 7, [None])
    ],
)
def test_what_only_looks_like_messages_is_shown_as_it_is(value):
    page = trace_view.html([replace(SPANS[0], output=value)])
    shown = [part.text for part in BeautifulSoup(page, "html.parser").find_all("pre")]
    assert json.dumps(value, indent=2) in shown


def test_what_is_nested_without_end_says_so():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deep" in trace_view.html([replace(SPANS[0], output=deep)])
