"""Agents: a model with tools that works on tasks, approved call by call, traced to the last one.

    model = agents.BackendChat(backend=backend, sampling=Sampling.greedy())
    calls = agents.Calls(registry, grants, policy, context, tracer)
    with agents.Agent(model, calls, path, tracer, tools=["get_map"]) as agent:
        run = agent.run("Summarize anomalies in boost_target map", asker=Terminal())

Every run survives a kill, and no call that was made is made again. This room knows
nothing about ratings: a run's answer leaves it as a Completion.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.agents.reports import map_report
from workbench.agents.state import AgentRun, Budget, Finish, Made

if TYPE_CHECKING:
    from workbench.agents.agent import Agent, Progress
    from workbench.agents.approval_widget import ApprovalWidget
    from workbench.agents.calls import Calls
    from workbench.agents.chat_model import BackendChat

# Deferred, since LangGraph and anywidget take their time.
_LAZY = {
    "Agent": "agent",
    "ApprovalWidget": "approval_widget",
    "BackendChat": "chat_model",
    "Calls": "calls",
    "Progress": "agent",
}

__all__ = [
    "Agent",
    "AgentRun",
    "ApprovalWidget",
    "BackendChat",
    "Budget",
    "Calls",
    "Finish",
    "Made",
    "Progress",
    "map_report",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
