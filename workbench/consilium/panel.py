"""Those who speak in a debate, asked one thing at a time: what comes back is a record.

A role with tools answers as an agent; without, by one model call. It knows nothing about
who was asked before: the debate does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.language_models import BaseChatModel

from workbench.approval import Asker
from workbench.consilium import wording
from workbench.consilium.knowledge import RoleKnowledge
from workbench.consilium.record import (
    SYNTHESIS,
    Answer,
    Critique,
    Decision,
    Director,
    Dissent,
    Question,
)
from workbench.consilium.roles import Role
from workbench.consilium.voice import Voice
from workbench.journal import Journal
from workbench.knowledge import Hit
from workbench.records import FinishReason
from workbench.tracing import Tracer

if TYPE_CHECKING:
    from workbench.agents.calls import Calls
    from workbench.agents.state import AgentRun

_FINISH: dict[str, FinishReason] = {"answered": "stop", "terminated": "cancelled"}


class Panel:
    """Roles that share one model, for debates below `folder`. See `Consilium` for the rest."""

    def __init__(
        self,
        model: BaseChatModel,
        tracer: Tracer,
        folder: Path,
        *,
        knowledge: RoleKnowledge | None,
        calls: Callable[[Role], Calls] | None,
        characters: int,
    ) -> None:
        self._model, self._tracer, self._folder = model, tracer, folder
        self._knowledge, self._calls, self._characters = knowledge, calls, characters
        self._voice = Voice(model, tracer)

    def answer(self, question: Question, role: Role, asker: Asker) -> Answer:
        """What a role answers by itself; `asker` decides about calls that need a person."""
        notes = self._knowledge.search(role.name, question.task) if self._knowledge else ()
        messages = wording.to_answer(question, role, notes)
        if self._calls is None or not role.tools:
            reply = self._voice.say(f"{role.name} answers", messages)
            return Answer(role.name, reply.completion, notes, (), reply.usage, reply.seconds)
        system, user = (message.content for message in messages)
        kept = Journal(self._folder / question.id / f"{role.name}.found.jsonl", Hit)
        calls = self._calls(role).telling(lambda hits: kept.append(*hits))
        run = self._as_agent(question, role, calls, system, user, asker)
        completion = self._voice.completion(
            f"{role.name} answers",
            run.answer,
            finish=_FINISH.get(run.finish, "length"),
            usage=run.usage,
            seconds=run.seconds,
            trace_id=run.trace_id,
        )
        noted = {hit.passage.id for hit in notes}
        found = {hit.passage.id: hit for hit in kept if hit.passage.id not in noted}
        shown = (*notes, *found.values())
        return Answer(role.name, completion, shown, run.calls, run.usage, run.seconds)

    def _as_agent(
        self, question: Question, role: Role, calls: Calls, system: str, user: str, asker: Asker
    ) -> AgentRun:
        """A role with tools: its run goes on where it stopped, and repeats no call."""
        from workbench.agents.agent import Agent

        checkpoints = self._folder / question.id / f"{role.name}.sqlite"
        run = f"{question.id}-{role.name}"
        with Agent(
            self._model,
            calls,
            checkpoints,
            self._tracer,
            tools=role.tools,
            system=system,
            name=f"{role.name} answers",
        ) as agent:
            return agent.run(user, id=run, resume=True, asker=asker)

    def criticise(self, question: Question, role: Role, answers: Mapping[str, Answer]) -> Critique:
        """What a role says to all answers. Raises BackendError for a reply of no use."""
        reply = self._voice.fill(
            f"{role.name} criticises",
            wording.to_criticise(question, role, answers),
            wording.critique_form(question),
            self._characters,
        )
        return Critique(
            role=role.name,
            text=reply.value.critique,
            best=question.role(reply.value.best),
            revision=reply.value.revision,
            completion=reply.completion,
            usage=reply.usage,
            seconds=reply.seconds,
        )

    def decide(
        self, question: Question, critiques: Mapping[str, Critique], director: Voice
    ) -> Decision:
        """What the director makes of it. Raises BackendError for a reply of no use."""
        reply = director.fill(
            "director decides",
            wording.to_direct(question, critiques),
            wording.decision_form(question),
            self._characters,
        )
        value = reply.value
        basis = value.basis if value.basis == SYNTHESIS else question.role(value.basis)
        dissent = {
            role: Dissent(role, objection.why, "director")
            for objection in reversed(value.dissent)
            if (role := question.role(objection.answer)) != basis
        }
        return Decision(
            text=value.decision,
            basis=basis,
            reasons=value.reasons,
            dissent=tuple(dissent[role] for role in question.order if role in dissent),
            confidence=value.confidence,
            director=Director(director.where, director.label),
            completion=reply.completion,
            usage=reply.usage,
            seconds=reply.seconds,
        )
