"""The doors as people use them: commands and notebooks, against servers that answer."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import langfuse_stand_in as langfuse
import papermill
import pytest
from click.testing import CliRunner, Result
from examples import preference
from label_studio_server import LabelStudioServer, free_port

from workbench import exchange, journal, preferences
from workbench.cli import main
from workbench.errors import InputError
from workbench.records import CandidateSet, Prompt, Rating, SetAside

pytestmark = pytest.mark.slow  # together they take more than ten seconds

Command = Callable[..., Result]


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`run("raters")`: a command on a copy of the project whose ratings are the samples'."""
    monkeypatch.setenv("WORKBENCH_ROOT", str(project))
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "LABEL_STUDIO_URL"):
        monkeypatch.delenv(name, raising=False)
    ratings = _ratings(project)
    ratings.parent.mkdir(parents=True)
    shutil.copy(project / "datasets" / "samples" / "ratings.jsonl", ratings)
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[langfuse.StandIn]:
    with langfuse.running() as stand_in:
        monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", langfuse.PUBLIC)
        monkeypatch.setenv("LANGFUSE_SECRET_KEY", langfuse.SECRET)
        monkeypatch.setenv("LANGFUSE_BASE_URL", stand_in.url)
        yield stand_in


@pytest.fixture
def studio(label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch) -> LabelStudioServer:
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.server.token)
    return label_studio


def _ratings(project: Path) -> Path:
    return project / "datasets" / "ratings" / "notebook.jsonl"


def _standing(project: Path, door: str) -> list[Rating]:
    return [r for r in journal.read(_ratings(project), Rating) if r.door == door]


def _execute(project: Path, name: str, **parameters: object) -> str:
    """Run a notebook from top to bottom; everything that it printed."""
    done = papermill.execute_notebook(
        project / "notebooks" / f"{name}.ipynb",
        project / f"{name}.ipynb",
        parameters,
        progress_bar=False,
        kernel_name="python3",
    )
    return "".join(
        output.get("text", "")
        for cell in done.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def _lines(result: Result) -> tuple[int, int]:
    return result.exit_code, len(result.stderr.splitlines())


def test_scores_go_to_langfuse_once_and_others_come_back_once(run, server, project) -> None:
    first, second = run("langfuse", "push"), run("langfuse", "push")
    assert first.exit_code == second.exit_code == 0, first.output
    assert len(server.scores) > 0
    assert first.stdout.startswith(f"{len(server.scores)} scores sent")
    assert second.stdout.startswith("0 scores sent")

    server.put_trace("theirs", "Why is the sky blue?", "Air scatters blue light.")
    server.put_score(id="s", traceId="theirs", name="helpful", value=1, dataType="BOOLEAN")
    assert "1 new answers, 1 new ratings" in run("langfuse", "pull").stdout
    assert "0 new answers, 0 new ratings" in run("langfuse", "pull").stdout
    [pulled] = _standing(project, "langfuse")
    assert (pulled.kind, pulled.value, pulled.traces) == ("thumbs", 1, ("theirs",))


def test_scores_on_a_scale_of_their_own_are_read_by_it(run, server, project) -> None:
    server.put_trace("theirs", "Why is the sky blue?", "Air scatters blue light.")
    server.put_score(id="s", traceId="theirs", name="quality", value=10, dataType="NUMERIC")
    assert "1 set aside" in run("langfuse", "pull").stderr
    assert "1 new ratings" in run("langfuse", "pull", "--scale", "quality=0..10").stdout
    assert [(r.kind, r.value) for r in _standing(project, "langfuse")] == [("stars", 5)]


def test_langfuse_datasets_go_out_and_come_in(run, server, project) -> None:
    words = ("sky", "sea", "fire", "wind", "dust", "iron", "salt", "gold", "wood")
    given = [preference(f"Why {word}?", f"Yes, {word}.", "No.", topic=word) for word in words]
    there = preferences.write(given, "demo", project / "made", test=0.4)
    version = there.folder
    assert run("langfuse", "pairs", str(version), "November").stdout.startswith("9 items")
    assert run("langfuse", "pairs", str(version), "November").stdout.startswith("0 items")

    file = project / "datasets" / "prompts" / "theirs.jsonl"
    first = run("langfuse", "prompts", "November", str(file))
    prompts = journal.read(file, Prompt)
    assert first.stdout.startswith(f"{len(prompts)} new prompts, 0 were there")
    assert {p.id for p in prompts} == {p.prompt.id for p in there.train}
    assert "are for test and were left out (--split test takes them)" in first.stdout
    held_out = file.with_name("test.jsonl")
    run("langfuse", "prompts", "--split", "test", "November", str(held_out))
    taken = {p.id for p in journal.read(held_out, Prompt)}
    assert taken == {p.prompt.id for p in there.test} != set()
    assert run("langfuse", "prompts", "November", str(file)).stdout.startswith("0 new prompts")
    assert _lines(run("langfuse", "prompts", "Nowhere", str(file))) == (2, 1)
    assert journal.read(file, Prompt) == prompts


def test_items_that_changed_or_are_no_prompts_are_named_and_kept(run, server, project) -> None:
    server.datasets["theirs"] = {}
    server.put_item("theirs", id="i1", input="Why?")
    server.put_item("theirs", id="i2", input={"x": 1})
    file = project / "datasets" / "prompts" / "theirs.jsonl"
    first = run("langfuse", "prompts", "theirs", str(file))
    assert "1 set aside, with the reason: datasets/ratings/notebook.aside.jsonl" in first.stderr
    [aside] = journal.read(_ratings(project).with_name("notebook.aside.jsonl"), SetAside)
    assert aside.source == "langfuse: item i2 of theirs"
    kept = journal.read(file, Prompt)
    server.put_item("theirs", id="i1", input="Why not?")
    again = run("langfuse", "prompts", "theirs", str(file))
    assert again.stderr == "1 changed there; kept here as they were: 'i1'\n"
    assert journal.read(file, Prompt) == kept


def test_ratings_that_fit_nothing_are_kept_with_the_reason(run, server, project) -> None:
    first = journal.read(_ratings(project), Rating)[0]
    odd = dataclasses.replace(first, id="odd", candidate_set="of-no-set")
    journal.Journal(_ratings(project), Rating).append(odd)
    assert "1 set aside, with the reason" in run("langfuse", "push").stderr
    [aside] = journal.read(_ratings(project).with_name("notebook.aside.jsonl"), SetAside)
    assert (aside.source, aside.reason) == ("ratings: odd", "there is no candidate set of-no-set")
    assert run("langfuse", "push").stderr == ""


def test_a_folder_is_no_file_for_prompts(run, server, project) -> None:
    result = run("langfuse", "prompts", "November", str(project))
    assert result.exit_code == 2
    assert "is a directory" in result.stderr


@pytest.mark.parametrize(
    "text", ["0001-01-01", "9999-12-31T23:00-05:00", "yesterday", "2026-13-01"]
)
def test_what_is_no_time_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=f"'{text}' is no time") as refusal:
        exchange.local_time(text)
    assert "\n" not in str(refusal.value)


