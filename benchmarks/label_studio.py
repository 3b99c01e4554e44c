"""How fast a real Label Studio takes 5,000 pairs, and 100 new ratings come back.

    python benchmarks/label_studio.py

Starts a server of its own, on SQLite, in a temporary folder; the first time it is
installed into the user's cache. Prints tasks per second and seconds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from examples import candidate_set
from label_studio_server import free_port, migrated

from workbench import services
from workbench.exchange.label_studio_project import export_pairs
from workbench.exchange.label_studio_pull import pull_annotations
from workbench.journal import Journal
from workbench.records import Rating, SetAside

TASKS, NEW = 5_000, 100
WORDS = "word " * 300


def main() -> None:
    """Export twice, pull, annotate some, pull again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = migrated(folder / "home")
        services.up(services.LABEL_STUDIO, settings, port=free_port())
        try:
            measure(folder, services.label_studio(settings))
        finally:
            services.down(services.LABEL_STUDIO, settings)


def measure(folder: Path, server: services.Server) -> None:
    sets = [candidate_set(str(n), f"{WORDS}{n}", f"{n} {WORDS}") for n in range(TASKS)]
    ratings = Journal(folder / "ratings.jsonl", Rating)
    aside = Journal(folder / "aside.jsonl", SetAside)

    start = time.perf_counter()
    project = export_pairs(server, sets, title="benchmark", seed=0).project
    took = time.perf_counter() - start
    print(f"export of {TASKS:,} tasks in batches of 500: {took:.1f} s, {TASKS / took:.0f} tasks/s")

    start = time.perf_counter()
    again = export_pairs(server, sets, title="benchmark", seed=0)
    print(f"the same again: {time.perf_counter() - start:.1f} s, {again.new} new")

    def pulled(what: str) -> None:
        start = time.perf_counter()
        done = pull_annotations(
            server, project, sets, ratings, aside, cursor=folder / "cursor.json"
        )
        seconds = time.perf_counter() - start
        print(f"{what}: {seconds:.1f} s, {done.ratings} ratings, {done.looked_at} tasks read")

    client = server.client()
    tasks = [task.id for task in client.tasks.list(project=project, include="id", page_size=1000)]

    def annotate(some: list[int]) -> None:
        region = {"from_name": "verdict", "to_name": "prompt", "type": "choices"}
        for task in some:
            client.annotations.create(id=task, result=[{**region, "value": {"choices": ["A"]}}])

    pulled("first pull")
    annotate(tasks[:: TASKS // NEW])
    pulled(f"pull of {NEW} new ratings, first after the import")
    annotate(tasks[1 :: TASKS // NEW])
    pulled(f"pull of {NEW} new ratings among {TASKS:,} tasks")
    pulled("pull of nothing new")


if __name__ == "__main__":
    main()
