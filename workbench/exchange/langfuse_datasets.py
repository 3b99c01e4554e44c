"""Prompts from a Langfuse dataset, and prompts and versions of preference pairs into one.

    found = read_prompts(project, "support questions")
    write_preferences(project, "pairs of November", preferences.load(folder))

An item's input is the conversation; what Langfuse has no field for (topic,
language, origin, the rejected answer, the side of the split) stands in its
metadata, so that prompts come back as they went and held-out ones are known for
what they are. Raters go by kind and number, never by name. Items are written under
ids made from the dataset and the record: writing again changes nothing. Knows
nothing about scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from workbench.exchange.conversations import messages_of
from workbench.exchange.langfuse_errors import Missing
from workbench.exchange.langfuse_project import LangfuseProject
from workbench.exchange.langfuse_records import DatasetItem
from workbench.preferences import Dataset, Pair
from workbench.preferences.audit import SPLITS
from workbench.preferences.card import numbered
from workbench.preferences.rows import answer, turns
from workbench.records import Prompt, SetAside, Split, content_id, encode

_PROMPT = "workbench_prompt"
"""Key of an item's metadata: the prompt without its messages."""
_PAIR, _SPLIT, _NAME, _VERSION = "preference", "split", "dataset", "version"
"""Keys of a pair's metadata: its id, its side, and the name and version of its dataset."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of one side, the items that are none, and how many are on each other side."""

    prompts: tuple[Prompt, ...]
    aside: tuple[SetAside, ...]
    elsewhere: Mapping[Split, int]


@dataclass(frozen=True)
class Written:
    """How many items were new or changed, and how many were archived."""

    items: int
    archived: int


def read_prompts(project: LangfuseProject, dataset: str, side: Split = "train") -> Prompts:
    """The prompts of a dataset's active items on one side of the split.

    A prompt is on the side that an item's metadata names under `split`, the most held
    out of them where items differ; one of which no item names any is for training. A
    pair that names no side was written by an earlier Workbench and is set aside: it
    may be held out. An item that was not written from here gives a prompt with the
    item's id, which is its own topic. Raises ServerError where there is no such dataset.
    """
    prompts: dict[str, Prompt] = {}
    sides: dict[str, Split] = {}
    aside = []
    for item in project.dataset_items(dataset):
        try:
            prompt, named = _prompt(item), _side(item)
        except ValueError as error:
            content = msgspec.json.encode(item.input).decode()[:2000]
            aside.append(SetAside(f"langfuse: item {item.id} of {dataset}", str(error), content))
            continue
        prompts.setdefault(prompt.id, prompt)
        sides[prompt.id] = max(named, sides.get(prompt.id, named), key=SPLITS.index)
    counts = Counter(sides.values())
    del counts[side]
    wanted = tuple(prompt for id, prompt in prompts.items() if sides[id] == side)
    return Prompts(wanted, tuple(aside), dict(counts))


def write_prompts(project: LangfuseProject, dataset: str, prompts: Iterable[Prompt]) -> int:
    """Write prompts as items, the dataset too where it is missing; how many were new or changed.

    They name no side: read again, they are for training. Items of other prompts stay. No
    command does this.
    """
    items = [
        DatasetItem(
            content_id("langfuse-item", dataset, "prompt", prompt.id, length=32),
            turns(prompt.messages),
            None,
            {_PROMPT: _without_messages(prompt)},
        )
        for prompt in prompts
    ]
    return _write(project, dataset, items, _there(project, dataset))


def write_preferences(project: LangfuseProject, dataset: str, version: Dataset) -> Written:
    """Write a version's pairs as items: chosen as the expected output, rejected in the metadata.

    Items of other versions of the same name whose pairs this one lacks are archived:
    what is active of a name is one version. The Langfuse dataset is made where it is missing.
    """
    raters = numbered(version.manifest)
    items = [_item(dataset, version, pair, raters) for pair in version.pairs]
    there = _there(project, dataset)
    ids = {item.id for item in items}
    old = [item for item in there.values() if item.id not in ids and _is_of(version.name, item)]
    written = _write(project, dataset, items, there)
    for item in old:
        project.put_dataset_item(dataset, replace(item, status="ARCHIVED"))
    return Written(written, len(old))


def _item(dataset: str, version: Dataset, pair: Pair, raters: Mapping[str, str]) -> DatasetItem:
    preference = pair.preference
    return DatasetItem(
        content_id("langfuse-item", dataset, "preference", preference.id, length=32),
        turns(preference.prompt.messages),
        answer(preference.chosen),
        {
            _PROMPT: _without_messages(preference.prompt),
            "rejected": answer(preference.rejected),
            _PAIR: preference.id,
            _SPLIT: pair.split,
            _NAME: version.name,
            _VERSION: version.version,
            "ratings": list(preference.ratings),
            "raters": [raters[rater] for rater in preference.raters],
            "weight": preference.weight,
        },
    )


def _is_of(name: str, item: DatasetItem) -> bool:
    """Whether an item is a pair of the dataset `name`, or of an earlier Workbench's, unnamed."""
    known = item.metadata
    return isinstance(known, Mapping) and _PAIR in known and known.get(_NAME, name) == name


def _there(project: LangfuseProject, dataset: str) -> dict[str, DatasetItem]:
    """The active items by id; the dataset is made where it is missing."""
    try:
        return {item.id: item for item in project.dataset_items(dataset)}
    except Missing:
        project.put_dataset(dataset)
        return {}


def _write(
    project: LangfuseProject,
    dataset: str,
    items: Iterable[DatasetItem],
    there: Mapping[str, DatasetItem],
) -> int:
    """Write the items that the dataset lacks or has otherwise."""
    new = [item for item in items if there.get(item.id) != item]
    for item in new:
        project.put_dataset_item(dataset, item)
    return len(new)


def _prompt(item: DatasetItem) -> Prompt:
    """Raises ValueError where the item's input is no conversation."""
    messages = messages_of(item.input)
    known = item.metadata.get(_PROMPT) if isinstance(item.metadata, Mapping) else None
    if known is None:
        return Prompt(item.id, messages, topic=item.id)
    if not isinstance(known, Mapping):
        raise ValueError(f"its metadata's {_PROMPT} is no prompt")
    builtins = msgspec.to_builtins(messages)
    return msgspec.convert({**known, "messages": builtins}, Prompt)


def _side(item: DatasetItem) -> Split:
    """Raises ValueError where the item is a pair that names no side of a split."""
    known = item.metadata if isinstance(item.metadata, Mapping) else {}
    named = [side for side in SPLITS if known.get(_SPLIT) == side]
    if not named and _PROMPT in known and _PAIR in known:
        raise ValueError("its pair may be held out: it names no side; write its version again")
    return named[0] if named else "train"


def _without_messages(prompt: Prompt) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(encode(prompt))
    del fields["messages"]
    return fields
