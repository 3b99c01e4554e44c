"""Prompts from a Langfuse dataset, and prompts and preference pairs into one.

    prompts, aside = read_prompts(project, "support questions")
    write_preferences(project, "pairs of November", preferences)

An item's input is the conversation; what Langfuse has no field for (topic,
language, origin, the rejected answer, who judged) stands in its metadata, so
that prompts come back as they went. Items are written under ids made from the
dataset and the record: writing again changes nothing. Knows nothing about scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from workbench.exchange.conversations import messages_of
from workbench.exchange.langfuse_errors import Missing
from workbench.exchange.langfuse_project import LangfuseProject
from workbench.exchange.langfuse_records import DatasetItem
from workbench.records import Message, Preference, Prompt, SetAside, content_id, encode

_PROMPT = "workbench_prompt"
"""Key of an item's metadata: the prompt without its messages."""


def read_prompts(project: LangfuseProject, dataset: str) -> tuple[list[Prompt], list[SetAside]]:
    """The prompts of a dataset's active items, and the items that are none.

    An item that was not written from here gives a prompt with the item's id,
    which is its own topic. Raises ServerError where there is no such dataset.
    """
    prompts: dict[str, Prompt] = {}
    aside = []
    for item in project.dataset_items(dataset):
        try:
            prompt = _prompt(item)
            prompts.setdefault(prompt.id, prompt)
        except ValueError as error:
            content = msgspec.json.encode(item.input).decode()[:2000]
            aside.append(SetAside(f"langfuse: item {item.id} of {dataset}", str(error), content))
    return list(prompts.values()), aside


def write_prompts(project: LangfuseProject, dataset: str, prompts: Iterable[Prompt]) -> int:
    """Write prompts as items, the dataset too where it is missing; how many were new or changed."""
    return _write(
        project,
        dataset,
        (
            DatasetItem(
                content_id("langfuse-item", dataset, "prompt", prompt.id, length=32),
                _chat(prompt.messages),
                None,
                {_PROMPT: _without_messages(prompt)},
            )
            for prompt in prompts
        ),
    )


def write_preferences(
    project: LangfuseProject, dataset: str, preferences: Iterable[Preference]
) -> int:
    """Write pairs as items: chosen as the expected output, rejected in the metadata.

    Returns how many were new or changed.
    """
    return _write(
        project,
        dataset,
        (
            DatasetItem(
                content_id("langfuse-item", dataset, "preference", pair.id, length=32),
                _chat(pair.prompt.messages),
                _turn(Message("assistant", pair.chosen.text, pair.chosen.tool_calls)),
                {
                    _PROMPT: _without_messages(pair.prompt),
                    "rejected": _turn(
                        Message("assistant", pair.rejected.text, pair.rejected.tool_calls)
                    ),
                    "preference": pair.id,
                    "ratings": list(pair.ratings),
                    "raters": list(pair.raters),
                    "weight": pair.weight,
                },
            )
            for pair in preferences
        ),
    )


def _write(project: LangfuseProject, dataset: str, items: Iterable[DatasetItem]) -> int:
    """Write the items that the dataset lacks or has otherwise."""
    try:
        there = {item.id: item for item in project.dataset_items(dataset)}
    except Missing:
        project.put_dataset(dataset)
        there = {}
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
    turns = msgspec.to_builtins(messages)
    return msgspec.convert({**dict(known), "messages": turns}, Prompt)


def _without_messages(prompt: Prompt) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(encode(prompt))
    del fields["messages"]
    return fields


def _chat(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [_turn(message) for message in messages]


def _turn(message: Message) -> dict[str, Any]:
    """A turn as OpenAI writes it, which Langfuse shows as a chat."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn
