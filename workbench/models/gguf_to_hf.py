"""GGUF -> Hugging Face: weights dequantised to float32, with config and tokenizer.

The dequantised weights are exactly those that llama.cpp computes with, so an
adapter trained on them sees the same base. What transformers leaves out of a
GGUF file's metadata (head size, stretched positions, class) is put back.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from workbench.errors import ConversionError
from workbench.models import gguf_header, gguf_rope
from workbench.models.dimensions import dimensions
from workbench.models.find import ARCHITECTURES
from workbench.models.forms import quiet


def write(gguf: Path, tokenizer: Path, folder: Path) -> None:
    """Write the model of `gguf`, with the tokenizer files of folder `tokenizer`, to `folder`.

    Raises ConversionError for an architecture or a rotary embedding that isn't known.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, GgufConfig

    header = gguf_header.read(gguf)
    if header.architecture not in ARCHITECTURES:
        raise ConversionError(
            f"{gguf} is of architecture {header.architecture!r}, which can't be converted here",
            f"Use one of {', '.join(ARCHITECTURES)}, or only the llama.cpp backend",
        )
    sizes = dimensions(gguf)
    with quiet(), torch.no_grad():
        config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
        config.head_dim = sizes.head_dim
        config.vocab_size = sizes.vocabulary
        config.rope_parameters = gguf_rope.read(header)
        ends = GenerationConfig.from_pretrained(tokenizer)
        config.eos_token_id = ends.eos_token_id
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            config=config,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
        )
        model.config.architectures = [type(model).__name__]
        # The weights are no longer quantised, and the ONNX builder would believe it.
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.generation_config = ends
        model.save_pretrained(folder)
    for file in tokenizer.iterdir():
        shutil.copy2(file, folder / file.name)
