"""The HTML of a run in a real browser: nothing runs, nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hostile
import pytest
from hostile import Witness

from workbench import report
from workbench.html import export

pytestmark = pytest.mark.browser


def test_an_exported_notebook_runs_and_fetches_nothing(page: Any, tmp_path: Path) -> None:
    witness = Witness(page)
    page.goto(export(hostile.notebook(tmp_path / "notebook.ipynb")).as_uri())
    page.wait_for_timeout(500)
    witness.poke()
    assert not witness.ran
    assert [url for url in witness.asked if not url.startswith(("file:", "data:"))] == []
    assert page.get_by_text("kept", exact=True).is_visible()


def test_the_index_page_runs_and_fetches_nothing(page: Any, tmp_path: Path) -> None:
    texts = list(hostile.PAYLOADS.values())
    shown = report.Page(
        title=texts[0],
        headline=texts[1],
        conclusion=texts[2],
        tiles=[(text, text) for text in texts],
        facts={text: [(text, text)] for text in texts},
        figures=[report.Figure(text.encode(), text, text) for text in texts],
        exchanges=[report.Exchange(text, text, text, "win") for text in texts],
        notebooks=[(text, "00.html") for text in texts],
    )
    witness = Witness(page)
    page.goto(report.write(shown, tmp_path / "index.html").as_uri())
    page.wait_for_timeout(500)
    witness.poke()
    assert not witness.ran
    assert [url for url in witness.asked if not url.startswith(("file:", "data:"))] == []
    assert page.locator(".exchange").count() == len(texts)


def test_a_page_without_protection_is_harmed(page: Any, tmp_path: Path) -> None:
    """The witness sees what these texts do, so that its silence elsewhere means something."""
    witness = Witness(page)
    bare = tmp_path / "bare.html"
    unharmed = set()
    for name, payload in hostile.PAYLOADS.items():
        if name.startswith("markdown"):
            continue
        witness.asked.clear()
        bare.write_text(f"<meta charset=utf-8>{payload}")
        page.goto(bare.as_uri())
        page.wait_for_timeout(150)
        if page.url.startswith("file:"):  # else it has led us away
            witness.poke()
            if not (witness.ran or witness.fetched):
                unharmed.add(name)
    assert unharmed == hostile.HARMLESS_ALONE
