"""ONNX Runtime GenAI: models made by its builder, with optional LoRA inputs.

Tokens go in by `append_tokens` and logits come out of `get_logits`; its own
search, templates and guidance stay unused. A generator of n sequences takes
tokens after the prompt only from its own search, so there the search is left
one choice: the token that was drawn here. It computes the prompt n times over
(sequences can't share a cache), so `together` weighs that against the faster
steps. It knows nothing about text (but for `tokenize`, which exists to be
compared), sampling or grammars.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from workbench.backends.prefix import common
from workbench.errors import AdapterError, BackendError, MissingLibrary, ModelError

_SLICE = 128  # append_tokens can't be interrupted: keep it below half a second
_SEQUENCES = 8
_PLAIN_SEARCH = {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.0, "min_length": 0}
_SMALLEST = 1024  # tokens that the generator of a chat holds at least


class GenAIEngine:
    """An ONNX GenAI folder.

        engine = GenAIEngine(folder, precision="int8", context=4096, threads=2)

    `context` 0 means the model's own length. `provider` is "cpu" or "cuda".
    Raises MissingLibrary or ModelError.
    """

    adapter_form = "adapter.onnx_adapter"

    def __init__(
        self, folder: Path, *, precision: str, context: int, threads: int, provider: str = "cpu"
    ) -> None:
        self._og = og = _library()
        self.precision = precision
        try:
            shape = json.loads((folder / "genai_config.json").read_bytes())["model"]
            config = og.Config(str(folder))
            config.clear_providers()
            if provider != "cpu":
                config.append_provider(provider)
            config.overlay(_options(threads))
            self._model = og.Model(config)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            # og raises RuntimeError (and its own OrtException, which is one) for all that is wrong.
            raise ModelError(
                f"ONNX Runtime GenAI can't load {folder} ({_first_line(error)})",
                "Check the folder, or remove it so that it is made again",
            ) from error
        longest = int(shape["context_length"])
        self.context = min(context or longest, longest)
        self.vocabulary = int(shape["vocab_size"])
        self._tokenizer = og.Tokenizer(self._model)
        self._adapters = og.Adapters(self._model)
        self._generator: Any = None
        self._n, self._room = 0, 0
        self._adapter: str | None = None
        self._tokens: list[int] = []
        self._prompt: tuple[int, ...] = ()
        self._prompt_logits = np.empty(0, np.float32)

    def together(self, prompt: int, capacity: int) -> int:
        """Batches cost n prompts and save half of the steps' time: worth it for short prompts."""
        return _SEQUENCES if prompt <= 2 * (capacity - prompt) else 1

    def start(
        self, prompt: Sequence[int], n: int, capacity: int, adapter: str | None
    ) -> tuple[np.ndarray, int]:
        """Compute what of the prompt is new, in the generator at hand or in a new one."""
        prompt = tuple(prompt)
        fits = n == self._n == 1 and adapter == self._adapter and capacity <= self._room
        cached = common(prompt, self._tokens) if fits else 0
        if cached == len(prompt) and prompt != self._prompt:
            cached -= 1
        try:
            if cached:
                self._generator.rewind_to(cached)
            else:
                # A chat may grow; the cache of a batch is used once.
                room = capacity if n > 1 else max(_SMALLEST, 2 * capacity)
                self._new_generator(n, min(room, self.context), adapter)
            if cached < len(prompt):
                logits = self._append(np.tile(np.array(prompt[cached:], np.int32), (n, 1)))
                self._prompt, self._prompt_logits = prompt, logits[0]
        except BaseException as error:
            raise self._failed(error) from error
        self._tokens = list(prompt)
        return self._prompt_logits, cached

    def step(self, tokens: Mapping[int, int]) -> dict[int, np.ndarray]:
        """One token of every sequence; those that have ended are fed a token nobody reads."""
        try:
            if self._n == 1:
                rows = self._append(np.array([[tokens[0]]], np.int32))
                self._tokens.append(tokens[0])
            else:
                rows = self._choose(tokens)
        except BaseException as error:
            raise self._failed(error) from error
        return {sequence: rows[sequence] for sequence in tokens}

    def reset(self) -> None:
        """Drop the generator and its cache."""
        self._forget()

    def logits(self, tokens: Sequence[int], start: int, adapter: str | None) -> np.ndarray:
        """Logits at positions start.. of `tokens`, from a generator of its own."""
        self._forget()
        rows = []
        ids = np.array([tokens], np.int32)
        try:
            self._new_generator(1, len(tokens), adapter)
            for begin in range(0, len(tokens), _SLICE):
                part = ids[:, begin : begin + _SLICE]
                self._generator.append_tokens(part)
                if begin + part.shape[1] > start:
                    out = np.asarray(self._generator.get_output("logits"), np.float32)[0]
                    rows.append(out[max(0, start - begin) :])
        except BaseException as error:
            raise self._failed(error) from error
        self._forget()
        return np.concatenate(rows)

    def tokenize(self, text: str) -> list[int]:
        """ONNX Runtime GenAI's own tokens of `text`."""
        return [int(token) for token in self._tokenizer.encode(text)]

    def load_adapter(self, path: Path, name: str) -> None:
        """Load an .onnx_adapter, and activate it once: a wrong shape shows only then."""
        try:
            self._adapters.load(str(path), name)
        except RuntimeError as error:
            raise self._refused(path, error) from error
        try:
            self.logits([0], 0, name)
        except BackendError as error:
            self._adapters.unload(name)
            raise self._refused(path, error) from error

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter; generators that use it must be gone first."""
        self._forget()
        self._adapters.unload(name)

    def close(self) -> None:
        """Drop everything that holds memory."""
        self._forget()
        del self._adapters, self._tokenizer, self._model

    # --- generators -------------------------------------------------------

    def _new_generator(self, n: int, room: int, adapter: str | None) -> None:
        """A generator of n sequences, with memory for `room` tokens of each."""
        self._forget()
        params = self._og.GeneratorParams(self._model)
        params.set_search_options(max_length=room, batch_size=n, **_PLAIN_SEARCH)
        if n == 1:
            # Less memory; batches of several sequences can't take a prompt in parts.
            params.set_search_options(chunk_size=_SLICE)
        self._generator = self._og.Generator(self._model, params)
        if adapter is not None:
            self._generator.set_active_adapter(self._adapters, adapter)
        self._n, self._room, self._adapter = n, room, adapter

    def _append(self, ids: np.ndarray) -> np.ndarray:
        """Append ids [n, k]; logits after the last, [n, vocabulary]."""
        size = _SLICE if self._n == 1 else ids.shape[1]
        for begin in range(0, ids.shape[1], size):
            self._generator.append_tokens(np.ascontiguousarray(ids[:, begin : begin + size]))
        return self._rows()

    def _choose(self, tokens: Mapping[int, int]) -> np.ndarray:
        """Make the search choose `tokens` (0 for sequences that have ended); logits after them."""
        only = np.full((self._n, 1, self.vocabulary), -np.inf, np.float32)
        for sequence in range(self._n):
            only[sequence, 0, tokens.get(sequence, 0)] = 0.0
        self._generator.set_logits(only)
        self._generator.generate_next_token()
        return self._rows()

    def _rows(self) -> np.ndarray:
        """Logits after the last token, [n, vocabulary]."""
        logits = np.asarray(self._generator.get_logits(), np.float32)
        return logits.reshape(self._n, -1, self.vocabulary)[:, -1].copy()

    def _forget(self) -> None:
        self._generator = None
        self._n = self._room = 0
        self._adapter, self._tokens, self._prompt = None, [], ()

    def _failed(self, error: BaseException) -> BaseException:
        """Forget a cache that is in an unknown state; what to raise for `error`."""
        self._forget()
        if not isinstance(error, RuntimeError):
            return error
        return BackendError(
            f"ONNX Runtime GenAI failed ({_first_line(error)})",
            "Lower N_CTX or the number of answers, or free some memory",
        )

    def _refused(self, path: Path, error: Exception) -> AdapterError:
        return AdapterError(
            f"ONNX Runtime GenAI can't use the adapter {path} ({_first_line(error)})",
            "Check that it was trained on this base model, and export it again",
        )


def _options(threads: int) -> str:
    """An overlay of genai_config.json. Without it one thread computes."""
    decoder = {"session_options": {"intra_op_num_threads": threads}}
    return json.dumps({"model": {"decoder": decoder}})


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _library() -> ModuleType:
    # Official wheels send telemetry unless this is set before the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime_genai
    except ImportError as error:
        raise MissingLibrary("onnxruntime-genai", "The backend onnx") from error
    return onnxruntime_genai
