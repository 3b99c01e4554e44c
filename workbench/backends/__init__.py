"""Backends: one contract, several runtimes, chosen by name.

    from workbench import backends

    with backends.load(settings) as backend:                  # settings.runtime_backend
        print(backend.complete("Why is the sky blue?").text)

    backends.load(settings, name="onnx", precision="int8")

A backend is one module and one line in `ENGINES`. See contract.py for what
every backend promises; tests/backends/test_contract.py holds them to it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from workbench import models
from workbench.backends.adapter_files import adapters_at
from workbench.backends.contract import Backend, Engine
from workbench.errors import SettingsError
from workbench.models import Model
from workbench.settings import OnnxPrecision, Settings

if TYPE_CHECKING:
    from workbench.tracing import Tracer

__all__ = ["ENGINES", "Backend", "Engine", "load"]

ENGINES = {
    "llama.cpp": "workbench.backends.llamacpp:LlamaCppEngine",
    "onnx": "workbench.backends.genai:GenAIEngine",
    "torch": "workbench.backends.reference:TorchEngine",
}

GGUF_PRECISIONS = ("F32", "F16", "Q8_0")


def load(
    settings: Settings,
    *,
    name: str | None = None,
    precision: str | None = None,
    tracer: Tracer | None = None,
) -> Backend:
    """The model of `settings` in the runtime `name` (default: `settings.runtime_backend`).

    Makes the form of the model that the runtime needs, once, and loads the
    adapters of LORA_PATHS. `precision` for llama.cpp is "F32", "F16" or "Q8_0"
    (None: the GGUF as it is); for onnx "int4", "int8", "fp32" or "fp16" (None:
    ONNX_PRECISION, else int8 on a CPU and fp16 on CUDA); torch has "fp32" alone.
    Full precision is "F32" or "fp32", in either spelling. With a tracer, every
    call is a span. Raises SettingsError, ModelError, MissingLibrary or AdapterError.
    """
    from workbench.backends.local import LocalBackend

    name = name or settings.runtime_backend
    if name not in ENGINES:
        raise SettingsError(f"There is no backend {name!r}", f"Use one of {', '.join(ENGINES)}")
    module, _, kind = ENGINES[name].partition(":")
    engine_type = getattr(importlib.import_module(module), kind)
    model = models.find(settings.model_path, settings.home)
    arguments = {"llama.cpp": _llama_cpp, "onnx": _onnx, "torch": _torch}[name]
    engine = engine_type(**arguments(settings, model, precision))
    tokenizer = models.tokenizer(model, settings.home)
    backend = LocalBackend(engine, tokenizer, name=name, model=model.fingerprint)
    try:
        for adapter, path in adapters_at(settings.lora_paths, settings.root):
            backend.load_adapter(path, adapter)
    except BaseException:
        backend.close()
        raise
    if tracer is None:
        return backend
    from workbench.backends.traced import TracedBackend

    return TracedBackend(backend, tracer)


def _llama_cpp(settings: Settings, model: Model, precision: str | None) -> dict[str, Any]:
    chosen = _one_of(precision, GGUF_PRECISIONS, "llama.cpp")
    path = models.gguf(model, settings.home, precision=chosen)
    stretch = models.yarn(models.dimensions(path), settings.rope_scaling_factor)
    return {
        "path": path,
        "context": settings.n_ctx,
        "threads": settings.threads,
        "gpu_layers": settings.n_gpu_layers,
        "use_mmap": settings.use_mmap,
        "rope": stretch.llama_cpp() if stretch else None,
        "stretched": stretch.context if stretch else 0,
    }


def _onnx(settings: Settings, model: Model, precision: str | None) -> dict[str, Any]:
    chosen = _one_of(precision, get_args(OnnxPrecision), "onnx") or settings.onnx_served
    folder = models.onnx(
        model,
        settings.home,
        precision=chosen,
        provider=settings.onnx_provider,
        rope_scaling_factor=settings.rope_scaling_factor,
    )
    return {
        "folder": folder,
        "precision": chosen,
        "context": settings.n_ctx,
        "threads": settings.threads,
        "provider": settings.onnx_provider,
    }


def _torch(settings: Settings, model: Model, precision: str | None) -> dict[str, Any]:
    _one_of(precision, ("fp32",), "torch")
    folder: Path = models.hugging_face(model, settings.home)
    stretch = models.yarn(models.dimensions(folder), settings.rope_scaling_factor)
    return {
        "folder": folder,
        "context": settings.n_ctx,
        "threads": settings.threads,
        "rope": stretch.hugging_face() if stretch else None,
        "stretched": stretch.context if stretch else 0,
    }


def _one_of(precision: str | None, known: tuple[str, ...], backend: str) -> Any:
    """The runtime's own spelling of `precision`; "f32" and "fp32" are the same."""
    if precision is None:
        return None
    spellings = {spelling: k for k in known for spelling in (k.lower(), k.lower().lstrip("fp"))}
    wanted = precision.lower()
    found = spellings.get(wanted) or spellings.get(wanted.lstrip("fp"))
    if found is None:
        raise SettingsError(
            f"{backend} has no precision {precision!r}", f"Use one of {', '.join(known)}"
        )
    return found
