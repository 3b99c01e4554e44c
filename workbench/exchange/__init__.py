"""Ratings out to the tools of others and in from them: Langfuse and Label Studio.

project = exchange.connect(settings)
exchange.deliver(ratings, candidate_sets, project, ledger)        # as scores
exchange.pull_scores(project, filters, candidate_sets, ratings, aside, drawn=sets)
exchange.export_pairs(server, candidate_sets, title="Sky", seed=0)   # as tasks
exchange.pull_annotations(server, project, candidate_sets, ratings, aside, cursor=path)

Whatever comes in is a Rating in the same journal, and what can't be used is set
aside with its reason. Everything here may be repeated, after a kill too: nothing
is sent or counted twice. This room knows nothing about datasets or training.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.exchange.delivery import Delivery, deliver, ledger_beside
    from workbench.exchange.label_studio import config, export_tasks, tasks
    from workbench.exchange.label_studio_files import read_export
    from workbench.exchange.label_studio_project import Server, annotators, export_pairs
    from workbench.exchange.label_studio_pull import pull_annotations, pull_foreign
    from workbench.exchange.label_studio_questions import OurTasks, TheirTasks
    from workbench.exchange.langfuse_datasets import read_prompts, write_preferences, write_prompts
    from workbench.exchange.langfuse_project import connect
    from workbench.exchange.langfuse_pull import pull_scores
    from workbench.exchange.langfuse_records import Filters, local_time
    from workbench.exchange.outbox import Outbox
    from workbench.exchange.scores import Labels, Scale, meanings, scores_of, traces_of

# Deferred, since the servers' own libraries take their time.
_LAZY = {
    "Delivery": "delivery",
    "Filters": "langfuse_records",
    "Labels": "scores",
    "OurTasks": "label_studio_questions",
    "Outbox": "outbox",
    "Scale": "scores",
    "Server": "label_studio_project",
    "TheirTasks": "label_studio_questions",
    "annotators": "label_studio_project",
    "config": "label_studio",
    "connect": "langfuse_project",
    "deliver": "delivery",
    "export_pairs": "label_studio_project",
    "export_tasks": "label_studio",
    "ledger_beside": "delivery",
    "local_time": "langfuse_records",
    "meanings": "scores",
    "pull_annotations": "label_studio_pull",
    "pull_foreign": "label_studio_pull",
    "pull_scores": "langfuse_pull",
    "read_export": "label_studio_files",
    "read_prompts": "langfuse_datasets",
    "scores_of": "scores",
    "tasks": "label_studio",
    "traces_of": "scores",
    "write_preferences": "langfuse_datasets",
    "write_prompts": "langfuse_datasets",
}

__all__ = [
    "Delivery",
    "Filters",
    "Labels",
    "OurTasks",
    "Outbox",
    "Scale",
    "Server",
    "TheirTasks",
    "annotators",
    "config",
    "connect",
    "deliver",
    "export_pairs",
    "export_tasks",
    "ledger_beside",
    "local_time",
    "meanings",
    "pull_annotations",
    "pull_foreign",
    "pull_scores",
    "read_export",
    "read_prompts",
    "scores_of",
    "tasks",
    "traces_of",
    "write_preferences",
    "write_prompts",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
