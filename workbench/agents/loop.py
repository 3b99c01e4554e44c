"""The loop as a LangGraph graph: plan, ask the model, make its calls one by one, answer.

    plan -> model -> act -> act -> model -> answer
                 ^______________|

Each box is one checkpointed step: killed anywhere, a run goes on behind the last one
that was over. A step that asks for a decision pauses the graph.

Knows nothing about approval rules or tools (that is `Calls`), nor where state is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import RetryPolicy, interrupt

from workbench.agents.calls import Calls, Told
from workbench.agents.fitting import shorter
from workbench.agents.state import Budget, Finish
from workbench.agents.unreadable import all_unreadable, taken_in, why_unreadable
from workbench.approval import Request
from workbench.errors import ContextError, ServerError
from workbench.records import Tool, ToolCall
from workbench.tracing import Place, Tracer

Schema = Mapping[str, Any]
AnswerSchema = Callable[[Sequence[str]], Schema | None]
"""From the results of the calls that succeeded to the JSON Schema of the answer."""

Model = Runnable[Any, Any]

_PLAN = (
    "Plan how to do this task. Name, in order, the tools that have to be called, "
    "and why. Name none if none is needed."
)
_CUT = (
    "This call was longer than an answer may be and was cut, so it was not made. "
    "Ask for less at a time."
)
_SPENT = "The time or the tokens for this task are used up, so this call was not made."
_ANSWER = "Now answer the task from what is known."
_COUNTED = ("prompt_tokens", "cached_tokens", "completion_tokens")


class State(TypedDict):
    """What is kept between steps. `plan` holds the tools still to be called, in order."""

    messages: Annotated[list[AnyMessage], add_messages]
    plan: list[str]
    steps: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    calls: list[dict[str, str]]
    finish: Finish | None
    trace: dict[str, str]


@dataclass(frozen=True)
class Job:
    """What one run is about: the tools it may use, how it begins, how its answer must look.

    With `plans` the model first says which tools it will call, at least `least_calls`
    steps of them, and then has to call each of those once; without, it decides as it goes.
    """

    run: str
    tools: tuple[Tool, ...]
    budget: Budget
    plans: bool
    least_calls: int
    answer: AnswerSchema


def build(
    model: BaseChatModel, calls: Calls, job: Job, tracer: Tracer
) -> StateGraph[State, None, State, State]:
    """The graph of one run, to be compiled with a checkpointer."""
    nodes = _Nodes(model, calls, job, tracer)
    graph: StateGraph[State, None, State, State] = StateGraph(State)
    patient = RetryPolicy(
        initial_interval=0.5, backoff_factor=2, max_attempts=4, retry_on=_may_pass
    )
    graph.add_node("plan", nodes.plan, retry_policy=patient)
    graph.add_node("model", nodes.model, retry_policy=patient)
    graph.add_node("act", nodes.act)
    graph.add_node("answer", nodes.answer, retry_policy=patient)
    graph.add_edge(START, "plan" if job.plans and job.tools else "model")
    graph.add_conditional_edges("plan", nodes.after_plan, ["model", "answer"])
    graph.add_conditional_edges("model", nodes.after_model, ["act", "answer", END])
    graph.add_conditional_edges("act", nodes.after_act, ["act", "model", "answer", END])
    graph.add_edge("answer", END)
    return graph


def beginning(messages: Sequence[AnyMessage], trace: Place) -> State:
    """The state of a run that has not begun; its spans are to stand under `trace`."""
    return State(
        messages=list(messages),
        plan=[],
        steps=0,
        prompt_tokens=0,
        cached_tokens=0,
        completion_tokens=0,
        seconds=0.0,
        calls=[],
        finish=None,
        trace=asdict(trace),
    )


def waiting_call(messages: Sequence[AnyMessage]) -> tuple[ToolCall, int] | None:
    """The first call that nothing came of yet, and how many came before it in the run."""
    done = sum(isinstance(message, ToolMessage) for message in messages)
    said = _said(messages)
    if not said:
        return None
    at = done - sum(len(message.tool_calls) for message in said[:-1])
    if at >= len(said[-1].tool_calls):
        return None
    call = said[-1].tool_calls[at]
    arguments = json.dumps(call["args"], ensure_ascii=False)
    return ToolCall(call["id"] or f"call-{done}", call["name"], arguments), done


def as_function(tool: Tool) -> dict[str, Any]:
    """A tool in the form that every LangChain model takes: OpenAI's."""
    return {"type": "function", "function": asdict(tool)}


