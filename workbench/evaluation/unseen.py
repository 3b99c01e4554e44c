"""Prompts to judge by: none that the adapter could have learnt from.

What connects prompts in the split of a dataset connects them here, by the same
code (preferences/splits.py): topic, question, nearly the same words, session,
debate and documents, also in a chain.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from workbench.errors import InputError
from workbench.preferences.splits import connect
from workbench.records import Prompt


def held_out(
    prompts: Sequence[Prompt], seen: Iterable[Prompt], n: int, *, seed: int
) -> list[Prompt]:
    """Up to n of `prompts`, drawn by seed, that nothing connects with those `seen`.

    Raises InputError when there is none.
    """
    trained_on = list(seen)
    names = connect([*trained_on, *prompts]).names
    tainted = set(names[: len(trained_on)])
    own = names[len(trained_on) :]
    left = [prompt for prompt, name in zip(prompts, own, strict=True) if name not in tainted]
    if n < 1 or not left:
        raise InputError(
            f"{n} unseen prompts asked for, and {len(left)} of {len(prompts)} are unseen",
            "Ask for at least one, or add prompts of new topics",
        )
    return random.Random(seed).sample(left, min(n, len(left)))
