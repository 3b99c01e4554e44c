"""Runs: the numbered notebooks in order, by papermill, each exported as HTML, resumable.

A run is a folder reports/NAME/ with run.json, the executed notebooks and their
HTML. A step counts as done when its notebook was executed to the end with the
same source, parameters, settings, package, prompts and documents, and from step
04 on the same judgements; anything else is executed again, and every step after
it. Inside a step, the journals and checkpoints of the rooms carry on where they
stopped. This module knows nothing about what the notebooks do.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import __version__, html
from workbench.adapters.files import sha256_code, sha256_file, sha256_folder
from workbench.errors import InputError, RunError
from workbench.journal import write_whole
from workbench.records import content_id, decode, encode
from workbench.session import INTERACTIVE, Session, check_name
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
    "08-agent",
    "09-report",
)

DEMO: Mapping[str, Any] = {
    "n_prompts": 28,
    "n_candidates": 3,
    "max_tokens": 24,
    "languages": "en",
    "strategy": "all",
    "test": 0.0,  # the verdict asks about topics that the dataset never saw
    "learning_rate": 2e-3,
    "epochs": 1,
    "batch_size": 4,
    "n_parity_prompts": 10,
    "n_heldout": 40,
}
"""Sizes of `workbench run` on two cores; the notebooks' own defaults are smaller still."""


JUDGED = "04-preferences"
"""The first step that reads judgements, by whichever door they came."""

SERVED = ("model_path", "runtime_backend")
"""Parameters of notebooks that are settings: a run takes them as settings."""


@dataclass(frozen=True)
class StepDone:
    """A notebook that was executed to its end, with all its parameters.

    `key` hashes its source, the parameters, the settings, the package, the prompts
    and documents, and the judgements where it reads them.
    """

    notebook: str
    key: str
    seconds: float
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What reports/NAME/run.json holds. Times are ISO 8601 in UTC.

    `parameters` are those that were given, `settings` are Settings.serving.
    """

    name: str
    started: str
    version: str
    parameters: dict[str, Any]
    settings: dict[str, Any]
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

    Without `name`, the newest unfinished run with the same parameters and
    settings is continued; if there is none, a new one begins, named by the time.
    Numbers may be given as text. Raises InputError for a parameter that no
    notebook takes or of the wrong type; RunError when a notebook fails, and
    when another process is at the same run.
    """
    out = out or sys.stdout
    if name is not None:
        check_name(name)
    if name == INTERACTIVE:
        raise InputError(
            f"{name!r} can't name a run: it is all that is opened by hand", "Take another name"
        )
    declared = {step: declared_parameters(settings.notebooks / f"{step}.ipynb") for step in steps}
    given = {**DEMO, **_typed(parameters or {}, declared)}
    check_parameters(given, declared, required=parameters or {})
    settings = settings.with_(**{n: v for n in SERVED if (v := given.pop(n, ""))})
    state = _begin(settings, given, name)
    with _alone(settings.reports / state.name):
        return _run(settings, state, declared, out)


