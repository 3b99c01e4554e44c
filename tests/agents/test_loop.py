"""The loop: what the model says is done, once, as approved, and survives a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import tiny_models
from agent_parts import END, READ, SHELL, Deltas, Few, Scripted, calling
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from workbench import trace_view, tracing
from workbench.agents.agent import Agent, Progress
from workbench.agents.calls import INTERRUPTED, Calls
from workbench.agents.chat_model import BackendChat
from workbench.agents.state import AgentRun, Budget
from workbench.approval import Decision, Grants, InTurn, Policy, Rule
from workbench.approval.grants import GOOD_S
from workbench.backends.constraint import Grammars
from workbench.errors import (
    ApprovalError,
    BackendError,
    ContextError,
    InputError,
    ServerError,
    ToolError,
)
from workbench.models import Tokenizer
from workbench.records import Delta, ToolCall
from workbench.settings import Settings
from workbench.tools import Context

FREE = Policy((Rule("approve"),))
LOOK = ("look", {"key": "a"})


@pytest.fixture
def bench(tmp_path: Path):
    """`bench(script)`: an agent whose model follows a script; its parts lie in tmp_path."""
    settings = Settings(root=tmp_path, home=tmp_path / "home")
    opened: list[Agent] = []

    def make(
        script: list,
        policy: Policy = FREE,
        definitions=(READ, SHELL),
        model=Scripted,
        checkpoints="runs.sqlite",
        **options,
    ) -> Agent:
        tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
        context = Context(settings, tmp_path)
        grants = Grants(tmp_path / "grants.sqlite")
        calls = Calls(Few(*definitions), grants, policy, context, tracer)  # type: ignore[arg-type]
        names = [definition.name for definition in definitions]
        agent = Agent(
            model(script=script),
            calls,
            tmp_path / checkpoints,
            tracer,
            **{"tools": names, **options},
        )
        opened.append(agent)
        return agent

    yield make
    for agent in opened:
        agent.close()


def spans(tmp_path: Path) -> list[tracing.SpanRecord]:
    return tracing.read(tmp_path / "spans.jsonl")


def test_a_model_that_answers_is_done(bench):
    run = bench(["Blue."]).run("What colour?")
    assert (run.answer, run.finish, run.steps, run.calls) == ("Blue.", "answered", 1, ())
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (10, 5)


def test_calls_are_made_in_order_and_told(bench):
    agent = bench([calling(("look", {"key": "a"}), ("shell", {"command": "ls"})), "Done."])
    run = agent.run("Look, then list.")
    assert [(c.tool, c.state) for c in run.calls] == [("look", "succeeded"), ("shell", "succeeded")]
    told = [m.content for m in agent._model.asked[-1] if m.type == "tool"]
    assert [json.loads(text) for text in told] == [{"found": "a"}, {"ran": "ls"}]
    assert run.answer == "Done."


def test_a_call_that_was_cut_is_not_made(bench, tmp_path):
    cut = calling(("shell", {"command": "rm -r build/"}), ("look", {"key": "a"}))
    cut.response_metadata = {"finish_reason": "length"}
    agent = bench([cut, "Sorry."])
    run = agent.run("Clean up.")
    assert [(c.tool, c.state) for c in run.calls] == [("shell", "refused"), ("look", "refused")]
    told = [m.content for m in agent._model.asked[-1] if m.type == "tool"]
    assert all("was cut" in text for text in told)
    assert [span.error for span in spans(tmp_path) if span.kind == "tool"] == told


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("fly", {}), "There is no tool 'fly'"),
        (("look", {}), "don't fit"),
        (("look", {"key": 7}), "don't fit"),
        (("look", {"key": "a", "more": 1}), "don't fit"),
    ],
)
def test_a_call_that_can_not_be_made_is_told_and_nothing_runs(bench, call, told):
    agent = bench([calling(call), "Sorry."])
    run = agent.run("Try.")
    assert [c.state for c in run.calls] == ["refused"]
    assert told in agent._model.asked[-1][-1].content
    assert run.answer == "Sorry."


def broken(text: str | None, name: str | None = "look") -> AIMessage:
    """A message with a call that LangChain could not read."""
    call: Any = {"type": "invalid_tool_call", "id": None, "error": None, "name": name, "args": text}
    return AIMessage("", invalid_tool_calls=[call])


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (broken('{"key": '), ["look"]),
        (broken(None, None), ["unknown"]),
        (broken('{"key": ').model_copy(update={"tool_calls": calling(LOOK).tool_calls}), ["look"]),
    ],
)
def test_a_call_that_can_not_be_read_is_told_and_the_model_is_asked_again(bench, said, refused):
    agent = bench([said, calling(LOOK), "Done."])
    run = agent.run("Look.")
    made = ["succeeded"] * len(said.tool_calls)
    assert [c.state for c in run.calls] == [*made, "refused", "succeeded"]
    assert [c.tool for c in run.calls if c.state == "refused"] == refused
    assert (run.answer, run.finish) == ("Done.", "answered")
    asked, *told = agent._model.asked[1][2:]
    assert "could not be read" in told[-1].content
    assert [call["id"] for call in asked.tool_calls] == [each.tool_call_id for each in told]
    assert asked.invalid_tool_calls == []


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (nested(90), "succeeded"),
        (2**64 - 1, "succeeded"),
        (-(2**63), "succeeded"),
        (nested(300), "refused"),
        (json.loads("[" * 900 + "]" * 900), "refused"),
        (2**64, "refused"),
        ([{"a": -(2**63) - 1}], "refused"),
        ({"\ud800": 1}, "refused"),
        ("\ud800", "refused"),
    ],
    ids=lambda value: str(value)[:9],
)
def test_a_call_that_no_checkpoint_can_keep_is_refused(bench, value, state):
    free = replace(READ, parameters={"type": "object"})
    asked = calling(("look", {"key": value}))
    asked.content = [{"type": "tool_use", "input": {"key": value}}, {"type": "text", "text": "Hm."}]
    agent = bench([asked, "Done."], definitions=(free,))
    run = agent.run("Look.", id="r1")
    assert ([c.state for c in run.calls], run.answer) == ([state], "Done.")
    assert bench([], definitions=(free,)).go_on("r1") == run
    if state == "refused":
        assert "Call again" in agent._model.asked[-1][-1].content


@pytest.mark.parametrize("part", ["name", "id"])
def test_a_call_with_half_a_character_in_its_name_is_refused(bench, part):
    asked = calling(("look", {"key": "a"}))
    asked.tool_calls[0][part] = "look\ud800"
    run = bench([asked, "Done."]).run("Look.")
    assert ([c.state for c in run.calls], run.answer) == (["refused"], "Done.")
    invalid = bench([broken("{", "look\ud800"), "Done."]).run("Look.")
    assert ([c.tool for c in invalid.calls], invalid.answer) == (["unknown"], "Done.")


def test_calls_that_can_not_be_read_end_with_the_steps(bench):
    agent = bench([*(broken("{") for _ in range(3)), "What I have."], budget=Budget(steps=3))
    run = agent.run("Look.")
    assert (run.finish, run.answer, len(run.calls)) == ("steps", "What I have.", 3)
    told = [m.tool_call_id for m in agent._model.asked[-1] if m.type == "tool"]
    assert len(set(told)) == 3


def test_a_planned_call_that_can_not_be_read_is_asked_for_again(bench):
    plan = json.dumps({"steps": [{"tool": "look", "why": "a"}]})
    agent = bench([plan, broken("{"), calling(LOOK), "Done."], plans=True, least_calls=1)
    run = agent.run("Look.")
    assert [c.state for c in run.calls] == ["refused", "succeeded"]
    assert [o.get("tool_choice") for o in agent._model.options] == [None, "look", "look", None]
    assert run.answer == "Done."


def test_a_tool_that_fails_is_told(bench):
    def fail(arguments, context):
        raise InputError("The disk is full", "Make room")

    agent = bench([calling(("look", {"key": "a"})), "Ok."], definitions=(replace(READ, run=fail),))
    assert agent.run("Look.").calls[0].state == "failed"
    assert "The disk is full" in agent._model.asked[-1][-1].content


def test_a_call_that_needs_a_decision_pauses_the_run(bench, tmp_path):
    agent = bench([calling(("shell", {"command": "ls"})), "Done."], Policy())
    run = agent.run("List.")
    assert (run.finish, run.calls, run.answer) == ("waiting", (), "")
    assert run.request is not None
    assert run.request.arguments == '{"command": "ls"}'
    run = agent.decide(run, Decision(run.request.digest, "approve", "person:anna"))
    assert (run.finish, run.calls[0].state, run.answer) == ("answered", "succeeded", "Done.")
    [tool] = [span for span in spans(tmp_path) if span.kind == "tool"]
    assert tool.metadata["approval"]["by"] == "person:anna"
    assert len({span.trace_id for span in spans(tmp_path)}) == 1


def test_a_paused_run_goes_on_in_another_process_and_on_another_day(bench):
    run = bench([calling(("shell", {"command": "ls"}))], Policy()).run("List.", id="r1")
    later = bench(["Done."], Policy())
    assert later.go_on("r1").request == run.request
    done = later.decide(run, Decision(run.request.digest, "approve", "person:anna"))
    assert done.answer == "Done."
    assert later.go_on("r1").answer == "Done."


@pytest.mark.parametrize(
    ("answer", "finish", "said"),
    [("reject", "answered", "Then not."), ("terminate", "terminated", "")],
)
def test_a_refused_call_does_not_run(bench, tmp_path, answer, finish, said):
    agent = bench([calling(("shell", {"command": "ls"})), "Then not."], Policy())
    run = agent.run("List.")
    run = agent.decide(run, Decision(run.request.digest, answer, "person:anna", "too risky"))
    assert (run.finish, run.answer, run.calls[0].state) == (finish, said, "refused")
    [tool] = [span for span in spans(tmp_path) if span.kind == "tool"]
    assert tool.error is not None
    assert "too risky" in tool.error
    assert tool.metadata["approval"]["answer"] == answer


def test_changed_arguments_are_those_that_run(bench):
    agent = bench([calling(("shell", {"command": "rm -r ."})), "Done."], Policy())
    run = agent.run("List.")
    digest = run.request.digest
    with pytest.raises(ToolError, match="don't fit"):
        agent.decide(run, Decision(digest, "modify", "person:anna", arguments='{"command": 1}'))
    agent.decide(run, Decision(digest, "modify", "person:anna", arguments='{"command": "ls"}'))
    assert json.loads(agent._model.asked[-1][-1].content) == {"ran": "ls"}


def test_an_escalated_call_waits_for_the_next_one(bench):
    agent = bench([calling(("shell", {"command": "ls"})), "Done."], Policy())
    run = agent.run("List.")
    run = agent.decide(run, Decision(run.request.digest, "escalate", "person:anna"))
    assert (run.finish, run.request.level) == ("waiting", 1)
    run = agent.decide(run, Decision(run.request.digest, "escalate", "person:ben"))
    assert run.request.level == 2
    run = agent.decide(run, Decision(run.request.digest, "approve", "person:carl"))
    assert run.answer == "Done."
    assert len(run.calls) == 1


def test_what_the_policy_escalates_is_asked_of_the_second_in_turn(bench, tmp_path):
    policy = Policy((Rule("escalate", tool="shell", reason="rm is for seniors"),))
    junior, senior = Says("approve"), Says("approve")
    agent = bench([calling(("shell", {"command": "rm x"})), "Done."], policy)
    run = agent.run("Remove.", asker=InTurn([junior, senior]))
    assert (run.answer, run.calls[0].state) == ("Done.", "succeeded")
    assert junior.asked == []
    assert [(r.level, r.reason) for r in senior.asked] == [(1, "rm is for seniors")]
    approved = next(s for s in spans(tmp_path) if s.kind == "tool").metadata["approval"]
    assert approved["by"] == "person:x"


def test_what_the_policy_escalates_waits_for_a_decision_and_is_escalated_once(bench):
    policy = Policy((Rule("escalate"),))
    agent = bench([calling(("shell", {"command": "ls"})), "Done."], policy)
    run = agent.run("List.")
    assert (run.finish, run.request.level) == ("waiting", 1)
    assert agent.go_on(run.id).request == run.request
    run = agent.decide(run, Decision(run.request.digest, "escalate", "person:anna"))
    assert run.request.level == 2
    run = agent.decide(run, Decision(run.request.digest, "approve", "person:ben"))
    assert run.answer == "Done."


def test_what_the_policy_escalates_is_refused_where_nobody_is_above(bench):
    agent = bench([calling(("shell", {"command": "ls"})), "Sorry."], Policy((Rule("escalate"),)))
    run = agent.run("List.", asker=InTurn([Says("approve")]))
    assert [c.state for c in run.calls] == ["refused"]


class Says:
    """Someone who always says the same, and keeps what was asked."""

    def __init__(self, answer: str) -> None:
        self.answer, self.asked = answer, []

    def ask(self, request):
        self.asked.append(request)
        return Decision(request.digest, self.answer, "person:x")


def test_a_decision_counts_once(bench):
    agent = bench([calling(("shell", {"command": "ls"})), "Done."], Policy())
    run = agent.run("List.")
    agent.decide(run, Decision(run.request.digest, "approve", "person:anna"))
    with pytest.raises(ApprovalError, match="before"):
        agent.decide(run, Decision(run.request.digest, "approve", "person:anna"))


def late(bench, script: list) -> tuple[Agent, AgentRun]:
    """A run whose request nobody answered in time."""
    agent = bench([calling(("shell", {"command": "ls"})), *script], Policy(wait_s=1))
    run = agent.run("List.", id="r1")
    assert run.request is not None
    time.sleep(run.request.seconds_left)
    return agent, run


def test_an_expired_request_is_refused_when_the_run_goes_on(bench):
    agent, run = late(bench, ["Then not."])
    with pytest.raises(ApprovalError, match="expired"):
        agent.decide(run, Decision(run.request.digest, "approve", "person:anna"))
    run = agent.go_on("r1")
    assert (run.calls[0].state, run.answer) == ("refused", "Then not.")
    assert "no answer came in time" in agent._model.asked[-1][-1].content


@pytest.mark.parametrize(
    ("answer", "finish"), [("reject", "answered"), ("terminate", "terminated")]
)
def test_an_expired_request_can_still_be_refused(bench, answer, finish):
    agent, run = late(bench, ["Then not."])
    run = agent.decide(run, Decision(run.request.digest, answer, "person:anna"))
    assert (run.calls[0].state, run.finish) == ("refused", finish)


@pytest.mark.parametrize(
    ("policy", "state", "finish"),
    [
        (Policy(), "succeeded", "answered"),
        (Policy((Rule("reject", reason="not any more"),)), "refused", "answered"),
        (Policy((Rule("terminate"),)), "refused", "terminated"),
    ],
)
def test_what_was_approved_before_a_kill_runs_unless_the_policy_refuses_it(
    bench, tmp_path, policy, state, finish
):
    run = bench([calling(("shell", {"command": "ls"}))], Policy()).run("List.", id="r1")
    Grants(tmp_path / "grants.sqlite").decide(
        Decision(run.request.digest, "approve", "person:anna")
    )
    run = bench(["Done."], policy).go_on("r1")
    assert (run.calls[0].state, run.finish) == (state, finish)


def test_a_grant_that_is_too_old_is_told(bench, tmp_path):
    policy = Policy((Rule("approve"),), wait_s=-GOOD_S - 1)
    agent = bench([calling(("shell", {"command": "ls"})), "Then not."], policy)
    run = agent.run("List.")
    assert (run.calls[0].state, run.answer) == ("refused", "Then not.")
    assert "too old" in agent._model.asked[-1][-1].content


def test_a_call_whose_tool_was_changed_after_a_kill_is_not_made_again(tmp_path):
    ran = []
    tool = replace(SHELL, run=lambda arguments, context: ran.append(arguments) or {})
    grants, settings = Grants(tmp_path / "g"), Settings(root=tmp_path, home=tmp_path)
    tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
    told = []
    for description in ("Run a command.", "Run a command, now described better."):
        few = Few(replace(tool, description=description))
        calls = Calls(few, grants, FREE, Context(settings, tmp_path), tracer)  # type: ignore[arg-type]
        told.append(calls.make(ToolCall("c", "shell", '{"command": "ls"}'), run="r", step=0))
    assert [each.state for each in told] == ["succeeded", "refused"]
    assert ran == [{"command": "ls"}]


@pytest.mark.parametrize("secret", ["token-1234567", 'p"ass\\word', "пароль"])
@pytest.mark.parametrize("ends", ["whole", "cut", "failed"])
def test_secrets_of_the_settings_reach_neither_model_nor_files(tmp_path, secret, ends):
    def look(arguments, context):
        if ends == "failed":
            raise InputError(f"It says {secret}", "Look elsewhere")
        return {"text": f"MCP_TOKEN={secret}", secret: [2**70], "rest": "x" * 100}

    settings = Settings(root=tmp_path, home=tmp_path, mcp_token=secret)
    context = Context(settings, tmp_path, result_chars=90 if ends == "cut" else 1_000)
    ledger = tmp_path / "grants.sqlite"
    tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
    few: Any = Few(replace(READ, run=look))
    calls = Calls(few, Grants(ledger), FREE, context, tracer)
    told = calls.make(ToolCall("c", "look", '{"key": "a"}'), run="r", step=0)
    again = calls.make(ToolCall("c", "look", '{"key": "a"}'), run="r", step=0)
    assert told == again
    assert "[secret]" in told.text
    if ends == "whole":
        assert list(json.loads(told.text)) == ["text", "[secret]", "rest"]
        assert json.loads(told.text)["[secret]"] == [2**70]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for text in (told.text.encode(), written):
        assert secret.encode() not in text
        assert json.dumps(secret, ensure_ascii=False)[1:-1].encode() not in text


class Silent:
    def ask(self, request):
        return None


def test_without_an_answer_a_call_is_refused(bench):
    agent = bench([calling(("shell", {"command": "ls"})), "Then not."], Policy())
    run = agent.run("List.", asker=Silent())
    assert (run.calls[0].state, run.answer) == ("refused", "Then not.")
    assert "Nobody was there to approve it" in agent._model.asked[-1][-1].content


def test_what_the_policy_changes_is_what_runs(bench):
    policy = Policy((Rule("modify", tool="shell", set={"command": "ls"}),))
    agent = bench([calling(("shell", {"command": "rm -r ."})), "Done."], policy)
    agent.run("Remove.")
    assert json.loads(agent._model.asked[-1][-1].content) == {"ran": "ls"}


def test_a_tool_that_was_not_offered_is_not_run(bench):
    ran = []
    shell = replace(SHELL, run=lambda arguments, context: ran.append(arguments))
    agent = bench(
        [calling(("shell", {"command": "ls"})), "Sorry."], definitions=(READ, shell), tools=["look"]
    )
    run = agent.run("List.")
    assert (run.calls[0].state, ran) == ("refused", [])
    assert "no tool 'shell' here" in agent._model.asked[-1][-1].content


def test_an_answer_that_was_cut_ends_for_want_of_tokens(bench):
    cut = AIMessage("It is bl", response_metadata={"finish_reason": "length"})
    assert bench([cut]).run("What colour?").finish == "tokens"


@pytest.mark.parametrize("said", ["[" * 3_000, '{"a":' * 3_000, "{", "", "[1]", "машина 🚗"])
def test_whatever_is_said_ends_a_run_and_can_be_looked_at(bench, tmp_path, said):
    agent = bench([calling(("look", {"key": said})), said])
    run = agent.run("Look.")
    assert (run.answer, run.data) == (said, None)
    assert trace_view.html(spans(tmp_path))


def test_time_that_is_up_refuses_the_calls_that_wait(bench):
    def slow(arguments, context):
        time.sleep(0.05)
        return {"found": arguments["key"]}

    many = calling(*(("look", {"key": str(i)}) for i in range(30)))
    agent = bench(
        [many, "What I have."],
        definitions=(replace(READ, run=slow),),
        budget=Budget(seconds=0.2),
    )
    run = agent.run("Look at all.")
    states = [call.state for call in run.calls]
    assert (len(states), run.finish, run.answer) == (30, "seconds", "What I have.")
    assert states == sorted(states, reverse=True)  # those that were made, then those refused
    assert 1 <= states.count("succeeded") <= 4


def test_a_plan_counts_as_a_step(bench):
    plan = json.dumps({"steps": [{"tool": "look", "why": "a"}]})
    run = bench([plan, "What I have."], plans=True, budget=Budget(steps=1)).run("Look.")
    assert (run.finish, run.answer, run.steps) == ("steps", "What I have.", 2)


class Narrow(Scripted):
    """Takes at most 3,000 characters, and then has no room for long answers."""

    def _generate(self, messages, *args, **kwargs):
        size = sum(len(str(message.content)) for message in messages)
        if size > 3_000:
            raise ContextError("The prompt is too long", "Shorten it")
        made = super()._generate(messages, *args, **kwargs)
        if size > 2_000 and not made.generations[0].message.tool_calls:
            self.script.insert(0, made.generations[0].message)
            cut = AIMessage("So far", response_metadata={"finish_reason": "length", "context": 15})
            cut.usage_metadata = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
            made.generations[0].message = cut
        return made


def test_results_are_shortened_until_the_model_has_room(bench):
    text = "beginning" + "x" * 14_000 + "end"
    long = replace(READ, run=lambda arguments, context: {"found": text})
    script = [calling(("look", {"key": "a"}), ("look", {"key": "b"})), "Done."]
    agent = bench(script, definitions=(long,), model=Narrow)
    run = agent.run("Look.")
    assert (run.answer, run.finish) == ("Done.", "answered")
    shown = [m.content for m in agent._model.asked[-1] if m.type == "tool"]
    assert sum(map(len, shown)) < 2_000
    assert all("beginning" in one and "end" in one and "left out" in one for one in shown)
    kept = [m for m in agent._state(run.id)["messages"] if m.type == "tool"]
    assert [json.loads(m.content)["found"] for m in kept] == [text, text]


def test_answers_that_lacked_room_count_and_end_with_the_budget(bench):
    long = replace(READ, run=lambda arguments, context: {"found": "x" * 2_200})
    counted = bench([calling(LOOK), "Done."], definitions=(long,), model=Narrow).run("Look.")
    assert (counted.answer, counted.usage.completion_tokens) == ("Done.", 15)
    few = bench(
        [calling(LOOK), "Done."], definitions=(long,), model=Narrow, budget=Budget(tokens=30)
    )
    assert few.run("Look.").answer == "So far"


def test_a_task_that_is_too_long_is_told_at_once(bench):
    with pytest.raises(ContextError):
        bench([], model=Narrow).run("x" * 4_000)


def test_a_run_can_be_watched(bench):
    said = Deltas(Delta(reasoning="Sky, "), Delta(reasoning="so."), Delta("Bl"), Delta("ue."), END)
    agent = bench(said, model=lambda script: BackendChat(backend=script))
    seen: list[Progress] = []
    assert agent.run("What colour?", progress=seen.append).answer == "Blue."
    assert [(p.kind, p.text) for p in seen] == [
        ("reasoning", "Sky, "),
        ("reasoning", "so."),
        ("text", "Bl"),
        ("text", "ue."),
        ("step", "model"),
    ]


def test_warming_up_computes_the_beginning_of_every_run(bench):
    backend = Deltas(Delta("Bl"), Delta("ue."), END)
    agent = bench(backend, model=lambda script: BackendChat(backend=script))
    agent.warm()
    agent.run("What colour?")
    (warm, offered), (asked, also) = backend.asked
    assert warm[0] == asked[0]
    assert [tool.name for tool in offered["tools"]] == ["look", "shell"]
    assert offered["tools"] == also["tools"]
    assert agent._state("anything") == {}


def test_a_tool_that_the_model_can_not_be_bound_to_is_set_aside(bench, tmp_path):
    tiny_models.write_tokenizer(tmp_path / "model", "smollm")
    backend = Deltas(Delta("Done."), END)
    backend.refused = Grammars(Tokenizer(tmp_path / "model")).refused
    several = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    tag = replace(READ, name="server__tag", parameters={"properties": {"tags": several}})
    agent = bench(
        backend, definitions=(READ, tag), model=lambda script: BackendChat(backend=script)
    )
    (problem,) = agent.problems
    assert problem.source == "server__tag"
    assert "uniqueItems" in problem.reason
    assert agent.run("Look.").answer == "Done."
    ((_, asked),) = backend.asked
    assert [tool.name for tool in asked["tools"]] == ["look"]
    assert "server__tag" in (tmp_path / "spans.jsonl").read_text(encoding="utf-8")


def test_a_run_goes_on_without_a_tool_that_it_had_planned(bench):
    plan = json.dumps({"steps": [{"tool": "look", "why": "w"}, {"tool": "shell", "why": "w"}]})
    with pytest.raises(ContextError):
        bench([plan, ContextError("It is full", "Wait")], plans=True).run("Look.", id="r")
    agent = bench([calling(("shell", {"command": "ls"})), "Done."], plans=True, tools=["shell"])
    run = agent.run("Look.", id="r", resume=True)
    assert ([call.tool for call in run.calls], run.answer) == (["shell"], "Done.")
    assert agent._model.options[0]["tool_choice"] == "shell"


def test_a_run_has_one_driver(bench):
    told = []

    def meddle(arguments, context):
        with pytest.raises(InputError, match="under way elsewhere") as refused:
            bench(["Mine."]).go_on("r1")
        told.append(refused)
        return {"found": "it"}

    meddler = replace(READ, run=meddle)
    agent = bench([calling(("look", {"key": "a"})), "Done."], definitions=(meddler,))
    assert agent.run("Look.", id="r1").calls[0].state == "succeeded"
    assert told
    assert agent.go_on("r1").answer == "Done."


def test_a_change_by_the_policy_that_does_not_fit_the_tool_is_a_refusal(bench):
    policy = Policy((Rule("modify", tool="shell", set={"command": 7}),))
    agent = bench([calling(("shell", {"command": "rm -r ."})), "Then not."], policy)
    run = agent.run("Remove.")
    assert (run.calls[0].state, run.answer) == ("refused", "Then not.")
    assert "don't fit" in agent._model.asked[-1][-1].content


@pytest.mark.parametrize("answer", ["approve", "reject", "escalate"])
def test_what_was_decided_elsewhere_while_someone_was_asked_stands(bench, tmp_path, answer):
    class Slow:
        """Is overtaken by another one's decision."""

        def __init__(self):
            self.levels = []

        def ask(self, request):
            self.levels.append(request.level)
            decision = Decision(request.digest, "reject", "person:slow")
            if request.level == 0:
                Grants(tmp_path / "grants.sqlite").decide(
                    Decision(request.digest, answer, "person:anna")
                )
            return None if answer == "escalate" and request.level == 0 else decision

    agent = bench([calling(("shell", {"command": "ls"})), "Done."], Policy())
    slow = Slow()
    run = agent.run("List.", asker=slow)
    assert run.calls[0].state == ("succeeded" if answer == "approve" else "refused")
    assert slow.levels == ([0, 1] if answer == "escalate" else [0])


