"""`system_info`: what this machine can do, and nothing about whose it is.

No user or host names, no environment, no paths.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.tools.contract import Context, Definition
from workbench.tools.schemas import parameters, record

_PACKAGES = (
    "llama-cpp-python",
    "onnxruntime",
    "onnxruntime-genai",
    "torch",
    "transformers",
    "peft",
    "trl",
    "numpy",
    "duckdb",
)
_GPU_SECONDS = 10


@dataclass(frozen=True)
class Gpu:
    """A GPU of NVIDIA, as nvidia-smi tells it; memory in MiB."""

    name: str
    memory_mb: int
    memory_free_mb: int
    driver: str


@dataclass(frozen=True)
class SystemInfo:
    """Memory and disk in MiB; `disk` is that of the workspace. Packages missing are left out."""

    system: str
    python: str
    cpu: str
    cores: int
    memory_mb: int
    memory_free_mb: int
    disk_mb: int
    disk_free_mb: int
    gpus: tuple[Gpu, ...]
    packages: dict[str, str]


def _system_info(arguments: Mapping[str, Any], context: Context) -> SystemInfo:
    memory = _table(Path("/proc/meminfo"))
    disk = shutil.disk_usage(context.workspace)
    return SystemInfo(
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        cpu=_table(Path("/proc/cpuinfo")).get("model name", platform.machine()),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=_kib(memory.get("MemTotal", "")) // 1024,
        memory_free_mb=_kib(memory.get("MemAvailable", "")) // 1024,
        disk_mb=disk.total >> 20,
        disk_free_mb=disk.free >> 20,
        gpus=_gpus(),
        packages=_packages(),
    )


def _table(path: Path) -> dict[str, str]:
    """Lines of the form `name : value`; the first of each name."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _kib(value: str) -> int:
    number = value.removesuffix("kB").strip()
    return int(number) if number.isdigit() else 0


def _gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    asked = "name,memory.total,memory.free,driver_version"
    try:
        done = subprocess.run(
            [program, f"--query-gpu={asked}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_GPU_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    return tuple(
        Gpu(row[0], int(row[1]), int(row[2]), row[3])
        for row in rows
        if len(row) == 4 and row[1].isdigit() and row[2].isdigit()
    )


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


SYSTEM_INFO = Definition(
    "system_info",
    "Tell this machine's processor, memory, disk, GPUs and package versions.",
    parameters({}),
    record(SystemInfo),
    "read",
    _system_info,
)
