"""Parts for tests of debates: roles, and a model that says what each role's prompt asks for."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent_parts import READ, SHELL, Scripted
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from pydantic import Field

from workbench import tracing
from workbench.agents.calls import Calls
from workbench.approval import Grants, Policy
from workbench.consilium.debate import Consilium
from workbench.consilium.roles import Role
from workbench.settings import Settings
from workbench.tools import Context

ROLES = {
    name: Role(name, name, f"You are the {name}.", ())
    for name in ("dev", "security", "qa", "architect")
}
NAMES = tuple(ROLES)


class Speaker(BaseChatModel):
    """Answers as the role that the prompt names; `best` is the letter that all hold best.

    `replies` overrides what a role says in a round ("dev answers"): a text, an exception,
    or a list of them for one call after the other. Calls are written to `log`, one line
    each, and the process is killed at call number `dies_at`.
    """

    best: str = "A"
    replies: dict[str, Any] = Field(default_factory=dict)
    asked: list[Any] = Field(default_factory=list)
    log: Path | None = None
    dies_at: int = 0

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **_: Any) -> Any:
        bound = self.bind(schema=schema)
        return RunnableLambda(lambda given: {"raw": bound.invoke(given)})

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        schema = kwargs.get("schema")
        name = self._name(str(messages[-1].content), schema)
        self.asked.append((name, list(messages), schema))
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{name}\n")
        if self.dies_at and len(self.asked) == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        said = self.replies.get(name)
        if isinstance(said, list):
            said = said.pop(0)
        if isinstance(said, Exception):
            raise said
        message = AIMessage(said if said is not None else self._said(name, schema))
        message.usage_metadata = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _name(self, prompt: str, schema: Any) -> str:
        found = re.findall(r"You are asked as: (\w+)\.", prompt)
        if not found:
            return "director decides"
        return f"{found[-1]} {'answers' if schema is None else 'criticises'}"

    def _said(self, name: str, schema: Any) -> str:
        role, what = name.split()
        if what == "answers":
            return f"The plan number {NAMES.index(role) + 1}."
        if what == "criticises":
            revision = f"The better plan number {NAMES.index(role) + 1}."
            return critique(best=self.best, critique="Too short.", revision=revision)
        return decision(basis=self.best)


def critique(**fields: Any) -> str:
    return json.dumps({"critique": "Fine.", "best": "A", "revision": "So.", **fields})


def decision(**fields: Any) -> str:
    given = {
        "reasons": ["It is simple."],
        "basis": "A",
        "decision": "Do it.",
        "dissent": [],
        "confidence": 70,
    }
    return json.dumps({**given, **fields}, ensure_ascii=False)


def consilium(folder: Path, model: BaseChatModel, **options: Any) -> Consilium:
    """Debates in `folder`, traced to spans.jsonl there."""
    settings = options.pop("settings", None) or Settings(root=folder, home=folder / "home")
    tracer = tracing.Tracer(folder / "spans.jsonl", settings)
    return Consilium(model, folder / "debates", tracer, settings, **{"roles": ROLES, **options})


def tooled(
    tmp_path: Path, script: list[Any], policy: Policy = Policy()
) -> tuple[Consilium, Scripted, list[str]]:
    """A consilium whose role dev has tools and whose model follows a script; what its shell ran."""
    settings = Settings(root=tmp_path, home=tmp_path / "home")
    tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
    ran: list[str] = []

    def run(arguments, context):
        ran.append(arguments["command"])
        return {"ran": arguments["command"]}

    found = {"look": READ, "shell": replace(SHELL, run=run)}

    class Few:
        get = staticmethod(found.__getitem__)

    def calls(role):
        grants = Grants(tmp_path / "grants.sqlite")
        context = Context(settings, tmp_path)
        return Calls(Few(), grants, policy, context, tracer)  # type: ignore[arg-type]

    roles = {**ROLES, "dev": replace(ROLES["dev"], tools=("look", "shell"))}
    model = Scripted(script=script)
    return consilium(tmp_path, model, roles=roles, calls=calls), model, ran


def spans(folder: Path) -> list[tracing.SpanRecord]:
    return tracing.read(folder / "spans.jsonl")
