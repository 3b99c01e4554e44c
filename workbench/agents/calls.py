"""One tool call from the model's words to what the model is told: approved, run once, traced.

What a model asks for goes through here and nowhere else. A call is decided about by
the policy or by whoever is asked; only then does it run, with exactly the arguments
that were approved; its outcome is written down before the model sees it, with the
secrets of the settings blotted out. A call that was under way when the process was
killed is not repeated, unless its tool only reads.

Knows nothing about models and graphs: whoever can't get a decision now is handed the
request, and comes again with the decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from workbench import tools
from workbench.approval import (
    Asker,
    Decision,
    Grants,
    Policy,
    Record,
    Request,
    canonical,
    request,
)
from workbench.errors import ApprovalError, InputError, ToolError
from workbench.records import ToolCall
from workbench.tools import Context, Definition, Registry
from workbench.tracing import Tracer
from workbench.tracing.spans import blot

if TYPE_CHECKING:
    from workbench.knowledge import Hit

INTERRUPTED = (
    "This call was under way when the process ended. Nobody knows whether it had its effect, "
    "and it was not repeated. Look before you ask for it again."
)
_LATE = "no answer came in time"


@dataclass(frozen=True)
class Told:
    """What the model is told of a call; `ends_run` where whoever decided wants no more of it."""

    text: str
    state: Literal["succeeded", "failed", "refused"]
    ends_run: bool = False


class Calls:
    """Runs the calls of agents' runs.

    told = calls.make(call, run="run-1", step=3)
    if isinstance(told, Request):                        # someone has to decide
        calls.decide(Decision(told.digest, "approve", "person:anna"))
        told = calls.make(call, run="run-1", step=3)
    """

    def __init__(
        self,
        registry: Registry,
        grants: Grants,
        policy: Policy,
        context: Context,
        tracer: Tracer,
    ) -> None:
        self.registry = registry
        self._grants, self._policy = grants, policy
        self._context, self._tracer = context, tracer

    def telling(self, found: Callable[[Sequence[Hit]], object]) -> Calls:
        """The same calls; `found` is told what a search finds before the model is."""
        search = self._context.search
        if search is None:
            return self

        def told(query: str, k: int) -> Sequence[Hit]:
            hits = search(query, k)
            found(hits)
            return hits

        context = replace(self._context, search=told)
        return Calls(self.registry, self._grants, self._policy, context, self._tracer)

    def make(self, call: ToolCall, *, run: str, step: int) -> Told | Request:
        """What came of the call; the request where nobody has decided about it yet.

        `run` and `step` name the place where the model asked: the same place again is
        the same call, which runs no second time. A request that expired is refused.
        """
        try:
            definition = self.registry.get(call.name)
            arguments = tools.read_arguments(definition, call.arguments)
        except (InputError, ToolError) as error:  # no such tool, or arguments that don't fit
            return self._refuse(call.name, call.arguments, str(error), {})
        record = self._decided(definition, arguments, run, step)
        if record.state == "asked" and not record.request.seconds_left:
            record = self._refuse_unanswered(record.request, _LATE)
        if record.state == "asked":
            return record.request
        if record.state == "refused":
            return self._refused(record)
        if record.state in ("succeeded", "failed"):
            return Told(record.outcome, "failed" if record.state == "failed" else "succeeded")
        return self._run(definition, record)

    def refuse(self, call: ToolCall, reason: str) -> Told:
        """Make nothing of a call that can't be what was meant; the model is told the reason."""
        return self._refuse(call.name, call.arguments, reason, {})

    def decide(self, decision: Decision) -> Record:
        """Write down what whoever was asked answered.

        Raises ApprovalError as `Grants.decide` does, and ToolError where changed
        arguments don't fit the tool.
        """
        if decision.arguments is not None:
            asked = self._grants.look(decision.digest).request
            tools.read_arguments(self.registry.get(asked.tool), decision.arguments)
        return self._grants.decide(decision)

    def ask(self, request: Request, asker: Asker | None) -> None:
        """Write down what the asker says; no answer, a late or an unusable one is a refusal."""
        decision = None if asker is None else asker.ask(request)
        reason = _LATE if asker else "nobody can be asked here"
        if decision is not None:
            try:
                self.decide(decision)
                return
            except (ApprovalError, ToolError) as error:
                reason = str(error)
        self._refuse_unanswered(request, reason)

    def _refuse_unanswered(self, request: Request, reason: str) -> Record:
        """Refuse in nobody's name; what someone decided or escalated meanwhile stands."""
        with suppress(ApprovalError):
            if self._grants.look(request.digest).request.level == request.level:
                self.decide(Decision(request.digest, "reject", "nobody", reason))
        return self._grants.look(request.digest)

    def _decided(
        self, definition: Definition, arguments: dict[str, Any], run: str, step: int
    ) -> Record:
        """What is known of the call, after the policy had its say."""
        ruled = self._policy.rule(definition, arguments)
        asked = request(
            definition,
            arguments,
            run=run,
            step=step,
            reason=ruled.reason,
            wait_s=self._policy.wait_s,
        )
        record = self._grants.ask(asked)
        if record.state == "granted" and ruled.ruling in ("reject", "terminate"):
            # Approved before the process died, and by now the policy is another.
            refusal = Decision(asked.digest, ruled.ruling, "policy", ruled.reason)
            return replace(record, decision=refusal, state="refused")
        if record.state != "asked" or ruled.ruling == "ask":
            return record
        if ruled.ruling == "escalate" and record.request.level:  # it was escalated before
            return record
        changed = canonical(ruled.arguments) if ruled.ruling == "modify" else None
        try:
            return self.decide(
                Decision(asked.digest, ruled.ruling, "policy", ruled.reason, changed)
            )
        except ToolError as error:  # what the policy sets doesn't fit the tool
            return self.decide(Decision(asked.digest, "reject", "policy", str(error)))

    def _run(self, definition: Definition, record: Record) -> Told:
        grant = record.grant
        assert grant is not None  # the states that have none returned before
        secrets = self._context.settings.secrets
        about = {"approval": record.decision, "digest": grant.digest, "risk": definition.risk}
        with self._tracer.span("tool", grant.tool, input=grant.arguments) as span:
            if record.state == "granted":
                try:
                    self._grants.use(grant)
                except ApprovalError as error:
                    span.fail(error, metadata=about)
                    return Told(str(error), "refused")
            elif definition.risk != "read":
                self._grants.finish(grant, INTERRUPTED, failed=True)
                span.fail(INTERRUPTED, metadata=about)
                return Told(INTERRUPTED, "failed")
            try:
                result = tools.call(definition, grant.arguments, self._context)
            except ToolError as error:
                text = blot(str(error), secrets)
                self._grants.finish(grant, text, failed=True)
                span.fail(error, metadata=about)
                return Told(text, "failed")
            result = blot(result, secrets)
            text = json.dumps(result, ensure_ascii=False)
            self._grants.finish(grant, text, failed=False)
            span.finish(output=result, metadata=about)
        return Told(text, "succeeded")

    def _refused(self, record: Record) -> Told:
        decision = record.decision
        assert decision is not None
        who = "Nobody was there to approve it" if decision.by == "nobody" else "It was refused"
        text = f"{who}: {decision.reason}" if decision.reason else who
        told = self._refuse(
            record.request.tool,
            record.request.arguments,
            f"{text}. Do without it, or ask for something else.",
            {"approval": decision, "digest": decision.digest, "risk": record.request.risk},
        )
        return Told(told.text, "refused", ends_run=decision.answer == "terminate")

    def _refuse(self, tool: str, arguments: str, text: str, about: dict[str, Any]) -> Told:
        with self._tracer.span("tool", tool, input=arguments) as span:
            span.fail(text, metadata=about)
        return Told(text, "refused")
