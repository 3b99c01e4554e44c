"""An approval is for one exact call, once, in time, and survives a kill."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from agent_parts import SHELL

from workbench.approval import Decision, Grants, canonical, request
from workbench.approval.grants import GOOD_S
from workbench.errors import ApprovalError, InputError


@pytest.fixture
def grants(tmp_path: Path):
    ledger = Grants(tmp_path / "grants.sqlite")
    yield ledger
    ledger.close()


def asked(command: str = "ls", *, step: int = 0, run: str = "run", wait_s: float = 60):
    arguments = {"command": command}
    return request(SHELL, arguments, run=run, step=step, reason="a test", wait_s=wait_s)


def approved(grants: Grants, command: str = "ls", **where):
    known = grants.ask(asked(command, **where))
    record = grants.decide(Decision(known.request.digest, "approve", "person:anna"))
    assert record.grant is not None
    return record.grant


def test_an_approved_call_runs_once(grants):
    grant = approved(grants)
    grants.use(grant)
    with pytest.raises(ApprovalError, match="has been used"):
        grants.use(grant)
    grants.finish(grant, "a.txt", failed=False)
    assert (grants.look(grant.digest).state, grants.look(grant.digest).outcome) == (
        "succeeded",
        "a.txt",
    )
    with pytest.raises(ApprovalError, match="has been used"):
        grants.use(grant)


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": canonical({"command": "rm -r ."})},
        {"arguments": '{"command":"ls"}'},
        {"tool": "python"},
        {"definition": "another"},
        {"digest": "0" * 64},
    ],
)
def test_a_grant_that_was_changed_runs_nothing(grants, change):
    grant = approved(grants)
    with pytest.raises(ApprovalError):
        grants.use(replace(grant, **change))
    grants.use(grant)


def test_what_nobody_approved_does_not_run(grants):
    known = grants.ask(asked())
    assert (known.state, known.grant) == ("asked", None)
    for answer in ("reject", "terminate"):
        known = grants.ask(asked(step=["reject", "terminate"].index(answer) + 1))
        record = grants.decide(Decision(known.request.digest, answer, "person:anna", "no"))
        assert (record.state, record.grant) == ("refused", None)


def test_an_approval_of_one_place_is_none_of_another(grants):
    digests = {
        asked(*where[:1], step=where[1], run=where[2]).digest
        for where in [("ls", 0, "run"), ("ls", 1, "run"), ("ls", 0, "other"), ("ls ", 0, "run")]
    }
    changed = request(
        replace(SHELL, description="Another."),
        {"command": "ls"},
        run="run",
        step=0,
        reason="",
        wait_s=1,
    )
    assert len(digests | {changed.digest}) == 5


def test_the_first_decision_stands(grants):
    known = grants.ask(asked())
    digest = known.request.digest
    grants.decide(Decision(digest, "reject", "person:anna"))
    for answer in ("approve", "escalate", "reject"):
        with pytest.raises(ApprovalError, match="decided about before"):
            grants.decide(Decision(digest, answer, "person:ben"))
    assert grants.look(digest).state == "refused"


@pytest.mark.parametrize("by", ["person:anna", "anna", "nobody"])
@pytest.mark.parametrize("answer", ["approve", "modify", "escalate"])
def test_an_approval_that_comes_too_late_does_not_count(grants, answer, by):
    known = grants.ask(asked(wait_s=0))
    arguments = "{}" if answer == "modify" else None
    with pytest.raises(ApprovalError, match="expired"):
        grants.decide(Decision(known.request.digest, answer, by, arguments=arguments))
    assert grants.ask(asked(wait_s=60)).request.expires == known.request.expires
    grants.decide(Decision(known.request.digest, "reject", "nobody"))
    assert grants.look(known.request.digest).state == "refused"


def test_an_old_grant_runs_nothing(grants):
    for step, (seconds, good) in enumerate([(GOOD_S - 100, True), (GOOD_S + 1, False)]):
        known = grants.ask(asked(step=step, wait_s=-seconds))
        grant = grants.decide(Decision(known.request.digest, "approve", "policy")).grant
        with nullcontext() if good else pytest.raises(ApprovalError, match="too old"):
            grants.use(grant)
        assert grants.look(grant.digest).state == ("started" if good else "granted")


@pytest.mark.parametrize("answer", ["reject", "terminate"])
def test_a_refusal_is_never_too_late(grants, answer):
    known = grants.ask(asked(wait_s=0))
    record = grants.decide(Decision(known.request.digest, answer, "person:anna"))
    assert record.state == "refused"


def test_to_escalate_asks_the_next_one_with_as_much_time(grants):
    known = grants.ask(asked())
    record = grants.decide(Decision(known.request.digest, "escalate", "person:anna"))
    assert (record.state, record.request.level) == ("asked", 1)
    assert record.request.expires > known.request.expires
    assert record.request.digest == known.request.digest
    assert grants.decide(Decision(known.request.digest, "approve", "person:ben")).grant


@pytest.mark.parametrize(("first", "second"), [("write", "write"), ("write", "read")])
def test_at_one_place_of_a_run_one_call_with_an_effect_runs(grants, first, second):
    where = {"run": "run", "step": 3, "reason": "", "wait_s": 60}
    made = []
    for risk, description in ((first, "One."), (second, "Another.")):
        tool = replace(SHELL, risk=risk, description=description)
        known = grants.ask(request(tool, {"command": "ls"}, **where))
        made.append(grants.decide(Decision(known.request.digest, "approve", "policy")).grant)
    grants.use(made[0])
    with pytest.raises(ApprovalError, match="Another call was started"):
        grants.use(made[1])
    assert grants.look(made[1].digest).state == "granted"
    grants.use(approved(grants, step=4))
    grants.use(approved(grants, step=3, run="other"))


def test_after_a_call_that_only_read_another_one_runs_in_its_place(grants):
    where = {"run": "run", "step": 3, "reason": "", "wait_s": 60}
    for risk in ("read", "write"):
        known = grants.ask(request(replace(SHELL, risk=risk), {"command": "ls"}, **where))
        grants.use(grants.decide(Decision(known.request.digest, "approve", "policy")).grant)


def test_changed_arguments_are_what_runs(grants):
    known = grants.ask(asked("rm -r ."))
    changed = canonical({"command": "ls"})
    decision = Decision(known.request.digest, "modify", "person:anna", arguments=changed)
    grant = grants.decide(decision).grant
    assert grant is not None
    assert grant.arguments == changed
    with pytest.raises(ApprovalError, match="Nobody approved"):
        grants.use(replace(grant, arguments=known.request.arguments))
    grants.use(grant)


def test_only_a_modification_has_arguments():
    with pytest.raises(InputError):
        Decision("d", "approve", "person:anna", arguments="{}")
    with pytest.raises(InputError):
        Decision("d", "modify", "person:anna")


def test_of_many_threads_one_uses_a_grant(grants):
    grant = approved(grants)
    used: list[int] = []

    def attempt() -> None:
        try:
            grants.use(grant)
            used.append(1)
        except ApprovalError:
            pass

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used == [1]


def _use_elsewhere(path: Path, grant, queue) -> None:
    ledger = Grants(path)
    try:
        ledger.use(grant)
        queue.put("used")
    except ApprovalError:
        queue.put("refused")


def test_of_many_processes_one_uses_a_grant(grants):
    grant = approved(grants)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=_use_elsewhere, args=(grants.path, grant, queue)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    said = sorted(queue.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert said == ["refused", "refused", "used"]


def test_what_was_started_when_the_process_was_killed_can_be_told(grants, tmp_path):
    grant = approved(grants)
    code = f"""
import os, signal
from workbench.approval import Grant, Grants
ledger = Grants({str(grants.path)!r})
ledger.use({grant!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert grants.look(grant.digest).state == "started"
    with pytest.raises(ApprovalError, match="has been used"):
        grants.use(grant)
