"""Debates of the embedded model: always valid, one prefix for all roles, in one trace."""

from __future__ import annotations

import pytest
from debate_parts import spans

from workbench import backends, tracing
from workbench.agents.chat_model import BackendChat
from workbench.consilium.candidates import candidate_sets
from workbench.consilium.debate import Consilium
from workbench.errors import BackendError
from workbench.records import Sampling
from workbench.settings import Settings

pytestmark = pytest.mark.slow  # loads the embedded model

THREE = ("dev", "security", "qa")
TASK = """Our notebook asks a local model the same questions again and again while people try
other settings. We could keep its answers in a cache on disk, keyed by the prompt, the sampling
settings and the fingerprint of the weights. Some say that this hides faults, since an answer
of yesterday comes back although the runtime was changed today; others say that it saves
minutes every hour and makes runs repeatable. The cache would lie in the home folder, in one
SQLite file, and everyone who uses the machine could read it. Should we cache the answers of
the model, and if so, what must the key hold, who may read it, and how do we test that a stale
answer is never shown? Think of the sizes as well: an answer has about two kilobytes, and a
busy day makes fifty thousand of them."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("debates")


@pytest.fixture(scope="module")
def tracer(folder):
    return tracing.Tracer(folder / "spans.jsonl", Settings(root=folder, home=folder))


@pytest.fixture(scope="module")
def backend(tracer):
    settings = Settings.load()
    with backends.load(settings, name="llama.cpp", tracer=tracer) as backend:
        yield backend


def consilium(backend, folder, tracer, **options) -> Consilium:
    model = BackendChat(backend=backend, sampling=Sampling.greedy(max_tokens=240))
    settings = Settings(root=folder, home=folder)
    return Consilium(model, folder / "debates", tracer, settings, characters=160, **options)


@pytest.fixture(scope="module")
def debate(backend, folder, tracer):
    return consilium(backend, folder, tracer).run(TASK, roles=THREE)


def test_the_smallest_model_gives_a_valid_decision(debate):
    assert debate.decision.text.strip()
    assert debate.decision.basis in (*THREE, "synthesis")
    assert 0 <= debate.decision.confidence <= 100
    assert all(len(text) <= 160 for text in (debate.decision.text, *debate.revisions.values()))
    assert debate.director.where == "local"
    assert debate.director.said.startswith("A local model directed: ")


def test_from_the_second_role_on_most_of_the_prompt_is_cached(debate):
    def share(said):
        usage = said.completion.usage
        return usage.cached_tokens / usage.prompt_tokens

    assert [round(share(said), 2) > 0.5 for said in debate.answers] == [False, True, True]
    assert all(share(said) > 0.7 for said in debate.critiques[1:])
    assert share(debate.decision) > 0.2  # system text and task


def test_every_model_call_is_a_generation_in_the_trace(debate, folder):
    found = [s for s in spans(folder) if s.trace_id == debate.trace_id]
    generations = [s for s in found if s.kind == "generation"]
    assert len(generations) >= 7
    assert sum(s.usage.completion_tokens for s in generations) == debate.usage.completion_tokens
    assert all(s.model for s in generations)
    assert {s.parent_id for s in generations} == {s.id for s in found if s.kind == "chain"}


def test_answers_are_candidates_with_what_made_them(debate, backend):
    answers, revised = candidate_sets(debate)
    for completion in answers.completions:
        assert (completion.backend, completion.model) == ("llama.cpp", backend.model)
        assert len(completion.token_ids) == completion.usage.completion_tokens
    assert len(revised.completions) == 4


def test_a_russian_debate_is_valid_too(backend, folder, tracer):
    debate = consilium(backend, folder, tracer).run(
        "Нужно ли кэшировать ответы модели? Ответь кратко 🙂.", roles=THREE[:2], seed=1
    )
    assert debate.decision.text.strip()
    assert candidate_sets(debate)[0].prompt.language == "ru"


def test_a_task_beyond_the_context_is_told(backend, folder, tracer):
    bench = consilium(backend, folder, tracer)
    with pytest.raises(BackendError, match=r"The prompt has \d+ tokens, and the context holds"):
        bench.run("слово word " * 20_000, roles=THREE)
