"""A backend as a LangChain chat model: what it says arrives whole, whoever asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_parts import END, Deltas
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from pydantic import BaseModel

from workbench import backends
from workbench.agents.chat_model import BackendChat, to_record
from workbench.backends import Backend
from workbench.errors import InputError
from workbench.records import Delta, Message, NamedTool, Sampling, Tool, ToolCall
from workbench.settings import Settings

ADD = Tool(
    "add",
    "Add two whole numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)


def test_an_answer_arrives_whole_with_its_usage_and_what_made_it():
    backend = Deltas(
        Delta(reasoning="Hm, "),
        Delta(reasoning="blue."),
        Delta("Bl", token_ids=(1,)),
        Delta("ue.", token_ids=(2,)),
        END,
    )
    said = BackendChat(backend=backend, adapter="mine").invoke("What colour?")
    assert said.text == "Blue."
    assert said.additional_kwargs["reasoning_content"] == "Hm, blue."
    assert said.usage_metadata["input_token_details"] == {"cache_read": 4}
    assert (said.usage_metadata["input_tokens"], said.usage_metadata["output_tokens"]) == (10, 3)
    about = said.response_metadata
    assert (about["finish_reason"], about["token_ids"], about["adapter"]) == (
        "stop",
        [1, 2],
        "a" * 64,
    )
    [(messages, options)] = backend.asked
    assert messages == [Message("user", "What colour?")]
    assert options["adapter"] == "mine"
    assert "tools" not in options


def test_a_stream_gives_the_same_in_pieces():
    model = BackendChat(backend=Deltas(Delta("Bl"), Delta("ue."), END))
    pieces = list(model.stream("What colour?"))
    assert [piece.text for piece in pieces if piece.text] == ["Bl", "ue."]
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert isinstance(whole, AIMessageChunk)
    assert whole.usage_metadata["total_tokens"] == 13


def test_calls_arrive_with_their_arguments():
    calls = [ToolCall("x-1", "add", '{"a": 1, "b": 2}'), ToolCall("x-2", "add", '{"a": 3, "b": 4}')]
    backend = Deltas(*(Delta(tool_call=call) for call in calls), END)
    said = BackendChat(backend=backend).bind_tools([ADD]).invoke("Add.")
    assert [(call["id"], call["name"], call["args"]) for call in said.tool_calls] == [
        ("x-1", "add", {"a": 1, "b": 2}),
        ("x-2", "add", {"a": 3, "b": 4}),
    ]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, "auto"),
        ("any", "required"),
        (True, "required"),
        ("none", "none"),
        ("add", NamedTool("add")),
    ],
)
def test_the_choice_of_a_tool_reaches_the_backend(given, meant):
    backend = Deltas(END)
    BackendChat(backend=backend).bind_tools([ADD], tool_choice=given).invoke("Add.")
    assert backend.asked[0][1]["tool_choice"] == meant
    assert backend.asked[0][1]["tools"] == (ADD,)


def test_a_python_function_is_a_tool_as_well():
    def add(a: int, b: int) -> int:
        """Add two whole numbers."""
        return a + b

    backend = Deltas(END)
    BackendChat(backend=backend).bind_tools([add]).invoke("Add.")
    [tool] = backend.asked[0][1]["tools"]
    assert (tool.name, tool.description) == ("add", "Add two whole numbers.")
    assert tool.parameters["required"] == ["a", "b"]


class Sum(BaseModel):
    total: int


def test_a_structured_answer_is_bound_and_read():
    backend = Deltas(Delta('{"total": 3}'), END)
    model = BackendChat(backend=backend)
    assert model.with_structured_output(Sum).invoke("1 + 2?") == Sum(total=3)
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}}
    assert model.with_structured_output(schema).invoke("1 + 2?") == {"total": 3}
    raw = model.with_structured_output(schema, include_raw=True).invoke("1 + 2?")
    assert (raw["parsed"], raw["parsing_error"], raw["raw"].text) == (
        {"total": 3},
        None,
        '{"total": 3}',
    )
    assert backend.asked[1][1]["schema"] == schema


def test_an_answer_that_was_cut_off_says_so():
    model = BackendChat(backend=Deltas(Delta('{"tot'), Delta(finish_reason="length")))
    said = model.with_structured_output({"type": "object"}, include_raw=True).invoke("?")
    assert said["parsed"] is None
    assert isinstance(said["parsing_error"], ValueError)


def test_stop_strings_of_a_call_go_to_the_sampler():
    backend = Deltas(END)
    BackendChat(backend=backend, sampling=Sampling.greedy()).invoke("Go.", stop=["END"])
    assert backend.asked[0][1]["sampling"].stop == ("END",)


def test_a_conversation_is_rendered_turn_by_turn():
    messages = [
        SystemMessage("Be brief."),
        HumanMessage([{"type": "text", "text": "Добавь 🙂"}]),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "c"}]),
        ToolMessage("3", tool_call_id="c"),
    ]
    assert [to_record(message) for message in messages] == [
        Message("system", "Be brief."),
        Message("user", "Добавь 🙂"),
        Message("assistant", "", (ToolCall("c", "add", '{"a": 1, "b": 2}'),)),
        Message("tool", "3", (), "c"),
    ]
    with pytest.raises(InputError, match="'chat' can't be rendered"):
        to_record(ChatMessage("x", role="critic"))


@pytest.fixture(scope="module", params=["llama.cpp", "onnx"])
def real(request: pytest.FixtureRequest) -> Iterator[Backend]:
    with backends.load(Settings.load(root=Path.cwd()), name=request.param) as backend:
        yield backend


@pytest.mark.slow
def test_the_embedded_model_calls_and_answers_in_both_runtimes(real):
    model = BackendChat(backend=real, sampling=Sampling.greedy(64))
    said = model.bind_tools([ADD], tool_choice="add").invoke("What is 17 plus 4?")
    [call] = said.tool_calls
    assert call["name"] == "add"
    assert all(isinstance(call["args"][name], int) for name in ("a", "b"))
    total = model.with_structured_output(Sum).invoke("What is 1 plus 2?")
    assert isinstance(total, Sum)
    assert json.loads(json.dumps(said.response_metadata))["backend"] == real.name
