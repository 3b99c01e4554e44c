"""What can't be served is refused by name, before anything is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from safetensors.numpy import load_file, save_file

from workbench.adapters.export_gguf import export_gguf
from workbench.adapters.export_onnx import export_onnx
from workbench.adapters.peft_folder import BaseShape, read_lora
from workbench.errors import AdapterError


@pytest.fixture(scope="module")
def lora(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_lora(tiny_llama, tmp_path_factory.mktemp("lora"))


@pytest.fixture
def copy(lora: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lora, tmp_path / "copy"))


def _configure(folder: Path, **changes: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _edit(folder: Path, **changes: np.ndarray | None) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file) | changes
    save_file({name: value for name, value in tensors.items() if value is not None}, file)


Q0 = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "lora_only"}, "bias"),
        ({"lora_bias": True}, "lora_bias"),
        ({"targets": ["q_proj", "embed_tokens"]}, "embed_tokens"),
        ({"targets": ["q_proj", "lm_head"]}, "lm_head"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"init_lora_weights": "olora"}, "olora"),
    ],
)
@pytest.mark.parametrize("export", [export_gguf, export_onnx])
def test_what_peft_can_make_but_no_runtime_can_serve_is_refused_by_name(
    tiny_llama: Path, tmp_path: Path, options: dict[str, Any], named: str, export: Any
) -> None:
    folder = tiny_models.random_lora(tiny_llama, tmp_path / "lora", **options)
    with pytest.raises(AdapterError, match=named):
        export(folder, BaseShape.read(tiny_llama), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lora"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"lora_alpha": 0}, "lora_alpha"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication"),
        ({"r": 3}, "rank 3"),
    ],
)
def test_a_configuration_that_can_not_be_is_refused_by_name(
    copy: Path, tiny_llama: Path, changes: dict[str, Any], named: str
) -> None:
    _configure(copy, **changes)
    with pytest.raises(AdapterError, match=named):
        read_lora(copy, BaseShape.read(tiny_llama))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({f"{Q0}.lora_A.weight": None}, "only half of model.layers.0.self_attn.q_proj"),
        ({f"{Q0}.lora_B.weight": np.full((64, 4), np.nan, np.float32)}, "not finite"),
        ({f"{Q0}.lora_magnitude_vector": np.ones(64, np.float32)}, "lora_magnitude_vector"),
    ],
)
def test_weights_that_can_not_be_are_refused_by_name(
    copy: Path, tiny_llama: Path, changes: dict[str, np.ndarray | None], named: str
) -> None:
    _edit(copy, **changes)
    with pytest.raises(AdapterError, match=named):
        read_lora(copy, BaseShape.read(tiny_llama))


def test_an_adapter_of_another_base_is_refused(lora: Path, tiny_qwen3: Path) -> None:
    with pytest.raises(AdapterError, match="Use the base that the adapter was trained on"):
        read_lora(lora, BaseShape.read(tiny_qwen3))


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_folder_is_an_adapter_error(
    copy: Path, tiny_llama: Path, file: str, damage: str
) -> None:
    path = copy / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(AdapterError, match=file.replace(".", r"\.")):
        read_lora(copy, BaseShape.read(tiny_llama))


def test_a_base_of_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(AdapterError, match="mamba"):
        BaseShape.read(tmp_path)


def test_weights_in_bfloat16_are_read(copy: Path, tiny_llama: Path) -> None:
    from safetensors.torch import load_file as load
    from safetensors.torch import save_file as save

    file = copy / "adapter_model.safetensors"
    tensors = load(file)
    save({name: tensor.bfloat16() for name, tensor in tensors.items()}, file)
    pair = read_lora(copy, BaseShape.read(tiny_llama)).pairs[0]
    name = f"base_model.model.model.layers.{pair.layer}.{pair.projection}.lora_A.weight"
    assert pair.a == pytest.approx(tensors[name].numpy(), rel=2**-7)
