"""Export to a real Label Studio and back: nothing doubled, nothing lost, whoever is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from examples import STRANGE_TEXTS, candidate_set
from label_studio_server import LabelStudioServer, free_port

from workbench import ratings as rules
from workbench.cli import main
from workbench.errors import InputError, ServerError
from workbench.exchange import label_studio_pull
from workbench.exchange.label_studio import config, tasks
from workbench.exchange.label_studio_annotations import Pulled
from workbench.exchange.label_studio_files import read_export
from workbench.exchange.label_studio_project import (
    Exported,
    Server,
    annotators,
    export_pairs,
    look,
)
from workbench.exchange.label_studio_pull import pull_annotations, pull_foreign
from workbench.exchange.label_studio_questions import OurTasks
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]


def verdict(choice: str) -> list[dict[str, Any]]:
    value = {"choices": [choice]}
    return [
        {"id": "v", "from_name": "verdict", "to_name": "prompt", "type": "choices", "value": value}
    ]


def make_sets(n: int, prefix: str = "") -> list[CandidateSet]:
    return [candidate_set(f"{prefix}{i}", f"yes {i}", f"no {i}") for i in range(n)]


@dataclass
class Desk:
    """A project with tasks, and the journals that its annotations go to."""

    server: Server
    sets: list[CandidateSet]
    folder: Path
    exported: Exported

    @property
    def client(self) -> Any:
        return self.server.client()

    @property
    def ratings(self) -> Journal[Rating]:
        return Journal(self.folder / "ratings.jsonl", Rating)

    @property
    def aside(self) -> Journal[SetAside]:
        return Journal(self.folder / "aside.jsonl", SetAside)

    @property
    def standing(self) -> list[Rating]:
        checked = rules.check(self.ratings, self.sets)
        assert checked.aside == ()
        return rules.standing(checked.good)

    def tasks(self) -> list[Any]:
        project = self.exported.project
        return list(self.client.tasks.list(project=project, include="id,data", page_size=1000))

    def pull(self, **more: Any) -> Pulled:
        more = {"cursor": self.folder / "cursor.json", **more}
        sets = more.pop("sets", self.sets)
        return pull_annotations(
            self.server, self.exported.project, sets, self.ratings, self.aside, **more
        )

    def annotate(self, task: int, choice: str, server: Server | None = None, **more: Any) -> int:
        client = (server or self.server).client()
        return int(client.annotations.create(id=task, result=verdict(choice), **more).id)

    def chosen(self) -> list[str]:
        """Texts of the answers that stand as better, one per rating; "" for others."""
        by_id = {one.id: one for one in self.sets}
        return [
            by_id[r.candidate_set].completion(r.ranking[0][0]).text if len(r.ranking) == 2 else ""
            for r in self.standing
        ]


@pytest.fixture
def desk(label_studio: LabelStudioServer, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    sets = make_sets(4)
    title = request.node.name.removeprefix("test_")[:50]
    exported = export_pairs(label_studio.server, sets, title=title, seed=0)
    return Desk(label_studio.server, sets, tmp_path, exported)


def keys(desk: Desk) -> list[str]:
    return sorted(task.data["task_key"] for task in desk.tasks())


def test_exporting_again_adds_only_what_is_new(desk: Desk) -> None:
    assert (desk.exported.new, desk.exported.present) == (4, 0)
    assert look(desk.client, desk.exported.project).tasks == 4
    told: list[tuple[int, int]] = []
    more = export_pairs(
        desk.server,
        [*desk.sets, *make_sets(3, "more ")],
        title="exporting_again_adds_only_what_is_new",
        seed=0,
        overlap=3,
        batch=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert (more.project, more.new, more.present) == (desk.exported.project, 3, 4)
    assert told == [(4, 7), (6, 7), (7, 7)]
    assert len(set(keys(desk))) == len(keys(desk)) == 7
    assert look(desk.client, more.project).overlap == 3


def test_spaces_around_a_title_make_no_second_project(label_studio: LabelStudioServer) -> None:
    titles = ("spaces around", " spaces around\n", "x" * 50 + " ", "x" * 50)
    done = [
        export_pairs(label_studio.server, make_sets(1), title=title, seed=0) for title in titles
    ]
    assert [(one.new, one.present) for one in done] == [(1, 0), (0, 1)] * 2
    assert len({one.project for one in done}) == 2


def test_exporting_again_with_another_seed_adds_nothing(label_studio: LabelStudioServer) -> None:
    sets = [candidate_set(f"{n}", "yes", "no", "perhaps") for n in range(6)]
    for template, count in (("verdict", 18), ("ranker", 6)):
        done = [
            export_pairs(
                label_studio.server, sets, title=f"seeds {template}", seed=seed, template=template
            )
            for seed in (0, 1)
        ]
        assert [(one.new, one.present) for one in done] == [(count, 0), (0, count)]


def test_the_project_hides_who_answered_and_what_a_model_thinks(desk: Desk) -> None:
    project = desk.client.projects.get(id=desk.exported.project)
    assert not project.model_version
    assert not project.show_collab_predictions
    assert not project.enable_empty_annotation
    whole = desk.client.tasks.list(project=desk.exported.project, page_size=100)
    for task in whole:
        assert not task.predictions
        assert set(task.data) == {"task_key", "prompt", "answer_a", "answer_b"}
        assert not any(secret in json.dumps(task.data) for secret in ("llama.cpp", "f" * 64))


def test_a_project_of_that_title_without_the_fields_is_refused(
    label_studio: LabelStudioServer,
) -> None:
    client = label_studio.client()
    client.projects.create(title="made by hand", label_config=config("pairwise"))
    with pytest.raises(InputError, match="has no field 'verdict'"):
        export_pairs(label_studio.server, make_sets(1), title="made by hand", seed=0)
    found = export_pairs(
        label_studio.server, make_sets(1), title="made by hand", seed=0, template="pairwise"
    )
    assert found.new == 1


@pytest.mark.parametrize(
    "wrong", [{"title": "ab "}, {"title": "x" * 51}, {"overlap": 0}, {"batch": 0}]
)
def test_what_makes_no_project_is_refused(
    label_studio: LabelStudioServer, wrong: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"title": "three", "seed": 0, **wrong}
    with pytest.raises(InputError, match="make no project"):
        export_pairs(label_studio.server, make_sets(1), **asked)


def test_failures_are_one_line_without_the_token(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    url = label_studio.server.url
    token = "0123456789" * 4
    for server, told in [
        (Server(url, token), "refuses the token"),
        (Server(f"http://127.0.0.1:{free_port()}", token), "can't be reached"),
        (Server(f"{url}/static", token), "not a Label Studio"),
    ]:
        with pytest.raises(ServerError, match=told) as failure:
            export_pairs(server, make_sets(1), title="failures", seed=0)
        assert "\n" not in str(failure.value)
        assert token not in str(failure.value) + repr(server)
    nowhere = Desk(label_studio.server, [], tmp_path, Exported(10**6, "", 0, 0))
    with pytest.raises(ServerError, match="no such project"):
        nowhere.pull()


def test_ratings_come_in_once(desk: Desk) -> None:
    first, second, *_ = desk.tasks()
    desk.annotate(first.id, "A", lead_time=2.5)
    desk.annotate(second.id, "both bad")
    assert desk.pull() == Pulled(2, 0, 0, 4)
    assert desk.pull().ratings == 0
    assert desk.chosen() == [first.data["answer_a"], ""]
    assert [rating.both_bad for rating in desk.standing] == [False, True]
    assert desk.standing[0].seconds == 2.5
    assert {rating.rater for rating in desk.standing} == {"person:rater@example.com"}


def test_edits_replace_and_deletions_take_back(desk: Desk) -> None:
    first, second, third, _ = desk.tasks()
    ids = [desk.annotate(task.id, "A") for task in (first, second, third)]
    desk.pull()
    desk.client.annotations.update(id=ids[0], result=verdict("B"))
    desk.client.annotations.delete(id=ids[1])
    desk.client.tasks.delete(id=str(third.id))
    pulled = desk.pull()
    assert (pulled.ratings, pulled.taken_back) == (1, 2)
    assert desk.chosen() == [first.data["answer_b"]]
    assert len(list(desk.ratings)) == 6
    desk.client.annotations.delete(id=ids[0])
    assert desk.pull().taken_back == 2
    assert desk.standing == []
    nothing = desk.pull()
    assert (nothing.ratings, nothing.taken_back, nothing.aside) == (0, 0, 0)


def test_an_edit_behind_a_pull_that_takes_long_is_read_by_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, late, *_ = desk.tasks()
    ids = [desk.annotate(task.id, "A") for task in (early, late)]
    listed = label_studio_pull.listed

    def slowly(*args: Any, **query: Any) -> Iterator[Any]:
        read = {task.id: task for task in listed(*args, **query)}
        yield read.pop(early.id)
        desk.client.annotations.update(id=ids[0], result=verdict("B"))
        time.sleep(label_studio_pull.OVERLAP.total_seconds() + 1)
        desk.client.annotations.update(id=ids[1], result=verdict("B"))
        yield from (task for task in listed(*args, **query) if task.id in read)

    monkeypatch.setattr(label_studio_pull, "listed", slowly)
    assert desk.pull().ratings == 2
    assert sorted(desk.chosen()) == sorted([early.data["answer_a"], late.data["answer_b"]])
    monkeypatch.undo()
    assert desk.pull().ratings == 1
    assert sorted(desk.chosen()) == sorted([early.data["answer_b"], late.data["answer_b"]])


def test_an_edit_that_is_visible_late_is_read_all_the_same(desk: Desk) -> None:
    task, skipped, *_ = desk.tasks()
    edited = desk.annotate(task.id, "A")
    mended = desk.client.annotations.create(id=skipped.id, result=[], was_cancelled=True).id
    desk.pull()
    desk.client.annotations.update(id=edited, result=verdict("B"))
    desk.client.annotations.update(id=mended, result=verdict("tie"))
    cursor = desk.folder / "cursor.json"  # as if the pull had begun long after these stamps
    kept = json.loads(cursor.read_bytes())
    later = datetime.fromisoformat(kept["since"]) + timedelta(seconds=20)
    cursor.write_text(json.dumps({**kept, "since": later.isoformat()}))
    assert desk.pull().ratings == 2
    assert desk.chosen() == [task.data["answer_b"], ""]


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("Sun, 22 Nov 2026 01:02:03 GMT", "2026-11-22T01:02:03+00:00"),
        ("Sun, 22 Nov 2026 01:02:03 +0300", "2026-11-21T22:02:03+00:00"),
        ("Sun, 22 Nov 2026 01:02:03 -0000", ""),
        ("Fri, 31 Dec 9999 23:59:59 -2359", ""),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_a_clock_that_makes_no_sense_is_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, date: str | None, at: str
) -> None:
    send = httpx.HTTPTransport.handle_request

    def send_and_date(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        response = send(self, request)
        del response.headers["date"]
        if date is not None:
            response.headers["date"] = date
        return response

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", send_and_date)
    assert look(desk.client, desk.exported.project).at == at
    desk.pull()
    desk.annotate(desk.tasks()[0].id, "A")
    assert desk.pull().ratings == 1


def test_skips_count_as_judgements_that_may_be_mended(desk: Desk) -> None:
    task = desk.tasks()[0]
    id = desk.client.annotations.create(id=task.id, result=[], was_cancelled=True).id
    assert desk.pull().ratings == 1
    assert [rating.kind for rating in desk.standing] == ["skip"]
    desk.client.annotations.update(id=id, result=verdict("B"), was_cancelled=False)
    desk.pull()
    assert desk.chosen() == [task.data["answer_b"]]


def test_a_task_made_again_is_joined_by_its_key(desk: Desk) -> None:
    task = desk.tasks()[0]
    desk.annotate(task.id, "A")
    desk.pull()
    desk.client.tasks.delete(id=str(task.id))
    again = export_pairs(
        desk.server, desk.sets, title="a_task_made_again_is_joined_by_its_key", seed=0
    )
    assert again.new == 1
    (new,) = [t for t in desk.tasks() if t.data["task_key"] == task.data["task_key"]]
    desk.annotate(new.id, "B")
    pulled = desk.pull()
    assert (pulled.ratings, pulled.taken_back) == (1, 1)
    assert desk.chosen() == [task.data["answer_b"]]


def test_annotators_are_told_apart_and_the_latest_word_of_each_counts(
    desk: Desk, label_studio: LabelStudioServer
) -> None:
    other = label_studio.second_annotator()
    task = desk.tasks()[0]
    desk.annotate(task.id, "A")
    desk.annotate(task.id, "B", other)
    desk.annotate(task.id, "tie", other)
    desk.pull(names={"second@example.com": "boris"})
    assert {r.rater: len(r.ranking) for r in desk.standing} == {
        "person:rater@example.com": 2,
        "person:boris": 1,
    }


def test_what_means_nothing_is_set_aside_until_it_does(desk: Desk) -> None:
    first, second, third, _ = desk.tasks()
    desk.annotate(first.id, "A")
    desk.annotate(second.id, "perhaps")
    desk.client.annotations.create(id=third.id, result=[])
    foreign = [{"data": {**first.data, "task_key": "unknown"}}]
    desk.client.projects.import_tasks(id=desk.exported.project, request=foreign)
    stranger = next(t for t in desk.tasks() if t.data["task_key"] == "unknown")
    desk.annotate(stranger.id, "A")
    known = [one for one in desk.sets if one.prompt.messages[0].content != first.data["prompt"]]
    assert desk.pull(sets=known).ratings == 0
    assert {item.reason.split(" '")[0] for item in desk.aside} >= {"it holds no judgement"}
    assert desk.pull().ratings == 1
    assert desk.chosen() == [first.data["answer_a"]]
    count = len(list(desk.aside))
    assert desk.pull().aside == 0
    assert len(list(desk.aside)) == count


def test_an_annotation_that_loses_its_verdict_is_taken_back(desk: Desk) -> None:
    id = desk.annotate(desk.tasks()[0].id, "A")
    desk.pull()
    desk.client.annotations.update(id=id, result=[])
    assert desk.pull().taken_back == 1
    assert desk.standing == []


def test_odd_values_of_a_server_do_not_stop_a_pull(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = httpx.HTTPTransport.handle_request
    comment = {"from_name": "comment", "type": "textarea", "value": {"text": ["x\ud83d"]}}
    deep: list[Any] = []
    for _ in range(600):
        deep = [deep]

    def spoil(value: Any) -> None:
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, dict | list):
                spoil(item)
        match value.get("lead_time") if isinstance(value, dict) else None:
            case 1.0:
                value["result"].append(comment)
            case 2.0:
                value["updated_at"] = "0001-01-01T00:00:00+05:00"
            case 3.0:
                value["completed_by"] = {"email": ["x"]}
            case 4.0:
                value["result"] = deep
        if isinstance(value, dict) and "data" in value:
            value["updated_at"] = "9999-12-31T23:59:59-05:00"

    def send_and_spoil(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        response = send(self, request)
        body = json.loads(response.read())
        spoil(body)
        return httpx.Response(response.status_code, content=json.dumps(body), request=request)

    for number, task in enumerate(desk.tasks(), start=1):
        desk.annotate(task.id, "A", lead_time=number)
    with monkeypatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", send_and_spoil)
        first, second = desk.pull(), desk.pull()
    assert (first.ratings, first.aside) == (1, 3)
    assert (second.ratings, second.aside) == (0, 0)
    assert [rating.comment for rating in desk.standing] == ["x\N{REPLACEMENT CHARACTER}"]
    assert desk.pull().ratings == 4
    assert [rating.comment for rating in desk.standing] == [""] * 4


def test_a_cursor_serves_one_project(desk: Desk) -> None:
    other = export_pairs(desk.server, desk.sets, title="another one", seed=0)
    desk.pull()
    with pytest.raises(InputError, match="belongs to another project"):
        Desk(desk.server, desk.sets, desk.folder, other).pull()
    (desk.folder / "cursor.json").write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        desk.pull()


def test_without_its_cursor_nothing_is_counted_twice(desk: Desk) -> None:
    desk.annotate(desk.tasks()[0].id, "A")
    desk.pull()
    (desk.folder / "cursor.json").unlink()
    assert desk.pull().ratings == 0


def test_answers_of_any_text_come_back_to_their_set(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    sets = [candidate_set(name, text, f"other {name}") for name, text in STRANGE_TEXTS.items()]
    exported = export_pairs(label_studio.server, sets, title="strange texts", seed=0)
    desk = Desk(label_studio.server, sets, tmp_path, exported)
    sent = {task.key: task.data for task in tasks(sets, seed=0)}
    assert {task.data["task_key"]: task.data for task in desk.tasks()} == sent
    for task in desk.tasks():
        desk.annotate(task.id, "A")
    assert desk.pull().ratings == len(sets)
    assert {rating.candidate_set for rating in desk.standing} == set(STRANGE_TEXTS)


def test_others_pairwise_projects_become_ratings(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    client = label_studio.client()
    page = """<View><Pairwise name="pw" toName="text1,text2"/><Text name="q" value="$q"/>
      <Text name="text1" value="$text1"/><Text name="text2" value="$text2"/></View>"""
    project = client.projects.create(title="theirs", label_config=page).id
    data = [{"q": f"Why {n}?", "text1": f"left {n}", "text2": f"right {n}"} for n in range(2)]
    client.projects.import_tasks(id=project, request=[{"data": d} for d in data])
    value = {"from_name": "pw", "to_name": "pw", "type": "pairwise", "value": {"selected": "left"}}
    for task in client.tasks.list(project=project):
        client.annotations.create(id=task.id, result=[value])
    ratings = Journal(tmp_path / "ratings.jsonl", Rating)
    aside = Journal(tmp_path / "aside.jsonl", SetAside)
    sets = Journal(tmp_path / "sets.jsonl", CandidateSet)
    for new in (2, 0):
        pulled = pull_foreign(
            label_studio.server, project, sets, ratings, aside, cursor=tmp_path / "cursor.json"
        )
        assert (pulled.ratings, pulled.aside) == (new, 0)
    by_id = {one.id: one for one in sets}
    assert rules.check(ratings, sets).aside == ()
    better = {by_id[r.candidate_set].completion(r.ranking[0][0]).text for r in ratings}
    assert better == {"left 0", "left 1"}


def test_tasks_of_ours_among_those_of_others_stay_ours(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    sets, client = make_sets(1), label_studio.client()
    exported = export_pairs(
        label_studio.server, sets, title="ours and theirs", seed=0, template="pairwise"
    )
    desk = Desk(label_studio.server, sets, tmp_path, exported)
    theirs = {"prompt": "Why?", "answer_a": "left", "answer_b": "right"}
    client.projects.import_tasks(id=exported.project, request=[{"data": theirs}])
    left = {"from_name": "pairwise", "to_name": "pairwise", "type": "pairwise"}
    for task in desk.tasks():
        client.annotations.create(id=task.id, result=[{**left, "value": {"selected": "left"}}])
    foreign = Journal(tmp_path / "sets.jsonl", CandidateSet)
    where = (label_studio.server, exported.project, foreign, desk.ratings, desk.aside)
    pulled = pull_foreign(*where, cursor=tmp_path / "foreign.json")
    assert (pulled.ratings, pulled.aside) == (1, 1)
    assert [one.prompt.messages[0].content for one in foreign] == ["Why?"]
    pulled = desk.pull()
    assert (pulled.ratings, pulled.aside) == (1, 1)
    assert sorted(rating.candidate_set for rating in desk.ratings) == sorted(
        [sets[0].id, *(one.id for one in foreign)]
    )


# --- by file ----------------------------------------------------------------


def exported_file(desk: Desk) -> Path:
    """What the page's own export gives."""
    path = desk.folder / "export.json"
    tasks = desk.client.projects.exports.as_json(desk.exported.project)
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def test_what_was_pulled_and_imported_is_one_rating_of_one_rater(
    desk: Desk, label_studio: LabelStudioServer
) -> None:
    first, second, third, _ = desk.tasks()
    desk.annotate(first.id, "A", lead_time=2.5)
    desk.annotate(second.id, "B", label_studio.second_annotator())
    more = {"from_name": "comment", "to_name": "prompt", "type": "textarea", "id": "c"}
    comment = {**more, "value": {"text": ["оба 🙂"]}}
    desk.client.annotations.create(id=third.id, result=[*verdict("tie"), comment])
    file = exported_file(desk)

    def imported(**names: str) -> Pulled:
        questions = OurTasks(desk.sets)
        return read_export(file, questions, desk.ratings, desk.aside, names=names)

    assert imported() == Pulled(0, 0, 3, 4)
    emails = {str(id): email for id, email in annotators(desk.server).items()}
    assert imported(**emails).ratings == 3
    by_file = list(desk.ratings)
    assert desk.pull().ratings == 0
    desk.ratings.path.unlink()
    (desk.folder / "cursor.json").unlink()
    assert desk.pull().ratings == 3
    assert sorted(desk.ratings, key=by_file.index) == by_file
    others = {id: f"{id}@example.com" for id in emails}
    assert imported(**emails).ratings == imported(**others).ratings == 0
    assert {rating.rater for rating in desk.standing} == {
        "person:rater@example.com",
        "person:second@example.com",
    }