def _run(
    settings: Settings,
    state: Run,
    declared: Mapping[str, Mapping[str, tuple[str, Any]]],
    out: Any,
) -> Path:
    """The steps of a run that has begun, from the first that isn't done."""
    folder = settings.reports / state.name
    done = {step.notebook: step for step in state.steps}
    read = (sha256_folder(settings.prompts), sha256_folder(settings.datasets / "knowledge"))
    inputs = (*read, sha256_code(), state.settings)
    print(f"Run {state.name}: {len(declared)} steps, reports/{state.name}/", file=out, flush=True)

    kept: list[StepDone] = []
    unbroken, judgements = True, ""
    for number, (step, own) in enumerate(declared.items(), start=1):
        parameters = {name: state.parameters.get(name, spec[1]) for name, spec in own.items()}
        parameters["run_name"] = state.name
        source = settings.notebooks / f"{step}.ipynb"
        source_sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        if step == JUDGED:
            judgements = _judgements(Session(step, state.name, 0, settings).ratings)
        key = content_id(source_sha256, parameters, *inputs, judgements)
        head = f"[{number}/{len(declared)}] {step}"
        unbroken = unbroken and step in done and done[step].key == key
        if unbroken:
            kept.append(done[step])
            print(f"{head}: done before ({done[step].seconds:.0f} s)", file=out, flush=True)
            continue
        print(head, file=out, flush=True)
        # From here on the step's files change: a run that is killed now must not look done.
        state = replace(state, steps=tuple(kept), finished=None)
        _save(folder, state)
        begun = time.monotonic()
        _execute(source, folder / f"{step}.ipynb", parameters, settings, out)
        html.export(folder / f"{step}.ipynb")
        seconds = time.monotonic() - begun
        kept.append(StepDone(step, key, round(seconds, 1), parameters))
        state = replace(state, steps=tuple(kept))
        _save(folder, state)
        print(f"{head}: {seconds:.0f} s", file=out, flush=True)

    state = replace(state, steps=tuple(kept), finished=state.finished or _now())
    _save(folder, state)
    return folder / "index.html"


def _judgements(journal: Path) -> str:
    """Hash of the journal as it is now; none yet is a state like any other."""
    return sha256_file(journal) if journal.exists() else ""


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


def _typed(
    parameters: Mapping[str, Any], declared: Mapping[str, Mapping[str, tuple[str, Any]]]
) -> dict[str, Any]:
    """Parameters given as text, in the type of the notebook's default where they have it."""
    defaults = {name: spec[1] for own in declared.values() for name, spec in own.items()}

    def typed(text: str, default: Any) -> Any:
        try:
            if isinstance(default, bool):
                return {"true": True, "false": False}[text.lower()]
            return type(default)(text)
        except (KeyError, ValueError):
            return text

    return {
        name: typed(value, defaults[name])
        if isinstance(value, str) and isinstance(defaults.get(name), (bool, int, float))
        else value
        for name, value in parameters.items()
    }


def _begin(settings: Settings, parameters: dict[str, Any], name: str | None) -> Run:
    """The run to continue, or a new one, saved."""
    reports, serving = settings.reports, settings.serving
    try:
        reports.mkdir(parents=True, exist_ok=True)
        if name is None:
            for state in _named_by_time(reports):
                same = state.parameters == parameters and state.settings == serving
                if state.finished is None and same:
                    return state
            name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        elif (reports / name / "run.json").is_file():
            return replace(load(reports / name), parameters=parameters, settings=serving)
        state = Run(name, _now(), __version__, parameters, serving)
        _save(reports / name, state)
        return state
    except OSError as error:
        raise InputError(
            f"{reports} can't be written ({error.strerror})", "Allow writing there"
        ) from error


def _named_by_time(reports: Path) -> Iterator[Run]:
    """The runs that were named by their time, the newest first; broken ones are left out."""
    for folder in sorted(reports.iterdir(), reverse=True):
        if re.fullmatch(r"\d{8}-\d{6}", folder.name):
            with suppress(InputError):
                yield load(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time in the folder of a run."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"The run {folder.name} is going on in another process",
            "Wait for its end, or begin another with --name NAME",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _execute(
    source: Path, target: Path, parameters: dict[str, Any], settings: Settings, out: Any
) -> None:
    """One notebook by papermill; what it says on stderr, its progress, goes to `out`, indented."""
    import logging

    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with _environment(**settings.environment, PYDEVD_DISABLE_FILE_VALIDATION="1"):
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
    except DeadKernelError:
        raise RunError(
            f"The kernel of step {source.stem} died, perhaps for want of memory",
            "Free some, or take smaller sizes; the same command continues from this step",
        ) from None
    except OSError as error:
        raise RunError(
            f"{error.filename or target} can't be written ({error.strerror or error})",
            "Allow writing there, or free some disk; the same command continues from this step",
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
    write_whole(folder / "run.json", encode(state))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
