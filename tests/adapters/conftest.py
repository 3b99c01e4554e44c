from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import models

os.environ.setdefault("HF_HUB_OFFLINE", "1")

BaseOf = Callable[[str], Path]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of model forms that the tests of this room share."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def base_of(tiny_llama: Path, tiny_qwen2: Path, tiny_qwen3: Path) -> BaseOf:
    """Architecture -> Hugging Face folder of a tiny random model."""
    return {"llama": tiny_llama, "qwen2": tiny_qwen2, "qwen3": tiny_qwen3}.__getitem__


@pytest.fixture(scope="session")
def llama(tiny_llama: Path, home: Path) -> models.Model:
    return models.find(str(tiny_llama), home)
