"""Direct preference optimisation of a LoRA by TRL's DPOTrainer.

The method is of Rafailov et al. 2023 (arXiv:2305.18290); the reference is the
base itself, its log-probabilities computed once before the first step. Only
this module knows TRL, transformers and datasets; it knows nothing about where
pairs come from or where adapters go.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.adapters.files import sha256_file
from workbench.adapters.tokens import PairIds, fitting, hash_pairs, read_pairs
from workbench.errors import InputError, ModelError
from workbench.models import Tokenizer
from workbench.models.fingerprint import of_files
from workbench.training.compact_head import compact_head
from workbench.training.folder import Checkpoint, TrainingFolder, TrainingInputs
from workbench.training.options import Training, TrainingOptions
from workbench.training.progress import Progress, say

if TYPE_CHECKING:
    from workbench.preferences import Dataset


def train_dpo(
    model_folder: Path,
    dataset: Dataset,
    output: Path,
    options: TrainingOptions,
    home: Path | None = None,
) -> Training:
    """Train by DPO; see `workbench.training.train`."""
    train_file = dataset.file("train")
    try:
        weights = [path for path in model_folder.iterdir() if path.is_file()]
        inputs = TrainingInputs(
            model_sha256=of_files(weights, home),
            train_sha256=sha256_file(train_file),
            dataset=dataset.version,
            options=options,
        )
    except OSError as error:
        raise InputError(
            f"{error.filename} can't be read ({error.strerror})", "Run the step before"
        ) from error
    folder = TrainingFolder(output, inputs)
    done = folder.result()
    if done is not None:
        return done
    pairs = read_pairs(train_file, Tokenizer(model_folder))
    kept = fitting(pairs, options.max_length)
    if not kept:
        raise InputError(
            f"{train_file} holds no pair to train on",
            f"Collect ratings, or raise max_length ({options.max_length} tokens)",
        )
    checkpoint = folder.newest_checkpoint()
    with _quiet(), compact_head():
        trainer = _trainer(model_folder, kept, folder, options)
        seconds = _run(trainer, folder, checkpoint)
        history = trainer.state.log_history
        return folder.finish(
            lambda path: _save(trainer.model, path),
            Training(
                adapter=folder.adapter,
                options=options,
                dataset=dataset.version,
                losses=_series(history, "loss"),
                accuracies=_series(history, "rewards/accuracies"),
                n_pairs=len(kept),
                n_dropped=len(pairs) - len(kept),
                token_ids_sha256=hash_pairs(_trained_on(trainer)),
                seconds=seconds,
            ),
        )


def _trainer(
    model_folder: Path, pairs: list[PairIds], folder: TrainingFolder, options: TrainingOptions
) -> Any:
    """A DPOTrainer ready to run on these token ids."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, set_seed
    from trl import DPOConfig, DPOTrainer

    class OnTheseIds(DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            # TRL offers no other way: it would read special tokens in messages as turns.
            return dataset

    rows = _rows(pairs, folder.checkpoints / "data")
    # Before the adapter's first weights are drawn: the trainer seeds itself too late for them.
    set_seed(options.seed)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            model_folder, dtype=getattr(torch, options.precision), local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model_folder} can't be loaded for training ({_first_line(error)})",
            "Give the Hugging Face form of a causal language model",
        ) from error
    lora = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        target_modules=options.target if options.target == "all-linear" else list(options.target),
        lora_dropout=options.dropout,
        use_rslora=options.rslora,
        task_type="CAUSAL_LM",
    )
    arguments = DPOConfig(
        output_dir=str(folder.checkpoints),
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation,
        gradient_checkpointing=options.gradient_checkpointing,
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        lr_scheduler_type="linear",
        beta=options.beta,
        max_length=options.max_length,
        bf16=options.precision == "bfloat16",
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=options.batch_size,
        disable_dropout=options.dropout == 0,
        seed=options.seed,
        data_seed=options.seed,
        save_strategy="steps",
        save_steps=options.save_every,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
    )
    say(f"{len(rows)} pairs: computing the reference's log-probabilities")
    try:
        trainer = OnTheseIds(
            model=model,
            args=arguments,
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=lora,
        )
    except ValueError as error:
        raise ModelError(
            f"{model_folder} can't be trained with these options ({_first_line(error)})",
            f"Check the target layers ({options.target}) and the model",
        ) from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def _rows(pairs: list[PairIds], cache: Path) -> Any:
    """The pairs as a datasets.Dataset on disk, where the reference's part is kept beside it."""
    import datasets

    return datasets.Dataset.from_generator(
        _columns, gen_kwargs={"pairs": pairs}, cache_dir=str(cache)
    )


def _columns(pairs: list[PairIds]) -> Iterator[dict[str, tuple[int, ...]]]:
    for pair in pairs:
        yield {
            "prompt_ids": pair.prompt,
            "chosen_ids": pair.chosen,
            "rejected_ids": pair.rejected,
        }


def _trained_on(trainer: Any) -> list[PairIds]:
    """The token ids as the trainer holds them."""
    return [
        PairIds(tuple(row["prompt_ids"]), tuple(row["chosen_ids"]), tuple(row["rejected_ids"]))
        for row in trainer.train_dataset
    ]


def _run(trainer: Any, folder: TrainingFolder, checkpoint: Checkpoint | None) -> float:
    """Train to the end; returns the seconds spent in steps, earlier runs included."""
    from transformers import TrainerCallback

    before = checkpoint.seconds if checkpoint else 0.0
    first_step = checkpoint.step if checkpoint else 0
    started = time.monotonic()

    class Watch(TrainerCallback):
        progress: Progress

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            nonlocal started
            started = time.monotonic()
            self.progress = Progress(first_step, state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                self.progress.show(state.global_step, logs)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder.seal(state.global_step, before + time.monotonic() - started)

    trainer.add_callback(Watch())
    trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
    return before + time.monotonic() - started


def _save(model: Any, path: Path) -> None:
    """The adapter alone: equal trainings leave equal bytes, without this machine's paths."""
    model.save_pretrained(path)
    (path / "README.md").unlink(missing_ok=True)
    file = path / "adapter_config.json"
    config = json.loads(file.read_bytes())
    config["base_model_name_or_path"] = None
    # peft keeps target_modules as a set, whose order changes from one process to the next.
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _series(history: list[dict[str, Any]], key: str) -> tuple[tuple[int, float], ...]:
    return tuple((entry["step"], float(entry[key])) for entry in history if key in entry)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """No telemetry, no bars and no warnings about the libraries' own use of each other."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    bars = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    import datasets
    import huggingface_hub
    import transformers

    # The variable of this name is read once, at an import that may lie far behind.
    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        datasets.enable_progress_bars()
        transformers.utils.logging.enable_progress_bar()
        if bars is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = bars
