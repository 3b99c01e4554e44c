"""Calls as the families write them, read however the stream is cut.

The examples follow what the families document: Meta's prompt formats of Llama 3.1 to 3.3, the
chat templates of Qwen 3, Qwen3-Coder, Hermes and Mistral, mistral-common's tokenizers.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.backends.pieces import Pieces
from workbench.backends.tool_calls import CallReader
from workbench.models.tool_forms import FORMS
from workbench.records import Tool

PLACE = {"location": "San Francisco, California, United States", "unit": "celsius"}
NESTED = {"a": {"b": [{"c": {}}, "}]{["]}, "d": '"}\\" <tool_call> </tool_call> [TOOL_CALLS]'}
UNICODE = {"город": "Рига 🦜👩🏽‍🚀", "n": None, "é": [1.5, True]}

TOOLS = [
    Tool(
        "calculate_area",
        "Area of a shape.",
        {
            "type": "object",
            "properties": {
                "shape": {"type": "string"},
                "dimensions": {"type": "object"},
                "precision": {"$ref": "#/$defs/digits"},
                "label": {"$ref": "#/$defs/words"},
                "unit": {"enum": ["m", "ft"]},
                "either": {"type": ["string", "null"]},
            },
            "$defs": {"digits": {"type": "integer"}, "words": {"type": "string"}},
        },
    ),
    Tool("get_weather", "Weather.", {"type": "object", "properties": {}}),
]


def body(name, arguments, key="arguments"):
    return json.dumps({"name": name, key: arguments}, ensure_ascii=False)


def tagged(*bodies):
    return "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)


def xml(name, **values):
    tags = "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in values.items())
    return f"<tool_call>\n<function={name}>\n{tags}</function>\n</tool_call>"


AREA = xml(
    "calculate_area",
    shape="a </tool_call> in\nlines, {open",
    dimensions='{"width": 10,\n "height": 20}',
    precision="2",
    label="007",
    unit="ft",
)
AREA_READ = {
    "shape": "a </tool_call> in\nlines, {open",
    "dimensions": {"width": 10, "height": 20},
    "precision": 2,
    "label": "007",
    "unit": "ft",
}

# form, what the model wrote, the text left, the calls read
EXAMPLES = {
    "hermes": ("hermes", tagged(body("t", PLACE)), "", [("t", PLACE)]),
    "hermes, no newlines": (
        "hermes",
        f"<tool_call>{body('t', PLACE)}</tool_call>",
        "",
        [("t", PLACE)],
    ),
    "hermes, two in a row": (
        "hermes",
        tagged(body("a", {"x": 1}), body("b", {})),
        "",
        [("a", {"x": 1}), ("b", {})],
    ),
    "hermes, text around": (
        "hermes",
        f"Let me see. {tagged(body('a', NESTED))}\n\nDone.",
        "Let me see. Done.",
        [("a", NESTED)],
    ),
    "hermes, thinking first": (
        "hermes",
        f"<think>\n<tool_call>no</tool_call>\n</think>\n\n{tagged(body('t', UNICODE))}",
        "",
        [("t", UNICODE)],
    ),
    "hermes, keys turned round": (
        "hermes",
        '<tool_call>\n{"arguments": {"name": "Al"}, "name": "age"}\n</tool_call>',
        "",
        [("age", {"name": "Al"})],
    ),
    "hermes, arguments as a string": (
        "hermes",
        tagged(body("t", '{"param": "max \\"n\\""}')),
        "",
        [("t", {"param": 'max "n"'})],
    ),
    "hermes, arguments missing": ("hermes", tagged('{"name": "t"}'), "", [("t", {})]),
    "hermes, arguments null": ("hermes", tagged(body("t", None)), "", [("t", {})]),
    "hermes, a list of calls": (
        "hermes",
        tagged(f"[{body('a', {})}, {body('b', PLACE)}]"),
        "",
        [("a", {}), ("b", PLACE)],
    ),
    "hermes, cut before its closing": ("hermes", f"<tool_call>\n{body('t', {})}", "", [("t", {})]),
    "qwen-xml": ("qwen-xml", f"Sure.{AREA}", "Sure.", [("calculate_area", AREA_READ)]),
    "qwen-xml, two in a row": (
        "qwen-xml",
        f"{xml('get_weather')}\n{AREA}",
        "",
        [("get_weather", {}), ("calculate_area", AREA_READ)],
    ),
    "qwen-xml, JSON inside": ("qwen-xml", tagged(body("t", PLACE)), "", [("t", PLACE)]),
    "qwen-xml, its closing tag in JSON": (
        "qwen-xml",
        xml(
            "calculate_area", dimensions='{"</parameter>": ["\\"</function>"]}', note="</tool_call>"
        ),
        "",
        [
            (
                "calculate_area",
                {"dimensions": {"</parameter>": ['"</function>']}, "note": "</tool_call>"},
            )
        ],
    ),
    "qwen-xml, its closing tag in a string": (
        "qwen-xml",
        xml("calculate_area", either=r'"\"</parameter>\n"', precision="2"),
        "",
        [("calculate_area", {"either": '"</parameter>\n', "precision": 2})],
    ),
    "qwen-xml, a tool unknown": ("qwen-xml", xml("other", n="1"), "", [("other", {"n": "1"})]),
    "qwen-xml, a value that is no JSON": (
        "qwen-xml",
        xml("calculate_area", precision="two"),
        "",
        [("calculate_area", {"precision": "two"})],
    ),
    "llama-json": (
        "llama-json",
        body("search", {"query": 'He said "{x}" [y]', "limit": 10}, "parameters"),
        "",
        [("search", {"query": 'He said "{x}" [y]', "limit": 10})],
    ),
    "llama-json, after its tag": (
        "llama-json",
        '<|python_tag|>{\n    "type": "function",\n    "name": "trending_songs",\n'
        '    "parameters": {\n        "n": "10",\n        "genre": "all"\n    }\n}',
        "",
        [("trending_songs", {"n": "10", "genre": "all"})],
    ),
    "llama-json, arguments for parameters": (
        "llama-json",
        "\n" + body("search", NESTED),
        "",
        [("search", NESTED)],
    ),
    "llama-json, several": (
        "llama-json",
        f"{body('a', {}, 'parameters')} ; {body('b', UNICODE, 'parameters')};\n"
        f"{body('c', {}, 'parameters')}\n{body('d', {}, 'parameters')} I used {{a}}.",
        "I used {a}.",
        [("a", {}), ("b", UNICODE), ("c", {}), ("d", {})],
    ),
    "llama-function": (
        "llama-function",
        '<function=trending_songs>{"n": 10, "t": "</function>"}</function>',
        "",
        [("trending_songs", {"n": 10, "t": "</function>"})],
    ),
    "mistral-list": (
        "mistral-list",
        f"[TOOL_CALLS] [{body('add', {'a': 3.5, 'b': 4})}, {body('get_weather', NESTED)}]",
        "",
        [("add", {"a": 3.5, "b": 4}), ("get_weather", NESTED)],
    ),
    "mistral-list, with ids": (
        "mistral-list",
        '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1}, "id": "VvvODy9mT"}]',
        "",
        [("add", {"a": 1})],
    ),
    "mistral-list, white space": (
        "mistral-list",
        '[TOOL_CALLS]  [ {"name":"add" , "arguments" : {"a": 3} } ]',
        "",
        [("add", {"a": 3})],
    ),
    "mistral-list, text around": (
        "mistral-list",
        f"Hello[TOOL_CALLS] [{body('add', {})}]\nextra data",
        "Helloextra data",
        [("add", {})],
    ),
    "mistral-args": (
        "mistral-args",
        '[TOOL_CALLS]add[ARGS]{"a": 3.5}[TOOL_CALLS]multiply[ARGS]{"b": "[ARGS]{"}',
        "",
        [("add", {"a": 3.5}), ("multiply", {"b": "[ARGS]{"})],
    ),
    "mistral-args, with ids": (
        "mistral-args",
        'hi{hi[TOOL_CALLS]bash[CALL_ID]VvvODy9mT[ARGS]{"command": "print(\\"x\\")\\n"}',
        "hi{hi",
        [("bash", {"command": 'print("x")\n'})],
    ),
    "mistral-args, without its mark": (
        "mistral-args",
        '[TOOL_CALLS]get_weather{"city": "Dallas"}',
        "",
        [("get_weather", {"city": "Dallas"})],
    ),
    "mistral-args, the older list": (
        "mistral-args",
        f"[TOOL_CALLS][{body('t', PLACE)}]",
        "",
        [("t", PLACE)],
    ),
    "json": ("json", body("t", UNICODE), "", [("t", UNICODE)]),
}

# form, what the model wrote: no call, and not a character may be lost
NO_CALLS = {
    "plain": ("hermes", "3 < 4 and <tool_calls>"),
    "no JSON": ("hermes", "a <tool_call>not json</tool_call> b"),
    "JSON that is broken": ("hermes", '<tool_call>\n{"name": "t", "arguments": {x}}\n</tool_call>'),
    "a brace missing": ("hermes", '<tool_call>\n{"name": "t", "arguments": {"a": 1}\n</tool_call>'),
    "no name": ("hermes", '<tool_call>{"arguments": {}}</tool_call>'),
    "a name that is none": ("hermes", '<tool_call>{"name": 5, "arguments": {}}</tool_call>'),
    "a list for arguments": ("hermes", '<tool_call>{"name": "t", "arguments": [1]}</tool_call>'),
    "words for arguments": ("hermes", '<tool_call>{"name": "t", "arguments": "hi"}</tool_call>'),
    "no number": ("hermes", '<tool_call>{"name": "t", "arguments": {"a": NaN}}</tool_call>'),
    "half a character": ("hermes", '<tool_call>{"name": "t", "arguments": {"a": "\\ud83d"}}'),
    "cut in a string": ("hermes", '<tool_call>\n{"name": "t", "arguments": {"a": "one </tool_call'),
    "cut in the opening": ("hermes", "text <tool_c"),
    "an opening alone": ("hermes", "text <tool_call>"),
    "deeper than Python reads": ("hermes", '<tool_call>{"a": ' + "[" * 1200 + "]" * 1200 + "}"),
    "longer than Python counts": ("hermes", '<tool_call>{"a": ' + "9" * 5000 + "}</tool_call>"),
    "XML without its end": ("qwen-xml", "<tool_call>\n<function=a>\n<parameter=b>\n1\n"),
    "XML of another kind": ("qwen-xml", "<tool_call>\n<functions>x</functions>\n</tool_call>"),
    "XML with text between": (
        "qwen-xml",
        "<tool_call>\n<function=a>\nx\n</function>\n</tool_call>",
    ),
    "an answer in JSON": ("llama-json", '{"answer": {"name": "Al"}}'),
    "a name alone": ("llama-json", '{"name": "tool_without_parameters"}'),
    "a set": ("llama-json", "{x | x > 0} is a set"),
    "a call within text": ("llama-json", 'Here: {"name": "a", "parameters": {}}'),
    "a built-in tool": ("llama-json", '<|python_tag|>brave_search.call(query="gold")'),
    "cut in the tag": ("llama-json", "<|python"),
    "cut in the JSON": ("llama-json", '{"name": "a", "parameters": {'),
    "a function without arguments": ("llama-function", "<function=now></function>"),
    "a tag of HTML": ("llama-function", "use <function= as a tag"),
    "no list": ("mistral-list", "[TOOL_CALLS] not json at all"),
    "a list that is empty": ("mistral-list", "[TOOL_CALLS][]"),
    "a list with something else": ("mistral-list", '[TOOL_CALLS][{"name": "a"}, 1]'),
    "a list that is cut": ("mistral-list", '[TOOL_CALLS][{"name": "a", "arguments": {}},'),
    "a name without arguments": ("mistral-args", "[TOOL_CALLS]toolname_no_args"),
    "two names": ("mistral-args", '[TOOL_CALLS]two names{"a": 1}'),
}


def decode(tokens):
    """A tokenizer whose tokens are single bytes."""
    return bytes(tokens).decode("utf-8", errors="replace")


def read(form, pieces):
    """Text and calls of an answer that comes in pieces of bytes."""
    stream = Pieces(
        lambda tokens: b"".join(tokens).decode("utf-8", errors="replace"),
        reader=CallReader(FORMS[form], TOOLS),
        calls="id",
    )
    deltas = [delta for piece in pieces for delta in stream.push(piece)] + stream.flush()
    calls = [delta.tool_call for delta in deltas if delta.tool_call]
    assert [call.id for call in calls] == [f"id-{n + 1}" for n in range(len(calls))]
    return "".join(d.text for d in deltas), [(c.name, json.loads(c.arguments)) for c in calls]


def cut_everywhere(text):
    """All ways to cut the bytes of `text` in two, the bytes one by one, and as a whole."""
    data = text.encode()
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for at in range(1, len(data), 1 if len(data) < 600 else len(data) // 20):
        yield [data[:at], data[at:]]


@pytest.mark.parametrize("example", EXAMPLES)
def test_calls_are_read_however_the_stream_is_cut(example):
    form, wrote, text, calls = EXAMPLES[example]
    for pieces in cut_everywhere(wrote):
        assert read(form, pieces) == (text, calls)


@pytest.mark.parametrize("example", NO_CALLS)
def test_what_is_no_call_stays_text_to_the_last_character(example):
    form, wrote = NO_CALLS[example]
    for pieces in cut_everywhere(wrote):
        assert read(form, pieces) == (wrote, [])


def test_a_call_after_a_broken_one_is_read():
    wrote = f"<tool_call>oops</tool_call> {tagged(body('t', {}))}"
    for pieces in cut_everywhere(wrote):
        assert read("hermes", pieces) == ("<tool_call>oops</tool_call> ", [("t", {})])


def test_a_call_is_given_as_soon_as_it_is_whole():
    stream = Pieces(decode, reader=CallReader(FORMS["hermes"], TOOLS), calls="id")
    wrote = f"<tool_call>\n{body('t', {'a': 1})}"
    given = [stream.push(byte) for byte in wrote.encode()]
    assert [d.tool_call.name for d in given[-1]] == ["t"]


@given(st.sampled_from(sorted(FORMS)), st.data())
def test_any_text_means_the_same_however_it_is_cut(form, data):
    marks = ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<function=", "</function>"]
    bits = [*marks, "<parameter=a>", "</parameter>", '{"name": "a", "arguments": {}}', "t", ";"]
    bits += ["{", "}", '"', "[", "]", "<|python_tag|>", "<think>", "</think>", "\n", " ", "я", ">"]
    wrote = "".join(data.draw(st.lists(st.sampled_from(bits), max_size=12))).encode()
    at = sorted(data.draw(st.lists(st.integers(0, len(wrote)), max_size=6)))
    pieces = [wrote[a:b] for a, b in zip([0, *at], [*at, len(wrote)], strict=True)]
    assert read(form, pieces) == read(form, [wrote])
    assert read(form, [wrote[i : i + 1] for i in range(len(wrote))]) == read(form, [wrote])
