"""Fixtures that several rooms share: tiny random models, and the embedded one."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models

from workbench import models


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of converted tiny models, shared by a session's tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hugging Face folder of a tiny random Llama, embeddings not tied."""
    return tiny_models.build(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.fixture(scope="session")
def tiny_qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hugging Face folder of a tiny random Qwen2, embeddings tied."""
    return tiny_models.build(tmp_path_factory.mktemp("tiny") / "qwen2", "qwen2", tied=True)


@pytest.fixture(scope="session")
def tiny_qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hugging Face folder of a tiny random Qwen3, embeddings tied."""
    return tiny_models.build(tmp_path_factory.mktemp("tiny") / "qwen3", "qwen3", tied=True)


@pytest.fixture(scope="session")
def embedded() -> models.Model:
    """The model that comes with the package, as a GGUF file."""
    from workbench.settings import Settings

    return models.find(models.EMBEDDED, Settings.load(root=Path.cwd()).home)
