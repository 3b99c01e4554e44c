"""The output folder of one training: whose it is, how far it came, what came out.

    inputs.json     what it trains and on what, fixed by the first run
    checkpoints/    state every N steps; one without the file `whole.json` is torn
    adapter/        the peft folder, moved into place when it is complete
    training.json   the result, written last

It knows nothing about the library that trains. It is no guard against two
processes that train into one folder at the same time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from workbench.adapters.files import sync
from workbench.errors import InputError
from workbench.journal import write_whole
from workbench.records import encode
from workbench.training.options import Training, TrainingOptions

_WHOLE = "whole.json"


@dataclass(frozen=True)
class TrainingInputs:
    """What decides the outcome of a training; hashes are sha256 in hex."""

    model_sha256: str
    train_sha256: str
    dataset: str
    options: TrainingOptions


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint, and the seconds of training that led to it."""

    path: Path
    step: int
    seconds: float


class TrainingFolder:
    """The folder `output`, held for one set of inputs.

    Raises InputError when it can't be written or when it holds a training of
    other inputs.
    """

    def __init__(self, output: Path, inputs: TrainingInputs) -> None:
        self.adapter = output / "adapter"
        self.checkpoints = output / "checkpoints"
        self._result = output / "training.json"
        claim = output / "inputs.json"
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            if not claim.exists():
                write_whole(claim, encode(inputs))
            held = claim.read_bytes()
        except OSError as error:
            raise InputError(
                f"{output} can't be written ({error.strerror})", "Give another folder"
            ) from error
        if held != encode(inputs):
            raise InputError(
                f"{output} holds a training of other data, another model or other options",
                "Give another folder, or remove that one",
            )

    def result(self) -> Training | None:
        """The finished training; None while it is not finished."""
        try:
            data = self._result.read_bytes()
        except FileNotFoundError:
            return None
        training = msgspec.json.decode(data, type=Training, dec_hook=lambda kind, raw: kind(raw))
        return replace(training, adapter=self.adapter)

    def newest_checkpoint(self) -> Checkpoint | None:
        """The last whole checkpoint, or None; torn ones are removed."""
        whole = []
        for path in self.checkpoints.glob("checkpoint-*"):
            try:
                seconds = msgspec.json.decode((path / _WHOLE).read_bytes(), type=float)
            except (OSError, msgspec.DecodeError):
                shutil.rmtree(path)
                continue
            whole.append(Checkpoint(path, int(path.name.rpartition("-")[2]), seconds))
        return max(whole, key=lambda checkpoint: checkpoint.step, default=None)

    def seal(self, step: int, seconds: float) -> None:
        """Declare the checkpoint of `step` whole, once all of it is on disk."""
        path = self.checkpoints / f"checkpoint-{step}"
        sync(path)
        write_whole(path / _WHOLE, msgspec.json.encode(seconds))

    def finish(self, save: Callable[[Path], None], training: Training) -> Training:
        """Move the adapter that `save` writes into place, then the result; drop the checkpoints."""
        partial = self.adapter.with_name(f".{self.adapter.name}.{os.getpid()}.partial")
        try:
            save(partial)
            # Left by a run that was killed just here: it has no result, so nobody uses it.
            shutil.rmtree(self.adapter, ignore_errors=True)
            os.rename(partial, self.adapter)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        # The record must not hold an absolute path: the folder may be moved.
        stored = replace(training, adapter=Path(self.adapter.name))
        write_whole(self._result, msgspec.json.encode(stored, enc_hook=str))
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        return training
