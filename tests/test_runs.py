"""Runs execute notebooks in order, refuse what papermill accepts, and continue after a kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_notebook

from workbench import runs
from workbench.errors import InputError, RunError, SettingsError
from workbench.settings import Settings


def _notebook(folder: Path, name: str, parameters: str, *cells: str) -> None:
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[first, *(new_code_cell(cell) for cell in cells)])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, folder / f"{name}.ipynb")


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    """A project of two small notebooks that append to one file."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "datasets").mkdir()
    body = """
import os, sys
from pathlib import Path
with open(Path(os.environ["WORKBENCH_ROOT"], "log"), "a") as log:
    log.write(f"NAME {run_name} {n}\\n")
served = os.environ["RUNTIME_BACKEND"], os.environ["MODEL_PATH"]
Path(os.environ["WORKBENCH_ROOT"], "served").write_text(" ".join(served))
print("made", n, file=sys.stderr)
"""
    parameters = (
        'run_name: str = ""  # run\nn: int = 2  # how many\nscale: float = 1.0  # how large'
    )
    for name in ("one", "two"):
        _notebook(tmp_path / "notebooks", name, parameters, body.replace("NAME", name))
    return Settings.load({}, root=tmp_path)


def _run(project: Settings, **kwargs: object) -> str:
    out = io.StringIO()
    runs.run(project, steps=("one", "two"), out=out, **kwargs)  # type: ignore[arg-type]
    return out.getvalue()


def test_steps_run_in_order_and_print_what_they_do(project: Settings) -> None:
    printed = _run(project, name="first", parameters={"n": 5})
    assert (project.root / "log").read_text() == "one first 5\ntwo first 5\n"
    assert "[1/2] one" in printed
    assert "      made 5" in printed
    state = runs.load(project.reports / "first")
    assert [step.notebook for step in state.steps] == ["one", "two"]
    assert state.finished
    assert (project.reports / "first" / "two.html").stat().st_size > 1000


@pytest.mark.slow
def test_a_run_leaves_the_environment_as_it_was(project: Settings) -> None:
    before = dict(os.environ)
    _run(project, name="first")
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_finished_run_is_not_repeated_under_its_name(project: Settings) -> None:
    _run(project, name="first")
    assert "done before" in _run(project, name="first")
    assert (project.root / "log").read_text().count("one") == 1


@pytest.mark.slow
def test_an_edited_notebook_and_all_after_it_run_again(project: Settings) -> None:
    _run(project, name="first")
    source = project.notebooks / "one.ipynb"
    source.write_text(source.read_text().replace("made", "remade"))
    _run(project, name="first")
    assert [line.split()[0] for line in (project.root / "log").read_text().splitlines()] == [
        "one",
        "two",
        "one",
        "two",
    ]


@pytest.mark.slow
def test_another_parameter_begins_another_run(project: Settings) -> None:
    _run(project, parameters={"n": 1})
    time.sleep(1.1)  # names of runs have a resolution of a second
    _run(project, parameters={"n": 2})
    assert len(list(project.reports.iterdir())) == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"m": 1}, "No notebook has a parameter 'm'.*Did you mean|Known are"),
        ({"scal": 1.0}, "Did you mean scale"),
        ({"n": "many"}, "Parameter n is 'many'.*type int"),
        ({"n": True}, "Parameter n is True"),
        ({"run_name": "x"}, "set by the runner"),
    ],
)
def test_what_papermill_accepts_silently_is_refused(
    project: Settings, parameters: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _run(project, parameters=parameters)
    assert not (project.root / "log").exists()


@pytest.mark.slow
def test_a_whole_number_serves_as_a_float(project: Settings) -> None:
    _run(project, name="whole", parameters={"scale": 2})


def test_a_failing_notebook_says_why_and_keeps_what_was_done(project: Settings) -> None:
    _notebook(
        project.notebooks,
        "two",
        'run_name: str = ""',
        "from workbench.errors import ModelError\nraise ModelError('No model', 'Give one')",
    )
    with pytest.raises(RunError, match=r"Step two failed: No model\. Give one\."):
        _run(project, name="broken")
    state = runs.load(project.reports / "broken")
    assert [step.notebook for step in state.steps] == ["one"]
    assert state.finished is None


@pytest.mark.slow
def test_a_killed_run_continues_at_its_step(project: Settings) -> None:
    marker = project.root / "go"
    _notebook(
        project.notebooks,
        "two",
        'run_name: str = ""',
        f"import time\nfrom pathlib import Path\nPath({str(project.root)!r}, 'there').touch()\n"
        f"while not Path({str(marker)!r}).exists():\n    time.sleep(0.05)",
    )
    script = (
        "from pathlib import Path\nfrom workbench import runs\n"
        "from workbench.settings import Settings\n"
        f"runs.run(Settings.load({{}}, root=Path({str(project.root)!r})), steps=('one', 'two'))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    deadline = time.monotonic() + 60
    while not (project.root / "there").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    marker.touch()
    out = io.StringIO()
    runs.run(project, steps=("one", "two"), out=out)
    assert "[1/2] one: done before" in out.getvalue()
    assert (project.root / "log").read_text().count("one") == 1
    assert len(list(project.reports.iterdir())) == 1


def test_a_run_file_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"name": 1}))
    with pytest.raises(InputError, match="is not a run"):
        runs.load(tmp_path)


