"""Every payload of the corpus is held back, and those that can get out do so without a sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from asked_tools import settings_of
from escapes import CONTROLS, ESCAPES, MISUSES, NAMES, PRELUDE, Escape, Misuse
from outside import Outside, left_over

from workbench.approval import Decision, Grants, request
from workbench.errors import ApprovalError, InputError, ToolError
from workbench.sandbox import Ran, Root, confined, run, seccomp
from workbench.tools import Context, Registry, call, read_arguments

C_PRELUDE = "#include <stdio.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n"
BARE = [escape for escape in ESCAPES if escape.bare]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with Outside(tmp_path_factory.mktemp("escapes")) as outside:
        yield outside


@pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.name)
def test_held_back(escape: Escape, outside: Outside) -> None:
    folder = outside.folder(f"escape-{ESCAPES.index(escape)}")
    if escape.leaves:
        earlier = run(_left(escape, outside), folder=folder, write="folder")
        assert earlier.exit_code == 0, earlier
    try:
        ran = run(
            _command(escape, outside, folder, "python3"),
            folder=folder,
            write=escape.write,
            limits=escape.limits,
        )
    except InputError as error:  # it was not even begun, in a folder that was prepared for it
        if not escape.leaves:
            raise
        ran = Ran(0, f"refused: {error}", "", False, "exit", 0)
    output = ran.stdout + ran.stderr
    told = f"{escape.name} {escape.tries}: {ran.ended}, {output[-2000:]}"
    assert "ESCAPED" not in output, told
    assert outside.reached(output) == "", told
    assert ran.ended in escape.ended, told
    assert re.search(escape.says, output), told
    assert left_over(folder) == []
    assert not {path.name for path in folder.iterdir()} & {"late", "core"}
    _remove(folder)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_harmless_program_works(control: Escape, outside: Outside) -> None:
    folder = outside.folder(f"control-{CONTROLS.index(control)}")
    argv = _command(control, outside, folder, "python3")
    ran = run(argv, folder=folder, write=control.write, limits=control.limits)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert re.search(control.says, ran.stdout)


@pytest.mark.parametrize("escape", BARE, ids=lambda escape: escape.name)
def test_payload_gets_out_where_there_is_no_sandbox(escape: Escape, tmp_path: Path) -> None:
    with Outside(tmp_path) as outside:
        folder = outside.folder("folder")
        if escape.leaves:
            subprocess.run(_left(escape, outside), cwd=folder, check=True)
        done = subprocess.run(
            _command(escape, outside, folder, sys.executable),
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            close_fds=False,
            timeout=30,
        )
        assert "ESCAPED" in done.stdout or outside.reached(done.stdout), done


@pytest.mark.slow
def test_payloads_are_held_back_when_a_user_without_rights_runs_them(tmp_path: Path) -> None:
    """Root's tests alone would not show what is different for everybody else."""
    if os.getuid() != 0 or shutil.which("setpriv") is None or shutil.which("unshare") is None:
        pytest.skip("only root, with setpriv and unshare, can become another user")
    tests, checkout = Path(__file__), Path(__file__).parents[2]
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(checkout), "PATH": os.environ["PATH"]}
    pytest_line = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "held_back and not slow"]
    become = ["unshare", "--mount", "sh", "-euc", AS_USER, str(USER), sys.base_prefix]
    with TemporaryDirectory() as place:
        os.chown(place, USER, USER)
        (Path(place) / "aside").mkdir()
        python = [sys.executable, *pytest_line, f"--basetemp={place}/tests", str(tests)]
        done = subprocess.run(
            [*become, f"{place}/aside", *python],
            cwd=checkout,
            env=environment | {"WORKBENCH_ROOT": place, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert f"{len(ESCAPES)} passed" in done.stdout


USER = 61_234
AS_USER = """
user=$0 base=$1 aside=$2; shift 2
if ! setpriv --reuid=$user --regid=$user --clear-groups test -x "$base"; then
    top=/$(echo "$base" | cut -d/ -f2)
    mount --bind "$base" "$aside"
    mount -t tmpfs -o mode=755 tmpfs "$top"
    mkdir -p "$base"
    mount --bind "$aside" "$base"
fi
exec setpriv --reuid=$user --regid=$user --clear-groups "$@"
"""
"""In mounts of its own: an interpreter in a closed home is laid open to the user."""


@pytest.mark.parametrize("misuse", MISUSES, ids=lambda misuse: misuse.name)
def test_misuse_is_refused(misuse: Misuse, outside: Outside, tmp_path: Path) -> None:
    folder = outside.folder(f"misuse-{MISUSES.index(misuse)}")
    text = outside.filled(json.dumps(misuse.asked))
    grants = Grants(tmp_path / "grants.sqlite")
    context = Context(settings_of(tmp_path), folder)
    definition = Registry(context.settings).get(misuse.tool)
    asked = request(
        definition, read_arguments(definition, text), run="run", step=0, reason="", wait_s=60
    )
    with closing(grants):
        grants.ask(asked)
        approved = grants.decide(Decision(asked.digest, "approve", "person:anna")).grant
        assert approved is not None
        subprocess.run(["sh", "-c", misuse.meanwhile], cwd=folder, check=True)
        grant = replace(approved, **misuse.changed)
        told = ""
        for _ in range(misuse.times):
            assert told == "", "only the last time is refused"
            try:
                grants.use(grant)
                result = call(definition, grant.arguments, context)
            except (ApprovalError, ToolError) as error:
                told = f"refused: {error}"
            else:
                assert outside.reached(json.dumps(result)) == "", misuse.tries
    assert re.search(misuse.says, told), misuse.tries
    assert outside.reached(told) == ""
    assert not (folder / "mine").exists()
    assert (folder / "deep" / "mine").exists() == (misuse.times > 1)
    _remove(folder)


def test_an_approved_call_runs_where_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    with Outside(tmp_path) as outside:
        context = Context(settings_of(tmp_path), outside.folder("folder"))
        for misuse in MISUSES:
            if misuse.meanwhile or misuse.changed or misuse.times > 1:
                definition = Registry(context.settings).get(misuse.tool)
                call(definition, outside.filled(json.dumps(misuse.asked)), context)
                (context.workspace / "deep" / "mine").unlink(missing_ok=True)


def test_the_corpus_is_large_and_its_names_are_its_own() -> None:
    every = [*ESCAPES, *CONTROLS, *MISUSES]
    assert len(ESCAPES) + len(NAMES) >= 60
    assert len({escape.name for escape in every}) == len(every)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kernel", ["openat2", "openat"])
def test_name_is_refused(
    name: str, kernel: str, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernel == "openat":
        monkeypatch.setattr(confined, "_openat2", _old_kernel)
    folder = outside.folder(f"names-{tmp_path.name}")
    root = Root(folder)
    name = outside.filled(name)
    for use in (root.read, root.mode, lambda name: root.write(name, b"x"), root.list):
        with pytest.raises(InputError) as told:
            use(name)
        assert str(outside.place) not in str(told.value).replace(name, "")
    with suppress(InputError):
        assert not root.exists(name) or name == "hard"
    assert outside.reached() == ""
    _remove(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["openat2", "openat"])
def test_swapped_folder_leads_nowhere(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kernel == "openat":
        monkeypatch.setattr(confined, "_openat2", _old_kernel)
    done, refused = 0, 0
    with _swapping() as (folder, outside):
        root = Root(folder)
        for _ in range(2_000):
            for use in (_read_mine, _write_witness, _list, _delete_witness):
                try:
                    use(root)
                    done += 1
                except InputError:
                    refused += 1
        assert outside.reached() == ""
    assert done > 50
    assert refused > 50


def test_swapped_folder_leads_out_by_its_plain_name() -> None:
    """What the test above could see."""
    with _swapping() as (folder, outside):
        while True:
            with suppress(OSError):
                if (folder / "there" / "secret").read_text() == outside.secret:
                    break


@contextmanager
def _swapping() -> Iterator[tuple[Path, Outside]]:
    """A folder in which another process swaps `there` for a link to the folder outside."""
    # In memory where that can be: 4,000 files go through fsync.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(dir=place) as made, Outside(Path(made)) as outside:
        folder = outside.folder("folder")
        (folder / "there").mkdir()
        (folder / "there" / "secret").write_text("mine")
        with subprocess.Popen([sys.executable, "-c", SWAP], cwd=folder) as swapper:
            try:
                yield folder, outside
                assert swapper.poll() is None
            finally:
                swapper.kill()


SWAP = """
import ctypes
swap, here, exchange = ctypes.CDLL(None).renameat2, -100, 2
while swap(here, b"there", here, b"up", exchange) == 0: pass
"""
"""`up` is a link to the folder outside."""


def _read_mine(root: Root) -> None:
    assert root.read("there/secret") == b"mine"


def _write_witness(root: Root) -> None:
    root.write("there/witness", b"x")


def _list(root: Root) -> None:
    assert "there/socket" not in {entry.name for entry in root.list("there")}


def _delete_witness(root: Root) -> None:
    root.delete("there/witness")


def _old_kernel(*_: object) -> int:
    raise OSError(38, "Function not implemented")


def _left(escape: Escape, outside: Outside) -> list[str]:
    return ["sh", "-c", outside.filled(escape.leaves)]


def _command(escape: Escape, outside: Outside, folder: Path, interpreter: str) -> list[str]:
    payload = outside.filled(escape.payload)
    if escape.how == "shell":
        return ["sh", "-c", payload]
    if escape.how == "python":
        column, _ = seccomp.ARCHITECTURES[os.uname().machine]
        tables = {**seccomp.REFUSED, **seccomp.ABSENT, **seccomp.ASKED}
        numbers = {name: numbers[column] for name, numbers in tables.items() if numbers[column]}
        return [interpreter, "-c", PRELUDE.replace("@numbers@", repr(numbers)) + payload]
    if shutil.which("gcc") is None:
        pytest.skip("gcc compiles this payload")
    source = folder / "payload.c"
    source.write_text(C_PRELUDE + payload)
    done = subprocess.run(["gcc", source, "-o", folder / "payload", "-lutil"], capture_output=True)
    if done.returncode:
        pytest.skip(f"does not compile on this machine: {done.stderr[-200:]!r}")
    return ["./payload"]


def _remove(folder: Path) -> None:
    """With what a payload left: folders that are closed, or too deep for Python."""
    opened = ["-maxdepth", "1", "-type", "d", "-exec", "chmod", "u+rwx", "{}", ";"]
    subprocess.run(["find", folder, *opened], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["rm", "-rf", folder], check=True)
