"""Tasks for Label Studio: the page that annotators see and the answers on it.

Answers appear in shuffled order, without ids or names of models. Three templates:

    verdict   A, B, tie or both bad, how sure, and why: the default
    pairwise  Label Studio's own <Pairwise>: a click on the better answer; it has no tie
    ranker    Label Studio's own <Ranker>: all answers of a set at once, dragged into order

Answers are shown by <Text> and as plain list items, which load nothing, while
<Markdown> fetches remote images. Knows nothing about servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from workbench.errors import InputError, SettingsError
from workbench.exchange.label_studio_pages import PAGES
from workbench.feedback.presentation import Item, items
from workbench.journal import write_whole
from workbench.records import CandidateSet, Completion, Message, content_id

Template = Literal["verdict", "pairwise", "ranker"]
TEMPLATES: tuple[str, ...] = get_args(Template)

VERDICTS: tuple[str, ...] = ("A", "B", "tie", "both bad")
"""What an annotator may conclude; A and B are the first and second answer shown."""


@dataclass(frozen=True)
class Task:
    """What Label Studio keeps of one question: `data` fills the variables of its page.

    `turned` is the key of the same two answers in the other order: who has judged
    the one need not be asked the other.
    """

    data: dict[str, Any]
    turned: str | None = None

    @property
    def key(self) -> str:
        """The `task_key`, by which annotations find their answers again."""
        return str(self.data["task_key"])


def config(template: Template = "verdict") -> str:
    """The labelling configuration (XML) of a template. Raises SettingsError for another name."""
    if template not in PAGES:
        raise SettingsError(
            f"There is no template {template!r}", f"Use one of {', '.join(TEMPLATES)}"
        )
    return PAGES[template]


def task_key(candidate_set: str, shown: Sequence[str]) -> str:
    """What joins an annotation to its answers: it names the set, the pair and their order.

    It tells an annotator nothing; whoever holds the candidate sets finds the
    pair again by computing the key of both orders.
    """
    return content_id("label-studio", candidate_set, tuple(shown))


def ranking_key(candidate_set: CandidateSet) -> str:
    """The `task_key` of a task that ranks all answers of a set; their order is in the task."""
    ids = sorted(completion.id for completion in candidate_set.completions)
    return content_id("label-studio ranking", candidate_set.id, ids)


def answer_key(candidate_set: str, completion: str) -> str:
    """What names an answer in a ranking, telling an annotator nothing."""
    return content_id("label-studio answer", candidate_set, completion, length=12)


def tasks(
    candidate_sets: Sequence[CandidateSet], *, seed: int, template: Template = "verdict"
) -> list[Task]:
    """One task per pair of each set's answers; one per set for the ranker.

    Every task is checked against the template by Label Studio's own SDK. Raises
    InputError for sets that can't be shown so, SettingsError for another template.
    """
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface(config(template))
    interface.validate()
    mode, task_of = ("ranking", _ranked) if template == "ranker" else ("pairwise", _paired)
    made = [
        task_of(item)
        for item in items(candidate_sets, mode, seed=seed, rater="label-studio")  # type: ignore[arg-type]
    ]
    for task in made:
        if not interface.validate_task({"data": task.data}):  # type: ignore[arg-type]
            raise InputError(
                f"Task {task.key} does not fit the labelling configuration",
                "Give every $variable of the configuration a value in the task",
            )
    return made


def export_tasks(
    candidate_sets: Sequence[CandidateSet],
    path: Path | str,
    *,
    seed: int,
    template: Template = "verdict",
) -> int:
    """Write a JSON file of tasks, to import by hand into a project with `config(template)`.

    Returns the number of tasks; raises as `tasks` does, and InputError for a
    path that can't be written.
    """
    made = tasks(candidate_sets, seed=seed, template=template)
    content = msgspec.json.encode([{"data": task.data} for task in made])
    write_whole(path, msgspec.json.format(content, indent=1))
    return len(made)


def _paired(item: Item) -> Task:
    first, second = item.completions
    data = {
        "task_key": task_key(item.candidate_set.id, item.shown),
        "prompt": _conversation(item.candidate_set.prompt.messages),
        "answer_a": _answer(first),
        "answer_b": _answer(second),
    }
    return Task(data, turned=task_key(item.candidate_set.id, item.shown[::-1]))


def _ranked(item: Item) -> Task:
    set_id = item.candidate_set.id
    return Task(
        {
            "task_key": ranking_key(item.candidate_set),
            "prompt": _conversation(item.candidate_set.prompt.messages),
            "answers": [
                {"id": answer_key(set_id, c.id), "title": name, "body": _answer(c)}
                for name, c in zip("ABCDEFGH", item.completions, strict=False)
            ],
        }
    )


def _conversation(messages: Sequence[Message]) -> str:
    if len(messages) == 1:
        return _shown(messages[0].content)
    return _shown("\n\n".join(f"{message.role}: {message.content}" for message in messages))


def _answer(completion: Completion) -> str:
    calls = "".join(f"\n\n{call.name} {call.arguments}" for call in completion.tool_calls)
    return _shown(completion.text + calls)


def _shown(text: str) -> str:
    """`text` with its null character visible: PostgreSQL refuses it in JSON."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}")
