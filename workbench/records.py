"""The frozen records that pass between rooms.

Every hand-over of the loop is one of these, one JSON object per line in a
journal. Records know nothing about models, files or servers: they only say
what was asked, answered, judged and concluded. `encode` and `decode` are
strict: an unknown type or a missing field is an error, never a silent default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]
RatingKind = Literal[
    "pairwise", "ranking", "thumbs", "stars", "correction", "comment", "skip", "undo"
]
Consent = Literal["", "given", "refused"]
Split = Literal["train", "validation", "test"]

R = TypeVar("R")


# --- conversation ---------------------------------------------------------


@dataclass(frozen=True)
class ToolCall:
    """A call that a model asked for; `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Tool:
    """A tool offered to a model; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class NamedTool:
    """The choice of one tool: the answer is a call of it."""

    name: str


ToolChoice = Literal["auto", "required", "none"] | NamedTool
"""Whether an answer may call tools ("auto"), must ("required", or the tool that is named), or
must not ("none", although they are described)."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where a prompt comes from, as far as that ties it to others or protects someone.

    Prompts of one session, one `debate` or one of the source `documents` say
    the same things and must stay on one side of a split. `session` is the one it
    was taken from; `answered_in` are the others that answers to it come from, and
    they tie it just as much. `consent` is what its author said about training on
    it; "" when nobody asked.
    """

    session: str = ""
    documents: tuple[str, ...] = ()
    debate: str = ""
    consent: Consent = ""
    answered_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A question, with what a split must know of it.

    `topic` groups prompts that must stay on one side of a split; `language`
    is an ISO 639-1 code.
    """

    id: str
    messages: tuple[Message, ...]
    topic: str
    language: str = "en"
    origin: Origin = Origin()


# --- generation -----------------------------------------------------------


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the same numbers mean the same in every runtime.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1 and `min_p` 0 are off.
    `repetition_penalty` 1 and the two penalties 0 are off. `stop` holds strings
    that end the answer and are not part of it. `max_tokens` counts new tokens.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int = 0

    @classmethod
    def greedy(cls, max_tokens: int = 256, stop: tuple[str, ...] = ()) -> Sampling:
        """The most likely token at every step."""
        return cls(temperature=0.0, top_p=1.0, top_k=0, max_tokens=max_tokens, stop=stop)


@dataclass(frozen=True)
class Usage:
    """Token counts of one call; `cached_tokens` of the prompt were not computed again."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds of one call, split at the first new token."""

    prompt_s: float
    completion_s: float


@dataclass(frozen=True)
class Delta:
    """A piece of a streamed answer. The last one has `finish_reason`, `usage` and `timing`."""

    text: str = ""
    reasoning: str = ""
    tool_call: ToolCall | None = None
    token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timing: Timing | None = None


@dataclass(frozen=True)
class Completion:
    """One whole answer, with what made it.

    `model` is the fingerprint of the base weights and `adapter` the
    fingerprint of the adapter's weights (None: the base alone).
    """

    id: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    timing: Timing
    backend: str
    model: str
    sampling: Sampling
    adapter: str | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    trace_id: str | None = None


@dataclass(frozen=True)
class Score:
    """Natural log-probability of each token of a given answer (teacher forcing)."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]

    @property
    def total(self) -> float:
        """Log-probability of the whole answer, in nats."""
        return sum(self.logprobs)


@dataclass(frozen=True)
class CandidateSet:
    """Answers to one prompt, to be judged against each other."""

    id: str
    prompt: Prompt
    completions: tuple[Completion, ...]

    def completion(self, id: str) -> Completion:
        """The completion of that id. Raises KeyError if there is none."""
        for completion in self.completions:
            if completion.id == id:
                return completion
        raise KeyError(id)


# --- judgement ------------------------------------------------------------


@dataclass(frozen=True)
class Rating:
    """One judgement, as its rater saw it, whichever door it came by.

    `shown` is the order of completion ids on the screen, left to right, and
    `traces` the trace of each ("" where there is none; empty: none has one).
    `ranking` holds groups from best to worst; ids in one group are tied.
    A tie between A and B is `(("a", "b"),)`; with `both_bad` neither is good.
    `value` is the number of a thumbs (0 or 1) or stars (1 to 5) rating of
    `shown[0]`; `text` is that answer as it should have been (a correction).
    `comment` goes with any kind, and alone is a rating of kind "comment". A
    "skip" says that the rater would not judge. `undoes` names the rating that an
    undo takes back. `repeats` names an earlier rating that this one asks again,
    to measure the rater and not the answers. `rater` is `person:NAME`,
    `model:NAME` or `rule:NAME`; `door` says where it was given. `confidence` is
    1 to 5, `seconds` the time it took, `at` ISO 8601 in UTC.
    """

    id: str
    kind: RatingKind
    candidate_set: str
    shown: tuple[str, ...]
    rater: str
    door: str
    at: str
    ranking: tuple[tuple[str, ...], ...] = ()
    both_bad: bool = False
    value: int | None = None
    text: str | None = None
    comment: str = ""
    seconds: float | None = None
    undoes: str | None = None
    confidence: int | None = None
    repeats: str | None = None
    traces: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetAside:
    """What came in and can't be used, and why; kept so that it can be mended.

    `source` says where it came from (a server, a file and its line), `content` is
    what came, as text.
    """

    source: str
    reason: str
    content: str


@dataclass(frozen=True)
class Preference:
    """One pair for training: `chosen` was judged better than `rejected`.

    `ratings` are the ids of the judgements behind it, `raters` who gave them.
    `weight`, above 0 and at most 1, is how far the raters agreed on it.
    """

    id: str
    prompt: Prompt
    chosen: Completion
    rejected: Completion
    ratings: tuple[str, ...]
    raters: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Comparison:
    """One held-out prompt answered by base and adapter, and who won."""

    prompt_id: str
    base: Completion
    adapter: Completion
    outcome: Literal["win", "loss", "tie"]
    rating: Rating


@dataclass(frozen=True)
class Verdict:
    """Whether the adapter is better than its base, with all that belongs beside the number.

    `win_rate` counts ties as half; `low` and `high` bound it at `confidence`.
    `length_controlled` is the win rate expected at equal length, and
    `longest_wins` the rate that "the longer answer wins" would give the adapter.
    Lengths are mean words per answer. `judged_by` names the raters.
    """

    n: int
    wins: int
    losses: int
    ties: int
    win_rate: float
    low: float
    high: float
    confidence: float
    length_controlled: float | None
    longest_wins: float
    base_words: float
    adapter_words: float
    agreement: float | None
    judged_by: tuple[str, ...]
    conclusion: str = field(default="")


# --- encoding -------------------------------------------------------------


def encode(record: Any) -> bytes:
    """One record as compact JSON in UTF-8, keys in declared order, without a newline."""
    return msgspec.json.encode(record)


def decode(data: bytes | str, type: type[R]) -> R:
    """The record of `type` in `data`.

    Raises msgspec.ValidationError (a missing or mistyped field, with its path)
    or msgspec.DecodeError (not JSON); both are ValueErrors.
    """
    return msgspec.json.decode(data, type=type)


def content_id(*parts: Any, length: int = 16) -> str:
    """A name made from content: hex digits of a sha256 over canonical JSON of `parts`."""
    canonical = msgspec.json.encode(parts, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:length]


def conversation(messages: Sequence[Message] | str) -> tuple[Message, ...]:
    """Messages as a tuple; a bare string is one user turn."""
    if isinstance(messages, str):
        return (Message("user", messages),)
    return tuple(messages)