def test_an_edit_of_what_was_imported_under_another_name_replaces_it(desk: Desk) -> None:
    task = desk.tasks()[0]
    id = desk.annotate(task.id, "A")
    names = {str(number): "anna" for number in annotators(desk.server)}
    file = exported_file(desk)
    read_export(file, OurTasks(desk.sets), desk.ratings, desk.aside, names=names)
    assert desk.pull().ratings == 0
    desk.client.annotations.update(id=id, result=verdict("B"))
    assert desk.pull() == Pulled(1, 1, 0, 1)
    assert desk.chosen() == [task.data["answer_b"]]


def test_an_annotator_whom_the_server_does_not_list_waits_for_a_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.annotate(desk.tasks()[0].id, "A")
    (number,) = (id for id, email in annotators(desk.server).items() if "rater" in email)
    pulling = "workbench.exchange.label_studio_pull.annotators"
    monkeypatch.setattr(pulling, lambda server: {})
    assert (desk.pull().ratings, desk.pull().ratings) == (0, 0)
    assert f"annotator {number}" in next(iter(desk.aside)).reason
    assert desk.pull(names={str(number): "rater@example.com"}).ratings == 1
    monkeypatch.undo()
    assert desk.pull() == Pulled(0, 0, 0, 0)
    assert [rating.rater for rating in desk.standing] == ["person:rater@example.com"]


