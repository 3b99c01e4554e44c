"""YAML manifests: a command line without a shell, found again when it changes."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from asked_tools import INJECTION, ask, refused
from examples import STRANGE_TEXTS

from workbench.tools import Context, Registry, call

SAY: dict[str, Any] = {
    "name": "say",
    "description": "Say a text.",
    "risk": "read",
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string"}, "times": {"type": "integer", "default": 1}},
        "required": ["text"],
        "additionalProperties": False,
    },
    "argv": ["printf", "%s|", "{text}", "times={times}"],
}


@pytest.fixture
def put(context: Context):
    """Write a manifest: SAY with changes."""
    folder = context.settings.tools
    folder.mkdir()

    def write(file: str = "say.yaml", **changes: Any) -> Path:
        path = folder / file
        path.write_text(yaml.safe_dump({**SAY, **changes}, allow_unicode=True))
        return path

    return write


def problem(context: Context) -> str:
    """The one line about what was set aside."""
    registry = Registry(context.settings)
    assert len(registry) == 15
    (found,) = registry.problems
    assert "\n" not in str(found)
    assert len(str(found)) < 600
    return str(found)


def test_a_command_is_run_with_its_arguments(put: Any, context: Context) -> None:
    put()
    assert ask(context, "say", text="a b", times=3) == "a b|times=3|"
    assert ask(context, "say", text="a b") == "a b|times=1|"
    definition = Registry(context.settings).get("say")
    assert (definition.risk, definition.source) == ("read", "manifest say.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "$(touch out)",
        "`touch out`",
        "; touch out",
        "a\nb; touch out #",
        "' || touch out '",
        "{times}",
        "{manifest_folder}",
        "{{x}}",
        INJECTION,
        *(t for t in STRANGE_TEXTS.values() if "\0" not in t and len(t) < 1_000),
    ],
)
def test_an_argument_stays_one_argument(text: str, put: Any, context: Context) -> None:
    put(argv=["python3", "-c", "import sys; print(ascii(sys.argv[1:]))", "--", "{text}"])
    assert ask(context, "say", text=text) == ascii(["--", text]) + "\n"


def test_an_argument_can_not_become_an_option(put: Any, context: Context) -> None:
    put(argv=["sort", "{text}"])
    assert "begins with -" in refused(context, "say", text="--output=/tmp/x")
    put(argv=["printf", "%s", "--", "{text}"])
    assert ask(context, "say", text="-n").endswith("-n")
    put(argv=["printf", "%s", "x={text}"])
    assert ask(context, "say", text="-n") == "x=-n"
    put(argv=["printf", "%s", "{text}"], may_begin_with_dash=["text"])
    assert ask(context, "say", text="-5") == "-5"


def test_another_command_line_makes_another_tool_to_be_approved(put: Any, context: Context) -> None:
    put(argv=["wc", "--", "{text}"], risk="write")
    registry = Registry(context.settings)
    before = registry.get("say").fingerprint
    registry.refresh()
    assert registry.get("say").fingerprint == before
    put(argv=["shred", "--", "{text}"], risk="write")
    registry.refresh()
    assert registry.get("say").fingerprint != before


def test_a_file_that_may_hold_keys_is_not_named_without_asking(put: Any, context: Context) -> None:
    (context.workspace / ".env").write_text("KEY=sk-0123")
    put(argv=["cat", "--", "{text}"])
    for path in (".env", "./.env", "/work/.env", ".git/config", ".git//./hooks/../config"):
        assert "may hold keys" in refused(context, "say", text=path)
    put(argv=["cat", "--", "{text}"], risk="execute")  # this is asked about
    assert ask(context, "say", text=".env") == "KEY=sk-0123"


@pytest.mark.parametrize(
    ("element", "arguments"),
    [
        ("{text}.json", {"text": "mcp"}),
        ("./{text}.JSON", {"text": "MCP"}),
        ("{text}{more}", {"text": ".e", "more": "nv"}),
        ("{text}{more}", {"text": ".", "more": "env.local"}),
        ("sub/{text}{more}/key", {"text": ".en", "more": "v.d"}),
        ("{text}p.json", {"text": "mc"}),
        ("--file={text}{more}", {"text": ".e", "more": "nv"}),
        ("-f{text}nv", {"text": ".e"}),
        ("HEAD:{text}nv", {"text": ".e"}),
        ("@{text}nv", {"text": ".e"}),
        (".e{more}", {"text": "x"}),
    ],
)
def test_such_a_name_is_not_put_together_of_several_parts(
    element: str, arguments: dict[str, str], put: Any, context: Context
) -> None:
    properties = {"text": {"type": "string"}, "more": {"type": "string", "default": "nv"}}
    put(argv=["echo", element], parameters={"type": "object", "properties": properties})
    assert "may hold keys" in refused(context, "say", **arguments)
    assert "n" in ask(context, "say", text="plain", more="n")
    put(
        argv=["echo", element],
        parameters={"type": "object", "properties": properties},
        risk="execute",
    )
    ask(context, "say", **arguments)


def test_an_element_whose_argument_is_missing_is_left_out(put: Any, context: Context) -> None:
    properties = {"text": {"type": "string"}, "times": {"type": "boolean"}}
    put(
        parameters={"type": "object", "properties": properties},
        argv=["printf", "%s|", "{{}}", "{text}", "times={times}", "end"],
    )
    assert ask(context, "say") == "{}|end|"
    assert ask(context, "say", times=True) == "{}|times=true|end|"


def test_results_may_be_json(put: Any, context: Context) -> None:
    put(argv=["printf", '{{"said": "%s"}}', "{text}"], result="json")
    assert ask(context, "say", text="x") == {"said": "x"}
    assert "not JSON" in refused(context, "say", text='"')


def test_a_failing_command_is_told(put: Any, context: Context) -> None:
    put(argv=["bash", "-c", "echo no >&2; exit 4"])
    assert "say failed (exit code 4): no" in refused(context, "say", text="x")
    put(argv=["no-such-program"])
    assert "failed" in refused(context, "say", text="x")
    put(argv=["sleep", "60"], limits={"seconds": 0.5})
    assert "ended by timeout" in refused(context, "say", text="x")
    put()
    assert "null character" in refused(context, "say", text="a\0b")
    refused(context, "say", text="x" * 200_000)


def test_a_script_beside_its_manifest_can_be_run(put: Any, context: Context) -> None:
    (context.settings.tools / "script.py").write_text("import sys; print(sys.argv[1][::-1])")
    put(argv=["python3", "{manifest_folder}/script.py", "{text}"])
    assert ask(context, "say", text="abc") == "cba\n"


def test_only_write_and_execute_change_the_workspace(put: Any, context: Context) -> None:
    put(argv=["touch", "made"])
    refused(context, "say", text="x")
    assert not (context.workspace / "made").exists()
    put(argv=["touch", "made"], risk="write")
    ask(context, "say", text="x")
    assert (context.workspace / "made").exists()


def test_network_is_refused_unless_allowed(
    put: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    put(risk="network", argv=["bash", "-c", "env; echo over >&2; sleep 60 & echo there"])
    assert "ALLOW_NETWORK_TOOLS=true" in problem(context)
    allowed = replace(context, settings=replace(context.settings, allow_network_tools=True))
    said = ask(allowed, "say", text="x")
    assert said.endswith("there\n")
    assert "hunter2" not in said
    put(risk="network", argv=["sleep", "60"], limits={"seconds": 0.5})
    assert "ended by timeout" in refused(allowed, "say", text="x")
    put(risk="network", argv=["no-such-program"])
    assert "can't be started" in refused(allowed, "say", text="x")
    put(risk="network", argv=["seq", "100000"], limits={"output_bytes": 1_000})
    assert "only the first 1,000 bytes" in ask(allowed, "say", text="x")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "shell"}, "taken twice: built in and manifest say.yaml. The built-in"),
        ({"name": "a b"}, "can't name a tool"),
        ({"name": 3}, "Expected `str`"),
        ({"risk": "none"}, "Invalid enum value"),
        ({"argv": "say {text}"}, "Expected `array`"),
        ({"argv": []}, "does not begin with a program"),
        ({"argv": ["{text}"]}, "does not begin with a program"),
        ({"argv": ["say", "{txt}"]}, "{txt}, which is no parameter"),
        ({"argv": ["bash", "-c", "echo {text}"]}, "into code for bash"),
        ({"argv": ["/usr/bin/python3.11", "-c", "{text}"]}, "into code for python3.11"),
        ({"argv": ["env", "-S", "x", "-c", "{text}"]}, "into code for env"),
        ({"parameters": {"type": "object", "properties": {"text": {}}}}, "not one plain type"),
        ({"parameters": {"type": "array"}}, "no parameter|not those of an object"),
        ({"more": 1}, "unknown field `more`"),
        ({"limits": {"second": 1}}, "unknown field `second`"),
        ({"description": ""}, "no description"),
        ({"result": "xml"}, "Invalid enum value"),
    ],
)
def test_a_broken_manifest_is_one_line(
    changes: dict[str, Any], reason: str, put: Any, context: Context
) -> None:
    put(**changes)
    assert re.search(reason, problem(context)), problem(context)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "- 1",
        "\t",
        "a: &x [1]\nb: *x",
        "!!python/object/apply:os.system [touch out]",
        "x" * 100_000,
        "a: " + "[" * 1_000,
    ],
)
def test_a_file_that_is_no_manifest_is_one_line(text: str, put: Any, context: Context) -> None:
    put().write_text(text)
    assert "manifest say.yaml" in problem(context)
    put().write_bytes(b"\xff\xfe")
    assert "not UTF-8" in problem(context)
    assert not Path("out").exists()


def test_a_broken_one_does_not_stop_the_others(put: Any, context: Context) -> None:
    put("a.yaml", risk="none")
    put("b.yml")
    (context.settings.tools / "folder.yaml").mkdir()
    (context.settings.tools / "notes.txt").write_text("no manifest")
    os.mkfifo(context.settings.tools / "pipe.yaml")
    registry = Registry(context.settings)
    assert "say" in registry
    assert [p.source.split()[1] for p in registry.problems] == [
        "a.yaml",
        "folder.yaml",
        "pipe.yaml",
    ]


def test_new_changed_and_removed_manifests_are_found(put: Any, context: Context) -> None:
    registry = Registry(context.settings)
    assert "say" not in registry
    path = put()
    registry.refresh()
    first = registry.get("say")
    registry.refresh()
    assert registry.get("say") is first
    when = path.stat()[stat.ST_MTIME]
    put(description="Say it well.")
    os.utime(path, (when, when))
    registry.refresh()
    assert registry.get("say").description == "Say it well."
    path.unlink()
    registry.refresh()
    assert "say" not in registry
    assert call(first, '{"text": "still here"}', context) == "still here|times=1|"
