"""Rotary embeddings between Hugging Face's spelling and GGUF's.

Both ways, since transformers drops a GGUF file's stretched positions when it
loads one, which changes every logit. Knows "default", "linear", "yarn" and
"llama3"; anything else is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.errors import ConversionError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter

    from workbench.models.gguf_header import Header

FREQUENCIES = "rope_freqs.weight"
"""Name of the tensor in which GGUF keeps Llama 3's stretch."""

# Llama 3.1 and later state these; a GGUF file only keeps what follows from them.
_LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def parameters(config: dict[str, Any]) -> dict[str, Any]:
    """Rotary settings of a config.json, in the spelling of transformers 5 or an older one."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = rope.get("rope_theta") or config.get("rope_theta") or 10_000.0
    return {"rope_type": rope.get("type", "default")} | rope | {"rope_theta": float(theta)}


def write(writer: GGUFWriter, rope: dict[str, Any]) -> None:
    """Add what `parameters` found to a GGUF file's metadata. Raises ConversionError."""
    from gguf import RopeScalingType

    kind = rope["rope_type"]
    writer.add_rope_freq_base(rope["rope_theta"])
    if kind in ("default", "llama3"):
        return
    if kind not in ("linear", "yarn"):
        raise ConversionError(
            f"The model's positions are encoded as {kind!r}, which is unknown here",
            "Use a GGUF file made by llama.cpp's converter",
        )
    writer.add_rope_scaling_type(RopeScalingType(kind))
    writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def read(header: Header) -> dict[str, Any]:
    """`rope_parameters` of the model in a GGUF file. Raises ConversionError."""
    metadata, prefix = header.metadata, f"{header.architecture}.rope"
    theta = {"rope_theta": float(metadata.get(f"{prefix}.freq_base", 10_000.0))}
    kind = metadata.get(f"{prefix}.scaling.type", "none")
    if kind == "linear":
        return theta | {"rope_type": kind, "factor": metadata[f"{prefix}.scaling.factor"]}
    if kind == "yarn":
        return theta | {
            "rope_type": kind,
            "factor": metadata[f"{prefix}.scaling.factor"],
            "original_max_position_embeddings": metadata[
                f"{prefix}.scaling.original_context_length"
            ],
        }
    if kind == "none" and FREQUENCIES in header.tensors:
        return _read_llama3(header, theta["rope_theta"])
    if kind == "none":
        return theta | {"rope_type": "default"}
    raise ConversionError(
        f"{header.path} stretches positions by {kind!r}, which is unknown here",
        "Use the llama.cpp backend for this model",
    )


def frequencies(rope: dict[str, Any], head_dim: int) -> np.ndarray:
    """Divisors of the rotary frequencies under Llama 3's stretch, float32 [head_dim / 2].

    Source: transformers, modeling_rope_utils._compute_llama3_parameters.
    """
    import numpy as np

    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    divisors = []
    for i in range(0, head_dim, 2):
        radians = rope["original_max_position_embeddings"] / rope["rope_theta"] ** (i / head_dim)
        turns = radians / (2 * math.pi)
        if turns > high:
            divisors.append(1.0)
        elif turns < low:
            divisors.append(factor)
        else:
            smooth = (turns - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, dtype=np.float32)


def _read_llama3(header: Header, theta: float) -> dict[str, Any]:
    import numpy as np
    from gguf import GGUFReader

    tensor = next(t for t in GGUFReader(header.path).tensors if t.name == FREQUENCIES)
    divisors = np.asarray(tensor.data, dtype=np.float32)
    rope = _LLAMA3 | {"factor": float(divisors.max()), "rope_theta": theta}
    if not np.allclose(frequencies(rope, 2 * divisors.size), divisors, rtol=1e-4):
        raise ConversionError(
            f"{header.path} stretches positions in a way that is not Llama 3's",
            "Use the llama.cpp backend for this model, or its Hugging Face form",
        )
    return rope
