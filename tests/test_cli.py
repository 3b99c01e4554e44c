"""The command line prints one line and a non-zero code for what the user can mend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from workbench.cli import main

ROOT = Path(__file__).resolve().parent.parent


def _workbench(*arguments: str, **environ: str) -> Result:
    return CliRunner(env={"WORKBENCH_ROOT": str(ROOT), **environ}).invoke(main, arguments)


def test_a_mistake_leaves_a_process_with_one_line_and_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "run", "-p", "n_promts", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_help_names_the_commands() -> None:
    result = _workbench("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in ("run", "verify", "doctor"))


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        (("run", "-p", "n_promts", "3"), {}, "Did you mean n_prompts"),
        (("run", "-p", "n_prompts", "many"), {}, "Parameter n_prompts is 'many'"),
        (("run", "-p", "learning_rate", "*"), {}, "Parameter learning_rate is '*'"),
        (("run", "--name", "../elsewhere"), {}, "can't name a run"),
        (("run", "--name", "notebook"), {}, "can't name a run"),
        (("run",), {"RUNTIME_BACKEND": "gpu"}, "RUNTIME_BACKEND is 'gpu'"),
        (("verify", "nowhere"), {}, "nowhere"),
        (("doctor",), {"MODEL_PATH": "missing.gguf"}, "missing.gguf"),
    ],
)
def test_mistakes_are_one_line_with_a_remedy(
    arguments: tuple[str, ...], environ: dict[str, str], expected: str
) -> None:
    result = _workbench(*arguments, **environ)
    assert result.exit_code == 2
    assert expected in result.output
    assert isinstance(result.exception, SystemExit)
    assert len(result.stderr.strip().splitlines()) <= 1


def test_a_read_only_reports_folder_is_one_line(tmp_path: Path) -> None:
    for folder in ("notebooks", "datasets"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "reports").write_text("a file where a folder should be")
    result = _workbench("run", WORKBENCH_ROOT=str(tmp_path))
    assert result.exit_code == 2
    assert "can't be written" in result.stderr
