from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from safetensors.numpy import load_file, save_file

from workbench import models
from workbench.adapters import BaseShape, check_parity, export_gguf, export_onnx, read_parity
from workbench.adapters.parity import _confirmed
from workbench.backends.genai import GenAIEngine
from workbench.backends.llamacpp import LlamaCppEngine
from workbench.backends.local import LocalBackend
from workbench.errors import ParityError
from workbench.records import Completion, Sampling, conversation

PROMPTS = ["What is it?", "Why?", "Съешь ещё булок", "Which is better?", "The lazy dog"]


@pytest.fixture(scope="module")
def lora(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_lora(tiny_llama, tmp_path_factory.mktemp("lora"))


@pytest.fixture(scope="module")
def reference(llama: models.Model, home: Path) -> Iterator[LocalBackend]:
    """A full-precision runtime without an adapter; the tests load theirs."""
    folder = models.onnx(llama, home, precision="fp32")
    engine = GenAIEngine(folder, precision="fp32", context=128, threads=1)
    with LocalBackend(
        engine, models.tokenizer(llama, home), name="onnx", model=llama.fingerprint
    ) as backend:
        yield backend


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    folder = tmp_path / "0001-abcdef"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder


def _scaled(lora: Path, folder: Path, factor: float) -> Path:
    """A copy of the adapter with its effect multiplied."""
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes((lora / "adapter_config.json").read_bytes())
    tensors = load_file(lora / "adapter_model.safetensors")
    scaled = {name: t * factor if "lora_B" in name else t for name, t in tensors.items()}
    save_file(scaled, folder / "adapter_model.safetensors")
    return folder


@contextmanager
def _loaded(reference: LocalBackend, lora: Path, base: Path, folder: Path) -> Iterator[None]:
    file = export_onnx(lora, BaseShape.read(base), folder / "reference.onnx_adapter")
    reference.load_adapter(file, "short")
    try:
        yield
    finally:
        reference.unload_adapter("short")


@contextmanager
def _llamacpp(
    model: models.Model, home: Path, precision: models.GgufPrecision, lora: Path, folder: Path
) -> Iterator[LocalBackend]:
    engine = LlamaCppEngine(models.gguf(model, home, precision=precision), context=128, threads=1)
    tokenizer = models.tokenizer(model, home)
    with LocalBackend(engine, tokenizer, name="llama.cpp", model=model.fingerprint) as backend:
        file = export_gguf(lora, BaseShape.read(model.path), folder / "other.gguf")
        backend.load_adapter(file, "short")
        yield backend


@pytest.mark.parametrize("precision", ["F32", "Q8_0"])
def test_the_same_adapter_passes(
    reference: LocalBackend,
    llama: models.Model,
    home: Path,
    lora: Path,
    generation: Path,
    tmp_path: Path,
    precision: models.GgufPrecision,
) -> None:
    with (
        _loaded(reference, lora, llama.path, tmp_path),
        _llamacpp(llama, home, precision, lora, tmp_path) as other,
    ):
        parity = check_parity(reference, [other], PROMPTS, "short", generation=generation)
    [runtime] = parity.runtimes
    assert parity.passed
    assert parity == read_parity(generation)
    assert parity.effect > 0.1
    assert runtime.prompts_equal
    assert runtime.full_precision == (precision == "F32")
    assert len(runtime.equal_prefix) == len(PROMPTS)
    assert runtime.slope == pytest.approx(1.0, abs=0.05)
    assert runtime.kl < 1e-2 < runtime.kl_without


@pytest.mark.parametrize("precision", ["F32", "Q8_0"])
@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_an_adapter_that_arrives_too_weak_or_too_strong_is_refused(
    reference: LocalBackend,
    llama: models.Model,
    home: Path,
    lora: Path,
    generation: Path,
    tmp_path: Path,
    precision: models.GgufPrecision,
    factor: float,
) -> None:
    wrong = _scaled(lora, tmp_path / "scaled", factor)
    with (
        _loaded(reference, lora, llama.path, tmp_path),
        _llamacpp(llama, home, precision, wrong, tmp_path) as other,
        pytest.raises(ParityError, match=r"llama\.cpp .*: .*mean KL"),
    ):
        check_parity(reference, [other], PROMPTS, "short", generation=generation)
    parity = read_parity(generation)
    assert not parity.passed
    with pytest.raises(ParityError):
        parity.require()


def test_another_adapter_is_refused(
    reference: LocalBackend,
    llama: models.Model,
    home: Path,
    lora: Path,
    generation: Path,
    tmp_path: Path,
) -> None:
    other_lora = tiny_models.random_lora(llama.path, tmp_path / "lora", seed=7)
    with (
        _loaded(reference, lora, llama.path, tmp_path),
        _llamacpp(llama, home, "Q8_0", other_lora, tmp_path) as other,
        pytest.raises(ParityError, match="of the adapter's effect arrives"),
    ):
        check_parity(reference, [other], PROMPTS, "short", generation=generation)


def test_an_adapter_without_effect_is_refused_before_anything_is_written(
    reference: LocalBackend, llama: models.Model, lora: Path, generation: Path, tmp_path: Path
) -> None:
    with (
        _loaded(reference, _scaled(lora, tmp_path / "zero", 0.0), llama.path, tmp_path),
        pytest.raises(ParityError, match="changes nothing"),
    ):
        check_parity(reference, [], PROMPTS, "short", generation=generation)
    assert not (generation / "parity.json").exists()


def test_a_runtime_that_tokenizes_otherwise_is_refused(
    reference: LocalBackend,
    llama: models.Model,
    home: Path,
    lora: Path,
    generation: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        _loaded(reference, lora, llama.path, tmp_path),
        _llamacpp(llama, home, "F32", lora, tmp_path) as other,
    ):
        plain = other.engine.tokenize
        monkeypatch.setattr(other.engine, "tokenize", lambda text: [1, *plain(text)])
        with pytest.raises(ParityError, match="other token ids"):
            check_parity(reference, [other], PROMPTS, "short", generation=generation)


def test_a_draft_is_confirmed_by_its_every_token_and_its_end(
    reference: LocalBackend, llama: models.Model, lora: Path, tmp_path: Path
) -> None:
    def confirmed(draft: Completion) -> np.ndarray | None:
        return _confirmed(reference, prompt, draft, "short")

    with _loaded(reference, lora, llama.path, tmp_path):
        messages = conversation(PROMPTS[0])
        prompt = reference.tokenizer.prompt_ids(messages)
        draft = reference.complete(messages, sampling=Sampling.greedy(24), adapter="short")
        rows = confirmed(draft)
        assert rows is not None
        assert len(rows) == len(draft.token_ids) == 24
        for place in (0, 11, 23):
            tokens = list(draft.token_ids)
            tokens[place] = (tokens[place] + 1) % reference.tokenizer.size
            assert confirmed(replace(draft, token_ids=tuple(tokens))) is None
        # The reference goes on where these drafts say that the answer has ended.
        for length in (0, 10):
            cut = replace(draft, token_ids=draft.token_ids[:length], finish_reason="stop")
            assert confirmed(cut) is None


def test_too_few_tokens_prove_nothing(reference: LocalBackend, generation: Path) -> None:
    with pytest.raises(ParityError, match="Answers of 12 tokens can't show 24"):
        check_parity(reference, [], PROMPTS, "short", generation=generation, max_tokens=12)


def test_no_prompts_and_no_runtimes_prove_nothing(
    reference: LocalBackend, llama: models.Model, lora: Path, generation: Path, tmp_path: Path
) -> None:
    with _loaded(reference, lora, llama.path, tmp_path):
        with pytest.raises(ParityError, match="no prompts"):
            check_parity(reference, [], [], "short", generation=generation)
        with pytest.raises(ParityError, match="none asked"):
            check_parity(reference, [], PROMPTS[:1], "short", generation=generation)
