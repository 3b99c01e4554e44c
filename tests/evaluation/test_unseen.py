"""What is judged was never trained on: not the topic, not the question, not by a chain."""

from __future__ import annotations

import pytest
from examples import prompt

from workbench.errors import InputError
from workbench.evaluation import held_out


def test_held_out_prompts_are_of_other_topics() -> None:
    prompts = [prompt(f"Question {i}?", topic=f"t{i % 4}") for i in range(40)]
    seen = [p for p in prompts if p.topic in ("t0", "t1")][:9]
    asked = held_out(prompts, seen, 12, seed=1)
    assert len({p.id for p in asked}) == 12
    assert {p.topic for p in asked} == {"t2", "t3"}
    assert asked == held_out(prompts, seen, 12, seed=1)
    assert asked != held_out(prompts, seen, 12, seed=2)
    assert len(held_out(prompts, seen, 99, seed=1)) == 20


def test_a_question_that_was_trained_on_taints_its_other_topics() -> None:
    prompts = [
        prompt("What is boost?", topic="Turbo"),
        prompt("what is  BOOST?", topic="engines"),
        prompt("What is knock?", topic="engines"),
        prompt("Why is it?", topic="turbo "),
        prompt("Without a topic?"),
        prompt("What is tea?", topic="kitchen"),
    ]
    asked = held_out(prompts, prompts[:1], 9, seed=0)
    assert {p.topic for p in asked} == {"", "kitchen"}


@pytest.mark.parametrize("n", [0, -3])
def test_asking_for_none_is_refused(n: int) -> None:
    with pytest.raises(InputError, match="at least one"):
        held_out([prompt("A?", topic="a")], [], n, seed=0)


def test_nothing_unseen_is_said() -> None:
    with pytest.raises(InputError, match="0 of 1 are unseen"):
        held_out([prompt("A?", topic="a")], [prompt("B?", topic="a")], 1, seed=0)
