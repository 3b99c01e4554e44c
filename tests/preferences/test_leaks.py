"""Planted leaks: prompts that say the same in some way must be on one side of the split."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from examples import STRANGE_TEXTS, preference, prompt
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import preferences
from workbench import prompts as collections
from workbench.errors import InputError
from workbench.evaluation import held_out
from workbench.preferences import Fractions, connect, split
from workbench.records import Message, Origin, Prompt, ToolCall

HALF = Fractions(validation=0.25, test=0.25)
REAL = collections.load(Path(__file__).parents[2] / "datasets" / "prompts", ["en", "ru"])
KINDS = ("paraphrase", "hidden", "document", "debate", "session", "answer")
IN_TEXT = ("paraphrase", "hidden")
UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u0640\U000e0001"


def other_words(text: str, rng: random.Random) -> str:
    """The same words in another order, letter case and punctuation."""
    words = text.strip("?.!").split()
    rng.shuffle(words)
    changed = " ".join(words)
    return rng.choice([changed.upper() + "!", changed.capitalize() + "?", f"«{changed}» ..."])


def with_unseen(text: str, rng: random.Random) -> str:
    """The same text with characters that nobody sees in every word."""
    return " ".join(
        word[:at] + rng.choice(UNSEEN) + word[at:]
        for word in text.split()
        for at in [rng.randint(0, len(word))]
    )


def real_looking(rng: random.Random, n: int) -> list[Prompt]:
    """n different questions of one language each: the first half of one and the rest of another."""
    made: dict[str, Prompt] = {}
    while len(made) < n:
        language = rng.choice(["en", "ru"])
        one, two = rng.sample([p for p in REAL if p.language == language], 2)
        start, end = (p.messages[-1].content.split() for p in (one, two))
        text = " ".join([*start[: len(start) // 2 + 1], *end[len(end) // 2 :]])
        made[text] = prompt(text, language=language)
    return list(made.values())


def planted(n: int, seed: int) -> list[tuple[str, Prompt, Prompt]]:
    """n pairs of prompts without a topic, each with a leak of one kind."""
    rng = random.Random(seed)
    texts = real_looking(rng, 2 * n)
    found = []
    for i, (first, second) in enumerate(zip(texts[:n], texts[n:], strict=True)):
        kind = KINDS[i % len(KINDS)]
        if kind in IN_TEXT:
            change = other_words if kind == "paraphrase" else with_unseen
            text = change(first.messages[-1].content, rng)
            second = prompt(text, language=first.language)
            origins = (Origin(), Origin())
        elif kind == "document":
            origins = (
                Origin(documents=(f"doc-{i}#1", f"doc-{i}#2")),
                Origin(documents=(f"doc-{i}#2", f"doc-{i}#3")),
            )
        elif kind == "debate":
            origins = (Origin(debate=f"debate {i}"),) * 2
        elif kind == "session":
            origins = (Origin(session=f"session {i}"),) * 2
        else:
            here, there = f"here {i}", f"there {i}"
            origins = (Origin(session=here, answered_in=(there,)), Origin(session=there))
        found.append((kind, replace(first, origin=origins[0]), replace(second, origin=origins[1])))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_of_500_planted_leaks_99_percent_are_on_one_side(seed):
    leaks = planted(500, seed)
    flat = [p for _, *both in leaks for p in both]
    sides = split(flat, HALF, seed=seed)
    whole = Counter(kind for i, (kind, *_) in enumerate(leaks) if sides[2 * i] == sides[2 * i + 1])
    assert sum(whole.values()) >= 495, whole
    # They are held together by their leak, and not because everything is on one side.
    assert min(Counter(sides).values()) > len(flat) / 10


def test_a_duplicate_that_is_left_out_still_connects_its_session(tmp_path):
    questions = real_looking(random.Random(7), 400)
    made = []
    for i, (asked, next_one) in enumerate(zip(questions[:200], questions[200:], strict=True)):
        for at, session in (
            (asked, f"first {i}"),
            (asked, f"second {i}"),
            (next_one, f"second {i}"),
        ):
            pair = preference(at.messages[-1].content, "Yes.", "No, not at all.")
            seen = replace(pair.prompt, topic="", origin=Origin(session=session))
            made.append(replace(pair, id=f"{i} {len(made)}", prompt=seen))
    dataset = preferences.write(made, "duplicates", tmp_path, validation=0.25, test=0.25)
    assert dataset.manifest.audit.dropped.duplicates == 200
    sides = {p.preference.prompt.messages[-1].content: p.split for p in dataset.pairs}
    text = [question.messages[-1].content for question in questions]
    torn = [a for a, b in zip(text[:200], text[200:], strict=True) if sides[a] != sides[b]]
    assert torn == []
    assert min(Counter(sides.values()).values()) > 40


def test_the_same_prompts_without_their_leaks_would_be_torn_apart():
    bare = [
        replace(p, origin=Origin())
        for kind, *both in planted(500, 0)
        for p in both
        if kind not in IN_TEXT
    ]
    sides = split(bare, HALF)
    torn = sum(a != b for a, b in zip(sides[::2], sides[1::2], strict=True))
    assert torn > 333 / 3


def test_unrelated_real_prompts_are_not_joined():
    bare = [replace(p, topic="") for p in REAL]
    components = connect(bare)
    assert len(bare) > 250
    # Under one in a hundred may be glued to another.
    assert components.count >= 0.99 * len(bare)


def test_unrelated_generated_prompts_are_not_joined():
    rng = random.Random(5)
    vocabulary = sorted({w for p in REAL for w in p.messages[-1].content.split()})
    made = [prompt(" ".join(rng.sample(vocabulary, rng.randint(4, 14)))) for _ in range(2000)]
    assert connect(made).count >= 0.99 * len(made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Почему небо синее, а закат красный?", "а закат красный — почему небо СИНЕЕ"),
        ("Ёлка или сосна?", "сосна, или елка"),
        ("法国的首都是哪座城市", "哪座城市是法国的首都"),
        ("フランスの首都はどこですか", "首都はどこですかフランスの"),
        ("What is  boost?", "boost: what IS"),
        ("Why is the sky blue today?", "Why is the s\u200bky bl\u00adue today?"),
        ("\u200fשמיים כחולים למה\u200f", "שמיים כחולים למה"),
        ("لمـاذا السمـاء زرقاء", "لماذا السماء زرقاء"),
        ("😀 🚗 😀?", "🚗😀 ?"),
        ("👍🏽 + 🚗", "🚗 + 👍🏽 \ufe0f"),
    ],
)
def test_the_same_words_in_another_order_are_one_component(one, other):
    assert connect([prompt(one), prompt(other)]).count == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("法国的首都是哪里", "西班牙的首都是哪里"),
        ("Why?", "How?"),
        ("?", "!"),
        ("😀", "🇺🇳"),
    ],
)
def test_other_questions_of_one_form_are_two_components(one, other):
    assert connect([prompt(one), prompt(other)]).count == 2


def test_what_is_empty_connects_nothing():
    bare = [
        replace(prompt(f"Question {i}?"), origin=Origin(documents=("", " "), answered_in=("", " ")))
        for i in range(9)
    ]
    assert connect(bare).count == 9


def test_an_empty_question_connects_nothing_and_is_a_component_of_its_own():
    """A project whose tasks have no prompt text gives such prompts."""
    empty = [replace(prompt(""), id=f"task {i}") for i in range(40)]
    silent = replace(prompt("", system="Be brief."), id="silent")
    none = replace(prompt(""), id="none", messages=())
    assert connect([*empty, silent, none]).count == 42
    assert set(split(empty, HALF)) == {"train", "validation", "test"}
    assert connect([empty[0], prompt("What?"), empty[0]]).count == 2
    tied = [replace(p, origin=Origin(session="one")) for p in empty]
    assert connect([*tied, prompt("What?")]).count == 2


def test_what_only_calls_tools_is_a_question():
    call = Message("assistant", "", (ToolCall("1", "find", "{}"),))
    asked = [replace(prompt(""), id=id, messages=(call,)) for id in ("one", "two")]
    assert connect(asked).count == 1


def one_word_of_ten_changed(text: str, rng: random.Random, vocabulary: list[str]) -> str:
    """Another word in place of one in each ten begun, at least one."""
    words = text.split()
    for at in rng.sample(range(len(words)), max(1, len(words) // 10)):
        words[at] = rng.choice([w for w in vocabulary if w not in words])
    return " ".join(words)


@pytest.mark.parametrize("seed", range(3))
def test_of_500_questions_with_one_word_of_ten_changed_most_are_on_one_side(seed):
    """Not all: a question of up to six words is another one with one word changed."""
    rng = random.Random(seed)
    vocabulary = sorted({w for p in REAL for w in p.messages[-1].content.split()})
    firsts = real_looking(rng, 500)
    changed = [
        prompt(one_word_of_ten_changed(p.messages[-1].content, rng, vocabulary)) for p in firsts
    ]
    flat = [p for both in zip(firsts, changed, strict=True) for p in both]
    sides = split(flat, HALF, seed=seed)
    whole = sum(a == b for a, b in zip(sides[::2], sides[1::2], strict=True))
    assert whole >= 490


def test_strange_prompts_are_connected_with_themselves_alone():
    strange = [prompt(text) for text in STRANGE_TEXTS.values()]
    assert connect(strange).count == len(strange)
    assert connect([*strange, *strange]).names == connect(strange).names * 2


ORIGINS = st.builds(
    Origin,
    session=st.sampled_from(["", "s1", "s2", "s3"]),
    documents=st.lists(st.sampled_from(["d1", "d2", "d3", ""]), max_size=2).map(tuple),
    debate=st.sampled_from(["", "", "x", "y"]),
    answered_in=st.lists(st.sampled_from(["s1", "s2", "s4", ""]), max_size=2).map(tuple),
)
PROMPTS = st.lists(
    st.builds(
        lambda text, topic, origin: replace(prompt(text, topic=topic), origin=origin),
        st.lists(
            st.sampled_from(["почему", "небо", "why", "is", "the", "sky", "blue"]), max_size=5
        ).map(" ".join),
        st.sampled_from(["", "", "cats", "dogs"]),
        ORIGINS,
    ),
    max_size=12,
)


@settings(deadline=None)
@given(PROMPTS, st.integers(0, 9), st.randoms())
def test_no_component_is_on_two_sides_in_any_order(prompts, seed, random):
    sides = split(prompts, HALF, seed=seed)
    for a, side in zip(prompts, sides, strict=True):
        for b, other in zip(prompts, sides, strict=True):
            x, y = a.origin, b.origin
            words, others = (set(p.messages[-1].content.split()) for p in (a, b))
            shared = (
                ({x.session, *x.answered_in} & {y.session, *y.answered_in} - {""})
                or (x.debate and x.debate == y.debate)
                or (set(x.documents) & set(y.documents) - {""})
                or (a.topic and a.topic == b.topic)
                or (words and words == others)
            )
            assert not shared or side == other
    order = list(range(len(prompts)))
    random.shuffle(order)
    assert split([prompts[i] for i in order], HALF, seed=seed) == tuple(sides[i] for i in order)


def test_held_out_prompts_use_the_same_connections():
    leaks = planted(40, 9)
    seen = [first for _, first, _ in leaks]
    with pytest.raises(InputError, match="0 of 40 are unseen"):
        held_out([second for *_, second in leaks], seen, 5, seed=0)
