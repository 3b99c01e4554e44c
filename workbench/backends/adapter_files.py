"""Which file of an adapter a runtime loads, and what it is called.

Adapters come as a single file, as a peft folder, or as a generation folder
(adapters/NAME/GENERATION/) that holds the form of every runtime. It knows
nothing about what is in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import AdapterError, SettingsError

_FORMS = ("adapter.gguf", "adapter.onnx_adapter", "peft")
_PEFT_WEIGHTS = "adapter_model.safetensors"


def adapter_file(path: Path, form: str) -> Path:
    """The adapter at `path` in the form that a runtime loads, such as "adapter.gguf".

    `path` is that file, or a generation folder that holds it; for the form
    "peft" it may be a peft folder. Raises AdapterError.
    """
    inside = path / form
    whole = path if path.is_file() else inside
    if form == "peft":
        for folder in (path, inside):
            if (folder / _PEFT_WEIGHTS).is_file():
                return folder
    elif whole.is_file() and whole.suffix == inside.suffix:
        return whole
    if not path.exists():
        raise AdapterError(f"There is no adapter at {path}", "Check the path")
    raise AdapterError(
        f"{path} holds no adapter in the form that this backend loads ({form})",
        "Make the generation's forms with adapters.create, or choose another backend",
    )


def check_base(path: Path, model: str) -> None:
    """Raise AdapterError if `path` is a generation of another base than `model` (fingerprint).

    An adapter that is no generation doesn't say what it was trained on.
    """
    manifest = (path if path.is_dir() else path.parent) / "manifest.json"
    try:
        base = msgspec.json.decode(manifest.read_bytes(), type=dict[str, Any])["base"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError) as error:
        raise AdapterError(f"{manifest} is damaged ({error})", "Make it again") from None
    if base != model:
        raise AdapterError(
            f"The adapter {path} was trained on another base than the one loaded",
            "Load the model that its manifest.json names, or train on this one",
        )


def fingerprint_of(adapter: Path) -> str:
    """sha256 (hex) of an adapter file, or of the weights in a peft folder."""
    file = adapter / _PEFT_WEIGHTS if adapter.is_dir() else adapter
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise AdapterError(
            f"The adapter {file} can't be read ({error.strerror})", "Check the path"
        ) from error


def adapters_at(globs: Sequence[str], root: Path) -> Iterator[tuple[str, Path]]:
    """Names and paths of the adapters that `globs` (relative to `root`) match, without repeats.

    A match inside a generation folder means that generation, whatever form it
    is, and is called like the folder; another file is called like its stem.
    Raises SettingsError for a glob that matches nothing.
    """
    found: dict[Path, str] = {}
    for pattern in globs:
        absolute = Path(root, Path(pattern).expanduser())
        anchor = Path(absolute.anchor)
        matches = sorted(anchor.glob(str(absolute.relative_to(anchor))))
        if not matches:
            raise SettingsError(
                f"LORA_PATHS names {pattern}, and there is nothing", "Mend the path, or take it out"
            )
        for match in matches:
            if match.name in _FORMS:
                found[match.parent] = match.parent.name
            elif match.is_dir() or match.suffix in {Path(form).suffix for form in _FORMS}:
                found[match] = match.name if match.is_dir() else match.stem
    for path, name in found.items():
        yield name, path
