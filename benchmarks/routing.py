"""How well tasks are routed in English and in Russian, and what it costs.

    .venv/bin/python benchmarks/routing.py

Each part of the labelled tasks, by the rules alone and with what was learned from examples
beside the embedded MiniLM. Of the "development" part both were made: it shows no more than
that.
Intervals (95 %) are percentiles over 2,000 draws of translation groups with
replacement, so that a task and its translation stay together.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from routing_tasks import Score, Task, counts, score, score_of, tasks

from workbench.consilium.examples import Examples
from workbench.consilium.routing import Route, route
from workbench.knowledge import Embedder

Results = list[tuple[Task, Route]]
N_COUNTS = 12
FIGURES: dict[str, Callable[[Score], float]] = {
    "exact sets": lambda s: s.exact,
    "micro-F1": lambda s: s.f1,
    "roles F1": lambda s: s.roles_f1,
    "tools F1": lambda s: s.tools_f1,
    "under-routed": lambda s: s.missing,
    "needed, missing": lambda s: s.missing_choices,
    "chosen, not needed": lambda s: s.false_choices,
    "debate right": lambda s: s.debate,
}
PARTS = {
    "development": ("development",),
    "held-out": ("held-out",),
    "unseen": ("unseen",),
    "held-out and unseen": ("held-out", "unseen"),
}


def by_language(results: Results) -> tuple[Score, Score]:
    """Scores of the English and of the Russian tasks."""
    english = score(r for r in results if r[0].language == "en")
    return english, score(r for r in results if r[0].language == "ru")


def drawn(results: Results, draws: int) -> list[tuple[Score, Score]]:
    """Scores by language of groups drawn with replacement."""
    groups = sorted({task.group for task, _ in results})
    tables = {language: np.zeros((len(groups), N_COUNTS)) for language in ("en", "ru")}
    for task, found in results:
        tables[task.language][groups.index(task.group)] += counts(task, found)
    draw = np.random.default_rng(0)
    weights = draw.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=draws)
    english, russian = (weights @ tables[language] for language in ("en", "ru"))
    return [(score_of(one), score_of(other)) for one, other in zip(english, russian, strict=True)]


def interval(values: Sequence[float]) -> str:
    values = sorted(values)
    low, high = values[int(0.025 * len(values))], values[int(0.975 * len(values))]
    return f"{100 * low:.0f} to {100 * high:.0f}"


def report(name: str, results: Results, draws: int) -> None:
    """One Markdown table: each figure of both languages and English less Russian, in percent."""
    (english, russian), samples = by_language(results), drawn(results, draws)
    print(f"\n{name}: {english.n} English tasks, {russian.n} Russian\n")
    print("| | English | Russian | English - Russian |\n|---|---|---|---|")
    for figure, of in FIGURES.items():
        cells = [
            f"{100 * of(measured):.1f} ({interval([of(sample[k]) for sample in samples])})"
            for k, measured in enumerate((english, russian))
        ]
        gap = 100 * (of(english) - of(russian))
        apart = interval([of(one) - of(other) for one, other in samples])
        print(f"| {figure} | {cells[0]} | {cells[1]} | {gap:+.1f} ({apart}) |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--embedder", type=Path, help="folder of a model instead of MiniLM")
    asked = parser.parse_args()
    chosen = tasks()
    route("")  # compiles the rules
    embedder = Embedder(asked.embedder)
    begun = time.perf_counter()
    learned = Examples(embedder)
    print(f"examples: learned in {time.perf_counter() - begun:.1f} s")
    for way, examples in (("rules", None), ("rules and examples", learned)):
        results, seconds = [], defaultdict(list)
        for task in chosen:
            begun = time.perf_counter()
            results.append((task, route(task.text, examples)))
            seconds[task.language].append(1000 * (time.perf_counter() - begun))
        medians = [f"{statistics.median(seconds[name]):.1f} ms ({name})" for name in seconds]
        print(f"\n{way}: median {', '.join(medians)} a task")
        for part, names in PARTS.items():
            report(f"{way}, {part}", [r for r in results if r[0].part in names], asked.draws)


if __name__ == "__main__":
    main()
