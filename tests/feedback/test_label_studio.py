"""Tasks for Label Studio: blind, complete, and accepted by its own SDK."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from label_studio_sdk.label_interface import LabelInterface

from workbench.errors import InputError
from workbench.feedback.label_studio import VERDICTS, export_tasks, pairwise_config, task_key


def test_the_configuration_is_valid_and_asks_for_a_verdict() -> None:
    interface = LabelInterface(pairwise_config())
    interface.validate()
    verdict = interface.get_control("verdict")
    assert tuple(verdict.labels) == VERDICTS
    assert verdict.attr["required"] == "true"
    assert verdict.attr["choice"] == "single-radio"
    assert {control.name for control in interface.controls} == {"verdict", "confidence", "comment"}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_an_annotation_with_each_verdict_fits_the_configuration(verdict: str) -> None:
    region = {"id": "x", "from_name": "verdict", "to_name": "prompt", "type": "choices"}
    annotation = {"result": [{**region, "value": {"choices": [verdict]}}]}
    assert LabelInterface(pairwise_config()).validate_annotation(annotation)
    annotation["result"][0]["value"]["choices"] = ["maybe"]
    assert not LabelInterface(pairwise_config()).validate_annotation(annotation)


def test_every_pair_becomes_one_blind_task(make_set, tmp_path: Path) -> None:
    sets = [make_set("s", "один", "two", "three"), make_set("r", "four", "five")]
    path = tmp_path / "out" / "tasks.json"
    assert export_tasks(sets, path, seed=0) == 4
    tasks = json.loads(path.read_text())
    interface = LabelInterface(pairwise_config())
    assert all(interface.validate_task(task) for task in tasks)
    assert len({task["data"]["task_key"] for task in tasks}) == 4
    assert {frozenset((t["data"]["answer_a"], t["data"]["answer_b"])) for t in tasks} == {
        frozenset(pair)
        for pair in [("один", "two"), ("один", "three"), ("two", "three"), ("four", "five")]
    }
    assert tasks[0]["data"]["prompt"] == "Question s?"
    assert set(tasks[0]) == {"data"}
    assert not any(secret in path.read_text() for secret in ("secret", "s-0", "r-1"))


def test_the_task_key_finds_the_pair_and_its_order_again(make_set, tmp_path: Path) -> None:
    one = make_set("s", "first text", "second text")
    export_tasks([one], tmp_path / "t.json", seed=3)
    data = json.loads((tmp_path / "t.json").read_text())[0]["data"]
    shown = next(
        o for o in (("s-0", "s-1"), ("s-1", "s-0")) if task_key("s", o) == data["task_key"]
    )
    assert [one.completion(id).text for id in shown] == [data["answer_a"], data["answer_b"]]


def test_answers_change_places_from_task_to_task(make_set, tmp_path: Path) -> None:
    sets = [make_set(str(n), "left", "right") for n in range(100)]
    export_tasks(sets, tmp_path / "t.json", seed=0)
    tasks = json.loads((tmp_path / "t.json").read_text())
    assert 30 < sum(task["data"]["answer_a"] == "left" for task in tasks) < 70


def test_a_path_that_can_not_be_written_is_refused(make_set, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        export_tasks([make_set("s", "a", "b")], tmp_path / "file" / "t.json", seed=0)
