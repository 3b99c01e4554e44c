"""What a training is asked to do, and what came out of it: two frozen records.

They know nothing about the library that trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from workbench.errors import SettingsError

Method = Literal["dpo"]


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; the defaults suit about 60 pairs on two CPU cores.

    `target` names the layers that get a LoRA pair ("all-linear", or a tuple
    of names such as "q_proj"). `beta` is the strength of DPO's pull towards the base. A step
    takes `batch_size * gradient_accumulation` pairs; `max_length` is in tokens,
    prompt and answer together. `save_every` is in steps. `precision` is the
    type in which the base is held and computed; the adapter is always float32.

    Raises SettingsError for a value out of range, naming it.
    """

    method: Method = "dpo"
    rank: int = 8
    alpha: int = 16
    target: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    rslora: bool = False
    dropout: float = 0.0
    learning_rate: float = 2e-4
    beta: float = 0.1
    epochs: int = 2
    batch_size: int = 4
    gradient_accumulation: int = 1
    gradient_checkpointing: bool = False
    max_length: int = 1024
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    save_every: int = 10

    def __post_init__(self) -> None:
        methods = get_args(Method)
        if self.method not in methods:
            raise SettingsError(
                f"There is no training method {self.method!r}", f"Use {', '.join(methods)}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise SettingsError(f"precision is {self.precision!r}", "Use float32 or bfloat16")
        if not self.target or (isinstance(self.target, str) and self.target != "all-linear"):
            raise SettingsError(
                f"target is {self.target!r}", 'Use "all-linear", or a tuple such as ("q_proj",)'
            )
        for name in (
            "rank",
            "alpha",
            "epochs",
            "batch_size",
            "gradient_accumulation",
            "max_length",
            "save_every",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SettingsError(f"{name} is {value!r}", "Use a whole number of 1 or more")
        for name in ("learning_rate", "beta"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)!r}", "Use a number above 0")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout is {self.dropout!r}", "Use a number from 0 to below 1")
        if self.seed < 0:
            raise SettingsError(f"seed is {self.seed!r}", "Use 0 or a positive whole number")


@dataclass(frozen=True)
class Training:
    """A finished training.

    `adapter` is the peft folder. `losses` and `accuracies` hold (step, value);
    an accuracy is the share of a step's pairs in which the implicit reward of
    the chosen answer is the higher one. `seconds` is the time spent in steps,
    over all runs if it was interrupted. `token_ids_sha256` is
    `adapters.tokens.hash_pairs` of the pairs it was trained on: `n_pairs` of
    them, after `n_dropped` whose prompt alone fills `max_length`.
    """

    adapter: Path
    options: TrainingOptions
    dataset: str
    losses: tuple[tuple[int, float], ...]
    accuracies: tuple[tuple[int, float], ...]
    n_pairs: int
    n_dropped: int
    token_ids_sha256: str
    seconds: float
