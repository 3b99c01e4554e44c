"""The next token from logits: one sampler for every runtime.

Runtimes disagree about what their sampling options mean, so none of theirs is
used: equal logits, settings and seed give equal tokens everywhere. The steps,
in this order (that of `transformers`):

1. repetition penalty over prompt and answer: a positive logit of a token that
   occurred is divided by it, a negative one multiplied (Keskar et al., "CTRL",
   2019, https://arxiv.org/abs/1909.05858);
2. frequency and presence penalty over the answer alone: logit - frequency *
   count - presence * (count > 0) (OpenAI's API reference, and vLLM);
3. temperature: logits / temperature; 0 means the most likely token, and the
   steps below are skipped;
4. top_k: the k most likely tokens;
5. top_p, of what is left: the fewest most likely tokens whose probabilities
   reach p together (Holtzman et al., 2019, https://arxiv.org/abs/1904.09751);
6. min_p, of what is left: tokens of at least min_p times the likeliest one's
   probability (Nguyen et al., 2024, https://arxiv.org/abs/2407.01082);
7. one uniform number, from PCG64 seeded with (seed, index), inverts the
   cumulative distribution over what is left, in the order of token ids.

Ties go to the lower token id, everywhere. The draw runs over token ids, not
over ranks, so that two runtimes whose logits differ by rounding still pick the
same token unless the uniform number falls into that rounding.

It knows nothing about text, grammars (a forbidden token has the logit -inf) or
the end of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from workbench.errors import BackendError
from workbench.records import Sampling

_FIRST_GUESS = 512
"""Tokens looked at first for top_p; real distributions seldom need more."""


class Sampler:
    """Draws the tokens of one answer.

        sampler = Sampler(Sampling(seed=7), prompt_ids, index=2)
        token = sampler.pick(logits)        # remembered for the penalties

    `index` says which of several answers to one prompt this is.
    Raises BackendError for settings out of range.
    """

    def __init__(self, sampling: Sampling, prompt: Iterable[int] = (), index: int = 0) -> None:
        check(sampling)
        self.sampling = sampling
        self._random = np.random.default_rng((sampling.seed, index))
        self._counts: dict[int, int] = {}
        self._occurred: set[int] = set(prompt) if sampling.repetition_penalty != 1 else set()

    def pick(self, logits: np.ndarray) -> int:
        """The next token. `logits` is float32 [vocabulary], and is left as it was.

        Raises BackendError for logits that are not numbers, or that forbid every token.
        """
        scores = self._penalised(logits)
        best = int(np.argmax(scores))
        if not np.isfinite(scores[best]):
            raise BackendError(
                "The runtime returned logits without a finite maximum",
                "Try another precision, or a smaller rope scaling factor",
            )
        token = best if self.sampling.temperature == 0 else self._draw(scores, scores[best])
        self._counts[token] = self._counts.get(token, 0) + 1
        if self.sampling.repetition_penalty != 1:
            self._occurred.add(token)
        return token

    def _penalised(self, logits: np.ndarray) -> np.ndarray:
        s = self.sampling
        repetition = s.repetition_penalty != 1 and self._occurred
        counted = (s.frequency_penalty != 0 or s.presence_penalty != 0) and self._counts
        if not repetition and not counted:
            return logits
        scores = logits.copy()
        if repetition:
            ids = _ids(self._occurred, len(scores))
            old = scores[ids]
            scores[ids] = np.where(old > 0, old / s.repetition_penalty, old * s.repetition_penalty)
        if counted:
            ids = np.fromiter(self._counts, dtype=np.int64)
            counts = np.fromiter(self._counts.values(), dtype=np.float32)
            scores[ids] -= s.frequency_penalty * counts + s.presence_penalty
        return scores

    def _draw(self, scores: np.ndarray, best: np.floating) -> int:
        ids, weights = candidates(scores, best, self.sampling)
        cumulative = np.cumsum(weights)
        target = self._random.random() * cumulative[-1]
        at = int(np.searchsorted(cumulative, target, side="right"))
        # `random() < 1`, but its product with the sum may round up to the sum.
        return int(ids[min(at, len(ids) - 1)])


def candidates(
    scores: np.ndarray, best: float | np.floating, sampling: Sampling
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens that may be drawn, ids ascending, and their float64 weights (the likeliest has 1).

    `scores` are penalised logits, [vocabulary]; `best` is their maximum.
    """
    if 0 < sampling.top_k < len(scores):
        ids = _highest(scores, sampling.top_k)
        kept = scores[ids]
    else:
        ids, kept = np.arange(len(scores)), scores
    weights = np.exp((kept.astype(np.float64) - float(best)) / sampling.temperature)
    keep = weights > 0
    if sampling.top_p < 1:
        keep &= _nucleus(kept, weights, sampling.top_p)
    if sampling.min_p > 0:
        keep &= weights >= sampling.min_p
    return ids[keep], weights[keep]


def check(sampling: Sampling) -> None:
    """Raise BackendError for the first setting that is out of range, naming the range."""
    ranges = (
        ("temperature", sampling.temperature >= 0, "0 or more"),
        ("top_p", 0 < sampling.top_p <= 1, "above 0, at most 1"),
        ("top_k", sampling.top_k >= 0, "0 (off) or more"),
        ("min_p", 0 <= sampling.min_p <= 1, "between 0 and 1"),
        ("repetition_penalty", sampling.repetition_penalty > 0, "above 0 (1 is off)"),
        ("max_tokens", sampling.max_tokens >= 1, "1 or more"),
        ("stop", all(sampling.stop), "strings that are not empty"),
        ("seed", sampling.seed >= 0, "0 or more"),
    )
    for name, fine, what in ranges:
        if not fine:
            raise BackendError(f"{name} is {getattr(sampling, name)!r}", f"Set it to {what}")


def _highest(scores: np.ndarray, k: int) -> np.ndarray:
    """Ids of the k highest scores, ascending; of equal ones at the edge the lower ids.

    Partitions values, not ids: an argpartition would choose among ties as the
    processor's vector width happens to have it.
    """
    edge = np.partition(scores, len(scores) - k)[len(scores) - k]
    ids = np.flatnonzero(scores >= edge)
    if len(ids) > k:
        at_edge = np.flatnonzero(scores[ids] == edge)
        ids = np.delete(ids, at_edge[k - len(ids) :])
    return ids


def _nucleus(scores: np.ndarray, weights: np.ndarray, p: float) -> np.ndarray:
    """Mask of the fewest likeliest tokens whose weights reach p of the sum.

    Ranked by score, of equal ones the lower id first: close scores may have equal weights.
    """
    wanted = p * weights.sum()
    size = min(_FIRST_GUESS, len(scores))
    while True:
        at = _highest(scores, size) if size < len(scores) else np.arange(len(scores))
        order = at[np.argsort(-scores[at], kind="stable")]
        reached = np.cumsum(weights[order])
        if reached[-1] >= wanted or size == len(scores):
            break
        size = min(8 * size, len(scores))
    keep = np.zeros(len(scores), dtype=bool)
    keep[order[: int(np.searchsorted(reached, wanted, side="left")) + 1]] = True
    return keep


def _ids(tokens: Iterable[int], width: int) -> np.ndarray:
    """Token ids as an index, without those that the model has no logit for."""
    ids = np.fromiter(tokens, dtype=np.int64)
    return ids[ids < width]
