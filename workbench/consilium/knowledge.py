"""What the roles know: a shelf of documents for each, and one that all of them read.

    datasets/knowledge/handbook/      read by all
    datasets/knowledge/security/      read by the role security alone

Each shelf is a store of its own, so that no search of one role finds another's. It knows
nothing about prompts.

The embedded model was trained on English. To a Russian question it finds English passages
hardly ever, and gives Russian ones 0.3 to 0.7 whatever they say: the nearest are shown even
where none has to do with it. Of 14 Russian questions 13 found their passage among three.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.knowledge import Embedder, Hit, Store, read_documents
from workbench.knowledge.documents import document_files
from workbench.tracing import Tracer

SHARED = "handbook"
"""The shelf that all roles read."""

LEAST_SCORE = 0.25
"""Passages below this cosine are not shown. With all-MiniLM-L6-v2 and English, those that have
nothing to do with a question mostly lie below 0.2, those that have above 0.3."""

_READ_OF_QUERY = 2_000


class RoleKnowledge:
    """The shelves below `folder`; their vectors lie below `stores`.

        with RoleKnowledge(settings.datasets / "knowledge", stores, Embedder()) as knowledge:
            knowledge.search("security", "Where do we keep the keys?")

    Documents are read when their shelf is first searched; only what is new or changed is
    embedded, and what was deleted is forgotten. A shelf without documents has no hits.
    Safe to share between threads. A store is open in one process at a time. With a
    tracer, every search is a `retriever` span.
    """

    def __init__(
        self,
        folder: Path | str,
        stores: Path | str,
        embedder: Embedder,
        *,
        tracer: Tracer | None = None,
    ) -> None:
        self._folder, self._stores = Path(folder), Path(stores)
        self._embedder, self._tracer = embedder, tracer
        self._open: dict[str, Store] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> RoleKnowledge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the stores."""
        with self._lock:
            for store in self._open.values():
                store.close()
            self._open.clear()

    def refresh(self, shelf: str) -> int:
        """Read a shelf's documents again; how many passages had to be embedded.

        Raises InputError for a document that is not UTF-8.
        """
        with self._lock:
            return self._refresh(shelf)

    def search(self, shelf: str, query: str, k: int = 3) -> tuple[Hit, ...]:
        """At most `k` passages of a shelf that have to do with the query, best first.

        The first 2,000 characters of the query are read: the model reads fewer still.
        """
        with self._lock:
            if shelf not in self._open:
                self._refresh(shelf)
            store = self._open[shelf]
            hits = store.search(query[:_READ_OF_QUERY], k) if len(store) else ()
        return tuple(hit for hit in hits if hit.score >= LEAST_SCORE)

    def searcher(self, role: str) -> Callable[[str, int], Sequence[Hit]]:
        """A search of what a role may read, its own shelf and the shared one: for its tools."""

        def search(query: str, k: int) -> Sequence[Hit]:
            found = [*self.search(role, query, k), *self.search(SHARED, query, k)]
            return sorted(found, key=lambda hit: -hit.score)[:k]

        return search

    def _refresh(self, shelf: str) -> int:
        folder = self._folder / shelf
        passages = read_documents(folder) if document_files(folder) else []
        if shelf != SHARED:  # a source names one document wherever it is cited
            passages = [replace(p, source=f"{shelf}/{p.source}") for p in passages]
        if shelf not in self._open:
            path = self._stores / shelf
            self._open[shelf] = Store(self._embedder, path, tracer=self._tracer)
        store = self._open[shelf]
        embedded = store.put(passages)
        store.keep({passage.source for passage in passages})
        return embedded
