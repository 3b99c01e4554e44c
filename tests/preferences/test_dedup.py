from __future__ import annotations

from dataclasses import replace
from functools import cache
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


@cache
def runs(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 5] for i in range(max(1, len(text) - 4)))


@cache
def similarity(one: str, other: str) -> float:
    """Jaccard similarity of runs of five characters, as it is documented."""
    a, b = runs(one), runs(other)
    return len(a & b) / len(a | b)


def expected(pairs: list[Preference], near: float) -> dict[str, float]:
    """Ids and weights of what is kept, as it is documented, by comparing all with all."""

    def texts(pair: Preference) -> tuple[str, ...]:
        asked = f"user: {pair.prompt.messages[0].content}"
        said = (" ".join(text.split()) for text in (asked, pair.chosen.text, pair.rejected.text))
        return tuple(said)

    def is_like(one: Preference, other: Preference, *, swapped: bool) -> bool:
        (p, a, b), (q, c, d) = texts(one), texts(other)
        straight, crossed = (
            [similarity(a, c), similarity(b, d)],
            [similarity(a, d), similarity(b, c)],
        )
        wanted, otherwise = (crossed, straight) if swapped else (straight, crossed)
        if min(similarity(p, q), *wanted) < near:
            return False
        ahead = sum(wanted) - sum(otherwise)
        return min(otherwise) < near or ahead > 0 or (ahead == 0 and not swapped)

    def standing(said: list[Preference]) -> tuple[bool, int]:
        people = [p for p in said if p.raters[0].startswith("person:")]
        return bool(people), sum(len(p.ratings) for p in people or said)

    groups: list[list[Preference]] = []
    for pair in sorted(pairs, key=lambda p: (-standing([p])[0], -len(p.ratings), p.id)):
        like = [group for group in groups if is_like(pair, group[0], swapped=False)]
        (like[0] if like else groups).append(pair if like else [pair])
    kept = {}
    for group in groups:
        against = [standing(g) for g in groups if is_like(group[0], g[0], swapped=True)]
        if all(standing(group) > other for other in against):
            kept[group[0].id] = group[0].weight
            for by_person, m in against:
                person, n = standing(group)
                if person == by_person:
                    kept[group[0].id] *= (n - m) / (n + m)
    return kept


@pytest.mark.parametrize("seed", range(12))
def test_near_duplicates_and_opposites_are_those_that_comparing_all_would_find(seed):
    """A template filled differently, so that most are nearly alike, and some nearly enough."""
    random = Random(seed)
    near = random.choice([0.5, 0.7, 0.8, 0.9, 1.0])
    template = [LONG * random.choice([1, 2, 5]) for _ in range(3)]
    if seed % 2:  # else even the two answers of a pair are nearly alike
        template[2] = template[2][::-1]

    def filled(text: str) -> str:
        places = random.sample(range(len(text)), random.choice([0, 1, 2, 8]))
        return "".join(random.choice("xyz") if i in places else c for i, c in enumerate(text))

    # "No." tells the two answers apart where nothing was filled in.
    texts = [(filled(a), filled(b), "No. " + filled(c)) for a, b, c in [template] * 80]
    texts = [(a, *((b, c) if random.random() < 0.8 else (c, b))) for a, b, c in texts]
    once = {(a, *sorted((b, c))): (a, b, c) for a, b, c in texts}
    pairs = [
        replace(
            preference(*text, raters=(random.choice(["person:anna", "rule:x", "rule:y"]),)),
            id=f"{n:03}",
            ratings=tuple(f"{n} {i}" for i in range(random.choice([1, 1, 2, 3]))),
        )
        for n, text in enumerate(once.values())
    ]
    result = deduplicate(pairs, near=near)
    assert {p.id: p.weight for p in result.kept} == pytest.approx(expected(pairs, near), abs=1e-3)
    assert len(result.kept) + result.dropped.total == len(pairs) > 60
    assert deduplicate(result.kept, near=near).kept == result.kept


def nearly(
    pair: Preference, id: str, *, said: int = 1, raters=("person:ben",), swap=""
) -> Preference:
    """The same pair with a sign more in each of its texts; with `swap`, the opposite one."""
    asked = replace(pair.prompt.messages[0], content=pair.prompt.messages[0].content + "?")
    chosen, rejected = (replace(c, text=c.text + "!") for c in (pair.chosen, pair.rejected))
    return replace(
        pair,
        id=id,
        prompt=replace(pair.prompt, messages=(asked,)),
        chosen=rejected if swap else chosen,
        rejected=chosen if swap else rejected,
        ratings=tuple(f"{id} {n}" for n in range(said)),
        raters=raters,
    )


