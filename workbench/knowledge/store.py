"""Passages in Qdrant, found again by the meaning of a query.

The one module that imports qdrant-client. It runs inside this process, on a
folder or in memory, and knows nothing about files or models: passages come in,
an embedder makes their vectors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from workbench.errors import InputError
from workbench.knowledge.documents import Passage
from workbench.knowledge.embeddings import Embedder
from workbench.tracing import Tracer


@dataclass(frozen=True)
class Hit:
    """A passage that was found; `score` is the cosine of query and passage, at most 1."""

    passage: Passage
    score: float


class Store:
    """Passages and their vectors, at `path` (a folder) or in memory where it is None.

    Vectors of different embedding models are kept apart. A folder is open in one
    process at a time: another one raises InputError. With a tracer, every search
    is a `retriever` span. Usable as a context manager.
    """

    def __init__(
        self, embedder: Embedder, path: Path | str | None = None, *, tracer: Tracer | None = None
    ) -> None:
        from qdrant_client import QdrantClient
        from qdrant_client.models import Distance, VectorParams

        self._embedder = embedder
        self._tracer = tracer
        self._collection = f"passages-{embedder.fingerprint[:16]}"
        try:
            self._client = QdrantClient(path=str(path)) if path else QdrantClient(":memory:")
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"The passages at {path} can't be opened: {error}",
                "Close the other notebook that uses them, or give another folder",
            ) from error
        if not self._client.collection_exists(self._collection):
            self._client.create_collection(
                self._collection,
                vectors_config=VectorParams(size=embedder.dimensions, distance=Distance.COSINE),
            )

    def put(self, passages: Sequence[Passage]) -> int:
        """Take in whole documents; how many passages had to be embedded.

        Passages that are there already are left as they are. Others of the same
        sources are forgotten: a document that was changed replaces its old text.
        """
        from qdrant_client.models import PointStruct

        if not passages:
            return 0
        by_id = {str(UUID(passage.id)): passage for passage in passages}
        known = self._client.retrieve(self._collection, list(by_id), with_payload=True)
        same = {str(point.id) for point in known if point.payload == asdict(by_id[str(point.id)])}
        new = {id: passage for id, passage in by_id.items() if id not in same}
        if new:
            vectors = self._embedder.embed([f"{p.heading}\n{p.text}" for p in new.values()])
            points = [
                PointStruct(id=id, vector=vector.tolist(), payload=asdict(passage))
                for (id, passage), vector in zip(new.items(), vectors, strict=True)
            ]
            self._client.upsert(self._collection, points)
        self._forget_others(by_id)
        return len(new)

    def keep(self, sources: Collection[str]) -> None:
        """Forget every document that is not among `sources`."""
        from qdrant_client.models import FieldCondition, Filter, FilterSelector, MatchAny

        named = FieldCondition(key="source", match=MatchAny(any=sorted(sources)))
        self._client.delete(self._collection, FilterSelector(filter=Filter(must_not=[named])))

    def search(self, query: str, k: int = 5) -> tuple[Hit, ...]:
        """The `k` passages nearest to the query, best first."""
        if self._tracer is None:
            return self._nearest(query, k)
        with self._tracer.span("retriever", "search", input={"query": query, "k": k}) as span:
            hits = self._nearest(query, k)
            span.finish(output=hits, metadata={"embeddings": self._embedder.fingerprint})
        return hits

    def __len__(self) -> int:
        return self._client.count(self._collection).count

    def close(self) -> None:
        """Let go of the folder."""
        self._client.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _nearest(self, query: str, k: int) -> tuple[Hit, ...]:
        (vector,) = self._embedder.embed([query])
        found = self._client.query_points(self._collection, vector.tolist(), limit=k).points
        return tuple(Hit(Passage(**(point.payload or {})), point.score) for point in found)

    def _forget_others(self, kept: dict[str, Passage]) -> None:
        """Delete the passages of the same sources that are not in `kept`."""
        from qdrant_client.models import (
            FieldCondition,
            Filter,
            FilterSelector,
            HasIdCondition,
            MatchAny,
        )

        sources = sorted({passage.source for passage in kept.values()})
        stale = Filter(
            must=[FieldCondition(key="source", match=MatchAny(any=sources))],
            must_not=[HasIdCondition(has_id=list(kept))],
        )
        self._client.delete(self._collection, FilterSelector(filter=stale))
