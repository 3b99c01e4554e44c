"""Read the header of a GGUF file: its metadata and the extent of its tensors.

A second or less and no heavy library, since every start of the workbench looks
here for the architecture and the tokenizer. It knows nothing about what the
keys mean, and never reads a weight; `gguf.GGUFReader` does that where it is
needed. Source of the format: ggml's docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_DEFAULT_ALIGNMENT = 32

# What reading values from damaged bytes can end in.
_DAMAGE = (
    struct.error,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)


@dataclass(frozen=True)
class Header:
    """Metadata of one GGUF file; `tensors` names them in the order of the file."""

    path: Path
    metadata: dict[str, Any]
    tensors: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture, such as "llama" or "qwen3"."""
        return str(self.metadata["general.architecture"])


def read(path: Path) -> Header:
    """The header of `path`, after checking that all tensors it promises lie in the file.

    Raises ModelError for a file that is not GGUF, is cut short, or can't be read.
    """
    try:
        with open(path, "rb") as file:
            if file.read(4) != _MAGIC:
                raise ModelError(
                    f"{path} is not a GGUF file (it does not start with the letters GGUF)",
                    "Give the path of a model in GGUF form, or a Hugging Face folder",
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(path, data)
    except OSError as error:
        raise ModelError(
            f"{path} can't be read ({error.strerror})", "Check the path and its permissions"
        ) from error
    except _DAMAGE as error:
        raise ModelError(
            f"{path} is a GGUF file that is cut short or damaged ({error})",
            "Download or copy it again",
        ) from error


class _Cursor:
    """Reads values one after another; struct.error at the end of the data."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.position = 4

    def scalar(self, code: str) -> Any:
        value = struct.unpack_from("<" + code, self.data, self.position)[0]
        self.position += struct.calcsize("<" + code)
        return value

    def string(self) -> str:
        length = self.scalar("Q")
        end = self.position + length
        if end > len(self.data):
            raise ValueError("a string reaches beyond the end of the file")
        text = self.data[self.position : end].decode("utf-8")
        self.position = end
        return text

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalar(_SCALARS[kind])
        kind, count = self.scalar("I"), self.scalar("Q")
        if kind in (_STRING, _ARRAY):
            return [self.value(kind) for _ in range(count)]
        code = f"<{count}{_SCALARS[kind]}"
        values = list(struct.unpack_from(code, self.data, self.position))
        self.position += struct.calcsize(code)
        return values


def _parse(path: Path, data: mmap.mmap) -> Header:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    cursor = _Cursor(data)
    version = cursor.scalar("I")
    if version not in _VERSIONS:
        raise ValueError(f"version {version} is unknown")
    tensor_count, key_count = cursor.scalar("Q"), cursor.scalar("Q")
    metadata = {}
    for _ in range(key_count):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.scalar("I"))
    metadata["general.architecture"]  # without it the file is of no use

    names, end = [], 0
    for _ in range(tensor_count):
        names.append(cursor.string())
        elements = 1
        for _ in range(cursor.scalar("I")):
            elements *= cursor.scalar("Q")
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(cursor.scalar("I"))]
        end = max(end, cursor.scalar("Q") + elements // block * size)
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    start = -(-cursor.position // alignment) * alignment
    if start + end > len(data):
        raise ValueError(f"{start + end:,} bytes expected, {len(data):,} there")
    return Header(path, metadata, tuple(names))
