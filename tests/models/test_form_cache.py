"""A form is made once, whole or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench import models
from workbench.errors import ConversionError, MissingLibrary
from workbench.models import forms

FINGERPRINT = "f" * 64
FORM = f"form.{forms.REVISION}"

SLOW_BUILD = """
import sys, time
from pathlib import Path
from workbench.models import forms

home, log = Path(sys.argv[1]), Path(sys.argv[2])

def build(folder):
    with open(log, "a") as file:
        file.write("built\\n")
    (folder / "half").write_text("1")
    time.sleep(float(sys.argv[3]))
    (folder / "whole").write_text("2")

print(forms.make(home, "f" * 64, "form", "a form", build))
"""


def start(home: Path, log: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_BUILD, str(home), str(log), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def left_behind(home: Path) -> list[str]:
    """What lies in the cache besides whole forms and locks."""
    folder = home / "models" / FINGERPRINT
    return [p.name for p in folder.iterdir() if not p.name.endswith(".lock") and p.name != FORM]


def test_two_processes_at_once_make_a_form_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [start(tmp_path, log, 1.0) for _ in range(3)]
    places = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(places) == 1
    assert log.read_text() == "built\n"
    assert sorted(p.name for p in Path(places.pop()).iterdir()) == ["half", "whole"]


def test_killed_conversion_is_made_again_and_its_rest_removed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(tmp_path, log, 60)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("models/*/.form*.partial/half")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left_behind(tmp_path)
    assert not (tmp_path / "models" / FINGERPRINT / FORM).exists()

    made = forms.make(
        tmp_path, FINGERPRINT, "form", "a form", lambda f: (f / "whole").touch() or None
    )
    assert [p.name for p in made.iterdir()] == ["whole"]
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("failure", "expected", "match"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ConversionError, "is full"),
        (RuntimeError("I/O error: No space left on device"), ConversionError, "is full"),
        (ImportError("no", name="gguf"), MissingLibrary, "gguf"),
        (MemoryError(), ConversionError, "memory ran out"),
        (KeyError("weight"), ConversionError, "KeyError"),
    ],
)
def test_failure_is_named_and_leaves_nothing(
    tmp_path: Path, failure: Exception, expected: type[Exception], match: str
) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise failure

    with pytest.raises(expected, match=match):
        forms.make(tmp_path, FINGERPRINT, "form", "a form", build)
    assert left_behind(tmp_path) == []
    assert not (tmp_path / "models" / FINGERPRINT / FORM).exists()


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forms.make(tmp_path, FINGERPRINT, "form", "a form", build)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("place", ["file", "/proc/workbench"])
def test_home_that_can_not_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / place
    with pytest.raises(ConversionError, match="WORKBENCH_HOME"):
        forms.make(home, FINGERPRINT, "form", "a form", lambda folder: None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_home_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    with pytest.raises(ConversionError, match="WORKBENCH_HOME"):
        forms.make(home, FINGERPRINT, "form", "a form", lambda folder: None)


def test_made_form_is_used_from_a_read_only_home(tiny_llama: Path, tmp_path: Path) -> None:
    model = models.find(str(tiny_llama), tmp_path)
    made = models.gguf(model, tmp_path)
    folder = made.parent.parent
    folder.chmod(0o555)
    try:
        assert models.gguf(model, tmp_path) == made
    finally:
        folder.chmod(0o755)


def test_unknown_architecture_is_refused_by_every_form(tiny_llama: Path, tmp_path: Path) -> None:
    import json
    import shutil

    copy = Path(shutil.copytree(tiny_llama, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "mistral"}))
    model = models.find(str(copy), tmp_path)
    with pytest.raises(ConversionError, match="architecture 'mistral'"):
        models.gguf(model, tmp_path)
    with pytest.raises(ConversionError, match="architecture 'mistral'"):
        models.onnx(model, tmp_path, precision="fp32")
    assert list(tmp_path.glob("models/*/[!.]*")) == []


def test_fp16_on_a_cpu_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    model = models.find(str(tiny_llama), tmp_path)
    with pytest.raises(ConversionError, match="fp16 does not run on a CPU"):
        models.onnx(model, tmp_path, precision="fp16")


def test_edited_configuration_makes_another_form(tiny_llama: Path, tmp_path: Path) -> None:
    import json
    import shutil

    copy = Path(shutil.copytree(tiny_llama, tmp_path / "copy"))
    first = models.gguf(models.find(str(copy), tmp_path), tmp_path)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 512}))
    second = models.gguf(models.find(str(copy), tmp_path), tmp_path)
    assert models.dimensions(first).context == 2048
    assert models.dimensions(second).context == 512


def test_damaged_weights_end_in_one_line(tiny_llama: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(tiny_llama, tmp_path / "copy"))
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    model = models.find(str(copy), tmp_path)
    for make in (models.gguf, lambda m, h: models.onnx(m, h, precision="fp32")):
        with pytest.raises(ConversionError) as caught:
            make(model, tmp_path)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("models/*/[!.]*")) == []


def test_progress_says_what_and_how_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(folder: Path) -> None:
        with forms.quiet():
            print("noise")

    forms.make(tmp_path, FINGERPRINT, "form", "a form", build)
    said = capsys.readouterr()
    assert said.out == ""
    assert "making a form" in said.err
    assert "made a form in" in said.err
    assert "noise" not in said.err
