"""How far two runtimes are apart, in numbers: KL divergence and transfer of an effect.

Pure arithmetic on rows of log-probabilities, [positions, vocabulary] in nats,
computed in float64. It knows nothing about runtimes or adapters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def normalised(rows: np.ndarray, size: int) -> np.ndarray:
    """The first `size` columns as log-probabilities: runtimes pad vocabularies differently."""
    rows = rows[:, :size].astype(np.float64)
    top = rows.max(axis=1, keepdims=True)
    return rows - top - np.log(np.exp(rows - top).sum(axis=1, keepdims=True))


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) of each position in nats, [positions]; p and q are normalised."""
    return np.maximum((np.exp(p) * (p - q)).sum(axis=1), 0.0)


@dataclass(frozen=True)
class Transfer:
    """How an effect measured in one place shows up in another.

    An effect is the change of every log-probability when an adapter is put on.
    Centred and weighted by probability, the two effects have the second moments
    `rr` (reference), `oo` (other) and `ro` (both). An error that both sides of
    the change share, as the quantisation of a base is, cancels to first order.
    """

    rr: float = 0.0
    oo: float = 0.0
    ro: float = 0.0

    @classmethod
    def of(cls, reference: np.ndarray, other: np.ndarray, weights: np.ndarray) -> Transfer:
        """Of two effects under probabilities `weights`, all [positions, vocabulary]."""
        reference = reference - (weights * reference).sum(axis=1, keepdims=True)
        other = other - (weights * other).sum(axis=1, keepdims=True)
        return cls(
            rr=float((weights * reference * reference).sum()),
            oo=float((weights * other * other).sum()),
            ro=float((weights * reference * other).sum()),
        )

    def __add__(self, more: Transfer) -> Transfer:
        return Transfer(self.rr + more.rr, self.oo + more.oo, self.ro + more.ro)

    @property
    def slope(self) -> float:
        """How much of the effect arrives: 1 is all, 0 none, 2 twice as much."""
        return self.ro / self.rr if self.rr else 0.0

    @property
    def correlation(self) -> float:
        """How alike the effects are in direction, from -1 to 1."""
        product = self.rr * self.oo
        return float(self.ro / np.sqrt(product)) if product else 0.0