@pytest.mark.parametrize(
    ("budget", "finish"), [(Budget(steps=3), "steps"), (Budget(tokens=40), "tokens")]
)
def test_a_budget_ends_a_run_with_an_answer(bench, budget, finish):
    script = [calling(("look", {"key": str(i)})) for i in range(3)]
    agent = bench([*script, "What I have."], budget=budget)
    run = agent.run("Look for ever.")
    assert (run.finish, run.answer, len(run.calls)) == (finish, "What I have.", 3)
    assert "tools" not in agent._model.options[-1]


def test_a_plan_names_the_calls_and_they_are_made(bench):
    tools = ["look", "look", "shell", "look"]  # as small models plan
    plan = json.dumps({"steps": [{"tool": tool, "why": "it is so"} for tool in tools]})
    script = [plan, calling(("look", {"key": "a"})), calling(("shell", {"command": "ls"})), "Done."]
    agent = bench(script, plans=True, least_calls=1)
    run = agent.run("Look, then list.")
    assert [c.tool for c in run.calls] == ["look", "shell"]
    assert run.answer == "Done."
    assert [o.get("tool_choice") for o in agent._model.options] == [None, "look", "shell", None]
    bound = agent._model.options[0]["schema"]["properties"]["steps"]
    assert bound["minItems"] == 1
    assert bound["items"]["properties"]["tool"]["enum"] == ["look", "shell"]