def test_the_command_names_annotators_by_the_server_or_by_hand(
    label_studio: LabelStudioServer, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = label_studio.server
    for name, value in {
        "WORKBENCH_ROOT": str(project),
        "WORKBENCH_HOME": str(project / "home"),
        "LABEL_STUDIO_URL": server.url,
        "LABEL_STUDIO_API_KEY": server.token,
    }.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["label-studio", *arguments])

    told = run("export", "--title", "by file").stdout
    made = int(told.split()[-1].rpartition("/")[2])
    desk = Desk(server, [], project, Exported(made, "", 0, 0))
    desk.annotate(desk.tasks()[0].id, "A")
    file = str(exported_file(desk))
    assert "1 new ratings" in run("import", file).stdout
    assert "0 new ratings" in run("pull", str(made)).stdout
    ratings = Journal(project / "datasets" / "ratings" / "notebook.jsonl", Rating)
    by_server = list(ratings)
    ratings.path.unlink()
    monkeypatch.delenv("LABEL_STUDIO_URL")
    nameless = run("import", file)
    assert "0 new ratings" in nameless.stdout
    assert "1 set aside" in nameless.stderr
    (number,) = (id for id, email in annotators(server).items() if "rater" in email)
    named = ("--name", f"{number}=rater@example.com", "--name", "99=somebody@example.com")
    assert "1 new ratings" in run("import", file, *named).stdout
    assert list(ratings) == by_server
    assert run("import", file, "--name", "rater").exit_code == 2


