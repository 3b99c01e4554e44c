"""Preferences in, a LoRA adapter out.

    training = train(hugging_face_folder, dataset, output, TrainingOptions(epochs=2))

A new method is one module, one line in METHODS and one name in `Method`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.training.options import Method, Training, TrainingOptions

if TYPE_CHECKING:
    from workbench.preferences import Dataset

__all__ = ["METHODS", "Method", "Training", "TrainingOptions", "train"]

METHODS = {
    "dpo": "workbench.training.dpo:train_dpo",
}
"""Name of a method -> the function that trains by it."""


def train(
    model_folder: Path | str,
    dataset: Dataset,
    output: Path | str,
    options: TrainingOptions = TrainingOptions(),
    *,
    home: Path | None = None,
) -> Training:
    """Train an adapter for the Hugging Face model in `model_folder` on `dataset`'s train split.

    Everything is written under `output`: `adapter/` (peft), `training.json` (the
    result) and, until it is done, `checkpoints/`. Called again after a kill it
    continues from the newest whole checkpoint and ends with the same weights;
    called again when done it returns the result at once. `home`, the
    cache of models, remembers the hash of large weights; without it they are
    read each time.

    Raises InputError when the dataset can't be trained on or when `output`
    holds a training of other inputs, and ModelError when the model can't be read.
    """
    module, function = METHODS[options.method].split(":")
    run = getattr(importlib.import_module(module), function)
    return run(Path(model_folder), dataset, Path(output), options, home)