def test_a_plan_that_was_cut_off_still_owes_its_calls(bench):
    script = ['{"steps": [{"tool": "lo', calling(("look", {"key": "a"})), "Done."]
    agent = bench(script, plans=True, least_calls=1)
    run = agent.run("Look.")
    assert ([c.tool for c in run.calls], run.answer) == (["look"], "Done.")
    assert [o.get("tool_choice") for o in agent._model.options] == [None, "any", None]


def test_an_answer_is_bound_to_a_schema_made_from_the_results(bench):
    def answer(results):
        found = [json.loads(result)["found"] for result in results]
        return {"type": "object", "properties": {"key": {"enum": found}}, "required": ["key"]}

    agent = bench([calling(("look", {"key": "a"})), "So.", '{"key": "a"}'], answer=answer)
    run = agent.run("Which key?")
    assert run.data == {"key": "a"}
    assert agent._model.options[-1]["schema"]["properties"] == {"key": {"enum": ["a"]}}


class Plain(Scripted):
    """A model of others that binds tools alone; how answers are bound is LangChain's default."""

    def bind_tools(self, tools, *, tool_choice=None, **kwargs):
        offered = [convert_to_openai_tool(tool) for tool in tools]
        return super().bind_tools(offered, tool_choice=tool_choice)

    with_structured_output = BaseChatModel.with_structured_output


