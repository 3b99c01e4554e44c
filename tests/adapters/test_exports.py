"""Exported adapters do in each runtime what peft does in transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from workbench import models
from workbench.adapters.export_gguf import export_gguf
from workbench.adapters.export_onnx import export_onnx
from workbench.adapters.peft_folder import BaseShape
from workbench.backends.genai import GenAIEngine
from workbench.backends.llamacpp import LlamaCppEngine

ARCHITECTURES = ("llama", "qwen2", "qwen3")
TOKENS = [1, 90, 200, 310, 45, 600, 7, 123, 88, 402, 15, 333, 2, 1, 77, 250]
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "patterns": {
        "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.up_proj": 7},
        "alpha_pattern": {"k_proj": 3, r"model\.layers\.0\.self_attn\.o_proj": 11},
    },
    "rslora with patterns": {
        "use_rslora": True,
        "rank_pattern": {"v_proj": 9, "down_proj": 1},
        "alpha_pattern": {"v_proj": 5},
    },
    "some layers": {"targets": ["q_proj", "down_proj"], "layers_to_transform": [1]},
}


@pytest.fixture(params=VARIANTS)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return VARIANTS[request.param]


def _by_peft(base: Path, adapter: Path) -> tuple[np.ndarray, np.ndarray]:
    """Logits [tokens, vocabulary] with the adapter and without it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.no_grad():
        without = model(torch.tensor([TOKENS])).logits[0].numpy()
        peft = PeftModel.from_pretrained(model, adapter).eval()
        return peft(torch.tensor([TOKENS])).logits[0].numpy(), without


def _close(found: np.ndarray, base: Path, adapter: Path, tolerance: float) -> None:
    expected, without = _by_peft(base, adapter)
    width = min(found.shape[1], expected.shape[1])
    error = np.abs(found[:, :width] - expected[:, :width]).max()
    effect = np.abs(expected - without).max()
    assert effect > 0.5, "the adapter is too weak to show anything"
    assert error < tolerance * effect


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gguf_does_what_peft_does(
    base_of: Any, home: Path, tmp_path: Path, architecture: str, options: dict[str, Any]
) -> None:
    base = base_of(architecture)
    adapter = tiny_models.random_lora(base, tmp_path / "lora", **options)
    file = export_gguf(adapter, BaseShape.read(base), tmp_path / "adapter.gguf")
    model = models.gguf(models.find(str(base), home), home, precision="F32")
    engine = LlamaCppEngine(model, context=64, threads=1)
    try:
        engine.load_adapter(file, "lora")
        # llama.cpp keeps its cache in float16, which bounds how close it can come.
        _close(engine.logits(TOKENS, 0, "lora"), base, adapter, tolerance=1e-2)
    finally:
        engine.close()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_onnx_adapter_does_what_peft_does(
    base_of: Any, home: Path, tmp_path: Path, architecture: str, options: dict[str, Any]
) -> None:
    base = base_of(architecture)
    adapter = tiny_models.random_lora(base, tmp_path / "lora", **options)
    file = export_onnx(adapter, BaseShape.read(base), tmp_path / "lora.onnx_adapter")
    folder = models.onnx(models.find(str(base), home), home, precision="fp32")
    engine = GenAIEngine(folder, precision="fp32", context=64, threads=1)
    try:
        engine.load_adapter(file, "lora")
        _close(engine.logits(TOKENS, 0, "lora"), base, adapter, tolerance=1e-4)
    finally:
        engine.close()


def test_equal_adapters_make_equal_bytes(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = tiny_models.random_lora(tiny_llama, tmp_path / "lora")
    shape = BaseShape.read(tiny_llama)
    for export in (export_gguf, export_onnx):
        first = export(adapter, shape, tmp_path / "first").read_bytes()
        assert export(adapter, shape, tmp_path / "second").read_bytes() == first
