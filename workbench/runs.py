"""Runs: the numbered notebooks in order, by papermill, each exported as HTML, resumable.

A run is a folder reports/NAME/ with run.json, the executed notebooks and their
HTML. A step counts as done when its notebook was executed to the end with the
same source and the same parameters; anything else is executed again, and every
step after it. Inside a step, the journals and checkpoints of the rooms carry on
where they stopped. This module knows nothing about what the notebooks do.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import __version__, html
from workbench.errors import InputError, RunError
from workbench.journal import write_atomically
from workbench.records import content_id, decode, encode
from workbench.settings import Settings

STEPS = (
    "00-environment",
    "01-compare-backends",
    "02-candidates",
    "03-rank",
    "04-preferences",
    "05-train",
    "06-adapter",
    "07-verdict",
    "08-report",
)

DEMO: Mapping[str, Any] = {
    "n_prompts": 58,
    "n_candidates": 4,
    "max_tokens": 24,
    "languages": "en",
    "test": 0.0,  # the verdict asks about topics that the dataset never saw
    "learning_rate": 2e-3,
    "epochs": 1,
    "batch_size": 4,
    "n_parity_prompts": 10,
    "n_heldout": 40,
}
"""Sizes of `workbench run` on two cores; the notebooks' own defaults are smaller still."""


@dataclass(frozen=True)
class StepDone:
    """A notebook that was executed to its end. `key` hashes its source and parameters."""

    notebook: str
    key: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """What reports/NAME/run.json holds. Times are ISO 8601 in UTC."""

    name: str
    started: str
    version: str
    parameters: dict[str, Any]
    steps: tuple[StepDone, ...] = ()
    finished: str | None = None


def run(
    settings: Settings,
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    steps: Sequence[str] = STEPS,
    out: io.TextIOBase | Any = None,
) -> Path:
    """Execute the notebooks and return the path of the report's index.html.

    Without `name`, the newest unfinished run with the same parameters is
    continued; if there is none, a new one begins. Raises InputError for a
    parameter that no notebook takes or of the wrong type, RunError when a
    notebook fails.
    """
    out = out or sys.stdout
    given = {**DEMO, **(parameters or {})}
    declared = {step: declared_parameters(settings.notebooks / f"{step}.ipynb") for step in steps}
    check_parameters(given, declared, required=parameters or {})
    state = _begin(settings.reports, given, name)
    folder = settings.reports / state.name
    done = {step.notebook: step for step in state.steps}
    print(f"Run {state.name}: {len(steps)} steps, reports/{state.name}/", file=out, flush=True)

    kept: list[StepDone] = []
    unbroken = True
    for number, step in enumerate(steps, start=1):
        own = {k: v for k, v in given.items() if k in declared[step]} | {"run_name": state.name}
        source = settings.notebooks / f"{step}.ipynb"
        key = content_id(hashlib.sha256(source.read_bytes()).hexdigest(), own)
        head = f"[{number}/{len(steps)}] {step}"
        unbroken = unbroken and step in done and done[step].key == key
        if unbroken:
            kept.append(done[step])
            print(f"{head}: done before ({done[step].seconds:.0f} s)", file=out, flush=True)
            continue
        print(head, file=out, flush=True)
        begun = time.monotonic()
        _execute(source, folder / f"{step}.ipynb", own, settings, out)
        html.export(folder / f"{step}.ipynb")
        seconds = time.monotonic() - begun
        kept.append(StepDone(step, key, round(seconds, 1)))
        state = replace(state, steps=tuple(kept))
        _save(folder, state)
        print(f"{head}: {seconds:.0f} s", file=out, flush=True)

    state = replace(state, finished=state.finished or _now())
    _save(folder, state)
    return folder / "index.html"


def load(folder: Path) -> Run:
    """The run of a report folder. Raises InputError where run.json is missing or broken."""
    path = folder / "run.json"
    try:
        return decode(path.read_bytes(), Run)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a run ({error})", "Name a folder made by `workbench run`"
        ) from None


