"""Outcomes and ratings of raters whose accuracy is known, since it was planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from examples import candidate_set, rating

from workbench.raters.outcomes import Outcome, Outcomes, Pair
from workbench.records import CandidateSet, Rating


def outcomes_of(
    accuracy: Mapping[str, float],
    *,
    pairs: int,
    seed: int,
    per_set: int = 1,
    missing: float = 0.0,
    ties: float = 0.0,
) -> Outcomes:
    """Each rater names the truly better answer with their own probability, independently."""
    random = np.random.default_rng(seed)
    said: dict[Pair, dict[str, Outcome]] = {}
    for i in range(pairs):
        truth = random.random() < 0.5
        row: dict[str, Outcome] = {}
        for rater, right in accuracy.items():
            if random.random() < missing:
                continue
            if random.random() < ties:
                row[rater] = "tie"
            else:
                row[rater] = "first" if (random.random() < right) == truth else "second"
        said[Pair(f"set {i // per_set}", f"a{i}", f"b{i}")] = row
    return said


def journal_of(
    accuracy: Mapping[str, float], *, pairs: int, seed: int
) -> tuple[list[Rating], list[CandidateSet]]:
    """Pairwise ratings of such raters as a journal has them: doubled lines in any order.

    Each rater says the opposite first in a tenth of the pairs and changes their mind,
    takes back the opposite of another tenth, gives one rating that fits no answer, and
    repeats every tenth pair with the same result. Answer a is always the better one.
    """
    random = np.random.default_rng(seed)
    sets = [candidate_set(f"s{n}", "good", "bad") for n in range(pairs)]
    journal: list[Rating] = []
    for rater, right in accuracy.items():
        for n in range(pairs):
            said = "a>b" if random.random() < right else "b>a"

            def judged(said: str, hour: int, set_id: str = f"s{n}", rater: str = rater) -> Rating:
                shown = "ab" if random.random() < 0.5 else "ba"
                at = f"2026-01-01T{hour:02}:00:00Z"
                return rating(set_id, said, kind="pairwise", shown=shown, rater=rater, at=at)

            now = judged(said, 12)
            journal.append(now)
            if n % 10 == 0:
                journal.append(judged(said[::-1], 11))
            elif n % 10 == 1:
                wrong = judged(said[::-1], 13)
                at = "2026-01-01T14:00:00Z"
                undo = rating(f"s{n}", kind="undo", undoes=wrong.id, rater=rater, at=at)
                journal += [wrong, undo]
            elif n % 10 == 2:
                repeat = judged(said, 15)
                journal.append(replace(repeat, repeats=now.id))
        journal.append(rating("elsewhere", "a>b", rater=rater))
    doubled = [*journal, *(line for line in journal if line.candidate_set != "elsewhere")]
    return [doubled[i] for i in random.permutation(len(doubled))], sets
