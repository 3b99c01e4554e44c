"""What several rooms share: tiny random models, the embedded one, and notebooks run alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_models
from candidate_sets import make_set  # noqa: F401
from label_studio_server import label_studio  # noqa: F401

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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the notebooks read."""
    return _copy(tmp_path)


@pytest.fixture(scope="session")
def embedded() -> models.Model:
    """The model that comes with the package, as a GGUF file."""
    from workbench.settings import Settings

    return models.find(models.EMBEDDED, Settings.load(root=Path.cwd()).home)


# --- notebooks under nbval: each runs alone, in a fresh copy of the project's inputs --------

ROOT = Path(__file__).resolve().parent.parent
INPUTS = (
    "notebooks",
    "constraints.txt",
    "datasets/prompts",
    "datasets/knowledge",
    "datasets/samples",
)
_ROOTS = pytest.StashKey[dict[Path, Path]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if item.path.suffix != ".ipynb":  # pytest asks every conftest about every test
        return (yield)
    # Around all of a cell's test: the kernel starts in the set-up of its notebook's first cell.
    roots = item.config.stash.setdefault(_ROOTS, {})
    if item.path not in roots:
        roots[item.path] = _copy(item.config._tmp_path_factory.mktemp(item.path.stem))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_ROOT", str(roots[item.path]))
        return (yield)


def _copy(root: Path) -> Path:
    for name in INPUTS:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return root
