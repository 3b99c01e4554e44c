"""Approval in the notebook: what a paused run asks, with buttons; the run goes on by a click.

The kernel is the truth: the page is told what is asked and sends an answer to that
one request. Nothing that a model wrote is ever HTML here.

Needs anywidget, so this module is imported when ApprovalWidget is first used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anywidget
import msgspec
import traitlets

from workbench.agents.agent import Agent, Progress
from workbench.agents.state import AgentRun
from workbench.approval import Answer, Decision, canonical
from workbench.errors import SettingsError, WorkbenchError

_HERE = Path(__file__).parent


class _Decide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page may send; `arguments` is JSON as someone wrote it, with "modify"."""

    digest: str
    answer: Answer
    reason: str = ""
    arguments: str = ""


@dataclass(frozen=True)
class Asked:
    """A request as the page shows it; `arguments` is indented JSON."""

    digest: str
    tool: str
    risk: str
    reason: str
    arguments: str
    expires: str
    level: int


@dataclass(frozen=True)
class View:
    """All that the page is told. `log` holds what happened, newest last."""

    serial: int
    state: Literal["asks", "works", "over"]
    task: str
    asked: Asked | None
    log: tuple[str, ...]
    answer: str
    problem: str


class ApprovalWidget(anywidget.AnyWidget):
    """Decide about the calls of a paused run, and see it go on.

        run = agent.run("Mend the failing test")
        widget = ApprovalWidget(agent, run, person="person:anna")
        widget.run                      # the run as it is now

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
        """Follow a decision, then show what the run came to."""
        asked = self.run.request
        if asked is None:
            return
        try:
            said = msgspec.convert(content, _Decide)
            if said.digest != asked.digest:
                return
            decision = self._decision(said)
            self._log.append(f"{said.answer}: {asked.tool}")
            self._publish("works")
            self.run = self._agent.decide(self.run, decision, progress=self._follow)
        except (ValueError, WorkbenchError) as error:
            self._publish("asks", problem=str(error))
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
            self._log.append(progress.text)
            self._publish("works")

    def _publish(self, state: Literal["asks", "works", "over"], problem: str = "") -> None:
        self._serial += 1
        request = self.run.request if state == "asks" else None
        asked = (
            None
            if request is None
            else Asked(
                digest=request.digest,
                tool=request.tool,
                risk=request.risk,
                reason=request.reason,
                arguments=json.dumps(json.loads(request.arguments), indent=2, ensure_ascii=False),
                expires=request.expires,
                level=request.level,
            )
        )
        view = View(
            serial=self._serial,
            state=state,
            task=self.run.task,
            asked=asked,
            log=tuple(self._log),
            answer=self.run.answer if state == "over" else "",
            problem=problem,
        )
        self.view = msgspec.to_builtins(view)