# --- killed -----------------------------------------------------------------

KILLED = """
import os, signal, sys
import httpx
sys.path.insert(0, {tests!r})
from pathlib import Path
import test_label_studio_project as tests

calls, send = [0], httpx.HTTPTransport.handle_request

def send_and_die(self, request):
    response = send(self, request)
    response.read()
    calls[0] += 1
    if calls[0] == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return response

httpx.HTTPTransport.handle_request = send_and_die
{work}
print("calls", calls[0])
"""


def run_killed(work: str, after: int, token: str) -> subprocess.CompletedProcess[str]:
    """Run `work` in a process that is killed once its call number `after` is answered."""
    path = str(TESTS / "exchange")
    code = KILLED.format(tests=path, after=after, work=work)
    environ = {"PYTHONPATH": f"{TESTS}:{TESTS.parent}", "TOKEN": token, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, timeout=300
    )


def test_an_export_killed_after_any_call_is_completed_without_doubles(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    url, token = label_studio.server.url, label_studio.server.token
    work = f"""
server = tests.Server({url!r}, os.environ["TOKEN"])
tests.export_pairs(server, tests.make_sets(300), title={{title!r}}, seed=0, batch=50)
"""
    whole = run_killed(work.format(title="never killed"), 0, token)
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stdout.split()[-1])
    assert calls >= 9
    for after in range(1, calls + 1):
        title = f"killed after {after}"
        assert run_killed(work.format(title=title), after, token).returncode == -signal.SIGKILL
        exported = export_pairs(label_studio.server, make_sets(300), title=title, seed=0, batch=50)
        assert exported.new + exported.present == 300
        assert look(label_studio.client(), exported.project).tasks == 300
        titles = label_studio.client().projects.list(title=title)
        assert sum(project.title == title for project in titles) == 1
        desk = Desk(label_studio.server, [], tmp_path, exported)
        assert keys(desk) == sorted(task.key for task in tasks(make_sets(300), seed=0))


