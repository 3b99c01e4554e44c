from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from examples import prompt
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import DisjointSet

from workbench.errors import InputError
from workbench.preferences import Fractions, split
from workbench.preferences.near import alike

HALF = Fractions(validation=0.25, test=0.25)
PROMPTS = st.lists(
    st.builds(
        prompt,
        st.sampled_from([f"Question {i}?" for i in range(6)] + ["question 1?", " Question  2? "]),
        topic=st.sampled_from(["", "cats", "Cats", "dogs", "fish", "birds", "newts"]),
        system=st.sampled_from(["", "Be brief."]),
    ),
    max_size=14,
)


@settings(deadline=None)
@given(PROMPTS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_no_topic_nor_question_is_on_two_sides_in_any_order(prompts, seed, random):
    sides = dict(zip((p.id for p in prompts), split(prompts, HALF, seed=seed), strict=True))
    for key in (lambda p: p.topic.casefold(), lambda p: p.messages[-1].content.casefold().split()):
        for a in prompts:
            for b in prompts:
                if key(a) and key(a) == key(b):
                    assert sides[a.id] == sides[b.id]
    shuffled = list(prompts)
    random.shuffle(shuffled)
    again = zip((p.id for p in shuffled), split(shuffled, HALF, seed=seed), strict=True)
    assert dict(again) == sides


@settings(deadline=None)
@given(PROMPTS, st.integers(0, 5))
def test_new_rows_of_other_or_known_topics_move_nothing(prompts, seed):
    with_topic = [prompt(f"{p.topic} {p.messages[-1].content}", topic=p.topic) for p in prompts]
    new = [
        prompt("A new one?", topic="planets"),
        prompt("Another one?", topic="cats"),
        prompt("Without?"),
    ]
    before = split(with_topic, HALF, seed=seed)
    assert split([*new, *with_topic], HALF, seed=seed)[len(new) :] == before


def test_a_question_in_two_topics_joins_them():
    chain = [
        prompt("Shared?", topic="cats"),
        prompt("shared?", topic="dogs", system="Be brief."),
        prompt("Only dogs?", topic="dogs"),
        prompt("Only cats?", topic="cats"),
    ]
    for seed in range(20):
        assert len(set(split(chain, HALF, seed=seed))) == 1


def test_an_empty_topic_joins_nothing():
    sides = split([prompt(f"Question {i}?") for i in range(60)], HALF)
    assert set(sides) == {"train", "validation", "test"}


def test_shares_are_near_the_fractions_where_topics_are_many():
    prompts = [prompt(f"Question {i}?", topic=f"topic {i}") for i in range(4000)]
    counts = Counter(split(prompts, Fractions(validation=0.1, test=0.2)))
    # Four standard deviations of a binomial share.
    assert abs(counts["validation"] / 4000 - 0.1) < 0.019
    assert abs(counts["test"] / 4000 - 0.2) < 0.026


def test_another_seed_gives_another_split():
    prompts = [prompt(f"Question {i}?", topic=f"topic {i}") for i in range(60)]
    assert split(prompts, HALF, seed=1) != split(prompts, HALF, seed=2)


def test_the_split_is_the_same_on_every_machine():
    prompts = [prompt(f"Question {i}?", topic=f"topic {i}") for i in range(8)]
    sides = " ".join(split(prompts, HALF, seed=7))
    assert sides == "test validation validation test train validation train test"


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.9, 0.2)])
def test_fractions_leave_something_to_train_on(validation, test):
    with pytest.raises(InputError, match="nothing to train on"):
        Fractions(validation, test)


def test_fractions_of_zero_hold_nothing_out():
    prompts = [prompt(f"Question {i}?", topic=f"topic {i}") for i in range(50)]
    assert set(split(prompts, Fractions(0, 0))) == {"train"}


@settings(deadline=None)
@given(
    st.lists(st.frozensets(st.sampled_from("abcdefgh"), min_size=1), max_size=12),
    st.sampled_from([0.5, 0.6, 0.75, 1.0]),
)
def test_the_rare_words_find_all_that_comparing_every_pair_finds(sets, threshold):
    found, compared = DisjointSet(range(len(sets))), DisjointSet(range(len(sets)))
    for a, b in alike(sets, threshold):
        assert len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= threshold
        assert found.merge(a, b)
    for a, b in combinations(range(len(sets)), 2):
        if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= threshold:
            compared.merge(a, b)
    assert {frozenset(s) for s in found.subsets()} == {frozenset(s) for s in compared.subsets()}
