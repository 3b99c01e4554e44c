from __future__ import annotations

from dataclasses import replace

import pytest
from examples import completion, prompt, rating

from workbench.errors import InputError
from workbench.evaluation import candidate_sets, compare, judge_from
from workbench.records import CandidateSet, Rating

N = 40
PROMPTS = [prompt(f"Question {i}?") for i in range(N)]
BASE = [completion(f"base {i}", f"base-{i}") for i in range(N)]
ADAPTER = [completion(f"tuned {i}", f"tuned-{i}", adapter="a" * 64, seed=1) for i in range(N)]


def ranked(candidate_set: CandidateSet, *groups: tuple[str, ...], **changes) -> Rating:
    shown = tuple(c.id for c in candidate_set.completions)
    return replace(rating(candidate_set.id), shown=shown, ranking=groups, **changes)


def prefers(text: str):
    def judge(candidate_set: CandidateSet) -> Rating:
        by_taste = sorted(candidate_set.completions, key=lambda c: text not in c.text)
        return ranked(candidate_set, *((c.id,) for c in by_taste))

    return judge


def test_a_win_is_the_adapter_s():
    assert {c.outcome for c in compare(BASE, ADAPTER, PROMPTS, prefers("tuned"))} == {"win"}
    assert {c.outcome for c in compare(BASE, ADAPTER, PROMPTS, prefers("base"))} == {"loss"}


def test_comparisons_keep_the_whole_answers_and_the_rating():
    comparisons = compare(BASE, ADAPTER, PROMPTS, prefers("tuned"))
    assert [c.prompt_id for c in comparisons] == [p.id for p in PROMPTS]
    assert [c.base for c in comparisons] == BASE
    assert [c.adapter for c in comparisons] == ADAPTER
    assert set(comparisons[0].rating.shown) == {"base-0", "tuned-0"}


def test_ties_and_both_bad_are_ties():
    tie = compare(BASE, ADAPTER, PROMPTS, lambda s: ranked(s, tuple(c.id for c in s.completions)))
    bad = compare(BASE, ADAPTER, PROMPTS, lambda s: ranked(s, both_bad=True))
    assert {c.outcome for c in (*tie, *bad)} == {"tie"}


def test_the_judge_sees_nothing_that_tells_the_sides_apart():
    sets = candidate_sets(BASE, ADAPTER, PROMPTS)
    for candidate_set in sets:
        first, second = candidate_set.completions
        told = replace(
            second, id=first.id, text=first.text, sampling=first.sampling, token_ids=first.token_ids
        )
        assert told == first
    firsts = sum(s.completions[0].id.startswith("base") for s in sets)
    # An even coin 40 times: outside 8..32 once in 20,000.
    assert 8 <= firsts <= 32


def test_sets_are_the_same_every_time():
    assert candidate_sets(BASE, ADAPTER, PROMPTS) == candidate_sets(BASE, ADAPTER, PROMPTS)


@pytest.mark.parametrize(
    ("base", "adapter", "fact"),
    [
        (BASE[1:], ADAPTER, "39 base and 40 adapter answers don't match 40 prompts"),
        ([*BASE[1:], ADAPTER[0]], ADAPTER, "base answers come from several models"),
        (BASE, [replace(ADAPTER[0], adapter="b" * 64), *ADAPTER[1:]], "adapter answers come from"),
        (
            [replace(b, sampling=replace(b.sampling, temperature=0.1)) for b in BASE],
            ADAPTER,
            "different sampling",
        ),
        (BASE, BASE, "have the id base-0"),
        (
            [replace(BASE[0], usage=replace(BASE[0].usage, prompt_tokens=99)), *BASE[1:]],
            ADAPTER,
            "prompts of different length",
        ),
    ],
)
def test_answers_that_do_not_match_are_refused(base, adapter, fact):
    with pytest.raises(InputError, match=fact):
        compare(base, adapter, PROMPTS, prefers("tuned"))


def test_a_prompt_counts_once():
    with pytest.raises(InputError, match="more than once"):
        candidate_sets(BASE[:2], ADAPTER[:2], [PROMPTS[0], PROMPTS[0]])


def test_a_rating_that_does_not_compare_the_two_is_refused():
    def stars(candidate_set: CandidateSet) -> Rating:
        return rating(candidate_set.id, kind="stars", shown="a", value=3)

    with pytest.raises(InputError, match="does not compare the two answers"):
        compare(BASE, ADAPTER, PROMPTS, stars)
    with pytest.raises(InputError, match="does not compare the two answers"):
        compare(BASE, ADAPTER, PROMPTS, lambda s: replace(prefers("base")(s), candidate_set="x"))


def test_a_journal_judges_as_its_rater_did():
    sets = candidate_sets(BASE, ADAPTER, PROMPTS)
    given = [prefers("tuned")(s) for s in sets]
    changed = replace(prefers("base")(sets[0]), id="later", at="2026-01-02T00:00:00Z")
    remark = rating(sets[1].id, kind="comment", shown="a", id="remark")
    said = judge_from([*given, changed, remark])
    outcomes = [c.outcome for c in compare(BASE, ADAPTER, PROMPTS, said)]
    assert outcomes == ["loss"] + ["win"] * (N - 1)
    with pytest.raises(InputError, match="have 0 judgements, not one"):
        compare(BASE, ADAPTER, PROMPTS, judge_from(given[1:]))
    other = replace(given[0], rater="person:ben", id="ben")
    with pytest.raises(InputError, match="have 2 judgements, not one"):
        compare(BASE, ADAPTER, PROMPTS, judge_from([*given, other]))
