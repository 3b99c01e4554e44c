"""Where a notebook stands: its settings, its seed, and the files of its run.

    session = workbench.start("03-rank", run_name=run_name, seed=seed)
    session.candidates            # the file that step 02 wrote

Every hand-over of the loop is a file, and this module alone knows which. A run
by `workbench run` has a name and uses its own files only. A notebook that is
opened by hand belongs to the run "notebook": what earlier steps have not made
there is read from datasets/samples/, so that each notebook runs alone.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from workbench import __version__, journal
from workbench.errors import InputError
from workbench.journal import write_whole
from workbench.records import CandidateSet, content_id, decode, encode
from workbench.settings import Settings

R = TypeVar("R")
T = TypeVar("T")
INTERACTIVE = "notebook"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of runs: of folders on any system."""


def check_name(run: str) -> None:
    """Raise InputError unless `run` can name a run."""
    if not _NAME.fullmatch(run):
        raise InputError(
            f"{run!r} can't name a run",
            'Use Latin letters, digits, ".", "-" and "_", a letter or digit first',
        )


@dataclass(frozen=True)
class Session:
    """The place of one notebook in one run. Raises InputError for a run that can't be a folder."""

    notebook: str
    run: str
    seed: int
    settings: Settings

    def __post_init__(self) -> None:
        check_name(self.run)

    @property
    def interactive(self) -> bool:
        """Whether the notebook was opened by hand."""
        return self.run == INTERACTIVE

    @property
    def samples(self) -> Path:
        """Committed inputs for notebooks that run alone."""
        return self.settings.datasets / "samples"

    @property
    def folder(self) -> Path:
        """The run's report: executed notebooks, results, index.html."""
        return self.settings.reports / self.run

    @property
    def spans(self) -> Path:
        """Every model call, tool call and retrieval of the run."""
        return self.settings.datasets / "traces" / self.run / "spans.jsonl"

    @property
    def candidates(self) -> Path:
        """Candidate sets (CandidateSet a line)."""
        return self.settings.datasets / "traces" / self.run / "candidates.jsonl"

    @property
    def ratings(self) -> Path:
        """Judgements (Rating a line)."""
        return self.settings.datasets / "ratings" / f"{self.run}.jsonl"

    @property
    def verdict_ratings(self) -> Path:
        """Judgements of base against adapter (Rating a line); nothing is trained on them."""
        return self.settings.datasets / "ratings" / f"{self.run}.verdict.jsonl"

    @property
    def aside(self) -> Path:
        """What came in by any door and can't be used (SetAside a line)."""
        return self.settings.datasets / "ratings" / f"{self.run}.aside.jsonl"

    def label_studio(self, project: int) -> Path:
        """How far the annotations of a project in Label Studio have been taken over."""
        return self.settings.datasets / "ratings" / f"{self.run}.label-studio-{project}.json"

    @property
    def pulled(self) -> Path:
        """Answers that came from elsewhere with their judgements (CandidateSet a line)."""
        return self.settings.datasets / "traces" / self.run / "pulled.jsonl"

    @property
    def agents(self) -> Path:
        """Folder of what agents keep: checkpoints, approvals, the files of their tools."""
        return self.settings.datasets / "traces" / self.run / "agents"

    @property
    def agent_sets(self) -> Path:
        """Whole runs of agents as candidates (CandidateSet a line)."""
        return self.settings.datasets / "traces" / self.run / "agents.jsonl"

    def own_sets(self) -> list[CandidateSet]:
        """What people are asked about: sets drawn here, and those made of agents' runs."""
        made = {s.id: s for s in journal.Journal(self.agent_sets, CandidateSet)}
        return [*self.drawn(), *made.values()]

    def judged_sets(self) -> list[CandidateSet]:
        """What the ratings of this run may speak of: its own sets and those pulled.

        A pulled set that has gained an answer was written again: its last line counts.
        """
        pulled = {s.id: s for s in journal.Journal(self.pulled, CandidateSet)}
        return [*self.own_sets(), *pulled.values()]

    def drawn(self) -> list[CandidateSet]:
        """The candidate sets that step 02 chose last, in its order.

        The journal may hold more: of other parameters, or of a draw that was stopped.
        """
        sets = {s.id: s for s in journal.read(self.given(self.candidates), CandidateSet)}
        ids = self.recall("draw", list[str])
        if missing := [id for id in ids if id not in sets]:
            raise InputError(
                f"{self.relative(self.candidates)} lacks {len(missing)} of {len(ids)} sets",
                "Run notebook 02 to its end",
            )
        return [sets[id] for id in ids]

    def dataset_folder(self, version: str = "") -> Path:
        """A version of this run's preference dataset; by default the one step 04 made last."""
        version = version or self.recall("dataset", dict[str, Any])["version"]
        return self.given(self.settings.datasets / "preferences" / self.run / version)

    def generation_folder(self) -> Path:
        """The generation of this run's adapter that step 06 admitted last."""
        name = self.recall("adapter", dict[str, Any])["generation"].rpartition("/")[2]
        return self.given(self.settings.adapters / self.run / name)

    def training_folder(self, *inputs: object) -> Path:
        """Where an adapter is trained from `inputs` (records): other inputs, another folder."""
        return self.folder / "training" / content_id(*inputs, length=12)

    def name_of(self, *inputs: object) -> str:
        """Name of what this notebook makes of `inputs` (records): by it a killed run goes on.

        Another run, seed or served model makes another name.
        """
        return content_id(self.notebook, self.run, self.seed, self.settings.serving, *inputs)

    def given(self, path: Path) -> Path:
        """`path`, or its sample when this is a notebook opened by hand and the file isn't there.

        Raises InputError where neither exists.
        """
        if path.exists():
            return path
        if self.interactive:
            sample = self.samples / _sample_name(self, path)
            if sample.exists():
                return sample
        raise InputError(
            f"{self.relative(path)} is not there", "Run the notebooks before this one first"
        )

    def relative(self, path: Path | str) -> str:
        """A path as shown in reports: relative to the project where it lies inside."""
        path = Path(path)
        return (
            str(path.relative_to(self.settings.root))
            if path.is_relative_to(self.settings.root)
            else path.name
        )

    def progress(self, items: Sequence[T], what: str, lines: int = 6) -> Iterator[T]:
        """Go through `items`, saying about `lines` times on stderr how many are done."""
        every = max(1, -(-len(items) // lines))
        for number, item in enumerate(items, start=1):
            yield item
            if number % every == 0 or number == len(items):
                self.say(f"{number} of {len(items)} {what}")

    @staticmethod
    def say(text: str) -> None:
        """A line of progress, on stderr: for whoever waits, and not for the report."""
        print(text, file=sys.stderr, flush=True)

    def record(self, name: str, result: object) -> None:
        """Keep a result (a frozen record) of this run for later steps and the report.

        It gives nothing back, which a notebook would show: a path of this machine.
        """
        write_whole(self.folder / "results" / f"{name}.json", encode(result))

    def recall(self, name: str, type: type[R]) -> R:
        """A result that an earlier step recorded. Raises InputError where there is none."""
        path = self.given(self.folder / "results" / f"{name}.json")
        try:
            return decode(path.read_bytes(), type)
        except ValueError as error:
            raise InputError(
                f"{self.relative(path)} is not a {type.__name__}: {error}",
                "Run the step that writes it again",
            ) from None


def start(
    notebook: str,
    *,
    run_name: str = "",
    seed: int = 0,
    model_path: str = "",
    runtime_backend: str = "",
) -> Session:
    """Begin a notebook: read the settings, seed Python, and print what is in use.

    An empty `model_path` or `runtime_backend` leaves the setting as it is.
    """
    changes = {
        name: value
        for name, value in (("model_path", model_path), ("runtime_backend", runtime_backend))
        if value
    }
    settings = Settings.load().with_(**changes)
    random.seed(seed)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    session = Session(notebook, run_name or INTERACTIVE, seed, settings)
    print(
        f"workbench {__version__} | Python {sys.version.split()[0]} | run {session.run} | "
        f"seed {seed} | {settings.runtime_backend} | {settings.model_path}"
    )
    return session


def _sample_name(session: Session, path: Path) -> str:
    """The name under datasets/samples/ of a file of a run."""
    if path == session.ratings:
        return "ratings.jsonl"
    for folder, sample in (
        (session.settings.datasets / "preferences" / session.run, "preferences"),
        (session.settings.adapters / session.run, "adapter"),
        (session.folder, ""),
    ):
        if path.is_relative_to(folder):
            return str(Path(sample) / path.relative_to(folder))
    return path.name