def test_a_time_without_an_offset_is_local() -> None:
    assert exchange.local_time("") is None
    assert exchange.local_time("2026-11-01") == datetime(2026, 11, 1).astimezone()
    given = exchange.local_time("2026-11-01T09:30:00+03:00")
    assert given == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_no_clock_shows_is_one_line(run, server, option: str) -> None:
    result = run("langfuse", "pull", option, "0001-01-01")
    assert _lines(result) == (2, 1)
    assert "0001-01-01" in result.stderr
    server.put_trace("theirs", "Why is the sky blue?", "Air scatters blue light.")
    assert "1 new answers" in run("langfuse", "pull", "--since", "1970-01-02").stdout


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (("langfuse", "push"), "LANGFUSE_PUBLIC_KEY"),
        (("langfuse", "pairs", "nowhere", "November"), "not a dataset version"),
        (("label-studio", "import", "missing.json"), "can't be read"),
        (("dataset", "export", "nowhere", "kto", "out"), "not a dataset version"),
        (("raters", "--run", "never"), "not there"),
    ],
)
def test_a_mistake_is_one_line(run, arguments: tuple[str, ...], fact: str) -> None:
    result = run(*arguments)
    assert _lines(result) == (2, 1)
    assert fact in result.stderr


def test_a_wrong_key_is_one_line_and_loses_nothing(run, server, monkeypatch) -> None:
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-lf-wrong")
    result = run("langfuse", "push")
    assert _lines(result) == (2, 1)
    assert "sk-lf-wrong" not in result.output
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", langfuse.SECRET)
    assert not run("langfuse", "push").stdout.startswith("0 scores")


def test_a_broken_export_file_is_set_aside(run, project) -> None:
    (project / "broken.json").write_text('[{"id": 1, "data": {"task_key"')
    result = run("label-studio", "import", str(project / "broken.json"))
    assert result.exit_code == 0
    assert "0 new ratings" in result.stdout
    assert "1 set aside" in result.stderr
    [aside] = journal.read(_ratings(project).with_name("notebook.aside.jsonl"), SetAside)
    assert "not a list of tasks" in aside.reason


