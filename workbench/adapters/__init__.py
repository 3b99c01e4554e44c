"""Adapters as immutable generations: exported, compared between runtimes, traceable.

    from workbench import adapters

    made = adapters.create(training.adapter, model, "short", root, home, lineage=lineage)
    adapters.check_parity(torch, [llama_cpp, onnx], prompts, "short", generation=made.folder)
    adapters.admit(made.folder, llama_cpp)             # before serving it
    adapters.verify(made.folder, settings.root, home)  # later: is it still what it says?

This room knows nothing about training: it takes a peft folder from wherever.
"""

from __future__ import annotations

from workbench.adapters.export_gguf import export_gguf
from workbench.adapters.export_onnx import export_onnx
from workbench.adapters.generation import (
    Generation,
    Manifest,
    admit,
    create,
    verify,
)
from workbench.adapters.generation import (
    open_generation as open,
)
from workbench.adapters.lineage import LOCK_FILE, Lineage, Source
from workbench.adapters.lineage import take as take_lineage
from workbench.adapters.parity import Parity, RuntimeParity, check_parity, read_parity
from workbench.adapters.peft_folder import BaseShape

__all__ = [
    "LOCK_FILE",
    "BaseShape",
    "Generation",
    "Lineage",
    "Manifest",
    "Parity",
    "RuntimeParity",
    "Source",
    "admit",
    "check_parity",
    "create",
    "export_gguf",
    "export_onnx",
    "open",
    "read_parity",
    "take_lineage",
    "verify",
]
