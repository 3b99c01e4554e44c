from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
from examples import STRANGE_TEXTS, candidate_set, completion, preference, prompt, rating

from workbench.errors import InputError
from workbench.preferences import build, export, load, thumbs, write
from workbench.preferences.formats import FORMATS
from workbench.records import Message, ToolCall

CALL = ToolCall("1", "add", '{"a": 1}')
MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "additionalProperties": False,
    "properties": {
        "role": {"enum": ["system", "user", "assistant", "tool"]},
        "content": {"type": "string"},
        "tool_call_id": {"type": "string"},
        "tool_calls": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["id", "type", "function"],
                "properties": {
                    "type": {"const": "function"},
                    "function": {
                        "type": "object",
                        "required": ["name", "arguments"],
                        "properties": {"arguments": {"type": "string"}},
                    },
                },
            },
        },
    },
}
ANSWER = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {"allOf": [MESSAGE, {"properties": {"role": {"const": "assistant"}}}]},
}
OPENAI = {
    "type": "object",
    "required": ["input", "preferred_output", "non_preferred_output"],
    "additionalProperties": False,
    "properties": {
        "input": {
            "type": "object",
            "required": ["messages"],
            "additionalProperties": False,
            "properties": {
                "messages": {"type": "array", "minItems": 1, "items": MESSAGE},
                "tools": {"type": "array"},
                "parallel_tool_calls": {"type": "boolean"},
            },
        },
        "preferred_output": ANSWER,
        "non_preferred_output": ANSWER,
    },
}


def exported(tmp_path, format, preferences, **options):
    """Rows of the training side."""
    dataset = write(preferences, "demo", tmp_path / "v", validation=0, test=0, **options)
    [file] = export(dataset, format, tmp_path / "out")
    return [json.loads(line) for line in file.read_bytes().decode().split("\n") if line]


def with_tools():
    plain = preference("1 + 1?", "2", "3", system="Be brief.")
    turns = (Message("assistant", "", (CALL,)), Message("tool", "2", tool_call_id="1"))
    asked = replace(plain.prompt, messages=(*plain.prompt.messages, *turns))
    chosen = replace(plain.chosen, reasoning="Adding.", tool_calls=(CALL,))
    return replace(plain, prompt=asked, chosen=chosen, weight=0.5)


@pytest.mark.parametrize("format", FORMATS)
def test_reasoning_and_tool_calls_survive_in_every_format(tmp_path, format):
    text = json.dumps(exported(tmp_path, format, [with_tools()]))
    assert '\\"a\\": 1' in text or '\\\\\\"a' in text
    assert text.count("add") >= 1
    if format != "ppo":
        assert "<think>" in text
        assert "Adding." in text


def test_plain_text_names_the_roles_and_leaves_the_answer_open(tmp_path):
    [row] = exported(tmp_path, "dpo-text", [preference("Why?", "So.", "No.", system="Be brief.")])
    assert row == {
        "prompt": "system:\nBe brief.\n\nuser:\nWhy?\n\nassistant:\n",
        "chosen": "So.",
        "rejected": "No.",
    }


def test_kto_labels_each_answer_once_from_pairs_and_thumbs(tmp_path):
    sets = [candidate_set("s", "one", "two", "three"), candidate_set("t", "good", "bad")]
    ratings = [rating("s", "a>b>c")]
    ratings += [rating("t", kind="thumbs", shown=id, value=v) for id, v in (("a", 1), ("b", 0))]
    pairs = [p for p in build(sets, ratings, strategy="all") if p.prompt == sets[0].prompt]
    rows = exported(tmp_path, "kto", pairs, thumbs=thumbs(sets, ratings))
    labels = {row["completion"][0]["content"]: row["label"] for row in rows}
    # "two" was chosen as often as it was rejected.
    assert labels == {"one": True, "three": False, "good": True, "bad": False}
    assert len(rows) == 4


def test_thumbs_are_part_of_the_version_and_of_its_split(tmp_path):
    pairs = [preference(f"Question {i}?", "yes", f"no {i}", topic=f"t{i}") for i in range(30)]
    sets = [candidate_set(f"s{i}", "yes", question=f"Other {i}?", topic=f"t{i}") for i in range(30)]
    marks = thumbs(sets, [rating(s.id, kind="thumbs", shown="a", value=1) for s in sets])
    dataset = write(pairs, "demo", tmp_path, test=0.3, thumbs=marks)
    side = {pair.preference.prompt.topic: pair.split for pair in dataset.pairs}
    assert [side[mark.thumb.prompt.topic] for mark in dataset.marks] == [
        mark.split for mark in dataset.marks
    ]
    assert load(dataset.folder) == dataset
    assert write(pairs, "demo", tmp_path, test=0.3).version != dataset.version


