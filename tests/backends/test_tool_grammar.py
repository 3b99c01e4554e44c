"""What the grammars of tool calls let through, in every form, and that all of it is valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import tiny_models
from asked_tools import settings_of
from tool_layouts import FAMILIES

from workbench.backends.argument_schema import DEPTH, MOST, bounded
from workbench.backends.constraint import Grammars
from workbench.backends.pieces import Pieces
from workbench.backends.tool_calls import CallReader
from workbench.errors import BackendError
from workbench.models import Tokenizer
from workbench.models.tool_forms import FORMS
from workbench.models.tool_prompt import written
from workbench.records import NamedTool, Tool, ToolCall
from workbench.tools import Registry

TASKS = Path(__file__).parents[2] / "benchmarks" / "tool_calls.json"
TOOLS = [
    Tool(t["name"], t["description"], t["parameters"])
    for t in json.loads(TASKS.read_text(encoding="utf-8"))
]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
HIRE = Tool("hire", "Hire somebody.", PERSON)
FIRE = Tool("fire", "Send somebody away.", PERSON)
ARGUMENTS = '{"name": "Жанна <b>", "age": 41}'
LONGEST = 60
NOT_IN_XML = {"make_ticket"}  # parts of `allOf`, and nothing else
BUILT_IN = {
    "get_map": {"name": "boost_target"},
    "search_logs": {"pattern": "ERROR <b>", "ignore_case": True},
    "search_knowledge": {"query": "Что такое наддув?"},
    "list_files": {"pattern": "*.py", "depth": 2},
    "read_file": {"path": "src/main.py"},
    "write_file": {"path": "a.html", "content": "<p>\n  </p>\n"},
    "delete_file": {"path": "a"},
    "apply_patch": {"patch": "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+</b>\n"},
    "run_tests": {"paths": ["tests/test_a.py"]},
    "run_python": {"code": 'for i in range(3):\n    print("<", i)\n'},
    "shell": {"command": "ls -l"},
    "git": {"command": "log"},
    "git_write": {"command": "switch", "branch": "b"},
    "query_database": {"database": "shop", "sql": "SELECT 1"},
    "system_info": {},
}


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("family") / request.param
    family = FAMILIES[request.param]
    tiny_models.write_tokenizer(folder, "smollm", markers=family.markers, template=family.template)
    return Tokenizer(folder)


@pytest.fixture(scope="module")
def grammars(tokenizer: Tokenizer) -> Grammars:
    return Grammars(tokenizer)


def allowed(constraint, tokenizer, text, *, spelled=False):
    """How the constraint takes `text`: "no", "open" (more must follow), or "end" (it may end).

    `spelled` writes every added token in letters, as a model may that has seen it as text.
    """
    for token in spelled_out(tokenizer, text) if spelled else tokenizer.encode(text):
        row = constraint.mask(np.zeros(tokenizer.size, np.float32))
        if row[token] == -np.inf:
            return "no"
        constraint.accept(token)
    if constraint.finished:
        return "end"
    row = constraint.mask(np.zeros(tokenizer.size, np.float32))
    return "end" if row[min(tokenizer.eos_ids)] == 0 else "open"


def spelled_out(tokenizer, text):
    """Ids of `text`, character by character, so that no added token is among them."""
    return [token for character in text for token in tokenizer.encode(character)]


def call(form, name="hire", arguments=ARGUMENTS):
    return written(ToolCall("", name, arguments), form)


def pieces(tokenizer, tools, tokens):
    """Deltas of an answer."""
    stream = Pieces(tokenizer.decode, reader=CallReader(tokenizer.tool_form, tools))
    return [delta for token in tokens for delta in stream.push(token)] + stream.flush()


def read(tokenizer, tools, text):
    """The arguments of the one call that `text` is."""
    deltas = pieces(tokenizer, tools, tokenizer.encode(text))
    [found] = [d.tool_call for d in deltas if d.tool_call]
    assert "".join(d.text for d in deltas) == ""
    return json.loads(found.arguments)


def walk(constraint, tokenizer, tools, seed):
    """Deltas of an answer drawn at random from what is allowed, ends being preferred."""
    random = np.random.default_rng(seed)
    texts = [tokenizer.decode([i]) for i in range(tokenizer.size)]
    ends = np.array([t[:1] in tuple('"}]<\n') for t in texts], np.float32)
    drawn = []
    for _ in range(1500):
        noise = random.gumbel(size=tokenizer.size).astype(np.float32)
        token = int(constraint.mask(noise + 2 * ends).argmax())
        if token in tokenizer.eos_ids:
            break
        drawn.append(token)
        constraint.accept(token)
        if constraint.finished:
            break
    else:
        pytest.fail("the answer did not come to an end")
    return pieces(tokenizer, tools, drawn)


def test_each_family_is_told_by_its_template(tokenizer):
    assert tokenizer.tool_form is FORMS[tokenizer.path.name]
    assert tokenizer.knows_tools


# --- choices --------------------------------------------------------------


def test_a_call_is_optional_and_bound(grammars, tokenizer):
    form = tokenizer.tool_form
    assert allowed(grammars.tools([HIRE]), tokenizer, "Of course: 3 < 4, a } b.") == "end"
    assert allowed(grammars.tools([HIRE]), tokenizer, "") == "end"
    assert allowed(grammars.tools([HIRE]), tokenizer, call(form)) == "end"
    for wrong in (call(form, "fire"), call(form, arguments='{"name": "A", "age": "x"}')):
        assert allowed(grammars.tools([HIRE]), tokenizer, wrong) == "no"
    begun = call(form).partition("Жанна")[0]
    assert allowed(grammars.tools([HIRE]), tokenizer, begun) == "open"


def test_an_opening_in_letters_binds_too(grammars, tokenizer):
    form = tokenizer.tool_form
    opening = form.opening or " \n{"
    wrong = f"{opening}{call(form, 'fire').removeprefix(opening)}"
    assert allowed(grammars.tools([HIRE]), tokenizer, wrong, spelled=True) == "no"
    assert allowed(grammars.tools([HIRE]), tokenizer, f"{opening} hm", spelled=True) == "no"


def test_no_call_gets_past_the_grammar_behind_white_space(grammars, tokenizer):
    wrong = call(tokenizer.tool_form, "fire")
    for blank in (*"\t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2003\u3000\ufeff", "\r\n "):
        for before in (blank, f"<think>x</think>{blank}", f"{blank}<think>x</think>"):
            text = f"{before}{wrong}"
            if allowed(grammars.tools([HIRE]), tokenizer, text, spelled=True) != "no":
                deltas = pieces(tokenizer, [HIRE], spelled_out(tokenizer, text))
                assert [d.tool_call for d in deltas if d.tool_call] == [], before


def test_text_may_stand_around_calls_where_they_have_an_opening(grammars, tokenizer):
    form = tokenizer.tool_form
    free = grammars.tools([HIRE, FIRE])
    answer = f"Gladly.\n{call(form)}"
    assert allowed(free, tokenizer, answer) == "end"
    several = f"{call(form)}\n{call(form, 'fire')} Done."
    expected = "end" if form.several else "no"
    assert allowed(grammars.tools([HIRE, FIRE]), tokenizer, several) == expected


def test_a_required_call_is_all_there_is(grammars, tokenizer):
    form = tokenizer.tool_form

    def required(text):
        return allowed(grammars.tools([HIRE, FIRE], "required"), tokenizer, text)

    assert required("") == "open"
    assert required("Gladly.") == "no"
    assert required(call(form, "fire")) == "end"
    assert required(f"{call(form)} Done.") == "no"
    assert required(call(form, "tire")) == "no"


def test_a_named_tool_is_called_once(grammars, tokenizer):
    form = tokenizer.tool_form

    def named(text):
        return allowed(grammars.tools([HIRE, FIRE], NamedTool("fire")), tokenizer, text)

    assert named(call(form, "fire")) == "end"
    assert named(call(form, "hire")) == "no"
    assert named(f"{call(form, 'fire')}\n{call(form, 'fire')}") == "no"


def test_no_call_can_be_marked_where_none_is_wanted(grammars, tokenizer):
    none = grammars.tools([HIRE], "none")
    assert allowed(none, tokenizer, "Free {text}.") == "end"
    if tokenizer.tool_form.opening in tokenizer.added_tokens:
        none = grammars.tools([HIRE], "none")
        assert allowed(none, tokenizer, call(tokenizer.tool_form)) == "no"


def test_the_marks_are_the_tokens_of_the_model(grammars, tokenizer):
    form = tokenizer.tool_form
    row = grammars.tools([HIRE], "required").mask(np.zeros(tokenizer.size, np.float32))
    possible = set(np.flatnonzero(row == 0).tolist())
    marks = {form.opening or "<|python_tag|>", "<think>"} & set(tokenizer.added_tokens)
    ids = {tokenizer.added_tokens[mark] for mark in marks}
    assert ids <= possible
    if form.opening in tokenizer.added_tokens:
        assert possible == ids


def test_thinking_may_come_first(grammars, tokenizer):
    form = tokenizer.tool_form
    thought = "Who? <b> {x</think>\n\n"
    for choice in ("auto", "required", NamedTool("hire")):
        opened = grammars.tools([HIRE], choice, thinking=True)
        assert allowed(opened, tokenizer, f"{thought}{call(form)}") == "end"
        opened = grammars.tools([HIRE], choice, thinking=True)
        assert allowed(opened, tokenizer, "Who?") == "open"
        own = grammars.tools([HIRE], choice)
        if "<think>" in tokenizer.added_tokens:
            assert allowed(own, tokenizer, f"<think>{thought}{call(form)}") == "end"
        elif choice != "auto":
            assert allowed(own, tokenizer, "<think>") == "no"


def test_a_thought_that_ends_in_letters_binds_what_follows(grammars, tokenizer):
    wrong = call(tokenizer.tool_form, "fire")
    opened = grammars.tools([HIRE], thinking=True)
    assert allowed(opened, tokenizer, f"Hm.</think>\n\n{wrong}", spelled=True) == "no"
    free = grammars.tools([HIRE])
    assert allowed(free, tokenizer, f"<think>Hm.</think>{wrong}", spelled=True) == "no"


# --- every schema, in every form ------------------------------------------


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_whatever_is_drawn_is_read_and_valid(grammars, tokenizer, tool):
    if tokenizer.tool_form.layout == "xml" and tool.name in NOT_IN_XML:
        with pytest.raises(BackendError, match=tool.name):
            grammars.tools([tool])
        return
    validator = jsonschema.Draft202012Validator(
        tool.parameters, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for seed in range(2):
        constraint = grammars.tools([tool], NamedTool(tool.name), longest=LONGEST)
        deltas = walk(constraint, tokenizer, [tool], seed)
        [found] = [d.tool_call for d in deltas if d.tool_call]
        assert found.name == tool.name
        assert "".join(d.text for d in deltas) == ""
        validator.validate(json.loads(found.arguments))


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Registry:
    return Registry(settings_of(tmp_path_factory.mktemp("project")))


def test_every_built_in_tool_can_be_called(grammars, tokenizer, registry):
    assert set(BUILT_IN) == {tool.name for tool in registry.schemas()}
    for name, arguments in BUILT_IN.items():
        text = call(tokenizer.tool_form, name, json.dumps(arguments, ensure_ascii=False))
        constraint = grammars.tools(registry.schemas(), "required", longest=512)
        assert (name, allowed(constraint, tokenizer, text)) == (name, "end")
        assert read(tokenizer, registry.schemas(), text) == arguments


# --- what can't be kept is refused ----------------------------------------

REFUSED = {
    "not": {"not": {"type": "string"}},
    "if": {"type": "string", "if": {"minLength": 1}, "then": {"maxLength": 3}},
    "uniqueItems": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    "contains": {"type": "array", "contains": {"type": "integer"}},
    "dependentRequired": {"type": "object", "dependentRequired": {"a": ["b"]}},
    "dependentSchemas": {"type": "object", "dependentSchemas": {"a": {"required": ["b"]}}},
    "propertyNames": {"type": "object", "propertyNames": {"maxLength": 2}},
    "unevaluatedProperties": {"type": "object", "unevaluatedProperties": False},
    "an unknown format": {"type": "string", "format": "banana"},
    "lookahead": {"type": "string", "pattern": "^(?!a)"},
    "a remote reference": {"$ref": "http://example.com/x.json"},
    "a missing reference": {"$ref": "#/$defs/nowhere"},
    "oneOf that overlaps": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    "free keys, at least two": {
        "type": "object",
        "minProperties": 2,
        "additionalProperties": {"type": "integer"},
    },
    "two properties of three": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}},
        "minProperties": 2,
    },
    "nothing is valid": {"enum": []},
    "a type that is none": {"type": "person"},
    "properties that are none": {"type": "object", "properties": ["a"]},
    "a schema that is none": 5,
    "properties, at most one": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
        "maxProperties": 1,
        "propertyNames": {"maxLength": 1},
    },
    "text that is not": {"type": "string", "not": {"const": "x"}},
    "leniency asked for": {"type": "object", "x-guidance": {"lenient": True}, "not": {}},
}


@pytest.fixture(scope="module")
def chatml(tmp_path_factory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("family") / "hermes"
    tiny_models.write_tokenizer(folder, "smollm")
    return Tokenizer(folder)


@pytest.fixture(scope="module")
def plain(chatml: Tokenizer) -> Grammars:
    return Grammars(chatml)


@pytest.mark.parametrize("keyword", REFUSED)
def test_what_the_grammar_can_not_keep_is_refused(grammars, keyword):
    parameters = {
        "type": "object",
        "properties": {"x": REFUSED[keyword]},
        "required": ["x"],
        "$defs": {},
    }
    with pytest.raises(BackendError):
        grammars.tools([Tool("t", "", parameters)])
    if isinstance(REFUSED[keyword], dict):
        with pytest.raises(BackendError):
            grammars.tools([Tool("t", "", {"type": "object", **REFUSED[keyword]})])


@pytest.mark.parametrize("parameters", [{"type": [{}]}, {"required": 5}, {"properties": None}, []])
def test_parameters_that_are_no_schema_are_refused(plain, parameters):
    with pytest.raises(BackendError):
        plain.tools([Tool("t", "", parameters)])


def test_the_tool_that_can_not_be_kept_is_named(grammars):
    several = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    tag = Tool("server__tag", "", {"properties": {"tags": several}})
    least = Tool("server__put", "", {"minProperties": 2, "additionalProperties": True})
    with pytest.raises(BackendError, match=r"server__tag.*uniqueItems"):
        grammars.tools([HIRE, tag, FIRE])
    with pytest.raises(BackendError, match="server__put"):
        grammars.tools([tag, least], NamedTool("server__put"))
    assert set(grammars.refused([HIRE, tag, least, FIRE])) == {"server__tag", "server__put"}
    assert grammars.refused([HIRE, FIRE]) == {}


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "nullable": True},
        {"type": "string", "x-order": 1},
        {"type": "string", "contentEncoding": "base64"},
        {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": False},
    ],
)
def test_what_says_nothing_of_what_is_valid_is_no_obstacle(grammars, field):
    assert grammars.refused([Tool("t", "", {"properties": {"x": field}, "x-order": 2})]) == {}


def test_names_that_a_form_can_not_write_are_refused(grammars, tokenizer):
    tool = Tool('two words>"{', "", {"type": "object"})
    if tokenizer.tool_form.layout in ("named", "xml"):
        with pytest.raises(BackendError, match="two words"):
            grammars.tools([tool])
    else:
        deltas = walk(grammars.tools([tool], "required"), tokenizer, [tool], 0)
        assert {d.tool_call.name for d in deltas if d.tool_call} == {tool.name}


# --- text in XML ----------------------------------------------------------

CLOSED = "</parameter>"

# a schema of text, what a model writes for it, whether it may, and what is then read
IN_XML = [
    ({}, "\n", True, ""),
    ({}, "", True, ""),
    ({}, "a", True, "a"),
    ({}, "a\n\n", True, "a\n"),
    ({"maxLength": 2}, "ab\n", True, "ab"),
    ({"maxLength": 2}, "a\n\n", True, "a\n"),
    ({"maxLength": 2}, "abc\n", False, ""),
    ({"maxLength": 2000}, f"{'la ' * 667}\n", False, ""),
    ({"maxLength": 2000}, f"{'la ' * 666}\n", True, "la " * 666),
    ({"minLength": 1}, "\n", False, ""),
    ({"minLength": 1}, "", False, ""),
    ({"minLength": 1}, "<\n", True, "<"),
    ({"minLength": 1}, "\n\n", True, "\n"),
    ({"minLength": 1}, f"{CLOSED}a\n", False, ""),
    ({"minLength": 3, "maxLength": 5}, "abc", True, "abc"),
    ({"minLength": 3, "maxLength": 5}, "ab\n", False, ""),
    ({"minLength": 3, "maxLength": 5}, "ab\n\n", True, "ab\n"),
    ({"minLength": 3, "maxLength": 5}, f"a{CLOSED}bc\n", False, ""),
    ({"minLength": 20}, f"{'a' * 10}\n{CLOSED}{'b' * 10}\n", False, ""),
    ({"minLength": 300}, f"{'a</b>' * 60}\n", True, "a</b>" * 60),
    ({"pattern": "x"}, "a<x>\nb\n", True, "a<x>\nb"),
    ({"pattern": "x"}, "abc\n", False, ""),
    ({"pattern": "x"}, f"a{CLOSED}x\n", False, ""),
    ({"pattern": "x", "minLength": 2, "maxLength": 3}, "axb\n", True, "axb"),
    ({"pattern": "x", "minLength": 2, "maxLength": 3}, "x\n", False, ""),
    ({"pattern": "x", "minLength": 2, "maxLength": 3}, "axbc\n", False, ""),
    ({"pattern": "^[a-z]{1,20}$"}, "abc\n", True, "abc"),
    ({"enum": ["a", ""]}, "\n", True, ""),
    ({"enum": ["a", "b"], "const": "a"}, "a\n", True, "a"),
    ({"enum": ["a", "b"], "const": "a"}, "b\n", False, ""),
]


@pytest.fixture(scope="module")
def xml(tmp_path_factory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("family") / "qwen-xml"
    family = FAMILIES["qwen-xml"]
    tiny_models.write_tokenizer(folder, "smollm", markers=family.markers, template=family.template)
    return Tokenizer(folder)


@pytest.fixture(scope="module")
def in_xml(xml: Tokenizer) -> Grammars:
    return Grammars(xml)


def argument(schema, written):
    """A tool with one argument of `schema`, and the text of a call of it."""
    tool = Tool("t", "", {"properties": {"x": schema}, "required": ["x"]})
    tags = f"<parameter=x>\n{written}{CLOSED}\n"
    return tool, f"<tool_call>\n<function=t>\n{tags}</function>\n</tool_call>"


def test_text_in_xml_is_text_however_little_more_is_said(in_xml, xml):
    for schema in (
        {"allOf": [{"type": "string"}], "title": "X"},
        {"type": "string", "x-order": 1, "default": "5"},
    ):
        tool, text = argument(schema, "5\n")
        assert allowed(in_xml.tools([tool], "required"), xml, text) == "end"
        assert read(xml, [tool], text) == {"x": "5"}


@pytest.mark.parametrize("longest", [512, 4096])
@pytest.mark.parametrize(("schema", "written", "may", "value"), IN_XML)
def test_text_in_xml_keeps_its_bounds(in_xml, xml, schema, written, may, value, longest):
    tool, text = argument({"type": "string", **schema}, written)
    constraint = in_xml.tools([tool], "required", longest=longest)
    assert allowed(constraint, xml, text) == ("end" if may else "no")
    if may:
        assert read(xml, [tool], text) == {"x": value}
        jsonschema.validate({"x": value}, tool.parameters)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "string"}}, [CLOSED, f'"\n{CLOSED}\n</function>']),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {CLOSED: 1}),
        ({"type": ["string", "null"]}, f'"{CLOSED}'),
        ({"enum": [1, CLOSED]}, CLOSED),
    ],
)
def test_json_in_xml_may_hold_the_closing_tag(in_xml, xml, schema, value):
    tool, text = argument(schema, f"{json.dumps(value)}\n")
    assert allowed(in_xml.tools([tool], "required"), xml, text) == "end"
    assert read(xml, [tool], text) == {"x": value}


@pytest.mark.parametrize("schema", [{"enum": ["a", f"b{CLOSED}"]}, {"const": CLOSED}])
def test_a_choice_of_the_closing_tag_is_refused(in_xml, schema):
    tool, _ = argument(schema, "")
    with pytest.raises(BackendError, match="closing tag"):
        in_xml.tools([tool])


# --- bounds ---------------------------------------------------------------

INTEGER, TEXT, OBJECT = {"type": "integer"}, {"type": "string"}, {"type": "object"}


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"description": "Nothing."}, {"x-order": 1}]
)
def test_a_tool_of_which_nothing_is_said_has_no_parameters(schema: dict[str, str]) -> None:
    assert bounded(schema, 100)["additionalProperties"] is False


def test_what_has_no_bound_gets_one():
    schema = bounded(
        {
            "properties": {
                "text": {"type": "string"},
                "long": {"type": "string", "minLength": 500},
                "own": {"type": "string", "maxLength": 9000},
                "list": {"type": "array", "items": {"type": "number"}},
                "map": {"type": "object"},
                "count": {"type": "integer", "minimum": 5},
                "tiny": {"type": "number", "minimum": 1e-9, "maximum": 2e-9},
            }
        },
        100,
    )
    fields = schema["properties"]
    assert fields["text"]["maxLength"] == 100
    assert fields["long"]["maxLength"] == 500
    assert fields["own"]["maxLength"] == 9000
    assert fields["list"]["maxItems"] == fields["map"]["maxProperties"] == MOST
    [key] = fields["map"]["patternProperties"]
    assert re.search(key, "k" * 40)
    assert not re.search(key, "k" * 41)
    assert fields["list"]["items"]["multipleOf"] == 1e-6
    assert (fields["count"]["minimum"], len(str(fields["count"]["maximum"]))) == (5, 15)
    assert "multipleOf" not in fields["tiny"]
    assert schema["additionalProperties"] is False


def test_the_bounds_take_nothing_from_the_schema_that_was_given():
    given = {"properties": {"a": {"type": "string"}, "b": {"enum": ["x" * 500]}}}
    before = json.dumps(given)
    assert bounded(given, 10)["properties"]["b"] == given["properties"]["b"]
    assert json.dumps(given) == before


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {
                "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"b": {"type": "integer"}}}],
                "required": ["a", "b"],
                "$defs": {"base": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            },
            '{"a": 1, "b": 2}',
        ),
        (
            {
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            '{"b": 2}',
        ),
        ({"properties": {}, "required": ["zz"]}, '{"zz": null}'),
        ({"properties": {"a": True}}, '{"a": "anything"}'),
        ({"properties": {"a": {"description": "any"}}}, '{"a": 7}'),
        ({"properties": {"a": {"type": "array", "items": True}}}, '{"a": [7, "b"]}'),
        ({"properties": {"a": {"x-order": 1}}, "x-order": 1}, '{"a": 7}'),
        (
            {"properties": {"a": {"type": "integer"}}, "allOf": [{"required": ["a"]}, {}]},
            '{"a": 7}',
        ),
        (
            {
                "properties": {"p": {}},
                "allOf": [{"properties": {"p": {"type": "array", "items": {"type": "integer"}}}}],
            },
            '{"p": [1]}',
        ),
        (
            {
                "properties": {"a": {"type": "object", "properties": {"x": {"type": "integer"}}}},
                "allOf": [{"properties": {"a": {"properties": {"y": {"type": "integer"}}}}}],
            },
            '{"a": {"y": 1}}',
        ),
        (
            {
                "anyOf": [
                    {"properties": {"v": {"type": "string"}}, "required": ["v"]},
                    {"properties": {"v": {"type": "object"}}, "required": ["v"]},
                ]
            },
            '{"v": "a"}',
        ),
        (
            {
                "properties": {
                    "p": {
                        "anyOf": [
                            {"const": {"a": 1}},
                            {"type": "object", "properties": {"b": {"type": "integer"}}},
                        ]
                    }
                },
                "allOf": [{"required": ["p"]}],
            },
            '{"p": {"a": 1}}',
        ),
        ({"allOf": [{"properties": {"a": False, "b": {"type": "integer"}}}, {}]}, '{"b": 1}'),
        (
            {
                "properties": {
                    "l": {"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 2}
                }
            },
            '{"l": [1, "b"]}',
        ),
        ({"properties": {"c": {"const": {"$ref": "#"}}}}, '{"c": {"$ref": "#"}}'),
        (
            {
                "properties": {
                    "to": {
                        "oneOf": [
                            {**OBJECT, "properties": {"user": TEXT}, "required": ["user"]},
                            {**OBJECT, "properties": {"room": TEXT}, "required": ["room"]},
                            {"type": "string"},
                        ]
                    }
                }
            },
            '{"to": {"room": "a"}}',
        ),
        (
            {
                "properties": {
                    "o": {
                        "$ref": "#/$defs/o",
                        "properties": {"b": {"type": "integer"}},
                        "required": ["b"],
                    }
                },
                "required": ["o"],
                "$defs": {"o": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            },
            '{"o": {"a": 1, "b": 2}}',
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {"type": "integer"}}, "additionalProperties": True},
                    {"properties": {"b": {"type": "array", "items": {"type": "integer"}}}},
                ]
            },
            '{"a": 1, "b": [2]}',
        ),
        ({"properties": {"n": {"type": "array", "uniqueItems": False}}}, '{"n": [1, 1]}'),
    ],
)
def test_bounds_leave_joined_schemas_satisfiable(plain, chatml, schema, value):
    tool = Tool("t", "", schema)
    text = call(FORMS["hermes"], "t", value)
    assert allowed(plain.tools([tool], "required"), chatml, text) == "end"
    jsonschema.validate(json.loads(value), schema)


JOINED = {
    "parts": (
        {
            "allOf": [
                {"properties": {"a": INTEGER}, "required": ["a"]},
                {"properties": {"b": INTEGER}},
            ]
        },
        ['{"a": 1, "b": 2}'],
        ['{"a": 1, "c": 2}'],
    ),
    "within parts": (
        {
            "allOf": [
                {"properties": {"o": {"properties": {"a": INTEGER}}}},
                {
                    "properties": {
                        "o": {"properties": {"b": INTEGER}},
                        "l": {"type": "array", "items": {"properties": {"a": INTEGER}}},
                    }
                },
            ]
        },
        ['{"o": {"a": 1, "b": 2}}', '{"l": [{"a": 1}]}'],
        ['{"o": {"a": 1, "c": 2}}', '{"l": [{"b": 1}]}'],
    ),
    "a definition as the one part": (
        {
            "properties": {"o": {"title": "O", "allOf": [{"$ref": "#/definitions/o"}]}},
            "definitions": {
                "o": {"properties": {"i": {"allOf": [{"$ref": "#/definitions/i"}]}}},
                "i": {"properties": {"a": INTEGER}},
            },
        },
        ['{"o": {"i": {"a": 1}}}'],
        ['{"o": {"a": 1}}', '{"o": {"i": {"b": 1}}}'],
    ),
    "a definition twice": (
        {
            "allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/c"}],
            "$defs": {
                "a": {"properties": {"a": INTEGER}},
                "b": {"allOf": [{"$ref": "#/$defs/a"}], "properties": {"b": INTEGER}},
                "c": {"allOf": [{"$ref": "#/$defs/a"}], "properties": {"c": INTEGER}},
            },
        },
        ['{"a": 3, "b": 1, "c": 2}', '{"c": 1}'],
        ['{"d": 1}'],
    ),
    "a definition within itself": (
        {
            "properties": {"n": {"allOf": [{"$ref": "#/$defs/n"}], "properties": {"b": INTEGER}}},
            "$defs": {"n": {"properties": {"a": INTEGER, "n": {"$ref": "#/$defs/n"}}}},
        },
        ['{"n": {"n": {"a": 1, "n": {}}, "b": 1}}'],
        ['{"n": {"c": 1}}'],
    ),
    "a definition beside a schema of its own": (
        {
            "properties": {"o": {"$ref": "#/$defs/o", "properties": {"b": INTEGER}}},
            "$defs": {"o": {"properties": {"a": INTEGER, "o": {"$ref": "#/$defs/o"}}}},
        },
        ['{"o": {"a": 1, "o": {"a": 1}, "b": 2}}'],
        ['{"o": {"c": 1}}', '{"o": {"o": {"b": 1}}}'],
    ),
    "values of which little is said": (
        {
            "allOf": [
                {"properties": {"o": {"type": "object"}, "l": {"type": "array"}}},
                {"properties": {"a": {"x-order": 1}}, "additionalProperties": {"title": "any"}},
            ]
        },
        ['{"o": {"k": 1}, "l": [1, "b"], "a": 1}'],
        ['{"o": {"k": [1]}}', '{"l": [[1]]}', '{"a": {"b": 1}}', '{"c": 1}'],
    ),
    "one of several beside what all have": (
        {
            "properties": {"a": INTEGER},
            "anyOf": [
                {"properties": {"b": {"const": 1}}, "required": ["b"]},
                {"properties": {"c": {"const": 1}}, "required": ["c"]},
            ],
        },
        ['{"a": 1, "b": 1}', '{"c": 1}'],
        ['{"b": 1, "d": 1}'],
    ),
}


@pytest.mark.parametrize("kind", JOINED)
def test_keys_that_no_part_names_are_left_out(plain, chatml, kind):
    schema, taken, left_out = JOINED[kind]
    tool = Tool("t", "", schema)

    def end(arguments):
        jsonschema.validate(json.loads(arguments), schema)
        text = call(FORMS["hermes"], "t", arguments)
        return allowed(plain.tools([tool], "required"), chatml, text)

    assert {each: end(each) for each in taken} == dict.fromkeys(taken, "end")
    assert {each: end(each) for each in left_out} == dict.fromkeys(left_out, "no")


def test_definitions_that_stand_for_very_many_are_not_followed_for_ever():
    def chain(**more):
        for n in range(60):
            pair = {k: {"$ref": f"#/$defs/d{n + 1}"} for k in "ab"}
            wider = {k: {**ref, **more} for k, ref in pair.items()}
            yield f"d{n}", {"allOf": [{"properties": pair}, {"properties": wider}]}

    own = {"properties": {"own": INTEGER}}
    schema = {"allOf": [{"$ref": "#/$defs/d0"}, own], "$defs": {**dict(chain()), "d60": True}}
    assert len(json.dumps(bounded(schema, 100))) < 10 * len(json.dumps(schema))
    with pytest.raises(BackendError, match="too many parts"):
        bounded({**schema, "$defs": {**dict(chain(**own)), "d60": True}}, 100)
    many = {"properties": {f"k{n}": INTEGER for n in range(900)}}
    often = {f"p{n}": {"allOf": [{"$ref": "#/$defs/many"}, own]} for n in range(300)}
    with pytest.raises(BackendError, match="too many parts"):
        bounded({"properties": often, "$defs": {"many": many}}, 100)


def test_free_keys_are_left_out_beside_named_ones_or_counted():
    def keys(**schema):
        new = bounded({"type": "object", **schema}, 100)
        return new["additionalProperties"], new.get("maxProperties")

    one, number = {"a": INTEGER}, {"type": "number"}
    assert keys(properties=one, additionalProperties=True) == (False, None)
    assert keys(properties=one, additionalProperties=number) == (False, None)
    required, most = keys(properties=one, required=["a"], additionalProperties=number)
    assert (required["type"], most) == ("number", MOST + 1)
    assert keys(patternProperties={"^x": number}) == (False, MOST)
    assert keys(patternProperties={"^x": number}, properties=one, required=["a"]) == (
        False,
        MOST + 1,
    )
    assert keys(additionalProperties=number) == (False, MOST)  # as a pattern of all short keys


LONG = "k" * 41
UNBOUND = [
    (
        {"properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": TEXT},
        key,
    )
    for key in (f'{{"a": 1, "{LONG}": "x"}}', '{"a": 1, "\\u0061": "x"}')
] + [
    ({"required": ["a"]}, f'{{"a": 1, "{LONG}": 1}}'),
    ({"properties": {"v": {"properties": {"a": INTEGER}}}}, '{"v": [1]}'),
    ({"properties": {"v": {"minimum": 1}}}, '{"v": [1]}'),
    ({"properties": {"v": {"minLength": 2}}}, f'{{"v": "{"x" * 5000}"}}'),
    (
        {"properties": {"v": {**TEXT, "format": "email", "pattern": "m$"}}},
        f'{{"v": "{"a" * 5000}@b.com"}}',
    ),
    (
        {
            "anyOf": [
                {"properties": {"a": INTEGER}, "required": ["a"]},
                {"properties": {"b": INTEGER}, "required": ["b"]},
            ]
        },
        '{"a": 1, "b": [[1]]}',
    ),
]


@pytest.mark.parametrize(("schema", "arguments"), UNBOUND)
def test_nothing_is_left_without_a_bound(plain, chatml, schema, arguments):
    tool = Tool("t", "", schema)
    text = call(FORMS["hermes"], "t", arguments)
    assert allowed(plain.tools([tool], "required"), chatml, text) == "no"


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([{**OBJECT, "properties": {"a": TEXT}}, {**OBJECT, "required": ["b"]}], "two parts"),
        ([True, {"type": "array"}], "two parts"),
        ([{"type": "array"}, {"type": "array", "items": INTEGER}], "two parts"),
        ([{"minProperties": 2, "additionalProperties": INTEGER}], "minProperties"),
    ],
)
def test_what_would_be_taken_though_it_is_not_valid_is_refused(plain, parts, why):
    with pytest.raises(BackendError, match=why):
        plain.tools([Tool("t", "", {"properties": {"v": {"oneOf": parts}}})])


RECURSIVE = {
    "by its name": {
        "properties": {"n": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"n": {"$ref": "#/$defs/node"}}}},
    },
    "as a whole": {"type": "object", "properties": {"n": {"$ref": "#"}}},
    "by way of another": {
        "properties": {"n": {"$ref": "#/definitions/a"}},
        "definitions": {
            "a": {"anyOf": [{"$ref": "#/definitions/b"}, {"type": "null"}]},
            "b": {"type": "object", "properties": {"n": {"$ref": "#/definitions/a"}}},
        },
    },
}


@pytest.mark.parametrize("kind", RECURSIVE)
def test_a_definition_within_itself_ends(plain, chatml, kind):
    def nested(depth):
        return '{"n": ' * depth + "{}" + "}" * depth

    tool = Tool("t", "", RECURSIVE[kind])
    tokenizer = chatml

    def taken(depth):
        text = call(FORMS["hermes"], "t", nested(depth))
        return allowed(plain.tools([tool], "required"), tokenizer, text)

    assert [taken(depth) for depth in (0, 1, 2)] == ["end"] * 3
    assert taken(DEPTH + 2) == "no"
    for seed in range(8):
        constraint = plain.tools([tool], "required", longest=LONGEST)
        for found in [d.tool_call for d in walk(constraint, tokenizer, [tool], seed)]:
            assert (
                found is None
                or jsonschema.validate(json.loads(found.arguments), RECURSIVE[kind]) is None
            )
