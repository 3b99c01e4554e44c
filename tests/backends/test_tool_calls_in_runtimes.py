"""Constrained tool calls through whole backends: tiny models of each layout, and the embedded."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import benchmark_files
import pytest
import tiny_models
from tool_layouts import FAMILIES, THINKING

from workbench import backends
from workbench.backends.local import LocalBackend
from workbench.errors import BackendError
from workbench.records import Message, NamedTool, Sampling, Tool
from workbench.settings import Settings

LIGHT = Tool(
    "light",
    "Switch a light.",
    {
        "type": "object",
        "properties": {"room": {"enum": ["hall", "кухня"]}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
    },
)
CALLS = 60


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """Whose tasks and whose judgement are used here too."""
    return benchmark_files.module("tool_calls")


@pytest.fixture(
    scope="module", params=["hermes", "qwen-xml", "llama-json", "mistral-list", "mistral-args"]
)
def family(request: pytest.FixtureRequest, tmp_path_factory) -> Path:
    """Folder of a tiny random Llama with the tokens and the template of a family.

    Without those of thinking: a random model would think for ever.
    """
    layout = FAMILIES[request.param]
    markers = [marker for marker in layout.markers if marker not in THINKING]
    folder = tmp_path_factory.mktemp("families") / request.param
    return tiny_models.build(folder, "llama", markers=markers, template=layout.template)


@pytest.fixture(scope="module", params=["llama.cpp", pytest.param("onnx", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest, family: Path, home: Path, tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    settings = Settings(root=root, home=home, model_path=str(family), n_threads=1)
    with backends.load(settings, name=request.param) as loaded:
        yield loaded


@pytest.mark.parametrize("choice", ["required", NamedTool("light")], ids=["required", "named"])
def test_a_random_model_calls_validly_in_its_own_form(backend: LocalBackend, choice):
    sampling = Sampling(temperature=1.0, max_tokens=600, seed=3)
    answer = backend.complete("Light!", tools=[LIGHT], tool_choice=choice, sampling=sampling)
    assert (answer.finish_reason, answer.text) == ("tool_calls", "")
    assert {call.name for call in answer.tool_calls} == {"light"}
    for call in answer.tool_calls:
        arguments = json.loads(call.arguments)
        assert arguments["room"] in ("hall", "кухня")
        assert isinstance(arguments["on"], bool)
    form, added = backend.tokenizer.tool_form, backend.tokenizer.added_tokens
    if form.opening in added:
        assert answer.token_ids[0] == added[form.opening]
    again = backend.complete("Light!", tools=[LIGHT], tool_choice=choice, sampling=sampling)
    assert again.token_ids == answer.token_ids


def test_a_conversation_with_calls_has_the_same_tokens_in_the_runtime(backend: LocalBackend):
    sampling = Sampling(temperature=1.0, max_tokens=600, seed=3)
    choice = NamedTool("light")
    answer = backend.complete("Light!", tools=[LIGHT], tool_choice=choice, sampling=sampling)
    talk = [
        Message("user", "Light!"),
        Message("assistant", answer.text, tool_calls=answer.tool_calls),
        Message("tool", '"done"', tool_call_id=answer.tool_calls[0].id),
    ]
    text = backend.tokenizer.render(talk, [LIGHT])
    assert "кухня" in text
    ids = backend.tokenizer.encode(text)
    assert backend.engine.tokenize(text) == ids
    marks = [i for t, i in backend.tokenizer.added_tokens.items() if t in text and t[0] == "["]
    assert all(mark in ids for mark in marks)
    assert backend.complete(talk, tools=[LIGHT], sampling=Sampling.greedy(4)).token_ids


def test_none_leaves_no_call(backend: LocalBackend):
    sampling = Sampling(temperature=1.0, max_tokens=40, seed=5)
    answer = backend.complete("Light!", tools=[LIGHT], tool_choice="none", sampling=sampling)
    assert answer.tool_calls == ()


def test_choices_that_can_not_be_kept_are_refused(backend: LocalBackend):
    with pytest.raises(BackendError, match="light"):
        backend.complete("?", tools=[LIGHT], tool_choice=NamedTool("lamp"))
    with pytest.raises(BackendError, match="no tools are given"):
        backend.complete("?", tool_choice="required")
    with pytest.raises(BackendError, match=r"The tool lamp .* JSON Schema"):
        backend.complete("?", tools=[LIGHT, Tool("lamp", "", {"properties": 5})])
    assert set(backend.refused([LIGHT, Tool("lamp", "", {"properties": 5})])) == {"lamp"}
    assert backend.refused([]) == {}


def test_a_text_that_was_ended_by_force_is_said_to_be_cut(backend: LocalBackend):
    parameters = {"type": "object", "properties": {"t": {"type": "string", "minLength": 200}}}
    tool = Tool("say", "", {**parameters, "required": ["t"]})
    sampling = Sampling(temperature=1.0, max_tokens=200, seed=1)
    answer = backend.complete("?", tools=[tool], tool_choice=NamedTool("say"), sampling=sampling)
    assert answer.finish_reason == "length"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama.cpp", "onnx"])
def test_every_call_of_the_smallest_model_is_valid(name, benchmark, tmp_path):
    home = Settings.load(root=Path.cwd()).home
    settings = Settings(root=tmp_path, home=home, n_threads=1)
    tasks = benchmark.tasks()
    assert len(tasks) == 30
    with backends.load(settings, name=name) as backend:
        faults = [
            (task.tool.name, wrong)
            for seed, task in enumerate(tasks)
            for answer in benchmark.ask(backend, task, CALLS // len(tasks), seed=seed)
            if (wrong := benchmark.fault(answer, task.tool))
        ]
    assert faults == []


def test_candidates_may_call_tools(backend: LocalBackend):
    sampling = Sampling(temperature=1.0, max_tokens=300, seed=4)
    draw = {"tools": [LIGHT], "tool_choice": NamedTool("light"), "sampling": sampling}
    answers = backend.sample("Light!", 3, **draw)
    assert {call.name for answer in answers for call in answer.tool_calls} == {"light"}
    ids = [call.id for answer in answers for call in answer.tool_calls]
    assert len(set(ids)) == len(ids) == 3
    assert [a.id for a in backend.sample("Light!", 3, **draw)] == [a.id for a in answers]
