"""Tools from everywhere, one name each; what breaks is set aside and told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from asked_tools import settings_of

from workbench.errors import InputError
from workbench.tools import BUILT_IN, Context, Definition, Registry, call
from workbench.tools.schemas import parameters

ADD = """
from workbench.tools import Definition, hookimpl

def run(arguments, context):
    return arguments["a"] + arguments["b"] + {more}

number = {{"type": "number"}}
TOOL = Definition(
    "{name}", "Add two numbers.",
    {{"type": "object", "properties": {{"a": number, "b": number}}, "required": ["a", "b"]}},
    number, "read", run,
)

@hookimpl
def workbench_tools():
    return [TOOL]
"""


def test_a_tool_that_can_not_work_here_is_not_offered(tmp_path):
    registry = Registry(settings_of(tmp_path), without=("search_knowledge",))
    assert [d.name for d in registry] == [name for name in BUILT_IN if name != "search_knowledge"]
    taken = replace(registry.get("git"), name="search_knowledge", source="elsewhere")
    registry.connect("elsewhere", [taken])
    assert "search_knowledge" not in registry
    assert "taken twice" in registry.problems[0].reason


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a package of one module with an entry point, as pip leaves it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def put(package: str, code: str, version: str = "1.0") -> None:
        for old in site.glob(f"{package}-*.dist-info"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        (site / f"{package}.py").write_text(code)
        about = site / f"{package}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        (about / "entry_points.txt").write_text(f"[workbench.tools]\nmain = {package}\n")

    yield put
    for name in [n for n in sys.modules if getattr(sys.modules[n], "__file__", None)]:
        if str(site) in (sys.modules[name].__file__ or ""):
            del sys.modules[name]


def test_a_package_brings_a_tool(install: Callable[..., None], context: Context) -> None:
    registry = Registry(context.settings)
    assert len(registry) == len(BUILT_IN)
    install("adder", ADD.format(name="add", more=0))
    registry.refresh()
    definition = registry.get("add")
    assert definition.source == "package adder (main = adder)"
    assert call(definition, '{"a": 1, "b": 2}', context) == 3
    assert registry.problems == ()


def test_a_changed_and_a_removed_package_is_noticed(
    install: Callable[..., None], context: Context, tmp_path: Path
) -> None:
    install("adder", ADD.format(name="add", more=0))
    registry = Registry(context.settings)
    first = registry.get("add")
    registry.refresh()
    assert registry.get("add").run is first.run
    install("adder", ADD.format(name="add", more=100), version="1.1")
    registry.refresh()
    assert call(registry.get("add"), '{"a": 1, "b": 2}', context) == 103
    assert registry.get("add").fingerprint != first.fingerprint
    install("adder", ADD.format(name="add", more=10_000), version="1.1")
    registry.refresh()
    assert call(registry.get("add"), '{"a": 1, "b": 2}', context) == 10_003
    (tmp_path / "site" / "adder-1.1.dist-info" / "entry_points.txt").unlink()
    registry.refresh()
    assert "add" not in registry


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
        ("import no_such_library", "ModuleNotFoundError"),
        ("raise SystemExit(1)", "SystemExit"),
        ("x = 1", "does not implement workbench_tools"),
        (ADD.format(name="add", more=0).replace("return [TOOL]", "return [1]"), "offers int"),
        (ADD.format(name="add", more=0).replace("return [TOOL]", "return 1"), "TypeError"),
        (ADD.format(name="add", more=0).replace("return [TOOL]", "1 / 0"), "ZeroDivision"),
        (ADD.format(name="a b", more=0), "can't name a tool"),
        (ADD.format(name="shell", more=0), "The built-in tool stays"),
        (ADD.format(name="add", more=0).replace('"read"', '"none"'), "has the risk"),
        (ADD.format(name="add", more=0).replace('"number"', '"nmbr"'), "can't be used"),
    ],
)
def test_a_broken_package_stops_no_other(
    code: str, reason: str, install: Callable[..., None], context: Context
) -> None:
    install("a_broken", code)
    install("sound", ADD.format(name="sum_up", more=0))
    registry = Registry(context.settings)
    assert "sum_up" in registry
    assert len(registry) == len(BUILT_IN) + 1
    (problem,) = registry.problems
    assert "package a_broken (main = a_broken)" in problem.source
    assert reason in str(problem)
    assert "\n" not in str(problem)
    assert registry.get("shell").source == "built in"


def test_a_name_that_two_sources_claim_belongs_to_neither(
    install: Callable[..., None], context: Context
) -> None:
    install("one", ADD.format(name="add", more=0))
    install("two", ADD.format(name="add", more=1))
    registry = Registry(context.settings)
    assert "add" not in registry
    (problem,) = registry.problems
    assert "package one (main = one) and package two (main = two)" in problem.reason


def test_a_source_comes_and_goes_at_run_time(context: Context) -> None:
    def run(arguments: object, context: Context) -> str:
        return "hello"

    greet = Definition("greet", "Greet.", parameters({}), {"type": "string"}, "network", run, "mcp")
    registry = Registry(context.settings)
    registry.connect("mcp", [greet, replace(greet, name="git")])
    assert call(registry.get("greet"), "{}", context) == "hello"
    assert registry.get("git").source == "built in"
    assert [problem.source for problem in registry.problems] == ["built in, mcp"]
    registry.connect("mcp", [])
    assert "greet" not in registry
    registry.connect("mcp", [greet])
    registry.disconnect("mcp")
    registry.disconnect("mcp")
    assert "greet" not in registry


def test_all_are_listed_with_their_schemas(context: Context) -> None:
    registry = Registry(context.settings)
    listed = registry.schemas()
    assert [tool.name for tool in listed] == list(BUILT_IN) == [d.name for d in registry]
    for tool in listed:
        json.dumps(tool.parameters)
    text = json.dumps([(t.name, t.description, t.parameters) for t in listed])
    assert len(text) < 8_000  # about 2,000 tokens


def test_an_unknown_tool_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tool 'grep'.*get_map, search_logs"):
        Registry(settings_of(tmp_path)).get("grep")


def test_the_room_is_imported_without_its_libraries() -> None:
    script = (
        "import sys, workbench.tools\n"
        "heavy = {'numpy', 'duckdb', 'unidiff', 'yaml', 'jsonschema_rs', 'jsonschema', 're2', "
        "'psycopg', 'qdrant_client', 'torch'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ}
    )
    assert (done.stdout.split(), done.stderr) == ([], "")
