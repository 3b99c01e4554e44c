"""A debate's texts as candidates for ranking: answers to one task, by different roles.

The prompt of each set is the bare task, since that is what an adapter trained on the
judgements will be asked. Its origin names the debate and every document that anyone was
shown, so that a split keeps all of them on one side.
"""

from __future__ import annotations

import re
from dataclasses import replace

from workbench.consilium.record import Critique, Debate
from workbench.records import CandidateSet, Completion, Message, Origin, Prompt, content_id

_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)


def candidate_sets(debate: Debate, *, topic: str = "") -> tuple[CandidateSet, CandidateSet]:
    """The independent answers, and the revised answers with the decision, each to be ranked.

    `topic` groups the prompt with others of its kind; "" with none.
    """
    origin = Origin(documents=debate.documents, debate=debate.id)
    prompt = Prompt(
        id=content_id("debate", debate.id),
        messages=(Message("user", debate.task),),
        topic=topic,
        language=_language(debate.task),
        origin=origin,
    )
    answers = tuple(answer.completion for answer in debate.answers)
    revised = tuple(_revision(critique) for critique in debate.critiques)
    return (
        CandidateSet(content_id("answers", debate.id), prompt, answers),
        CandidateSet(content_id("revisions", debate.id), prompt, (*revised, decided(debate))),
    )


def decided(debate: Debate) -> Completion:
    """The decision as one answer to the task."""
    return _part(debate.decision.completion, "decision", debate.decision.text)


def _revision(critique: Critique) -> Completion:
    return _part(critique.completion, "revision", critique.revision)


def _part(whole: Completion, name: str, text: str) -> Completion:
    """One text of a reply as an answer; the reply's tokens are those of its JSON, not of this."""
    return replace(whole, id=content_id(whole.id, name), text=text, token_ids=(), reasoning="")


def _language(task: str) -> str:
    """ISO 639-1 by the script of most letters: Russian, or else English, as prompts are here."""
    return "ru" if len(_CYRILLIC.findall(task)) > len(_LATIN.findall(task)) else "en"
