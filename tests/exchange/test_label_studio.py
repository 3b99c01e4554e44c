"""Tasks for Label Studio: blind, complete, and accepted by its own SDK."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from examples import STRANGE_TEXTS, candidate_set
from label_studio_sdk.label_interface import LabelInterface

from workbench.errors import InputError, SettingsError
from workbench.exchange.label_studio import (
    TEMPLATES,
    VERDICTS,
    Template,
    config,
    export_tasks,
    task_key,
    tasks,
)
from workbench.exchange.label_studio_project import Server


def test_the_configuration_is_valid_and_asks_for_a_verdict() -> None:
    interface = LabelInterface(config())
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
    assert LabelInterface(config()).validate_annotation(annotation)
    annotation["result"][0]["value"]["choices"] = ["maybe"]
    assert not LabelInterface(config()).validate_annotation(annotation)


def test_every_pair_becomes_one_blind_task(make_set, tmp_path: Path) -> None:
    sets = [make_set("s", "один", "two", "three"), make_set("r", "four", "five")]
    path = tmp_path / "out" / "tasks.json"
    assert export_tasks(sets, path, seed=0) == 4
    tasks = json.loads(path.read_text())
    interface = LabelInterface(config())
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


def test_a_pair_knows_its_key_in_the_other_order() -> None:
    sets = [candidate_set(str(n), "yes", "no", "perhaps") for n in range(20)]
    first, second = (tasks(sets, seed=seed) for seed in (0, 1))
    assert {task.key for task in first} != {task.key for task in second}
    asked = {key for task in first for key in (task.key, task.turned)}
    assert all({task.key, task.turned} <= asked for task in second)
    assert len(asked) == 2 * len(first)


def test_answers_change_places_from_task_to_task(make_set, tmp_path: Path) -> None:
    sets = [make_set(str(n), "left", "right") for n in range(100)]
    export_tasks(sets, tmp_path / "t.json", seed=0)
    tasks = json.loads((tmp_path / "t.json").read_text())
    assert 30 < sum(task["data"]["answer_a"] == "left" for task in tasks) < 70


def test_a_path_that_can_not_be_written_is_refused(make_set, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        export_tasks([make_set("s", "a", "b")], tmp_path / "file" / "t.json", seed=0)


FIELDS = {"verdict": "verdict", "pairwise": "pairwise", "ranker": "ranking"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_fits_its_tasks(template: Template) -> None:
    one = candidate_set("s", "один", "two", "three")
    made = tasks([one], seed=0, template=template)
    interface = LabelInterface(config(template))
    interface.validate()
    assert {control.name for control in interface.controls} == {
        FIELDS[template],
        "confidence",
        "comment",
    }
    assert len(made) == (1 if template == "ranker" else 3)
    assert len({task.key for task in made}) == len(made)


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(SettingsError, match="no template 'stars'"):
        config("stars")  # type: ignore[arg-type]


def test_a_ranking_shows_all_answers_under_names_that_tell_nothing(make_set) -> None:
    one = make_set("s", "один", "two", "three")
    (task,) = tasks([one], seed=1, template="ranker")
    assert sorted(answer["body"] for answer in task.data["answers"]) == ["three", "two", "один"]
    assert [answer["title"] for answer in task.data["answers"]] == ["A", "B", "C"]
    assert not any(secret in json.dumps(task.data) for secret in ("secret", "s-0", "s-1", "s-2"))


def test_answers_of_any_text_are_shown_as_they_are() -> None:
    texts = list(STRANGE_TEXTS.values())
    pairs = [candidate_set(str(n), text, f"other {n}") for n, text in enumerate(texts)]
    shown = {
        text for t in tasks(pairs, seed=0) for text in (t.data["answer_a"], t.data["answer_b"])
    }
    assert {text.replace("\0", "␀") for text in texts} <= shown


# --- where they go ----------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://admin:hunter2@127.0.0.1:8080",
        "https://hunter2@label.example",
        "admin:hunter2",
        "http:/hunter2",
        "http://[hunter2",
        "",
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="ddress of") as refusal:
        Server(url, "token")
    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("token", ["hunter2-é", "hunter2\n", "\0hunter2", "хантер"])
def test_a_token_that_can_not_be_sent_is_not_repeated(token: str) -> None:
    with pytest.raises(InputError, match="LABEL_STUDIO_API_KEY") as refusal:
        Server("http://127.0.0.1:8080", token)
    assert token not in str(refusal.value)
    assert "\n" not in str(refusal.value)
