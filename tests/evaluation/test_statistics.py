from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.evaluation import Tally, interval, length_controlled, required_n

COUNT = st.integers(0, 60)
TALLIES = st.builds(Tally, COUNT, COUNT, COUNT).filter(lambda tally: tally.n > 0)


def test_interval_equals_bonett_and_price_s_formula_on_published_counts():
    # Airway hyper-responsiveness before and after a transplant (Bentur et al. 2009): of 21
    # children 1 changed one way and 7 the other. p - q = 2/23 - 8/23, worked out by hand.
    low, high = interval(Tally(wins=1, losses=7, ties=13))
    assert (2 * low - 1, 2 * high - 1) == pytest.approx((-0.5084, -0.0134), abs=5e-5)


@given(TALLIES, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_a_mirror_image_when_sides_are_swapped(tally, confidence):
    low, high = interval(tally, confidence)
    other_low, other_high = interval(Tally(tally.losses, tally.wins, tally.ties), confidence)
    assert (other_low, other_high) == pytest.approx((1 - high, 1 - low))
    assert 0 <= low < high <= 1


@given(TALLIES)
def test_more_confidence_is_a_wider_interval(tally):
    low, high = interval(tally, 0.9)
    wider_low, wider_high = interval(tally, 0.99)
    assert wider_low <= low
    assert high <= wider_high


def test_ties_narrow_the_interval_but_leave_an_even_rate_even():
    even = Tally(10, 10, 0)
    tied = Tally(2, 2, 16)
    assert even.win_rate == tied.win_rate == 0.5
    assert interval(tied)[1] < interval(even)[1]


@pytest.mark.parametrize(
    ("n", "wins", "losses"),
    [(36, 0.5, 0.5), (36, 0.7, 0.3), (36, 0.6, 0.1), (96, 0.55, 0.45), (96, 0.3, 0.2)],
)
def test_the_interval_covers_the_true_rate_about_as_often_as_it_says(n, wins, losses):
    rng = np.random.default_rng(1)
    truth = (1 + wins - losses) / 2
    draws = rng.multinomial(n, [wins, losses, max(0.0, 1 - wins - losses)], 4000)
    covered = 0
    for drawn in draws:
        low, high = interval(Tally(*map(int, drawn)))
        covered += low <= truth <= high
    # Counts are whole, so that coverage jumps around 95 %; the simulation's own error is 0.35 %.
    assert 0.93 < covered / len(draws) < 0.975


@pytest.mark.parametrize(("rate", "ties"), [(0.6, 0.0), (0.3, 0.0), (0.65, 0.2)])
def test_required_n_gives_the_power_it_promises(rate, ties):
    n = required_n(rate, ties=ties, power=0.8)
    wins = rate - ties / 2
    rng = np.random.default_rng(2)
    draws = rng.multinomial(n, [wins, max(0.0, 1 - ties - wins), ties], 2000)
    bounds = [interval(Tally(*map(int, drawn))) for drawn in draws]
    shown = np.mean([low > 0.5 or high < 0.5 for low, high in bounds])
    assert 0.75 < shown < 0.86


def test_required_n_of_what_cannot_be_shown_is_an_error():
    with pytest.raises(InputError, match=r"win rate of 0\.5"):
        required_n(0.5)
    with pytest.raises(InputError, match="with 50% ties"):
        required_n(0.9, ties=0.5)
    assert required_n(1.0) > 0
    assert required_n((1 + 2 / 2) / 3, ties=2 / 3) > 0


def outcomes(n: int, *, ability: float, slope: float, longer_by: float) -> tuple[list, list]:
    """Outcomes of a judge who likes length by `slope`, and length differences (sd of 10 words)."""
    rng = np.random.default_rng(3)
    differences = rng.normal(longer_by, 10, n)
    chance = 1 / (1 + np.exp(-ability - slope * np.tanh(differences / 10)))
    return list((rng.random(n) < chance).astype(float)), list(differences)


def test_length_control_takes_away_what_length_alone_won():
    scores, differences = outcomes(3000, ability=0.0, slope=2.0, longer_by=8)
    assert np.mean(scores) > 0.66
    assert length_controlled(scores, differences) == pytest.approx(0.5, abs=0.04)


def test_length_control_finds_what_length_hid():
    scores, differences = outcomes(3000, ability=1.0, slope=2.0, longer_by=-8)
    assert np.mean(scores) < 0.55
    assert length_controlled(scores, differences) == pytest.approx(0.731, abs=0.04)


def test_length_control_leaves_a_judge_alone_who_does_not_mind_length():
    scores, differences = outcomes(3000, ability=1.0, slope=0.0, longer_by=8)
    assert length_controlled(scores, differences) == pytest.approx(np.mean(scores), abs=0.02)


def test_equal_lengths_and_ties_give_the_plain_rate():
    assert length_controlled([1, 1, 0, 0.5] * 50, [0] * 200) == pytest.approx(0.625, abs=1e-3)


@pytest.mark.parametrize("wins", [lambda d: 1.0, lambda d: 0.0, lambda d: float(d > 0)])
def test_separable_outcomes_stay_finite(wins):
    differences = list(range(-15, 16))
    rate = length_controlled([wins(d) for d in differences], differences)
    assert rate is not None
    assert math.isfinite(rate)
    assert 0 < rate < 1


def test_no_number_where_one_side_is_always_longer():
    assert length_controlled([1, 0, 1], [3, 1, 8]) is None
    assert length_controlled([1, 0, 1], [-3, -1, -8]) is None
    assert length_controlled([], []) is None


def test_a_confidence_outside_zero_and_one_is_refused():
    with pytest.raises(InputError, match="95 is no confidence level"):
        interval(Tally(1, 0, 0), 95)
