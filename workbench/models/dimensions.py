"""The sizes of a model, whatever its configuration calls them.

optimum's normalised configurations know the names per architecture; from a GGUF
file the sizes come from its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workbench.errors import ModelError
from workbench.models import gguf_header, gguf_rope
from workbench.models.find import read_json
from workbench.models.rope import Yarn

# Qwen3's configuration states 40,960 positions, of which 8,192 are room for the answer: its
# model card (https://huggingface.co/Qwen/Qwen3-8B) stretches from 32,768.
_TRAINED_CONTEXT = {("qwen3", 40_960): 32_768}


@dataclass(frozen=True)
class Dimensions:
    """Sizes of a decoder. `context` is the number of positions the configuration states.

    `kv_heads` is below `heads` under grouped-query attention. `vocabulary` counts
    rows of the embedding, which may be padded beyond the tokenizer's tokens.
    `rope_type` is "default" for plain rotary positions; `yarn` is the stretch that
    the configuration itself states.
    """

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    rope_theta: float
    rope_type: str
    yarn: Yarn | None


def dimensions(path: Path) -> Dimensions:
    """Sizes of the model in a Hugging Face folder or a GGUF file. Raises ModelError."""
    if path.is_file():
        return _from_gguf(path)
    config = read_json(path / "config.json")
    try:
        return _from_config(config)
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path / 'config.json'} does not describe a decoder that is known here ({error})",
            "Use a Llama, Qwen2 or Qwen3 model",
        ) from error


def _from_config(config: dict[str, Any]) -> Dimensions:
    from optimum.utils import NormalizedConfigManager

    architecture = str(config["model_type"])
    normalise = NormalizedConfigManager.get_normalized_config_class(architecture)
    sizes = normalise(SimpleNamespace(**config))
    heads = int(sizes.num_attention_heads)
    head_dim = int(config.get("head_dim") or sizes.hidden_size // heads)
    rope = gguf_rope.parameters(config)
    return Dimensions(
        architecture=architecture,
        layers=int(sizes.num_layers),
        hidden=int(sizes.hidden_size),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        vocabulary=int(sizes.vocab_size),
        context=int(config["max_position_embeddings"]),
        rope_theta=rope["rope_theta"],
        rope_type=rope["rope_type"],
        yarn=_stated_yarn(rope, head_dim),
    )


def _from_gguf(path: Path) -> Dimensions:
    header = gguf_header.read(path)
    metadata, prefix = header.metadata, header.architecture
    try:
        hidden = metadata[f"{prefix}.embedding_length"]
        heads = metadata[f"{prefix}.attention.head_count"]
        head_dim = metadata.get(f"{prefix}.attention.key_length", hidden // heads)
        rope = gguf_rope.read(header)
        return Dimensions(
            architecture=prefix,
            layers=metadata[f"{prefix}.block_count"],
            hidden=hidden,
            heads=heads,
            kv_heads=metadata.get(f"{prefix}.attention.head_count_kv", heads),
            head_dim=head_dim,
            vocabulary=len(metadata["tokenizer.ggml.tokens"]),
            context=metadata[f"{prefix}.context_length"],
            rope_theta=rope["rope_theta"],
            rope_type=rope["rope_type"],
            yarn=_stated_yarn(rope, head_dim),
        )
    except KeyError as error:
        raise ModelError(
            f"{path} lacks the key {error}", "Convert or download the model again"
        ) from None


def _stated_yarn(rope: dict[str, Any], head_dim: int) -> Yarn | None:
    if rope["rope_type"] != "yarn":
        return None
    return Yarn(
        factor=float(rope["factor"]),
        original_context=int(rope["original_max_position_embeddings"]),
        theta=rope["rope_theta"],
        head_dim=head_dim,
        beta_fast=float(rope.get("beta_fast") or Yarn.beta_fast),
        beta_slow=float(rope.get("beta_slow") or Yarn.beta_slow),
    )


def yarn(dimensions: Dimensions, factor: float) -> Yarn | None:
    """The stretch to run a model with when the user asks for `factor`.

    For 1 it is what the model's configuration states, usually None. Raises
    ModelError below 1, and for a model that is stretched already in another way.
    """
    if factor < 1:
        raise ModelError(
            f"The rope scaling factor is {factor:g}, which is below 1",
            "Set ROPE_SCALING_FACTOR to 1 (off) or more",
        )
    if factor == 1 or (dimensions.yarn and dimensions.yarn.factor == factor):
        return dimensions.yarn
    if dimensions.rope_type != "default":
        raise ModelError(
            f"The model's positions are stretched already ({dimensions.rope_type})",
            "Set ROPE_SCALING_FACTOR to 1",
        )
    stated = dimensions.context
    original = _TRAINED_CONTEXT.get((dimensions.architecture, stated), stated)
    return Yarn(factor, original, dimensions.rope_theta, dimensions.head_dim)
