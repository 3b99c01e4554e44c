"""A browser, its pages, and one JupyterLab for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lab_page import FLAGS, Lab, find_browser, start_lab, stop_lab


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    path = find_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all browser tests."""
    lab, server = start_lab(tmp_path_factory.mktemp("lab") / "home")
    yield lab
    stop_lab(server)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh page, with no memory of the pages before it."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()
