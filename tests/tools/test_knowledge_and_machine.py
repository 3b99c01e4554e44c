"""Passages are cited, and the machine is told without its owner."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from asked_tools import INJECTION, ask, refused

from workbench.knowledge import Hit, Passage
from workbench.tools import Context

PASSAGE = Passage("0123456789abcdef" * 2, "boost.md", 7, "Boost > Limits", f"210 kPa. {INJECTION}")


def test_passages_come_with_what_cites_them(context: Context) -> None:
    asked = []

    def search(query: str, k: int) -> list[Hit]:
        asked.append((query, k))
        return [Hit(PASSAGE, 0.61234), Hit(replace(PASSAGE, text="слово " * 1_000), 0.5)]

    found = ask(replace(context, search=search), "search_knowledge", query="Which limit? 🚗")
    assert asked == [("Which limit? 🚗", 3)]
    first, second = found["passages"]
    assert first == {
        "citation": "01234567",
        "source": "boost.md",
        "line": 7,
        "heading": "Boost > Limits",
        "text": PASSAGE.text,
        "score": 0.612,
    }
    assert "4,001 characters left out" in second["text"]


def test_without_knowledge_the_model_is_told_so(context: Context) -> None:
    assert "No knowledge base is open" in refused(context, "search_knowledge", query="x")


@pytest.mark.parametrize("arguments", [{}, {"query": ""}, {"query": "x", "passages": 99}])
def test_a_bad_question_is_refused(arguments: dict[str, object], context: Context) -> None:
    refused(replace(context, search=lambda *_: []), "search_knowledge", **arguments)


def test_the_machine_is_told(context: Context) -> None:
    info = ask(context, "system_info")
    assert info["cores"] >= 1
    assert 0 < info["memory_free_mb"] < info["memory_mb"]
    assert 0 < info["disk_free_mb"] < info["disk_mb"]
    assert "torch" in info["packages"]


def test_nothing_tells_whose_machine_it_is(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    told = json.dumps(ask(context, "system_info"))
    for secret in ("hunter2", socket.gethostname(), str(Path.home()), os.getcwd()):
        assert secret not in told
    if len(getpass.getuser()) > 4:
        assert getpass.getuser() not in told
