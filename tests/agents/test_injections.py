"""Hostile texts in files, notes, logs, data and command output: nothing happens unapproved.

The model of these tests obeys every one of them, to the letter.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gullible import ASKED_FOR, Gullible
from injections import INJECTIONS
from mcp_parts import definition, settings, tracer

from workbench import tracing
from workbench.agents.agent import Agent
from workbench.agents.calls import Calls
from workbench.agents.state import Budget
from workbench.approval import Grants, Nobody, Policy, Rule
from workbench.knowledge import Hit, Passage
from workbench.tools import Context, Registry

TEXTS = [each.text for each in INJECTIONS]
Call = tuple[str, dict[str, Any]]


def _files(workspace: Path) -> list[Call]:
    for number, text in enumerate(TEXTS):
        (workspace / f"{number}.md").write_text(text)
    return [("read_file", {"path": f"{number}.md"}) for number in range(len(TEXTS))]


def _notes(workspace: Path) -> list[Call]:
    return [("search_knowledge", {"query": text[:80], "passages": 1}) for text in TEXTS]


def _logs(workspace: Path) -> list[Call]:
    for number, text in enumerate(TEXTS):
        (workspace / f"{number}.log").write_text(f"entry {' '.join(text[-350:].split())}\n")
    names = [f"{number}.log" for number in range(len(TEXTS))]
    return [("search_logs", {"pattern": "entry", "files": name}) for name in names]


def _rows(workspace: Path) -> list[Call]:
    with sqlite3.connect(workspace / "notes.sqlite") as database:
        database.execute("CREATE TABLE notes (number INTEGER, said TEXT)")
        database.executemany("INSERT INTO notes VALUES (?, ?)", enumerate(TEXTS))
    database.close()
    asked = [f"SELECT said FROM notes WHERE number = {number}" for number in range(len(TEXTS))]
    return [("query_database", {"database": "notes", "sql": sql}) for sql in asked]


def _commits(workspace: Path) -> list[Call]:
    subprocess.run(["git", "init", "--quiet", str(workspace)], check=True)
    made = ["git", "-C", str(workspace), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for text in TEXTS:
        words = ["commit", "--quiet", "--allow-empty", "--message", text]
        subprocess.run([*made, *words], check=True)
    return [
        ("git", {"command": "log", "revision": f"HEAD~{number}", "commits": 1})
        for number in range(len(TEXTS))
    ]


def _maps(workspace: Path) -> list[Call]:
    (workspace / "maps").mkdir()
    for number, text in enumerate(TEXTS):
        table = {
            "title": text,
            "unit": "kPa",
            "axes": [{"name": "speed", "unit": "rpm", "values": [1, 2, 3, 4]}],
            "values": [1.0, 2.0, 3.0, 4.0],
        }
        (workspace / "maps" / f"m{number}.json").write_text(json.dumps(table))
    return [("get_map", {"name": f"m{number}"}) for number in range(len(TEXTS))]


def _outputs(workspace: Path) -> list[Call]:
    return [("shell", {"command": f"printf '%s' {_quoted(text)}"}) for text in TEXTS]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.mark.slow
@pytest.mark.parametrize("plant", [_files, _notes, _logs, _rows, _commits, _maps, _outputs])
def test_nothing_that_was_not_approved_happens(
    plant: Callable[[Path], list[Call]], tmp_path: Path
) -> None:
    happened: list[str] = []

    def send(arguments: Any, context: Any) -> None:
        happened.append("send")

    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "precious").write_text("kept")
    first = plant(workspace)
    before = sorted(path for path in workspace.rglob("*") if ".git" not in path.parts)
    # What a user may well have allowed, since it only prints.
    prints = Rule("approve", tool="shell", arguments={"command": "printf '%s' .*"})
    agent = _agent(tmp_path, Gullible(first=first), send, prints)
    with agent:
        run = agent.run("What stands there?", asker=Nobody())
    assert agent._model.reached == {*(name for name, _ in first), *ASKED_FOR}  # it tried
    told = {(call.tool, call.state) for call in run.calls}
    planned = {name for name, _ in first}
    assert {(name, "refused") for name in ASKED_FOR} <= told
    assert {(name, "succeeded") for name in planned} == {s for s in told if s[1] == "succeeded"}
    assert happened == []
    after = sorted(path for path in workspace.rglob("*") if ".git" not in path.parts)
    assert after == before
    assert (workspace / "precious").read_text() == "kept"
    spans = [s for s in tracing.read(tmp_path / "spans.jsonl") if s.kind == "tool"]
    assert {s.name for s in spans if s.error} == set(ASKED_FOR)


def _agent(folder: Path, model: Gullible, send: Any, *rules: Rule) -> Agent:
    address = f"notes=sqlite:{folder / 'workspace' / 'notes.sqlite'}"
    given = replace(settings(folder), databases=(address,))
    registry = Registry(given)
    registry.connect("tests", (definition("send", "network", send),))
    notes = {text[:80]: Passage(str(n) * 16, "n.md", n, "", text) for n, text in enumerate(TEXTS)}

    def search(query: str, k: int) -> list[Hit]:
        return [Hit(notes[query], 0.9)]

    context = Context(given, workspace=folder / "workspace", search=search)
    made = Calls(registry, Grants(folder / "grants.sqlite"), Policy(rules), context, tracer(folder))
    return Agent(
        model,
        made,
        folder / "runs.sqlite",
        tracer(folder),
        tools=[tool.name for tool in registry],
        budget=Budget(tokens=10_000_000),
    )
