"""What we write, read by the libraries that it is written for."""

from __future__ import annotations

import pytest
from examples import preference

from workbench.preferences import export, write

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


@pytest.fixture
def tokenizer():
    """A letter a token, with a chat template that shows roles."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

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
    return tokenizer


def tiny_config():
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=128,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=0,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "trainer"),
    [
        ("dpo-text", "DPO"),
        ("kto", "KTO"),
        ("sft", "SFT"),
        ("reward", "Reward"),
    ],
)
def test_trl_trains_on_every_format_of_its_own(dataset, tokenizer, tmp_path, format, trainer):
    import datasets
    import trl
    from peft import LoraConfig
    from transformers import LlamaForCausalLM, LlamaForSequenceClassification

    file, *_ = export(dataset, format, tmp_path / format)
    rows = datasets.load_dataset(
        "json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")
    )
    config = tiny_config()
    config.num_labels = 1
    model = (LlamaForSequenceClassification if trainer == "Reward" else LlamaForCausalLM)(config)
    training = getattr(trl, f"{trainer}Trainer")(
        model=model,
        args=getattr(trl, f"{trainer}Config")(
            output_dir=str(tmp_path / "out"),
            max_steps=1,
            per_device_train_batch_size=4,
            use_cpu=True,
            bf16=False,
            report_to=[],
        ),
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=2,
            target_modules=["q_proj", "v_proj"],
            task_type="SEQ_CLS" if trainer == "Reward" else "CAUSAL_LM",
        ),
    )
    assert len(training.train_dataset) == len(rows) > 0
    assert training.train().training_loss > 0


@pytest.mark.slow
def test_dpo_trainer_takes_the_rows_as_they_are(dataset, rows, tokenizer, tmp_path):
    from peft import LoraConfig
    from transformers import LlamaForCausalLM
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=LlamaForCausalLM(tiny_config()),
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
