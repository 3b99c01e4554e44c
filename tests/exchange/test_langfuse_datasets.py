"""Prompts and preference pairs to Langfuse datasets and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import langfuse_stand_in as langfuse
import pytest
from examples import STRANGE_TEXTS, preference, prompt

from workbench import preferences
from workbench.errors import ServerError
from workbench.exchange.langfuse_datasets import read_prompts, write_preferences, write_prompts
from workbench.exchange.langfuse_project import LangfuseProject, connect
from workbench.preferences import Dataset
from workbench.preferences.card import numbered
from workbench.records import Message, Origin, Preference, Prompt, SetAside, ToolCall
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


def read(project: LangfuseProject, dataset: str) -> tuple[list[Prompt], list[SetAside]]:
    """The prompts to train on, and what was set aside."""
    found = read_prompts(project, dataset)
    return list(found.prompts), list(found.aside)


def pairs(*questions: str) -> list[Preference]:
    """A pair of each question, each on its own side of a split."""
    return [
        preference(question, f"Yes: {question}", f"No: {question}", topic=question)
        for question in questions
    ]


def version(folder: Path, *questions: str) -> Dataset:
    return preferences.write(pairs(*questions), "demo", folder, validation=0.3, test=0.3)


WORDS = ("sky", "sea", "fire", "wind", "dust", "iron", "salt", "gold", "wood")
QUESTIONS = [f"What is {word}?" for word in WORDS]


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
    assert read(project, "a set/with ?") == (prompts, [])


def test_writing_again_writes_nothing_and_a_change_is_written_once(project, server):
    prompts = [prompt("Why?"), prompt("How?")]
    write_prompts(project, "d", prompts)
    assert write_prompts(project, "d", prompts) == 0
    changed = [replace(prompts[0], topic="sky"), prompts[1]]
    assert write_prompts(project, "d", changed) == 1
    assert read(project, "d")[0] == changed
    assert write_prompts(project, "another", prompts) == 2


def test_items_of_others_are_read_and_what_is_no_prompt_is_set_aside(project, server):
    project.put_dataset("theirs")
    inputs = {"i1": {"question": "Why?"}, "i2": {"x": 1}, "i3": "How?", "i4": None}
    for id, input in inputs.items():
        body = {"datasetName": "theirs", "id": id, "input": input}
        server.handle("POST", "/api/public/dataset-items", {}, body)
    server.datasets["theirs"]["i3"]["status"] = "ARCHIVED"
    prompts, aside = read(project, "theirs")
    assert prompts == [Prompt("i1", (Message("user", "Why?"),), "i1")]
    assert [(item.source, item.reason) for item in aside] == [
        ("langfuse: item i2 of theirs", "no question among its keys: x"),
        ("langfuse: item i4 of theirs", "the input is neither text nor messages"),
    ]


def test_metadata_that_someone_broke_sets_the_item_aside(project, server):
    write_prompts(project, "d", [prompt("Why?")])
    (item,) = server.datasets["d"].values()
    item["metadata"] = {"workbench_prompt": {"topic": 7}}
    prompts, aside = read(project, "d")
    assert prompts == []
    assert len(aside) == 1
    for broken in ("what", 7, [1]):
        item["metadata"] = {"workbench_prompt": broken}
        assert len(read(project, "d")[1]) == 1


def test_preference_pairs_are_items_with_the_chosen_answer_expected(project, server, tmp_path):
    raters = ("person:anna@example.org", "person:ben@example.org")
    plain = preference("Why?", "Because.", "No idea.", raters=raters)
    pair = replace(plain, rejected=replace(plain.rejected, reasoning="Hm."))
    made = preferences.write([pair], "demo", tmp_path)
    assert write_preferences(project, "pairs", made).items == 1
    assert write_preferences(project, "pairs", made).items == 0
    (item,) = server.datasets["pairs"].values()
    assert item["input"] == [{"role": "user", "content": "Why?"}]
    assert item["expectedOutput"] == {"role": "assistant", "content": "Because."}
    thought = "<think>\nHm.\n</think>\n\nNo idea."
    assert item["metadata"]["rejected"] == {"role": "assistant", "content": thought}
    assert (item["metadata"]["split"], item["metadata"]["version"]) == ("train", made.version)
    assert item["metadata"]["raters"] == ["person 1", "person 2"]
    assert set(item["metadata"]["raters"]) == set(numbered(made.manifest).values())
    assert "anna@" not in str(item)
    assert read(project, "pairs")[0] == [pair.prompt]


def test_held_out_prompts_come_back_only_where_they_are_asked_for(project, tmp_path):
    made = version(tmp_path, *QUESTIONS)
    write_preferences(project, "pairs", made)
    sides = {side: {p.prompt.id for p in made.split(side)} for side in ("train", "test")}
    found = read_prompts(project, "pairs")
    assert {prompt.id for prompt in found.prompts} == sides["train"]
    assert found.elsewhere == {"validation": len(made.validation), "test": len(made.test)}
    assert {p.id for p in read_prompts(project, "pairs", "test").prompts} == sides["test"] != set()

    held_out = made.test[0].prompt
    write_prompts(project, "pairs", [held_out])
    assert held_out not in read_prompts(project, "pairs").prompts


def test_a_pair_that_names_no_side_is_set_aside(project, server, tmp_path):
    write_preferences(project, "pairs", version(tmp_path, "Why?"))
    (item,) = server.datasets["pairs"].values()
    del item["metadata"]["split"]
    prompts, aside = read(project, "pairs")
    assert (prompts, len(aside)) == ([], 1)
    assert "may be held out" in aside[0].reason


def test_a_later_version_archives_what_it_lacks_and_leaves_what_others_wrote(
    project, server, tmp_path
):
    write_prompts(project, "pairs", [prompt("Mine?")])
    first, second = version(tmp_path, *QUESTIONS), version(tmp_path, *QUESTIONS[1:])
    write_preferences(project, "pairs", first)
    done = write_preferences(project, "pairs", second)
    assert (done.items, done.archived) == (len(QUESTIONS) - 1, 1)
    active = [i for i in server.datasets["pairs"].values() if i["status"] == "ACTIVE"]
    assert {i["metadata"].get("version") for i in active} == {second.version, None}
    assert write_preferences(project, "pairs", first).items == len(QUESTIONS)
    assert {i["status"] for i in server.datasets["pairs"].values()} == {"ACTIVE"}


@pytest.mark.parametrize("name", [name for name in STRANGE_TEXTS if name not in ("blank", "empty")])
def test_strange_texts_go_and_come_as_they_are(project, name):
    asked = prompt(STRANGE_TEXTS[name])
    write_prompts(project, "d", [asked])
    assert read(project, "d") == ([asked], [])


def test_a_dataset_that_is_not_there_is_a_clear_error(project):
    with pytest.raises(ServerError, match="404: Dataset not found"):
        read_prompts(project, "nowhere")
