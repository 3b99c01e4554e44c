"""A call: read strictly, checked by its schema, run, its result checked and kept short."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from examples import STRANGE_TEXTS

from workbench.errors import InputError, ToolError
from workbench.tools import BUILT_IN, Context, Definition, Registry, call, check
from workbench.tools.contract import one_line, shortened
from workbench.tools.schemas import parameters, record, text, whole


@dataclass(frozen=True)
class Said:
    words: tuple[str, ...]
    note: str | None = None


def _echo(arguments: Any, context: Context) -> Any:
    return Said((arguments["text"],) * arguments.get("times", 1))


ECHO = Definition(
    "echo",
    "Say it again.",
    parameters({"text": text("What to say")}, {"times": whole("How often", 1, 3)}),
    record(Said),
    "read",
    _echo,
    "a test",
)


def told(definition: Definition, arguments: str, context: Context) -> str:
    with pytest.raises(ToolError) as error:
        call(definition, arguments, context)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1_000
    return str(error.value)


@pytest.mark.parametrize("name", STRANGE_TEXTS)
def test_every_text_goes_in_and_out(name: str, context: Context) -> None:
    said = STRANGE_TEXTS[name]
    wide = replace(context, result_chars=10_000_000)
    for ascii_only in (True, False):
        arguments = json.dumps({"text": said}, ensure_ascii=ascii_only)
        assert call(ECHO, arguments, wide) == {"words": [said], "note": None}


def test_a_result_that_is_too_long_says_how_long_it_is(context: Context) -> None:
    result = call(ECHO, json.dumps({"text": "слово " * 9_000}), context)
    assert set(result) == {"cut", "beginning"}
    assert "54,029 characters" in result["cut"]
    assert len(result["beginning"]) == context.result_chars


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", '"text" is a required'),
        ("{", "are not JSON"),
        ("[]", "is not of type"),
        ('{"text": "a"} {"text": "b"}', "are not JSON"),
        ('{"text": "a", "text": "b"}', "a key is given twice"),
        ('{"text": 1}', r"\['text'\]: 1 is not of type"),
        ('{"text": "a", "times": 9}', "greater than the maximum"),
        ('{"text": "a", "times": NaN}', "NaN is no number"),
        ('{"text": "a", "times": 1e999}', "are not JSON"),
        ('{"text": "a", "more": 1}', "'more' was unexpected"),
        ('{"text": "\\ud800"}', "half of a surrogate pair"),
        ('{"text": ' + "[" * 100_000, "nested too deeply"),
        ('{"text": "' + "x" * 3_000_000 + '"}', "3,000,012 characters long"),
        ("{" + '"text": ' + "9" * 10_000 + "}", "not JSON|is not of type"),
    ],
)
def test_arguments_that_do_not_fit_never_run(arguments: str, reason: str, context: Context) -> None:
    def never(arguments: Any, context: Context) -> Any:
        raise AssertionError("it ran")

    message = told(replace(ECHO, run=never), arguments, context)
    assert re.search(reason, message), message
    assert "it ran" not in message


def test_the_refusal_tells_what_fits(context: Context) -> None:
    assert "Give {text: string, times?: integer}" in told(ECHO, '{"txt": "a"}', context)


def test_a_result_that_does_not_fit_is_refused(context: Context) -> None:
    for wrong in ({"words": "a"}, None, float("nan"), object(), {"words": ["\ud800"]}):
        broken = replace(ECHO, run=lambda *_, wrong=wrong: wrong)
        assert told(broken, '{"text": "a"}', context)


def test_what_is_nested_without_end_is_refused_on_both_ways(context: Context) -> None:
    def deep(levels: int) -> Any:
        value: Any = "in here"
        for _ in range(levels):
            value = [value]
        return value

    anything = {"type": "object", "properties": {"in": {}}, "required": ["in"]}
    tool = Definition("dig", "Dig.", anything, {}, "read", lambda a, _: a["in"], "a test")
    held = json.dumps({"in": deep(99)})
    assert call(tool, held, context) == deep(99)
    assert "arguments of dig are nested more than 100" in told(
        tool, json.dumps({"in": deep(600)}), context
    )
    gives = replace(tool, run=lambda _, __: deep(600))
    assert "result of dig is nested more than 100" in told(gives, held, context)


def test_a_tool_that_breaks_is_one_line(context: Context) -> None:
    def broken(arguments: Any, context: Context) -> Any:
        raise KeyError("a\nb\x1b[31m\u202e" + "x" * 100_000)

    message = told(replace(ECHO, run=broken), '{"text": "a"}', context)
    assert "The tool echo failed: KeyError" in message
    assert "\x1b" not in message
    assert "\u202e" not in message


def test_what_a_tool_refuses_is_told_with_its_remedy(context: Context) -> None:
    def refusing(arguments: Any, context: Context) -> Any:
        raise InputError("The fact", "The remedy")

    assert told(replace(ECHO, run=refusing), '{"text": "a"}', context) == "The fact. The remedy."


def test_stopping_the_program_is_no_failure_of_a_tool(context: Context) -> None:
    def stopped(arguments: Any, context: Context) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(replace(ECHO, run=stopped), '{"text": "a"}', context)


def test_a_hostile_pattern_takes_no_time(context: Context) -> None:
    slow = parameters({"text": text("", pattern="^(a+)+$")})
    assert "does not match" in told(
        replace(ECHO, parameters=slow), json.dumps({"text": "a" * 100_000 + "!"}), context
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "two words"}, "can't name a tool"),
        ({"name": "x" * 65}, "can't name a tool"),
        ({"name": "имя"}, "can't name a tool"),
        ({"description": " "}, "no description"),
        ({"description": "x" * 2_000}, "no description"),
        ({"risk": "none"}, "has the risk"),
        ({"parameters": {"type": "string"}}, "not those of an object"),
        ({"parameters": {"type": "object", "properties": 3}}, "can't be used"),
        ({"result": {"$ref": "http://evil.test/schema"}}, "can't be used"),
        ({"result": {"$ref": "file:///etc/passwd"}}, "can't be used"),
        ({"result": {"$ref": "#/$defs/missing"}}, "can't be used"),
        ({"result": {"pattern": "(?=look)"}}, "can't be used"),
        ({"result": {"pattern": r"\p{L}{200}"}}, "can't be used"),
    ],
)
def test_a_definition_that_can_not_be_offered_is_refused(
    change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        check(replace(ECHO, **change))


def test_a_schema_that_points_to_itself_ends(context: Context) -> None:
    endless = replace(ECHO, result={"$ref": "#"})
    assert call(endless, '{"text": "a"}', context)


def test_the_built_in_tools_are_whole(context: Context) -> None:
    for definition in Registry(context.settings):
        check(definition)
        assert definition.name in BUILT_IN
        assert len(definition.description) < 160
        properties = definition.parameters["properties"]
        assert all(schema.get("description") for schema in properties.values()), definition.name


def test_risks_are_what_a_call_could_do(context: Context) -> None:
    risks = {definition.name: definition.risk for definition in Registry(context.settings)}
    assert risks == {
        "get_map": "read",
        "search_logs": "read",
        "search_knowledge": "read",
        "list_files": "read",
        "read_file": "read",
        "git": "read",
        "query_database": "read",
        "system_info": "read",
        "write_file": "write",
        "delete_file": "write",
        "git_write": "write",
        "apply_patch": "execute",
        "run_tests": "execute",
        "run_python": "execute",
        "shell": "execute",
    }


def test_a_line_shows_what_would_be_invisible() -> None:
    assert one_line("a\r\nb\t\x1b[31mc\u2028d\u202ee") == "a b [31mc d e"
    assert one_line("x" * 1_000, 10) == "x" * 9 + "…"
    assert one_line("") == ""


def test_a_text_is_shortened_in_its_middle() -> None:
    short = shortened("a" * 50 + "b" * 50, 60)
    assert short == "a" * 40 + "\n[40 characters left out]\n" + "b" * 20
    assert shortened("as it is", 60) == "as it is"
