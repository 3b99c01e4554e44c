from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.training import Training, TrainingOptions
from workbench.training.folder import TrainingFolder, TrainingInputs

INPUTS = TrainingInputs("a" * 64, "b" * 64, "v1", TrainingOptions())


def _finish(folder: TrainingFolder) -> Training:
    def save(path: Path) -> None:
        path.mkdir()
        (path / "weights").write_text("w")

    done = Training(folder.adapter, INPUTS.options, "v1", ((1, 0.7),), ((1, 0.5),), 4, 0, "c", 1.5)
    return folder.finish(save, done)


def test_a_result_is_read_back_also_after_the_folder_has_moved(tmp_path: Path) -> None:
    done = _finish(TrainingFolder(tmp_path / "one", INPUTS))
    (tmp_path / "one").rename(tmp_path / "two")
    moved = TrainingFolder(tmp_path / "two", INPUTS).result()
    assert moved == replace(done, adapter=tmp_path / "two" / "adapter")
    assert (moved.adapter / "weights").read_text() == "w"
    assert str(tmp_path) not in (tmp_path / "two" / "training.json").read_text()


def test_another_training_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    TrainingFolder(tmp_path, INPUTS)
    with pytest.raises(InputError, match="holds a training of other"):
        TrainingFolder(tmp_path, replace(INPUTS, options=TrainingOptions(seed=1)))


def test_the_newest_checkpoint_that_is_whole_counts_and_torn_ones_go(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, INPUTS)
    for step in (2, 10, 12):
        path = folder.checkpoints / f"checkpoint-{step}"
        path.mkdir()
        (path / "optimizer.pt").write_bytes(b"state")
        if step != 12:
            folder.seal(step, seconds=float(step))
    newest = folder.newest_checkpoint()
    assert newest is not None
    assert (newest.step, newest.seconds) == (10, 10.0)
    assert not (folder.checkpoints / "checkpoint-12").exists()


def test_an_adapter_that_can_not_be_saved_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, INPUTS)

    def save(path: Path) -> None:
        path.mkdir()
        raise OSError("disk full")

    done = Training(folder.adapter, INPUTS.options, "v1", (), (), 4, 0, "c", 1.5)
    with pytest.raises(OSError, match="disk full"):
        folder.finish(save, done)
    assert folder.result() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "inputs.json"]


def test_a_folder_that_can_not_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="Give another folder"):
        TrainingFolder(tmp_path / "file" / "output", INPUTS)
