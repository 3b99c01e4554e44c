"""Prompts are drawn by whole topics, so that what is held out was never seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.journal import Journal
from workbench.prompts import draw, load
from workbench.records import Message, Prompt


def _prompt(id: str, topic: str, language: str = "en") -> Prompt:
    return Prompt(id, (Message("user", f"question {id}"),), topic, language)


@given(
    topics=st.lists(st.integers(0, 12), min_size=4, max_size=60),
    n=st.integers(1, 30),
    seed=st.integers(0, 5),
)
def test_no_topic_is_on_both_sides(topics: list[int], n: int, seed: int) -> None:
    prompts = [_prompt(str(i), f"t{t}") for i, t in enumerate(topics)]
    try:
        drawn, held_out = draw(prompts, n, seed=seed)
    except InputError:
        return
    assert len(drawn) == n
    assert held_out
    assert {p.topic for p in drawn}.isdisjoint(p.topic for p in held_out)


def test_drawing_is_seeded() -> None:
    prompts = [_prompt(str(i), f"t{i % 20}") for i in range(80)]
    assert draw(prompts, 30, seed=1) == draw(prompts, 30, seed=1)
    assert draw(prompts, 30, seed=1) != draw(prompts, 30, seed=2)


def test_asking_for_all_prompts_is_refused() -> None:
    with pytest.raises(InputError, match="Ask for fewer"):
        draw([_prompt("1", "a"), _prompt("2", "b")], 2, seed=0)


@pytest.mark.parametrize("n", [0, -3])
def test_asking_for_none_is_refused(n: int) -> None:
    prompts = [_prompt("1", "a"), _prompt("2", "b")]
    with pytest.raises(InputError, match="at least one"):
        draw(prompts, n, seed=0)


def test_unknown_language_names_those_that_are_there(tmp_path: Path) -> None:
    Journal(tmp_path / "p.jsonl", Prompt).append(_prompt("1", "a", "ru"))
    assert len(load(tmp_path)) == 1
    with pytest.raises(InputError, match="found there: ru"):
        load(tmp_path, ["de"])
