"""An exported notebook in a real browser: nothing runs, nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hostile
import pytest

from workbench.html import export

pytestmark = pytest.mark.browser


def test_nothing_runs_and_nothing_is_fetched(page: Any, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(export(hostile.notebook(tmp_path / "notebook.ipynb")).as_uri())
    page.wait_for_timeout(500)
    assert page.evaluate("window.hit") is None
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.get_by_text("kept").is_visible()
