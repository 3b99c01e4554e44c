"""How many constrained tool calls of the smallest model parse and validate.

    .venv/bin/python benchmarks/tool_calls.py --runtime llama.cpp --calls 1000

Each of the 30 tools of tool_calls.json is asked for by its own task and by name, at
temperature 0.8, each call from another seed; the calls of one tool are drawn together. A call
counts when the answer holds that one call and nothing else, and its arguments satisfy the
schema as it was given, by `jsonschema` (Draft 2020-12, formats checked). An answer that ran into
max_tokens holds none. "Cut" are those valid calls in which a text without a `maxLength` of its own
was ended by the bound that it gets. What the grammar costs is measured apart: the tokens of
each tool's first answer run through it again, without a model.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import numpy as np

from workbench import backends
from workbench.backends.local import LocalBackend
from workbench.records import Completion, NamedTool, Sampling, Tool
from workbench.settings import Settings

TASKS = Path(__file__).with_name("tool_calls.json")


@dataclass(frozen=True)
class Task:
    """A tool, and what somebody would say who needs it."""

    tool: Tool
    request: str


def tasks() -> list[Task]:
    """The 30 tools, whose schemas use most of what JSON Schema has."""
    return [
        Task(Tool(t["name"], t["description"], t["parameters"]), t["task"])
        for t in json.loads(TASKS.read_text(encoding="utf-8"))
    ]


def ask(
    backend: backends.Backend, task: Task, n: int, *, seed: int = 0, max_tokens: int = 512
) -> list[Completion]:
    """n calls of the task's tool, each from a seed of its own."""
    return backend.sample(
        task.request,
        n,
        tools=[task.tool],
        tool_choice=NamedTool(task.tool.name),
        sampling=Sampling(temperature=0.8, max_tokens=max_tokens, seed=seed),
    )


def fault(answer: Completion, tool: Tool) -> str | None:
    """What is wrong with an answer that should be one valid call; None: nothing."""
    if [call.name for call in answer.tool_calls] != [tool.name] or answer.text:
        return f"not one call, ended by {answer.finish_reason}"
    try:
        jsonschema.validate(
            json.loads(answer.tool_calls[0].arguments),
            tool.parameters,
            cls=jsonschema.Draft202012Validator,
            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        )
    except ValueError:
        return "no JSON"
    except jsonschema.ValidationError as error:
        return f"invalid: {error.message[:80]}"
    return None


def grammar_seconds(backend: LocalBackend, task: Task, answer: Completion, longest: int) -> float:
    """What compiling the grammar and masking every token of an answer takes."""
    logits = np.zeros(backend.tokenizer.size, np.float32)
    grammars = backend.grammars
    begun = time.perf_counter()
    constraint = grammars.tools([task.tool], NamedTool(task.tool.name), longest=longest)
    for token in answer.token_ids:
        constraint.mask(logits)
        constraint.accept(token)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", default="llama.cpp", choices=sorted(backends.ENGINES))
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--max-tokens", type=int, default=512)
    options = parser.parse_args()
    todo = tasks()
    share, more = divmod(options.calls, len(todo))
    faults: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    seconds = grammar = 0.0
    tokens = longest = replayed = 0
    with backends.load(Settings.load(), name=options.runtime) as backend:
        assert isinstance(backend, LocalBackend)
        for at, task in enumerate(todo):
            begun = time.perf_counter()
            answers = ask(
                backend, task, share + (at < more), seed=at, max_tokens=options.max_tokens
            )
            seconds += time.perf_counter() - begun
            for answer in answers:
                wrong = fault(answer, task.tool)
                if wrong:
                    faults[f"{task.tool.name}: {wrong}"] += 1
                elif answer.finish_reason == "length":
                    cut[task.tool.name] += 1
                tokens += len(answer.token_ids)
                longest = max(longest, len(answer.token_ids))
            grammar += grammar_seconds(backend, task, answers[0], options.max_tokens)
            replayed += len(answers[0].token_ids)
            print(
                f"{task.tool.name}: {len(answers)} calls, {seconds:.0f} s in all, "
                f"{faults.total()} faults, {cut.total()} cut",
                flush=True,
            )
    valid = 100 * (options.calls - faults.total()) / options.calls
    print("| runtime | calls | valid | cut | tokens | longest | seconds | tokens/s | grammar |")
    print(
        f"| {options.runtime} | {options.calls} | {valid:.1f} % | {cut.total()} | {tokens} | "
        f"{longest} | {seconds:.0f} | {tokens / seconds:.1f} | {1e3 * grammar / replayed:.2f} |"
    )
    for what, times in (faults + cut).most_common():
        print(f"{times} x {what}")


if __name__ == "__main__":
    main()
