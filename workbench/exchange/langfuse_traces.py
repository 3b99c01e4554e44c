"""Other people's traces as candidate sets, beside those that a journal holds already.

Traces whose input reads the same, and whose authors said the same about consent,
are one set. Not known of a trace: how its answer was sampled, and its tokens.
This module knows nothing about scores, and a server only by its records.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from workbench.exchange.conversations import answered, asked
from workbench.exchange.langfuse_records import Trace
from workbench.records import (
    CandidateSet,
    Completion,
    Consent,
    Message,
    Origin,
    Prompt,
    Sampling,
    SetAside,
    Timing,
    Usage,
    content_id,
)

_LANGUAGE = re.compile(r"[a-z]{2}")


class Traces:
    """Candidate sets by trace: those of the journal, and what is read now."""

    def __init__(self, project: str, journal: Iterable[CandidateSet]) -> None:
        self._project = project
        self._sets = {candidate_set.id: candidate_set for candidate_set in journal}
        self._changed: dict[str, None] = {}
        self._answers: dict[str, list[tuple[str, Completion]]] = defaultdict(list)
        for candidate_set in self._sets.values():
            for completion in candidate_set.completions:
                if completion.trace_id:
                    self._answers[completion.trace_id].append((candidate_set.id, completion))
        self.roots: dict[str, str] = {}
        self.unfinished = self.new_answers = 0
        self.aside: list[SetAside] = []

    def add(self, trace: Trace) -> None:
        """Read a trace; the first root of a trace id is its answer."""
        if trace.id in self.roots:
            return
        self.roots[trace.id] = trace.root
        if trace.id in self._answers:
            return
        if not trace.ended:
            self.unfinished += 1
            return
        try:
            prompt, answer = _prompt(trace), answered(trace.output)
        except ValueError as error:
            content = f"{trace.input}\n\n{trace.output}"[:2000]
            self.aside.append(SetAside(f"langfuse: trace {trace.id}", str(error), content))
            return
        completion = _completion(self._project, trace, answer)
        id = content_id("langfuse", self._project, prompt.messages, prompt.origin.consent)
        known = self._sets.get(id) or CandidateSet(id, prompt, ())
        self._sets[id] = replace(known, completions=(*known.completions, completion))
        self._changed[id] = None
        self._answers[trace.id].append((id, completion))
        self.new_answers += 1

    def new_sets(self) -> list[CandidateSet]:
        """The sets that are new or hold new answers; a later line of one id replaces the first."""
        return [self._sets[id] for id in self._changed]

    def answer(self, trace: str) -> tuple[str, str] | None:
        """Candidate set and completion of a trace; None where it is not known.

        Raises ValueError where a trace holds several answers.
        """
        found = self._answers.get(trace, [])
        if len(found) > 1:
            raise ValueError(f"trace {trace} holds {len(found)} answers: which one is meant?")
        return (found[0][0], found[0][1].id) if found else None


def _prompt(trace: Trace) -> Prompt:
    messages = asked(trace.input)
    origin = Origin(session=trace.session, consent=_consent(trace))
    id = content_id("langfuse", messages)
    topic, language = trace.metadata.get("topic"), trace.metadata.get("language")
    return Prompt(
        id=id,
        messages=messages,
        topic=topic if isinstance(topic, str) and topic else id,
        language=language if isinstance(language, str) and _LANGUAGE.fullmatch(language) else "en",
        origin=origin,
    )


def _consent(trace: Trace) -> Consent:
    """What the author said, in metadata or in a tag; a refusal anywhere counts."""
    said = {str(trace.metadata.get("consent", "")).strip('"').casefold()}
    said |= {tag.casefold().removeprefix("consent:") for tag in trace.tags if ":" in tag}
    return "refused" if "refused" in said else "given" if "given" in said else ""


def _completion(project: str, trace: Trace, answer: Message) -> Completion:
    return Completion(
        id=content_id("langfuse", project, trace.id),
        text=answer.content,
        token_ids=(),
        finish_reason="tool_calls" if answer.tool_calls else "stop",
        usage=Usage(trace.prompt_tokens, trace.completion_tokens),
        timing=Timing(0.0, trace.seconds),
        backend="langfuse",
        model=trace.model,
        sampling=Sampling(),
        tool_calls=answer.tool_calls,
        trace_id=trace.id,
    )