def test_a_pull_killed_at_any_write_is_completed_without_doubles(desk: Desk) -> None:
    for task in desk.tasks():
        desk.annotate(task.id, "A")
    desk.pull()
    first, second, third, _ = desk.tasks()
    desk.annotate(first.id, "B")
    desk.client.tasks.delete(id=str(second.id))
    desk.annotate(third.id, "perhaps")
    cursor, journal = desk.folder / "cursor.json", desk.ratings.path
    before = {path: path.read_bytes() for path in (cursor, journal)}
    work = f"""
import workbench.journal as journal
writes, replace_file, sync = [0], os.replace, os.fsync
def count(done):
    writes[0] += 1
    if writes[0] == {{at}}:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
os.replace = lambda *names: count(replace_file(*names))
os.fsync = lambda file: count(sync(file))
exported = tests.Exported({desk.exported.project}, "", 0, 0)
server = tests.Server({desk.server.url!r}, os.environ["TOKEN"])
tests.Desk(server, tests.make_sets(4), Path({str(desk.folder)!r}), exported).pull()
print("writes", writes[0])
"""
    whole = run_killed(work.format(at=0), 0, desk.server.token)
    assert whole.returncode == 0, whole.stderr
    writes = int(whole.stdout.split()[-3])
    assert writes >= 6
    expected = [(r.id, r.kind) for r in desk.standing]
    assert len(expected) == 3
    for at in range(1, writes + 1):
        for path, content in before.items():
            path.write_bytes(content)
        desk.aside.path.unlink(missing_ok=True)
        killed = run_killed(work.format(at=at), 0, desk.server.token)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        desk.pull()
        assert [(r.id, r.kind) for r in desk.standing] == expected
        ids = [rating.id for rating in desk.ratings]
        assert len(ids) == len(set(ids))
        assert sum(rating.kind == "undo" for rating in desk.ratings) == 1
        assert len(list(desk.aside)) == 2


