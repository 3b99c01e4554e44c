"""Knowledge: documents of a folder, found again by meaning.

store = Store(Embedder(), settings.home / "knowledge", tracer=tracer)
store.put(read_documents(settings.datasets / "knowledge" / "handbook"))
for hit in store.search("How much boost is safe?", 3):
    print(hit.score, hit.passage.source, hit.passage.line)
"""

from __future__ import annotations

from workbench.knowledge.documents import Passage, read_documents
from workbench.knowledge.embeddings import Embedder
from workbench.knowledge.grounding import ground
from workbench.knowledge.searcher import searcher
from workbench.knowledge.store import Hit, Store

__all__ = ["Embedder", "Hit", "Passage", "Store", "ground", "read_documents", "searcher"]
