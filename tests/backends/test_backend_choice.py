"""backends.load and what it needs to know: names, precisions, LORA_PATHS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from workbench import backends
from workbench.backends.adapter_files import adapters_at
from workbench.errors import SettingsError
from workbench.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, home: Path, tiny_llama: Path) -> Settings:
    return Settings(root=tmp_path, home=home, model_path=str(tiny_llama), n_ctx=256, n_threads=1)


def test_an_unknown_name_lists_the_known_ones(settings):
    with pytest.raises(SettingsError, match=r"llama\.cpp, onnx, torch"):
        backends.load(settings, name="vllm")


@pytest.mark.parametrize(
    ("name", "precision"), [("llama.cpp", "int8"), ("onnx", "Q4_1"), ("torch", "fp16")]
)
def test_an_unknown_precision_lists_the_known_ones(settings, name, precision):
    with pytest.raises(SettingsError, match="Use one of"):
        backends.load(settings, name=name, precision=precision)


@pytest.mark.parametrize("spelling", ["fp32", "f32", "F32"])
def test_full_precision_has_one_meaning_in_any_spelling(settings, spelling):
    with backends.load(settings, name="llama.cpp", precision=spelling) as backend:
        assert backend.precision == "F32"


def test_the_context_is_never_longer_than_the_model_allows(settings):
    with backends.load(settings.with_(n_ctx=1_000_000), name="llama.cpp") as backend:
        assert backend.engine.context == 2048


def test_yarn_stretches_the_context_alike_in_every_runtime(settings, tiny_qwen3):
    stretched = settings.with_(model_path=str(tiny_qwen3), rope_scaling_factor=4.0, n_ctx=0)
    plain = stretched.with_(rope_scaling_factor=1.0)
    tokens = np.random.default_rng(0).integers(3, 500, 700).tolist()
    rows = {}
    for name in backends.ENGINES:
        with backends.load(stretched, name=name, precision="fp32") as backend:
            assert backend.engine.context == 4 * tiny_models.CONTEXT
            rows[name] = backend.logprobs(tokens, 600)
    with backends.load(plain, name="torch") as backend:
        unstretched = backend.logprobs(tokens, 600)
    assert np.abs(rows["torch"] - unstretched).max() > 0.01
    np.testing.assert_allclose(rows["llama.cpp"], rows["torch"], atol=2e-3)
    np.testing.assert_allclose(rows["onnx"], rows["torch"], atol=2e-3)


def test_importing_the_room_loads_no_runtime():
    code = (
        "import sys, workbench.backends, workbench.backends.local, workbench.backends.llamacpp;"
        "import workbench.backends.genai, workbench.backends.reference;"
        "heavy = {'torch', 'transformers', 'llama_cpp', 'onnxruntime_genai', 'llguidance'};"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_globs_name_generations_by_their_folder_and_files_by_their_stem(tmp_path):
    generation = tmp_path / "adapters" / "short" / "g1"
    (generation / "peft").mkdir(parents=True)
    for file in ("adapter.gguf", "adapter.onnx_adapter", "manifest.json"):
        (generation / file).touch()
    loose = tmp_path / "loose.gguf"
    loose.touch()
    found = dict(adapters_at(("adapters/*/*/*", str(loose)), tmp_path))
    assert found == {"g1": generation, "loose": loose}


def test_a_glob_that_matches_nothing_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="LORA_PATHS"):
        list(adapters_at(("adapters/*/*",), tmp_path))