def test_a_model_that_binds_tools_alone_plans_and_answers(bench):
    plan = calling(("plan", {"steps": [{"tool": "look", "why": "w"}, {"tool": "fly"}, "shell", 7]}))
    answer = calling(("answer", {"key": "ж"}))
    function = {"name": "answer", "arguments": '{"key": "ж"}'}
    # what was received, which some models of others keep
    answer.additional_kwargs["tool_calls"] = [
        {"id": "c0", "type": "function", "function": function}
    ]
    schema = {"type": "object", "properties": {"key": {"type": "string"}}}
    agent = bench(
        [plan, calling(LOOK), answer], model=Plain, plans=True, answer=lambda results: schema
    )
    run = agent.run("Which key?")
    assert ([c.tool for c in run.calls], run.data) == (["look"], {"key": "ж"})
    assert (run.answer, run.finish, run.steps) == ('{"key": "ж"}', "answered", 3)
    assert run.usage.completion_tokens == 15
    assert agent.go_on(run.id) == run


@pytest.mark.parametrize("steps", [7, "look", None, [], {"tool": "look"}])
def test_a_plan_that_nobody_can_follow_is_none(bench, steps):
    script = [calling(("plan", {"steps": steps})), "Done."]
    run = bench(script, model=Plain, plans=True).run("Look.")
    assert (run.calls, run.answer) == ((), "Done.")


