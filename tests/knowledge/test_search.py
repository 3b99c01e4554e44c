"""The handbook, embedded by the real MiniLM, searched in a real Qdrant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import InputError, ModelError
from workbench.knowledge import Embedder, Store, embeddings, read_documents
from workbench.settings import Settings
from workbench.tracing import Tracer, read

pytestmark = pytest.mark.slow  # loads MiniLM

HANDBOOK = Path(__file__).resolve().parents[2] / "datasets" / "knowledge" / "handbook"

QUESTIONS = [
    ("At what manifold pressure is the fuel cut on the demonstration engine?", "210 kPa"),
    ("Why does boost rise without limit when the actuator hose falls off?", "classic cause"),
    ("What frequency does knock have in an 86 mm bore?", "6 to 7 kHz"),
    ("How many watts is one metric horsepower?", "735.5 W"),
    ("Which battery terminal do I disconnect first?", "negative terminal first"),
    ("Can brake cleaner make poisonous gas when I weld?", "phosgene"),
    ("How tight should an M8 bolt be?", "25 Nm"),
    ("What does it cost to look at the results every day and stop early?", "19 %"),
    ("Is it all right to replace missing values by the average?", "shrinks the spread"),
    ("How much memory does the key-value cache take per token?", "144 KiB"),
    ("How is the strength of a LoRA adapter scaled?", "alpha divided by rank"),
    ("How many Fahrenheit is boiling water?", "212"),
]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


@pytest.fixture(scope="module")
def handbook(embedder):
    with Store(embedder) as store:
        store.put(read_documents(HANDBOOK))
        yield store


@pytest.mark.parametrize(("question", "fact"), QUESTIONS)
def test_the_passage_with_the_fact_is_among_the_first_three(handbook, question, fact):
    hits = handbook.search(question, 3)
    assert any(fact in " ".join(hit.passage.text.split()) for hit in hits), [
        (round(h.score, 2), h.passage.heading) for h in hits
    ]


def test_most_facts_are_in_the_first_passage(handbook):
    first = [
        fact in " ".join(handbook.search(question, 1)[0].passage.text.split())
        for question, fact in QUESTIONS
    ]
    assert sum(first) >= 10


def test_hits_are_ordered_and_point_into_their_source(handbook):
    hits = handbook.search("torque of a bolt", 5)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    for hit in hits:
        lines = (HANDBOOK / hit.passage.source).read_text(encoding="utf-8").split("\n")
        assert lines[hit.passage.line - 1].startswith(hit.passage.text.split("\n")[0])


def test_vectors_have_unit_length_and_meaning(embedder):
    vectors = embedder.embed(["The cat sleeps.", "A kitten is napping.", "Bolt torque in Nm"])
    assert vectors.shape == (3, embedder.dimensions) == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert embedder.embed([]).shape == (0, 384)


def test_putting_twice_changes_nothing(embedder, tmp_path):
    passages = read_documents(HANDBOOK)
    with Store(embedder, tmp_path / "store") as store:
        assert store.put(passages) == len(store) == len(passages)
        assert store.put(passages) == 0
    with Store(embedder, tmp_path / "store") as store:
        assert store.put(passages) == 0
        assert len(store) == len(passages)


def test_a_changed_document_replaces_its_old_text_only(embedder, tmp_path):
    (tmp_path / "a.md").write_text("# Pump\n\nThe pump runs at 40 bar.\n\n# Valve\n\nIt is red.\n")
    (tmp_path / "b.md").write_text("# Fan\n\nThe fan is quiet.\n")
    with Store(embedder) as store:
        store.put(read_documents(tmp_path))
        (tmp_path / "a.md").write_text(
            "# Pump\n\nThe pump runs at 55 bar.\n\n# Valve\n\nIt is red.\n"
        )
        assert store.put(read_documents(tmp_path)) == 1
        texts = {hit.passage.text for hit in store.search("pump pressure", 10)}
    assert texts == {"The pump runs at 55 bar.", "It is red.", "The fan is quiet."}


def test_an_empty_store_finds_nothing(embedder):
    with Store(embedder) as store:
        assert store.put([]) == 0
        assert store.search("anything") == ()


def test_a_store_is_open_in_one_place_at_a_time(embedder, tmp_path):
    with (
        Store(embedder, tmp_path / "store"),
        pytest.raises(InputError, match="Close the other notebook"),
    ):
        Store(embedder, tmp_path / "store")
    with Store(embedder, tmp_path / "store") as again:
        assert len(again) == 0


def test_each_search_is_a_retriever_span(embedder, tmp_path):
    tracer = Tracer(tmp_path / "spans.jsonl", Settings(tmp_path, tmp_path))
    with Store(embedder, tracer=tracer) as store:
        store.put(read_documents(HANDBOOK))
        with tracer.span("agent", "answer") as agent:
            hits = store.search("wastegate", 2)
    span, _ = read(tracer.path)
    assert (span.kind, span.parent_id) == ("retriever", agent.id)
    assert span.input == {"query": "wastegate", "k": 2}
    assert [hit["passage"]["id"] for hit in span.output] == [hit.passage.id for hit in hits]
    assert span.metadata == {"embeddings": embedder.fingerprint}


def test_the_embedded_model_is_pinned(embedder, monkeypatch):
    assert embedder.fingerprint == embeddings.EMBEDDED_SHA256
    monkeypatch.setattr(embeddings, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="Install it again"):
        Embedder()


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="holds no sentence-transformers model"):
        Embedder(tmp_path)


def test_the_room_is_imported_without_its_libraries():
    script = """
import sys
import workbench.knowledge
print({"torch", "sentence_transformers", "qdrant_client", "transformers"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
