"""One adapter, made once and never changed: adapters/NAME/GENERATION/.

    peft/                  the trained weights, for torch and for training on
    adapter.gguf           the same for llama.cpp
    adapter.onnx_adapter   the same for ONNX Runtime GenAI
    manifest.json          base, lineage and the hash of every file above
    parity.json            written when the runtimes were compared (parity.py)

GENERATION is a running number and the beginning of a content hash, such as
0001-3fa2c1. The folder is filled beside its place and then renamed, so a
generation is whole or not there. Nothing here loads a model.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench import models
from workbench.adapters.export_gguf import export_gguf
from workbench.adapters.export_onnx import export_onnx
from workbench.adapters.files import sha256_file, sync
from workbench.adapters.lineage import Lineage, verify_lineage
from workbench.adapters.parity import Parity, read_parity
from workbench.adapters.peft_folder import BaseShape
from workbench.backends import Backend
from workbench.errors import AdapterError, ParityError
from workbench.records import content_id, decode, encode

_MANIFEST = "manifest.json"
_PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class File:
    """A file of a generation: path relative to its folder, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a generation is. `base` is the fingerprint of the base model's source."""

    name: str
    generation: str
    base: str
    shape: BaseShape
    lineage: Lineage
    files: tuple[File, ...]


@dataclass(frozen=True)
class Generation:
    """A generation on disk."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Name of the adapter, such as "short"."""
        return self.manifest.name

    @property
    def peft(self) -> Path:
        """Folder that peft and torch load."""
        return self.folder / "peft"

    @property
    def gguf(self) -> Path:
        """File that llama.cpp loads."""
        return self.folder / "adapter.gguf"

    @property
    def onnx_adapter(self) -> Path:
        """File that ONNX Runtime GenAI loads."""
        return self.folder / "adapter.onnx_adapter"

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of the manifest, which holds the hashes of everything else."""
        return sha256_file(self.folder / _MANIFEST)


def create(
    peft: Path, base: models.Model, name: str, root: Path, home: Path, *, lineage: Lineage
) -> Generation:
    """Make the next generation of adapter `name` under `root` from a peft folder.

        adapters.create(training.adapter, model, "short", settings.adapters, settings.home,
                        lineage=lineage)

    Weights and lineage that are already there give the generation that holds
    them. Raises AdapterError for weights that can't be exported or that don't
    fit the base; nothing is left behind then.
    """
    if not name or name.startswith(".") or "/" in name:
        raise AdapterError(f"{name!r} can't name an adapter", "Use letters, digits and hyphens")
    if base.fingerprint != lineage.base:
        raise AdapterError(
            f"The adapter was trained on another base than {base.name}",
            f"Use the model {lineage.base_source}",
        )
    shape = BaseShape.read(models.hugging_face(base, home))
    place = Path(root) / name
    with _building(place) as partial:
        for file in _PEFT_FILES:
            shutil.copyfile(Path(peft) / file, partial / "peft" / file)
        export_gguf(partial / "peft", shape, partial / "adapter.gguf")
        export_onnx(partial / "peft", shape, partial / "adapter.onnx_adapter")
        files = tuple(
            _describe(path, partial) for path in sorted(partial.rglob("*")) if path.is_file()
        )
        content = content_id(files, lineage, length=6)
        made = sorted(path.name for path in place.glob("[0-9]*-*"))
        for generation in made:
            if generation.endswith(f"-{content}"):
                return open_generation(place / generation)
        number = 1 + max((int(generation.partition("-")[0]) for generation in made), default=0)
        manifest = Manifest(
            name, f"{number:04d}-{content}", base.fingerprint, shape, lineage, files
        )
        (partial / _MANIFEST).write_bytes(encode(manifest))
        sync(partial)
        os.rename(partial, place / manifest.generation)
    return open_generation(place / manifest.generation)


def open_generation(folder: Path | str) -> Generation:
    """The generation in `folder`. Raises AdapterError when there is none or it is damaged."""
    folder = Path(folder)
    try:
        manifest = decode((folder / _MANIFEST).read_bytes(), Manifest)
    except OSError as error:
        raise AdapterError(
            f"{folder} holds no adapter generation ({error.strerror})",
            "Give a folder adapters/NAME/GENERATION",
        ) from error
    except ValueError as error:
        raise AdapterError(f"{folder / _MANIFEST} is damaged: {error}", "Make it again") from None
    return Generation(folder, manifest)


def verify(folder: Path | str, root: Path, home: Path) -> tuple[str, ...]:
    """Compute again all that a generation claims; returns the names of the checked links.

    `root` is the project's folder, `home` the cache of models. Raises
    AdapterError naming the first link that broke, from the generation's own
    files and its parity to the lineage.
    """
    generation = open_generation(folder)
    _check_files(generation)
    _passed(generation)
    return ("files", "parity", *verify_lineage(generation.manifest.lineage, root, home))


def admit(folder: Path | str, backend: Backend) -> Generation:
    """The generation, if `backend` may serve it; call it before loading an adapter.

    Raises ParityError when its parity gate was not passed, or not asked about this
    runtime in this precision; AdapterError when its files changed or when it
    belongs to another base.
    """
    generation = open_generation(folder)
    if generation.manifest.base != backend.model:
        raise AdapterError(
            f"The adapter {generation.name} belongs to another base than the one loaded",
            f"Use the model {generation.manifest.lineage.base_source}, or train on this one",
        )
    _check_files(generation)
    parity = _passed(generation)
    compared = {parity.reference, *(f"{r.backend} {r.precision}" for r in parity.runtimes)}
    if (serving := f"{backend.name} {backend.precision}") not in compared:
        raise ParityError(
            f"The adapter {generation.name} was never compared in {serving}",
            f"Run notebook 06 with it, or serve it in {' or '.join(sorted(compared))}",
        )
    return generation


def _passed(generation: Generation) -> Parity:
    parity = read_parity(generation.folder)
    if parity.generation != generation.fingerprint:
        raise ParityError(
            f"The parity of {generation.folder} was measured on other files", "Measure it again"
        )
    parity.require()
    return parity


def _check_files(generation: Generation) -> None:
    for file in generation.manifest.files:
        try:
            found = sha256_file(generation.folder / file.path)
        except OSError:
            found = "missing"
        if found != file.sha256:
            raise AdapterError(
                f"The link 'files' is broken: {generation.folder / file.path} "
                f"{'is missing' if found == 'missing' else 'changed'}",
                "Restore it, or make the generation again from its peft folder",
            )


@contextmanager
def _building(place: Path) -> Iterator[Path]:
    """A folder to fill beside the generations; one process at a time, nothing left behind."""
    from filelock import FileLock

    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / ".lock"):
            for left in place.glob(".*.partial"):
                shutil.rmtree(left, ignore_errors=True)
            partial = place / f".{os.getpid()}.partial"
            (partial / "peft").mkdir(parents=True)
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise AdapterError(
            f"{error.filename or place} can't be used ({error.strerror})",
            "Check that it is there, that it may be written, and that the disk has room",
        ) from error


def _describe(path: Path, folder: Path) -> File:
    return File(path.relative_to(folder).as_posix(), path.stat().st_size, sha256_file(path))