def declared_parameters(notebook: Path) -> dict[str, tuple[str, Any]]:
    """The parameters of a notebook: name -> (type name, default).

    Raises InputError where the notebook is missing.
    """
    import ast

    import nbformat
    import papermill

    if not notebook.is_file():
        raise InputError(f"There is no notebook {notebook.name}", "Check out the whole project")
    inspected = papermill.inspect_notebook(nbformat.read(notebook, as_version=4))
    return {
        p["name"]: (p["inferred_type_name"], ast.literal_eval(p["default"]))
        for p in inspected.values()
    }


def check_parameters(
    given: Mapping[str, Any],
    declared: Mapping[str, Mapping[str, tuple[str, Any]]],
    required: Mapping[str, Any],
) -> None:
    """Refuse what papermill would accept silently: unknown names and wrong types."""
    known = {name: spec for parameters in declared.values() for name, spec in parameters.items()}
    for name in required:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise InputError(
                f"No notebook has a parameter {name!r}",
                f"{hint}Known are {', '.join(sorted(set(known) - {'run_name'}))}",
            )
        if name == "run_name":
            raise InputError("The parameter run_name is set by the runner", "Use --name")
    for name, value in given.items():
        if name not in known:
            continue
        kind, default = known[name]
        fits = (
            isinstance(value, (int, float))
            if isinstance(default, float)
            else isinstance(value, type(default))
        )
        if not fits or (isinstance(value, bool) and not isinstance(default, bool)):
            raise InputError(
                f"Parameter {name} is {value!r}", f"Give a value of type {kind}, like {default!r}"
            )


def _begin(reports: Path, parameters: dict[str, Any], name: str | None) -> Run:
    """The run to continue, or a new one, saved."""
    try:
        reports.mkdir(parents=True, exist_ok=True)
        if name is None:
            for folder in sorted(reports.iterdir(), reverse=True):
                if not (folder / "run.json").is_file():
                    continue
                state = load(folder)
                if state.finished is None and state.parameters == parameters:
                    return state
            name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        elif (reports / name / "run.json").is_file():
            return replace(load(reports / name), parameters=parameters, finished=None)
        state = Run(name, _now(), __version__, parameters)
        _save(reports / name, state)
        return state
    except OSError as error:
        raise InputError(
            f"{reports} can't be written ({error.strerror})", "Allow writing there"
        ) from error


def _execute(
    source: Path, target: Path, parameters: dict[str, Any], settings: Settings, out: Any
) -> None:
    """One notebook by papermill; what it says on stderr, its progress, goes to `out`, indented."""
    import logging

    import papermill
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with _environment(WORKBENCH_ROOT=str(settings.root), PYDEVD_DISABLE_FILE_VALIDATION="1"):
            papermill.execute_notebook(
                source,
                target,
                parameters=parameters,
                kernel_name="python3",
                cwd=str(settings.notebooks),
                progress_bar=False,
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
                stderr_file=_Indented(out),
            )
    except PapermillExecutionError as error:
        from workbench import errors

        where = f"{target.parent.name}/{target.name}"
        known = getattr(errors, error.ename, None)
        what = error.evalue if known else f"{error.ename}: {error.evalue}"
        raise RunError(
            f"Step {source.stem} failed: {' '.join(str(what).split())}",
            f"See reports/{where}; the same command continues from this step",
        ) from None


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Variables for the kernels that are started meanwhile; afterwards all is as before."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Indented(io.TextIOBase):
    """Lines of a notebook under the heading of their step."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._at_line_start = True

    def write(self, text: str) -> int:
        for piece in text.replace("\r", "\n").splitlines(keepends=True):
            if self._at_line_start and piece.strip():
                self._out.write("      ")
            self._out.write(piece)
            self._at_line_start = piece.endswith("\n")
        self._out.flush()
        return len(text)


def _save(folder: Path, state: Run) -> None:
    write_atomically(folder / "run.json", lambda p: _write_text(p, encode(state).decode()))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
