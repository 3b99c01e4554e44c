"""Ratings -> pairs -> leak-free, immutable dataset versions that TRL reads as they are.

preferences = build(candidate_sets, ratings)
dataset = write(preferences, "demo", settings.datasets / "preferences")
dataset.file("train")     # .../demo/VERSION/train.jsonl
export(dataset, "kto", "exports/kto")     # what other trainers read
"""

from workbench.preferences.audit import Audit, Mark, Pair, Personal, Share
from workbench.preferences.dataset import Dataset, load, write
from workbench.preferences.dedup import Deduplicated, Dropped, deduplicate
from workbench.preferences.formats import Format, export
from workbench.preferences.manifest import Manifest
from workbench.preferences.pairs import build
from workbench.preferences.plots import plot
from workbench.preferences.raters import Judgements, Position, judgements
from workbench.preferences.resolve import Resolve, Rule, Strategy
from workbench.preferences.splits import Components, Fractions, connect, split
from workbench.preferences.storage import HashedFile
from workbench.preferences.text import words
from workbench.preferences.unpaired import Thumb, thumbs

__all__ = [
    "Audit",
    "Components",
    "Dataset",
    "Deduplicated",
    "Dropped",
    "Format",
    "Fractions",
    "HashedFile",
    "Judgements",
    "Manifest",
    "Mark",
    "Pair",
    "Personal",
    "Position",
    "Resolve",
    "Rule",
    "Share",
    "Strategy",
    "Thumb",
    "build",
    "connect",
    "deduplicate",
    "export",
    "judgements",
    "load",
    "plot",
    "split",
    "thumbs",
    "words",
    "write",
]