@pytest.mark.parametrize(
    "trouble", [ServerError("It is down", "Wait"), httpx.ConnectError("x"), httpx.ReadTimeout("x")]
)
def test_a_server_in_trouble_is_asked_again(bench, trouble):
    agent = bench([trouble, "Blue."])
    assert agent.run("What colour?").answer == "Blue."


def test_a_run_of_a_name_that_is_taken_is_refused(bench):
    agent = bench(["Blue.", "Red."])
    agent.run("What colour?", id="r1")
    with pytest.raises(InputError, match="a run r1 already"):
        agent.run("What colour?", id="r1")
    with pytest.raises(InputError, match="no run r2"):
        agent.go_on("r2")


def test_a_run_that_is_asked_for_again_goes_on_and_repeats_no_call(bench):
    ran = []
    write = replace(SHELL, run=lambda arguments, context: ran.append(arguments) or {"ran": 1})
    script = [calling(("shell", {"command": "ls"})), BackendError("It broke", "Mend it")]
    agent = bench(script, definitions=(write,))
    with pytest.raises(BackendError):
        agent.run("List.", id="r1", resume=True)
    agent.close()
    again = bench(["Listed."], definitions=(write,))
    done = again.run("List.", id="r1", resume=True)
    assert (done.answer, [made.tool for made in done.calls], len(ran)) == ("Listed.", ["shell"], 1)
    assert again.run("List.", id="r1", resume=True) == done


