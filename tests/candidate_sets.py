"""Candidate sets made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from workbench.records import (
    CandidateSet,
    Completion,
    Message,
    Prompt,
    Sampling,
    Timing,
    Usage,
)

MakeSet = Callable[..., CandidateSet]


@pytest.fixture(scope="session")
def make_set() -> MakeSet:
    """`make_set(id, *texts)`: a set whose answers are called id-0, id-1, ..."""

    def make(id: str, *texts: str) -> CandidateSet:
        completions = tuple(
            Completion(
                id=f"{id}-{n}",
                text=text,
                token_ids=(),
                finish_reason="stop",
                usage=Usage(1, 1),
                timing=Timing(0.0, 0.0),
                backend="secret-backend",
                model="secret-model",
                sampling=Sampling(),
            )
            for n, text in enumerate(texts)
        )
        return CandidateSet(id, Prompt(id, (Message("user", f"Question {id}?"),), "t"), completions)

    return make
