"""The gate before serving: is it the same adapter in every runtime?

Each runtime is compared with the torch reference on held-out prompts: the
tokens of the prompts, greedy answers, and the distribution at every position of
the reference's own answer. What is asked depends on the precision of the base.

The reference is slow, so a runtime of full precision drafts the answer: where the
reference's likeliest token is the draft's at every position, one pass has shown
that the draft is its greedy answer (speculative decoding at temperature 0,
Leviathan et al., 2023, https://arxiv.org/abs/2211.17192). Otherwise it decodes
its own.

Full precision (16 bits or more). Nothing but rounding may differ: 24 equal
tokens on 9 of 10 prompts, each answer decoded by the runtime itself, and a mean
KL below 1e-3 nats per token. This is what proves an export right.

Quantised. The base itself is off by KL(base || quantised base), and greedy
answers part early for that reason alone. The adapter's weights are not
quantised, so it must add nothing of its own:
  1. KL(adapter || quantised base with adapter) is at most twice that of the
     bare bases on the same positions, plus 1e-3;
  2. it is below KL(adapter || quantised base without it): putting the adapter
     on brings the runtime nearer to the reference;
  3. the adapter moves log-probabilities as far as it does in the reference:
     slope (divergence.Transfer) between 3/4 and 4/3.
The last two can only be seen where the adapter's effect exceeds the noise of the
quantisation, KL(base || quantised base). A weaker adapter (measured: effect 7e-5,
noise 5e-3, slope 0.13 for a right export) must be vouched for by a passed full
precision of the same backend instead.
Measured on SmolLM2-135M with an adapter of KL 0.015 from its base (10 prompts, 276
positions): llama.cpp Q4_1 0.0038 against 0.0034 for the bare bases, slope 0.96;
ONNX int8 0.0056 against 0.0051, slope 1.00. Half the scale gave a slope of 0.4,
twice the scale 1.8, no adapter 0. An error in a few layers only can hide in the
quantisation (rows in the wrong order: slope 0.79): full precision is there for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np

from workbench.adapters.divergence import Transfer, kl, normalised
from workbench.adapters.files import sha256_file
from workbench.backends.local import LocalBackend
from workbench.errors import ParityError
from workbench.journal import write_whole
from workbench.records import Completion, Message, Sampling, conversation, decode, encode

PARITY_FILE = "parity.json"
EQUAL_TOKENS = 24
EQUAL_SHARE = 0.9
FULL_KL = 1e-3
QUANTISED_KL_FACTOR = 2.0
QUANTISED_KL_SLACK = 1e-3
QUANTISED_SLOPE = (3 / 4, 4 / 3)
NO_EFFECT = 1e-6
"""Mean KL in nats per token below which an adapter changes nothing that could be compared."""

_FULL = frozenset({"fp32", "f32", "float32", "fp16", "f16", "float16", "bf16", "bfloat16"})


@dataclass(frozen=True)
class RuntimeParity:
    """One runtime against the reference. KLs are means per token in nats.

    `equal_prefix` counts, for each prompt, the tokens up to the first that
    differs: in full precision from the runtime's own greedy answer, in a quantised
    one from its likeliest tokens along the reference's answer; `equal_share` is the
    share of prompts with 24 of them, or with the whole answer if it is shorter.
    `kl` is KL(reference || runtime) with the adapter in both, `kl_base` without it
    in both, `kl_without` with it in the reference only. `top1` is the share of
    positions with the same most likely token. `slope` and `correlation` are those
    of `divergence.Transfer`.
    `failures` says what the gate refused; none means passed.
    """

    backend: str
    precision: str
    full_precision: bool
    prompts_equal: bool
    equal_prefix: tuple[int, ...]
    equal_share: float
    kl: float
    kl_base: float
    kl_without: float
    top1: float
    slope: float
    correlation: float
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parity:
    """All runtimes compared, for one adapter.

    `generation` is the fingerprint of the generation's manifest. `effect` is
    the mean KL per token of the adapter from its base in the reference, over
    `positions` answer tokens.
    """

    generation: str
    reference: str
    prompts: int
    positions: int
    effect: float
    runtimes: tuple[RuntimeParity, ...]

    @property
    def passed(self) -> bool:
        """Whether every runtime passed its gate."""
        return bool(self.runtimes) and not any(runtime.failures for runtime in self.runtimes)

    def require(self) -> None:
        """Raise ParityError, with the numbers, unless every runtime passed."""
        if self.passed:
            return
        failures = [
            f"{runtime.backend} {runtime.precision}: {', '.join(runtime.failures)}"
            for runtime in self.runtimes
            if runtime.failures
        ]
        raise ParityError(
            f"The adapter is not the same in every runtime ({'; '.join(failures) or 'none asked'})",
            "Keep serving the one before; compare the figures in parity.json, export again",
        )


@dataclass(frozen=True)
class _Answer:
    """The reference's greedy answer to one prompt; rows are [answer tokens, vocabulary]."""

    messages: tuple[Message, ...]
    prompt: list[int]
    tokens: tuple[int, ...]
    adapter: np.ndarray
    base: np.ndarray


