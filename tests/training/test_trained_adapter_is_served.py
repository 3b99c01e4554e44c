"""From pairs to an adapter that three runtimes agree on, for every architecture."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest

from workbench import adapters, backends, models
from workbench.preferences import Dataset
from workbench.settings import Settings
from workbench.training import TrainingOptions, train

OPTIONS = TrainingOptions(rank=4, alpha=8, learning_rate=5e-3, epochs=2, max_length=256)
PROMPTS = ["What is it?", "Why?", "Скажи, что лучше", "How old is the dog?"]
RUNTIMES = (("llama.cpp", "F32"), ("llama.cpp", "Q8_0"), ("onnx", "fp32"))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_a_trained_adapter_passes_parity_and_every_link_holds(
    architecture: str, request: pytest.FixtureRequest, pairs: Dataset, tmp_path: Path
) -> None:
    base = request.getfixturevalue(f"tiny_{architecture}")
    root = tmp_path
    (root / adapters.LOCK_FILE).write_text("torch==2\n")
    settings = Settings(root=root, home=tmp_path / "home", model_path=str(base), n_ctx=256)
    model = models.find(settings.model_path, settings.home)

    training = train(models.hugging_face(model, settings.home), pairs, root / "run", OPTIONS)
    lineage = adapters.take_lineage(
        model,
        root=root,
        home=settings.home,
        dataset=pairs.folder,
        token_ids=training.token_ids_sha256,
        options=asdict(OPTIONS),
    )
    made = adapters.create(
        training.adapter, model, "short", settings.adapters, settings.home, lineage=lineage
    )
    with ExitStack() as stack:
        reference, *others = (
            stack.enter_context(backends.load(settings, name=name, precision=precision))
            for name, precision in (("torch", None), *RUNTIMES)
        )
        for backend in (reference, *others):
            backend.load_adapter(made.folder, "short")
        parity = adapters.check_parity(reference, others, PROMPTS, "short", generation=made.folder)
        for backend in (reference, *others):
            assert adapters.admit(made.folder, backend) == made

    assert parity.passed
    assert "token ids" in adapters.verify(made.folder, root, settings.home)