class _Nodes:
    def __init__(self, model: BaseChatModel, calls: Calls, job: Job, tracer: Tracer) -> None:
        self._model, self._calls, self._job, self._tracer = model, calls, job, tracer

    # --- steps --------------------------------------------------------------

    def plan(self, state: State) -> dict[str, Any]:
        """Ask which tools to call; the plan is bound to the names of those on offer."""
        names = [tool.name for tool in self._job.tools]
        step = {
            "type": "object",
            "properties": {
                "tool": {"enum": names},
                "why": {"type": "string", "maxLength": 80},
            },
            "required": ["tool", "why"],
            "additionalProperties": False,
        }
        schema = {
            "title": "plan",
            "description": "The tools to be called, in order.",
            "type": "object",
            "properties": {
                "steps": {
                    "type": "array",
                    "items": step,
                    "minItems": self._job.least_calls,
                    "maxItems": max(self._job.least_calls, 4),
                }
            },
            "required": ["steps"],
            "additionalProperties": False,
        }
        offered = "\n".join(f"- {tool.name}: {tool.description}" for tool in self._job.tools)
        asked = HumanMessage(f"{_PLAN}\n{offered}")
        bound = self._model.with_structured_output(schema, include_raw=True)
        message, used = self._ask("plan", state, [*state["messages"], asked], bound)
        found = _read(message)
        steps = found.get("steps") if isinstance(found, dict) else None
        # Models of others may be bound to less.
        read = steps if isinstance(steps, list) else []
        named = [step.get("tool") for step in read if isinstance(step, dict)]
        # Each tool once: small models repeat their first step until the list is full.
        return {**used, "plan": list(dict.fromkeys(name for name in named if name in names))}

    def model(self, state: State) -> dict[str, Any]:
        """Let the model call tools or answer."""
        # A run may go on with fewer tools than it planned with.
        names = {tool.name for tool in self._job.tools}
        plan = [name for name in state["plan"] if name in names]
        planned = plan[0] if plan else None
        model: Model = self._model
        if self._job.tools:
            offered = [as_function(tool) for tool in self._job.tools]
            owed = self._job.plans and len(state["calls"]) < self._job.least_calls
            choice = planned or ("any" if owed else "auto")  # a plan may have been cut off
            model = self._model.bind_tools(offered, tool_choice=choice)
        said, used = self._ask("model", state, state["messages"], model)
        message = taken_in(said)
        finish = "tokens" if _was_cut(message) and not message.tool_calls else None
        left = plan if all_unreadable(message) else plan[1:]
        return {**used, "messages": [message], "plan": left, "finish": finish}

    def act(self, state: State) -> dict[str, Any]:
        """Make the first call that waits.

        The ledger of calls may be that of many agents, so there a run has the name of the span
        that began it beside its own: a name that is used twice is that of two runs.
        """
        waiting = waiting_call(state["messages"])
        assert waiting is not None  # the edges lead here only with one
        call, number = waiting
        run = f"{self._job.run} {state['trace']['id']}"
        began = time.monotonic()
        told: Told | Request
        if reason := self._unfit(state, call):
            told = self._calls.refuse(call, reason)
        else:
            told = self._calls.make(call, run=run, step=number)
        while isinstance(told, Request):
            # Whoever goes on has written a decision down; what comes back says no more.
            interrupt(asdict(told))
            told = self._calls.make(call, run=run, step=number)
        made = {"tool": call.name, "arguments": call.arguments, "state": told.state}
        status = "success" if told.state == "succeeded" else "error"
        return {
            "messages": [
                ToolMessage(told.text, tool_call_id=call.id, name=call.name, status=status)
            ],
            "calls": [*state["calls"], made],
            "seconds": state["seconds"] + time.monotonic() - began,
            "finish": "terminated" if told.ends_run else None,
        }

    def answer(self, state: State) -> dict[str, Any]:
        """The answer that ends the run, bound to its schema where there is one."""
        schema = self._job.answer(_results(state))
        model: Model = self._model
        if schema is not None:
            # LangChain's own way of binding an answer calls it by its title.
            about = {"title": "answer", "description": "The answer to the task."}
            model = self._model.with_structured_output({**about, **schema}, include_raw=True)
        asked = [*state["messages"], HumanMessage(_ANSWER)]
        message, used = self._ask("answer", state, asked, model)
        finish = "tokens" if _was_cut(message) else self._spent(state) or "answered"
        return {**used, "messages": [message], "finish": finish}

    def _unfit(self, state: State, call: ToolCall) -> str:
        """Why nothing may come of a call, whoever approves it; "" where nothing speaks against."""
        said = _said(state["messages"])[-1]
        if _was_cut(said):
            return _CUT
        if why := why_unreadable(said, call.id):
            return why
        if call.name not in {tool.name for tool in self._job.tools}:
            return f"There is no tool {call.name!r} here. Use one that was offered."
        return _SPENT if self._exhausted(state) else ""

    # --- where it goes from there -------------------------------------------

    def after_model(self, state: State) -> str:
        """To the calls; without any to the end, by way of a bound answer where one is wanted."""
        if waiting_call(state["messages"]) is not None:
            return "act"
        return "answer" if self._wants_answer(state) else END

    def after_act(self, state: State) -> str:
        """To the next call, back to the model, or out."""
        if state["finish"] == "terminated":
            return END
        if waiting_call(state["messages"]) is not None:
            return "act"
        planned_all = self._job.plans and not state["plan"]
        return "answer" if planned_all or self._spent(state) else "model"

    def after_plan(self, state: State) -> str:
        """To the model, unless planning has used up what there was."""
        return "answer" if self._spent(state) else "model"

    def _wants_answer(self, state: State) -> bool:
        return self._job.answer(_results(state)) is not None

    def _spent(self, state: State) -> Finish | None:
        tokens = state["prompt_tokens"] - state["cached_tokens"] + state["completion_tokens"]
        return self._job.budget.spent(state["steps"], tokens, state["seconds"])

    def _exhausted(self, state: State) -> bool:
        """Whether tokens or time are used up; steps count the model's, and it has made its own."""
        return self._spent({**state, "steps": 0}) is not None

    # --- the model -----------------------------------------------------------

    def _ask(
        self, name: str, state: State, messages: Sequence[AnyMessage], model: Model
    ) -> tuple[AIMessage, dict[str, Any]]:
        """One answer of the model, and what it adds to the state's counts.

        An answer that ran out of room is asked for again with less to read, while the budget
        lasts; what it cost counts.
        """
        began = time.monotonic()
        known: Mapping[str, Any] = state
        counts: Any = {name: known[name] for name in _COUNTED}
        with self._tracer.span("chain", name):
            for message in _attempts(model, list(messages)):
                used: Mapping[str, Any] = message.usage_metadata or {}
                cached = used.get("input_token_details", {}).get("cache_read", 0)
                tokens = (used.get("input_tokens", 0), cached, used.get("output_tokens", 0))
                for count, n in zip(_COUNTED, tokens, strict=True):
                    counts[count] += n
                counts["seconds"] = state["seconds"] + time.monotonic() - began
                if self._exhausted({**state, **counts}):
                    break
        return message, {**counts, "steps": state["steps"] + 1}


