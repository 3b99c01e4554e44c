"""A debate's texts as candidates: whole, ranked against each other, on one side of a split."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agent_parts import Scripted, calling
from debate_parts import NAMES, ROLES, Speaker, consilium, critique, decision

from workbench import tracing
from workbench.agents.calls import Calls
from workbench.approval import Grants, Policy
from workbench.consilium.candidates import candidate_sets, decided
from workbench.errors import BackendError
from workbench.knowledge import Hit, Passage
from workbench.preferences.splits import connect
from workbench.records import CandidateSet, Message, Origin, Prompt, decode, encode
from workbench.settings import Settings
from workbench.tools import Context, Registry


@pytest.fixture
def debate(tmp_path):
    return consilium(tmp_path, Speaker()).run("Кэшировать ответы модели?", roles=NAMES[:3])


def test_answers_are_ranked_with_answers_and_revisions_with_the_decision(debate):
    answers, revised = candidate_sets(debate)
    assert [c.text for c in answers.completions] == [f"The plan number {i}." for i in (1, 2, 3)]
    assert [c.text for c in revised.completions] == [
        *(f"The better plan number {i}." for i in (1, 2, 3)),
        "Do it.",
    ]
    assert revised.completions[-1] == decided(debate)
    ids = [c.id for c in (*answers.completions, *revised.completions)]
    assert len(set(ids)) == len(ids) == 7
    assert {c.trace_id for c in answers.completions} == {debate.trace_id}


def test_the_prompt_is_the_task_and_names_its_debate(debate):
    answers, revised = candidate_sets(debate, topic="caching")
    assert answers.prompt == revised.prompt
    assert answers.prompt.messages == (Message("user", "Кэшировать ответы модели?"),)
    assert (answers.prompt.language, answers.prompt.topic) == ("ru", "caching")
    assert answers.prompt.origin.debate == debate.id
    assert decode(encode(answers), CandidateSet) == answers


def test_a_part_of_a_reply_has_not_the_tokens_of_the_whole(debate):
    whole = debate.decision.completion
    assert decided(debate).id != whole.id
    assert decided(debate).token_ids == ()


def test_the_same_candidates_come_of_the_same_debate(debate):
    assert candidate_sets(debate) == candidate_sets(debate)


def test_what_a_role_found_by_itself_is_of_the_origin(tmp_path):
    """Found before the model failed, and not searched again."""
    settings = Settings(root=tmp_path, home=tmp_path / "home")
    registry = Registry(settings)
    tracer = tracing.Tracer(tmp_path / "spans.jsonl", settings)
    keys = Hit(Passage("ab" * 16, "security/keys.md", 3, "Keys", "Keys lie in the safe."), 0.9)

    def calls(role):
        context = Context(settings, tmp_path, search=lambda query, k: [keys])
        return Calls(registry, Grants(tmp_path / "grants.sqlite"), Policy(), context, tracer)

    roles = {**ROLES, "dev": replace(ROLES["dev"], tools=("search_knowledge",))}
    search = calling(("search_knowledge", {"query": "keys"}))
    model = Scripted(script=[search, search, BackendError("It broke", "Mend it")])
    bench = consilium(tmp_path, model, roles=roles, calls=calls)
    with pytest.raises(BackendError):
        bench.run("Where are the keys?", roles=("dev", "qa"), id="d1")
    model.script = ["In the safe.", "Hm.", critique(), critique(), decision()]
    debate = bench.go_on("d1")
    assert [answer.passages for answer in debate.answers] == [(keys,), ()]
    origins = {each.prompt.origin for each in candidate_sets(debate)}
    assert origins == {Origin(documents=("security/keys.md",), debate="d1")}


def test_a_split_keeps_what_one_debate_said_on_one_side(debate, tmp_path):
    mine, _ = candidate_sets(debate)
    other, _ = candidate_sets(consilium(tmp_path, Speaker()).run("Which colour?", roles=NAMES[:2]))
    later = Prompt(
        "p", (Message("user", "How long do we keep them?"),), "", origin=mine.prompt.origin
    )
    names = connect([mine.prompt, other.prompt, later]).names
    assert names[0] == names[2] != names[1]
