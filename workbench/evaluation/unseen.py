"""Prompts to judge by: none that the adapter could have learnt from.

Equal topics and equal questions connect prompts, in a chain, as they do in the
split of a dataset (preferences/splits.py). This module knows no near-duplicates.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from workbench.errors import InputError
from workbench.preferences.splits import connections
from workbench.records import Prompt


def held_out(
    prompts: Sequence[Prompt], seen: Iterable[Prompt], n: int, *, seed: int
) -> list[Prompt]:
    """Up to n of `prompts`, drawn by seed, that nothing connects with those `seen`.

    Raises InputError when there is none.
    """
    tainted = {key for prompt in seen for key in connections(prompt)}
    left = list(prompts)
    while reached := [prompt for prompt in left if not tainted.isdisjoint(connections(prompt))]:
        tainted.update(key for prompt in reached for key in connections(prompt))
        left = [prompt for prompt in left if tainted.isdisjoint(connections(prompt))]
    if n < 1 or not left:
        raise InputError(
            f"{n} unseen prompts asked for, and {len(left)} of {len(prompts)} are unseen",
            "Ask for at least one, or add prompts of new topics",
        )
    return random.Random(seed).sample(left, min(n, len(left)))
