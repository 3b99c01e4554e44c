"""Logits of one prompt in each runtime, by the shortest way: the yardstick of conversions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def torch_logits(folder: Path, ids: list[int], adapter: Path | None = None) -> np.ndarray:
    """Logits [len(ids), vocabulary] of a Hugging Face folder, in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return model.eval()(torch.tensor([ids])).logits[0].numpy()


def llama_cpp_logits(file: Path, ids: list[int], **options: Any) -> np.ndarray:
    """Logits [len(ids), vocabulary] of a GGUF file, its cache in float32 as well."""
    import llama_cpp

    runtime = llama_cpp.Llama(
        str(file),
        n_ctx=len(ids) + 8,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        flash_attn=False,
        verbose=False,
        **options,
    )
    runtime.eval(ids)
    logits = np.array(runtime.scores[: len(ids)])
    runtime.close()
    return logits


def onnx_logits(folder: Path, ids: list[int], adapter: Path | None = None) -> np.ndarray:
    """Logits [len(ids), vocabulary] of an ONNX Runtime GenAI folder."""
    import onnxruntime_genai as og

    model = og.Model(str(folder))
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=len(ids) + 8)
    generator = og.Generator(model, params)
    if adapter:
        adapters = og.Adapters(model)
        adapters.load(str(adapter), "adapter")
        generator.set_active_adapter(adapters, "adapter")
    generator.append_tokens(ids)
    return np.array(generator.get_output("logits")[0])


def write_onnx_adapter(peft: Path, file: Path) -> Path:
    """A plain peft LoRA (one rank, one alpha) as an ONNX Runtime adapter file."""
    import onnxruntime as ort
    from safetensors.numpy import load_file

    config = json.loads((peft / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]
    values = {}
    for key, weight in load_file(peft / "adapter_model.safetensors").items():
        name = key.removeprefix("base_model.model.")
        value = np.ascontiguousarray(weight.T) * (scale if ".lora_B." in name else 1.0)
        values[name] = ort.OrtValue.ortvalue_from_numpy(value.astype(np.float32))
    adapter = ort.AdapterFormat()
    adapter.set_adapter_version(1)
    adapter.set_model_version(1)
    adapter.set_parameters(values)
    adapter.export_adapter(str(file))
    return file


def mean_kl(expected: np.ndarray, got: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence KL(expected || got) per position, in nats."""
    from scipy.special import log_softmax

    p = log_softmax(expected.astype(np.float64), axis=-1)
    q = log_softmax(got.astype(np.float64), axis=-1)
    return float((np.exp(p) * (p - q)).sum(-1).mean())