def test_the_margin_of_a_reward_is_the_weight(tmp_path):
    [row] = exported(tmp_path, "reward", [with_tools()])
    assert row["margin"] == 0.5
    assert row.keys() == {"prompt", "chosen", "rejected", "margin"}


def test_trlx_gets_dialogues_and_signed_rewards(tmp_path):
    rows = exported(tmp_path, "trlx", [preference("Why?", "So.", "No.")])
    assert rows == [
        {"samples": ["user:\nWhy?\n\nassistant:\n", "So."], "rewards": 1.0},
        {"samples": ["user:\nWhy?\n\nassistant:\n", "No."], "rewards": -1.0},
    ]


def test_prompts_and_chosen_answers_come_once(tmp_path):
    pairs = [preference("Why?", "So.", "No."), preference("Why?", "So.", "Never mind that.")]
    assert len(exported(tmp_path, "ppo", pairs)) == 1
    [row] = exported(tmp_path, "sft", pairs)
    assert row["completion"] == [{"role": "assistant", "content": "So."}]


def test_openai_s_shape(tmp_path):
    for row in exported(tmp_path, "openai", [with_tools(), preference("Why?", "So.", "No.")]):
        jsonschema.validate(row, OPENAI)
        assert (row["input"]["tools"], row["input"]["parallel_tool_calls"]) == ([], True)


def test_strange_texts_pass_through_every_format_unchanged(tmp_path):
    texts = STRANGE_TEXTS.values()
    sets = []
    for i, text in enumerate(texts):
        answers = (completion(text, "a"), completion(f"plain {i}", "b"))
        one = candidate_set(f"s{i}", "x", "y")
        sets.append(replace(one, prompt=prompt(text, topic=f"t{i}"), completions=answers))
    pairs = build(sets, [rating(s.id, "a>b") for s in sets])
    dataset = write(pairs, "demo", tmp_path, validation=0, test=0)
    assert {p.chosen.text for p in load(dataset.folder).train} == set(texts)
    for format in FORMATS:
        [file] = export(dataset, format, tmp_path / format)
        rows = [json.loads(line) for line in file.read_bytes().decode().split("\n") if line]
        contents = json.dumps(rows, ensure_ascii=False)
        assert all(json.dumps(text, ensure_ascii=False)[1:-1] in contents for text in texts)


def test_sides_go_to_files_of_their_own(tmp_path):
    pairs = [preference(f"Question {i}?", "yes", f"no {i}", topic=f"t{i}") for i in range(30)]
    dataset = write(pairs, "demo", tmp_path, validation=0.3, test=0.3)
    files = export(dataset, "sft", tmp_path / "out")
    assert [file.name for file in files] == ["train.jsonl", "validation.jsonl", "test.jsonl"]
    sizes = [len(file.read_text().splitlines()) for file in files]
    assert sizes == [len(dataset.split(side)) for side in ("train", "validation", "test")]


def test_sides_of_another_version_do_not_stay(tmp_path):
    pairs = [preference(f"Question {i}?", "yes", f"no {i}", topic=f"t{i}") for i in range(30)]
    whole = write(pairs, "demo", tmp_path / "v", validation=0.3, test=0.3)
    out = tmp_path / "out"
    assert len(export(whole, "sft", out)) == 3
    (out / "notes.txt").write_text("mine")
    train_only = write(pairs, "demo", tmp_path / "v", validation=0, test=0)
    export(train_only, "sft", out)
    assert sorted(path.name for path in out.iterdir()) == ["notes.txt", "train.jsonl"]


def test_a_side_that_can_not_be_removed_is_an_error_with_a_remedy(tmp_path):
    dataset = write([preference("Why?", "So.", "No.")], "demo", tmp_path, validation=0, test=0)
    (tmp_path / "out" / "test.jsonl").mkdir(parents=True)
    with pytest.raises(InputError, match=r"test\.jsonl can't be removed"):
        export(dataset, "kto", tmp_path / "out")


def test_the_version_s_own_folder_and_unknown_formats_are_refused(tmp_path):
    dataset = write([preference("Why?", "So.", "No.")], "demo", tmp_path, validation=0, test=0)
    with pytest.raises(InputError, match="never changes"):
        export(dataset, "kto", dataset.folder)
    with pytest.raises(InputError, match="openai"):
        export(dataset, "alpaca", tmp_path)  # type: ignore[arg-type]
    load(dataset.folder)
