"""What an agent's loop costs beside its model: the summary of a map, asked for again and again.

    .venv/bin/python benchmarks/agent.py --runtime llama.cpp --rounds 5

The agent plans, calls `get_map` for the sample map and answers in the form made from what the
tool found; six documents of the handbook stand in its system message, so that every prompt has
2,000 to 4,000 tokens. A step is one model call or one tool call. Its overhead is the time of the
run outside the model's spans (rendering, sampling and the grammar are inside): graph, check-
points, approval, the tool itself, validation and tracing. The first run comes right after
`Agent.warm`; its overhead shows what warming up leaves.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from workbench import agents, backends, tools, tracing
from workbench.agents.agent import SYSTEM
from workbench.approval import Grants, Policy
from workbench.records import Sampling
from workbench.settings import Settings

TASK = "Summarize anomalies in boost_target map"
NOTES = ("boost-control", "knock-and-fuel", "data-analysis", "units", "workshop-safety", "ab-tests")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default="llama.cpp", choices=["llama.cpp", "onnx", "torch"])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    settings = Settings.load().with_(runtime_backend=asked.runtime, n_ctx=8192)
    with tempfile.TemporaryDirectory() as place:
        measure(settings, Path(place), asked.rounds)


def reporter(
    settings: Settings, folder: Path, tracer: tracing.Tracer, backend: backends.Backend
) -> agents.Agent:
    """The agent that reports on a map; its runs are kept in `folder`."""
    context = tools.Context(settings, folder)
    calls = agents.Calls(
        tools.Registry(settings), Grants(folder / "grants"), Policy(), context, tracer
    )
    handbook = settings.datasets / "knowledge" / "handbook"
    notes = "\n\n".join((handbook / f"{name}.md").read_text() for name in NOTES)
    return agents.Agent(
        agents.BackendChat(backend=backend, sampling=Sampling.greedy(400)),
        calls,
        folder / "runs",
        tracer,
        tools=["get_map"],
        system=f"{SYSTEM}\n\n{notes}",
        plans=True,
        least_calls=1,
        answer=agents.map_report,
    )


def measure(settings: Settings, folder: Path, rounds: int) -> None:
    """Run the task `rounds` times and print a row for each."""
    print("| run | calls | prompt tokens | model, s | overhead, ms a step |\n|---|---|---|---|---|")
    overheads = []
    tracer = tracing.Tracer(folder / "spans.jsonl", settings)
    with (
        backends.load(settings, tracer=tracer) as backend,
        reporter(settings, folder, tracer, backend) as agent,
    ):
        agent.warm()
        for number in range(1, rounds + 1):
            run = agent.run(TASK)
            spans = [s for s in tracing.read(folder / "spans.jsonl") if s.trace_id == run.trace_id]
            models = [span for span in spans if span.kind == "generation"]
            prompts = [span.usage.prompt_tokens for span in models if span.usage]
            seconds = sum(span.seconds for span in models)
            whole = max(span.seconds for span in spans if span.kind == "agent")
            overheads.append(1000 * (whole - seconds) / (run.steps + len(run.calls)))
            made = ", ".join(f"{call.tool} {call.state}" for call in run.calls)
            print(
                f"| {number} | {made}; {run.finish} | {min(prompts)} to {max(prompts)} | "
                f"{seconds:.1f} | {overheads[-1]:.1f} |",
                flush=True,
            )
    print(f"\nmedian overhead {statistics.median(overheads):.1f} ms a step; the last answer:")
    print(run.answer)


if __name__ == "__main__":
    main()
