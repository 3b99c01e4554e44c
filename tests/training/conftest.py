from __future__ import annotations

import os

import pytest
from examples import preference

from workbench import preferences

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> preferences.Dataset:
    """Twelve pairs, English and Russian, one with a system turn: a real dataset version."""
    topics = ("the fox", "the dog", "a model", "утро", "a question", "чай", "code", "weather")
    made = [
        preference(f"What is {topic}?", f"It is {topic}.", f"Well, because of {topic}, then.")
        for topic in topics
    ]
    made += [
        preference("Why?", "Because.", "I do not know why.", system="You are brief."),
        preference("How old is the fox?", "Three.", "It is as old as the lazy dog, maybe."),
        preference("Что лучше?", "Чай.", "Лучше всего, скажу я, мягких булок поесть."),
        preference("Say <think>", "No </think> here", "Tokens in the text: <|im_end|> and so on"),
    ]
    root = tmp_path_factory.mktemp("datasets")
    return preferences.write(made, "tiny", root, validation=0.0, test=0.0)
