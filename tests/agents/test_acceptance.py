"""An agent of the embedded model reads a map and reports on it, in both runtimes alike."""

from __future__ import annotations

import json

import jsonschema
import pytest

from workbench import agents, backends, tools, tracing
from workbench.agents.agent import SYSTEM
from workbench.approval import Grants, Policy
from workbench.records import Sampling
from workbench.settings import Settings

pytestmark = pytest.mark.slow

NOTES = ("boost-control", "knock-and-fuel", "data-analysis", "units", "workshop-safety", "ab-tests")


@pytest.mark.parametrize("runtime", ["llama.cpp", "onnx"])
def test_anomalies_of_a_map_are_summarised(runtime, tmp_path):
    settings = Settings.load().with_(runtime_backend=runtime, n_ctx=8192)
    tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
    context = tools.Context(settings, tmp_path)
    calls = agents.Calls(
        tools.Registry(settings), Grants(tmp_path / "grants"), Policy(), context, tracer
    )
    handbook = settings.datasets / "knowledge" / "handbook"
    notes = "\n\n".join((handbook / f"{name}.md").read_text() for name in NOTES)
    with backends.load(settings, tracer=tracer) as backend:
        model = agents.BackendChat(backend=backend, sampling=Sampling.greedy(400))
        with agents.Agent(
            model,
            calls,
            tmp_path / "runs",
            tracer,
            tools=["get_map"],
            system=f"{SYSTEM}\n\n{notes}",
            plans=True,
            least_calls=1,
            answer=agents.map_report,
        ) as agent:
            agent.warm()
            run = agent.run("Summarize anomalies in boost_target map")
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
