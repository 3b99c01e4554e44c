from __future__ import annotations

import pytest
from examples import completion, rating
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.evaluation import decision, interval, tally_of, verdict
from workbench.records import Comparison


def comparisons(
    wins: int, losses: int, ties: int, *, base: str = "a b c", adapter: str = "a b", rater="rule:r"
) -> list[Comparison]:
    outcomes = ["win"] * wins + ["loss"] * losses + ["tie"] * ties
    return [
        Comparison(
            prompt_id=f"p{i}",
            base=completion(base, f"b{i}"),
            adapter=completion(adapter, f"a{i}", adapter="f" * 64),
            outcome=outcome,
            rating=rating(f"s{i}", "a>b", rater=rater),
        )
        for i, outcome in enumerate(outcomes)
    ]


def test_a_clear_win_is_said_in_one_sentence_with_all_that_belongs_to_it():
    result = verdict(comparisons(26, 10, 0, rater="rule:short-first-sentence"))
    assert decision(result) == "better"
    assert result.conclusion == (
        "The adapter is better than its base: over 36 prompts it won 26, lost 10 and tied 0, "
        "a win rate of 72% (95% interval 57% to 85%); what it would be at equal length can't be "
        "told, judged by rules, not by people (rule:short-first-sentence)."
    )


def test_a_clear_loss_is_worse():
    result = verdict(comparisons(5, 30, 2))
    assert decision(result) == "worse"
    assert result.conclusion.startswith("The adapter is worse than its base")


def test_an_open_outcome_is_no_proof_and_says_what_it_would_take():
    result = verdict(comparisons(20, 16, 4, rater="person:anna"))
    assert decision(result) == "no proof"
    assert result.conclusion.startswith("No proof either way (n=40)")
    assert "judged by people (person:anna)" in result.conclusion
    assert "takes about 705 prompts to show" in result.conclusion


def test_an_even_outcome_names_no_number_of_prompts():
    assert "takes about" not in verdict(comparisons(7, 7, 1)).conclusion


def test_everyone_who_judged_is_named():
    last = Comparison("q", completion("x", "x"), completion("y", "y"), "tie", rating("s", "a>b"))
    some = [*comparisons(9, 3, 0, rater="person:ben"), last]
    result = verdict(some)
    assert result.judged_by == ("person:anna", "person:ben")
    assert "people (person:anna, person:ben)" in result.conclusion


def test_lengths_stand_beside_the_rate():
    base, adapter = completion("x", "x"), completion("y y y", "y")
    longer = Comparison("q", base, adapter, "loss", rating("s", "a>b"))
    some = comparisons(3, 0, 0, base="one two three four", adapter="one")
    result = verdict([*some, longer])
    assert (result.base_words, result.adapter_words) == (3.25, 1.5)
    assert result.longest_wins == 0.25
    assert result.length_controlled is not None
    assert "at equal length" in result.conclusion


def test_equal_lengths_make_the_longest_baseline_even():
    result = verdict(comparisons(3, 1, 0, base="a b", adapter="c d"))
    assert result.longest_wins == 0.5
    assert result.agreement is None


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 10))
def test_the_decision_follows_the_interval_and_the_sentence_the_decision(wins, losses, ties):
    some = comparisons(wins, losses, ties, base="a b", adapter="c d")
    if not some:
        return
    result = verdict(some)
    low, high = interval(tally_of(some))
    said = {"better": low > 0.5, "worse": high < 0.5, "no proof": low <= 0.5 <= high}
    assert said[decision(result)]
    opening = {"better": "The adapter is better", "worse": "The adapter is worse"}
    assert result.conclusion.startswith(opening.get(decision(result), "No proof either way"))
    assert result.conclusion.count(". ") == 0


def test_nothing_and_a_prompt_judged_twice_are_refused():
    with pytest.raises(InputError, match="no comparisons"):
        verdict([])
    with pytest.raises(InputError, match="Prompt p0 is compared 2 times"):
        verdict(comparisons(1, 0, 0) * 2)
