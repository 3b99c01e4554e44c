"""Every form of a tiny model computes what transformers computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from logits import llama_cpp_logits, mean_kl, onnx_logits, torch_logits, write_onnx_adapter

from workbench import models
from workbench.errors import ConversionError
from workbench.models import hf_to_onnx

TEXT = "Which answer is better? Скажи 12345"
MODELS = ["tiny_llama", "tiny_qwen2", "tiny_qwen3"]


@pytest.fixture(params=MODELS)
def source(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def ids(source: Path) -> list[int]:
    return models.Tokenizer(source).prompt_ids(TEXT)


@pytest.mark.parametrize(
    ("precision", "largest", "kl"),
    [("F32", 1e-3, 1e-6), ("F16", 5e-2, 1e-4), ("Q8_0", 1.0, 1e-2)],
)
def test_gguf_computes_the_same(
    source: Path, home: Path, ids: list[int], precision: str, largest: float, kl: float
) -> None:
    file = models.gguf(models.find(str(source), home), home, precision=precision)
    expected, got = torch_logits(source, ids), llama_cpp_logits(file, ids)
    assert np.abs(expected - got).max() < largest
    assert mean_kl(expected, got) < kl


def test_gguf_splits_text_as_the_source_does(source: Path, home: Path) -> None:
    import llama_cpp

    file = models.gguf(models.find(str(source), home), home)
    tokenizer = models.Tokenizer(source)
    runtime = llama_cpp.Llama(str(file), vocab_only=True, verbose=False)
    for text in (TEXT, "a  b\r\n\r\n\tc 3.14 don't", "<|im_start|>x<think> y</think>🙂"):
        theirs = runtime.tokenize(text.encode(), add_bos=False, special=True)
        assert tokenizer.encode(text) == theirs
    runtime.close()


def test_gguf_and_back_is_the_same_model(source: Path, home: Path, ids: list[int]) -> None:
    file = models.gguf(models.find(str(source), home), home, precision="F32")
    model = models.find(str(file), home)
    folder = models.hugging_face(model, home)
    assert np.abs(torch_logits(folder, ids) - torch_logits(source, ids)).max() < 1e-5
    assert models.dimensions(folder) == models.dimensions(file) == models.dimensions(source)
    before, after = models.Tokenizer(source), models.tokenizer(model, home)
    assert after.prompt_ids(TEXT) == before.prompt_ids(TEXT)
    assert after.eos_ids == before.eos_ids


@pytest.mark.parametrize(
    ("precision", "largest", "kl"),
    [("fp32", 1e-3, 1e-6), ("int8", 1.0, 1e-2), ("int4", 10.0, 0.3)],
)
def test_onnx_computes_the_same_with_and_without_an_adapter(
    source: Path,
    home: Path,
    tmp_path: Path,
    ids: list[int],
    precision: str,
    largest: float,
    kl: float,
) -> None:
    folder = models.onnx(models.find(str(source), home), home, precision=precision)
    peft = tiny_models.random_lora(source, tmp_path / "lora")
    adapter = write_onnx_adapter(peft, tmp_path / "lora.onnx_adapter")

    base, adapted = torch_logits(source, ids), torch_logits(source, ids, peft)
    assert np.abs(base - adapted).max() > 1, (
        "the adapter must matter for this test to mean anything"
    )
    for expected, got in (
        (base, onnx_logits(folder, ids)),
        (adapted, onnx_logits(folder, ids, adapter)),
    ):
        assert np.abs(expected - got).max() < largest
        assert mean_kl(expected, got) < kl


@pytest.mark.parametrize("rank", [1, 7, 32])
def test_onnx_takes_any_rank_for_some_of_the_layers(
    tiny_llama: Path, home: Path, tmp_path: Path, rank: int
) -> None:
    folder = models.onnx(models.find(str(tiny_llama), home), home, precision="fp32")
    ids = models.Tokenizer(tiny_llama).prompt_ids(TEXT)
    targets = ["q_proj", "down_proj"]
    peft = tiny_models.random_lora(tiny_llama, tmp_path / "lora", rank=rank, targets=targets)
    adapter = write_onnx_adapter(peft, tmp_path / "lora.onnx_adapter")
    expected = torch_logits(tiny_llama, ids, peft)
    assert np.abs(expected - onnx_logits(folder, ids, adapter)).max() < 1e-3


def test_onnx_takes_another_rank_in_each_layer(
    tiny_qwen3: Path, home: Path, tmp_path: Path
) -> None:
    folder = models.onnx(models.find(str(tiny_qwen3), home), home, precision="fp32")
    ids = models.Tokenizer(tiny_qwen3).prompt_ids(TEXT)
    # alpha follows the rank, so that one scale holds for all layers
    peft = tiny_models.random_lora(
        tiny_qwen3,
        tmp_path / "lora",
        rank=4,
        rank_pattern={"q_proj": 2, "up_proj": 9},
        alpha_pattern={"q_proj": 4, "up_proj": 18},
    )
    adapter = write_onnx_adapter(peft, tmp_path / "lora.onnx_adapter")
    expected = torch_logits(tiny_qwen3, ids, peft)
    assert np.abs(expected - onnx_logits(folder, ids, adapter)).max() < 1e-3


def test_onnx_folder_says_what_it_is(tiny_qwen3: Path, home: Path) -> None:
    model = models.find(str(tiny_qwen3), home)
    record = hf_to_onnx.read_record(models.onnx(model, home, precision="int8"))
    assert record is not None
    assert (record.base, record.precision) == (model.fingerprint, "int8")
    assert record.context == tiny_models.CONTEXT
    shapes = {slot.name: slot.shape for slot in record.lora_inputs}
    assert len(shapes) == tiny_models.LAYERS * 7 * 2
    q = "model.layers.0.self_attn.q_proj"
    assert shapes[f"{q}.lora_A.weight"] == (64, f"{q}.rank")
    assert shapes["model.layers.1.mlp.gate_proj.lora_B.weight"][1] == 128


def test_onnx_for_cuda_takes_adapters_in_its_own_precision(tiny_llama: Path, home: Path) -> None:
    import onnx_ir as ir

    model = models.find(str(tiny_llama), home)
    folder = models.onnx(model, home, precision="fp16", provider="cuda")
    slots = [value for value in ir.load(folder / "model.onnx").graph.inputs if "lora" in value.name]
    assert len(slots) == tiny_models.LAYERS * 7 * 2
    assert {slot.dtype for slot in slots} == {ir.DataType.FLOAT16}


def test_tied_and_untied_embeddings_both_convert(home: Path, tmp_path: Path) -> None:
    for tied in (True, False):
        source = tiny_models.build(tmp_path / f"tied-{tied}", "llama", tied=tied, seed=3)
        model, ids = models.find(str(source), home), models.Tokenizer(source).prompt_ids(TEXT)
        expected = torch_logits(source, ids)
        file = models.gguf(model, home, precision="F32")
        assert np.abs(expected - llama_cpp_logits(file, ids)).max() < 1e-3
        for precision, largest in (("fp32", 1e-3), ("int8", 1.0)):
            folder = models.onnx(model, home, precision=precision)
            assert np.abs(expected - onnx_logits(folder, ids)).max() < largest


def test_unknown_split_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(tiny_llama, tmp_path / "copy"))
    content = json.loads((copy / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {"type": "Whitespace"}
    (copy / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ConversionError, match="splits text"):
        models.gguf(models.find(str(copy), tmp_path), tmp_path)


@pytest.mark.slow
def test_embedded_model_computes_the_same_in_every_form(embedded: models.Model) -> None:
    from workbench.settings import Settings

    home = Settings.load(root=Path.cwd()).home
    ids = models.tokenizer(embedded, home).prompt_ids("Name three colours of the rainbow.")
    expected = torch_logits(models.hugging_face(embedded, home), ids)
    shipped = llama_cpp_logits(models.gguf(embedded, home), ids)
    assert mean_kl(expected, shipped) < 0.02
    eight_bits = onnx_logits(models.onnx(embedded, home, precision="int8"), ids)
    assert mean_kl(expected, eight_bits) < 0.02
