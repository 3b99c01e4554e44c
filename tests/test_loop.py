"""The loop's own notebooks, killed in the middle, go on and end with the same data."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import journal
from workbench.records import CandidateSet, Rating

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
import sys
from workbench import runs
from workbench.settings import Settings

sizes = {"n_prompts": 6, "n_candidates": 3, "max_tokens": 16, "n_grounded": 1}
steps = ("02-candidates", "03-rank", "04-preferences")
runs.run(Settings.load(), sizes, name=sys.argv[1], steps=steps)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the notebooks read."""
    for name in ("notebooks", "datasets/prompts", "datasets/knowledge"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def _run(project: Path, name: str, kill_at: str | None = None) -> str:
    """What the run printed; with `kill_at`, until a line that holds it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name], cwd=project, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if kill_at and kill_at in line:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.wait(timeout=60)
    return printed


@pytest.mark.slow
def test_a_run_killed_among_its_candidates_ends_with_the_same_data(project: Path) -> None:
    _run(project, "whole")
    _run(project, "killed", kill_at="2 of 6 prompts answered")
    sets = project / "datasets" / "traces"
    kept = len(journal.read(sets / "killed" / "candidates.jsonl", CandidateSet))
    assert 2 <= kept < 6
    assert "[3/3] 04-preferences: " in _run(project, "killed")

    answers = [
        [(s.id, [c.text for c in s.completions]) for s in journal.read(file, CandidateSet)]
        for file in (sets / "whole" / "candidates.jsonl", sets / "killed" / "candidates.jsonl")
    ]
    assert answers[0] == answers[1]
    ratings = [
        [(r.id, r.ranking) for r in journal.read(project / "datasets/ratings" / name, Rating)]
        for name in ("whole.jsonl", "killed.jsonl")
    ]
    assert ratings[0] == ratings[1]
    preferences = project / "datasets" / "preferences"
    [whole], [killed] = (list(preferences.glob(f"{n}/*/train.jsonl")) for n in ("whole", "killed"))
    assert whole.parent.name == killed.parent.name
    assert whole.read_bytes() == killed.read_bytes()
