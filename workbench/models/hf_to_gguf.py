"""Hugging Face -> GGUF, for Llama, Qwen2 and Qwen3 with byte-level BPE tokenizers.

Tensors are streamed one by one, so a model larger than memory passes through.
What llama.cpp would read otherwise than transformers does (an unknown way of
splitting text, an unknown kind of rotary embedding) is refused.
Source of the layout: llama.cpp's convert_hf_to_gguf.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import ConversionError
from workbench.models import gguf_rope, pretokenizers
from workbench.models.dimensions import Dimensions, dimensions
from workbench.models.find import ARCHITECTURES, read_json
from workbench.models.text import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter

GgufPrecision = Literal["F32", "F16", "Q8_0"]

_FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7}  # LlamaFileType
_QUANTIZATION_VERSION = 2
_Q8_0_BLOCK = 32


def write(source: Path, file: Path, *, name: str, precision: GgufPrecision) -> None:
    """Write the model of the Hugging Face folder `source` to the GGUF `file`.

    Norms and biases stay float32, as do all tensors under F32. Rows that Q8_0
    can't hold (not a multiple of 32) become F16. Raises ConversionError.
    """
    from gguf import MODEL_ARCH, GGUFWriter

    config = read_json(source / "config.json")
    sizes = dimensions(source)
    if sizes.architecture not in ARCHITECTURES:
        raise ConversionError(
            f"Models of architecture {sizes.architecture!r} can't be made into GGUF here",
            f"Use one of {', '.join(ARCHITECTURES)}, or a GGUF file made by llama.cpp's converter",
        )
    if "quantization_config" in config:
        raise ConversionError(
            f"{source} holds quantised weights, which can't be made into GGUF",
            "Use the model in its original precision",
        )
    writer = GGUFWriter(file, sizes.architecture)
    writer.add_name(name)
    _add_sizes(writer, config, sizes)
    rope = gguf_rope.parameters(config)
    gguf_rope.write(writer, rope)
    _add_tokenizer(writer, source, sizes)
    writer.add_file_type(_FILE_TYPES[precision])
    writer.add_quantization_version(_QUANTIZATION_VERSION)

    tensors = _Tensors(source, sizes, MODEL_ARCH[sizes.architecture.upper()])
    if config.get("tie_word_embeddings"):
        tensors.leave_out("lm_head.weight")
    frequencies = None
    if rope["rope_type"] == "llama3":
        frequencies = gguf_rope.frequencies(rope, sizes.head_dim)
        writer.add_tensor_info(gguf_rope.FREQUENCIES, *_planned(frequencies.shape, "F32"))
    for target, shape in tensors.shapes():
        writer.add_tensor_info(target, *_planned(shape, precision))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if frequencies is not None:
        writer.write_tensor_data(frequencies)
    for target, values in tensors:
        writer.write_tensor_data(_encoded(target, values, precision))
    writer.close()


class _Tensors:
    """The weights of a folder under llama.cpp's names, each read when it is asked for."""

    def __init__(self, source: Path, sizes: Dimensions, architecture: Any) -> None:
        from gguf import get_tensor_name_map
        from safetensors import safe_open

        names = get_tensor_name_map(architecture, sizes.layers)
        self._sizes = sizes
        self._files = {}
        for file in sorted(source.glob("*.safetensors")):
            opened = safe_open(file, framework="pt")
            for key in opened.keys():  # noqa: SIM118 (a safe_open is no mapping)
                target = names.get_name(key, try_suffixes=(".weight", ".bias"))
                if target is None:
                    raise ConversionError(
                        f"{file} holds a tensor that GGUF has no place for: {key}",
                        "Merge adapters into the model first, or use a plain one",
                    )
                self._files[key] = (target, opened)
        if not self._files:
            raise ConversionError(
                f"{source} holds no safetensors", "Save the model with safetensors first"
            )

    def leave_out(self, key: str) -> None:
        self._files.pop(key, None)

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for key, (target, file) in self._files.items():
            yield target, tuple(file.get_slice(key).get_shape())

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        import numpy as np
        import torch

        for key, (target, file) in self._files.items():
            values = file.get_tensor(key).to(torch.float32).numpy()
            if self._sizes.architecture == "llama":
                values = _rotated_as_llama_cpp(key, values, self._sizes)
            yield target, np.ascontiguousarray(values)


def _rotated_as_llama_cpp(key: str, values: np.ndarray, sizes: Dimensions) -> np.ndarray:
    """llama.cpp rotates neighbouring pairs of a Llama head, transformers its two halves."""
    heads = {"q_proj": sizes.heads, "k_proj": sizes.kv_heads}.get(key.split(".")[-2])
    if heads is None:
        return values
    rows = values.shape[0]
    halves = values.reshape(heads, 2, rows // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def _kind(shape: tuple[int, ...], precision: GgufPrecision) -> GgufPrecision:
    """How a tensor is stored: only matrices are made smaller."""
    if len(shape) < 2:
        return "F32"
    if precision == "Q8_0" and shape[-1] % _Q8_0_BLOCK:
        return "F16"
    return precision


def _planned(shape: tuple[int, ...], precision: GgufPrecision) -> tuple[Any, Any, int, Any]:
    """Arguments of `add_tensor_info` for a tensor that will be written later."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    kind = GGMLQuantizationType[_kind(shape, precision)]
    block, size = GGML_QUANT_SIZES[kind]
    return shape, np.dtype(np.float32), math.prod(shape) // block * size, kind


def _encoded(target: str, values: np.ndarray, precision: GgufPrecision) -> np.ndarray:
    import numpy as np
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    kind = _kind(values.shape, precision)
    if kind == "F32":
        return values
    if kind == "F16" and np.abs(values).max() > np.finfo(np.float16).max:
        raise ConversionError(
            f"The weights of {target} are too large for 16-bit floats", "Choose Q8_0 or F32"
        )
    return quantize(values, GGMLQuantizationType[kind])


def _add_sizes(writer: GGUFWriter, config: dict[str, Any], sizes: Dimensions) -> None:
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.hidden)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.kv_heads)
    writer.add_key_length(sizes.head_dim)
    writer.add_value_length(sizes.head_dim)
    writer.add_rope_dimension_count(sizes.head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(sizes.vocabulary)


def _add_tokenizer(writer: GGUFWriter, source: Path, sizes: Dimensions) -> None:
    from gguf import SpecialVocab, TokenType

    content = read_json(source / "tokenizer.json")
    split = pretokenizers.name_of(content.get("pre_tokenizer"))
    if content["model"]["type"] != "BPE" or split is None:
        raise ConversionError(
            f"{source / 'tokenizer.json'} splits text in a way that llama.cpp may not know",
            "Use a GGUF file made by llama.cpp's converter",
        )
    tokens = [f"[PAD{i}]" for i in range(sizes.vocabulary)]
    types = [TokenType.UNUSED] * sizes.vocabulary
    for token, id in content["model"]["vocab"].items():
        tokens[id], types[id] = token, TokenType.NORMAL
    for added in content["added_tokens"]:
        special = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], special
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types(types)

    vocabulary = SpecialVocab(source, load_merges=True, n_vocab=sizes.vocabulary)
    vocabulary.add_to_gguf(writer, quiet=True)
    # GGUF has one id for the end of a text; further ends go by other names.
    further = sorted(Tokenizer(source).eos_ids - {vocabulary.special_token_ids.get("eos")})
    for add, id in zip((writer.add_eot_token_id, writer.add_eom_token_id), further, strict=False):
        add(id)
