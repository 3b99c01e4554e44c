"""Ratings -> pairs -> leak-free, immutable dataset versions that TRL reads as they are.

preferences = build(candidate_sets, ratings)
dataset = write(preferences, "demo", settings.datasets / "preferences")
dataset.file("train")     # .../demo/VERSION/train.jsonl
"""

from workbench.preferences.audit import Audit, Pair, Share
from workbench.preferences.dataset import Dataset, HashedFile, Manifest, load, write
from workbench.preferences.dedup import Deduplicated, Dropped, deduplicate
from workbench.preferences.pairs import Strategy, build
from workbench.preferences.plots import plot
from workbench.preferences.splits import Fractions, split
from workbench.preferences.text import words

__all__ = [
    "Audit",
    "Dataset",
    "Deduplicated",
    "Dropped",
    "Fractions",
    "HashedFile",
    "Manifest",
    "Pair",
    "Share",
    "Strategy",
    "build",
    "deduplicate",
    "load",
    "plot",
    "split",
    "words",
    "write",
]
