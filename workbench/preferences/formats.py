"""A dataset version as the files of other trainers, one JSONL a side.

    export(dataset, "kto", "exports/kto")      # exports/kto/train.jsonl, ...

To add a format is a function here and a line in FORMATS. Columns are those of
TRL 1.16, of TRLX 0.7 and of OpenAI's preference fine-tuning. This module knows
nothing about training.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from workbench.errors import InputError
from workbench.journal import write_whole
from workbench.preferences.audit import SPLITS
from workbench.preferences.dataset import Dataset
from workbench.preferences.rows import Row, answer, answer_text, row, transcript, turns
from workbench.preferences.text import answer_key, prompt_key
from workbench.preferences.unpaired import Thumb
from workbench.records import Completion, Preference, Prompt, encode

Format = Literal["dpo", "dpo-text", "kto", "sft", "reward", "ppo", "trlx", "openai"]


def export(dataset: Dataset, format: Format, folder: Path | str) -> tuple[Path, ...]:
    """Write each side that has rows as SIDE.jsonl in `folder`; return the files, train first.

    Sides are those of the dataset. "kto" and "trlx" use its thumbs too. A file of
    that name is replaced, or removed where the side has no rows, so that none of
    another version stay. Raises InputError for an unknown format, for the folder of
    the version itself, and where nothing can be written or removed.
    """
    if format not in get_args(Format):
        raise InputError(
            f"There is no format {format!r}", f"Use one of {', '.join(get_args(Format))}"
        )
    folder = Path(folder)
    if folder.resolve() == dataset.folder.resolve():
        raise InputError(
            f"{folder} is the version itself, which never changes", "Export to another folder"
        )
    files = []
    for split in SPLITS:
        thumbs = tuple(mark.thumb for mark in dataset.marks if mark.split == split)
        rows = FORMATS[format](_Side(dataset.split(split), thumbs))
        file = folder / f"{split}.jsonl"
        if lines := [encode(row) + b"\n" for row in rows]:
            files.append(write_whole(file, b"".join(lines)))
        else:
            _remove(file)
    return tuple(files)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{file} can't be removed ({error.strerror})", "Export to another folder"
        ) from error


@dataclass(frozen=True)
class _Side:
    pairs: tuple[Preference, ...]
    thumbs: tuple[Thumb, ...]


@dataclass(frozen=True)
class _Scored:
    """An answer with what all judgements of it come to, from -1 (bad) to 1 (good)."""

    prompt: Prompt
    completion: Completion
    score: float


def dpo(side: _Side) -> Iterator[Row]:
    """TRL's conversational preference format: that of the version's own files."""
    return (row(pair) for pair in side.pairs)


def dpo_text(side: _Side) -> Iterator[Row]:
    """TRL's standard preference format: prompt, chosen and rejected as plain strings."""
    for pair in side.pairs:
        yield {
            "prompt": transcript(pair.prompt.messages),
            "chosen": answer_text(pair.chosen),
            "rejected": answer_text(pair.rejected),
        }


def kto(side: _Side) -> Iterator[Row]:
    """TRL's unpaired format: each answer once, labelled by the sign of its score."""
    for scored in _scored(side):
        yield {
            "prompt": turns(scored.prompt.messages),
            "completion": [answer(scored.completion)],
            "label": scored.score > 0,
        }


def sft(side: _Side) -> Iterator[Row]:
    """TRL's prompt-completion format: the chosen answers, each once."""
    chosen = {(prompt_key(p.prompt), answer_key(p.chosen)): p for p in side.pairs}
    for pair in chosen.values():
        yield {"prompt": turns(pair.prompt.messages), "completion": [answer(pair.chosen)]}


def reward(side: _Side) -> Iterator[Row]:
    """TRL's format for reward models, the pair's weight as the margin that it should win by.

    The loss is -log sigmoid(r(chosen) - r(rejected) - margin): the more raters
    agreed, the further apart. Source: Touvron et al., "Llama 2" (2023), section 3.2.2.
    """
    return (row(pair) | {"margin": pair.weight} for pair in side.pairs)


def ppo(side: _Side) -> Iterator[Row]:
    """TRL's prompt-only format, each prompt once.

    PPO draws answers of its own; its rewards come from a model trained on "reward".
    """
    prompts = {prompt_key(pair.prompt): pair.prompt for pair in side.pairs}
    return ({"prompt": turns(prompt.messages)} for prompt in prompts.values())


def trlx(side: _Side) -> Iterator[Row]:
    """TRLX's reward-labelled dialogues: columns for `trlx.train(samples=..., rewards=...)`."""
    for scored in _scored(side):
        dialogue = [transcript(scored.prompt.messages), answer_text(scored.completion)]
        yield {"samples": dialogue, "rewards": scored.score}


def openai(side: _Side) -> Iterator[Row]:
    """OpenAI's preference fine-tuning (direct preference optimisation), as documented in 2025."""
    for pair in side.pairs:
        yield {
            "input": {
                "messages": turns(pair.prompt.messages),
                "tools": [],
                "parallel_tool_calls": True,
            },
            "preferred_output": [answer(pair.chosen)],
            "non_preferred_output": [answer(pair.rejected)],
        }


FORMATS: dict[Format, Callable[[_Side], Iterable[Row]]] = {
    "dpo": dpo,
    "dpo-text": dpo_text,
    "kto": kto,
    "sft": sft,
    "reward": reward,
    "ppo": ppo,
    "trlx": trlx,
    "openai": openai,
}


def _scored(side: _Side) -> Iterator[_Scored]:
    """Each answer to a prompt once; those judged as often good as bad are left out.

    The score is the mean over its judgements of their weights, negative where it
    was rejected or got a thumb down.
    """
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    found: dict[tuple[str, str], tuple[Prompt, Completion]] = {}
    for prompt, completion, score in (
        *((pair.prompt, pair.chosen, pair.weight) for pair in side.pairs),
        *((pair.prompt, pair.rejected, -pair.weight) for pair in side.pairs),
        *((t.prompt, t.completion, t.weight if t.up else -t.weight) for t in side.thumbs),
    ):
        key = (prompt_key(prompt), answer_key(completion))
        scores[key].append(score)
        found.setdefault(key, (prompt, completion))
    for key, (prompt, completion) in found.items():
        mean = round(math.fsum(scores[key]) / len(scores[key]), 4)
        if mean:
            yield _Scored(prompt, completion, mean)
