"""Spans in the journal: what is recorded, how they nest, what survives."""

from __future__ import annotations

import contextvars
import json
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.errors import InputError, SettingsError
from workbench.records import Message, Usage
from workbench.settings import Settings
from workbench.tracing import Tracer, read


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, home=tmp_path / "home")


@pytest.fixture
def tracer(tmp_path: Path, settings: Settings) -> Tracer:
    return Tracer(tmp_path / "traces" / "spans.jsonl", settings, session="monday")


def test_a_model_call_is_recorded_whole(tracer):
    question = (Message("user", "Почему чайник шумит?"),)
    with tracer.span("generation", "chat", input=question, model="f" * 64) as span:
        span.finish(
            output="Bubbles.", usage=Usage(12, 5, cached_tokens=4), metadata={"seed": 7, "top": [1]}
        )

    (record,) = read(tracer.path)
    assert (record.id, record.trace_id, record.parent_id) == (span.id, span.trace_id, None)
    assert (record.kind, record.name, record.session) == ("generation", "chat", "monday")
    assert record.input[0]["role"] == "user"
    assert record.input[0]["content"] == "Почему чайник шумит?"
    assert record.output == "Bubbles."
    assert record.model == "f" * 64
    assert record.usage == Usage(12, 5, cached_tokens=4)
    assert record.metadata == {"seed": 7, "top": [1]}
    assert record.error is None
    assert record.started <= record.ended
    assert record.started.endswith("+00:00")
    assert 0 < record.seconds < 5


@pytest.mark.parametrize(
    "value",
    ["7", 7, 0.5, True, None, "null", '{"a": 1}', {"a": [None, "x"]}, [], "", "line\nbreak\r\x00"],
)
def test_values_come_back_as_they_were(tracer, value):
    with tracer.span("tool", "echo", input=value) as span:
        span.finish(output=value)
    (record,) = read(tracer.path)
    assert (record.input, record.output) == (value, value)
    assert type(record.output) is type(value)


def test_what_json_cannot_hold_is_recorded_as_text(tracer, tmp_path):
    with tracer.span("tool", "odd", input={"path": tmp_path, 1: 10**30, "cut": "a\ud83d"}) as span:
        span.finish(output=float("nan"))
    (record,) = read(tracer.path)
    assert record.input == {"path": str(tmp_path), "1": str(10**30), "cut": "a?"}
    assert record.output is None


def test_spans_nest_and_finish_inside_out(tracer):
    with tracer.span("agent", "answer") as agent:
        with tracer.span("retriever", "search") as search:
            pass
        with tracer.span("tool", "python") as tool, tracer.span("generation", "chat") as chat:
            pass
    with tracer.span("agent", "other") as other:
        pass

    parents = {r.id: r.parent_id for r in read(tracer.path)}
    assert parents == {
        search.id: agent.id,
        chat.id: tool.id,
        tool.id: agent.id,
        agent.id: None,
        other.id: None,
    }
    assert [r.name for r in read(tracer.path)] == ["search", "chat", "python", "answer", "other"]
    assert chat.trace_id == agent.trace_id != other.trace_id


def test_an_exception_marks_the_span_and_goes_on(tracer):
    with (
        pytest.raises(ZeroDivisionError),
        tracer.span("chain", "outer"),
        tracer.span("tool", "divide"),
    ):
        1 / 0  # noqa: B018

    inner, outer = read(tracer.path)
    assert inner.error == outer.error == "ZeroDivisionError: division by zero"


def test_a_failed_span_does_not_stay_the_parent(tracer):
    with pytest.raises(KeyError), tracer.span("tool", "broken"):
        raise KeyError("x")
    with tracer.span("tool", "next"):
        pass
    assert [r.parent_id for r in read(tracer.path)] == [None, None]


def test_the_first_end_counts(tracer):
    with tracer.span("tool", "once") as span:
        span.finish(output=1)
        span.finish(output=2)
        span.fail("too late")
    (record,) = read(tracer.path)
    assert (record.output, record.error) == (1, None)


def test_a_stream_may_be_traced_without_capturing_its_caller(tracer):
    def stream():
        span = tracer.start("generation", "stream")
        yield "a"
        span.finish(output="a")

    with tracer.span("chain", "outer") as outer:
        first, second = stream(), stream()
        next(first), next(second)
        with tracer.span("tool", "between"):
            pass
        for rest in (first, second):
            list(rest)
    parents = [(r.name, r.parent_id) for r in read(tracer.path)]
    assert parents == [
        ("between", outer.id),
        ("stream", outer.id),
        ("stream", outer.id),
        ("outer", None),
    ]


def test_a_seed_does_not_repeat_ids(tracer):
    ids = []
    for _ in range(2):
        random.seed(0)
        with tracer.span("chain", "seeded") as span:
            ids += [span.trace_id, span.id]
    assert len(set(ids)) == 4


def test_an_unknown_kind_is_refused(tracer):
    with pytest.raises(InputError, match="Use one of generation, tool"), tracer.span("llm", "x"):
        pass
    assert not tracer.path.exists()


