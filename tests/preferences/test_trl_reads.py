"""What we write, read by the libraries that it is written for."""

from __future__ import annotations

import pytest
from examples import preference

from workbench.preferences import write

PAIRS = [
    preference(
        f"Что это, {i}?\u2028",
        f'Ответ {i} \\ "да"\n\tстрока',
        f"no {i}",
        topic=f"topic {i}",
        system="Be brief." if i % 3 else "",
    )
    for i in range(60)
]


@pytest.fixture
def dataset(tmp_path):
    return write(PAIRS, "demo", tmp_path, validation=0.2, test=0.2)


@pytest.fixture
def rows(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    files = {side: str(dataset.file(side)) for side in ("train", "validation", "test")}
    return datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))


def test_datasets_reads_the_files_as_they_are(dataset, rows):
    for side in ("train", "validation", "test"):
        assert rows[side].column_names == ["prompt", "chosen", "rejected"]
        read = [row["chosen"][0]["content"] for row in rows[side]]
        assert read == [pair.chosen.text for pair in dataset.split(side)]
    first = rows["train"][0]["prompt"]
    assert [turn["role"] for turn in first][-1] == "user"


@pytest.mark.slow
def test_dpo_trainer_takes_the_rows_as_they_are(dataset, rows, tmp_path):
    from peft import LoraConfig
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    letters = {"<|end|>": 0, **{chr(c): c for c in range(1, 128)}}
    backend = Tokenizer(models.WordLevel(letters, unk_token="<|end|>"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|end|>", pad_token="<|end|>", unk_token="<|end|>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + '=' + m['content'] + '~' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant=' }}{% endif %}"
    )
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    trainer = DPOTrainer(
        model=LlamaForCausalLM(config),
        args=DPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=1,
            per_device_train_batch_size=2,
            use_cpu=True,
            bf16=False,
            report_to=[],
        ),
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=tokenizer,
        peft_config=LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    assert len(trainer.train_dataset) == len(dataset.train)
    for row, pair in zip(trainer.train_dataset, dataset.train, strict=True):
        system = "system=Be brief.~" if len(pair.prompt.messages) == 2 else ""
        shown = len(f"{system}user={pair.prompt.messages[-1].content}~assistant=")
        assert len(row["prompt_ids"]) == shown
        assert len(row["chosen_ids"]) == len(pair.chosen.text) + 1
        assert tokenizer.decode(row["rejected_ids"]).replace(" ", "") == (
            pair.rejected.text.replace(" ", "") + "~"
        )
    assert trainer.train().training_loss > 0
