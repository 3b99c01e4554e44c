"""Immutable dataset versions: datasets/preferences/NAME/VERSION/.

    train.jsonl, validation.jsonl, test.jsonl   what a trainer reads (TRL's conversational
                                                preference format); an empty side has no file,
                                                since `datasets` refuses empty ones
    pairs.jsonl                                 the same pairs with all that led to them
    thumbs.jsonl                                answers judged alone, where there are any
    README.md                                   the data card, for people
    manifest.json                               counts, raters, rules, seed, sources, hashes

The version is a hash of the pairs and thumbs (texts, side, ratings, raters, weight)
and of the settings that the manifest states: the same judgements by the same rules
give the same version, in whatever order they come and however long the answers took
to write. Journals only grow, so that their hashes don't change it, nor do the
audit's counts of what was left out; both are those of the first writing. A version
is there whole or not at all (storage.py). This module knows nothing about ratings or
training.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from workbench import journal
from workbench.errors import InputError
from workbench.preferences.audit import SPLITS, Mark, Pair, audit
from workbench.preferences.card import card
from workbench.preferences.dedup import NEAR, deduplicate
from workbench.preferences.manifest import LAYOUT, Manifest
from workbench.preferences.raters import Judgements
from workbench.preferences.resolve import MARGIN, Resolve, Rule, Strategy
from workbench.preferences.rows import answer, row, turns
from workbench.preferences.splits import SAME_WORDS, Components, Fractions, connect
from workbench.preferences.storage import hashed, put
from workbench.preferences.storage import write as write_file
from workbench.preferences.unpaired import Thumb
from workbench.records import Preference, Prompt, Split, content_id, decode, encode

T = TypeVar("T", Pair, Mark)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Dataset:
    """One version, read and verified. Each split is a tuple of Preference.

    `marks` are thumbs with their sides; a version may have none.
    """

    folder: Path
    manifest: Manifest
    pairs: tuple[Pair, ...]
    marks: tuple[Mark, ...] = ()

    @property
    def name(self) -> str:
        """Name of the dataset, the same for all its versions."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Hash of the content and of how it was made."""
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
    near: float = NEAR,
    require_consent: bool = False,
    thumbs: Iterable[Thumb] = (),
    judgements: Judgements | None = None,
    strategy: Strategy | None = None,
    resolve: Resolve | None = None,
    margin: float | None = None,
    trust: Mapping[str, float] | None = None,
    agreement: str = "",
    licence: str = "",
    sources: Sequence[Path | str] = (),
) -> Dataset:
    """Deduplicate, split and write a version under `root`/`name`/; return it as read back.

    `validation` and `test` are the expected shares of components held out (see
    splits.connect), `near` the similarity of near-duplicates that are left out (see
    deduplicate). Prompts whose author refused training are always left out, with
    `require_consent` also those whose author was not asked.

    The rest is told in manifest and card: `judgements` (of `preferences.judgements`)
    what led to the pairs; `strategy`, `resolve`, `margin` and `trust` as given to
    `build`, where known; `agreement` of the raters in words, as measured elsewhere;
    `licence` by its Hugging Face name; `sources`, the journals of candidates and
    ratings, with their hashes.

    What has been written before, with the same settings, gives its old version,
    unchanged. Raises
    InputError when there is nothing to train on, when a source is missing, when
    the folder can't be written, and when the version is there but was altered.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} can't name a dataset", "Use letters, digits, dots, dashes and underscores"
        )
    fractions = Fractions(float(validation), float(test))
    if resolve == "bradley-terry" and margin is None:
        margin = MARGIN
    rule = Rule(strategy, resolve, margin, dict(trust or {}))
    given = list(preferences)
    allowed = [p for p in given if _may_train(p.prompt, require_consent)]
    refused = sum(p.prompt.origin.consent == "refused" for p in given)
    result = deduplicate(allowed, near=near)
    dropped = replace(
        result.dropped, refused=refused, not_asked=len(given) - len(allowed) - refused
    )
    kept_thumbs = [thumb for thumb in thumbs if _may_train(thumb.prompt, require_consent)]
    said: list[Preference | Thumb] = [*result.kept, *kept_thumbs]
    # A duplicate that is left out still connects: its session also saw the pair that stays.
    components = connect([one.prompt for one in (*said, *allowed)])
    sides = components.sides(fractions, seed)
    pairs = _arranged(map(Pair, sides, result.kept))
    marks = _arranged(map(Mark, sides[len(pairs) : len(said)], kept_thumbs))
    if not any(pair.split == "train" for pair in pairs):
        raise InputError(
            f"Dataset {name} would have no pairs to train on ({len(pairs)} on other sides)",
            "Rate more candidate sets, on more topics, or hold out smaller fractions",
        )
    manifest = Manifest(
        name=name,
        version="",
        fractions=fractions,
        seed=seed,
        rule=rule,
        near=near,
        same_words=SAME_WORDS,
        require_consent=require_consent,
        agreement=agreement,
        licence=licence,
        sources=tuple(hashed(Path(source)) for source in sources),
        files=(),
        audit=audit(
            pairs,
            dropped,
            Components(components.names[: len(pairs)]),
            marks=marks,
            judgements=judgements,
        ),
    )
    manifest = decode(encode(manifest), Manifest)  # as it is read back: a 1 as 1.0
    manifest = replace(manifest, version=_version(manifest, pairs, marks))
    target = Path(root) / name / manifest.version
    return load(put(target, lambda folder: _fill(folder, manifest, pairs, marks)))


def load(folder: Path | str) -> Dataset:
    """Read a version and verify it. Raises InputError naming the file that was altered.

    A version in the layout of another Workbench is an error too: it was split and
    hashed by other rules.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    if manifest.checksum != manifest.computed_checksum:
        raise _altered(folder / "manifest.json")
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or hashed(path) != file:
            raise _altered(path)
    pairs = tuple(journal.read(folder / "pairs.jsonl", Pair))
    thumbs = folder / _THUMBS
    has_thumbs = any(file.name == _THUMBS for file in manifest.files)
    marks = tuple(journal.read(thumbs, Mark)) if has_thumbs else ()
    if manifest.version != _version(manifest, pairs, marks):
        raise _altered(folder / "pairs.jsonl")
    return Dataset(folder, manifest, pairs, marks)


