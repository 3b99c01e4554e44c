"""Read a peft LoRA folder into plain arrays, refusing what no runtime could serve.

`read_lora` gives one `LoraPair` for each adapted linear layer, with the scale
that peft would multiply it by; both exporters are written on that. It knows
nothing about GGUF or ONNX, and it never loads the base model: the dimensions
of the base come from the `config.json` of its Hugging Face form.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import AdapterError

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""Architectures whose linear layers and row order are known here."""

_TENSOR = re.compile(
    r"base_model\.model\.model\.layers\.(\d+)\.(self_attn|mlp)\.(\w+)\.lora_([AB])\.weight"
)
# Initialisations that leave the base weights as they are; PiSSA, OLoRA, CorDA, LoftQ and the like
# change them, so that the saved pair is only right beside a base that nobody else has.
_PLAIN_INITS = (True, False, "gaussian", "eva", "orthogonal")
# Settings of peft.LoraConfig that a pair of matrices can't express.
_UNSUPPORTED = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "fan_in_fan_out",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
)
_REMEDY = "Train a plain LoRA on the linear layers (peft.LoraConfig(target_modules='all-linear'))"


@dataclass(frozen=True)
class BaseShape:
    """The dimensions of a base model that its adapters must fit."""

    architecture: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int

    @classmethod
    def read(cls, folder: Path | str) -> BaseShape:
        """The shape of the model whose Hugging Face form lies in `folder`.

        Raises AdapterError when there is no readable config.json or when the
        architecture is not one of ARCHITECTURES.
        """
        path = Path(folder) / "config.json"
        config = _read_json(path, "Give the Hugging Face folder of the base model")
        kind = config.get("model_type")
        if kind not in ARCHITECTURES:
            raise AdapterError(
                f"{path} describes a model of type {kind!r}",
                f"Adapters can be exported for {', '.join(ARCHITECTURES)}",
            )
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        return cls(
            architecture=kind,
            layers=config["num_hidden_layers"],
            hidden=hidden,
            intermediate=config["intermediate_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or hidden // heads,
        )

    def linear(self, projection: str) -> tuple[int, int] | None:
        """(rows, columns) = (outputs, inputs) of a projection; None when there is no such one."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "self_attn.q_proj": (query, self.hidden),
            "self_attn.k_proj": (key, self.hidden),
            "self_attn.v_proj": (key, self.hidden),
            "self_attn.o_proj": (self.hidden, query),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }.get(projection)


@dataclass(frozen=True)
class LoraPair:
    """The two factors of one layer: the base gains `scale * b @ a`.

    `a` is float32 [rank, inputs], `b` is float32 [outputs, rank].
    """

    layer: int
    projection: str
    a: np.ndarray
    b: np.ndarray
    scale: float

    @property
    def rank(self) -> int:
        """Inner dimension of this pair."""
        return self.a.shape[0]


@dataclass(frozen=True)
class Lora:
    """A whole adapter; `alpha` is peft's `lora_alpha`, before any pattern."""

    alpha: float
    pairs: tuple[LoraPair, ...]


def read_lora(peft_folder: Path | str, shape: BaseShape) -> Lora:
    """The pairs of the adapter in `peft_folder`, ordered by layer and projection.

    `scale` is peft's: alpha / rank, or alpha / sqrt(rank) with rsLoRA, each
    taken from `alpha_pattern` and `rank_pattern` where they match.

    Raises AdapterError, naming the culprit, for a missing or broken file, for
    what a pair of matrices can't express (DoRA, modules_to_save, biases,
    embeddings, ...) and for a layer that the base doesn't have.
    """
    folder = Path(peft_folder)
    config = _read_json(folder / "adapter_config.json", "Give the folder that peft saved")
    refuse_unsupported(config)
    halves: dict[tuple[int, str], dict[str, np.ndarray]] = {}
    for name, tensor in _tensors(folder / "adapter_model.safetensors").items():
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise AdapterError(f"The adapter holds {name}, which can't be exported", _REMEDY)
        layer, block, projection, half = match.groups()
        halves.setdefault((int(layer), f"{block}.{projection}"), {})[half] = tensor
    if not halves:
        raise AdapterError(f"{folder} holds no LoRA weights", "Train it again")
    pairs = [_pair(*key, found, config, shape) for key, found in sorted(halves.items())]
    return Lora(alpha=float(config["lora_alpha"]), pairs=tuple(pairs))


def refuse_unsupported(config: Mapping[str, Any]) -> None:
    """Raise AdapterError for a peft configuration that can't be exported, naming the setting."""
    kind = config.get("peft_type")
    if kind != "LORA":
        raise AdapterError(f"The adapter is of type {kind}, not LORA", _REMEDY)
    if not config.get("lora_alpha", 0) > 0:
        raise AdapterError(f"The adapter's lora_alpha is {config.get('lora_alpha')!r}", _REMEDY)
    if config.get("bias", "none") != "none":
        raise AdapterError(f"The adapter trains biases (bias={config['bias']!r})", _REMEDY)
    for setting in _UNSUPPORTED:
        if config.get(setting):
            raise AdapterError(
                f"The adapter uses {setting}={config[setting]!r}, which can't be exported", _REMEDY
            )
    init = config.get("init_lora_weights", True)
    if init not in _PLAIN_INITS:
        raise AdapterError(f"Initialisation {init!r} changes the base weights", _REMEDY)


def _pair(
    layer: int,
    projection: str,
    halves: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
    shape: BaseShape,
) -> LoraPair:
    name = f"model.layers.{layer}.{projection}"
    linear = shape.linear(projection)
    if linear is None or layer >= shape.layers:
        raise AdapterError(
            f"The adapter holds {name}, which a {shape.architecture} base of "
            f"{shape.layers} layers doesn't have",
            "Use the base that the adapter was trained on",
        )
    if set(halves) != {"A", "B"}:
        raise AdapterError(f"The adapter holds only half of {name}", "Train it again")
    a, b = halves["A"], halves["B"]
    rank = int(_by_pattern(config.get("rank_pattern"), name, config["r"]))
    expected = ((rank, linear[1]), (linear[0], rank))
    if (a.shape, b.shape) != expected:
        raise AdapterError(
            f"The adapter's {name} is {a.shape} and {b.shape}, where this base and "
            f"rank {rank} need {expected[0]} and {expected[1]}",
            "Use the base that the adapter was trained on",
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise AdapterError(
            f"The adapter's {name} holds numbers that are not finite",
            "Train it again with a lower learning rate",
        )
    alpha = float(_by_pattern(config.get("alpha_pattern"), name, config["lora_alpha"]))
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return LoraPair(layer, projection, a, b, scale)


def _by_pattern(patterns: Mapping[str, Any] | None, name: str, default: Any) -> Any:
    """The value of the first pattern that matches, as peft.utils.other.get_pattern_key does."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return value
    return default


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a safetensors file as float32."""
    # Through torch, since numpy has no bfloat16 and adapters of large bases are saved in it.
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} can't be read ({error})", "Train the adapter again") from None
    return {name: tensor.to(torch.float32).numpy() for name, tensor in tensors.items()}


def _read_json(path: Path, remedy: str) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AdapterError(f"{path} can't be read ({error})", remedy) from None