def check_parity(
    reference: LocalBackend,
    others: Sequence[LocalBackend],
    prompts: Sequence[Sequence[Message] | str],
    adapter: str,
    *,
    generation: Path,
    max_tokens: int = 32,
    say: Callable[[str], None] = lambda line: None,
) -> Parity:
    """Compare runtimes that all have the adapter loaded under the name `adapter`.

        parity = check_parity(torch, [llama_cpp, onnx], prompts, "short", generation=made.folder)

    `say` is given a line as soon as a part of the work is done.
    Writes `parity.json` into the folder of the generation, whether it passed or
    not, and returns what it holds. Raises ParityError, with the numbers, when
    the gate is not passed or when the adapter changes nothing in the reference.
    """
    if not prompts:
        raise ParityError("There are no prompts to compare on", "Give ten held-out prompts")
    if max_tokens < EQUAL_TOKENS:
        raise ParityError(
            f"Answers of {max_tokens} tokens can't show {EQUAL_TOKENS} equal ones",
            f"Compare {EQUAL_TOKENS} tokens or more",
        )
    sampling = Sampling.greedy(max_tokens)
    asked = [conversation(prompt) for prompt in prompts]
    decoded: dict[LocalBackend, list[Completion]] = {}
    for other in filter(_is_full, others):
        decoded[other] = [
            other.complete(messages, sampling=sampling, adapter=adapter) for messages in asked
        ]
        say(f"{other.name} {other.precision} answered {len(asked)} prompts")
    drafts = next(iter(decoded.values()), [None] * len(asked))
    answers = [
        _answer(reference, messages, adapter, sampling, draft)
        for messages, draft in zip(asked, drafts, strict=True)
    ]
    say(f"{reference.name} {reference.precision} answered {len(asked)} prompts")
    if not any(answer.tokens for answer in answers):
        raise ParityError(
            f"With the adapter {reference.name} answers none of {len(prompts)} prompts",
            "Train with a lower learning rate, or give other prompts",
        )
    answered = [ours for ours in answers if ours.tokens]
    effect = float(np.concatenate([kl(ours.adapter, ours.base) for ours in answered]).mean())
    if effect < NO_EFFECT:
        raise ParityError(
            f"The adapter changes nothing in {reference.name} (KL {effect:.2g} nats per token)",
            "Train longer, with a higher learning rate or more pairs",
        )
    measured = []
    for other in others:
        measured.append(_compare(answers, other, decoded.get(other), adapter))
        say(f"{other.name} {other.precision} compared with it")
    parity = Parity(
        generation=sha256_file(Path(generation) / "manifest.json"),
        reference=f"{reference.name} {reference.precision}",
        prompts=len(prompts),
        positions=sum(len(answer.tokens) for answer in answers),
        effect=effect,
        runtimes=_gated(measured, effect),
    )
    write_whole(Path(generation) / PARITY_FILE, encode(parity))
    parity.require()
    return parity


def read_parity(generation: Path) -> Parity:
    """The parity of a generation. Raises ParityError when it was never measured."""
    try:
        return decode((Path(generation) / PARITY_FILE).read_bytes(), Parity)
    except FileNotFoundError:
        raise ParityError(
            f"{generation} was never compared between the runtimes",
            "Run adapters.check_parity on it (notebook 06)",
        ) from None
    except (OSError, ValueError) as error:
        raise ParityError(
            f"{generation}: parity.json is damaged ({error})", "Measure it again"
        ) from None


def _reads_alike(other: LocalBackend, ours: _Answer) -> bool:
    """Whether a runtime has the same prompt, and its own tokenizer splits text as ours does."""
    text = other.tokenizer.render(ours.messages)
    equal = other.engine.tokenize(text) == other.tokenizer.encode(text)
    return equal and other.tokenizer.prompt_ids(ours.messages) == ours.prompt


def _answer(
    reference: LocalBackend,
    messages: tuple[Message, ...],
    adapter: str,
    sampling: Sampling,
    draft: Completion | None,
) -> _Answer:
    prompt = reference.tokenizer.prompt_ids(messages)
    rows = None if draft is None else _confirmed(reference, prompt, draft, adapter)
    if draft is None or rows is None:
        draft = reference.complete(messages, sampling=sampling, adapter=adapter)
        rows = _rows(reference, prompt, draft.token_ids, adapter)
    base = _rows(reference, prompt, draft.token_ids, None)
    return _Answer(messages, prompt, draft.token_ids, rows, base)


def _confirmed(
    reference: LocalBackend, prompt: list[int], draft: Completion, adapter: str
) -> np.ndarray | None:
    """The reference's rows for a draft that is its own greedy answer, and None for another."""
    tokens = draft.token_ids
    # One position more, after the last token: where a draft ends, the reference must end too.
    rows = _rows(reference, prompt, (*tokens, 0), adapter)
    choices = rows.argmax(axis=1)
    ended = draft.finish_reason == "length" or int(choices[-1]) in reference.tokenizer.eos_ids
    return rows[:-1] if ended and tuple(choices[:-1]) == tokens else None


