from __future__ import annotations

import math
from itertools import combinations

import pytest
from examples import candidate_set, rating
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.preferences import build, thumbs

FOUR = candidate_set("s", "one", "two", "three", "four")
RATERS = ("person:anna", "person:ben", "person:cleo", "person:dan", "person:eve")


def by(*orders, raters=RATERS, **options):
    """One ranking per rater."""
    return [
        rating("s", order, rater=r, **options) for order, r in zip(orders, raters, strict=False)
    ]


def built(ratings, **options):
    return {
        (p.chosen.id, p.rejected.id): p.weight
        for p in build([FOUR], ratings, strategy="all", **options)
    }


def test_the_weight_is_votes_for_less_votes_against_over_votes_given():
    assert built(by("a>b")) == {("a", "b"): 1.0}
    assert built(by("a>b", "a>b", "b>a")) == {("a", "b"): pytest.approx(1 / 3, abs=1e-4)}
    assert built(by("a>b", "ab")) == {("a", "b"): 0.5}


def test_a_person_is_not_outvoted_by_models_and_rules():
    machines = by("b>a", "b>a", "b>a", raters=("model:x", "model:y", "rule:z"))
    assert built(machines) == {("b", "a"): 1.0}
    for resolve in ("majority", "bradley-terry"):
        [pair] = built([*by("a>b"), *machines], resolve=resolve)
        assert pair == ("a", "b")
        tie = rating("s", "", kind="pairwise", shown="ab", both_bad=True)
        assert built([tie, *machines], resolve=resolve) == {}


def test_trust_weighs_votes_by_log_odds():
    votes = by("a>b", "b>a", "b>a")
    trust = {"person:anna": 0.95, "person:ben": 0.6, "person:cleo": 0.6}
    ahead, against = math.log(0.95 / 0.05), 2 * math.log(0.6 / 0.4)
    weight = (ahead - against) / (ahead + against)
    assert built(votes, trust=trust) == {("a", "b"): pytest.approx(weight, abs=1e-4)}
    assert built(votes, trust=trust, resolve="bradley-terry").keys() == {("a", "b")}
    assert built(votes).keys() == {("b", "a")}


def test_even_the_most_trusted_can_be_outvoted():
    certain = built(by("a>b", "b>a", "b>a"), trust=dict.fromkeys(RATERS[1:3], 1.0))
    assert certain.keys() == {("b", "a")}


@pytest.mark.parametrize("accuracy", [0.5, 1.01, -1, math.nan])
def test_a_trust_that_is_no_accuracy_is_refused(accuracy):
    with pytest.raises(InputError, match="accuracy"):
        built(by("a>b"), trust={"person:anna": accuracy})


def test_bradley_terry_lets_other_pairs_settle_an_even_vote():
    # a and b are even between themselves; b lost to c, whom a beat.
    votes = by("a>b", "b>a", "a>c", "c>b")
    assert ("a", "b") not in built(votes)
    assert built(votes, resolve="bradley-terry")["a", "b"] > 0


def test_bradley_terry_leaves_out_pairs_within_the_margin():
    votes = by("a>b", "a>b", "b>a")
    assert built(votes, resolve="bradley-terry", margin=0.3).keys() == {("a", "b")}
    assert built(votes, resolve="bradley-terry", margin=1.0) == {}
    with pytest.raises(InputError, match="margin"):
        built(votes, resolve="bradley-terry", margin=0.0)


def test_bradley_terry_takes_no_pair_that_nobody_judged_so():
    votes = by("b>a", "a>c", "a>c", "a>c", "c>b")
    votes += by("c>b", "c>b", raters=("person:fay", "person:gil"))
    assert ("a", "b") not in built(votes, resolve="bradley-terry")


def test_rules_on_neighbouring_pairs_do_not_move_what_persons_compared():
    people = by("a>b", "a>b", "b>a")
    alone = built(people, resolve="bradley-terry")
    assert alone == {("a", "b"): pytest.approx(0.29, abs=0.01)}
    rules = [rating("s", o, rater=f"rule:{n}") for n in range(50) for o in ("b>c", "c>a")]
    found = built([*people, *rules], resolve="bradley-terry")
    assert found["a", "b"] == alone["a", "b"]
    # What no person compared is for the rules to say.
    assert found.keys() == {("a", "b"), ("b", "c"), ("c", "a")}
    assert ("b", "a") not in built([*by("ab"), *rules], resolve="bradley-terry")


def test_rules_do_not_turn_a_pair_that_persons_compared_in_a_chain():
    people = by("a>b", "b>c")
    against = [rating("s", "c>a", rater=f"rule:{n}") for n in range(50)]
    alone = built(people, resolve="bradley-terry")
    assert built([*people, *against], resolve="bradley-terry") == alone
    sided = [*people, *against, rating("s", "a>c", rater="rule:agrees")]
    found = built(sided, resolve="bradley-terry")
    assert found.keys() == {*alone, ("a", "c")}
    assert {pair: found[pair] for pair in alone} == alone


VOTES = st.lists(st.tuples(st.permutations("abcd"), st.integers(2, 4)), max_size=6)


@settings(deadline=None)
@given(VOTES.filter(bool), VOTES)
def test_whatever_rules_say_persons_pairs_are_as_without_them(by_people, by_rules):
    people, rules = (
        [
            rating("s", ">".join(order[:n]), rater=f"{kind}:{i}")
            for i, (order, n) in enumerate(given)
        ]
        for kind, given in (("person", by_people), ("rule", by_rules))
    )
    for resolve in ("majority", "bradley-terry"):
        alone = built(people, resolve=resolve)
        found = built([*people, *rules], resolve=resolve)
        assert alone.items() <= found.items()
        judged = {frozenset(p) for r in people for p in combinations(r.shown, 2)}
        assert {frozenset(pair) for pair in found.keys() - alone.keys()}.isdisjoint(judged)


@settings(deadline=None)
@given(st.lists(st.permutations("abcd"), min_size=1, max_size=5), st.randoms())
def test_bradley_terry_does_not_depend_on_the_order_of_ratings(orders, random):
    votes = by(*(">".join(order) for order in orders))
    shuffled = list(votes)
    random.shuffle(shuffled)
    expected = built(votes, resolve="bradley-terry")
    assert built(shuffled, resolve="bradley-terry") == expected
    assert all(0 < weight <= 1 for weight in expected.values())
    assert not any((b, a) in expected for a, b in expected)


def test_an_unknown_way_to_resolve_is_refused():
    with pytest.raises(InputError, match="majority, bradley-terry"):
        built([], resolve="loudest")


def test_thumbs_agree_by_majority_and_persons_come_first():
    def thumb(id, value, rater):
        return rating("s", kind="thumbs", shown=id, value=value, rater=rater)

    given = [
        thumb("a", 1, "person:anna"),
        thumb("a", 0, "rule:x"),
        thumb("b", 1, "person:anna"),
        thumb("b", 0, "person:ben"),
        thumb("c", 0, "person:ben"),
    ]
    assert [(t.completion.id, t.up, t.weight) for t in thumbs([FOUR], given)] == [
        ("a", True, 1.0),
        ("c", False, 1.0),
    ]
