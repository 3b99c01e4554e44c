"""An agent of the embedded model reads a map and reports on it, in both runtimes alike."""

from __future__ import annotations

import json

import benchmark_files
import jsonschema
import pytest

from workbench import agents, backends, tracing
from workbench.settings import Settings

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("runtime", ["llama.cpp", "onnx"])
def test_anomalies_of_a_map_are_summarised(runtime, tmp_path):
    benchmark = benchmark_files.module("agent")
    settings = Settings.load().with_(runtime_backend=runtime, n_ctx=8192)
    tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
    with (
        backends.load(settings, tracer=tracer) as backend,
        benchmark.reporter(settings, tmp_path, tracer, backend) as agent,
    ):
        agent.warm()
        run = agent.run(benchmark.TASK)
    assert (run.finish, [c.tool for c in run.calls]) == ("answered", ["get_map"])
    assert [c.state for c in run.calls] == ["succeeded"]
    spans = [s for s in tracing.read(tmp_path / "spans.jsonl") if s.trace_id == run.trace_id]
    prompts = [s.usage.prompt_tokens for s in spans if s.kind == "generation" and s.usage]
    assert all(2_000 <= tokens <= 4_000 for tokens in prompts), prompts
    [found] = [s.output for s in spans if s.kind == "tool"]
    assert found["anomalies"]
    jsonschema.validate(run.data, agents.map_report([json.dumps(found)]))
    where = [(c["kind"], c["at"], c["value"]) for c in run.data["changes"]]
    assert where == [(a["kind"], a["at"], a["value"]) for a in found["anomalies"]]
    assert all(found["low"] <= c["suggested"] <= found["high"] for c in run.data["changes"])
    assert run.data["summary"].strip()
    assert run.data["next_action"].strip()