def test_threads_write_whole_lines_and_start_their_own_traces(tracer):
    def work(i: int) -> None:
        with tracer.span("tool", f"t{i}", input="x" * 5000) as outer, tracer.span("tool", "child"):
            outer.finish(output=i)

    with tracer.span("chain", "main"), ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))

    records = read(tracer.path)
    assert len(records) == 81
    assert len({r.trace_id for r in records}) == 41
    outer = {r.id: r for r in records if r.name.startswith("t")}
    assert sorted(r.output for r in outer.values()) == list(range(40))
    children = [r for r in records if r.name == "child"]
    assert {r.parent_id for r in children} == set(outer)


def test_a_copied_context_carries_the_parent_into_a_thread(tracer):
    def work() -> None:
        with tracer.span("tool", "inside"):
            pass

    with tracer.span("chain", "main") as main, ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, work).result()
    assert [r.parent_id for r in read(tracer.path)] == [main.id, None]


def test_each_tracer_writes_to_its_own_journal(tmp_path, settings):
    one = Tracer(tmp_path / "one.jsonl", settings, "first")
    two = Tracer(tmp_path / "two.jsonl", settings)
    with one.span("chain", "a"), two.span("tool", "b"), one.span("tool", "c"):
        pass
    assert [(r.name, r.session) for r in read(one.path)] == [("c", "first"), ("a", "first")]
    assert [(r.name, r.session) for r in read(two.path)] == [("b", None)]


def test_a_span_of_another_library_under_ours_is_kept_too(tracer):
    """Langfuse's own SDK starts such spans on our provider, with these attributes."""
    foreign = tracer._provider.get_tracer("langfuse-sdk")
    with tracer.span("agent", "ours") as ours, foreign.start_as_current_span("theirs") as span:
        span.set_attributes(
            {
                "langfuse.observation.type": "embedding",
                "langfuse.observation.input": '["a"]',
                "langfuse.observation.output": "not JSON",
                "langfuse.observation.usage_details": '{"input": 3, "output": 1}',
                "langfuse.observation.metadata.step": '"one"',
            }
        )
    theirs = read(tracer.path)[0]
    assert (theirs.kind, theirs.parent_id, theirs.session) == ("embedding", ours.id, "monday")
    assert (theirs.input, theirs.output) == (["a"], "not JSON")
    assert (theirs.usage, theirs.metadata) == (Usage(3, 1), {"step": "one"})


def test_limits_of_the_environment_do_not_cut_spans(tmp_path):
    script = """
import sys
from pathlib import Path
from workbench.settings import Settings
from workbench.tracing import Tracer
tracer = Tracer(sys.argv[1], Settings(Path("."), Path(".")))
with tracer.span("tool", "long", input="x" * 5000) as span:
    span.finish(output="y" * 5000)
"""
    env = {
        **os.environ,
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "10",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1",
        "OTEL_TRACES_SAMPLER": "always_off",
    }
    path = tmp_path / "spans.jsonl"
    subprocess.run([sys.executable, "-c", script, str(path)], env=env, check=True)
    (record,) = read(path)
    assert (record.input, record.output) == ("x" * 5000, "y" * 5000)


def test_opentelemetry_switched_off_is_an_error_not_a_silence(tmp_path, settings, monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(SettingsError, match="Unset it"):
        Tracer(tmp_path / "spans.jsonl", settings)


def test_half_a_pair_of_keys_is_an_error(tmp_path, settings):
    with pytest.raises(SettingsError, match="LANGFUSE_SECRET_KEY is empty"):
        Tracer(tmp_path / "spans.jsonl", settings.with_(langfuse_public_key="pk"))


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path, settings):
    (tmp_path / "file").write_text("")
    tracer = Tracer(tmp_path / "file" / "spans.jsonl", settings)
    with pytest.raises(InputError, match="can't be written"), tracer.span("tool", "x"):
        pass


def test_no_acknowledged_span_is_lost_to_a_kill(tmp_path):
    """The child says a span's id once `finish` returned; it is killed while it goes on."""
    script = """
import sys
from pathlib import Path
from workbench.settings import Settings
from workbench.tracing import Tracer
tracer = Tracer(sys.argv[1], Settings(Path("."), Path(".")))
while True:
    with tracer.span("tool", "step", input="x" * 20_000) as span:
        span.finish(output="done")
        print(span.id, flush=True)
"""
    path = tmp_path / "spans.jsonl"
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        )
        acknowledged = [child.stdout.readline().strip() for _ in range(25)]
        os.kill(child.pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
        child.wait()
        child.stdout.close()
        assert all(acknowledged)
        assert set(acknowledged) <= {record.id for record in read(path)}


def test_a_torn_last_line_is_passed_over_and_a_broken_one_is_named(tracer):
    for name in ("a", "b"):
        with tracer.span("tool", name):
            pass
    with open(tracer.path, "a") as file:
        file.write('{"id": "tor')
    assert [r.name for r in read(tracer.path)] == ["a", "b"]

    lines = tracer.path.read_text().splitlines()
    lines[1] = json.dumps({"id": "x"})
    tracer.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"spans.jsonl, line 2 is not a SpanRecord"):
        read(tracer.path)


def test_a_missing_journal_is_an_error(tmp_path):
    with pytest.raises(InputError, match="There are no spans"):
        read(tmp_path / "none.jsonl")
