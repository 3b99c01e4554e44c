"""A search of documents that are opened when it is first asked: for programs that may never ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.knowledge.documents import document_files, read_documents
from workbench.knowledge.embeddings import Embedder
from workbench.knowledge.store import Hit, Store
from workbench.tracing import Tracer


def searcher(
    folder: Path | str, *, tracer: Tracer | None = None
) -> Callable[[str, int], Sequence[Hit]] | None:
    """A search (query, how many) of the documents below `folder`; None where there are none.

    They are read and embedded by the first search, and kept in memory: several programs may
    search one folder. Safe to share between threads. Raises InputError, when it is called,
    for a document that is not UTF-8. With a tracer, every search is a `retriever` span.
    """
    folder = Path(folder)
    if not document_files(folder):
        return None
    lock = threading.Lock()
    opened: list[Store] = []

    def search(query: str, k: int) -> Sequence[Hit]:
        with lock:
            if not opened:
                passages = read_documents(folder)
                store = Store(Embedder(), tracer=tracer)
                store.put(passages)
                opened.append(store)
            return opened[0].search(query, k)

    return search
