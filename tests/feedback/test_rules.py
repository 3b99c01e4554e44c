"""Rules judge by what they state, in English and Russian, and always in the same way."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import feedback
from workbench.errors import InputError, SettingsError
from workbench.feedback.rules import first_sentence

WORDS = st.lists(st.sampled_from(["кот", "river", "3.14", "don't", "e.g. the"]), min_size=1)
SENTENCES = WORDS.map(" ".join)
TEXTS = st.lists(st.text(max_size=80), min_size=2, max_size=8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is Paris. It lies on the Seine.", "It is Paris."),
        ("Is it? Yes.", "Is it?"),
        ("Wait… what?", "Wait…"),
        ("Really?! Yes.", "Really?!"),
        ("No end at all", "No end at all"),
        ("A title\nThen text.", "A title"),
        ("Pi is 3.14 or so. Yes.", "Pi is 3.14 or so."),
        ("Use a list, e.g. the one below. Then sort.", "Use a list, e.g. the one below."),
        ("Ask Dr. Strange about it. Or not.", "Ask Dr. Strange about it."),
        ('He said "No." Then he left.', 'He said "No."'),
        ("1. Open the box. 2. Close it.", "Open the box."),
        ("## **Answer**\nIt is so.", "Answer**"),
        ("\n\n- Один пункт. Ещё один.", "Один пункт."),
        ("Писал А. С. Пушкин в 1833 г. Потом издал.", "Писал А. С. Пушкин в 1833 г."),
        ("Это так, т. е. когда холодно. Потом тепло.", "Это так, т. е. когда холодно."),
        ("«Кот спит.» Он на печи.", "«Кот спит.»"),
        ("Ответ: 42. Почему?", "Ответ: 42."),
        ("", ""),
    ],
)
def test_the_first_sentence_ends_where_a_reader_ends_it(text: str, expected: str) -> None:
    assert first_sentence(text) == expected


@given(SENTENCES, st.sampled_from([".", "!", "?", "…", "\n"]), st.text())
def test_what_follows_the_first_sentence_does_not_count(sentence: str, end: str, rest: str) -> None:
    measure = feedback.RULES["short-first-sentence"].measure
    # A capital letter, since a full stop before a small one does not end a sentence.
    assert measure(f"{sentence}{end} Then {rest}") == measure(sentence + end)


@given(st.text())
def test_the_first_sentence_is_part_of_the_answer(text: str) -> None:
    assert first_sentence(text) in text


@pytest.mark.parametrize("name", feedback.RULES)
def test_an_answer_without_words_never_wins(name: str, make_set) -> None:
    rating = feedback.judge(make_set("s", "", "...", "Many words stand here. " * 9), name, seed=0)
    assert rating.ranking[0] == ("s-2",)
    assert set(rating.ranking[1]) == {"s-0", "s-1"}


@given(texts=TEXTS, seed=st.integers(0, 9), margin=st.integers(0, 9))
def test_groups_are_a_margin_apart_and_in_order(make_set, texts, seed, margin) -> None:
    candidate_set = make_set("s", *texts)
    rating = feedback.judge(candidate_set, "shorter", seed=seed, margin=margin)
    measure = feedback.RULES["shorter"].measure
    values = [[measure(candidate_set.completion(id).text) for id in g] for g in rating.ranking]
    assert sorted(id for group in rating.ranking for id in group) == sorted(rating.shown)
    for better, worse in combinations(values, 2):
        assert min(worse) > max(better)
        assert min(worse) - max(better) >= margin
    for group in values:
        ordered = sorted(group)
        assert all(b == a or b - a < margin for a, b in pairwise(ordered))


@given(texts=TEXTS, seed=st.integers(0, 99))
def test_the_same_judgement_has_the_same_id_whenever_it_is_given(make_set, texts, seed) -> None:
    early, late = (
        feedback.judge(make_set("s", *texts), "shorter", seed=seed, at=at)
        for at in ("2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
    )
    assert early.id == late.id
    assert early.shown == late.shown
    assert early.at != late.at


def test_a_rating_says_who_judged_what(make_set) -> None:
    rating = feedback.judge(make_set("s", "One two.", "One " * 20), "shorter", seed=1)
    assert (rating.kind, rating.rater, rating.door) == ("ranking", "rule:shorter", "script")
    assert rating.ranking == (("s-0",), ("s-1",))
    assert rating.candidate_set == "s"


def test_a_rating_names_the_traces_of_its_answers(make_set) -> None:
    bare = make_set("s", "One two.", "One " * 20)
    assert feedback.judge(bare, "shorter", seed=1).traces == ()
    traced = tuple(replace(c, trace_id=f"trace of {c.id}") for c in bare.completions)
    rating = feedback.judge(replace(bare, completions=traced), "shorter", seed=1)
    assert rating.traces == tuple(f"trace of {id}" for id in rating.shown)


def test_near_answers_tie(make_set) -> None:
    sets = make_set("s", "One two three. X", "One two three four five. X", "One. X")
    rating = feedback.judge(sets, "short-first-sentence", seed=0, margin=2)
    assert [set(group) for group in rating.ranking] == [{"s-2"}, {"s-0"}, {"s-1"}]
    rating = feedback.judge(sets, "short-first-sentence", seed=0)
    assert [set(group) for group in rating.ranking] == [{"s-0", "s-1", "s-2"}]


def test_the_order_shown_depends_on_the_seed_and_the_set(make_set) -> None:
    orders = {
        tuple(id[-1] for id in feedback.judge(make_set(s, *"abcd"), "shorter", seed=n).shown)
        for s in "xyz"
        for n in range(20)
    }
    assert len(orders) > 15


def test_an_unknown_rule_is_refused_with_the_known_ones(make_set) -> None:
    with pytest.raises(SettingsError, match="short-first-sentence"):
        feedback.judge(make_set("s", "a", "b"), "nicer", seed=0)


def test_a_single_answer_can_not_be_ranked(make_set) -> None:
    with pytest.raises(InputError, match="fewer than two"):
        feedback.judge(make_set("s", "a"), "shorter", seed=0)


@pytest.mark.parametrize("name", feedback.RULES)
def test_a_rule_states_its_margin(name: str) -> None:
    rule = feedback.RULES[name]
    assert rule.name == name
    assert f"less than {rule.margin:g} words apart is a tie" in rule.statement
