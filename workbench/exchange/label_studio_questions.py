"""What a task of Label Studio asked: which answers, in which order.

    OurTasks(candidate_sets).of(data)    # a task made by this workbench
    TheirTasks(config).of(data)          # a <Pairwise> task of others

Tasks of ours are found by their `task_key` alone: the server may number them anew
and change their texts. Knows nothing about annotations and servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Protocol

from workbench.errors import InputError
from workbench.exchange.label_studio import answer_key, ranking_key, task_key
from workbench.records import (
    CandidateSet,
    Completion,
    Message,
    Prompt,
    Sampling,
    Timing,
    Usage,
    content_id,
)

FOREIGN = "label-studio"
"""The `backend` of answers that came with others' tasks: nothing else is known of them."""


class Unusable(Exception):
    """Why a task or an annotation can't become a rating."""


@dataclass(frozen=True)
class Question:
    """What a task asked: answers in the order shown; `names` is what results call them."""

    candidate_set: CandidateSet
    shown: tuple[str, ...]
    names: Mapping[str, str]
    pairwise: str = "pairwise"

    @property
    def id(self) -> str:
        """Equal for two tasks that ask the same in the same order."""
        return task_key(self.candidate_set.id, self.shown)


class Questions(Protocol):
    """How the data of a task is turned into the question that it asked."""

    @property
    def id(self) -> str:
        """What these questions know; other questions may understand other tasks."""
        ...

    def of(self, data: Any) -> Question:
        """The question of a task's data. Raises Unusable with the reason."""
        ...


class OurTasks:
    """Tasks made from candidate sets that are known here: found by their `task_key`."""

    def __init__(self, candidate_sets: Sequence[CandidateSet]) -> None:
        self._pairs: dict[str, tuple[CandidateSet, tuple[str, ...]]] = {}
        self._rankings = {ranking_key(one): one for one in candidate_sets}
        for one in candidate_sets:
            for shown in permutations([completion.id for completion in one.completions], 2):
                self._pairs[task_key(one.id, shown)] = (one, shown)
        self.id = content_id("our tasks", sorted(self._rankings))

    def of(self, data: Any) -> Question:
        """The pair or the ranking that the `task_key` in `data` names."""
        key = data.get("task_key") if isinstance(data, dict) else None
        if not isinstance(key, str):
            raise Unusable("the task has no task_key")
        if key in self._pairs:
            candidate_set, shown = self._pairs[key]
            return _pair(candidate_set, shown)
        if key in self._rankings:
            return _ranking(self._rankings[key], data.get("answers"))
        raise Unusable(f"no candidate set here has the task_key {key[:80]!r}")


class TheirTasks:
    """Tasks of a project that others made with Label Studio's <Pairwise>.

    The two texts that it compares become a candidate set, the other texts of the
    page its prompt. `config` is the project's labelling configuration (XML).
    Raises InputError for one without a <Pairwise> of two texts. A task with a
    `task_key` is a workbench's own, in whatever project it lies: it is not read here,
    as its answers would lose their set, and with it whether its author consented.
    """

    def __init__(self, config: str) -> None:
        self.id = content_id("their tasks", config)
        self._control, self._sides, self._prompt = _variables(config)

    def of(self, data: Any) -> Question:
        """The pair whose texts are in `data`."""
        if part(data, "task_key") is not None:
            raise Unusable("it has a task_key, as our own tasks do: pull it without --foreign")
        left, right = (_text(data, variable) for variable in self._sides)
        asked = "\n\n".join(_text(data, variable) for variable in self._prompt)
        set_id = content_id("label-studio foreign", asked, left, right)
        completions = tuple(
            _completion(content_id(set_id, side), text)
            for side, text in (("left", left), ("right", right))
        )
        prompt_id = content_id("label-studio foreign", asked.strip() or set_id)
        prompt = Prompt(prompt_id, (Message("user", asked),), topic=prompt_id)
        candidate_set = CandidateSet(set_id, prompt, completions)
        shown = tuple(completion.id for completion in completions)
        return replace(_pair(candidate_set, shown), pairwise=self._control)


def part(value: Any, name: str) -> Any:
    """A field of what should be a JSON object; None where there is none."""
    return value.get(name) if isinstance(value, dict) else None


def _pair(candidate_set: CandidateSet, shown: tuple[str, ...]) -> Question:
    first, second = shown
    names = {"A": first, "left": first, "B": second, "right": second}
    return Question(candidate_set, shown, names)


def _ranking(candidate_set: CandidateSet, answers: Any) -> Question:
    """The order shown is in the task itself, under names that tell annotators nothing."""
    known = {answer_key(candidate_set.id, c.id): c.id for c in candidate_set.completions}
    listed = [part(answer, "id") for answer in answers] if isinstance(answers, list) else []
    if sorted(map(str, listed)) != sorted(known):
        raise Unusable("the answers in the task are not those of its candidate set")
    return Question(candidate_set, tuple(known[key] for key in listed), known)


def _variables(config: str) -> tuple[str, tuple[str, str], tuple[str, ...]]:
    """Name of the <Pairwise>, variables of its two texts, and those of all other texts."""
    from label_studio_sdk.label_interface import LabelInterface

    try:
        interface = LabelInterface(config)
        control = next(c for c in interface.controls or () if c.tag == "Pairwise")
        texts = {o.name: o.value.removeprefix("$") for o in interface.objects if o.value}
        left, right = (texts.pop(name) for name in control.to_name)
    except Exception as error:  # the SDK raises whatever its XML parser does
        raise InputError(
            f"The labelling configuration has no <Pairwise> of two texts ({type(error).__name__})",
            'Give a project whose page holds <Pairwise toName="first,second"/> and both texts',
        ) from None
    headers = re.findall(r'<Header[^>]*\bvalue="\$(\w+)"', config)  # no object to the SDK
    others = dict.fromkeys([*headers, *texts.values()])
    return control.name, (left, right), tuple(v for v in others if v not in (left, right))


def _text(data: Any, variable: str) -> str:
    value = part(data, variable)
    if not isinstance(value, str):
        raise Unusable(f"the task has no text {variable!r}"[:200])
    return value


def _completion(id: str, text: str) -> Completion:
    return Completion(
        id=id,
        text=text,
        token_ids=(),
        finish_reason="stop",
        usage=Usage(0, 0),
        timing=Timing(0.0, 0.0),
        backend=FOREIGN,
        model="",
        sampling=Sampling(),
    )
