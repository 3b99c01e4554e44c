"""A peft LoRA as the GGUF adapter that llama.cpp loads beside a GGUF base.

llama.cpp multiplies each pair by `adapter.lora.alpha / rank`, with the rank of
that very tensor and no patterns; peft's own scale (patterns, rsLoRA) is folded
into `lora_b` so that the product is the same. For the Llama architecture
llama.cpp keeps the rows of q and k in another order than Hugging Face does
(rotary halves interleaved), and the adapter's rows must follow.

It knows nothing about tokenizers, and trusts the caller that the base is the
one the adapter was trained on: it can check dimensions only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.adapters.peft_folder import BaseShape, Lora, LoraPair, read_lora
from workbench.journal import write_atomically

_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def export_gguf(peft_folder: Path | str, base: BaseShape, out: Path | str) -> Path:
    """Write the adapter in `peft_folder` to `out`, whole or not at all; returns `out`.

        export_gguf("adapters/short/peft", BaseShape.read(hf_folder), "short.gguf")

    `base` is the shape of the base model. Tensors are float32. Raises
    AdapterError for what can't be exported, naming it.
    """
    lora = read_lora(peft_folder, base)
    return write_atomically(out, lambda partial: _write(lora, base, partial))


def _write(lora: Lora, base: BaseShape, path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, base.architecture)
    writer.add_string(gguf.Keys.General.TYPE, gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.alpha)
    for pair in lora.pairs:
        name = f"blk.{pair.layer}.{_NAMES[pair.projection]}.weight"
        writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(pair.a))
        writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(_outputs(pair, lora, base)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _outputs(pair: LoraPair, lora: Lora, base: BaseShape) -> np.ndarray:
    """`lora_b` with peft's scale over llama.cpp's folded in, rows in llama.cpp's order."""
    b = pair.b
    implied = lora.alpha / pair.rank
    if pair.scale != implied:
        b = b * np.float32(pair.scale / implied)
    if base.architecture == "llama" and pair.projection == "self_attn.q_proj":
        b = interleave_rotary(b, base.heads)
    if base.architecture == "llama" and pair.projection == "self_attn.k_proj":
        b = interleave_rotary(b, base.kv_heads)
    return b


def interleave_rotary(rows: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows [heads * head_dim, n] of each head from (halves) to (pairs).

    Source: LlamaModel.permute in llama.cpp's convert_hf_to_gguf.py.
    """
    return (
        rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
        .swapaxes(1, 2)
        .reshape(rows.shape)
    )
