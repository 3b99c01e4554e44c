from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from examples import preference
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.preferences import Dropped, deduplicate
from workbench.records import Preference


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


@settings(deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_every_pair_is_accounted_for(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    result = deduplicate(pairs)
    dropped = result.dropped
    assert deduplicate(shuffled) == result
    total = len(result.kept) + dropped.total
    assert total == len(pairs)
    assert deduplicate(result.kept).kept == result.kept


@pytest.mark.parametrize("pairs", [[], ()])
def test_nothing_gives_nothing(pairs):
    assert deduplicate(pairs).kept == ()


LONG = "Turbochargers spin at great speed and need clean oil, so let the engine idle a while. "


def test_nearly_equal_pairs_are_one_and_the_better_judged_stays():
    once = preference("Why should a turbo cool down before the engine stops?", LONG * 3, LONG * 2)
    chosen = replace(once.chosen, text=once.chosen.text.replace("great speed", "great speeds", 1))
    again = replace(once, id="again", chosen=chosen, ratings=("r1", "r2"))
    result = deduplicate([once, again])
    assert ([p.id for p in result.kept], result.dropped) == (["again"], Dropped(near_duplicates=1))
    assert result == deduplicate([again, once])
    assert len(deduplicate([once, again], near=1.0).kept) == 2


def test_a_pair_that_differs_in_one_of_its_texts_is_another():
    long = [preference(LONG * 5, LONG * 4, f"Answer {word}.") for word in ("yes", "no")]
    assert len(deduplicate(long).kept) == 2
    one = preference(LONG, "A turbo is driven by exhaust gas.", "A belt drives it.")
    reversed_ = replace(one, id="r", chosen=one.rejected, rejected=one.chosen, ratings=("a", "b"))
    assert deduplicate([one, reversed_]).dropped == Dropped(contradictions=1)


def test_a_person_s_pair_stays_against_any_number_of_rules():
    person = preference("Q?", "yes", "no")
    rules = replace(
        preference("Q?", "no", "yes", raters=("rule:a", "rule:b")), ratings=("1", "2", "3")
    )
    [kept] = deduplicate([person, rules]).kept
    assert (kept.raters, kept.weight) == (("person:anna",), 1.0)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of runs of five characters, as it is documented."""
    a, b = ({text[i : i + 5] for i in range(max(1, len(text) - 4))} for text in (one, other))
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("seed", range(12))
def test_near_duplicates_are_those_that_comparing_all_would_find(seed):
    """A template filled differently, so that most are nearly alike, and some nearly enough."""
    random = Random(seed)
    near = random.choice([0.5, 0.7, 0.8, 0.9, 1.0])
    template = [LONG * random.choice([1, 2, 5]) for _ in range(3)]

    def filled(text: str) -> str:
        places = random.sample(range(len(text)), random.choice([0, 1, 2, 8]))
        return "".join(random.choice("xyz") if i in places else c for i, c in enumerate(text))

    # "No." tells the two answers apart where nothing was filled in.
    texts = [(filled(a), filled(b), "No. " + filled(c)) for a, b, c in [template] * 80]
    pairs = [replace(preference(*t), id=f"{n:03}") for n, t in enumerate(dict.fromkeys(texts))]
    expected: list[Preference] = []
    for pair in pairs:
        if not any(
            similarity(
                f"user: {pair.prompt.messages[0].content.strip()}",
                f"user: {kept.prompt.messages[0].content.strip()}",
            )
            >= near
            and similarity(pair.chosen.text.strip(), kept.chosen.text.strip()) >= near
            and similarity(pair.rejected.text.strip(), kept.rejected.text.strip()) >= near
            for kept in expected
        ):
            expected.append(pair)
    result = deduplicate(pairs, near=near)
    assert [p.id for p in result.kept] == [p.id for p in expected]
    assert len(pairs) > 60


def test_answers_without_any_text_are_no_obstacle():
    pairs = [preference("Why?", "", f"Because of {word}.") for word in ("rain", "snow", "hail")]
    assert len(deduplicate(pairs).kept) == 3


@pytest.mark.parametrize("near", [0, -1, 1.1, float("nan")])
def test_a_similarity_that_is_none_is_refused(near):
    with pytest.raises(InputError, match="similarity"):
        deduplicate([], near=near)


@settings(deadline=None)
@given(st.lists(st.sampled_from(range(12)), max_size=12), st.randoms(use_true_random=False))
def test_near_duplicates_do_not_depend_on_order(places, random):
    texts = [LONG * 2 + "x" * i for i in range(12)]
    pairs = [
        replace(preference("Q?", texts[i], "no"), id=f"{i:02}-{n}") for n, i in enumerate(places)
    ]
    shuffled = list(pairs)
    random.shuffle(shuffled)
    result = deduplicate(pairs)
    assert deduplicate(shuffled) == result
    assert deduplicate(result.kept).kept == result.kept
    assert len(result.kept) + result.dropped.total == len(pairs)
