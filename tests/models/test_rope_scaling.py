"""YaRN and the other stretches of positions mean the same in every runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from logits import llama_cpp_logits, onnx_logits, torch_logits

from workbench import models
from workbench.errors import ModelError
from workbench.models import Dimensions, Yarn, gguf_header, gguf_rope, hf_to_onnx

QWEN3_8B = Dimensions("qwen3", 36, 4096, 32, 8, 128, 151_936, 40_960, 1e6, "default", None)


def with_rope(source: Path, folder: Path, context: int, **rope: Any) -> Path:
    """A copy of a model with other rotary settings."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"rope_parameters": rope, "max_position_embeddings": context}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_qwen3_is_stretched_to_128k_from_its_trained_length() -> None:
    stretch = models.yarn(QWEN3_8B, 4)
    assert stretch == Yarn(4, 32_768, 1e6, 128)
    assert stretch.context == 131_072
    assert stretch.blended == (23, 40)
    builder = stretch.onnx_builder()
    # Measured to bring the builder within 1e-5 of transformers.
    assert builder["beta_fast"] == pytest.approx(36.39318512309242, rel=1e-12)
    assert builder["beta_slow"] == pytest.approx(0.9274063529778674, rel=1e-12)


def test_factor_one_changes_nothing_and_less_is_refused() -> None:
    assert models.yarn(QWEN3_8B, 1) is None
    with pytest.raises(ModelError, match="below 1"):
        models.yarn(QWEN3_8B, 0.5)


def test_stretched_model_is_not_stretched_again() -> None:
    from dataclasses import replace

    with pytest.raises(ModelError, match="stretched already"):
        models.yarn(replace(QWEN3_8B, rope_type="llama3"), 2)


@pytest.mark.parametrize("length", [40, 900])
def test_yarn_computes_the_same_in_all_runtimes(
    tiny_qwen3: Path, home: Path, tmp_path: Path, length: int
) -> None:
    model = models.find(str(tiny_qwen3), home)
    stretch = models.yarn(models.dimensions(tiny_qwen3), 4)
    assert stretch is not None
    ids = np.random.default_rng(0).integers(3, 500, length).tolist()
    reference = with_rope(
        tiny_qwen3, tmp_path / "reference", stretch.context, **stretch.hugging_face()
    )
    expected = torch_logits(reference, ids)
    assert np.abs(expected - torch_logits(tiny_qwen3, ids)).max() > 0.1

    file = models.gguf(model, home, precision="F32")
    assert np.abs(expected - llama_cpp_logits(file, ids, **stretch.llama_cpp())).max() < 1e-3
    folder = models.onnx(model, home, precision="fp32", rope_scaling_factor=4)
    assert np.abs(expected - onnx_logits(folder, ids)).max() < 1e-3


def test_positions_of_qwen3_reach_128k_in_onnx(tmp_path: Path) -> None:
    import onnx_ir as ir
    import torch
    from transformers import AutoConfig
    from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

    source = tiny_models.build(tmp_path / "base", "qwen3", head_dim=128)
    source = with_rope(source, tmp_path / "long", 32_768, rope_type="default", rope_theta=1e6)
    stretch = models.yarn(models.dimensions(source), 4)
    assert stretch is not None
    model = models.find(str(source), tmp_path)
    folder = models.onnx(model, tmp_path, precision="fp32", rope_scaling_factor=4)

    record = hf_to_onnx.read_record(folder)
    genai = json.loads((folder / "genai_config.json").read_text())
    assert record is not None
    assert record.context == genai["model"]["context_length"] == 131_072

    config = AutoConfig.from_pretrained(source)
    config.rope_parameters = stretch.hugging_face()
    config.max_position_embeddings = stretch.context
    positions = torch.tensor([[0, 1, 1000, 32_768, 100_000, 131_071]])
    cos, sin = Qwen3RotaryEmbedding(config)(torch.zeros(1), positions)
    tables = ir.load(folder / "model.onnx").graph.initializers
    for name, expected in (("cos_cache", cos), ("sin_cache", sin)):
        table = tables[name].const_value.numpy()
        assert table.shape == (131_072, 64)
        # float32 angles of 131,071 radians are only good to 0.01
        assert np.abs(table[positions[0]] - expected[0, :, :64].numpy()).max() < 0.02
        assert np.abs(table[positions[0, :3]] - expected[0, :3, :64].numpy()).max() < 1e-3


@pytest.mark.parametrize(
    ("name", "rope"),
    [
        (
            "tiny_llama",
            {
                "rope_type": "llama3",
                "rope_theta": 5e5,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        ),
        ("tiny_qwen2", {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}),
        (
            "tiny_qwen3",
            {
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 4.0,
                "original_max_position_embeddings": 2048,
            },
        ),
    ],
)
def test_stated_stretch_survives_gguf_and_back(
    name: str, rope: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = request.getfixturevalue(name)
    source = with_rope(base, tmp_path / "model", 8192, **rope)
    ids = np.random.default_rng(1).integers(3, 500, 300).tolist()
    expected = torch_logits(source, ids)
    file = models.gguf(models.find(str(source), tmp_path), tmp_path, precision="F32")
    assert np.abs(expected - llama_cpp_logits(file, ids)).max() < 1e-3
    back = models.hugging_face(models.find(str(file), tmp_path), tmp_path)
    assert np.abs(expected - torch_logits(back, ids)).max() < 1e-4


def test_onnx_follows_a_yarn_that_the_model_states(tiny_qwen3: Path, tmp_path: Path) -> None:
    stretch = models.yarn(models.dimensions(tiny_qwen3), 4)
    assert stretch is not None
    source = with_rope(tiny_qwen3, tmp_path / "model", 8192, **stretch.hugging_face())
    ids = np.random.default_rng(2).integers(3, 500, 200).tolist()
    folder = models.onnx(models.find(str(source), tmp_path), tmp_path, precision="fp32")
    assert np.abs(torch_logits(source, ids) - onnx_logits(folder, ids)).max() < 1e-3


def test_unknown_stretch_of_a_gguf_file_is_refused(tmp_path: Path) -> None:
    header = gguf_header.Header(
        tmp_path, {"general.architecture": "llama", "llama.rope.scaling.type": "longrope"}, ()
    )
    with pytest.raises(ModelError, match="longrope"):
        gguf_rope.read(header)