@pytest.mark.slow
def test_numbers_may_be_given_as_text(project: Settings) -> None:
    _run(project, parameters={"n": "3", "scale": "1e-3"}, name="text")
    assert runs.load(project.reports / "text").parameters["scale"] == 1e-3
    with pytest.raises(InputError, match=r"n is .3\.5."):
        _run(project, parameters={"n": "3.5"})


@pytest.mark.slow
def test_another_runtime_is_another_run(project: Settings) -> None:
    source = project.notebooks / "two.ipynb"
    whole = source.read_text()
    _notebook(project.notebooks, "two", 'run_name: str = ""  # run', "1 / 0")
    with pytest.raises(RunError):
        _run(project)
    source.write_text(whole)
    _run(project.with_(runtime_backend="onnx"))
    assert (project.root / "served").read_text() == "onnx embedded"
    assert len(list(project.reports.iterdir())) == 2
    _run(project)
    assert len(list(project.reports.iterdir())) == 2


@pytest.mark.slow
def test_a_run_that_is_redone_does_not_look_finished(project: Settings) -> None:
    _run(project, name="again")
    _notebook(project.notebooks, "two", 'run_name: str = ""  # run', "1 / 0")
    with pytest.raises(RunError):
        _run(project, name="again")
    state = runs.load(project.reports / "again")
    assert state.finished is None
    assert [step.notebook for step in state.steps] == ["one"]


def test_a_run_has_one_process(project: Settings) -> None:
    (project.reports / "first").mkdir(parents=True)
    with (
        FileLock(project.reports / "first" / ".lock"),
        pytest.raises(RunError, match="going on in another process"),
    ):
        _run(project, name="first")


@pytest.mark.slow
def test_a_broken_run_does_not_hinder_others(project: Settings) -> None:
    broken = project.reports / "20260101-000000"
    broken.mkdir(parents=True)
    (broken / "run.json").write_text("{")
    _run(project)
    with pytest.raises(InputError, match="is not a run"):
        _run(project, name=broken.name)


@pytest.mark.slow
def test_prompts_that_changed_are_asked_again(project: Settings) -> None:
    project.prompts.mkdir()
    _run(project, name="first")
    (project.prompts / "english.jsonl").write_text("another")
    assert "done before" not in _run(project, name="first")


def test_judgements_that_came_in_meanwhile_are_trained_on(project: Settings) -> None:
    (project.notebooks / "two.ipynb").rename(project.notebooks / f"{runs.JUDGED}.ipynb")
    steps = ("one", runs.JUDGED)
    runs.run(project, steps=steps, name="first", out=io.StringIO())
    ratings = project.datasets / "ratings" / "first.jsonl"
    ratings.parent.mkdir()
    ratings.write_text("a judgement\n")
    runs.run(project, steps=steps, name="first", out=io.StringIO())
    runs.run(project, steps=steps, name="first", out=io.StringIO())
    assert (project.root / "log").read_text() == "one first 2\n" + "two first 2\n" * 2


@pytest.mark.slow
def test_what_is_served_may_be_a_parameter(project: Settings) -> None:
    parameters = 'run_name: str = ""\nn: int = 2\nruntime_backend: str = ""\nmodel_path: str = ""'
    body = "import os; assert os.environ['RUNTIME_BACKEND'] == 'onnx' and not runtime_backend"
    _notebook(project.notebooks, "one", parameters, body)
    _run(project, name="first", parameters={"runtime_backend": "onnx"})
    assert runs.load(project.reports / "first").settings["runtime_backend"] == "onnx"
    with pytest.raises(SettingsError, match="RUNTIME_BACKEND is 'gpu'"):
        _run(project, parameters={"runtime_backend": "gpu"})


def test_the_demo_gives_parameters_that_exist() -> None:
    notebooks = Path(__file__).resolve().parent.parent / "notebooks"
    declared = [runs.declared_parameters(notebooks / f"{step}.ipynb") for step in runs.STEPS]
    assert set(runs.DEMO) <= {name for own in declared for name in own}


@pytest.mark.slow
def test_a_step_keeps_every_parameter_it_had(project: Settings) -> None:
    _run(project, name="first", parameters={"n": 5})
    [one, _] = runs.load(project.reports / "first").steps
    assert one.parameters == {"run_name": "first", "n": 5, "scale": 1.0}


@pytest.mark.slow
def test_a_kernel_that_dies_is_one_line(project: Settings) -> None:
    _notebook(
        project.notebooks, "two", 'run_name: str = ""  # run', "import os; os.kill(os.getpid(), 9)"
    )
    with pytest.raises(RunError, match="kernel of step two died"):
        _run(project)
