"""Under nbval, each notebook runs alone: in a fresh copy of the project's inputs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
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
        source, target = PROJECT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return root
