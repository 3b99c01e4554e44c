"""Settings come from the environment and .env, and wrong ones are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.errors import SettingsError
from workbench.settings import Settings, find_root
from workbench.tracing import Tracer

ROOT = Path(__file__).resolve().parent.parent


def test_defaults_are_the_embedded_model_on_llama_cpp(tmp_path: Path) -> None:
    settings = Settings.load({}, root=tmp_path)
    assert (settings.model_path, settings.runtime_backend) == ("embedded", "llama.cpp")
    assert settings.threads >= 1


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RUNTIME_BACKEND=onnx\nN_CTX=512\nLORA_PATHS=a/*, b\n")
    settings = Settings.load({"N_CTX": "1024"}, root=tmp_path)
    assert settings.runtime_backend == "onnx"
    assert settings.n_ctx == 1024
    assert settings.lora_paths == ("a/*", "b")


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("RUNTIME_BACKEND", "vllm2", "llama.cpp, onnx, torch"),
        ("N_CTX", "many", "a whole number"),
        ("N_CTX", "-1", "0 or more"),
        ("USE_MMAP", "maybe", "true or false"),
        ("ONNX_PRECISION", "int2", "int4, int8, fp32, fp16"),
    ],
)
def test_wrong_value_names_variable_and_remedy(
    tmp_path: Path, name: str, value: str, remedy: str
) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        Settings.load({name: value}, root=tmp_path)
    assert remedy in str(raised.value)


def test_all_layers_on_the_gpu_is_minus_one(tmp_path: Path) -> None:
    assert Settings.load({"N_GPU_LAYERS": "-1"}, root=tmp_path).n_gpu_layers == -1


def test_unknown_setting_in_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="modelpath"):
        Settings.load({}, root=tmp_path).with_(modelpath="x")


@pytest.mark.parametrize("name", ["LANGFUSE_BASE_URL", "LABEL_STUDIO_URL"])
@pytest.mark.parametrize(
    "address", ["http://u:pw-7@host:3000", "http://u:pw-7/x@host", "u:pw-7@host"]
)
def test_an_address_with_a_password_is_refused_without_repeating_it(
    tmp_path: Path, name: str, address: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name} holds an @") as caught:
        Settings.load({name: address}, root=tmp_path)
    assert "pw-7" not in str(caught.value)


def test_what_must_not_be_shown_is_known_to_whoever_writes(tmp_path: Path) -> None:
    address = "postgresql://anna:pw-7@db/plant"
    given = {
        "LANGFUSE_SECRET_KEY": "sk-very-secret",
        "DATABASES": f"plant={address},local=sqlite:a",
    }
    settings = Settings.load(given, root=tmp_path)
    assert set(settings.secrets) == {
        "sk-very-secret",
        f"plant={address}",
        address,
        "local=sqlite:a",
        "sqlite:a",
    }
    tracer = Tracer(tmp_path / "spans.jsonl", settings.with_(langfuse_secret_key=""))
    with tracer.span("tool", "query", input=f"asks {address}") as span:
        span.finish(output=f"plant={address} failed")
    assert "pw-7" not in (tmp_path / "spans.jsonl").read_text()


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    settings = Settings.load({"LANGFUSE_SECRET_KEY": "sk-very-secret"}, root=tmp_path)
    assert settings.langfuse_secret_key == "sk-very-secret"
    assert "very-secret" not in repr(settings)


def test_root_is_found_from_a_folder_inside(monkeypatch) -> None:
    monkeypatch.chdir(ROOT / "notebooks")
    assert find_root({}) == ROOT


def test_every_setting_is_in_the_example() -> None:
    from dataclasses import fields

    example = (ROOT / ".env.example").read_text()
    names = {f.name.upper() for f in fields(Settings)} - {"ROOT", "HOME"} | {"WORKBENCH_HOME"}
    assert {n for n in names if f"\n{n}=" not in example} == set()


def test_the_example_parses_to_the_defaults(tmp_path: Path) -> None:
    bare = Settings.load({}, root=tmp_path)
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text())
    assert Settings.load({}, root=tmp_path) == bare


def test_relative_paths_are_the_projects(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mine.gguf").write_text("")
    monkeypatch.chdir("/")
    settings = Settings.load({"MODEL_PATH": "mine.gguf", "WORKBENCH_HOME": "cache"}, root=tmp_path)
    assert settings.model_path == str(tmp_path / "mine.gguf")
    assert settings.home == tmp_path / "cache"
    assert settings.with_(model_path="Qwen/Qwen3-8B").model_path == "Qwen/Qwen3-8B"


def test_other_processes_get_the_same_settings(tmp_path: Path) -> None:
    given = {"N_CTX": "512", "USE_MMAP": "no", "LORA_PATHS": "a/*,b", "ONNX_PRECISION": "int4"}
    settings = Settings.load({**given, "LANGFUSE_SECRET_KEY": "sk-very-secret"}, root=tmp_path)
    handed_on = settings.environment
    assert "very-secret" not in str(handed_on)
    (tmp_path / ".env").write_text("ONNX_PROVIDER=cuda\nN_CTX=1\n")
    assert Settings.load(handed_on) == replace(settings, langfuse_secret_key="")
