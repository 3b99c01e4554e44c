"""Models are found by name, path or hub id, and what isn't a model is refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workbench import models
from workbench.errors import ConversionError, ModelError
from workbench.models import fingerprint


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_embedded_model_is_the_pinned_file(embedded: models.Model) -> None:
    assert (embedded.kind, embedded.architecture) == ("gguf", "llama")
    assert embedded.fingerprint.startswith("b179c9523d0e6a0f")
    assert embedded.path.is_file()


def test_folder_is_a_hugging_face_model(tiny_qwen2: Path, tmp_path: Path) -> None:
    found = models.find(str(tiny_qwen2), tmp_path)
    assert (found.kind, found.architecture, found.path) == ("hf", "qwen2", tiny_qwen2)


def test_gguf_and_onnx_forms_are_found_as_models(tiny_qwen3: Path, tmp_path: Path) -> None:
    source = models.find(str(tiny_qwen3), tmp_path)
    file = models.gguf(source, tmp_path)
    for path in (file, file.parent):
        found = models.find(str(path), tmp_path)
        assert (found.kind, found.architecture, found.path) == ("gguf", "qwen3", file)
    folder = models.onnx(source, tmp_path, precision="fp32")
    found = models.find(str(folder), tmp_path)
    assert (found.kind, found.architecture) == ("onnx", "qwen3")
    assert found.fingerprint == source.fingerprint
    assert models.onnx(found, tmp_path, precision="fp32") == folder
    assert models.tokenizer(found, tmp_path).fingerprint == (
        models.tokenizer(source, tmp_path).fingerprint
    )
    with pytest.raises(ConversionError, match="is ONNX fp32"):
        models.onnx(found, tmp_path, precision="int8")
    with pytest.raises(ConversionError, match="can't be turned into GGUF"):
        models.gguf(found, tmp_path)


def test_fingerprint_is_of_weights_alone(tiny_llama: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_llama, tmp_path / "copy"))
    (copy / "README.md").write_text("new")
    first = models.find(str(tiny_llama), tmp_path)
    assert models.find(str(copy), tmp_path).fingerprint == first.fingerprint
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert models.find(str(copy), tmp_path).fingerprint != first.fingerprint


def test_remembered_hash_is_dropped_when_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"a" * (2 << 20))
    first = fingerprint.of_file(file, tmp_path / "home")
    assert fingerprint.of_file(file, tmp_path / "home") == first == fingerprint.of_file(file)
    file.write_bytes(b"b" * (2 << 20))
    assert fingerprint.of_file(file, tmp_path / "home") == fingerprint.of_file(file) != first


@pytest.mark.parametrize("path", ["nowhere.gguf", "./org/name", "/no/such/folder", ".hidden/name"])
def test_missing_path_is_never_taken_for_a_hub_id(path: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model at"):
        models.find(path, tmp_path)


def test_hub_id_offline_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file or folder Qwen/Qwen3-8B.*HF_HUB_OFFLINE"):
        models.find("Qwen/Qwen3-8B", tmp_path)


@pytest.mark.parametrize("length", [3, 100, 1_000_000, 50_000_000])
def test_truncated_gguf_is_refused(embedded: models.Model, tmp_path: Path, length: int) -> None:
    cut = tmp_path / "cut.gguf"
    with open(embedded.path, "rb") as whole:
        cut.write_bytes(whole.read(length))
    with pytest.raises(ModelError, match=r"cut short or damaged|not a GGUF"):
        models.find(str(cut), tmp_path)


def test_text_named_gguf_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_text("I am no model.\n" * 10)
    with pytest.raises(ModelError, match="is not a GGUF file"):
        models.find(str(file), tmp_path)


def test_damaged_gguf_header_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    whole = models.gguf(models.find(str(tiny_llama), tmp_path), tmp_path).read_bytes()
    broken = tmp_path / "broken.gguf"
    first_key = 24  # after magic, version and the two counts
    for at in (4, 8, 16, first_key):
        broken.write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
        with pytest.raises(ModelError, match="cut short or damaged") as caught:
            models.find(str(broken), tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_incomplete_folder_is_refused(tiny_llama: Path, tmp_path: Path, missing: str) -> None:
    copy = Path(shutil.copytree(tiny_llama, tmp_path / "copy"))
    (copy / missing).unlink()
    with pytest.raises(ModelError, match="holds no"):
        models.find(str(copy), tmp_path)
