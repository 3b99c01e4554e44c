"""Notebooks with agents keep the project's rules, and offer the tools of its servers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from agent_parts import Scripted, calling
from debate_parts import Speaker, decision
from mcp_parts import HOSTILE

from workbench import agents, tracing
from workbench.agents.calls import Calls, Told
from workbench.consilium.roles import ROLES
from workbench.errors import BackendError
from workbench.records import ToolCall
from workbench.session import Session
from workbench.settings import Settings

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LOCAL = {"command": sys.executable, "args": ["-S", "-E", str(HOSTILE), "well"]}
BACKEND = SimpleNamespace(model="f" * 64, close=lambda: None)
RULES = 'rules: [{tool: "*", decide: reject, reason: not in this project}]'


def cells(name: str) -> list[str]:
    """The sources of a notebook's code cells: parameters, imports, and so on."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def begun(folder: Path, sources: list[str]) -> dict[str, Any]:
    """What a notebook knows when its session has begun, in a project of its own, no model."""
    names: dict[str, Any] = {}
    imports, _, _ = sources[1].partition("session = ")
    exec(sources[0] + "\n" + imports, names)
    settings = Settings(root=folder, home=folder / "home")
    names |= {
        "settings": settings,
        "session": Session("test", "first", 0, settings),
        "tracer": tracing.Tracer(folder / "spans.jsonl", settings),
        "backends": SimpleNamespace(load=lambda *given, **more: None),
    }
    return names


def reads(calls: Calls) -> Told:
    told = calls.make(ToolCall("c", "list_files", "{}"), run="r", step=0)
    assert isinstance(told, Told)
    return told


def test_roles_keep_the_rules_of_the_project(tmp_path: Path) -> None:
    sources = cells("14-consilium")
    making, _, _ = next(each for each in sources if "def calls" in each).partition("consilium = ")
    for rules, state in ((None, "succeeded"), (RULES, "refused")):
        folder = tmp_path / state
        folder.mkdir()
        if rules:
            (folder / "approval.yaml").write_text(rules)
        names = begun(folder, sources) | {
            "embedder": None,
            "RoleKnowledge": lambda *given, **more: SimpleNamespace(searcher=lambda role: None),
        }
        exec(making, names)
        told = reads(names["calls"](ROLES["dev"]))
        assert told.state == state, told.text
        assert ("not in this project" in told.text) == bool(rules)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_is_needed_alone_debates_with_another(tmp_path: Path, role: str) -> None:
    sources = cells("14-consilium")
    for named, proposed in ((role, "dev"), ("", role)):
        names = begun(tmp_path, sources) | {
            "roles": named,
            "proposed": SimpleNamespace(roles=(proposed,)),
            "table": lambda head, rows: list(rows),
        }
        exec(next(each for each in sources if "chosen =" in each), names)
        first, other = names["chosen"]
        assert first == role != other
        assert other in ROLES


def test_a_debate_that_broke_off_goes_on_in_the_same_cell(tmp_path: Path, capsys: Any) -> None:
    sources = cells("14-consilium")
    model = Speaker(replies={"director decides": [BackendError("It broke", "Mend it"), decision()]})
    documents = SimpleNamespace(search=lambda *given: (), close=lambda: None)
    names = begun(tmp_path, sources) | {
        "backends": SimpleNamespace(load=lambda *given, **more: BACKEND),
        "embedder": None,
        "RoleKnowledge": lambda *given, **more: documents,
        "BackendChat": lambda **given: model,
        "chosen": ("dev", "qa"),
    }
    debating = next(each for each in sources if "def calls" in each)
    with pytest.raises(BackendError):
        exec(debating, names)
    exec(debating, names)
    assert len(model.asked) == 6
    exec(debating, names)
    assert len(model.asked) == 6
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"debate {names['debate'].id}"
    assert len({line for line in printed if line.startswith("debate")}) == 1


