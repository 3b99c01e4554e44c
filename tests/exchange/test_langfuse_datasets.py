"""Prompts and preference pairs to Langfuse datasets and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import langfuse_stand_in as langfuse
import pytest
from examples import STRANGE_TEXTS, preference, prompt

from workbench.errors import ServerError
from workbench.exchange.langfuse_datasets import read_prompts, write_preferences, write_prompts
from workbench.exchange.langfuse_project import LangfuseProject, connect
from workbench.records import Message, Origin, Prompt, ToolCall
from workbench.settings import Settings

pytestmark = pytest.mark.slow  # together they take more than ten seconds


@pytest.fixture
def server() -> Iterator[langfuse.StandIn]:
    with langfuse.running() as stand_in:
        yield stand_in


@pytest.fixture
def project(server: langfuse.StandIn) -> Iterator[LangfuseProject]:
    settings = Settings(
        root=Path("/nowhere"),
        home=Path("/nowhere"),
        langfuse_public_key=langfuse.PUBLIC,
        langfuse_secret_key=langfuse.SECRET,
        langfuse_base_url=server.url,
    )
    with closing(connect(settings)) as there:
        yield there


def test_prompts_come_back_as_they_went(project):
    origin = Origin("monday", ("doc-1",), "d", "given")
    call = ToolCall("c1", "f", '{"x": 1}')
    turns = (
        Message("user", "Go"),
        Message("assistant", "", (call,)),
        Message("tool", "2", (), "c1"),
    )
    prompts = [
        prompt("Why?", topic="sky", system="Be brief.", language="ru"),
        replace(prompt("How?"), origin=origin),
        Prompt("with-tools", turns, "tools"),
    ]
    assert write_prompts(project, "a set/with ?", prompts) == 3
    assert read_prompts(project, "a set/with ?") == (prompts, [])


def test_writing_again_writes_nothing_and_a_change_is_written_once(project, server):
    prompts = [prompt("Why?"), prompt("How?")]
    write_prompts(project, "d", prompts)
    assert write_prompts(project, "d", prompts) == 0
    changed = [replace(prompts[0], topic="sky"), prompts[1]]
    assert write_prompts(project, "d", changed) == 1
    assert read_prompts(project, "d")[0] == changed
    assert write_prompts(project, "another", prompts) == 2


def test_items_of_others_are_read_and_what_is_no_prompt_is_set_aside(project, server):
    project.put_dataset("theirs")
    inputs = {"i1": {"question": "Why?"}, "i2": {"x": 1}, "i3": "How?", "i4": None}
    for id, input in inputs.items():
        body = {"datasetName": "theirs", "id": id, "input": input}
        server.handle("POST", "/api/public/dataset-items", {}, body)
    server.datasets["theirs"]["i3"]["status"] = "ARCHIVED"
    prompts, aside = read_prompts(project, "theirs")
    assert prompts == [Prompt("i1", (Message("user", "Why?"),), "i1")]
    assert [(item.source, item.reason) for item in aside] == [
        ("langfuse: item i2 of theirs", "no question among its keys: x"),
        ("langfuse: item i4 of theirs", "the input is neither text nor messages"),
    ]


def test_metadata_that_someone_broke_sets_the_item_aside(project, server):
    write_prompts(project, "d", [prompt("Why?")])
    (item,) = server.datasets["d"].values()
    item["metadata"] = {"workbench_prompt": {"topic": 7}}
    prompts, aside = read_prompts(project, "d")
    assert prompts == []
    assert len(aside) == 1
    item["metadata"] = {"workbench_prompt": "what"}
    assert len(read_prompts(project, "d")[1]) == 1


def test_preference_pairs_are_items_with_the_chosen_answer_expected(project, server):
    pair = preference("Why?", "Because.", "No idea.", raters=("person:anna", "person:ben"))
    assert write_preferences(project, "pairs", [pair]) == 1
    assert write_preferences(project, "pairs", [pair]) == 0
    (item,) = server.datasets["pairs"].values()
    assert item["input"] == [{"role": "user", "content": "Why?"}]
    assert item["expectedOutput"] == {"role": "assistant", "content": "Because."}
    assert item["metadata"]["rejected"] == {"role": "assistant", "content": "No idea."}
    assert item["metadata"]["raters"] == ["person:anna", "person:ben"]
    assert read_prompts(project, "pairs")[0] == [pair.prompt]


@pytest.mark.parametrize("name", [name for name in STRANGE_TEXTS if name not in ("blank", "empty")])
def test_strange_texts_go_and_come_as_they_are(project, name):
    asked = prompt(STRANGE_TEXTS[name])
    write_prompts(project, "d", [asked])
    assert read_prompts(project, "d") == ([asked], [])


def test_a_dataset_that_is_not_there_is_a_clear_error(project):
    with pytest.raises(ServerError, match="404: Dataset not found"):
        read_prompts(project, "nowhere")
