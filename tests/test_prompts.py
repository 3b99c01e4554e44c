"""The committed prompts: enough of them, varied, in two languages, whole topics apart."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from workbench.journal import read
from workbench.records import Prompt

FOLDER = Path(__file__).resolve().parents[1] / "datasets" / "prompts"
LANGUAGES = {"en": "english.jsonl", "ru": "russian.jsonl"}


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return [prompt for name in LANGUAGES.values() for prompt in read(FOLDER / name, Prompt)]


def words(prompt: Prompt) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", prompt.messages[0].content.lower()))


def test_there_are_enough_prompts_half_in_each_language(prompts):
    counts = Counter(prompt.language for prompt in prompts)
    assert set(counts) == set(LANGUAGES)
    assert sum(counts.values()) >= 240
    assert counts["en"] == counts["ru"]


@pytest.mark.parametrize(("language", "name"), LANGUAGES.items())
def test_each_file_holds_its_own_language_under_running_ids(language, name):
    prompts = read(FOLDER / name, Prompt)
    assert [p.id for p in prompts] == [f"{language}-{i:03d}" for i in range(1, len(prompts) + 1)]
    for prompt in prompts:
        text = prompt.messages[0].content
        cyrillic = len(re.findall("[а-яё]", text.lower()))
        latin = len(re.findall("[a-z]", text.lower()))
        assert prompt.language == language
        assert (cyrillic > latin) == (language == "ru"), prompt.id


def test_each_prompt_is_one_question_of_a_user(prompts):
    for prompt in prompts:
        (message,) = prompt.messages
        assert message.role == "user"
        assert message.content == message.content.strip()
        assert 20 <= len(message.content) <= 400, prompt.id


def test_topics_are_many_small_and_shared_between_the_languages(prompts):
    sizes = Counter((prompt.topic, prompt.language) for prompt in prompts)
    topics = {topic for topic, _ in sizes}
    assert len(topics) >= 60
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", topic) for topic in topics)
    totals = Counter(prompt.topic for prompt in prompts)
    assert all(2 <= n <= 6 for n in totals.values())
    assert {t for t, language in sizes if language == "en"} == topics
    assert {t for t, language in sizes if language == "ru"} == topics


def test_no_two_prompts_are_nearly_the_same(prompts):
    assert len({p.id for p in prompts}) == len(prompts)
    assert len({p.messages[0].content for p in prompts}) == len(prompts)
    for (a, first), (b, second) in combinations([(p.id, words(p)) for p in prompts], 2):
        assert len(first & second) / len(first | second) < 0.6, (a, b)


def test_prompts_do_not_begin_alike(prompts):
    beginnings = Counter(" ".join(p.messages[0].content.split()[:3]).lower() for p in prompts)
    assert max(beginnings.values()) <= 6, beginnings.most_common(3)
