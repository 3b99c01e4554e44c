"""How byte-level BPE tokenizers split text before merging: one table, read both ways.

llama.cpp knows these splits by name (`tokenizer.ggml.pre`), Hugging Face writes
them out in tokenizer.json. A split that is in neither column would give other
tokens in one runtime than in the other, so it is refused.
Sources: llama.cpp src/llama-vocab.cpp; tokenizer.json of SmolLM2, GPT-2, Llama 3 and Qwen2.
"""

from __future__ import annotations

from typing import Any

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": use_regex,
    }


def _split(numbers: str) -> dict[str, Any]:
    regex = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{numbers}|{_REST}"
    split = {
        "type": "Split",
        "pattern": {"Regex": regex},
        "behavior": "Isolated",
        "invert": False,
    }
    return {"type": "Sequence", "pretokenizers": [split, _byte_level(use_regex=False)]}


BY_NAME: dict[str, dict[str, Any]] = {
    "gpt-2": _byte_level(use_regex=True),
    "smollm": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            _byte_level(use_regex=True),
        ],
    },
    "llama-bpe": _split(r"\p{N}{1,3}"),
    "qwen2": _split(r"\p{N}"),
}
"""llama.cpp's name -> the `pre_tokenizer` of tokenizer.json."""

IGNORES_MERGES = frozenset({"llama-bpe"})
"""Names whose tokenizers take a whole word from the vocabulary before trying merges."""


def name_of(pre_tokenizer: dict[str, Any] | None) -> str | None:
    """llama.cpp's name of a `pre_tokenizer`, None when it has none that we know."""
    wanted = _comparable(pre_tokenizer)
    return next((name for name, known in BY_NAME.items() if _comparable(known) == wanted), None)


def _comparable(value: Any) -> Any:
    """`value` without what changes no token (offsets, defaults)."""
    if isinstance(value, dict):
        ignored = ("trim_offsets", "invert")
        return {k: _comparable(v) for k, v in value.items() if k not in ignored}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return value
