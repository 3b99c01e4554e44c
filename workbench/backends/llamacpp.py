"""llama.cpp: GGUF models, through the low-level calls of llama-cpp-python.

One unified key-value cache holds all sequences: a prompt is computed once for
sequence 0 and shared with the others by reference, and each step decodes one
token of every live sequence together. It knows nothing about text (but for
`tokenize`, which exists to be compared), sampling or grammars.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from workbench.backends.prefix import common
from workbench.errors import AdapterError, BackendError, MissingLibrary, ModelError

_SEQUENCES = 16
_BATCH = 512
_ROWS = 64  # rows of logits kept at once: 40 MB for 150,000 tokens
_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_NO_ROOM = 1  # llama_decode: no room for the batch in the cache


class LlamaCppEngine:
    """A GGUF model in llama.cpp.

        engine = LlamaCppEngine(path, context=4096, threads=2)

    `context` 0 means the model's own length, and it is never longer than that
    unless `rope` (the fields of `models.Yarn.llama_cpp`, with `stretched`, the
    length they allow) says so. `gpu_layers` above the model's number puts all
    of it there. Raises MissingLibrary or ModelError.
    """

    adapter_form = "adapter.gguf"

    def __init__(
        self,
        path: Path,
        *,
        context: int,
        threads: int,
        gpu_layers: int = 0,
        use_mmap: bool = True,
        rope: Mapping[str, float | int] | None = None,
        stretched: int = 0,
    ) -> None:
        self._lib = lib = _library()
        self._model = self._context = None
        self._loras: dict[str, Any] = {}
        params = lib.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.use_mmap = use_mmap
        with _errors() as said:
            self._model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise ModelError(
                f"llama.cpp can't load {path} ({_reason(said)})",
                "Check that it is a whole GGUF file of an architecture that llama.cpp knows",
            )
        longest = stretched or int(lib.llama_model_n_ctx_train(self._model))
        self.context = min(context or longest, longest)
        self.precision = self._file_type()
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.vocabulary = int(lib.llama_vocab_n_tokens(self._vocab))
        self._context = self._make_context(threads, rope or {})
        self._memory = lib.llama_get_memory(self._context)
        self._batch = lib.llama_batch_init(_BATCH, 0, 1)
        self._active: str | None = None
        self._prompt: tuple[int, ...] = ()
        self._prompt_logits = np.empty(0, np.float32)
        self._tokens: list[list[int]] = []

    def together(self, prompt: int, capacity: int) -> int:
        """As many answers as the cache holds beside one copy of the prompt, at most 16."""
        return max(1, min(_SEQUENCES, (self.context - prompt) // max(1, capacity - prompt)))

    def start(
        self, prompt: Sequence[int], n: int, capacity: int, adapter: str | None
    ) -> tuple[np.ndarray, int]:
        """Compute what of the prompt is new, and share it among n sequences."""
        self._activate(adapter)
        prompt = tuple(prompt)
        cached = common(prompt, self._tokens[0]) if self._tokens else 0
        if cached == len(prompt) and prompt != self._prompt:
            cached -= 1
        with self._careful():
            for sequence in range(1, len(self._tokens)):
                self._lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            if not self._lib.llama_memory_seq_rm(self._memory, 0, cached, -1):
                # Recurrent and sliding-window memories can't drop an end.
                self.reset()
                cached = 0
            if cached < len(prompt):
                self._prompt_logits = self._compute(prompt, cached, len(prompt) - 1)[0]
                self._prompt = prompt
            for sequence in range(1, n):
                self._lib.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)
        self._tokens = [list(prompt) for _ in range(n)]
        return self._prompt_logits, cached

    def step(self, tokens: Mapping[int, int]) -> dict[int, np.ndarray]:
        """One token of each live sequence in one llama_decode."""
        with self._careful():
            for at, (sequence, token) in enumerate(tokens.items()):
                self._put(at, token, len(self._tokens[sequence]), sequence, wanted=True)
            self._decode(len(tokens))
            rows = {sequence: self._row(at) for at, sequence in enumerate(tokens)}
        for sequence, token in tokens.items():
            self._tokens[sequence].append(token)
        return rows

    def reset(self) -> None:
        """Empty the cache of all sequences."""
        self._lib.llama_memory_clear(self._memory, True)
        self._tokens, self._prompt = [], ()

    def logits(self, tokens: Sequence[int], start: int, adapter: str | None) -> np.ndarray:
        """Logits at positions start.. of `tokens`."""
        self._activate(adapter)
        self.reset()
        with self._careful():
            rows = self._compute(tokens, 0, start)
        self.reset()
        return rows

    def tokenize(self, text: str) -> list[int]:
        """llama.cpp's own tokens of `text`."""
        data = text.encode()
        room = len(data) + 8
        ids = (ctypes.c_int32 * room)()
        n = self._lib.llama_tokenize(self._vocab, data, len(data), ids, room, False, True)
        return list(ids[:n])

    def load_adapter(self, path: Path, name: str) -> None:
        """Load a LoRA in GGUF."""
        with _errors() as said:
            lora = self._lib.llama_adapter_lora_init(self._model, str(path).encode())
        if not lora:
            raise AdapterError(
                f"llama.cpp can't load the adapter {path} ({_reason(said)})",
                "Check that it was trained on this base model, and export it again",
            )
        self._loras[name] = lora

    def unload_adapter(self, name: str) -> None:
        """Take a LoRA off the context and free it."""
        if self._active == name:
            self._activate(None)
        self._lib.llama_adapter_lora_free(self._loras.pop(name))

    def close(self) -> None:
        """Free context and model, and with it its adapters."""
        if self._context:
            self._lib.llama_batch_free(self._batch)
            self._lib.llama_free(self._context)
        if self._model:
            self._lib.llama_model_free(self._model)
        self._model = self._context = None
        self._loras.clear()

    # --- llama.cpp --------------------------------------------------------

    def _make_context(self, threads: int, rope: Mapping[str, float | int]) -> Any:
        params = self._lib.llama_context_default_params()
        params.n_ctx = self.context
        params.n_batch = params.n_ubatch = _BATCH
        params.n_seq_max = _SEQUENCES
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads
        # Faster on CPUs without it, when many sequences share a cache.
        params.flash_attn_type = self._lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.no_perf = True
        if self.precision == "F32":
            # Full precision is there to be compared; a cache in F16 would show.
            params.type_k = params.type_v = self._lib.GGML_TYPE_F32
        for name, value in rope.items():
            setattr(params, name, value)
        with _errors() as said:
            context = self._lib.llama_init_from_model(self._model, params)
        if not context:
            self.close()
            raise BackendError(
                f"llama.cpp can't make a context of {self.context} tokens ({_reason(said)})",
                "Lower N_CTX, or free some memory",
            )
        return context

    def _activate(self, name: str | None) -> None:
        """Make `name` the context's only adapter; what is cached was computed without it."""
        if name == self._active:
            return
        count = 0 if name is None else 1
        loras = (self._lib.llama_adapter_lora_p_ctypes * count)(
            *([self._loras[name]] if name else [])
        )
        scales = (ctypes.c_float * count)(*[1.0] * count)
        if self._lib.llama_set_adapters_lora(self._context, loras, count, scales) != 0:
            raise BackendError(
                f"llama.cpp refused the adapter {name!r}", "Unload it and export it again"
            )
        self._active = name
        self.reset()

    def _compute(self, tokens: Sequence[int], begin: int, first_row: int) -> np.ndarray:
        """Decode tokens[begin:] in sequence 0; logits at positions first_row.. ."""
        rows = np.empty((len(tokens) - first_row, self.vocabulary), np.float32)
        while begin < len(tokens):
            # Up to the first wanted row in whole batches, then few enough rows to hold.
            wanted = begin >= first_row
            end = min(begin + (_ROWS if wanted else _BATCH), len(tokens))
            if not wanted:
                end = min(end, first_row)
            for at, position in enumerate(range(begin, end)):
                self._put(at, tokens[position], position, 0, wanted=wanted)
            self._decode(end - begin)
            if wanted:
                for at, position in enumerate(range(begin, end)):
                    rows[position - first_row] = self._row(at)
            begin = end
        return rows

    def _put(self, at: int, token: int, position: int, sequence: int, *, wanted: bool) -> None:
        batch = self._batch
        batch.token[at] = token
        batch.pos[at] = position
        batch.n_seq_id[at] = 1
        batch.seq_id[at][0] = sequence
        batch.logits[at] = wanted

    def _decode(self, n: int) -> None:
        self._batch.n_tokens = n
        with _errors() as said:
            status = self._lib.llama_decode(self._context, self._batch)
        if status == _NO_ROOM:
            raise BackendError(
                f"The cache of {self.context} tokens is full",
                "Raise N_CTX, or ask for fewer or shorter answers",
            )
        if status != 0:
            raise BackendError(
                f"llama.cpp failed with status {status} ({_reason(said)})",
                "Lower N_CTX or N_GPU_LAYERS, or free some memory",
            )

    def _row(self, at: int) -> np.ndarray:
        pointer = self._lib.llama_get_logits_ith(self._context, at)
        return np.ctypeslib.as_array(pointer, (self.vocabulary,)).copy()

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """Forget the cache when a step is broken off, by an error or by the user."""
        try:
            yield
        except BaseException:
            self.reset()
            raise

    def _file_type(self) -> str:
        """How most weights are held, such as "Q4_1" or "F32"."""
        buffer = ctypes.create_string_buffer(128)
        self._lib.llama_model_desc(self._model, buffer, len(buffer))
        # "llama 135M Q4_1", "qwen3 8B Q4_K - Medium", "llama 0.1M all F32"
        words = buffer.value.decode().partition(" - ")[0].split()
        return words[-1] if words else "unknown"


# --- logging --------------------------------------------------------------

_said: list[str] | None = None
_kept: list[Any] = []  # a callback that Python has collected would crash the process


@contextmanager
def _errors() -> Iterator[list[str]]:
    """What llama.cpp logs as errors within; the rest of its log is dropped.

    Its log has one callback for the process; with several threads, a line may
    land in another's list.
    """
    global _said
    said: list[str] = []
    _said = said
    try:
        yield said
    finally:
        _said = None


def _reason(said: list[str]) -> str:
    lines = [line for text in said for line in text.splitlines() if line.strip()]
    return lines[0].strip() if lines else "no reason given"


@cache
def _library() -> ModuleType:
    """The low-level module, its log redirected and its backend started, once."""
    try:
        from llama_cpp import llama_cpp as lib
    except ImportError as error:
        raise MissingLibrary("llama-cpp-python", "The backend llama.cpp") from error

    @lib.llama_log_callback
    def log(level: int, text: bytes, _user_data: Any) -> None:
        if level == _ERROR and _said is not None:
            _said.append(text.decode(errors="replace"))

    lib.llama_log_set(log, None)
    lib.llama_backend_init()
    _kept.append(log)
    return lib
