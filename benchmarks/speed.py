"""How fast the backends answer, beside each runtime's own way of doing the same.

    .venv/bin/python benchmarks/speed.py --tokens 64 --rounds 5

Ours and the peer answer the same prompt greedily in turn (A B A B), in one process
after a warm-up each, so that a ratio means something on a machine whose speed
drifts; medians are shown. Then: candidates drawn together against one after the
other, and one draw of the sampler against the same steps in transformers.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from workbench import backends, models
from workbench.backends.sampling import Sampler
from workbench.models.forms import quiet
from workbench.records import Message, Sampling
from workbench.settings import Settings

QUESTION = [Message("user", "Write a long story about a lighthouse keeper and the sea.")]


def in_turn(rounds: int, *tasks: Callable[[], object]) -> list[float]:
    """Median seconds of each task, run in turn after one warm-up each."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for n in range(rounds + 1):
        for task, taken in zip(tasks, seconds, strict=True):
            begun = time.perf_counter()
            task()
            if n:
                taken.append(time.perf_counter() - begun)
    return [statistics.median(taken) for taken in seconds]


def peer(
    backend: backends.Backend, settings: Settings, prompt: list[int], tokens: int
) -> Callable[[], object]:
    """The runtime's own greedy generation of exactly `tokens` tokens, with the same file."""
    model = models.find(settings.model_path, settings.home)
    threads = settings.threads
    if backend.name == "llama.cpp":
        from llama_cpp import Llama

        llama = Llama(
            str(models.gguf(model, settings.home)), n_ctx=1024, n_threads=threads, verbose=False
        )

        def run() -> object:
            llama.reset()
            stream = llama.generate(prompt, temp=0.0, repeat_penalty=1.0)
            return [next(stream) for _ in range(tokens)]

        return run
    if backend.name == "onnx":
        import onnxruntime_genai as og

        config = og.Config(str(models.onnx(model, settings.home, precision=backend.precision)))
        threaded = f'{{"session_options": {{"intra_op_num_threads": {threads}}}}}'
        config.overlay(f'{{"model": {{"decoder": {threaded}}}}}')
        onnx = og.Model(config)

        def run() -> object:
            params = og.GeneratorParams(onnx)
            params.set_search_options(do_sample=False, max_length=len(prompt) + tokens)
            generator = og.Generator(onnx, params)
            generator.append_tokens(prompt)
            for _ in range(tokens):
                generator.generate_next_token()
            return generator.get_sequence(0)

        return run
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    with quiet():
        hf = AutoModelForCausalLM.from_pretrained(models.hugging_face(model, settings.home))
    ids = torch.tensor([prompt])
    return lambda: hf.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
    )


def answer_row(backend: backends.Backend, settings: Settings, tokens: int, rounds: int) -> str:
    """One greedy answer: ours against the runtime's own loop."""
    model = models.find(settings.model_path, settings.home)
    prompt = models.tokenizer(model, settings.home).prompt_ids(QUESTION)
    greedy = Sampling.greedy(tokens)
    [answer] = backend.sample(QUESTION, 1, sampling=greedy)
    made = answer.usage.completion_tokens
    a, b = in_turn(
        rounds,
        lambda: backend.sample(QUESTION, 1, sampling=greedy),
        peer(backend, settings, prompt, made),
    )
    return f"{made / a:.1f} | {made / b:.1f} | {b / a:.2f}"


def candidates_row(backend: backends.Backend, settings: Settings, tokens: int, rounds: int) -> str:
    """Six answers drawn together, against six drawn one after the other."""
    made = [0, 0]

    def draw(which: int, n: int, seeds: int) -> None:
        drawn = [
            answer
            for seed in range(seeds)
            for answer in backend.sample(
                QUESTION, n, sampling=Sampling(0.9, max_tokens=tokens, seed=seed)
            )
        ]
        made[which] = sum(answer.usage.completion_tokens for answer in drawn)

    a, b = in_turn(rounds, lambda: draw(0, 6, 1), lambda: draw(1, 1, 6))
    together, in_sequence = made[0] / a, made[1] / b
    return f"{together:.1f} | {in_sequence:.1f} | {together / in_sequence:.2f}"


def sampler(rounds: int, vocabulary: int = 49152, draws: int = 200) -> None:
    """One draw (temperature, top-k 40, top-p 0.95), against transformers' processors."""
    import torch
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    rows = np.random.default_rng(0).normal(0, 3, (draws, vocabulary)).astype(np.float32)
    ours = Sampler(Sampling(temperature=0.8, top_k=40, top_p=0.95))
    warpers = (TemperatureLogitsWarper(0.8), TopKLogitsWarper(40), TopPLogitsWarper(0.95))

    def theirs() -> None:
        for row in torch.from_numpy(rows):
            scores = row[None]
            for warper in warpers:
                scores = warper(None, scores)
            torch.multinomial(torch.softmax(scores, dim=-1), 1)

    a, b = in_turn(rounds, lambda: [ours.pick(row) for row in rows], theirs)
    print("| sampler | ours, µs a token | transformers, µs a token | ours / transformers |")
    print("|---|---|---|---|")
    print(f"| {vocabulary} tokens | {a / draws * 1e6:.0f} | {b / draws * 1e6:.0f} | {a / b:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=64, help="longest answer")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds, after one warm-up")
    arguments = parser.parse_args()
    settings = Settings.load()
    print(f"{platform.machine()}, {settings.threads} threads; model {settings.model_path}\n")
    for row, columns in (
        (answer_row, "one answer, tokens/s | the runtime's own loop, tokens/s | ratio"),
        (candidates_row, "6 drawn together, tokens/s | 6 in sequence, tokens/s | ratio"),
    ):
        print(f"| runtime | {columns} |\n|---|---|---|---|")
        for name in backends.ENGINES:
            with backends.load(settings, name=name) as backend:
                figures = row(backend, settings, arguments.tokens, arguments.rounds)
                print(f"| {name} {backend.precision} | {figures} |", flush=True)
        print()
    sampler(arguments.rounds)


if __name__ == "__main__":
    main()