def test_another_director_in_the_cloud_is_another_debate(tmp_path: Path) -> None:
    sources = cells("14-consilium")
    debating = next(each for each in sources if "served = " in each)
    naming = debating[debating.index("served = ") : debating.index("print(")]
    named = []
    for director, model in (("cloud", "a"), ("cloud", "b"), ("local", "a"), ("local", "b")):
        names = begun(tmp_path, sources) | {
            "settings": Settings(tmp_path, tmp_path / "home", director_model=model),
            "director": director,
            "chosen": ("dev", "qa"),
            "backend": BACKEND,
        }
        exec(naming, names)
        named.append(names["name"])
    cloud, other, local, same = named
    assert len({cloud, other, local}) == 3
    assert local == same


def test_an_agent_that_broke_off_goes_on_in_the_same_cell(tmp_path: Path, monkeypatch: Any) -> None:
    sources = cells("08-agent")
    (tmp_path / "approval.yaml").write_text('rules: [{tool: "*", decide: approve}]')
    plan = json.dumps({"steps": [{"tool": "write_file", "why": "so"}]})
    one, other = (
        [plan, calling(("write_file", {"path": f"{name}.txt", "content": name}))] for name in "ab"
    )
    model = Scripted(script=["Warm.", *one, "Done.", *other, BackendError("It broke", "Mend it")])
    monkeypatch.setattr(agents, "BackendChat", lambda **given: model)
    names = begun(tmp_path, sources) | {
        "backends": SimpleNamespace(load=lambda *given, **more: BACKEND),
        "table": lambda head, rows: list(rows),
        "tools_offered": "write_file",
    }
    exec(sources[2], names)
    exec(sources[3], names)
    with pytest.raises(BackendError):
        exec(sources[4], names)
    for script in (["Warm.", "Done too."], ["Warm."]):
        model.script = script
        exec(sources[4], names)
        made = [(run.answer, [call.state for call in run.calls]) for run in names["runs"]]
        assert made == [("Done.", ["succeeded"]), ("Done too.", ["succeeded"])]
    names["servers"].close()


@pytest.mark.parametrize("documents", [True, False])
def test_documents_are_searched_where_there_are_any(tmp_path: Path, documents: bool) -> None:
    sources = cells("08-agent")
    if documents:
        (tmp_path / "datasets" / "knowledge").mkdir(parents=True)
        (tmp_path / "datasets" / "knowledge" / "oil.md").write_text("Oil is changed each year.")
    names = begun(tmp_path, sources) | {"table": lambda head, rows: list(rows)}
    exec(sources[2], names)
    exec(sources[3], names)
    names["servers"].close()
    assert ("search_knowledge" in names["registry"]) == documents
    assert (names["search"] is not None) == documents


def test_servers_of_the_project_offer_their_tools_until_the_end(tmp_path: Path) -> None:
    sources = cells("08-agent")
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"theirs": LOCAL}}))
    names = begun(tmp_path, sources) | {"table": lambda head, rows: list(rows)}
    exec(sources[2], names)
    try:
        assert "theirs__echo" in names["registry"]
        assert names["registry"].get("theirs__echo").risk == "execute"
        exec(sources[3], names)
        asked = names["calls"].make(ToolCall("c", "theirs__echo", "{}"), run="r", step=0)
        assert asked.risk == "execute"
    finally:
        ending, _, _ = sources[-1].partition("assert")
        exec(ending, names | {"backend": SimpleNamespace(close=lambda: None)})
    assert "theirs__echo" not in names["registry"]


def test_a_project_without_servers_has_an_agent(tmp_path: Path) -> None:
    sources = cells("08-agent")
    names = begun(tmp_path, sources) | {"table": lambda head, rows: list(rows)}
    exec(sources[2], names)
    assert names["servers"].list() == ()
    assert not (tmp_path / "mcp.lock.json").exists()
    names["servers"].close()
