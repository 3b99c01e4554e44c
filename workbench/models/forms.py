"""The cache of a model's other forms: made once, whole or not at all.

    home/models/FINGERPRINT/FORM.REVISION/

A form is built in a neighbour of its place and renamed when it is whole, so a
killed conversion is never used; the next attempt removes what it left. A lock
keeps two processes from making the same form twice. It knows nothing about
what is in a form. The lock does not reach across machines that share a home by
a network file system without locks.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.errors import ConversionError, MissingLibrary, WorkbenchError

REVISION = 2
"""Raised when a form changes, so that those of earlier versions are not used again."""

_HEARTBEAT_S = 20.0


def progress(text: str) -> None:
    """One line for the person who waits, to stderr."""
    print(f"[models] {text}", file=sys.stderr, flush=True)


def make(home: Path, fingerprint: str, form: str, what: str, build: Callable[[Path], None]) -> Path:
    """The folder of a form, built by `build(folder)` if it isn't there yet.

    `what` says it for people, such as "SmolLM2 as ONNX int8". Whatever goes
    wrong, nothing half-made stays. Raises ConversionError or MissingLibrary.
    """
    from filelock import FileLock

    place = home / "models" / fingerprint / f"{form}.{REVISION}"
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.parent / f".{place.name}.lock"):
            if not place.is_dir():
                _build(place, what, build)
    except OSError as error:
        raise _unwritable(error, what, place) from error
    return place


def _build(place: Path, what: str, build: Callable[[Path], None]) -> None:
    # Whoever holds the lock is alone: other neighbours were left by killed processes.
    for left in place.parent.glob(f".{place.name}.*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    partial.mkdir()
    try:
        with _timed(what):
            build(partial)
        _sync(partial)
        os.replace(partial, place)
    except (WorkbenchError, OSError):
        raise
    except ImportError as error:
        raise MissingLibrary(error.name or str(error), f"Making {what}") from error
    except MemoryError as error:
        raise ConversionError(
            f"{what} could not be made: memory ran out",
            "Close other programs, or take a smaller model",
        ) from error
    except Exception as error:
        if "no space left" in str(error).lower():  # safetensors and torch hide the errno
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(
            f"{what} could not be made ({type(error).__name__}: {reason})",
            "Check that the model is whole and of a supported architecture (Llama, Qwen2, Qwen3)",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Force a folder's files to disk, so that a power cut can't leave a named but empty form."""
    for file in folder.rglob("*"):
        if file.is_file():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())


def _unwritable(error: OSError, what: str, place: Path) -> ConversionError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConversionError(
            f"{what} could not be made: the disk of {place.parent.parent} is full",
            "Free some space, or set WORKBENCH_HOME to a folder on another disk",
        )
    return ConversionError(
        f"{what} could not be made: {error.filename or place.parent} ({error.strerror or error})",
        "Set WORKBENCH_HOME to a folder that you may write to",
    )


@contextlib.contextmanager
def _timed(what: str) -> Iterator[None]:
    """Say when it starts, that it goes on, and how long it took."""
    start, stderr, done = time.monotonic(), sys.stderr, threading.Event()

    def beat() -> None:
        while not done.wait(_HEARTBEAT_S):
            print(f"[models]   ... {time.monotonic() - start:.0f} s", file=stderr, flush=True)

    progress(f"making {what}")
    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join()
    progress(f"made {what} in {time.monotonic() - start:.1f} s")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow what libraries print, bars in notebooks too; what they raise still comes through."""
    from transformers.utils import logging

    # In a notebook a bar is a widget, which no redirection catches.
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
