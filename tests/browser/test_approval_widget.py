"""Approval by clicks: what is asked is what is shown, and what is clicked is what happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agent_parts import READ, SHELL, Few, Scripted, calling
from bare_page import BarePage
from hostile import PAYLOADS

from workbench import tracing
from workbench.agents.agent import Agent
from workbench.agents.approval_widget import ApprovalWidget
from workbench.agents.calls import Calls
from workbench.approval import Grants, Policy
from workbench.errors import BackendError, SettingsError
from workbench.settings import Settings
from workbench.tools import Context

pytestmark = pytest.mark.browser


@pytest.fixture
def ask(page, tmp_path: Path):
    """`ask(command, ...)`: a page that asks about these commands, one after the other."""

    def open(*commands: str, answer: str = "Done.", wait_s: float = 60) -> BarePage:
        settings = Settings(root=tmp_path, home=tmp_path)
        tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
        grants = Grants(tmp_path / "grants.sqlite")
        context = Context(settings, tmp_path)
        calls = Calls(Few(READ, SHELL), grants, Policy(wait_s=wait_s), context, tracer)
        script = [calling(("shell", {"command": command})) for command in commands]
        model = Scripted(script=[*script, answer])
        agent = Agent(model, calls, tmp_path / "r", tracer, tools=["look", "shell"])
        widget = ApprovalWidget(agent, agent.run("Mend it."), person="person:anna")
        shown = BarePage(page, widget, root=".wb-ask")
        shown.kernel, shown.model = widget, model
        return shown

    return open


def click(shown: BarePage, answer: str) -> None:
    shown.widget.locator(f"[data-answer={answer}]").click()


def test_a_click_approves_and_the_run_goes_on(ask):
    shown = ask("ls", "pwd")
    shown.wait_for("shell")
    assert json.loads(shown.widget.locator("textarea").input_value()) == {"command": "ls"}
    click(shown, "approve")
    shown.page.wait_for_function("document.querySelector('.wb-ask textarea').value.includes('pwd')")
    click(shown, "approve")
    shown.wait_for("Done.")
    assert [call.state for call in shown.kernel.run.calls] == ["succeeded", "succeeded"]
    log = shown.widget.get_by_role("list", name="What happened").locator("li").all_inner_texts()
    told = ["You approved shell", "The call was dealt with", "The model wrote"]
    assert log == [*told, *told]


def test_changed_arguments_are_approved_as_changed(ask):
    shown = ask("rm -r .")
    assert shown.widget.locator("[data-answer=modify]").is_disabled()
    shown.widget.locator("textarea").fill('{"command": "ls"}')
    assert shown.widget.locator("[data-answer=approve]").is_disabled()
    click(shown, "modify")
    shown.wait_for("Done.")
    assert '"ran": "ls"' in shown.model.asked[-1][-1].content


@pytest.mark.parametrize("written", ["nonsense", "[]", '{"command": 7}'])
def test_arguments_that_do_not_fit_are_named_and_the_run_waits(ask, written):
    shown = ask("ls")
    shown.widget.locator("textarea").fill(written)
    click(shown, "modify")
    shown.widget.get_by_role("alert").wait_for()
    click(shown, "reject")
    shown.wait_for("Done.")
    assert shown.kernel.run.calls[0].state == "refused"


def test_a_refusal_is_told_with_its_reason(ask):
    shown = ask("ls")
    shown.widget.get_by_label("Reason, told to the model").fill("слишком рано")
    click(shown, "reject")
    shown.wait_for("Done.")
    assert "слишком рано" in shown.model.asked[-1][-1].content


def test_to_end_the_run_ends_it(ask):
    shown = ask("ls")
    click(shown, "terminate")
    shown.wait_for("(none)")
    assert shown.kernel.run.finish == "terminated"


def test_what_expired_can_only_be_refused(ask):
    shown = ask("ls", wait_s=2)
    shown.wait_for("too late")
    for answer in ("approve", "modify", "escalate"):
        assert shown.widget.locator(f"[data-answer={answer}]").is_disabled()
    shown.widget.locator("textarea").fill('{"command": "pwd"}')
    assert shown.widget.locator("[data-answer=modify]").is_disabled()
    click(shown, "reject")
    shown.wait_for("Done.")
    assert [call.state for call in shown.kernel.run.calls] == ["refused"]


def test_a_run_that_an_error_stopped_goes_on_by_a_click(ask):
    shown = ask("ls")
    shown.model.script.insert(0, BackendError("The model is out of memory", "Free some"))
    click(shown, "approve")
    shown.widget.get_by_role("alert").wait_for()
    assert "out of memory" in shown.widget.get_by_role("alert").inner_text()
    assert shown.widget.locator("textarea").count() == 0
    shown.widget.get_by_role("button", name="Go on").click()
    shown.wait_for("Done.")
    assert [call.state for call in shown.kernel.run.calls] == ["succeeded"]


def test_hostile_arguments_are_text(ask):
    hostile = "\n".join(PAYLOADS.values()).replace("\0", "") + "\u202e\u3164\U000e0041\x1b[2K"
    shown = ask(hostile, answer=hostile)
    assert "\\u202e\\u3164\\udb40\\udc41" in shown.widget.locator("textarea").input_value()
    assert json.loads(shown.widget.locator("textarea").input_value()) == {"command": hostile}
    click(shown, "reject")
    shown.widget.locator("pre").wait_for()
    inside = "img, svg, iframe, script, object, form, style, link, a"
    assert shown.widget.locator(inside).count() == 0


def test_who_decides_is_a_person(ask):
    shown = ask("ls")
    with pytest.raises(SettingsError, match="is no person"):
        ApprovalWidget(shown.kernel._agent, shown.kernel.run, person="rule:yes")
