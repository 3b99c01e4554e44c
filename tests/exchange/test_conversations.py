"""Inputs and outputs of other people's traces, as messages."""

from __future__ import annotations

import json

import pytest
from examples import STRANGE_TEXTS

from workbench.exchange.conversations import answered, asked
from workbench.records import Message, ToolCall

WHY = (Message("user", "Why?"),)


@pytest.mark.parametrize(
    "input",
    [
        "Why?",
        '"Why?"',
        [{"role": "user", "content": "Why?"}],
        [{"type": "human", "content": "Why?"}],
        [{"role": "user", "content": [{"type": "text", "text": "Wh"}, {"text": "y?"}]}],
        {"messages": [{"role": "user", "content": "Why?"}]},
        {"input": "Why?"},
        {"question": "Why?", "chat_history": []},
        {"input": {"messages": [{"role": "user", "content": "Why?"}]}},
        {"args": ["Why?"], "kwargs": {}},
        {"args": [], "kwargs": {"question": "Why?"}},
        {"role": "user", "content": "Why?"},
    ],
)
def test_usual_shapes_read_the_same(input):
    assert asked(input if isinstance(input, str) else json.dumps(input)) == WHY


def test_roles_and_tool_calls_are_kept():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]
    assert asked(json.dumps(turns)) == (
        Message("system", "Be brief."),
        Message("user", "Go"),
        Message("assistant", "", (ToolCall("c1", "f", '{"x": 1}'),)),
        Message("tool", "2", (), "c1"),
    )


@pytest.mark.parametrize(
    ("input", "reason"),
    [
        ("", "empty"),
        ({"temperature": 1}, "no question among its keys: temperature"),
        ([1, 2], "neither text nor messages"),
        ([{"role": "king", "content": "x"}], "unknown role 'king'"),
        ([{"role": {}, "content": "x"}], "unknown role"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "no text .image_url"),
        ([{"role": "user", "content": 7}], "no text"),
        ([{"role": "user", "content": "x", "tool_calls": [7]}], "tool call"),
        ([{"role": "user", "content": "x", "tool_calls": 7}], "tool calls"),
        ([{"role": "user", "content": "x"}, {"role": "ai", "content": "y"}], "ends in a turn"),
        ({"args": ["a", "b"], "kwargs": {}}, "2 arguments"),
        ({"input": {"input": {"input": {"input": {"input": {"input": "x"}}}}}}, "too deep"),
    ],
)
def test_other_shapes_are_refused_with_their_reason(input, reason):
    with pytest.raises(ValueError, match=reason):
        asked(input if isinstance(input, str) else json.dumps(input))


def test_deep_nesting_is_no_crash():
    assert asked("[" * 100_000) == (Message("user", "[" * 100_000),)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("plain", "plain"),
        ('"quoted"', "quoted"),
        ('{"role": "assistant", "content": "x"}', "x"),
        ('[{"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}]', "x"),
        ('{"choices": [{"message": {"role": "assistant", "content": "x"}}]}', "x"),
        ('{"messages": [{"type": "ai", "content": "x"}]}', "x"),
        ('{"output": "x"}', "x"),
        ('{"city": "Paris", "people": 2}', '{"city": "Paris", "people": 2}'),
        ("[1, 2]", "[1, 2]"),
        ("7", "7"),
        ("{not json", "{not json"),
    ],
)
def test_answers_are_read_and_json_that_is_no_chat_stays_text(output, text):
    assert answered(output).content == text


def test_no_output_is_no_answer():
    for output in ("", '{"role": "assistant", "content": ""}'):
        with pytest.raises(ValueError, match="no output"):
            answered(output)


@pytest.mark.parametrize("name", [name for name in STRANGE_TEXTS if name not in ("blank", "empty")])
def test_strange_texts_are_read_as_they_are(name):
    text = STRANGE_TEXTS[name]
    assert asked(text) == (Message("user", text),)
    assert asked(json.dumps([{"role": "user", "content": text}])) == (Message("user", text),)
    assert answered(text).content == text


def test_half_a_surrogate_pair_is_replaced():
    assert asked('[{"role": "user", "content": "a\\ud800b"}]') == (Message("user", "a?b"),)
