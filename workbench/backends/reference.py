"""The reference: transformers in float32, with peft adapters. Exact and slow.

What the other runtimes are compared with, and what the trainer computes with.
It knows nothing about text (but for `tokenize`, which exists to be compared),
sampling or grammars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.backends.prefix import common
from workbench.errors import AdapterError, BackendError, MissingLibrary, ModelError
from workbench.models.forms import quiet

_SLICE = 128
_SEQUENCES = 8


class TorchEngine:
    """A Hugging Face folder in torch.

        engine = TorchEngine(folder, context=4096, threads=2)

    `context` 0 means the model's own length. `rope` replaces the model's rope
    parameters (`models.Yarn.hugging_face`), with `stretched`, the length they
    allow. Computes on a GPU where torch finds one. Raises MissingLibrary or ModelError.
    """

    adapter_form = "peft"
    precision = "fp32"

    def __init__(
        self,
        folder: Path,
        *,
        context: int,
        threads: int,
        rope: Mapping[str, Any] | None = None,
        stretched: int = 0,
    ) -> None:
        try:
            import torch
            from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
        except ImportError as error:
            raise MissingLibrary(error.name or "torch", "The backend torch") from error
        self._torch, self._new_cache = torch, DynamicCache
        self._folder = folder
        torch.set_num_threads(threads)
        try:
            config = AutoConfig.from_pretrained(folder)
            if rope:
                config.rope_parameters = dict(rope)
                config.max_position_embeddings = stretched
            with quiet():
                model: Any = AutoModelForCausalLM.from_pretrained(
                    folder, config=config, dtype=torch.float32
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"transformers can't load {folder} ({str(error).strip().splitlines()[0]})",
                "Check the folder, or remove it so that it is made again",
            ) from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.to(self._device).eval()
        longest = int(config.max_position_embeddings)
        self.context = min(context or longest, longest)
        self.vocabulary = int(config.vocab_size)
        self._tokenizer: Any = None
        self._active: str | None = None
        self._cache: Any = DynamicCache(config=config)
        self._tokens: list[int] = []
        self._rows: list[int] = []
        self._prompt: tuple[int, ...] = ()
        self._prompt_logits = np.empty(0, np.float32)

    def together(self, prompt: int, capacity: int) -> int:
        """Eight: a step of eight costs little more than a step of one."""
        return _SEQUENCES

    def start(
        self, prompt: Sequence[int], n: int, capacity: int, adapter: str | None
    ) -> tuple[np.ndarray, int]:
        """Compute what of the prompt is new, and copy its cache for n sequences."""
        self._activate(adapter)
        prompt = tuple(prompt)
        cached = common(prompt, self._tokens) if len(self._rows) == 1 else 0
        if cached == len(prompt) and prompt != self._prompt:
            cached -= 1
        try:
            if cached:
                # transformers takes how many to drop, as a negative number.
                if cached < len(self._tokens):
                    self._cache.crop(cached - len(self._tokens))
            else:
                self._cache = self._new_cache(config=self._model.config)
            for begin in range(cached, len(prompt), _SLICE):
                out = self._forward([prompt[begin : begin + _SLICE]], last=True)
                self._prompt, self._prompt_logits = prompt, out[0, -1]
            if n > 1:
                self._cache.batch_repeat_interleave(n)
        except BaseException:
            self.reset()
            raise
        self._tokens = list(prompt)
        self._rows = list(range(n))
        return self._prompt_logits, cached

    def step(self, tokens: Mapping[int, int]) -> dict[int, np.ndarray]:
        """One token of each live sequence; the cache of the others is dropped."""
        try:
            if len(tokens) < len(self._rows):
                keep = [at for at, sequence in enumerate(self._rows) if sequence in tokens]
                self._cache.batch_select_indices(self._torch.tensor(keep, device=self._device))
                self._rows = [self._rows[at] for at in keep]
                if 0 not in tokens:
                    self._tokens = []
            out = self._forward([[tokens[sequence]] for sequence in self._rows], last=True)
        except BaseException:
            self.reset()
            raise
        if self._rows[0] == 0:
            self._tokens.append(tokens[0])
        return {sequence: out[at, -1] for at, sequence in enumerate(self._rows)}

    def reset(self) -> None:
        """Drop the cache."""
        self._cache = self._new_cache(config=self._model.config)
        self._tokens, self._rows, self._prompt = [], [], ()

    def logits(self, tokens: Sequence[int], start: int, adapter: str | None) -> np.ndarray:
        """Logits at positions start.. of `tokens`."""
        self._activate(adapter)
        self.reset()
        rows = []
        try:
            for begin in range(0, len(tokens), _SLICE):
                part = tokens[begin : begin + _SLICE]
                out = self._forward([part], last=begin + len(part) <= start)[0]
                if begin + len(part) > start:
                    rows.append(out[max(0, start - begin) :])
        finally:
            self.reset()
        return np.concatenate(rows)

    def tokenize(self, text: str) -> list[int]:
        """transformers' own tokens of `text`."""
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(self._folder)
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def load_adapter(self, path: Path, name: str) -> None:
        """Load a peft folder."""
        try:
            import peft  # noqa: F401 - transformers loads adapters with it
        except ImportError as error:
            raise MissingLibrary("peft", "Loading an adapter in torch") from error
        try:
            with quiet():
                self._model.load_adapter(str(path), adapter_name=name)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise AdapterError(
                f"peft can't load the adapter {path} ({str(error).strip().splitlines()[0]})",
                "Check that it was trained on this base model",
            ) from error
        self._model.eval()
        self._active = name  # loading activates
        self._activate(None)

    def unload_adapter(self, name: str) -> None:
        """Remove an adapter's matrices."""
        self._activate(None)
        self._model.delete_adapter(name)
        self.reset()

    def close(self) -> None:
        """Drop the model."""
        self.reset()
        del self._model

    def _activate(self, name: str | None) -> None:
        """Make `name` the only adapter; what is cached was computed without it."""
        if name == self._active:
            return
        if name is None:
            self._model.disable_adapters()
        else:
            self._model.enable_adapters()
            self._model.set_adapter(name)
        self._active = name
        self.reset()

    def _forward(self, ids: Sequence[Sequence[int]], *, last: bool) -> np.ndarray:
        """Logits [rows, positions, vocabulary] of new tokens; if `last`, of the last position."""
        torch = self._torch
        with torch.inference_mode():
            inputs = torch.tensor(ids, dtype=torch.long, device=self._device)
            try:
                out = self._model(
                    input_ids=inputs,
                    past_key_values=self._cache,
                    use_cache=True,
                    logits_to_keep=1 if last else 0,
                )
            except RuntimeError as error:
                raise BackendError(
                    f"torch failed ({str(error).strip().splitlines()[0]})", "Free some memory"
                ) from error
        rows: np.ndarray = out.logits.float().cpu().numpy()
        return rows
