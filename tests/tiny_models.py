"""Tiny random Llama, Qwen2 and Qwen3 models with a real tokenizer, made in a second or two.

All weights are random but seeded, norms and biases included, so that a
conversion that drops or permutes one of them shows in the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

LAYERS = 2
HIDDEN = 64
HEADS = 4
KV_HEADS = 2
CONTEXT = 2048
VOCABULARY = 640  # rows of the embedding; a few more than the tokenizer has tokens

SPLITS = {"llama": "smollm", "qwen2": "qwen2", "qwen3": "qwen2"}
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>")

CHAT_TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- 'Tools:' }}
    {%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'system' %}
        {%- if not loop.first %}
            {{- raise_exception('A system message must come first') }}
        {%- endif %}
        {%- continue %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
        {{- (call.function.arguments | tojson) + '}\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

_CORPUS = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps until the morning comes.",
    "A model answers a question; a person says which of two answers is the better one.",
    "Съешь ещё этих мягких французских булок, да выпей же чаю, а потом скажи, что лучше.",
    "def train(model, pairs):\n    for chosen, rejected in pairs:\n        loss = -log_sigmoid(x)",
    '{"name": "search", "arguments": {"query": "weather in Riga", "limit": 10}}',
    "system user assistant tool You are a helpful assistant. What is it? Why? Because.",
)


def build(
    folder: Path,
    architecture: str,
    *,
    tied: bool = False,
    seed: int = 0,
    head_dim: int = 32,
    markers: Sequence[str] = MARKERS,
    template: str = CHAT_TEMPLATE,
) -> Path:
    """Write a tiny model of "llama", "qwen2" or "qwen3" as a Hugging Face folder.

    `head_dim` is Qwen3's alone; by default it is wider than hidden / heads, as in the real one.
    """
    import torch
    from transformers import GenerationConfig

    write_tokenizer(folder, SPLITS[architecture], markers=markers, template=template)
    config = _config(architecture, tied, head_dim)
    torch.manual_seed(seed)
    model = _causal_lm(architecture)(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.15)
            if "norm" in name:
                parameter.add_(1.0)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=[2, 0], pad_token_id=0)
    model.save_pretrained(folder)
    return folder


def write_tokenizer(
    folder: Path, split: str, *, markers: Sequence[str] = MARKERS, template: str = CHAT_TEMPLATE
) -> None:
    """Write a byte-level BPE tokenizer, trained on a few lines, by default for ChatML."""
    import json

    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    from workbench.models.pretokenizers import BY_NAME

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    for marker in markers:  # Mistral's are special tokens, the others' are not
        special = marker.startswith("[")
        tokenizer.add_tokens([AddedToken(marker, special=special, normalized=False)])
    content = json.loads(tokenizer.to_str())
    content["pre_tokenizer"] = BY_NAME[split]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False))
    (folder / "chat_template.jinja").write_text(template)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL_TOKENS[1],
        "eos_token": SPECIAL_TOKENS[2],
        "pad_token": SPECIAL_TOKENS[0],
        "unk_token": SPECIAL_TOKENS[0],
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def random_lora(
    base: Path,
    folder: Path,
    *,
    rank: int = 4,
    targets: str | list[str] = "all-linear",
    seed: int = 1,
    **options: Any,
) -> Path:
    """Write a peft LoRA adapter with random A and B, strong enough to change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=targets,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
        **options,
    )
    peft = get_peft_model(model, config)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_" in name:
                parameter.normal_(0.0, 0.1)
    peft.save_pretrained(folder)
    return folder


def _config(architecture: str, tied: bool, head_dim: int) -> Any:
    from transformers import LlamaConfig, Qwen2Config, Qwen3Config

    shared: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": tied,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    if architecture == "llama":
        return LlamaConfig(**shared)
    if architecture == "qwen2":
        return Qwen2Config(**shared)
    return Qwen3Config(head_dim=head_dim, **shared)


def _causal_lm(architecture: str) -> Any:
    from transformers import LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM

    return {"llama": LlamaForCausalLM, "qwen2": Qwen2ForCausalLM, "qwen3": Qwen3ForCausalLM}[
        architecture
    ]
