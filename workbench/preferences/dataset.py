"""Immutable dataset versions: datasets/preferences/NAME/VERSION/.

    train.jsonl, validation.jsonl, test.jsonl   what a trainer reads (TRL's conversational
                                                preference format); an empty side has no file,
                                                since `datasets` refuses empty ones
    pairs.jsonl                                 the same pairs with all that led to them
    manifest.json                               counts, raters, seed, sources, hashes

The version is a hash of what is trained on, on which side, and who judged it:
the same judgements give the same version, in whatever order they come and
however long the answers took to write. A version is written beside its place
and renamed, so that it is there whole or not at all. The hashes find
accidental changes; they are not a boundary against someone who recomputes them.
This module knows nothing about ratings or training.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from workbench import journal
from workbench.errors import InputError
from workbench.preferences.audit import SPLITS, Audit, Pair, audit
from workbench.preferences.dedup import deduplicate
from workbench.preferences.pairs import Strategy
from workbench.preferences.rows import row
from workbench.preferences.splits import Fractions, split
from workbench.records import (
    Preference,
    Split,
    content_id,
    decode,
    encode,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PARTIAL = ".partial-"


@dataclass(frozen=True)
class HashedFile:
    """A file's name, without its folder, and the sha256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a version is and where it came from.

    `sources` are the journals that were read; `strategy` is the one given to
    `build`, where known. `checksum` covers every other field.
    """

    name: str
    version: str
    fractions: Fractions
    seed: int
    strategy: Strategy | None
    sources: tuple[HashedFile, ...]
    files: tuple[HashedFile, ...]
    audit: Audit
    checksum: str = ""


@dataclass(frozen=True)
class Dataset:
    """One version, read and verified. Each split is a tuple of Preference."""

    folder: Path
    manifest: Manifest
    pairs: tuple[Pair, ...]

    @property
    def name(self) -> str:
        """Name of the dataset, the same for all its versions."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Hash of the content."""
        return self.manifest.version

    @property
    def train(self) -> tuple[Preference, ...]:
        """Pairs to train on."""
        return self.split("train")

    @property
    def validation(self) -> tuple[Preference, ...]:
        """Pairs to choose settings by."""
        return self.split("validation")

    @property
    def test(self) -> tuple[Preference, ...]:
        """Pairs to look at once, at the end."""
        return self.split("test")

    def split(self, side: Split) -> tuple[Preference, ...]:
        """Pairs of one side, in the order of its file; may be empty."""
        return tuple(pair.preference for pair in self.pairs if pair.split == side)

    def file(self, side: Split) -> Path:
        """The JSONL of one side. Raises InputError for an empty one, which has no file."""
        if not self.split(side):
            raise InputError(
                f"Dataset {self.name} {self.version} has no {side} pairs",
                f"Go without them, or write it with more topics or a larger {side} fraction",
            )
        return self.folder / f"{side}.jsonl"


