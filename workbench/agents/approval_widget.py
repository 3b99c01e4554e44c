"""Approval in the notebook: what a paused run asks, with buttons; the run goes on by a click.

The kernel is the truth: the page is told what is asked and sends an answer to that
one request. Nothing that a model wrote is ever HTML here, and nothing hides in it.

Needs anywidget, so this module is imported when ApprovalWidget is first used.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anywidget
import msgspec
import traitlets

from workbench.agents.agent import Agent, Progress
from workbench.agents.state import AgentRun
from workbench.approval import Answer, Decision, canonical
from workbench.characters import escaped
from workbench.errors import InputError, SettingsError, ToolError, WorkbenchError

_HERE = Path(__file__).parent


class _Decide(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="decide"
):
    """A decision of the page; `arguments` is JSON as someone wrote it, with "modify"."""

    digest: str
    answer: Answer
    reason: str = ""
    arguments: str = ""


class _GoOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="go on"):
    """The page's wish to go on with a run that an error stopped."""


State = Literal["asks", "works", "stopped", "over"]
"""stopped: an error ended the work on the run, which can go on from where it was."""


@dataclass(frozen=True)
class Asked:
    """A request as the page shows it; `arguments` is indented JSON, all hidden in it escaped."""

    digest: str
    tool: str
    risk: str
    reason: str
    arguments: str
    expires: str
    level: int


_DECIDED = {
    "approve": "You approved",
    "modify": "You changed and approved",
    "reject": "You refused",
    "escalate": "You passed on",
    "terminate": "You ended the run at",
}
_DONE = {
    "plan": "The model planned",
    "model": "The model wrote",
    "act": "The call was dealt with",
    "answer": "The model answered",
}


@dataclass(frozen=True)
class View:
    """All that the page is told. `log` holds what happened, newest last."""

    serial: int
    state: State
    task: str
    asked: Asked | None
    log: tuple[str, ...]
    answer: str
    problem: str


class ApprovalWidget(anywidget.AnyWidget):
    """Decide about the calls of a paused run, and see it go on.

        run = agent.run("Mend the failing test")
        widget = ApprovalWidget(agent, run, person="person:anna")
        widget.run                      # the run as it was when it last paused or ended

    `person` is who decides, `person:NAME`. Raises SettingsError for another form.
    """

    _esm = _HERE / "approval_widget.js"
    _css = _HERE / "approval_widget.css"

    view = traitlets.Dict().tag(sync=True)

    def __init__(self, agent: Agent, run: AgentRun, person: str) -> None:
        if not person.startswith("person:") or not person.removeprefix("person:").strip():
            raise SettingsError(f"{person!r} is no person", 'Name who decides "person:NAME"')
        self.run = run
        self._agent, self._person = agent, person
        self._serial = 0
        self._log: list[str] = []
        super().__init__()
        self._publish("asks" if run.request is not None else "over")
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Follow what was clicked, unless the page showed something else by then."""
        state, asked = self.view["state"], self.run.request
        try:
            said = msgspec.convert(content, _Decide | _GoOn)
            decision = self._decision(said) if isinstance(said, _Decide) else None
        except (ValueError, RecursionError, InputError) as error:
            self._publish(state, problem=str(error))
            return
        if decision is None:
            if state == "stopped":
                self._advance(lambda: self._agent.go_on(self.run.id, progress=self._follow))
        elif state == "asks" and asked is not None and decision.digest == asked.digest:
            self._log.append(f"{_DECIDED[decision.answer]} {asked.tool}")
            self._advance(lambda: self._agent.decide(self.run, decision, progress=self._follow))

    def _advance(self, work: Callable[[], AgentRun]) -> None:
        """Show what the run comes to. After an error nobody is asked: the call may have run."""
        self._publish("works")
        try:
            self.run = work()
        except ToolError as error:  # changed arguments that don't fit: nothing was decided
            self._publish("asks", problem=str(error))
        except WorkbenchError as error:
            self._publish("stopped", problem=str(error))
        except BaseException as error:  # also an interrupt of the kernel
            self._publish("stopped", problem=f"{type(error).__name__}: {error}")
            raise
        else:
            self._publish("asks" if self.run.request is not None else "over")

    def _decision(self, said: _Decide) -> Decision:
        arguments = None
        if said.answer == "modify":
            given = json.loads(said.arguments)
            if not isinstance(given, dict):
                raise ValueError("The arguments are no JSON object")
            arguments = canonical(given)
        return Decision(said.digest, said.answer, self._person, said.reason, arguments)

    def _follow(self, progress: Progress) -> None:
        if progress.kind == "step":
            self._log.append(_DONE[progress.text])
            self._publish("works")

    def _publish(self, state: State, problem: str = "") -> None:
        self._serial += 1
        request = self.run.request if state == "asks" else None
        asked = (
            None
            if request is None
            else Asked(
                digest=request.digest,
                tool=request.tool,
                risk=request.risk,
                reason=escaped(request.reason),
                arguments=escaped(
                    json.dumps(json.loads(request.arguments), indent=2, ensure_ascii=False)
                ),
                expires=request.expires,
                level=request.level,
            )
        )
        view = View(
            serial=self._serial,
            state=state,
            task=escaped(self.run.task),
            asked=asked,
            log=tuple(map(escaped, self._log)),
            answer=escaped(self.run.answer) if state == "over" else "",
            problem=escaped(problem),
        )
        self.view = msgspec.to_builtins(view)
