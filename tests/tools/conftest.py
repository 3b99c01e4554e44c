"""A workspace of its own for each test of a tool."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from asked_tools import settings_of

from workbench.sandbox import Limits
from workbench.tools import Context

SAMPLES = Path(__file__).resolve().parents[2] / "datasets" / "samples"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A project with the samples, and an empty workspace in it."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    for kind in ("maps", "logs"):
        shutil.copytree(SAMPLES / kind, tmp_path / "datasets" / "samples" / kind)
    return Context(settings_of(tmp_path), workspace, limits=Limits(seconds=60))