def test_a_file_is_taken_in_while_its_server_is_down(run, project, monkeypatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    missing = run("label-studio", "import", "missing.json")
    assert _lines(missing) == (2, 1)
    assert "missing.json can't be read" in missing.stderr
    sets = journal.read(project / "datasets" / "samples" / "candidates.jsonl", CandidateSet)
    task = {"data": exchange.tasks(sets[:1], seed=0)[0].data}
    value = {"choices": ["A"]}
    said = {"from_name": "verdict", "type": "choices", "value": value}
    whose = {"completed_by": {"email": "anna@example.com"}, "updated_at": "2026-01-01T10:00:00Z"}
    numbered = {"completed_by": 7, "updated_at": "2026-01-01T11:00:00Z"}
    annotations = [{"id": n, "result": [said], **w} for n, w in enumerate((whose, numbered))]
    file = project / "export.json"
    file.write_text(json.dumps([{**task, "annotations": annotations}]))
    result = run("label-studio", "import", str(file))
    assert result.exit_code == 0, result.output
    assert "1 new ratings" in result.stdout
    [unreached, aside] = result.stderr.splitlines()
    assert "can't be reached" in unreached
    assert "--name" in unreached
    assert "1 set aside" in aside
    assert "1 new ratings" in run("label-studio", "import", str(file), "--name", "7=b@x.org").stdout


def test_raters_are_described(run) -> None:
    said = run("raters").stdout
    assert "rule:short-first-sentence" in said
    assert "Krippendorff's alpha of all raters: not known" in said


def test_a_dataset_is_exported_in_another_form(run, project) -> None:
    [version] = (project / "datasets" / "samples" / "preferences").iterdir()
    result = run("dataset", "export", str(version), "kto", str(project / "kto"))
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (project / "kto" / "train.jsonl").read_text().splitlines()]
    assert {row["label"] for row in rows} == {True, False}


def test_the_langfuse_notebook_sends_and_pulls(run, server, project) -> None:
    for number in ("one", "two"):
        server.put_trace(number, "Why is the sky blue?", f"Answer {number}.", tags=["pilot"])
    server.put_score(id="s1", traceId="one", name="stars", value=5, dataType="NUMERIC")
    server.put_score(id="s2", traceId="two", name="stars", value=2, dataType="NUMERIC")
    sent = len(server.scores)
    said = _execute(project, "10-langfuse", tags="pilot", since="2020-01-01")
    assert "connected to Langfuse" in said
    assert len(server.scores) > sent
    assert sorted(r.value for r in _standing(project, "langfuse")) == [2, 5]
    [pulled] = journal.read(project / "datasets/traces/notebook/pulled.jsonl", CandidateSet)
    assert [c.text for c in pulled.completions] == ["Answer one.", "Answer two."]
    # Both stars are of one set: they give a pair to train on.
    assert " gave 1 pairs" in _execute(project, "04-preferences", raters="person:langfuse")


def test_label_studio_by_notebook_and_by_command(run, studio, project) -> None:
    _execute(project, "11-label-studio", title="by notebook")
    [there] = studio.client().projects.list(title="by notebook")
    again = run("label-studio", "export", "--title", "by notebook")
    assert again.stdout.startswith("0 new tasks"), again.output
    task = next(iter(studio.client().tasks.list(project=there.id)))
    verdict = {"choices": ["B"]}
    result = {"id": "x", "from_name": "verdict", "to_name": "prompt", "type": "choices"}
    studio.client().annotations.create(id=task.id, result=[result | {"value": verdict}])
    assert "1 new ratings" in run("label-studio", "pull", str(there.id)).stdout
    assert "0 new ratings" in run("label-studio", "pull", str(there.id)).stdout
    [rating] = _standing(project, "label-studio")
    assert rating.ranking == ((rating.shown[1],), (rating.shown[0],))


def test_a_project_of_others_is_taken_in_by_its_number(run, studio, project) -> None:
    page = """<View><Pairwise name="pw" toName="a,b"/><Text name="q" value="$q"/>
      <Text name="a" value="$a"/><Text name="b" value="$b"/></View>"""
    number = studio.client().projects.create(title="theirs", label_config=page).id
    data = {"q": "Why is the sky blue?", "a": "Because of the sea.", "b": "Air scatters blue."}
    studio.client().projects.import_tasks(id=number, request=[{"data": data}])
    [task] = studio.client().tasks.list(project=number)
    result = {
        "from_name": "pw",
        "to_name": "pw",
        "type": "pairwise",
        "value": {"selected": "right"},
    }
    studio.client().annotations.create(id=task.id, result=[result])
    assert run("label-studio", "pull", "--foreign", str(number)).stdout.startswith("1 new ratings")
    again = _execute(project, "11-label-studio", foreign_project=number)
    assert again.count("Pulled(ratings=0") == 2  # its own project and theirs
    [pulled] = journal.read(project / "datasets/traces/notebook/pulled.jsonl", CandidateSet)
    [rating] = _standing(project, "label-studio")
    assert pulled.completion(rating.ranking[0][0]).text == "Air scatters blue."


@pytest.mark.parametrize(
    ("token", "number", "fact"),
    [("wrong-token", 1, "refuses the token"), ("", 987654, "no such project")],
)
def test_a_wrong_token_or_project_is_one_line(
    run, studio, monkeypatch, token: str, number: int, fact: str
) -> None:
    if token:
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
    result = run("label-studio", "pull", str(number))
    assert _lines(result) == (2, 1)
    assert fact in result.stderr
    assert "wrong-token" not in result.output