def write(
    preferences: Iterable[Preference],
    name: str,
    root: Path | str,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    strategy: Strategy | None = None,
    sources: Sequence[Path | str] = (),
) -> Dataset:
    """Deduplicate, split and write a version under `root`/`name`/; return it as read back.

    `validation` and `test` are the expected shares of topics held out, `sources`
    the journals of candidates and ratings to be named with their hashes. Content
    that has been written before gives its old version, unchanged. Raises
    InputError when there is nothing to train on, when a source is missing, when
    the folder can't be written, and when the version is there but was altered.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} can't name a dataset", "Use letters, digits, dots, dashes and underscores"
        )
    fractions = Fractions(float(validation), float(test))
    deduplicated = deduplicate(preferences)
    pairs = _arranged(deduplicated.kept, fractions, seed)
    if not any(pair.split == "train" for pair in pairs):
        raise InputError(
            f"Dataset {name} would have no pairs to train on ({len(pairs)} on other sides)",
            "Rate more candidate sets, on more topics, or hold out smaller fractions",
        )
    manifest = Manifest(
        name=name,
        version=_version(pairs),
        fractions=fractions,
        seed=seed,
        strategy=strategy,
        sources=tuple(_hashed(Path(source)) for source in sources),
        files=(),
        audit=audit(pairs, deduplicated.dropped),
    )
    return load(_put(Path(root) / name, manifest, pairs))


def load(folder: Path | str) -> Dataset:
    """Read a version and verify it. Raises InputError naming the file that was altered."""
    folder = Path(folder)
    try:
        manifest = decode((folder / "manifest.json").read_bytes(), Manifest)
    except OSError as error:
        raise InputError(
            f"{folder} is not a dataset version (manifest.json: {error.strerror})",
            "Name a folder NAME/VERSION that `preferences.write` made",
        ) from error
    except ValueError as error:
        raise _altered(folder / "manifest.json", str(error)) from None
    if manifest.checksum != _checksum(manifest):
        raise _altered(folder / "manifest.json")
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or _hashed(path) != file:
            raise _altered(path)
    pairs = tuple(journal.read(folder / "pairs.jsonl", Pair))
    if manifest.version != _version(pairs):
        raise _altered(folder / "pairs.jsonl")
    return Dataset(folder, manifest, pairs)


def _arranged(
    preferences: Sequence[Preference], fractions: Fractions, seed: int
) -> tuple[Pair, ...]:
    """Pairs in an order that depends on their content alone."""
    sides = split([preference.prompt for preference in preferences], fractions, seed=seed)
    pairs = [Pair(side, preference) for side, preference in zip(sides, preferences, strict=True)]
    return tuple(sorted(pairs, key=lambda pair: (_digest(pair), pair.preference.id)))


def _digest(pair: Pair) -> str:
    return content_id(pair.split, row(pair.preference), pair.preference.raters, length=64)


def _version(pairs: Sequence[Pair]) -> str:
    return content_id(sorted(_digest(pair) for pair in pairs))


def _checksum(manifest: Manifest) -> str:
    return content_id(replace(manifest, checksum=""), length=64)


def _put(parent: Path, manifest: Manifest, pairs: Sequence[Pair]) -> Path:
    """Write a version in a folder of its own, then give it its name."""
    from filelock import FileLock

    target = parent / manifest.version
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with FileLock(parent / ".lock"):
            for left_by_a_kill in parent.glob(f"{_PARTIAL}*"):
                shutil.rmtree(left_by_a_kill)
            if not target.exists():
                partial = parent / f"{_PARTIAL}{manifest.version}"
                try:
                    partial.mkdir()
                    _fill(partial, manifest, pairs)
                    os.rename(partial, target)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
                _sync(parent)
    except OSError as error:
        raise InputError(
            f"{target} can't be written ({error.strerror})",
            "Free some space or allow writing there, then repeat",
        ) from error
    return target


def _fill(folder: Path, manifest: Manifest, pairs: Sequence[Pair]) -> None:
    contents = {"pairs.jsonl": [encode(pair) for pair in pairs]}
    for side in SPLITS:
        lines = [encode(row(pair.preference)) for pair in pairs if pair.split == side]
        if lines:
            contents[f"{side}.jsonl"] = lines
    for name, lines in contents.items():
        _write(folder / name, b"".join(line + b"\n" for line in lines))
    manifest = replace(manifest, files=tuple(_hashed(folder / name) for name in sorted(contents)))
    manifest = replace(manifest, checksum=_checksum(manifest))
    _write(folder / "manifest.json", msgspec.json.format(encode(manifest), indent=2) + b"\n")
    _sync(folder)


def _hashed(path: Path) -> HashedFile:
    try:
        with open(path, "rb") as file:
            return HashedFile(path.name, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror})", "Check the path, or run the step before"
        ) from error


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make the names in a folder durable, as fsync does for a file's content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _altered(path: Path, how: str = "") -> InputError:
    detail = f": {how}" if how else ""
    return InputError(
        f"{path} is not as it was written{detail}",
        "Restore that file, or remove the version's folder and write it again from the ratings",
    )
