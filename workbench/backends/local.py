"""A Backend made of any Engine and a Tokenizer: messages in, answers and scores out.

Everything that is equal in all runtimes happens here: rendering, sampling,
stop strings, reasoning, tool calls, schemas, seeds, errors. It knows nothing
about any runtime, nor where models lie.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from workbench.backends.adapter_files import adapter_file, check_base, fingerprint_of
from workbench.backends.answer import Answer, Request
from workbench.backends.argument_schema import bounded
from workbench.backends.constraint import Constraint, Grammars, not_offered
from workbench.backends.contract import Engine
from workbench.backends.pieces import Pieces
from workbench.backends.sampling import Sampler, check
from workbench.backends.tool_calls import CallReader
from workbench.errors import AdapterError, BackendError, ContextError
from workbench.models import Tokenizer
from workbench.models.tool_forms import THINK
from workbench.records import (
    Completion,
    Delta,
    Message,
    NamedTool,
    Sampling,
    Score,
    Tool,
    ToolChoice,
    content_id,
    conversation,
)


class LocalBackend:
    """A model in this process.

        with LocalBackend(engine, tokenizer, name="llama.cpp", model=fingerprint) as backend:
            print(backend.complete("Why is the sky blue?").text)

    Safe to share between threads: one answer is made at a time, others wait. Only
    a stream of `chat` can't make others wait, since its reader may never come
    back: a request that starts meanwhile ends that stream with a BackendError.
    """

    def __init__(self, engine: Engine, tokenizer: Tokenizer, *, name: str, model: str) -> None:
        self.name = name
        self.model = model
        self.precision = engine.precision
        self.tokenizer = tokenizer
        self._engine: Engine | None = engine
        self._adapters: dict[str, str] = {}
        self._grammars: Grammars | None = None
        self._lock = threading.RLock()
        self._turn = 0

    def __enter__(self) -> LocalBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def engine(self) -> Engine:
        """The runtime beneath. Raises BackendError once closed."""
        if self._engine is None:
            raise BackendError(f"The backend {self.name} is closed", "Load it again")
        return self._engine

    @property
    def context(self) -> int:
        """Tokens that a conversation and its answer may have together."""
        return self.engine.context

    @property
    def adapters(self) -> Mapping[str, str]:
        """Loaded adapters: name -> fingerprint."""
        return MappingProxyType(self._adapters)

    # --- answers ----------------------------------------------------------

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
        """Stream one answer; see `contract.Backend`. Errors in the request are raised at once."""
        request = self._request(messages, sampling, adapter, tools, schema, tool_choice)
        return self._stream(request, self._answer(request, 0))

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
        with self._lock:
            request = self._request(messages, sampling, adapter, tools, schema, tool_choice)
            answer = self._answer(request, 0)
            for _ in self._stream(request, answer):
                pass
            return self._completion(request, answer, 0)

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
        """Draw n answers, several at a time; see `contract.Backend`."""
        if n < 1:
            raise BackendError(f"{n} answers were asked for", "Ask for at least one")
        with self._lock:
            request = self._request(messages, sampling, adapter, tools, None, tool_choice)
            self.engine.reset()
            if sampling.temperature == 0:
                [answer] = self._draw(request, range(1))
                return [self._completion(request, answer, i) for i in range(n)]
            size = self.engine.together(len(request.prompt), request.capacity)
            answers = [
                answer
                for first in range(0, n, size)
                for answer in self._draw(request, range(first, min(first + size, n)))
            ]
            return [self._completion(request, answer, i) for i, answer in enumerate(answers)]

    def _stream(self, request: Request, answer: Answer) -> Iterator[Delta]:
        logits, turn = self._start(request, [answer])
        while answer.finish is None:
            yield from answer.take(logits)
            if answer.finish is None:
                logits = self._step({0: answer.tokens[-1]}, turn)[0]
        yield Delta(finish_reason=answer.finish, usage=answer.usage, timing=answer.timing)

    def _draw(self, request: Request, indices: range) -> list[Answer]:
        answers = [self._answer(request, i) for i in indices]
        logits, turn = self._start(request, answers)
        rows = dict.fromkeys(range(len(answers)), logits)
        while rows:
            for i, row in rows.items():
                answers[i].take(row)
            live = {i: answers[i].tokens[-1] for i in rows if answers[i].finish is None}
            rows = self._step(live, turn) if live else {}
        return answers

    def _start(self, request: Request, answers: list[Answer]) -> tuple[np.ndarray, int]:
        """Compute the prompt. Logits after it, and the number of this turn."""
        began = time.perf_counter()
        with self._lock:
            self._turn += 1
            self._known(request.adapter)
            logits, cached = self.engine.start(
                request.prompt, len(answers), request.capacity, request.adapter
            )
            turn = self._turn
        now = time.perf_counter()
        for answer in answers:
            answer.begin(cached, now - began, now)
        return logits[: self.tokenizer.size], turn

    def _step(self, tokens: Mapping[int, int], turn: int) -> dict[int, np.ndarray]:
        with self._lock:
            if turn != self._turn:
                raise BackendError(
                    "This answer was ended by a newer request to the same backend",
                    "Read a stream to its end before asking again, or load a second backend",
                )
            rows = self.engine.step(tokens)
        return {i: row[: self.tokenizer.size] for i, row in rows.items()}

    def _request(
        self,
        messages: Sequence[Message] | str,
        sampling: Sampling,
        adapter: str | None,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        tool_choice: ToolChoice = "auto",
    ) -> Request:
        context = self.engine.context
        check(sampling)
        self._known(adapter)
        if tools and schema is not None:
            raise BackendError(
                "Tools and a schema were both given",
                "Give one of them: a schema binds the whole answer, which leaves no room for calls",
            )
        _check_tools(tools, tool_choice)
        prompt = tuple(self.tokenizer.prompt_ids(conversation(messages), tools))
        if len(prompt) >= context:
            raise ContextError(
                f"The prompt has {len(prompt)} tokens, and the context holds {context}",
                "Shorten it, or raise N_CTX (beyond the model's own length with "
                "ROPE_SCALING_FACTOR)",
            )
        capacity = min(len(prompt) + sampling.max_tokens, context)
        return Request(prompt, capacity, sampling, adapter, tuple(tools), schema, tool_choice)

    def _answer(self, request: Request, index: int) -> Answer:
        opened = self.tokenizer.decode(request.prompt[-4:]).rstrip().endswith(THINK)
        constraint: Constraint | None = None
        reader: CallReader | None = None
        if request.schema is not None:
            constraint = self.grammars.schema(request.schema)
        elif request.tools:
            constraint = self.grammars.tools(
                request.tools, request.tool_choice, longest=request.room, thinking=opened
            )
            if request.tool_choice != "none":
                reader = CallReader(self.tokenizer.tool_form, request.tools)
        pieces = Pieces(
            self.tokenizer.decode,
            stop=request.sampling.stop,
            thinking=opened and request.schema is None,
            reader=reader,
            calls=content_id(request.prompt, request.sampling, index) if reader else "",
        )
        sampler = Sampler(request.sampling, request.prompt, index)
        return Answer(request, sampler, pieces, constraint, self.tokenizer.eos_ids)

    @property
    def grammars(self) -> Grammars:
        """What binds answers; made when it is first needed. Raises MissingLibrary."""
        if self._grammars is None:
            self._grammars = Grammars(self.tokenizer)
        return self._grammars

    def refused(self, tools: Sequence[Tool]) -> Mapping[str, BackendError]:
        """Tools that can't be offered, and why; see `contract.Backend`."""
        return self.grammars.refused(tools) if tools else {}

    def _completion(self, request: Request, answer: Answer, index: int) -> Completion:
        assert answer.finish is not None
        fingerprint = self._adapters[request.adapter] if request.adapter else None
        made_by = (self.name, self.precision, self.model, fingerprint, request.sampling, index)
        return Completion(
            id=content_id(made_by, request.prompt, answer.tokens),
            text=answer.text,
            token_ids=tuple(answer.tokens),
            finish_reason=answer.finish,
            usage=answer.usage,
            timing=answer.timing,
            backend=self.name,
            model=self.model,
            sampling=request.sampling,
            adapter=fingerprint,
            reasoning=answer.reasoning,
            tool_calls=tuple(answer.tool_calls),
        )

    # --- scores -----------------------------------------------------------

    def score(
        self, messages: Sequence[Message] | str, answer: str, *, adapter: str | None = None
    ) -> Score:
        """Log-probability of each token of `answer`; the end of the turn is not scored."""
        self.engine  # noqa: B018 - refuse before rendering when closed
        prompt = self.tokenizer.prompt_ids(conversation(messages))
        ids = self.tokenizer.encode(answer)
        if not ids:
            return Score((), ())
        rows = self.logprobs([*prompt, *ids[:-1]], len(prompt) - 1, adapter=adapter)
        return Score(tuple(ids), tuple(rows[np.arange(len(ids)), ids].tolist()))

    def logprobs(
        self, tokens: Sequence[int], start: int, *, adapter: str | None = None
    ) -> np.ndarray:
        """Log-probabilities at positions start.. of `tokens`; see `contract.Backend`."""
        if not 0 <= start < len(tokens):
            raise BackendError(
                f"Position {start} does not lie in {len(tokens)} tokens", "Start within the tokens"
            )
        if len(tokens) > self.engine.context:
            raise BackendError(
                f"{len(tokens)} tokens are to be scored, and the context holds "
                f"{self.engine.context}",
                "Shorten them, or raise N_CTX",
            )
        with self._lock:
            self._turn += 1
            self._known(adapter)
            rows = self.engine.logits(tokens, start, adapter)
        return np.stack([_log_softmax(row[: self.tokenizer.size]) for row in rows])

    # --- adapters and life ------------------------------------------------

    def load_adapter(self, path: Path | str, name: str) -> None:
        """Load an adapter file, a peft folder, or the right form of a generation folder.

        Loading the same weights again under their name does nothing.
        Raises AdapterError when it is missing, of another form or another base, or
        the name is taken.
        """
        check_base(Path(path), self.model)
        file = adapter_file(Path(path), self.engine.adapter_form)
        fingerprint = fingerprint_of(file)
        with self._lock:
            if self._adapters.get(name) == fingerprint:
                return
            if name in self._adapters:
                raise AdapterError(
                    f"Another adapter is loaded as {name!r}",
                    "Unload it first, or take another name",
                )
            self._turn += 1
            self.engine.load_adapter(file, name)
            self._adapters[name] = fingerprint

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter."""
        with self._lock:
            self._known(name)
            self._turn += 1
            self.engine.unload_adapter(name)
            del self._adapters[name]

    def close(self) -> None:
        """Free the model's memory. Closing twice does nothing."""
        with self._lock:
            self._turn += 1
            engine, self._engine = self._engine, None
            self._adapters.clear()
            if engine is not None:
                engine.close()

    def _known(self, adapter: str | None) -> None:
        self.engine  # noqa: B018 - a closed backend is the better message
        if adapter is not None and adapter not in self._adapters:
            loaded = ", ".join(sorted(self._adapters)) or "none"
            raise BackendError(
                f"No adapter {adapter!r} is loaded (loaded: {loaded})",
                "Load it with load_adapter(path, name), or list it in LORA_PATHS",
            )


def _check_tools(tools: Sequence[Tool], choice: ToolChoice) -> None:
    """Refuse parameters that are no schema, and a choice that no answer can fulfil."""
    for tool in tools:
        try:
            bounded(tool.parameters, 1)
        except BackendError as error:
            raise not_offered(tool, error) from None
    names = [tool.name for tool in tools]
    if isinstance(choice, NamedTool):
        if choice.name not in names:
            raise BackendError(
                f"The tool {choice.name!r} is chosen, and the tools given are: "
                f"{', '.join(names) or 'none'}",
                "Choose one of them, or give that tool",
            )
    elif choice == "required" and not tools:
        raise BackendError(
            "A tool call is required, and no tools are given", "Give tools, or tool_choice auto"
        )


def _log_softmax(row: np.ndarray) -> np.ndarray:
    """Log-probabilities of one row of logits; summed in float64, returned in float32."""
    shifted = row.astype(np.float64) - float(row.max())
    return (shifted - np.log(np.exp(shifted).sum())).astype(np.float32)
