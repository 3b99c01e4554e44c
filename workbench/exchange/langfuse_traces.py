"""Traces as candidate sets, beside those that are known already.

Traces whose input reads the same, and whose authors said the same about consent,
are one set; its prompt names every session that an answer came from, so that a
split keeps these together. A trace holds one answer, or those that were drawn
together under it: then its metadata lists their ids under `completions`, as
`TracedBackend.sample` writes it. Not known of a trace: how its answers were
sampled, their tokens and reasoning, and of a draw how many tokens each answer took
(they count as 0).
This module knows nothing about scores, and a server only by its records.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from workbench.exchange.conversations import answered, asked, drawn
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
    """Candidate sets by trace: the known ones, and what is read now.

    `journal` holds what was read before; `own` are sets that were drawn here,
    which come first for their traces and never become new sets.
    """

    def __init__(
        self, project: str, journal: Iterable[CandidateSet], own: Iterable[CandidateSet] = ()
    ) -> None:
        self._project = project
        self._sets = {candidate_set.id: candidate_set for candidate_set in journal}
        self._changed: dict[str, None] = {}
        self._answers = _by_trace(self._sets.values()) | _by_trace(own)
        self.roots: dict[str, str] = {}
        self.unfinished = self.new_answers = 0
        self.aside: list[SetAside] = []

    def add(self, trace: Trace) -> None:
        """Read a trace; the first root of a trace id holds its answers.

        Of one whose answers are in the journal already only the session is read: an
        earlier Workbench kept no more than the first of a set.
        """
        if trace.id in self.roots:
            return
        self.roots[trace.id] = trace.root
        if trace.id in self._answers:
            for set_id, _ in self._answers[trace.id]:
                if set_id in self._sets:
                    self._keep(_with_session(self._sets[set_id], trace.session))
            return
        if not trace.ended:
            self.unfinished += 1
            return
        try:
            prompt = _prompt(trace)
            id = content_id("langfuse", self._project, prompt.messages, prompt.origin.consent)
            known = self._sets.get(id) or CandidateSet(id, prompt, ())
            known = _with_session(known, trace.session)
            completions = self._completions(trace)
            if taken := {c.id for c in known.completions} & {c.id for c in completions}:
                raise ValueError(f"another trace holds its completion {min(taken)}")
        except ValueError as error:
            content = f"{trace.input}\n\n{trace.output}"[:2000]
            self.aside.append(SetAside(f"langfuse: trace {trace.id}", str(error), content))
            return
        self._keep(replace(known, completions=(*known.completions, *completions)))
        self._answers[trace.id] = [(id, completion) for completion in completions]
        self.new_answers += len(completions)

    def new_sets(self) -> list[CandidateSet]:
        """The sets that are new, or have new answers or sessions.

        A later line of one id replaces the first.
        """
        return [self._sets[id] for id in self._changed]

    def answer(self, trace: str, named: str | None) -> tuple[str, str] | None:
        """Candidate set and completion of a trace's answer; None where the trace is not known.

        `named` is the completion that is meant, by the id that it has where it was
        drawn. Raises ValueError where it is needed or wrong.
        """
        found = self._answers.get(trace, [])
        if not found:
            return None
        if len(found) == 1 and (named is None or found[0][1].id == self._id(trace)):
            return found[0][0], found[0][1].id
        if named is None:
            raise ValueError(
                f"trace {trace} holds {len(found)} answers; the score's metadata must name"
                " the one it judges as `completion`"
            )
        for candidate_set, completion in found:
            if completion.id == named:
                return candidate_set, named
        raise ValueError(f"trace {trace} holds no completion {named[:50]!r}")

    def _keep(self, candidate_set: CandidateSet) -> None:
        if self._sets.get(candidate_set.id) != candidate_set:
            self._sets[candidate_set.id] = candidate_set
            self._changed[candidate_set.id] = None

    def _id(self, trace: str) -> str:
        """The completion of a trace that does not say what its answer's id is."""
        return content_id("langfuse", self._project, trace)

    def _completions(self, trace: Trace) -> list[Completion]:
        ids = _drawn_ids(trace)
        if ids is None:
            usage = Usage(trace.prompt_tokens, trace.completion_tokens)
            return [_completion(self._id(trace.id), trace, answered(trace.output), usage)]
        usage = Usage(trace.prompt_tokens, 0)
        answers = drawn(trace.output, len(ids))
        return [
            _completion(id, trace, answer, usage) for id, answer in zip(ids, answers, strict=True)
        ]


def _by_trace(sets: Iterable[CandidateSet]) -> dict[str, list[tuple[str, Completion]]]:
    """Set and completion of each trace's answers, in their order."""
    found: dict[str, dict[tuple[str, str], Completion]] = defaultdict(dict)
    for candidate_set in sets:
        for completion in candidate_set.completions:
            if completion.trace_id:
                found[completion.trace_id][candidate_set.id, completion.id] = completion
    return {
        trace: [(set_id, completion) for (set_id, _), completion in answers.items()]
        for trace, answers in found.items()
    }


def _drawn_ids(trace: Trace) -> list[str] | None:
    """Ids of the answers drawn under a trace; None where it says nothing of them.

    A server may keep a value of metadata as JSON text.
    """
    ids = trace.metadata.get("completions")
    if isinstance(ids, str):
        try:
            ids = json.loads(ids)
        except (ValueError, RecursionError):
            return None
    if not (isinstance(ids, list) and ids and all(isinstance(id, str) and id for id in ids)):
        return None
    if len(set(ids)) < len(ids):
        raise ValueError("its metadata names a completion twice")
    return ids


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


def _with_session(candidate_set: CandidateSet, session: str) -> CandidateSet:
    """The set, its prompt naming this session among those that its answers come from."""
    prompt = candidate_set.prompt
    origin = prompt.origin
    if session in ("", origin.session, *origin.answered_in):
        return candidate_set
    origin = replace(origin, answered_in=(*origin.answered_in, session))
    return replace(candidate_set, prompt=replace(prompt, origin=origin))


def _consent(trace: Trace) -> Consent:
    """What the author said, in metadata or in a tag; a refusal anywhere counts."""
    said = {str(trace.metadata.get("consent", "")).strip('"').casefold()}
    said |= {tag.casefold().removeprefix("consent:") for tag in trace.tags if ":" in tag}
    return "refused" if "refused" in said else "given" if "given" in said else ""


def _completion(id: str, trace: Trace, answer: Message, usage: Usage) -> Completion:
    return Completion(
        id=id,
        text=answer.content,
        token_ids=(),
        finish_reason="tool_calls" if answer.tool_calls else "stop",
        usage=usage,
        timing=Timing(0.0, trace.seconds),
        backend="langfuse",
        model=trace.model,
        sampling=Sampling(),
        tool_calls=answer.tool_calls,
        trace_id=trace.id,
    )
