"""The loop's own notebooks: killed they end with the same data, and a mistake is one line."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from workbench import adapters, journal, models, runs
from workbench.errors import RunError
from workbench.records import CandidateSet, Rating, Verdict
from workbench.settings import Settings

SCRIPT = """
import sys
from workbench import runs
from workbench.settings import Settings

sizes = {"n_prompts": 8, "n_candidates": 3}
if sys.argv[3] == "10":
    sizes |= {"n_parity_prompts": 2, "n_heldout": 4, "batch_size": 2, "learning_rate": 3e-4}
if sys.argv[4:]:
    sizes |= {"raters": sys.argv[4]}
# What the others don't read is run by a test of its own.
steps = [
    step
    for step in runs.STEPS[int(sys.argv[2]):int(sys.argv[3])]
    if step != "01-compare-backends"
]
runs.run(Settings.load(), sizes, name=sys.argv[1], steps=steps)
"""
# Where the run is killed: a step of the loop, and a line that it prints on its way.
KILL_ANSWERING = "2 of 8 prompts answered"
KILLS = ("[training] step  2/12", "answered 2 prompts", "2 of 4 answered by the adapter")


def _run(
    project: Path,
    name: str,
    steps: tuple[int, int],
    *,
    raters: str | None = None,
    kill_at: str | None = None,
) -> None:
    """A run in a process of its own; killed at the first line that holds `kill_at`."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name, *map(str, steps), *filter(None, [raters])],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if kill_at and kill_at in line:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    status = process.wait(timeout=60)
    assert status == (-signal.SIGKILL if kill_at else 0), printed


def _judge(project: Path, name: str) -> None:
    """Anna, who came by a door, finds the last answer of each set the best; one set is unknown."""
    sets = journal.read(project / "datasets" / "traces" / name / "candidates.jsonl", CandidateSet)
    given = journal.Journal(project / "datasets" / "ratings" / f"{name}.jsonl", Rating)
    for number, candidate_set in enumerate(sets):
        shown = tuple(completion.id for completion in candidate_set.completions)
        ranking = tuple((id,) for id in reversed(shown))
        at = f"2026-01-01T00:00:{number:02}+00:00"
        known = Rating(
            f"anna-{number}",
            "ranking",
            candidate_set.id,
            shown,
            "person:anna",
            "widget",
            at,
            ranking,
        )
        given.append(known)
    given.append(replace(known, id="anna-stray", candidate_set="unknown"))


@pytest.mark.slow
@pytest.mark.timeout(2400)  # four runs; 900 s are too few for a machine that is busy
def test_a_loop_killed_in_its_steps_learns_the_same_from_people(project: Path) -> None:
    _run(project, "whole", (2, 4))
    _run(project, "killed", (0, 4), kill_at=KILL_ANSWERING)
    _run(project, "killed", (0, 4))
    traces, ratings = project / "datasets" / "traces", project / "datasets" / "ratings"
    answers = [
        [(s.id, [c.text for c in s.completions]) for s in journal.read(file, CandidateSet)]
        for file in (traces / "whole/candidates.jsonl", traces / "killed/candidates.jsonl")
    ]
    assert len(answers[0]) == 8
    assert answers[0] == answers[1]
    judgements = [
        [(r.id, r.ranking) for r in journal.read(ratings / name, Rating)]
        for name in ("whole.jsonl", "killed.jsonl")
    ]
    assert judgements[0] == judgements[1]

    for name in ("whole", "killed"):
        _judge(project, name)
    _run(project, "whole", (2, 5), raters="people")
    for line in KILLS:
        _run(project, "killed", (0, 10), raters="people", kill_at=line)
    _run(project, "killed", (0, 10), raters="people")
    preferences = project / "datasets" / "preferences"
    [whole], [killed] = (list(preferences.glob(f"{n}/*/train.jsonl")) for n in ("whole", "killed"))
    assert whole.parent.name == killed.parent.name
    assert whole.read_bytes() == killed.read_bytes()

    report = project / "reports" / "killed"
    verdict = msgspec.json.decode((report / "results" / "verdict.json").read_bytes(), type=Verdict)
    assert verdict.n == 4
    page = " ".join((report / "index.html").read_text().split())
    assert "person:anna" in page
    for agent in ("careful", "free"):
        assert f"What the agent {agent} did: Summarize anomalies in boost_target map" in page
    for page_of_a_step in report.glob("*.html"):
        assert str(project) not in page_of_a_step.read_text(), page_of_a_step.name
    [runs_of_agents] = journal.read(traces / "killed" / "agents.jsonl", CandidateSet)
    assert len(runs_of_agents.completions) == 2
    assert "ratings set aside</th><td>1<" in page.replace("</th> <td>", "</th><td>")
    [generation] = (project / "adapters" / "killed").glob("0*")
    assert "ratings" in adapters.verify(generation, project, Settings.load(root=project).home)


def _truncated_model(
    project: Path, monkeypatch: pytest.MonkeyPatch, embedded: models.Model
) -> None:
    data = embedded.path.read_bytes()
    (project / "cut.gguf").write_bytes(data[: len(data) // 2])
    monkeypatch.setenv("MODEL_PATH", "cut.gguf")


def _missing_model(project: Path, monkeypatch: pytest.MonkeyPatch, embedded: models.Model) -> None:
    monkeypatch.setenv("MODEL_PATH", "missing.gguf")


def _foreign_adapter(
    project: Path, monkeypatch: pytest.MonkeyPatch, embedded: models.Model
) -> None:
    [generation] = (project / "datasets" / "samples" / "adapter").iterdir()
    manifest = generation / "manifest.json"
    manifest.write_text(manifest.read_text().replace(embedded.fingerprint, "0" * 64))
    monkeypatch.setenv("LORA_PATHS", "datasets/samples/adapter/*")


def _malformed_line(project: Path, monkeypatch: pytest.MonkeyPatch, embedded: models.Model) -> None:
    file = project / "datasets" / "prompts" / "english.jsonl"
    first, *rest = file.read_text().splitlines()
    file.write_text("\n".join([first, "{not JSON", *rest]))


def _no_place_to_write(
    project: Path, monkeypatch: pytest.MonkeyPatch, embedded: models.Model
) -> None:
    # A file where a folder should be: unlike its mode, that stops root as well.
    (project / "datasets" / "traces").write_text("")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "step", "said"),
    [
        (_missing_model, "00-environment", "There is no model at .*missing.gguf. Set MODEL_PATH"),
        (_truncated_model, "00-environment", "cut.gguf"),
        (_foreign_adapter, "01-compare-backends", "another base than the one loaded. Load the"),
        (_malformed_line, "02-candidates", "english.jsonl, line 2 is not a Prompt.*Mend or remove"),
        (_no_place_to_write, "02-candidates", "can't be written .*allow writing there"),
    ],
)
def test_a_mistake_ends_a_run_in_one_line(
    mistake: Callable[[Path, pytest.MonkeyPatch, models.Model], None],
    step: str,
    said: str,
    project: Path,
    embedded: models.Model,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistake(project, monkeypatch, embedded)
    settings = Settings.load(root=project)
    with pytest.raises(RunError, match=f"Step {step} failed: .*{said}") as raised:
        runs.run(settings, steps=(step,), out=io.StringIO())
    assert "\n" not in str(raised.value)
    assert "the same command continues from this step" in str(raised.value)
