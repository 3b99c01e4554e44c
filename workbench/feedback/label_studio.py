"""Pairwise tasks for Label Studio: the labelling configuration and the file to import.

Answers appear as A and B in shuffled order, without ids or names of models. The
verdict is a required choice, since Label Studio's own <Pairwise> has no tie and
accepts an empty submit; answers are shown by <Text>, which loads nothing, while
<Markdown> fetches remote images. Knows nothing about servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import InputError
from workbench.feedback.presentation import Item, items
from workbench.journal import write_whole
from workbench.records import CandidateSet, Completion, Message, content_id

VERDICTS: tuple[str, ...] = ("A", "B", "tie", "both bad")
"""What an annotator may conclude; A and B are the first and second answer shown."""

_CONFIG = """\
<View>
  <Style>
    .wb-answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr));
                  gap: 16px; margin: 16px 0; }
    .wb-answer { padding: 12px 16px; border: 1px solid #8884; border-radius: 8px;
                 white-space: pre-wrap; }
  </Style>
  <Header value="Prompt" size="5"/>
  <Text name="prompt" value="$prompt"/>
  <View className="wb-answers">
    <View className="wb-answer">
      <Header value="A" size="4"/>
      <Text name="answer_a" value="$answer_a"/>
    </View>
    <View className="wb-answer">
      <Header value="B" size="4"/>
      <Text name="answer_b" value="$answer_b"/>
    </View>
  </View>
  <Header value="Which answer is better?" size="5"/>
  <Choices name="verdict" toName="prompt" choice="single-radio" showInline="true"
           required="true" requiredMessage="Choose A, B, tie or both bad">
    <Choice value="A" hotkey="1"/>
    <Choice value="B" hotkey="2"/>
    <Choice value="tie" hotkey="t"/>
    <Choice value="both bad" hotkey="b"/>
  </Choices>
  <Header value="How sure are you?" size="5"/>
  <Rating name="confidence" toName="prompt" maxRating="5"/>
  <TextArea name="comment" toName="prompt" rows="2" placeholder="What made the difference?"
            editable="true" maxSubmissions="1"/>
</View>
"""


def pairwise_config() -> str:
    """The labelling configuration (XML): verdict, confidence (1 to 5) and comment."""
    return _CONFIG


def task_key(candidate_set: str, shown: Sequence[str]) -> str:
    """What joins an annotation to its answers: it names the set, the pair and their order.

    It tells an annotator nothing; whoever holds the candidate sets finds the
    pair again by computing the key of both orders.
    """
    return content_id("label-studio", candidate_set, tuple(shown))


def export_tasks(candidate_sets: Sequence[CandidateSet], path: Path | str, *, seed: int) -> int:
    """Write a JSON file of tasks to import, one per pair of each set's answers.

    Every task is first checked against `pairwise_config` by Label Studio's own
    SDK. Returns the number of tasks; raises InputError for sets without pairs
    and for a path that can't be written.
    """
    tasks = [
        _task(item) for item in items(candidate_sets, "pairwise", seed=seed, rater="label-studio")
    ]
    _validate(tasks)
    text = msgspec.json.format(msgspec.json.encode(tasks), indent=1)
    write_whole(path, text)
    return len(tasks)


def _task(item: Item) -> dict[str, dict[str, str]]:
    first, second = item.completions
    data = {
        "task_key": task_key(item.candidate_set.id, item.shown),
        "prompt": _conversation(item.candidate_set.prompt.messages),
        "answer_a": _answer(first),
        "answer_b": _answer(second),
    }
    return {"data": data}


def _conversation(messages: Sequence[Message]) -> str:
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)


def _answer(completion: Completion) -> str:
    calls = "".join(f"\n\n{call.name} {call.arguments}" for call in completion.tool_calls)
    return completion.text + calls


def _validate(tasks: Sequence[Any]) -> None:
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface(pairwise_config())
    interface.validate()
    for task in tasks:
        if not interface.validate_task(task):
            raise InputError(
                f"Task {task['data']['task_key']} does not fit the labelling configuration",
                "Give every $variable of the configuration a value in the task",
            )
