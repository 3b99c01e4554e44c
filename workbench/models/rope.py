"""YaRN: stretch a model's positions, the same in every runtime.

Three runtimes take the same stretch in three spellings; this is the one place
that knows them. Source: Peng et al., "YaRN: Efficient Context Window Extension
of Large Language Models", 2023, https://arxiv.org/abs/2309.00071.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_NEVER_ZERO = 1e-6


@dataclass(frozen=True)
class Yarn:
    """A stretch of `original_context` positions by `factor`, for one rotary embedding.

    Dimensions that turn more than `beta_fast` times within the original context
    keep their frequency, those below `beta_slow` turns are interpolated, and
    those between are blended.
    """

    factor: float
    original_context: int
    theta: float
    head_dim: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0

    @property
    def context(self) -> int:
        """Positions after the stretch."""
        return int(self.original_context * self.factor)

    @property
    def blended(self) -> tuple[int, int]:
        """First and last index of the blended frequencies, rounded outwards as in transformers."""
        low = math.floor(self._index_of(self.beta_fast))
        high = math.ceil(self._index_of(self.beta_slow))
        return max(low, 0), min(high, self.head_dim - 1)

    def hugging_face(self) -> dict[str, Any]:
        """`rope_parameters` of a transformers configuration."""
        return {
            "rope_type": "yarn",
            "rope_theta": self.theta,
            "factor": self.factor,
            "original_max_position_embeddings": self.original_context,
            "beta_fast": self.beta_fast,
            "beta_slow": self.beta_slow,
        }

    def onnx_builder(self) -> dict[str, Any]:
        """`rope_parameters` for onnxruntime-genai's builder.

        The builder does not round the blended range, so it gets betas that land on
        the rounded ends: beta = original / (2 pi theta^(k / (head_dim / 2))).
        """
        low, high = self.blended
        return self.hugging_face() | {
            "beta_fast": self._turns_at(max(low, _NEVER_ZERO)),
            "beta_slow": self._turns_at(high),
        }

    def llama_cpp(self) -> dict[str, float | int]:
        """Fields of llama.cpp's context parameters (also arguments of llama_cpp.Llama)."""
        return {
            "rope_scaling_type": 2,  # LLAMA_ROPE_SCALING_TYPE_YARN
            "rope_freq_base": self.theta,
            "rope_freq_scale": 1.0 / self.factor,
            "yarn_orig_ctx": self.original_context,
            "yarn_ext_factor": 1.0,
            "yarn_attn_factor": 1.0,
            "yarn_beta_fast": self.beta_fast,
            "yarn_beta_slow": self.beta_slow,
        }

    def _index_of(self, turns: float) -> float:
        """Index (0 .. head_dim/2) of the frequency that turns so often in the original context."""
        ratio = self.original_context / (turns * 2 * math.pi)
        return self.head_dim / 2 * math.log(ratio) / math.log(self.theta)

    def _turns_at(self, index: float) -> float:
        power = self.theta ** (index / (self.head_dim / 2))
        return self.original_context / (2 * math.pi * power)
