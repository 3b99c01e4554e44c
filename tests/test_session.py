"""A session knows the files of its run, and falls back to samples only when opened by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.records import Message
from workbench.session import Session, start
from workbench.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "datasets" / "samples").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "datasets" / "samples" / "candidates.jsonl").write_text("sample")
    return tmp_path


def _session(root: Path, run: str) -> Session:
    return Session("03-rank", run, 0, Settings.load({}, root=root))


def test_a_notebook_opened_by_hand_reads_samples(root: Path) -> None:
    session = _session(root, "notebook")
    assert session.given(session.candidates).read_text() == "sample"
    session.candidates.parent.mkdir(parents=True)
    session.candidates.write_text("own")
    assert session.given(session.candidates).read_text() == "own"


def test_a_named_run_never_reads_samples(root: Path) -> None:
    session = _session(root, "first")
    with pytest.raises(InputError, match=r"traces/first/candidates\.jsonl is not there"):
        session.given(session.candidates)


def test_results_come_back_as_they_were(root: Path) -> None:
    session = _session(root, "first")
    session.record("message", Message("user", "да"))
    assert session.recall("message", Message) == Message("user", "да")


def test_a_broken_result_is_named(root: Path) -> None:
    session = _session(root, "first")
    session.record("message", {"role": "user"})
    with pytest.raises(InputError, match=r"message\.json is not a Message"):
        session.recall("message", Message)


def test_the_newest_version_is_the_one_finished_last(root: Path) -> None:
    session = _session(root, "first")
    folder = session.settings.datasets / "preferences" / "first"
    for name in ("zzz", "aaa"):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text("{}")
    (folder / "unfinished").mkdir()
    assert session.dataset_folder == folder / "aaa"


def test_start_says_what_is_in_use(root: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WORKBENCH_ROOT", str(root))
    session = start("03-rank", seed=7, runtime_backend="onnx")
    printed = capsys.readouterr().out
    assert session.interactive
    assert session.settings.runtime_backend == "onnx"
    assert "run notebook | seed 7 | onnx | embedded" in printed
