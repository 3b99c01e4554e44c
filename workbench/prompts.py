"""The prompt collections of datasets/prompts/, drawn by whole topics.

A topic that was drawn for training is never used to judge, in any language:
that is what keeps a held-out prompt from being a reworded training prompt.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.errors import InputError
from workbench.journal import read
from workbench.records import Prompt


def load(folder: Path, languages: Iterable[str] = ()) -> list[Prompt]:
    """All prompts of a folder's .jsonl files, in those languages (none named: all).

    Raises InputError when nothing is left.
    """
    wanted = {language.strip() for language in languages if language.strip()}
    prompts = [prompt for file in sorted(folder.glob("*.jsonl")) for prompt in read(file, Prompt)]
    chosen = [prompt for prompt in prompts if not wanted or prompt.language in wanted]
    if not chosen:
        found = ", ".join(sorted({prompt.language for prompt in prompts})) or "none"
        raise InputError(
            f"No prompts in {', '.join(sorted(wanted)) or 'any language'} in {folder}",
            f"Languages found there: {found}",
        )
    return chosen


def draw(prompts: Sequence[Prompt], n: int, *, seed: int) -> tuple[list[Prompt], list[Prompt]]:
    """n prompts of topics drawn by seed, and all prompts of the topics that were not drawn.

    The last topic may be cut to reach n; the rest of it is in neither list.
    Raises InputError when n is below 1, and when it is not below the number of
    prompts, since then nothing would be left to judge by.
    """
    if n < 1:
        raise InputError(f"{n} prompts asked for", "Ask for at least one")
    topics = sorted({prompt.topic for prompt in prompts})
    random.Random(seed).shuffle(topics)
    by_topic = {topic: [p for p in prompts if p.topic == topic] for topic in topics}
    drawn: list[Prompt] = []
    while topics and len(drawn) < n:
        drawn += by_topic[topics.pop()]
    held_out = [prompt for topic in sorted(topics) for prompt in by_topic[topic]]
    if len(drawn) < n or not held_out:
        raise InputError(
            f"{n} prompts asked for, of {len(prompts)} in all",
            "Ask for fewer, so that topics are left to judge by, or add prompts",
        )
    return drawn[:n], held_out
