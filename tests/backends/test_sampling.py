"""The sampler against a naive one written from its definition, and its promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from workbench.backends.sampling import Sampler, candidates
from workbench.errors import BackendError
from workbench.records import Sampling

BORDER = 1e-9  # a cumulative probability this close to top_p may fall either way

logits_lists = st.lists(
    st.one_of(st.floats(-30, 30, width=32), st.sampled_from([0.0, 1.0, 2.0, -math.inf])),
    min_size=1,
    max_size=40,
).filter(lambda values: max(values) > -math.inf)

samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.5]),
    top_p=st.one_of(st.just(1.0), st.floats(0.01, 1.0)),
    top_k=st.integers(0, 12),
    min_p=st.one_of(st.just(0.0), st.floats(0.0, 1.0)),
    repetition_penalty=st.sampled_from([1.0, 1.3, 0.8]),
    frequency_penalty=st.sampled_from([0.0, 0.5, -0.5]),
    presence_penalty=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 2**40),
)


def naive_tokens(rows, sampling, prompt, index):
    """Token by token, with plain Python lists and sorts over the whole vocabulary."""
    random = np.random.default_rng((sampling.seed, index))
    answer = []
    for row in rows:
        scores = [float(x) for x in naive_penalties(row, sampling, prompt, answer)]
        best = max(scores)
        if sampling.temperature == 0:
            answer.append(scores.index(best))
            continue
        ranked = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
        if sampling.top_k:
            ranked = ranked[: sampling.top_k]
        weight = {i: math.exp((scores[i] - best) / sampling.temperature) for i in ranked}
        total, reached, nucleus = sum(weight.values()), 0.0, []
        for i in ranked:
            if sampling.top_p < 1:
                assume(abs(reached / total - sampling.top_p) > BORDER)
                if reached >= sampling.top_p * total:
                    break
            nucleus.append(i)
            reached += weight[i]
        assume(all(abs(weight[i] - sampling.min_p) > BORDER for i in nucleus[1:]))
        kept = sorted(i for i in nucleus if weight[i] > 0 and weight[i] >= sampling.min_p)
        target, below = random.random() * sum(weight[i] for i in kept), 0.0
        for i in kept:
            below += weight[i]
            assume(abs(below - target) > BORDER or i == kept[-1])
            if below > target:
                break
        answer.append(i)
    return answer


def naive_penalties(row, sampling, prompt, answer):
    scores = np.array(row, np.float32)
    for i in {i for i in [*prompt, *answer] if i < len(row)}:
        factor = np.float32(sampling.repetition_penalty)
        scores[i] = scores[i] / factor if scores[i] > 0 else scores[i] * factor
    for i in set(answer):
        scores[i] -= np.float32(
            sampling.frequency_penalty * answer.count(i) + sampling.presence_penalty
        )
    return scores


@settings(max_examples=400, deadline=None)
@given(st.data(), logits_lists, samplings, st.lists(st.integers(0, 50), max_size=8))
def test_the_sampler_equals_a_naive_one(data, first, sampling, prompt):
    width = len(first)
    more = st.lists(st.floats(-30, 30, width=32), min_size=width, max_size=width)
    rows = [first, *data.draw(st.lists(more, max_size=4))]
    sampler = Sampler(sampling, prompt, index=3)
    drawn = [sampler.pick(np.array(row, np.float32)) for row in rows]
    assert drawn == naive_tokens(rows, sampling, prompt, 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.999), st.sampled_from([0.01, 1.0, 6.0]))
@example(1, 0.999, 0.01)
def test_top_p_over_a_large_vocabulary_keeps_the_fewest_that_reach_it(seed, top_p, spread):
    scores = (np.random.default_rng(seed).standard_normal(6000) * spread).astype(np.float32)
    ids, weights = candidates(scores, scores.max(), Sampling(temperature=1, top_k=0, top_p=top_p))
    everything = np.exp(scores.astype(np.float64) - scores.max())
    share = weights.sum() / everything.sum()
    assert share >= top_p - BORDER
    assert share - weights.min() / everything.sum() < top_p + BORDER
    assert everything[np.setdiff1d(np.arange(6000), ids)].max(initial=0) <= weights.min()


def test_equal_seeds_give_equal_tokens_and_other_seeds_or_indices_do_not():
    rows = np.random.default_rng(0).standard_normal((40, 500)).astype(np.float32)

    def tokens(seed, index):
        sampler = Sampler(Sampling(temperature=1, top_k=0, top_p=1, seed=seed), (), index)
        return [sampler.pick(row) for row in rows]

    assert tokens(5, 1) == tokens(5, 1)
    assert len({tuple(tokens(s, i)) for s, i in [(5, 1), (5, 2), (6, 1), (1, 5)]}) == 4


def test_draws_follow_the_probabilities():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    sampler = Sampler(Sampling(temperature=1, top_k=0, top_p=1, seed=11))
    counts = np.bincount([sampler.pick(logits) for _ in range(20_000)], minlength=4)
    expected = 20_000 * np.array([0.5, 0.3, 0.15, 0.05])
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 16.3  # 0.1 % of the distribution with 3 degrees of freedom


def test_rounding_in_the_logits_rarely_changes_a_token():
    random = np.random.default_rng(3)
    rows = (random.standard_normal((2000, 300)) * 3).astype(np.float32)
    noise = (random.standard_normal(rows.shape) * 1e-5).astype(np.float32)
    a, b = Sampler(Sampling(seed=1)), Sampler(Sampling(seed=1))
    differing = sum(a.pick(x) != b.pick(x + n) for x, n in zip(rows, noise, strict=True))
    assert differing <= 2


def test_ties_go_to_the_lower_id():
    logits = np.array([1, 7, 7, 7, 0], np.float32)
    assert Sampler(Sampling.greedy()).pick(logits) == 1
    ids, _ = candidates(logits, logits.max(), Sampling(temperature=1, top_k=2, top_p=1))
    assert ids.tolist() == [1, 2]


def test_a_forbidden_token_is_never_drawn():
    logits = np.full(100, -np.inf, np.float32)
    logits[[7, 60]] = [0.0, -5.0]
    sampler = Sampler(Sampling(temperature=3, top_k=40, top_p=1))
    assert {sampler.pick(logits) for _ in range(300)} == {7, 60}


def test_the_logits_are_left_as_they_were():
    logits = np.ones(8, np.float32)
    sampler = Sampler(Sampling(repetition_penalty=2, frequency_penalty=1), prompt=[3, 900])
    for _ in range(3):
        sampler.pick(logits)
    assert (logits == 1).all()


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_logits_without_a_maximum_are_refused(bad):
    with pytest.raises(BackendError, match="finite"):
        Sampler(Sampling()).pick(np.full(4, bad, np.float32))


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"min_p": 2},
        {"repetition_penalty": 0},
        {"max_tokens": 0},
        {"seed": -1},
        {"stop": ("",)},
    ],
)
def test_settings_out_of_range_are_named(setting):
    with pytest.raises(BackendError, match=next(iter(setting))):
        Sampler(Sampling(**setting))
