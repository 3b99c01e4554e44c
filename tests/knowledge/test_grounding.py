"""Passages go before the question, under the name of their source."""

from __future__ import annotations

from workbench.knowledge import Hit, Passage, ground
from workbench.records import Message, Prompt

HIT = Hit(Passage("1", "boost.md", 3, "Boost", "Limit: 1.4 bar."), 0.8)


def test_the_passage_stands_before_the_question_with_its_source() -> None:
    prompt = Prompt("en-1", (Message("user", "How much boost?"),), "boost")
    grounded = ground(prompt, [HIT])
    assert (grounded.id, grounded.topic) == ("en-1", "boost")
    assert [m.role for m in grounded.messages] == ["system", "user"]
    assert "[boost.md]\nLimit: 1.4 bar." in grounded.messages[0].content


def test_a_system_turn_stays_in_front() -> None:
    prompt = Prompt("1", (Message("system", "Be brief."), Message("user", "?")), "t")
    grounded = ground(prompt, [HIT])
    assert [m.role for m in grounded.messages] == ["system", "user"]
    assert grounded.messages[0].content.startswith("Be brief.")


def test_the_split_can_see_which_documents_were_used() -> None:
    other = Hit(Passage("2", "oil.md", 1, "Oil", "5W-30."), 0.7)
    prompt = Prompt("1", (Message("user", "?"),), "t")
    assert ground(prompt, [other, HIT, HIT]).origin.documents == ("boost.md", "oil.md")


def test_without_hits_nothing_changes() -> None:
    prompt = Prompt("1", (Message("user", "?"),), "t")
    assert ground(prompt, []) is prompt