def _compare(
    answers: Sequence[_Answer],
    other: LocalBackend,
    decoded: Sequence[Completion] | None,
    adapter: str,
) -> RuntimeParity:
    """One runtime; `decoded` are its own greedy answers, if they were asked for."""
    prefixes, agreed, tops = [], [], []
    divergences: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    transfer = Transfer()
    for ours, own in zip(answers, decoded or repeat(None), strict=False):
        if not ours.tokens:  # no position to compare; a runtime's own answer must be as empty
            if own is not None:
                prefixes.append(0)
                agreed.append(not own.token_ids)
            continue
        with_, without = (_rows(other, ours.prompt, ours.tokens, name) for name in (adapter, None))
        choices = with_.argmax(axis=1)
        theirs = tuple(choices) if own is None else own.token_ids
        prefixes.append(_common_prefix(ours.tokens, theirs))
        agreed.append(prefixes[-1] >= EQUAL_TOKENS or ours.tokens == theirs)
        divergences.append(
            (kl(ours.adapter, with_), kl(ours.base, without), kl(ours.adapter, without))
        )
        tops.append(ours.adapter.argmax(axis=1) == choices)
        transfer += Transfer.of(ours.adapter - ours.base, with_ - without, np.exp(ours.adapter))
    with_adapter, base, without_adapter = (
        np.concatenate(column) for column in zip(*divergences, strict=True)
    )
    return RuntimeParity(
        backend=other.name,
        precision=other.precision,
        full_precision=_is_full(other),
        prompts_equal=all(_reads_alike(other, ours) for ours in answers),
        equal_prefix=tuple(prefixes),
        equal_share=sum(agreed) / len(agreed),
        kl=float(with_adapter.mean()),
        kl_base=float(base.mean()),
        kl_without=float(without_adapter.mean()),
        top1=float(np.concatenate(tops).mean()),
        slope=transfer.slope,
        correlation=transfer.correlation,
    )


def _gated(measured: Sequence[RuntimeParity], effect: float) -> tuple[RuntimeParity, ...]:
    """The runtimes with their failures; full precision first, since it vouches for the others."""
    vouched = {
        runtime.backend
        for runtime in measured
        if runtime.full_precision and not [*_failures(runtime, effect, frozenset())]
    }
    return tuple(
        replace(runtime, failures=tuple(_failures(runtime, effect, vouched)))
        for runtime in measured
    )


def _failures(runtime: RuntimeParity, effect: float, vouched: Collection[str]) -> Iterator[str]:
    """What the gate refuses in one runtime, each with its number.

    `effect` is the adapter's KL from its base in the reference; `vouched` names
    the backends that passed in full precision.
    """
    if not runtime.prompts_equal:
        yield "its tokenizer gives other token ids for the prompts"
    if runtime.full_precision:
        if runtime.equal_share < EQUAL_SHARE:
            yield (
                f"{EQUAL_TOKENS} equal tokens on {runtime.equal_share:.0%} of the prompts, "
                f"below {EQUAL_SHARE:.0%}"
            )
        # Written so that a NaN fails.
        if not runtime.kl < FULL_KL:
            yield f"mean KL {runtime.kl:.2g} per token, not below {FULL_KL:g}"
        return
    allowed = QUANTISED_KL_FACTOR * runtime.kl_base + QUANTISED_KL_SLACK
    if not runtime.kl <= allowed:
        yield (
            f"mean KL {runtime.kl:.2g} per token, above {allowed:.2g} "
            f"(the bare bases differ by {runtime.kl_base:.2g})"
        )
    if effect < runtime.kl_base:
        if runtime.backend not in vouched:
            yield (
                f"the adapter's effect ({effect:.2g}) is below the quantisation's noise "
                f"({runtime.kl_base:.2g}), and no full precision of {runtime.backend} passed"
            )
        return
    if not runtime.kl < runtime.kl_without:
        yield (
            f"mean KL {runtime.kl:.2g} per token with the adapter, "
            f"not below {runtime.kl_without:.2g} without it"
        )
    low, high = QUANTISED_SLOPE
    if not low <= runtime.slope <= high:
        yield f"{runtime.slope:.2f} of the adapter's effect arrives, not {low:.2f} to {high:.2f}"


def _is_full(backend: LocalBackend) -> bool:
    return backend.precision.lower() in _FULL


def _rows(
    backend: LocalBackend, prompt: Sequence[int], answer: Sequence[int], adapter: str | None
) -> np.ndarray:
    """Log-probabilities of each answer token's position, [len(answer), tokenizer's size]."""
    context = [*prompt, *answer[:-1]]
    rows = backend.logprobs(context, len(prompt) - 1, adapter=adapter)
    return normalised(rows, backend.tokenizer.size)


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of leading tokens that a and b share."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
