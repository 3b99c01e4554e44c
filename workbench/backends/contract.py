"""What every backend promises, and the small contract of the engine beneath it.

A `Backend` speaks in messages, text and records. An `Engine` is the part that
differs between runtimes: tokens in, logits out. It knows nothing about text,
templates, sampling or grammars; `backends/local.py` makes a Backend of any Engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workbench.errors import BackendError
from workbench.records import Completion, Delta, Message, Sampling, Score, Tool, ToolChoice


class Backend(Protocol):
    """A model that answers.

    `messages` is a sequence of Message, or a string as one user turn.
    `adapter` names an adapter given to `load_adapter`; None is the base alone.
    Unknown adapters and failing runtimes raise BackendError, prompts longer than
    the context ContextError.
    """

    name: str
    """The backend's name in the settings, such as "llama.cpp"."""

    model: str
    """Fingerprint (sha256) of the base model's source."""

    precision: str
    """How the weights are held, such as "Q4_1" or "int8"."""

    @property
    def context(self) -> int:
        """Tokens that a conversation and its answer may have together."""
        ...

    @property
    def adapters(self) -> Mapping[str, str]:
        """Loaded adapters: name -> fingerprint (sha256 of the file that was loaded)."""
        ...

    def chat(
        self,
        messages: Sequence[Message] | str,
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        tool_choice: ToolChoice = "auto",
        sampling: Sampling = Sampling(),
        adapter: str | None = None,
    ) -> Iterator[Delta]:
        """Stream one answer. `schema` (JSON Schema) constrains the whole answer to it.

        Calls of `tools` stand in the model's own form and are bound to their schemas;
        `tool_choice` says whether there may, must or must not be any (thinking may
        come before). A string without a `maxLength` of its own gets at most as many
        characters as the answer may have tokens, so that a small model comes to an
        end; where one was ended by that, the finish reason is "length".

        A conversation that extends the last one computes only what is new.
        Starting another request ends a stream that was not read to its end.
        """
        ...

    def complete(
        self,
        messages: Sequence[Message] | str,
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        tool_choice: ToolChoice = "auto",
        sampling: Sampling = Sampling(),
        adapter: str | None = None,
    ) -> Completion:
        """`chat`, gathered into one Completion."""
        ...

    def sample(
        self,
        messages: Sequence[Message] | str,
        n: int,
        *,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = "auto",
        sampling: Sampling = Sampling(),
        adapter: str | None = None,
    ) -> list[Completion]:
        """Draw n answers to one prompt; candidate i is seeded by (seed, i).

        Starts from an empty cache: the draws depend on the request alone, not
        on what was asked before. Greedy answers are equal by definition, so
        with temperature 0 one is computed.
        """
        ...

    def refused(self, tools: Sequence[Tool]) -> Mapping[str, BackendError]:
        """Those of `tools` that can't be offered, since calls could not be bound: name -> why."""
        ...

    def score(
        self, messages: Sequence[Message] | str, answer: str, *, adapter: str | None = None
    ) -> Score:
        """Log-probability (nats) of each token of `answer` after `messages`."""
        ...

    def logprobs(
        self, tokens: Sequence[int], start: int, *, adapter: str | None = None
    ) -> np.ndarray:
        """Log-probabilities of the next token, float32 [len(tokens) - start, vocabulary].

        Row i is the distribution after `tokens[: start + i + 1]`. The vocabulary is the
        tokenizer's, equal in all runtimes: a model's padding beyond it is left out.
        """
        ...

    def load_adapter(self, path: Path | str, name: str) -> None:
        """Load a LoRA adapter beside the base; the base is not reloaded. Raises AdapterError."""
        ...

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter. Raises BackendError when there is none of that name."""
        ...

    def close(self) -> None:
        """Free the model's memory; further calls raise BackendError."""
        ...


class Engine(Protocol):
    """Tokens in, logits out: what a runtime has to do. One prompt at a time, n sequences of it.

    Logits are float32. An engine keeps its key-value cache: a prompt that
    shares its beginning with the last one (same adapter) computes only the
    rest. It is called by one thread at a time.
    """

    adapter_form: str
    """What of an adapter generation this runtime loads, such as "adapter.gguf"."""

    vocabulary: int
    """Width of a row of logits (may exceed the tokenizer's size by padding)."""

    context: int
    """Longest sequence in tokens, prompt and answer together."""

    precision: str

    def together(self, prompt: int, capacity: int) -> int:
        """How many answers to draw at once, for a prompt of that many tokens and sequences
        of up to `capacity` tokens: as many as fit, and as many as are worth it; at least 1."""
        ...

    def start(
        self, prompt: Sequence[int], n: int, capacity: int, adapter: str | None
    ) -> tuple[np.ndarray, int]:
        """Compute a prompt for n sequences that will each hold up to `capacity` tokens.

        Returns the logits after the prompt, [vocabulary], and how many prompt
        tokens came from the cache.
        """
        ...

    def step(self, tokens: Mapping[int, int]) -> dict[int, np.ndarray]:
        """Append one token to each named sequence (0..n-1); logits [vocabulary] of each.

        A sequence that is left out once has ended, and is not named again.
        """
        ...

    def reset(self) -> None:
        """Empty the cache: what follows depends, to the last bit, on its own input alone."""
        ...

    def logits(self, tokens: Sequence[int], start: int, adapter: str | None) -> np.ndarray:
        """Logits at positions start.. of `tokens`, [len(tokens) - start, vocabulary].

        Always computed anew, in slices of fixed size, so that equal input gives equal output.
        """
        ...

    def tokenize(self, text: str) -> list[int]:
        """The runtime's own tokens of `text` (special tokens parsed, none added): for parity."""
        ...

    def load_adapter(self, path: Path, name: str) -> None:
        """Load an adapter in the runtime's own form. Raises AdapterError."""
        ...

    def unload_adapter(self, name: str) -> None:
        """Forget it."""
        ...

    def close(self) -> None:
        """Free all memory."""
        ...