def test_a_rating_of_a_killed_pull_is_taken_back_when_it_is_gone(desk: Desk) -> None:
    task = desk.tasks()[0]
    desk.pull()
    id = desk.annotate(task.id, "A")
    cursor = desk.folder / "cursor.json"
    work = f"""
import workbench.exchange.label_studio_pull as pulling
def die(*anything):
    os.kill(os.getpid(), signal.SIGKILL)
pulling._take_back = die
exported = tests.Exported({desk.exported.project}, "", 0, 0)
server = tests.Server({desk.server.url!r}, os.environ["TOKEN"])
tests.Desk(server, tests.make_sets(4), Path({str(desk.folder)!r}), exported).pull()
"""
    seen = json.loads(cursor.read_bytes())["tasks"]
    assert run_killed(work, 0, desk.server.token).returncode == -signal.SIGKILL
    assert json.loads(cursor.read_bytes())["tasks"] == seen
    assert len(list(desk.ratings)) == 1
    desk.client.annotations.delete(id=id)
    assert desk.pull().taken_back == 1
    assert desk.standing == []


# --- many -------------------------------------------------------------------


def test_five_thousand_tasks_are_exported_once_and_100_new_ratings_found(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    sets = make_sets(5000)
    asked: dict[str, Any] = {"title": "five thousand", "seed": 0}
    first = export_pairs(label_studio.server, sets, **asked)
    again = export_pairs(label_studio.server, sets, **asked)
    assert (first.new, again.new, again.present) == (5000, 0, 5000)
    desk = Desk(label_studio.server, sets, tmp_path, first)
    all_tasks = desk.tasks()
    assert keys(desk) == sorted(task.key for task in tasks(sets, seed=0))
    assert desk.pull().looked_at == 5000
    chosen = [task.id for task in all_tasks[::50]]
    for id in chosen:
        desk.annotate(id, "A")
    pulled = desk.pull()
    assert (pulled.ratings, pulled.aside) == (100, 0)
    assert sorted(desk.chosen()) == sorted(task.data["answer_a"] for task in all_tasks[::50])
