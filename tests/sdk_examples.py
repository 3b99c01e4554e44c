"""The examples of the installed MCP SDK: only its source archive has them, so it is fetched once.

They are kept in the user's cache and run from there; no part of them is in this project.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock
from platformdirs import user_cache_path


def folder() -> Path:
    """The folder `examples`. Skips the test where it can't be fetched (no network)."""
    release = version("mcp")
    kept = user_cache_path("workbench") / f"mcp-{release}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{kept}.lock"):
        if not (kept / "examples").is_dir():
            _fetch(release, kept)
    return kept / "examples"


def _fetch(release: str, kept: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "download", "--no-binary", "mcp", "--no-deps"]
        fetched = subprocess.run(
            [*pip, "--dest", place, f"mcp=={release}"], capture_output=True, text=True, check=False
        )
        if fetched.returncode:
            pytest.skip(f"the SDK's source archive can't be fetched: {fetched.stderr[-200:]}")
        with tarfile.open(Path(place, f"mcp-{release}.tar.gz")) as archive:
            archive.extractall(place, filter="data")
        Path(place, f"mcp-{release}").rename(kept)
