"""What a dataset version is and where it came from, beside its pairs.

This module knows nothing about folders; reading and writing are in dataset.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.preferences.audit import Audit
from workbench.preferences.resolve import Rule
from workbench.preferences.splits import Fractions
from workbench.preferences.storage import HashedFile
from workbench.records import content_id

LAYOUT = 3
"""Of the files of a version. Others are refused: nothing is guessed about old data."""


@dataclass(frozen=True)
class Manifest:
    """What a version is.

    `sources` are the journals that were read; `rule` is how `build` took pairs and
    resolved conflicts, where known. `near` is the similarity of near-duplicates
    that were left out, `same_words` that of questions kept on one side. `agreement`
    says in words how far raters agreed, "" where it was not measured; `licence` is
    what the owner gave. `checksum` covers every other field.

    `audit` and `sources` are those of the first time that the version was written:
    its name does not cover them.
    """

    name: str
    version: str
    fractions: Fractions
    seed: int
    rule: Rule
    near: float
    same_words: float
    require_consent: bool
    agreement: str
    licence: str
    sources: tuple[HashedFile, ...]
    files: tuple[HashedFile, ...]
    audit: Audit
    checksum: str = ""
    layout: int = LAYOUT

    @property
    def settings(self) -> tuple[object, ...]:
        """How the version was made, as far as it is stated here; its name covers all of it."""
        return (
            self.rule,
            self.near,
            self.same_words,
            self.require_consent,
            self.agreement,
            self.licence,
            self.fractions,
            self.seed,
        )

    @property
    def computed_checksum(self) -> str:
        """What `checksum` is when nothing was altered."""
        return content_id(replace(self, checksum=""), length=64)
