from __future__ import annotations

from dataclasses import replace

import pytest
from examples import preference
from hypothesis import given
from hypothesis import strategies as st

from workbench.preferences import Dropped, deduplicate


def test_texts_that_differ_in_white_space_and_unicode_form_are_one_pair():
    once = preference("Cafe\u0301?", "good  answer", "bad")
    again = preference("Caf\u00e9?", "good answer\n", " bad", raters=("person:ben",))
    result = deduplicate([once, again])
    [kept] = result.kept
    assert result.dropped == Dropped(duplicates=1)
    assert kept.raters == ("person:anna", "person:ben")
    assert set(kept.ratings) == {*once.ratings, *again.ratings}


def test_letter_case_makes_another_answer():
    assert deduplicate([preference("Capital?", "Paris", "paris")]).dropped == Dropped()


def test_a_pair_of_equal_answers_is_dropped():
    result = deduplicate([preference("Q?", "same", " same "), preference("Q?", "yes", "no")])
    assert (len(result.kept), result.dropped) == (1, Dropped(identical=1))


def test_the_system_prompt_makes_another_prompt():
    pairs = [preference("Q?", "yes", "no"), preference("Q?", "yes", "no", system="Be brief.")]
    assert len(deduplicate(pairs).kept) == 2


def test_opposite_pairs_of_equal_weight_are_both_dropped():
    result = deduplicate([preference("Q?", "yes", "no"), preference("Q?", "no", "yes")])
    assert (result.kept, result.dropped) == ((), Dropped(contradictions=2))


def test_of_opposite_pairs_the_one_with_more_ratings_stays():
    twice = replace(preference("Q?", "yes", "no"), ratings=("r1", "r2"))
    result = deduplicate([preference("Q?", "no", "yes"), twice])
    assert ([p.chosen.text for p in result.kept], result.dropped) == (
        ["yes"],
        Dropped(contradictions=1),
    )


PAIRS = st.lists(
    st.builds(
        preference,
        st.sampled_from(["Q?", "q?", " Q? "]),
        st.sampled_from(["yes", "no", "yes "]),
        st.sampled_from(["yes", "no", "maybe"]),
        raters=st.sampled_from([("person:anna",), ("person:ben",)]),
    ),
    max_size=12,
)


@given(PAIRS, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_every_pair_is_accounted_for(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    result = deduplicate(pairs)
    dropped = result.dropped
    assert deduplicate(shuffled) == result
    total = len(result.kept) + dropped.identical + dropped.duplicates + dropped.contradictions
    assert total == len(pairs)
    assert deduplicate(result.kept).kept == result.kept


@pytest.mark.parametrize("pairs", [[], ()])
def test_nothing_gives_nothing(pairs):
    assert deduplicate(pairs).kept == ()
