"""A search that opens its documents when it is first asked."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.knowledge import searcher
from workbench.settings import Settings
from workbench.tracing import Tracer, read

KNOWLEDGE = Path(__file__).resolve().parents[2] / "datasets" / "knowledge"


def test_without_documents_there_is_no_search(tmp_path):
    (tmp_path / "folder.md").mkdir()
    (tmp_path / ".hidden.md").write_text("text")
    assert searcher(tmp_path) is None
    assert searcher(tmp_path / "missing") is None


def test_a_broken_document_is_told_by_every_search(tmp_path):
    (tmp_path / "broken.md").write_bytes(b"\xff")
    search = searcher(tmp_path)
    for _ in range(2):
        with pytest.raises(InputError, match=r"broken\.md can't be read"):
            search("x", 1)


def test_nothing_is_loaded_before_it_is_asked():
    script = (
        f"import sys\nfrom workbench.knowledge import searcher\nassert searcher({str(KNOWLEDGE)!r})"
        "\nprint({'torch', 'sentence_transformers', 'qdrant_client', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.slow
def test_documents_of_all_folders_are_found_and_the_search_is_a_span(tmp_path):
    settings = Settings(root=tmp_path, home=tmp_path / "home")
    search = searcher(KNOWLEDGE, tracer=Tracer(tmp_path / "spans.jsonl", settings))
    questions = ["How tight should an M8 bolt be?", "How should passwords be stored in a database?"]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda question: search(question, 2), questions))
    assert [hits[0].passage.source for hits in found] == [
        "handbook/fasteners-and-materials.md",
        "security/threats-and-boundaries.md",
    ]
    assert [span.kind for span in read(tmp_path / "spans.jsonl")] == ["retriever"] * 2
