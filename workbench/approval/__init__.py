"""Approval: every tool call is decided about, and runs once with exactly those arguments.

    policy = Policy.load("approval.yaml")
    ruled = policy.rule(definition, arguments)          # approve, ask, reject ...
    known = grants.ask(request(definition, arguments, run=run, step=3, ...))
    known = grants.decide(Decision(known.request.digest, "approve", "person:anna"))
    grants.use(known.grant)                             # once, then never again

It knows nothing about models, nor how a tool runs.
"""

from workbench.approval.askers import Asker, InTurn, Nobody, Terminal
from workbench.approval.grants import Grant, Grants, Record
from workbench.approval.policy import Policy, Rule, Ruled
from workbench.approval.requests import Answer, Decision, Request, canonical, request

__all__ = [
    "Answer",
    "Asker",
    "Decision",
    "Grant",
    "Grants",
    "InTurn",
    "Nobody",
    "Policy",
    "Record",
    "Request",
    "Rule",
    "Ruled",
    "Terminal",
    "canonical",
    "request",
]