_THUMBS = "thumbs.jsonl"


class _Layout(msgspec.Struct):
    layout: int = 1


def _manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{folder} is not a dataset version (manifest.json: {error.strerror})",
            "Name a folder NAME/VERSION that `preferences.write` made",
        ) from error
    try:
        layout = decode(data, _Layout).layout
        if layout != LAYOUT:
            raise InputError(
                f"{folder} is of layout {layout}, and this Workbench reads layout {LAYOUT}",
                "Write the version again from its ratings",
            )
        return decode(data, Manifest)
    except ValueError as error:
        raise _altered(path, str(error)) from None


def _may_train(prompt: Prompt, require_consent: bool) -> bool:
    consent = prompt.origin.consent
    return consent == "given" or (consent == "" and not require_consent)


def _arranged(items: Iterable[T]) -> tuple[T, ...]:
    """Pairs or marks in an order that depends on their content alone."""
    return tuple(sorted(items, key=_order))


def _order(item: Pair | Mark) -> tuple[str, str]:
    return _digest(item), (item.preference if isinstance(item, Pair) else item.thumb).id


def _digest(item: Pair | Mark) -> str:
    if isinstance(item, Pair):
        pair = item.preference
        return content_id(item.split, row(pair), pair.raters, pair.weight, length=64)
    thumb = item.thumb
    said = (turns(thumb.prompt.messages), answer(thumb.completion), thumb.up)
    return content_id(item.split, said, thumb.raters, thumb.weight, length=64)


def _version(manifest: Manifest, pairs: Sequence[Pair], marks: Sequence[Mark]) -> str:
    of_pairs = sorted((_digest(pair), pair.preference.ratings) for pair in pairs)
    of_marks = sorted((_digest(mark), mark.thumb.ratings) for mark in marks)
    return content_id(manifest.settings, of_pairs, of_marks)


def _fill(folder: Path, manifest: Manifest, pairs: Sequence[Pair], marks: Sequence[Mark]) -> None:
    """Write every file of a version, the manifest last."""
    contents: dict[str, Iterable[bytes]] = {"pairs.jsonl": map(encode, pairs)}
    if marks:
        contents[_THUMBS] = map(encode, marks)
    for side in SPLITS:
        lines = [encode(row(pair.preference)) for pair in pairs if pair.split == side]
        if lines:
            contents[f"{side}.jsonl"] = lines
    files = [
        write_file(folder / name, b"".join(line + b"\n" for line in lines))
        for name, lines in sorted(contents.items())
    ]
    files.append(write_file(folder / "README.md", card(manifest).encode()))
    manifest = replace(manifest, files=tuple(files))
    manifest = replace(manifest, checksum=manifest.computed_checksum)
    write_file(folder / "manifest.json", msgspec.json.format(encode(manifest), indent=2) + b"\n")


def _altered(path: Path, how: str = "") -> InputError:
    detail = f": {how}" if how else ""
    return InputError(
        f"{path} is not as it was written{detail}",
        "Restore that file, or remove the version's folder and write it again from the ratings",
    )
