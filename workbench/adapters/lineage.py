"""Where an adapter came from, as hashes that can be computed again.

A `Lineage` is taken when an adapter is made; `verify` computes every hash anew,
link by link, and names the first one that broke. Journals only grow, so a
journal's link covers the bytes it had then: what was appended later breaks
nothing, what was changed does.

It proves that the recorded inputs are still the same files; it can't prove
that the recorded training really took place with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import models
from workbench.adapters.files import sha256_code, sha256_file, sha256_folder
from workbench.adapters.tokens import fitting, hash_pairs, read_pairs
from workbench.errors import AdapterError, InputError, WorkbenchError

LOCK_FILE = "constraints.txt"


@dataclass(frozen=True)
class Source:
    """A file or folder of the project, and its sha256 (hex).

    `path` is relative to the project's folder where it lies in it. Of a file,
    the first `size` bytes are meant; a folder has no size.
    """

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True)
class Lineage:
    """What made an adapter. Hashes are sha256 in hex.

    `base_source` is the model as it was asked for and `base` the fingerprint of
    its weights; `tokenizer` is the fingerprint of tokenizer and chat template.
    `token_ids` is `tokens.hash_pairs` of the pairs it was trained on, which are
    those of `dataset`'s train split whose prompt is shorter than `max_length`
    tokens. `options` are the trainer's, by name; they include its seed.
    """

    base_source: str
    base: str
    tokenizer: str
    dataset: Source
    token_ids: str
    max_length: int
    ratings: tuple[Source, ...]
    traces: tuple[Source, ...]
    code: str
    lock: Source
    seed: int
    options: Mapping[str, Any]


def take(
    base: models.Model,
    *,
    root: Path,
    home: Path,
    dataset: Path,
    token_ids: str,
    options: Mapping[str, Any],
    trained_on: str = "",
    ratings: Iterable[Path] = (),
    traces: Iterable[Path] = (),
) -> Lineage:
    """The lineage of an adapter that was trained.

        lineage.take(model, root=settings.root, home=settings.home, dataset=dataset.folder,
                     token_ids=training.token_ids_sha256,
                     options=dataclasses.asdict(training.options), ratings=[journal.path])

    `dataset` is the folder of a dataset version; `options` holds at least
    `seed` and `max_length`. `trained_on` is the fingerprint of the base while it was
    trained, where that is known. Raises InputError for a missing file, AdapterError
    when the base is another one now.
    """
    if trained_on not in ("", base.fingerprint):
        raise AdapterError(
            f"The adapter was trained on another base than {base.name}",
            "Set back the model that it was trained on, or train again",
        )
    return Lineage(
        base_source=base.source,
        base=base.fingerprint,
        tokenizer=models.tokenizer(base, home).fingerprint,
        dataset=_source(dataset, root),
        token_ids=token_ids,
        max_length=options["max_length"],
        ratings=tuple(_source(path, root) for path in ratings),
        traces=tuple(_source(path, root) for path in traces),
        code=sha256_code(),
        lock=_source(root / LOCK_FILE, root),
        seed=options["seed"],
        options=dict(options),
    )


def verify_lineage(lineage: Lineage, root: Path, home: Path) -> tuple[str, ...]:
    """Compute every hash again; returns the names of the links, in the order of checking.

    Raises AdapterError that names the first link that broke and its remedy.
    """
    checked = []
    for name, check in _LINKS.items():
        try:
            broken = check(lineage, root, home)
        except WorkbenchError as error:
            broken = error.fact
        if broken:
            raise AdapterError(f"The link {name!r} is broken: {broken}", _REMEDIES[name])
        checked.append(name)
    return tuple(checked)


def _check_base(lineage: Lineage, root: Path, home: Path) -> str | None:
    found = models.find(lineage.base_source, home).fingerprint
    return None if found == lineage.base else f"{lineage.base_source} has other weights now"


def _check_tokenizer(lineage: Lineage, root: Path, home: Path) -> str | None:
    found = _tokenizer(lineage, home).fingerprint
    return None if found == lineage.tokenizer else "its tokenizer or chat template changed"


def _check_dataset(lineage: Lineage, root: Path, home: Path) -> str | None:
    return _changed([lineage.dataset], root)


def _check_token_ids(lineage: Lineage, root: Path, home: Path) -> str | None:
    train_file = root / lineage.dataset.path / "train.jsonl"
    pairs = read_pairs(train_file, _tokenizer(lineage, home))
    found = hash_pairs(fitting(pairs, lineage.max_length))
    return None if found == lineage.token_ids else "the training pairs have other token ids now"


def _check_ratings(lineage: Lineage, root: Path, home: Path) -> str | None:
    return _changed(lineage.ratings, root)


def _check_traces(lineage: Lineage, root: Path, home: Path) -> str | None:
    return _changed(lineage.traces, root)


def _check_lock(lineage: Lineage, root: Path, home: Path) -> str | None:
    return _changed([lineage.lock], root)


def _check_code(lineage: Lineage, root: Path, home: Path) -> str | None:
    return None if sha256_code() == lineage.code else "the package's modules changed"


# From what is gravest to what changes with every release.
_LINKS = {
    "base": _check_base,
    "tokenizer": _check_tokenizer,
    "dataset": _check_dataset,
    "token ids": _check_token_ids,
    "ratings": _check_ratings,
    "traces": _check_traces,
    "lock file": _check_lock,
    "code": _check_code,
}
_REMEDIES = {
    "base": "Set back the model that the adapter was trained on, or train again",
    "tokenizer": "Set back the model that the adapter was trained on, or train again",
    "dataset": "Restore the dataset version, or train again on a new one",
    "token ids": "Train again: the model would be used in other contexts than it learnt",
    "ratings": "Restore the journal of ratings, or build the dataset and train again",
    "traces": "Restore the journal of traces, or build the dataset and train again",
    "lock file": "Check out the revision that made the adapter, or train again",
    "code": "Check out the revision that made the adapter, or train again",
}


def _tokenizer(lineage: Lineage, home: Path) -> models.Tokenizer:
    return models.tokenizer(models.find(lineage.base_source, home), home)


def _source(path: Path, root: Path) -> Source:
    path, root = Path(path).resolve(), root.resolve()
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    try:
        if path.is_dir():
            return Source(name, sha256_folder(path))
        return Source(name, sha256_file(path), path.stat().st_size)
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror})", "Run the step that makes it"
        ) from error


def _changed(sources: Iterable[Source], root: Path) -> str | None:
    """What is wrong with the first source that is not as it was; None if all are."""
    for source in sources:
        path = root / source.path
        try:
            found = sha256_folder(path) if source.size is None else _sha256_head(path, source.size)
        except OSError as error:
            return f"{source.path} can't be read ({error.strerror})"
        if found != source.sha256:
            return f"{source.path} changed"
    return None


def _sha256_head(path: Path, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()