ASKED = "Why should a turbo cool down before the engine stops, and for how long does it take?"
BELTS = "A belt drives it from the crankshaft, so that it stops at once when the engine does. "
ONCE = preference(ASKED, LONG, BELTS)
RULES = ("rule:a", "rule:b")


def test_of_nearly_equal_pairs_a_person_s_stays_whatever_rules_say():
    by_rules = nearly(ONCE, "rules", said=5, raters=RULES)
    for pairs in ([ONCE, by_rules], [by_rules, ONCE]):
        result = deduplicate(pairs)
        assert result.kept == (ONCE,)
        assert result.dropped == Dropped(near_duplicates=1)


def test_nearly_opposite_pairs_end_as_opposite_ones_do():
    assert deduplicate([ONCE, nearly(ONCE, "one", swap="yes")]).dropped == Dropped(contradictions=2)
    three = nearly(ONCE, "three", said=3, swap="yes")
    [kept] = deduplicate([ONCE, three]).kept
    assert (kept.id, kept.weight) == ("three", 0.5)
    rules = nearly(ONCE, "rules", said=9, raters=RULES, swap="yes")
    result = deduplicate([ONCE, rules])
    assert result.kept == (ONCE,)
    assert result.dropped == Dropped(contradictions=1)
    assert len(deduplicate([ONCE, three], near=1.0).kept) == 2


def test_nearly_equal_pairs_stand_together_against_an_opposite():
    again, against = nearly(ONCE, "again"), nearly(nearly(ONCE, ""), "against", swap="yes")
    result = deduplicate([against, again, ONCE])
    assert result.dropped == Dropped(near_duplicates=1, contradictions=1)
    assert [p.weight for p in result.kept] == [pytest.approx(1 / 3, abs=1e-4)]


def test_rules_that_say_what_a_person_says_do_not_outvote_two_persons():
    rules = replace(ONCE, id="rules", ratings=("1", "2", "3"), raters=RULES)
    two = nearly(ONCE, "two", said=2, raters=("person:ben", "person:cleo"), swap="yes")
    assert [p.id for p in deduplicate([ONCE, rules, two]).kept] == ["two"]
    exact = replace(ONCE, id="two", chosen=ONCE.rejected, rejected=ONCE.chosen, ratings=("x", "y"))
    assert [p.id for p in deduplicate([ONCE, rules, exact]).kept] == ["two"]


def test_two_corrections_of_one_answer_are_near_duplicates_and_no_contradiction():
    """All four texts are nearly alike; both prefer something to the same original."""
    one = preference(ASKED, LONG.replace("clean oil", "cleaner oil"), LONG)
    two = preference(ASKED, LONG.replace("great speed", "high speed"), LONG)
    assert deduplicate([one, two], near=0.7).dropped == Dropped(near_duplicates=1)
    back = nearly(one, "back", swap="yes")
    assert deduplicate([one, back], near=0.7).dropped == Dropped(contradictions=2)


@pytest.mark.parametrize("seed", range(3))
def test_of_100_planted_near_contradictions_none_is_left(seed):
    """A word of each text changed, the answers swapped, more or fewer ratings than the first."""
    random = Random(seed)
    vocabulary = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in ("st", "rk", "ll")]

    def text(words: int) -> str:
        return " ".join(random.choice(vocabulary) for _ in range(words))

    def changed(words: str) -> str:
        at = random.randrange(len(words.split()))
        return " ".join("other" if i == at else w for i, w in enumerate(words.split()))

    pairs, against = [], 0
    for n in range(100):
        one = replace(preference(text(90), text(120), text(110)), id=f"{n} one")
        asked = replace(one.prompt.messages[0], content=changed(one.prompt.messages[0].content))
        said = random.choice([1, 2])
        other = replace(
            one,
            id=f"{n} other",
            prompt=replace(one.prompt, messages=(asked,)),
            chosen=replace(one.rejected, text=changed(one.rejected.text)),
            rejected=replace(one.chosen, text=changed(one.chosen.text)),
            ratings=tuple(f"{n} {i}" for i in range(said)),
        )
        pairs += [one, other]
        against += 2 if said == 1 else 1
    random.shuffle(pairs)
    result = deduplicate(pairs)
    assert result.dropped == Dropped(contradictions=against)
    assert all(p.id.endswith("other") for p in result.kept)


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
