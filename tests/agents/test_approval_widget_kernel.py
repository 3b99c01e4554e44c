"""The kernel's side of the approval widget: a click is followed once, also when the run fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from agent_parts import SHELL, Few, Scripted, calling

from workbench import tracing
from workbench.agents.agent import Agent
from workbench.agents.approval_widget import ApprovalWidget
from workbench.agents.calls import Calls
from workbench.approval import Decision, Grants, Policy
from workbench.characters import hidden
from workbench.errors import BackendError
from workbench.settings import Settings
from workbench.tools import Context


@pytest.fixture
def ask(tmp_path: Path):
    """`ask(*said)`: a widget that asks about `ls`; the model then says these."""
    agents: list[Agent] = []

    def make(*said: Any, command: str = "ls") -> ApprovalWidget:
        settings = Settings(root=tmp_path, home=tmp_path)
        tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
        grants = Grants(tmp_path / "grants.sqlite")
        few: Any = Few(SHELL)
        calls = Calls(few, grants, Policy(), Context(settings, tmp_path), tracer)
        model = Scripted(script=[calling(("shell", {"command": command})), *said])
        agents.append(Agent(model, calls, tmp_path / "runs.sqlite", tracer, tools=["shell"]))
        return ApprovalWidget(agents[0], agents[0].run("Mend it."), person="person:anna")

    yield make
    for agent in agents:
        agent.close()


def send(widget: ApprovalWidget, content: Any) -> None:
    """What the page's `model.send` leads to."""
    widget._receive(widget, content, [])


def click(widget: ApprovalWidget, answer: str, **more: str) -> None:
    asked = widget.run.request
    assert asked is not None
    send(widget, {"do": "decide", "digest": asked.digest, "answer": answer, **more})


def seen(widget: ApprovalWidget) -> tuple[str, bool, str]:
    return widget.view["state"], widget.view["asked"] is not None, widget.view["problem"]


def test_after_a_model_that_failed_the_call_is_not_asked_about_again_and_the_run_goes_on(ask):
    widget = ask(BackendError("Out of memory", "Free some"), "Done.")
    click(widget, "approve")
    assert seen(widget) == ("stopped", False, "Out of memory. Free some.")
    click(widget, "approve")  # of a page that is behind
    assert widget.view["state"] == "stopped"
    send(widget, {"do": "go on"})
    assert seen(widget) == ("over", False, "")
    assert (widget.run.answer, [call.state for call in widget.run.calls]) == (
        "Done.",
        ["succeeded"],
    )
    send(widget, {"do": "go on"})
    assert widget.view["state"] == "over"


@pytest.mark.parametrize("error", [KeyError("name"), ValueError("broken")])
def test_any_error_is_shown_and_raised_and_the_run_can_go_on(ask, error):
    widget = ask(error, "Done.")
    with pytest.raises(type(error)):
        click(widget, "approve")
    state, asks, problem = seen(widget)
    assert (state, asks) == ("stopped", False)
    assert type(error).__name__ in problem
    send(widget, {"do": "go on"})
    assert widget.run.answer == "Done."


def test_an_interrupt_of_the_kernel_leaves_a_run_that_can_go_on(ask, monkeypatch):
    widget = ask("Done.")

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Scripted, "_generate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            click(widget, "approve")
    assert widget.view["state"] == "stopped"
    send(widget, {"do": "go on"})
    assert widget.run.answer == "Done."


def test_what_was_decided_elsewhere_stands_and_the_run_goes_on(ask, tmp_path):
    widget = ask("Done.")
    ledger = Grants(tmp_path / "grants.sqlite")
    ledger.decide(Decision(widget.run.request.digest, "reject", "person:ben"))
    click(widget, "approve")
    state, asks, problem = seen(widget)
    assert (state, asks) == ("stopped", False)
    assert "before" in problem
    send(widget, {"do": "go on"})
    assert [call.state for call in widget.run.calls] == ["refused"]


def test_the_page_is_sent_nothing_hidden_and_a_change_keeps_it(ask):
    every = map(chr, (*range(0xD800), *range(0xF900, 0xF0000)))
    unseen = "".join(filter(hidden, every))
    command = "ls" + unseen
    widget = ask(f"Done{unseen}.", command=command)
    for _ in range(2):
        assert json.dumps(widget.view, ensure_ascii=False).isprintable()
        if widget.run.request is not None:
            shown = widget.view["asked"]["arguments"]
            click(widget, "modify", arguments=shown.replace("ls", "pwd"))
    assert widget.view["state"] == "over"
    told = widget._agent._model.asked[-1][-1].content  # type: ignore[attr-defined]
    assert json.loads(told) == {"ran": "pwd" + unseen}


@pytest.mark.parametrize("written", ["nonsense", "[]", '{"command": 7}', '{"command": NaN}'])
def test_arguments_that_do_not_fit_decide_nothing(ask, written):
    widget = ask("Done.")
    click(widget, "modify", arguments=written)
    state, asks, problem = seen(widget)
    assert (state, asks) == ("asks", True)
    assert problem
    click(widget, "approve")
    assert widget.run.answer == "Done."


@pytest.mark.parametrize(
    "content",
    [
        {"do": "go on"},
        {"do": "decide", "digest": "0" * 64, "answer": "approve"},
        {"digest": "0" * 64, "answer": "approve"},
        "approve",
        None,
    ],
)
def test_what_the_page_may_not_send_changes_nothing(ask, content):
    widget = ask("Done.")
    send(widget, content)
    assert seen(widget)[:2] == ("asks", True)
    assert widget.run.calls == ()