@pytest.mark.parametrize("then", ["another agent", "checkpoints deleted"])
def test_a_name_that_is_used_again_gets_no_result_of_another_run(bench, tmp_path, then):
    ran = []
    write = replace(SHELL, run=lambda arguments, context: ran.append(arguments) or {"at": len(ran)})
    script = [calling(("shell", {"command": "ls"})), "Done."]
    first = bench(list(script), definitions=(write,))
    assert first.run("List.", id="r1").calls[0].state == "succeeded"
    if then == "another agent":
        second = bench(list(script), definitions=(write,), checkpoints="others.sqlite")
    else:
        first.close()
        for path in tmp_path.glob("runs.sqlite*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        second = bench(list(script), definitions=(write,))
    assert second.run("List.", id="r1").calls[0].state == "succeeded"
    told = [json.loads(m.content) for m in second._model.asked[-1] if m.type == "tool"]
    assert (told, len(ran)) == ([{"at": 2}], 2)


def test_every_step_is_a_span_of_one_tree(bench, tmp_path):
    bench([calling(("look", {"key": "a"})), "Done."]).run("Look.")
    tree = {span.name: span for span in spans(tmp_path)}
    assert {"agent", "model", "look"} <= set(tree)
    assert tree["look"].parent_id == tree["agent"].id
    assert tree["agent"].output == "Done."


KILLED = """
import json, os, signal, sys
from pathlib import Path
from agent_parts import READ, Few, Scripted, calling
from dataclasses import replace
from workbench import tracing
from workbench.agents.agent import Agent
from workbench.agents.calls import Calls
from workbench.approval import Grants, Policy, Rule
from workbench.records import ToolCall
from workbench.settings import Settings
from workbench.tools import Context

folder, at, risk = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def reach(place):
    if at == place and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)

def count(arguments, context):
    with open(folder / "effects.txt", "a") as file:
        file.write(arguments["key"] + "\\n")
    reach("in " + arguments["key"])
    return {"found": arguments["key"]}

class Dies(Scripted):
    def _generate(self, messages, *args, **kwargs):
        done = sum(m.type == "ai" for m in messages)
        reach(f"model {done}")
        self.script[:0] = [[calling(("look", {"key": "a"}), ("look", {"key": "b"})),
                            calling(("look", {"key": "c"})), "Done."][done]]
        return super()._generate(messages, *args, **kwargs)

settings = Settings(root=folder, home=folder)
tracer = tracing.Tracer(folder / "spans.jsonl", settings)
tool = replace(READ, run=count, risk=risk)
grants = Grants(folder / "grants.sqlite")
calls = Calls(Few(tool), grants, Policy((Rule("approve"),)), Context(settings, folder), tracer)
agent = Agent(Dies(script=[]), calls, folder / "runs.sqlite", tracer, tools=["look"])
keep, kept, finish = agent._saver.put, [], grants.finish

def keep_and_die(*checkpoint):
    kept.append(keep(*checkpoint))
    reach(f"kept {len(kept)}")
    return kept[-1]

def finish_and_die(grant, *outcome, **more):
    finish(grant, *outcome, **more)
    reach("told " + json.loads(grant.arguments)["key"])

agent._saver.put, grants.finish = keep_and_die, finish_and_die
run = agent.go_on("r") if (folder / "killed").exists() else agent.run("Look.", id="r")
print(run.finish, run.answer, [call.state for call in run.calls])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "risk"),
    [
        *((at, "write") for at in ("kept 1", "kept 2", "model 0", "model 1", "model 2")),
        *((at, "write") for at in ("in a", "in b", "in c", "told a", "told b", "told c")),
        ("in b", "read"),
    ],
)
def test_a_killed_run_goes_on_and_repeats_no_call(tmp_path, at, risk):
    here = Path(__file__).parent
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    path = os.pathsep.join([str(here), str(here.parent), str(here.parent.parent)])
    command = [sys.executable, str(script), str(tmp_path), at, risk]
    environment = {**os.environ, "PYTHONPATH": path}
    first = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert first.returncode == -signal.SIGKILL, first.stderr
    if at in ("kept 1", "kept 2", "model 0"):  # nothing but the task was kept
        assert not (tmp_path / "effects.txt").exists()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert second.stdout.startswith("answered Done."), second.stderr
    effects = (tmp_path / "effects.txt").read_text().split()
    if at.startswith("in ") and risk == "read":  # looking twice changes nothing
        assert sorted(set(effects)) == ["a", "b", "c"]
    else:
        assert effects == ["a", "b", "c"]
    interrupted = at.startswith("in ") and risk == "write"
    assert ("failed" in second.stdout) == interrupted
    assert (INTERRUPTED in (tmp_path / "spans.jsonl").read_text()) == interrupted
