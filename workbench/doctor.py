"""What this machine has: libraries, runtimes, the model, room on disk.

Every check says what is so and, where something is missing, what to do. It
loads no model: `workbench doctor` answers in a second or two.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from workbench import sandbox
from workbench.errors import WorkbenchError
from workbench.settings import Settings

LIBRARIES = (
    "llama-cpp-python",
    "onnxruntime-genai",
    "onnxruntime",
    "torch",
    "transformers",
    "peft",
    "trl",
    "datasets",
    "optimum",
    "papermill",
    "jupyterlab",
    "langfuse",
    "label-studio-sdk",
    "qdrant-client",
)
_NEEDED_GB = 3.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor: what was looked at, what was found, whether it will do."""

    what: str
    found: str
    ok: bool = True


def examine(settings: Settings) -> list[Check]:
    """All checks, in the order in which a user would ask."""
    return [
        Check("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Check("cores", f"{len(os.sched_getaffinity(0))}, {settings.threads} threads are used"),
        _free_space(settings),
        _check("model", lambda: _model(settings)),
        Check("runtime", settings.runtime_backend),
        Check(
            "langfuse", "keys are set" if settings.langfuse_public_key else "no keys: journal only"
        ),
        _sandbox(),
        *(_check(name, lambda name=name: metadata.version(name)) for name in LIBRARIES),  # type: ignore[misc]
    ]


def _sandbox() -> Check:
    """Whether tools may run programs."""
    missing = sandbox.why_unavailable()
    return Check("sandbox", str(missing or "bubblewrap works"), ok=missing is None)


def versions() -> dict[str, str]:
    """Installed versions of the libraries that decide a result."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def _check(what: str, find: Callable[[], str]) -> Check:
    try:
        return Check(what, find())
    except metadata.PackageNotFoundError:
        return Check(what, f"missing; install it: pip install {what}", ok=False)
    except WorkbenchError as error:
        return Check(what, str(error), ok=False)


def _model(settings: Settings) -> str:
    from workbench import models

    model = models.find(settings.model_path, settings.home)
    return f"{model.name} ({model.kind}, {model.architecture}, sha256 {model.fingerprint[:12]})"


def _free_space(settings: Settings) -> Check:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < _NEEDED_GB:
        return Check(
            "disk", f"{free:.1f} GB free for the model cache; free {_NEEDED_GB:.0f} GB", ok=False
        )
    return Check("disk", f"{free:.0f} GB free for the model cache")
