"""The token ids of preference pairs, and one hash over them.

A trainer's tokens must be the tokens that the runtimes will see, so both are made
here, by the project's own tokenizer. The trainer hashes what it really fed the model,
`verify` what the dataset says now, and the two must agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import InputError
from workbench.models import Tokenizer
from workbench.records import Message


@dataclass(frozen=True)
class PairIds:
    """Token ids of one pair: a prompt and two answers, each with its end-of-turn tokens."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


def read_pairs(file: Path, tokenizer: Tokenizer) -> list[PairIds]:
    """The pairs of a dataset's JSONL.

    Rows are conversational: "prompt", "chosen" and "rejected" are lists of role
    and content. Raises InputError for a line that is no such row, and for a chat
    template under which the prompt is not the beginning of prompt and answer:
    it would be trained in a context that it never meets when it is used.
    """
    return [_pair(row, tokenizer) for row in _rows(file)]


def fitting(pairs: Iterable[PairIds], max_length: int) -> list[PairIds]:
    """The pairs of which something is left to learn: prompts shorter than `max_length` tokens."""
    return [pair for pair in pairs if len(pair.prompt) < max_length]


def hash_pairs(pairs: Iterable[PairIds]) -> str:
    """sha256 (hex) over the ids of all pairs, in order."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(msgspec.json.encode(pair) + b"\n")
    return digest.hexdigest()


def _pair(row: Mapping[str, list[Message]], tokenizer: Tokenizer) -> PairIds:
    prompt = tokenizer.prompt_ids(row["prompt"])
    answers = []
    for side in ("chosen", "rejected"):
        turns = [*row["prompt"], *row[side]]
        whole = tokenizer.prompt_ids(turns, add_generation_prompt=False)
        if whole[: len(prompt)] != prompt:
            raise InputError(
                "This model's chat template renders a prompt differently once it is answered",
                "Use a model whose template keeps the prompt as it was",
            )
        answers.append(tuple(whole[len(prompt) :]))
    return PairIds(tuple(prompt), *answers)


def _rows(file: Path) -> Iterator[dict[str, list[Message]]]:
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = msgspec.json.decode(line, type=dict[str, Any])
                yield {
                    side: msgspec.convert(row[side], list[Message])
                    for side in ("prompt", "chosen", "rejected")
                }
            except (msgspec.DecodeError, KeyError) as error:
                raise InputError(
                    f"{file}, line {number} is not a preference pair ({error})",
                    "Make the dataset version again from the ratings",
                ) from None
