"""A peft LoRA as the `.onnx_adapter` file that ONNX Runtime GenAI activates by name.

The base is an ONNX model whose LoRA matrices are optional inputs (made in
`workbench.models`); the adapter file holds one value for each of them, in the
layout of a MatMul: A is [inputs, rank], B is [rank, outputs], with the scale
multiplied into B. Layers without a value keep the model's default of rank 0.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from workbench.adapters.peft_folder import BaseShape, Lora, read_lora
from workbench.journal import write_atomically

_FORMAT_VERSION = 1


def export_onnx(peft_folder: Path | str, base: BaseShape, out: Path | str) -> Path:
    """Write the adapter in `peft_folder` to `out`, whole or not at all; returns `out`.

    Values are float32, the type of the inputs in models built for a CPU. Raises
    AdapterError for what can't be exported, naming it.
    """
    lora = read_lora(peft_folder, base)
    return write_atomically(out, lambda partial: _write(lora, partial))


def _write(lora: Lora, path: Path) -> None:
    # Official wheels send telemetry unless this is set before the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    # An OrtValue on the CPU borrows numpy's memory: `values` must live until the file is written.
    values = {}
    for pair in lora.pairs:
        name = f"model.layers.{pair.layer}.{pair.projection}"
        values[f"{name}.lora_A.weight"] = np.ascontiguousarray(pair.a.T)
        values[f"{name}.lora_B.weight"] = np.ascontiguousarray(pair.b.T) * np.float32(pair.scale)
    adapter = onnxruntime.AdapterFormat()
    adapter.set_adapter_version(_FORMAT_VERSION)
    adapter.set_model_version(_FORMAT_VERSION)
    adapter.set_parameters(
        {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in values.items()}
    )
    adapter.export_adapter(str(path))
