"""Find a model, and make the forms of it that the runtimes and the trainer need.

    from workbench import models

    model = models.find("embedded", settings.home)
    models.tokenizer(model, home)                      # Tokenizer, seconds
    models.gguf(model, home)                           # for llama.cpp
    models.hugging_face(model, home)                   # for torch, TRL
    models.onnx(model, home, precision="int8")         # for ONNX Runtime GenAI

Forms are made once under `home`, keyed by the source's fingerprint; see forms.py.
This room knows nothing about running a model.
"""

from __future__ import annotations

from pathlib import Path

from workbench.errors import ConversionError
from workbench.models import fingerprint, forms
from workbench.models.dimensions import Dimensions, dimensions, yarn
from workbench.models.find import EMBEDDED, Model, find
from workbench.models.hf_to_gguf import GgufPrecision
from workbench.models.hf_to_onnx import OnnxRecord, Precision, Provider
from workbench.models.rope import Yarn
from workbench.models.text import Tokenizer

__all__ = [
    "EMBEDDED",
    "Dimensions",
    "Model",
    "OnnxRecord",
    "Tokenizer",
    "Yarn",
    "dimensions",
    "find",
    "gguf",
    "hugging_face",
    "onnx",
    "tokenizer",
    "yarn",
]


def tokenizer(model: Model, home: Path) -> Tokenizer:
    """The model's tokenizer and chat template. From GGUF this takes seconds, once.

    Raises ModelError or ConversionError.
    """
    return Tokenizer(_tokenizer_folder(model, home))


def hugging_face(model: Model, home: Path) -> Path:
    """A Hugging Face folder of the model: its own, or one dequantised to float32 from GGUF.

    Raises ConversionError; an ONNX folder can't be turned back.
    """
    if model.kind == "hf":
        return model.path
    if model.kind == "onnx":
        raise _one_way(model, "a Hugging Face folder")
    from workbench.models import gguf_to_hf

    words = _tokenizer_folder(model, home)
    return forms.make(
        home,
        model.fingerprint,
        "hf",
        f"{model.name} as a Hugging Face folder (float32)",
        lambda folder: gguf_to_hf.write(model.path, words, folder),
    )


def gguf(model: Model, home: Path, *, precision: GgufPrecision | None = None) -> Path:
    """A GGUF file of the model: its own, or one made at `precision`.

    Without a precision a GGUF source is used as it is, and others become F16.
    A GGUF source at another precision is dequantised first: F32 holds exactly the
    numbers that its own file means. Raises ConversionError.
    """
    if model.kind == "gguf" and precision is None:
        return model.path
    if model.kind == "onnx":
        raise _one_way(model, "GGUF")
    from workbench.models import hf_to_gguf

    chosen = precision or "F16"
    source = hugging_face(model, home)
    file_name = f"{model.name}-{chosen}.gguf"
    folder = forms.make(
        home,
        model.fingerprint,
        f"gguf-{chosen}{_details(model)}",
        f"{model.name} as GGUF {chosen}",
        lambda folder: hf_to_gguf.write(
            source, folder / file_name, name=model.name, precision=chosen
        ),
    )
    return next(folder.glob("*.gguf"))


def onnx(
    model: Model,
    home: Path,
    *,
    precision: Precision,
    provider: Provider = "cpu",
    rope_scaling_factor: float = 1.0,
) -> Path:
    """A folder for ONNX Runtime GenAI, with optional LoRA inputs and a `workbench.json`.

    A factor above 1 bakes YaRN in. An ONNX folder is returned as it is, if it is
    of that precision and factor. Raises ConversionError for an unknown architecture,
    fp16 on a CPU, or another form than the ONNX folder has.
    """
    from workbench.models import hf_to_onnx

    if model.kind == "onnx":
        return _same_onnx(model, precision, rope_scaling_factor)
    hf_to_onnx.check(model.architecture, precision, provider)
    source = hugging_face(model, home)
    sizes = dimensions(source)
    stretch = yarn(sizes, rope_scaling_factor)
    suffix = f"-yarn{stretch.factor:g}" if stretch else ""
    return forms.make(
        home,
        model.fingerprint,
        f"onnx-{precision}-{provider}{suffix}{_details(model)}",
        f"{model.name} as ONNX {precision} for {provider}",
        lambda folder: hf_to_onnx.write(
            source,
            folder,
            fingerprint=model.fingerprint,
            architecture=model.architecture,
            precision=precision,
            provider=provider,
            context=sizes.context,
            yarn=stretch,
        ),
    )


def _same_onnx(model: Model, precision: Precision, factor: float) -> Path:
    from workbench.models import hf_to_onnx

    record = hf_to_onnx.read_record(model.path)
    if record and (record.precision, record.rope_scaling_factor) != (precision, factor):
        raise ConversionError(
            f"{model.path} is ONNX {record.precision} with rope factor "
            f"{record.rope_scaling_factor:g}, not {precision} with {factor:g}",
            "Set ONNX_PRECISION and ROPE_SCALING_FACTOR to what the folder holds, or set "
            "MODEL_PATH to the model it was made from",
        )
    return model.path


def _tokenizer_folder(model: Model, home: Path) -> Path:
    if model.kind != "gguf":
        return model.path
    from workbench.models import gguf_tokenizer

    return forms.make(
        home,
        model.fingerprint,
        "tokenizer",
        f"{model.name}'s tokenizer",
        lambda folder: gguf_tokenizer.write(model.path, folder),
    )


def _details(model: Model) -> str:
    """What else of a Hugging Face folder goes into its forms: a few digits over its small files.

    Configuration and tokenizer can be edited (to stretch positions, say) under the same weights.
    """
    if model.kind != "hf":
        return ""
    small = [file for pattern in ("*.json", "*.jinja") for file in model.path.glob(pattern)]
    return f"-{fingerprint.of_files(small)[:8]}"


def _one_way(model: Model, wanted: str) -> ConversionError:
    return ConversionError(
        f"{model.path} is an ONNX model, which can't be turned into {wanted}",
        "Set MODEL_PATH to the model it was made from",
    )
