from __future__ import annotations

import numpy as np
import pytest

from workbench.adapters.divergence import Transfer, kl, normalised

RANDOM = np.random.default_rng(0)


def test_kl_is_that_of_the_textbook() -> None:
    p, q = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]])
    expected = 0.5 * np.log(2) + 0.5 * np.log(2 / 3)
    assert kl(p, q) == pytest.approx([expected, 0.0])


def test_padding_of_a_vocabulary_does_not_count() -> None:
    logits = RANDOM.normal(size=(3, 10)).astype(np.float32)
    padded = np.concatenate([logits, np.full((3, 4), 5.0, np.float32)], axis=1)
    rows = normalised(padded, 10)
    assert np.exp(rows).sum(axis=1) == pytest.approx(1.0)
    assert kl(normalised(logits, 10), rows) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.0])
def test_slope_is_how_much_of_an_effect_arrives(scale: float) -> None:
    effect = RANDOM.normal(size=(4, 50))
    weights = np.exp(normalised(RANDOM.normal(size=(4, 50)), 50))
    # A shift of a whole row changes no probability, so it must not count either.
    other = scale * effect + RANDOM.normal(size=(4, 1))
    transfer = Transfer.of(effect[:2], other[:2], weights[:2])
    transfer += Transfer.of(effect[2:], other[2:], weights[2:])
    assert transfer.slope == pytest.approx(scale)
    assert transfer.correlation == pytest.approx(1.0 if scale else 0.0, abs=1e-6)


def test_an_unrelated_effect_does_not_correlate() -> None:
    weights = np.full((20, 500), 1 / 500)
    transfer = Transfer.of(RANDOM.normal(size=(20, 500)), RANDOM.normal(size=(20, 500)), weights)
    assert abs(transfer.correlation) < 0.05
    assert abs(transfer.slope) < 0.05
