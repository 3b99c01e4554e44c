from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from examples import preference
from safetensors.numpy import load_file

from workbench import preferences
from workbench.adapters.tokens import hash_pairs, read_pairs
from workbench.errors import InputError, ModelError
from workbench.models import Tokenizer
from workbench.preferences import Dataset
from workbench.records import Message
from workbench.training import Training, TrainingOptions, train

pytestmark = pytest.mark.slow  # loads TRL

OPTIONS = TrainingOptions(
    rank=4, alpha=8, learning_rate=5e-3, epochs=4, batch_size=3, max_length=256, save_every=3
)


@dataclass(frozen=True)
class File:
    """The part of a dataset that training reads."""

    path: Path
    version: str = "v1"

    def file(self, side: str) -> Path:
        return self.path


@pytest.fixture(scope="module")
def trained(tiny_llama: Path, pairs: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Training:
    return train(tiny_llama, pairs, tmp_path_factory.mktemp("whole") / "run", OPTIONS)


def test_training_drives_the_loss_down_and_the_accuracy_up(trained: Training) -> None:
    steps = [step for step, _ in trained.losses]
    assert steps == list(range(1, 17))
    assert trained.losses[0][1] == pytest.approx(0.6931, abs=1e-3)
    assert trained.losses[-1][1] < 0.3
    assert trained.accuracies[-1][1] == 1.0
    assert (trained.n_pairs, trained.n_dropped) == (12, 0)


def test_only_the_adapter_is_left(trained: Training) -> None:
    assert sorted(path.name for path in trained.adapter.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert sorted(path.name for path in trained.adapter.parent.iterdir()) == [
        "adapter",
        "inputs.json",
        "training.json",
    ]
    config = json.loads((trained.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None


def test_a_finished_training_is_returned_and_not_repeated(
    trained: Training, tiny_llama: Path, pairs: Dataset
) -> None:
    started = time.monotonic()
    assert train(tiny_llama, pairs, trained.adapter.parent, OPTIONS) == trained
    assert time.monotonic() - started < 1


def test_the_trainer_saw_the_token_ids_that_the_runtimes_are_given(
    trained: Training, tiny_llama: Path, pairs: Dataset
) -> None:
    tokenizer = Tokenizer(tiny_llama)
    rows = [json.loads(line) for line in pairs.file("train").read_text().splitlines()]
    ours = read_pairs(pairs.file("train"), tokenizer)
    assert trained.token_ids_sha256 == hash_pairs(ours)
    assert [list(pair.prompt) for pair in ours] == [
        tokenizer.prompt_ids([Message(turn["role"], turn["content"]) for turn in row["prompt"]])
        for row in rows
    ]


def test_special_tokens_in_pairs_are_trained_on_as_words(tiny_llama: Path, pairs: Dataset) -> None:
    tokenizer = Tokenizer(tiny_llama)
    [end] = tokenizer.encode("<|im_end|>")
    text = pairs.file("train").read_text()
    assert "<|im_end|>" in text
    turns = [len(json.loads(line)["prompt"]) for line in text.splitlines()]
    read = read_pairs(pairs.file("train"), tokenizer)  # the very ids that are trained on, see above
    assert [pair.prompt.count(end) for pair in read] == turns
    assert all(pair.rejected.count(end) == 1 for pair in read)


# As Qwen3's: thoughts are taken from the content, and none are written as empty ones.
THINKING = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set parts = m.content.split('</think>') %}
        {%- set before = parts[0] if parts | length > 1 else '' %}
        {%- set thoughts = before.split('<think>')[-1].strip('\\n') %}
        {{- '<|im_start|>assistant\\n<think>\\n' + thoughts + '\\n</think>\\n\\n' }}
        {{- parts[-1].lstrip('\\n') + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


def test_thoughts_are_trained_on_as_the_runtimes_write_them(
    tiny_qwen3: Path, tmp_path: Path
) -> None:
    model = tmp_path / "thinking"
    shutil.copytree(tiny_qwen3, model)
    (model / "chat_template.jinja").write_text(THINKING)
    plain = preference("What is it?", "A fox.", "It is, I think, perhaps a fox.")
    thought = replace(plain, chosen=replace(plain.chosen, reasoning="A dog? No."))
    dataset = preferences.write([thought], "thinking", tmp_path, validation=0, test=0)
    training = train(model, dataset, tmp_path / "run", replace(OPTIONS, epochs=1))
    [pair] = read_pairs(dataset.file("train"), Tokenizer(model))
    assert training.token_ids_sha256 == hash_pairs([pair])
    assert Tokenizer(model).decode(pair.chosen) == (
        "<think>\nA dog? No.\n</think>\n\nA fox.<|im_end|>\n"
    )


def test_the_saved_adapter_is_the_one_that_was_trained(
    trained: Training, tiny_llama: Path, pairs: Dataset
) -> None:
    """Chosen answers gained on rejected ones, measured by plain transformers and peft."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, trained.adapter)

    def logprob(prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
        rows = model(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        positions = torch.arange(len(prompt) - 1, len(prompt) + len(answer) - 1)
        return rows[positions, torch.tensor(answer)].sum().item()

    ours = read_pairs(pairs.file("train"), Tokenizer(tiny_llama))
    with torch.no_grad():
        for pair in ours:
            margin = logprob(pair.prompt, pair.chosen) - logprob(pair.prompt, pair.rejected)
            with model.disable_adapter():
                before = logprob(pair.prompt, pair.chosen) - logprob(pair.prompt, pair.rejected)
            assert margin > before


def test_progress_is_a_line_a_step_without_bars(
    tiny_llama: Path, pairs: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(tiny_llama, pairs, tmp_path / "run", replace(OPTIONS, epochs=1))
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "[training] 12 pairs: computing the reference's log-probabilities"
    assert [line.split()[2] for line in lines[1:]] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("loss" in line and "s left" in line for line in lines[1:])


@pytest.mark.parametrize("kill_at", [3, 12])
def test_a_killed_training_continues_and_ends_with_the_same_weights(
    trained: Training, tiny_llama: Path, pairs: Dataset, tmp_path: Path, kill_at: int
) -> None:
    output = tmp_path / "run"
    script = (
        "import sys, json; from pathlib import Path\n"
        "from workbench import preferences; from workbench.training import *\n"
        "train(Path(sys.argv[1]), preferences.load(Path(sys.argv[2])), Path(sys.argv[3]),\n"
        "      TrainingOptions(**json.loads(sys.argv[4])))\n"
    )
    options = json.dumps({field: getattr(OPTIONS, field) for field in OPTIONS.__dataclass_fields__})
    command = [
        sys.executable,
        "-c",
        script,
        str(tiny_llama),
        str(pairs.folder),
        str(output),
        options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    sealed = output / "checkpoints" / f"checkpoint-{kill_at}" / "whole.json"
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not sealed.exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
    assert not (output / "training.json").exists()
    # As a kill in the middle of writing a checkpoint would leave it.
    (output / "checkpoints" / "checkpoint-15").mkdir(exist_ok=True)

    resumed = train(tiny_llama, pairs, output, OPTIONS)

    expected = load_file(trained.adapter / "adapter_model.safetensors")
    found = load_file(resumed.adapter / "adapter_model.safetensors")
    assert found.keys() == expected.keys()
    assert max(abs(found[name] - expected[name]).max() for name in expected) < 1e-6
    assert [step for step, _ in resumed.losses] == [step for step, _ in trained.losses]
    assert [loss for _, loss in resumed.losses] == pytest.approx(
        [loss for _, loss in trained.losses], abs=1e-5
    )
    assert resumed.token_ids_sha256 == trained.token_ids_sha256


def test_pairs_whose_prompt_fills_the_length_are_counted_and_left_out(
    tiny_llama: Path, pairs: Dataset, tmp_path: Path
) -> None:
    ours = read_pairs(pairs.file("train"), Tokenizer(tiny_llama))
    lengths = sorted(len(pair.prompt) for pair in ours)
    short = replace(OPTIONS, epochs=1, max_length=lengths[-1])
    training = train(tiny_llama, pairs, tmp_path / "run", short)
    assert training.n_dropped == lengths.count(lengths[-1])
    assert training.n_pairs == len(ours) - training.n_dropped
    with pytest.raises(InputError, match="max_length"):
        train(tiny_llama, pairs, tmp_path / "none", replace(OPTIONS, max_length=2))


@pytest.mark.parametrize("content", ["{not json\n", '{"prompt": "only"}\n', ""])
def test_a_file_without_pairs_is_an_input_error(
    tiny_llama: Path, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(content)
    with pytest.raises(InputError, match=r"train\.jsonl"):
        train(tiny_llama, File(file), tmp_path / "run", OPTIONS)


def test_a_folder_without_a_model_is_a_model_error(pairs: Dataset, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty"):
        train(tmp_path / "empty", pairs, tmp_path / "run", OPTIONS)


def test_target_layers_that_the_model_lacks_are_named(
    tiny_llama: Path, pairs: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="elbow_proj"):
        train(tiny_llama, pairs, tmp_path / "run", replace(OPTIONS, target=("elbow_proj",)))


def test_chosen_layers_and_rslora_and_bfloat16_train(
    tiny_llama: Path, pairs: Dataset, tmp_path: Path
) -> None:
    options = replace(
        OPTIONS,
        epochs=1,
        target=("q_proj", "v_proj"),
        rslora=True,
        dropout=0.1,
        gradient_accumulation=2,
        gradient_checkpointing=True,
        precision="bfloat16",
    )
    training = train(tiny_llama, pairs, tmp_path / "run", options)
    assert len(training.losses) == 2
    config = json.loads((training.adapter / "adapter_config.json").read_text())
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert config["use_rslora"]
    weights = load_file(training.adapter / "adapter_model.safetensors")
    assert {weight.dtype.name for weight in weights.values()} == {"float32"}


def test_skipping_prompt_positions_in_the_head_changes_no_loss(
    trained: Training,
    tiny_llama: Path,
    pairs: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trl.trainer import utils

    from workbench.training import dpo

    switch = utils._use_triton
    with dpo.compact_head():
        assert utils._use_triton is not switch
    assert utils._use_triton is switch
    monkeypatch.setattr(dpo, "compact_head", nullcontext)
    plain = train(tiny_llama, pairs, tmp_path / "run", OPTIONS)
    assert [loss for _, loss in plain.losses] == pytest.approx(
        [loss for _, loss in trained.losses], abs=1e-4
    )
