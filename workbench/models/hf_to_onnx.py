"""Hugging Face -> ONNX Runtime GenAI, with slots for LoRA adapters.

Weights are written by onnxruntime-genai's own builder; this module chooses its
options, keeps it quiet, and leaves a `workbench.json` that says what was made.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench.errors import ConversionError
from workbench.models import lora_slots
from workbench.models.find import ARCHITECTURES
from workbench.models.forms import quiet
from workbench.models.lora_slots import LoraInput
from workbench.models.rope import Yarn

Precision = Literal["int4", "int8", "fp32", "fp16"]
Provider = Literal["cpu", "cuda"]

RECORD = "workbench.json"

# The block in which weights share a scale. 32 is that of GGUF's Q4_0 and Q8_0, so a
# dequantised Q4_0 becomes int4 again without loss.
_BLOCK_SIZE = 32

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)


@dataclass(frozen=True)
class OnnxRecord:
    """What an ONNX folder holds; `base` is the fingerprint of the source's weights."""

    base: str
    architecture: str
    precision: Precision
    provider: Provider
    rope_scaling_factor: float
    context: int
    lora_inputs: tuple[LoraInput, ...]


def read_record(folder: Path) -> OnnxRecord | None:
    """The record of an ONNX folder that was made here; None for one made elsewhere."""
    file = folder / RECORD
    return msgspec.json.decode(file.read_bytes(), type=OnnxRecord) if file.is_file() else None


def check(architecture: str, precision: Precision, provider: Provider) -> None:
    """Raise ConversionError for what can't be made, before anything is computed."""
    if architecture not in ARCHITECTURES:
        raise ConversionError(
            f"Models of architecture {architecture!r} can't be made into ONNX here",
            f"Use one of {', '.join(ARCHITECTURES)}, or the llama.cpp backend with a GGUF file",
        )
    if precision == "fp16" and provider == "cpu":
        raise ConversionError(
            "ONNX in fp16 does not run on a CPU",
            'Choose fp32, int8 or int4, or the provider "cuda"',
        )


def write(
    source: Path,
    folder: Path,
    *,
    fingerprint: str,
    architecture: str,
    precision: Precision,
    provider: Provider,
    context: int,
    yarn: Yarn | None,
) -> None:
    """Build the model of the Hugging Face folder `source` into `folder`.

    `context` is the number of positions without `yarn`.
    """
    # Official packages report usage by default, and the builder imports the runtime.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with quiet():
        adapter = folder / "placeholder"
        nodes = lora_slots.write_placeholder(source, adapter)
        _build(source, folder, adapter, nodes, precision, provider, yarn)
        shutil.rmtree(adapter)
        inputs = lora_slots.open_slots(folder / "model.onnx")
    for name in _TOKENIZER_FILES:
        (folder / name).unlink(missing_ok=True)
        if (source / name).is_file():
            shutil.copy2(source / name, folder / name)
    record = OnnxRecord(
        base=fingerprint,
        architecture=architecture,
        precision=precision,
        provider=provider,
        rope_scaling_factor=yarn.factor if yarn else 1.0,
        context=yarn.context if yarn else context,
        lora_inputs=tuple(inputs),
    )
    (folder / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))


def _build(
    source: Path,
    folder: Path,
    adapter: Path,
    lora_nodes: list[str],
    precision: Precision,
    provider: Provider,
    yarn: Yarn | None,
) -> None:
    from onnxruntime_genai.models.builder import create_model, parse_extra_options

    given = [f"adapter_path={adapter}"]
    if precision in ("int4", "int8"):
        given += [f"block_size={_BLOCK_SIZE}", f"nodes_to_exclude={','.join(lora_nodes)}"]
    scratch = folder / "builder_cache"
    arguments = (None, str(source), str(folder), precision, provider, str(scratch))
    options: dict[str, Any] = parse_extra_options(*arguments, given)
    if yarn:
        config = options["hf_details"]["hf_config"]
        config.rope_parameters = yarn.onnx_builder()
        config.original_max_position_embeddings = yarn.original_context
        config.max_position_embeddings = yarn.context
    create_model(*arguments, **options)
    shutil.rmtree(scratch, ignore_errors=True)
