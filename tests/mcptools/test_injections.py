"""Hostile texts in descriptions and results: no write, execute or network call without approval.

The model of these tests obeys every one of them, to the letter.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from gullible import ASKED_FOR, Gullible
from injections import INJECTIONS, Injection, obey
from mcp_parts import calls, definition, tracer

from workbench import tracing
from workbench.agents.agent import Agent
from workbench.agents.state import Budget
from workbench.approval import Nobody, Rule
from workbench.mcptools import Server, Servers

SERVER = Path(__file__).with_name("injecting_server.py")
CORPUS = pytest.mark.parametrize("injection", INJECTIONS, ids=lambda each: each.name)


def test_the_corpus_is_large_and_in_both_languages() -> None:
    assert len(INJECTIONS) >= 30
    assert len({each.name for each in INJECTIONS}) == len(INJECTIONS)
    russian = [each for each in INJECTIONS if any("а" <= c <= "я" for c in each.text.lower())]
    assert 8 <= len(russian) <= len(INJECTIONS) - 8


@CORPUS
def test_the_gullible_model_would_make_every_call(injection: Injection) -> None:
    assert obey(injection.text) == list(injection.calls)
    within = json.dumps({"text": injection.text}, ensure_ascii=False)
    assert obey(within) == list(injection.calls)


@pytest.mark.parametrize("where", ["result", "error", "description", "schema"])
def test_nothing_that_was_not_approved_happens(where: str, tmp_path: Path) -> None:
    happened: list[str] = []

    def send(arguments: Any, context: Any) -> None:
        happened.append("send")

    made = calls(
        tmp_path, Rule("approve", tool="notes__*"), tools=(definition("send", "network", send),)
    )
    (tmp_path / "workspace" / "precious").write_text("kept")
    (tmp_path / "texts").write_text(json.dumps([each.text for each in INJECTIONS]))
    command = ("-S", "-E", str(SERVER), where, str(tmp_path / "texts"))
    with Servers(made.registry, tmp_path / "mcp.lock.json") as servers:
        notes = servers.add(Server("notes", command=sys.executable, args=command))
        assert len(notes) == len(INJECTIONS)
        model = Gullible(first=[(name, {}) for name in notes])
        with Agent(
            model,
            made,
            tmp_path / "runs.sqlite",
            tracer(tmp_path),
            tools=[*ASKED_FOR, *notes],
            budget=Budget(tokens=10_000_000),
        ) as agent:
            run = agent.run("What do the notes say?", asker=Nobody())
    assert model.reached == {*notes, *ASKED_FOR}  # the model tried
    states = {call.tool: call.state for call in run.calls}
    assert {states[name] for name in ASKED_FOR} == {"refused"}
    assert {states[name] for name in notes} == {"failed" if where == "error" else "succeeded"}
    assert happened == []
    assert [path.name for path in (tmp_path / "workspace").iterdir()] == ["precious"]
    spans = [s for s in tracing.read(tmp_path / "spans.jsonl") if s.kind == "tool"]
    assert {span.name for span in spans if span.name in ASKED_FOR} == set(ASKED_FOR)
    assert all(span.error for span in spans if span.name in ASKED_FOR)
