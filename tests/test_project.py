"""The project holds together: one set of packages, one way of imports, nothing shadowed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"torch": "pytorch", "duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}
CONDA_ONLY = {"python", "make", "pip"}
BINARY = {".png", ".safetensors", ".gguf", ".onnx_adapter"}


def _requirements() -> dict[str, str]:
    """Package -> range, of the package and its dev extra, in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["dev"]
    return dict(_split(line) for line in lines)


def _split(requirement: str) -> tuple[str, str]:
    name, range_ = re.fullmatch(r"([A-Za-z0-9_.-]+?)([<>=].*)?", requirement).groups()
    return name.lower().replace("_", "-"), range_ or ""


def test_conda_and_pip_get_the_same_packages() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    names = [entry for entry in listed if isinstance(entry, str)]
    names += [entry for entry in pip if not entry.startswith("-")]
    conda = {k: v for k, v in (_split(n) for n in names) if k not in CONDA_ONLY}
    expected = {CONDA_NAMES.get(k, k): v for k, v in _requirements().items()}
    assert conda == expected


def test_every_requirement_is_pinned_within_its_range() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    for name, range_ in _requirements().items():
        requirement = Requirement(name + range_)
        assert requirement.specifier.contains(pins[canonicalize_name(name)]), name


def test_rooms_import_one_way() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def test_the_datasets_library_is_not_shadowed_by_our_folder() -> None:
    script = "import datasets; print(datasets.__file__)"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not Path(result.stdout.strip()).is_relative_to(ROOT / "datasets")
    for folder in ("datasets", "adapters", "reports", "notebooks"):
        assert list((ROOT / folder).rglob("*.py")) == [], folder


def test_importing_the_package_loads_no_heavy_library() -> None:
    script = (
        "import sys, workbench.cli, workbench.backends, workbench.models, workbench.tracing, "
        "workbench.feedback, workbench.preferences, workbench.adapters, workbench.training, "
        "workbench.raters, workbench.exchange, workbench.services, workbench.tools, "
        "workbench.evaluation, workbench.knowledge, workbench.session, workbench.report\n"
        "heavy = {'torch', 'transformers', 'llama_cpp', 'onnxruntime', 'onnxruntime_genai', "
        "'datasets', 'trl', 'peft', 'matplotlib', 'langfuse', 'qdrant_client', 'scipy', 'duckdb', "
        "'label_studio_sdk', 'httpx', 'sklearn', 'choix', 'datasketch', 'phonenumbers', "
        "'jsonschema_rs', 're2', 'unidiff', 'yaml'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_no_file_names_a_path_of_the_machine_that_made_it() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    home = str(Path.home())
    for name in filter(None, tracked):
        path = ROOT / name
        if path.suffix in BINARY or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        assert f"{home}/" not in text, name
        assert f"{ROOT}/" not in text, name
