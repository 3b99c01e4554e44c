"""LocalBackend over an engine that is told what to say: what needs no real model."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from workbench.backends.local import LocalBackend
from workbench.errors import AdapterError, BackendError
from workbench.models import Tokenizer
from workbench.records import Message, Sampling, Tool

GREEDY = Sampling.greedy(400)
SEARCH = Tool(
    "search",
    "Search the web.",
    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)


class ScriptedEngine:
    """Says one token after another, whatever it is asked."""

    adapter_form = "adapter.gguf"
    precision = "scripted"
    context = 600

    def __init__(self, vocabulary: int, script: list[int]) -> None:
        self.vocabulary = vocabulary
        self.script = script
        self.said = 0
        self.closed = 0
        self.loaded: dict[str, Path] = {}

    def together(self, prompt, capacity):
        return 2

    def start(self, prompt, n, capacity, adapter):
        self.said = 0
        return self._row(), 0

    def step(self, tokens):
        self.said += 1
        return {sequence: self._row() for sequence in tokens}

    def reset(self):
        pass

    def load_adapter(self, path, name):
        self.loaded[name] = path

    def unload_adapter(self, name):
        del self.loaded[name]

    def close(self):
        self.closed += 1

    def _row(self):
        row = np.zeros(self.vocabulary, np.float32)
        row[self.script[min(self.said, len(self.script) - 1)]] = 20
        return row


@pytest.fixture(scope="module")
def tokenizer(tiny_qwen3: Path) -> Tokenizer:
    return Tokenizer(tiny_qwen3)


@pytest.fixture
def says(tokenizer: Tokenizer):
    """A backend that answers the given text, then ends its turn."""

    def backend(text: str) -> LocalBackend:
        script = [*tokenizer.encode(text), min(tokenizer.eos_ids)]
        engine = ScriptedEngine(tiny_models.VOCABULARY, script)
        return LocalBackend(engine, tokenizer, name="llama.cpp", model="f" * 64)

    return backend


def test_an_answer_ends_with_its_turn_and_says_what_it_used(says, tokenizer):
    answer = says("Hello, how are you?").complete("Hi", sampling=GREEDY)
    assert (answer.text, answer.finish_reason) == ("Hello, how are you?", "stop")
    assert answer.usage.completion_tokens == len(answer.token_ids)
    assert answer.usage.prompt_tokens == len(tokenizer.prompt_ids([Message("user", "Hi")]))


def test_reasoning_and_answer_come_apart(says):
    answer = says("<think>\nHm.\n</think>\n\nYes.").complete("?", sampling=GREEDY)
    assert (answer.reasoning, answer.text) == ("\nHm.\n", "Yes.")


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(says):
    answer = says("one two three").complete("?", sampling=Sampling.greedy(50, stop=("o th",)))
    assert (answer.text, answer.finish_reason) == ("one tw", "stop")


def test_a_tool_call_is_parsed_and_named_as_the_reason(says):
    call = '<tool_call>\n{"name": "search", "arguments": {"query": "torque"}}\n</tool_call>'
    answer = says(f"Let me look. {call}").complete("?", tools=[SEARCH], sampling=GREEDY)
    [found] = answer.tool_calls
    assert (found.name, json.loads(found.arguments)) == ("search", {"query": "torque"})
    assert answer.finish_reason == "tool_calls"
    assert answer.text == "Let me look. "


def test_tool_calls_of_different_turns_have_different_ids(says):
    backend = says('<tool_call>\n{"name": "search", "arguments": {"query": "a"}}\n</tool_call>')
    ids = {
        backend.complete(prompt, tools=[SEARCH], sampling=GREEDY).tool_calls[0].id
        for prompt in ("one", "two")
    }
    assert len(ids) == 2


def test_tools_and_a_schema_together_are_refused(says):
    with pytest.raises(BackendError, match="schema"):
        says("x").chat("?", tools=[SEARCH], schema={"type": "object"})


def test_a_wrong_request_is_refused_before_the_stream_is_read(says):
    with pytest.raises(BackendError, match="top_p"):
        says("x").chat("?", sampling=Sampling(top_p=0))


def test_more_answers_than_fit_together_are_drawn_in_groups(says):
    answers = says("Good morning").sample("?", 5, sampling=Sampling(temperature=0.1))
    assert [a.text for a in answers] == ["Good morning"] * 5
    assert len({a.id for a in answers}) == 5
    with pytest.raises(BackendError, match="at least one"):
        says("x").sample("?", 0)


def test_ids_name_the_answer_and_are_equal_when_it_is_drawn_again(says):
    first, again = (says("Hello").sample("?", 2) for _ in range(2))
    assert [a.id for a in first] == [a.id for a in again]
    assert says("Hello").sample("!", 1)[0].id != first[0].id


def test_a_newer_request_ends_an_unread_stream(says):
    backend = says("Hello there, my friend")
    stream = backend.chat("?", sampling=GREEDY)
    next(stream)
    backend.complete("?", sampling=GREEDY)
    with pytest.raises(BackendError, match="newer request"):
        list(stream)


def test_threads_wait_for_each_other(says):
    backend = says("Hello there, my friend")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: backend.complete(f"{i}?", sampling=GREEDY), range(12)))
    assert [a.text for a in answers] == ["Hello there, my friend"] * 12


def test_the_answer_ends_where_the_context_does(says):
    backend = says("word " * 2000)
    answer = backend.complete("?", sampling=Sampling.greedy(5000))
    assert answer.finish_reason == "length"
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == backend.engine.context


def test_a_generation_of_another_base_is_refused(says, tmp_path):
    backend = says("x")
    (tmp_path / "adapter.gguf").write_bytes(b"one")
    (tmp_path / "manifest.json").write_text(json.dumps({"base": backend.model}))
    backend.load_adapter(tmp_path, "same")
    (tmp_path / "manifest.json").write_text(json.dumps({"base": "other"}))
    for path in (tmp_path, tmp_path / "adapter.gguf"):
        with pytest.raises(AdapterError, match="another base"):
            backend.load_adapter(path, "other")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(AdapterError, match="is damaged"):
        backend.load_adapter(tmp_path, "broken")


def test_a_name_serves_one_adapter_and_loading_it_again_is_no_error(says, tmp_path):
    backend = says("x")
    (tmp_path / "adapter.gguf").write_bytes(b"one")
    (tmp_path / "two.gguf").write_bytes(b"two")
    backend.load_adapter(tmp_path, "short")
    backend.load_adapter(tmp_path / "adapter.gguf", "short")
    assert backend.engine.loaded == {"short": tmp_path / "adapter.gguf"}
    with pytest.raises(AdapterError, match="another name"):
        backend.load_adapter(tmp_path / "two.gguf", "short")
    answer = backend.complete("?", adapter="short")
    assert answer.adapter == backend.adapters["short"]


@pytest.mark.parametrize("name", ["missing.gguf", "notes.txt", "empty"])
def test_what_is_no_adapter_of_this_runtime_is_refused(says, tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AdapterError):
        says("x").load_adapter(tmp_path / name, "a")


def test_closing_twice_closes_once(says):
    with says("x") as backend:
        engine = backend.engine
        backend.close()
    assert engine.closed == 1
    with pytest.raises(BackendError, match="closed"):
        backend.complete("?")
