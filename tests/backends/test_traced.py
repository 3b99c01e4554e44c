"""Every call of a traced backend is a span that says what was asked and answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import backends, tracing
from workbench.errors import BackendError
from workbench.records import NamedTool, Sampling, Tool
from workbench.settings import Settings

GREEDY = Sampling.greedy(6)


@pytest.fixture
def traced(tmp_path: Path, home: Path, tiny_llama: Path):
    settings = Settings(root=tmp_path, home=home, model_path=str(tiny_llama), n_threads=1)
    tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
    with backends.load(settings, name="llama.cpp", tracer=tracer) as backend:
        yield backend


def spans(backend):
    return tracing.read(backend.tracer.path)


def test_a_completion_carries_its_trace(traced):
    answer = traced.complete("Hello", sampling=GREEDY)
    [span] = spans(traced)
    assert (span.kind, span.name, span.trace_id) == ("generation", "complete", answer.trace_id)
    assert span.input == [
        {"role": "user", "content": "Hello", "tool_calls": [], "tool_call_id": None}
    ]
    assert span.output == answer.text
    assert span.usage == answer.usage
    assert span.metadata["sampling"]["max_tokens"] == 6
    assert span.metadata["model"] == traced.model


def test_candidates_share_one_span(traced):
    answers = traced.sample("Hello", 3, sampling=Sampling(max_tokens=5, seed=1))
    [span] = spans(traced)
    assert {a.trace_id for a in answers} == {span.trace_id}
    assert span.output == [a.text for a in answers]
    assert span.usage.completion_tokens == sum(a.usage.completion_tokens for a in answers)
    assert span.metadata["completions"] == [a.id for a in answers]


def test_a_stream_is_one_span_that_ends_with_it(traced):
    deltas = list(traced.chat("Hello", sampling=GREEDY))
    [span] = spans(traced)
    assert span.output == "".join(d.text for d in deltas)
    assert span.usage == deltas[-1].usage
    assert span.metadata["finish_reason"] == deltas[-1].finish_reason


def test_a_stream_that_is_broken_off_keeps_what_was_said(traced):
    stream = traced.chat("Hello", sampling=GREEDY)
    said = next(stream).text
    stream.close()
    [span] = spans(traced)
    assert span.metadata["finish_reason"] == "cancelled"
    assert span.output == said
    assert span.error is None


def test_which_tools_are_refused_leaves_no_span(traced):
    broken = Tool("broken", "", {"properties": {"x": {"not": {}}}})
    assert set(traced.refused([broken, Tool("fine", "", {})])) == {"broken"}
    assert not traced.tracer.path.exists()


def test_a_failure_is_a_failed_span(traced):
    with pytest.raises(BackendError):
        traced.complete("Hello", adapter="missing")
    [span] = spans(traced)
    assert "missing" in span.error


def test_a_score_is_a_span(traced):
    score = traced.score("Hello", " there")
    [span] = spans(traced)
    assert span.output["total"] == pytest.approx(score.total)


def test_a_span_says_which_tools_were_offered(traced):
    tool = Tool("stop", "Stop.", {"type": "object", "properties": {}})
    choice = NamedTool("stop")
    traced.complete("Hello", tools=[tool], tool_choice=choice, sampling=GREEDY)
    list(traced.chat("Hello", tools=[tool], tool_choice="none", sampling=GREEDY))
    called, told = spans(traced)
    assert called.metadata["tools"] == told.metadata["tools"] == ["stop"]
    assert called.metadata["tool_choice"] == {"name": "stop"}
    assert told.metadata["tool_choice"] == "none"