def _attempts(model: Model, messages: list[AnyMessage]) -> Iterator[AIMessage]:
    """What the model says; again, with shorter results of tools, while it lacked room."""
    while True:
        fewer = shorter(messages)
        try:
            said = model.invoke(messages)
        except ContextError:
            if fewer is None:
                raise
        else:
            message = _as_text(said) if isinstance(said, dict) else said
            yield message
            if fewer is None or not _lacked_room(message):
                return
        messages = fewer


def _as_text(said: Mapping[str, Any]) -> AIMessage:
    """A bound answer as text, in whichever way it came: LangChain's default is a tool call."""
    message: AIMessage = said["raw"]
    if not message.tool_calls and not message.invalid_tool_calls:
        return message
    read = said["parsed"]
    kept = {k: v for k, v in message.additional_kwargs.items() if k != "tool_calls"}
    return message.model_copy(
        update={
            "content": str(message.text) if read is None else json.dumps(read, ensure_ascii=False),
            "additional_kwargs": kept,  # calls would be read from there when it is loaded
            "tool_calls": [],
            "invalid_tool_calls": [],
        }
    )


def _lacked_room(message: AIMessage) -> bool:
    """Whether the model's context ended an answer, and not the length it may have."""
    used = message.usage_metadata
    context = message.response_metadata.get("context")
    return bool(used and context and _was_cut(message) and used["total_tokens"] >= context)


def _results(state: State) -> list[str]:
    return [
        str(message.content)
        for message in state["messages"]
        if isinstance(message, ToolMessage) and message.status == "success"
    ]


def _said(messages: Sequence[AnyMessage]) -> list[AIMessage]:
    return [message for message in messages if isinstance(message, AIMessage)]


def _was_cut(message: AIMessage) -> bool:
    """Whether an answer, or an argument of a call in it, was ended by force; see `Backend.chat`."""
    return bool(message.response_metadata.get("finish_reason") == "length")


def _read(message: AIMessage) -> Any:
    """The JSON of a bound answer; None where it was cut off."""
    try:
        return json.loads(str(message.text))
    except (ValueError, RecursionError):
        return None


def _may_pass(error: Exception) -> bool:
    """Whether asking again may help: a server in trouble, not a request that is wrong."""
    from httpx import TransportError

    return isinstance(error, ServerError | ConnectionError | TimeoutError | TransportError)
