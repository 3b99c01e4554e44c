"""A session knows the files of its run, and falls back to samples only when opened by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import examples
import pytest

from workbench.errors import InputError
from workbench.journal import Journal
from workbench.records import CandidateSet, Message
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


def _sets(session: Session, *ids: str) -> None:
    Journal(session.candidates, CandidateSet).append(
        *(examples.candidate_set(id, "Yes.", "No.") for id in ids)
    )


def test_the_draw_is_what_step_02_chose_last(root: Path) -> None:
    session = _session(root, "first")
    _sets(session, "a", "b", "c")
    session.record("draw", ["c", "a"])
    assert [s.id for s in session.drawn()] == ["c", "a"]


def test_a_draw_that_was_stopped_is_named(root: Path) -> None:
    session = _session(root, "first")
    _sets(session, "a")
    session.record("draw", ["a", "b"])
    with pytest.raises(InputError, match="lacks 1 of 2 sets"):
        session.drawn()


def test_versions_are_those_that_the_steps_recorded(root: Path) -> None:
    session = _session(root, "first")
    datasets, generations = root / "datasets/preferences/first", root / "adapters/first"
    for folder in (datasets / "old", datasets / "new", generations / "0001-abc"):
        folder.mkdir(parents=True)
    session.record("dataset", {"version": "old"})
    session.record("adapter", {"generation": "first/0001-abc"})
    assert session.dataset_folder() == datasets / "old"
    assert session.dataset_folder("new") == datasets / "new"
    assert session.generation_folder() == generations / "0001-abc"


def test_other_inputs_train_in_another_folder(root: Path) -> None:
    session = _session(root, "first")
    folder = session.training_folder("model", 1)
    assert folder == session.training_folder("model", 1)
    assert folder != session.training_folder("model", 2)


def test_start_says_what_is_in_use(root: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WORKBENCH_ROOT", str(root))
    session = start("03-rank", seed=7, runtime_backend="onnx")
    printed = capsys.readouterr().out
    assert session.interactive
    assert session.settings.runtime_backend == "onnx"
    assert "run notebook | seed 7 | onnx | embedded" in printed


def test_what_came_from_elsewhere_may_be_judged_beside_what_was_drawn(root: Path) -> None:
    session = _session(root, "first")
    _sets(session, "drawn")
    session.record("draw", ["drawn"])
    assert [s.id for s in session.judged_sets()] == ["drawn"]
    pulled, grown = (
        examples.candidate_set("pulled", *texts) for texts in (["Yes."], ["Yes.", "No."])
    )
    Journal(session.pulled, CandidateSet).append(pulled, grown)
    assert [s.id for s in session.judged_sets()] == ["drawn", "pulled"]
    assert session.judged_sets()[-1] == grown
    made = examples.candidate_set("agents", "Found.", "Nothing.")
    Journal(session.agent_sets, CandidateSet).append(made, made)
    assert [s.id for s in session.own_sets()] == ["drawn", "agents"]
    assert [s.id for s in session.judged_sets()] == ["drawn", "agents", "pulled"]


def test_other_parameters_make_another_name(root: Path) -> None:
    session = _session(root, "first")
    served = session.settings.with_(n_ctx=512)
    others = (
        _session(root, "second"),
        replace(session, seed=1),
        replace(session, notebook="08-agent"),
        replace(session, settings=served),
    )
    made = [each.name_of("task", ("a", "b")) for each in (session, *others)]
    assert len({*made, session.name_of("task", ("a",))}) == 6
    assert session.name_of("task", ("a", "b")) == made[0]


@pytest.mark.parametrize("run", ["", "../elsewhere", "a/b", ".hidden", "a b", "бег", "a\n"])
def test_what_can_not_be_a_folder_can_not_be_a_run(root: Path, run: str) -> None:
    with pytest.raises(InputError, match="can't name a run"):
        _session(root, run)
