"""Take the tokenizer out of a GGUF file, without touching its weights.

Byte-level BPE (Llama 3, SmolLM2, Qwen) is written directly, in about a second.
SentencePiece and others go through transformers' own conversion, which is slower.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.models import gguf_header
from workbench.models.forms import quiet
from workbench.models.gguf_header import Header
from workbench.models.pretokenizers import BY_NAME, IGNORES_MERGES

_CONTROL, _USER_DEFINED = 3, 4  # tokenizer.ggml.token_type
_SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
_ENDS = ("eos", "eot", "eom")


def write(gguf: Path, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json, chat_template.jinja and generation_config.json.

    Raises ModelError for a damaged file, and whatever transformers raises for a
    tokenizer it doesn't know.
    """
    header = gguf_header.read(gguf)
    metadata = header.metadata
    if _is_known_bpe(header):
        _write_bpe(header, folder)
    else:
        from transformers import AutoTokenizer

        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            tokenizer.save_pretrained(folder)
    ends = {id for name in _ENDS if (id := _id(metadata, name)) is not None}
    generation = {
        "bos_token_id": _id(metadata, "bos"),
        "eos_token_id": sorted(ends),
        "pad_token_id": _id(metadata, "padding"),
    }
    _write_json(folder / "generation_config.json", generation)


def _id(metadata: dict[str, Any], name: str) -> int | None:
    return metadata.get(f"tokenizer.ggml.{name}_token_id")


def _is_known_bpe(header: Header) -> bool:
    return (
        header.metadata.get("tokenizer.ggml.model") == "gpt2"
        and header.metadata.get("tokenizer.ggml.pre") in BY_NAME
    )


def _write_bpe(header: Header, folder: Path) -> None:
    metadata = header.metadata
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    types: list[int] = metadata["tokenizer.ggml.token_type"]
    split: str = metadata["tokenizer.ggml.pre"]
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": id,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": type == _CONTROL,
            }
            for id, (token, type) in enumerate(zip(tokens, types, strict=True))
            if type in (_CONTROL, _USER_DEFINED)
        ],
        "normalizer": None,
        "pre_tokenizer": BY_NAME[split],
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": split in IGNORES_MERGES,
            "vocab": {token: id for id, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }
    _write_json(folder / "tokenizer.json", tokenizer)

    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    for name, key in _SPECIAL.items():
        if (id := _id(metadata, key)) is not None:
            config[f"{name}_token"] = tokens[id]
    _write_json(folder / "tokenizer_config.json", config)
    if template := metadata.get("tokenizer.chat_template"):
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
