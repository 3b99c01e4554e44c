"""Programs run under limits, or not at all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from examples import STRANGE_TEXTS
from outside import left_over

from workbench.errors import InputError, SandboxError
from workbench.sandbox import Limits, available, bubblewrap, run, seccomp, why_unavailable

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def test_exit_code_and_both_streams_are_told(tmp_path: Path) -> None:
    ran = run(["sh", "-c", "echo out; echo err >&2; exit 3"], folder=tmp_path)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (3, "out\n", "err\n")
    assert (ran.ended, ran.truncated) == ("exit", False)


def test_signal_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    ran = run(["sh", "-c", "kill -SEGV $$"], folder=tmp_path)
    assert (ran.exit_code, ran.ended) == (139, "signal")


@pytest.mark.parametrize(
    ("code", "ended"), [(128, "exit"), (192, "signal"), (193, "exit"), (255, "exit")]
)
def test_codes_beyond_those_of_signals_are_a_programs_own(
    code: int, ended: str, tmp_path: Path
) -> None:
    ran = run(["sh", "-c", f"exit {code}"], folder=tmp_path)
    assert (ran.exit_code, ran.ended) == (code, ended)


def test_program_that_is_not_there_ends_with_127(tmp_path: Path) -> None:
    ran = run(["no-such-program"], folder=tmp_path)
    assert (ran.exit_code, ran.ended) == (127, "exit")
    assert "no-such-program: not found" in ran.stderr


@pytest.mark.parametrize("text", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS)
def test_strange_texts_pass_through_stdin_and_the_folder(text: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(text.encode())
    limits = Limits(output_bytes=1_000_000)
    ran = run(["sh", "-c", "cat; cat text >&2"], folder=tmp_path, stdin=text, limits=limits)
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda c: f"\\x{ord(c[0]):02x}", text)
    assert ran.stdout == ran.stderr == shown
    assert not ran.truncated


def test_cut_of_the_output_is_stated_and_head_and_tail_are_kept(tmp_path: Path) -> None:
    program = "print('first'); print('слово ' * 20_000); print('last')"
    ran = run(["python3", "-c", program], folder=tmp_path, limits=Limits(output_bytes=1_000))
    assert ran.truncated
    assert ran.exit_code == 0
    assert ran.stdout.startswith("first\nслово")
    assert ran.stdout.endswith("слово \nlast\n")
    assert "\ufffd" not in ran.stdout
    head, cut, tail = re.split(r"\n\[\.\.\. ([\d,]+) bytes left out \.\.\.\]\n", ran.stdout)
    whole = len(b"first\nlast\n\n") + 20_000 * len("слово ".encode())
    assert len((head + tail).encode()) + int(cut.replace(",", "")) == whole
    assert len((head + tail).encode()) <= 1_000


def test_long_stdout_leaves_room_for_stderr(tmp_path: Path) -> None:
    program = "import sys; print('o' * 9_000); print('e' * 100, file=sys.stderr)"
    ran = run(["python3", "-c", program], folder=tmp_path, limits=Limits(output_bytes=1_000))
    assert ran.stderr == "e" * 100 + "\n"
    kept = re.sub(r"\n\[.*\]\n", "", ran.stdout)
    assert 1_000 - 101 - 1 <= len(kept) <= 1_000 - 101


def test_time_is_limited_and_what_was_said_is_kept(tmp_path: Path) -> None:
    ran = run(["sh", "-c", "echo said; sleep 60"], folder=tmp_path, limits=Limits(seconds=0.3))
    assert (ran.ended, ran.exit_code, ran.stdout) == ("timeout", None, "said\n")
    assert ran.seconds >= 0.3
    assert left_over(tmp_path) == []


def test_several_runs_at_once_keep_apart(tmp_path: Path) -> None:
    def one(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        command = f"echo {number} > mine; sleep 0.1; cat *"
        return run(["sh", "-c", command], folder=folder, write="folder").stdout

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [f"{number}\n" for number in range(16)]


def test_folder_is_writable_only_when_asked(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo x > new"]
    assert run(command, folder=tmp_path).exit_code != 0
    assert not (tmp_path / "new").exists()
    assert run(command, folder=tmp_path, write="folder").exit_code == 0
    assert (tmp_path / "new").read_text() == "x\n"


@pytest.mark.parametrize(
    "command",
    [
        "echo '#!/bin/sh' > .git/hooks/pre-commit",
        "echo x >> .git/config",
        "rm -r .git && mkdir .git",
        "mv .git moved && mkdir .git",
        "mkdir new && mv -T new .git",
        "ln -s /tmp .git/hooks/late",
        "ln .git/config linked && echo x >> linked",
        "chmod -R 777 .git && echo x >> .git/config",
        "git config core.fsmonitor ./payload",
        "umount .git; echo x >> .git/config",
    ],
)
def test_repository_of_a_writable_folder_stays_as_it_is(tmp_path: Path, command: str) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)

    def repository() -> dict[Path, tuple[int, bytes]]:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mode, path.read_bytes()) for path in files}

    before = repository()
    assert run(["sh", "-ec", command], folder=tmp_path, write="folder").exit_code != 0
    assert {path: was for path, was in repository().items() if ".git" in path.parts} == before


def test_repository_is_writable_only_when_asked(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    command = ["git", "-c", "safe.directory=*", "config", "some.key", "value"]
    assert run(command, folder=tmp_path, write="folder").exit_code != 0
    assert run(command, folder=tmp_path, write="repository").exit_code == 0
    assert "key = value" in (tmp_path / ".git" / "config").read_text()


def test_repository_that_is_named_by_a_file_stays_as_it_is(tmp_path: Path) -> None:
    """So it is in a worktree of git."""
    (tmp_path / ".git").write_text("gitdir: /elsewhere\n")
    for command in ("echo x >> .git", "rm .git", "mv .git moved", "ln -sf ../dev .git"):
        assert run(["sh", "-c", command], folder=tmp_path, write="folder").exit_code != 0
    ran = run(["sh", "-c", "cat .git; echo x > new"], folder=tmp_path, write="folder")
    assert (ran.exit_code, ran.stdout) == (0, "gitdir: /elsewhere\n")
    assert (tmp_path / ".git").read_text() == "gitdir: /elsewhere\n"


@pytest.mark.parametrize("target", ["../dev", "inner", "none", ".git", "/"])
def test_repository_that_is_a_link_is_refused_where_the_folder_is_written(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / ".git").symlink_to(target)
    with pytest.raises(InputError, match=r"\.git in the folder is a link.*Remove it"):
        run(["true"], folder=tmp_path, write="folder")
    assert run(["true"], folder=tmp_path).exit_code == 0
    assert run(["rm", ".git"], folder=tmp_path, write="repository").exit_code == 0
    assert run(["true"], folder=tmp_path, write="folder").exit_code == 0


def test_readable_folders_are_there_and_read_only(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("data")
    command = f"cat {tmp_path}/data/x; echo y > {tmp_path}/data/x"
    ran = run(["sh", "-c", command], folder=tmp_path / "work", readable=[tmp_path / "data"])
    assert ran.stdout == "data"
    assert ran.exit_code != 0
    assert (tmp_path / "data" / "x").read_text() == "data"


def test_environment_is_the_same_wherever_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("LD_PRELOAD_X", "secret")
    program = "import os; print(os.getcwd(), *sorted(os.environ))"
    ran = run(["python3", "-c", program], folder=tmp_path)
    place, *names = ran.stdout.split()
    assert place == "/work"
    assert set(names) - {"SHLVL", "_"} == {"HOME", "LANG", "PATH", "PWD"}  # of some shells


def test_python_is_the_one_that_runs_us(tmp_path: Path) -> None:
    program = "import sys, pytest; print(sys.version, pytest.__version__)"
    ran = run(["python3", "-c", program], folder=tmp_path)
    assert ran.stdout == f"{sys.version} {pytest.__version__}\n"


@pytest.mark.parametrize(
    "argv", [[], [""], ["-c"], ["echo", "a\0b"], ["echo", "\udfff"], ["echo", "x" * 200_000]]
)
def test_arguments_that_no_program_can_have_are_refused(argv: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        run(argv, folder=tmp_path)


@pytest.mark.parametrize("folder", ["/", "/no/such/folder", "/etc/passwd"])
def test_folder_that_can_not_be_used_is_refused(folder: str) -> None:
    with pytest.raises(InputError, match="folder"):
        run(["true"], folder=Path(folder))


@pytest.mark.parametrize("readable", ["/no/such/folder", "/proc/self", "/"])
def test_readable_path_that_can_not_be_used_is_refused(readable: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="readable"):
        run(["true"], folder=tmp_path, readable=[Path(readable)])


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "10"])
def test_limit_that_is_no_positive_number_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="seconds"):
        Limits(seconds=value)
    with pytest.raises(InputError, match="disk_mb"):
        Limits(disk_mb=1.5)  # type: ignore[arg-type]


def test_without_bwrap_nothing_runs_and_the_install_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert available()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt install bubblewrap") as told:
        run(["touch", "x"], folder=tmp_path, write="folder")
    assert "dnf install" in str(told.value)
    assert "pacman -S" in str(told.value)
    assert not available()
    assert str(why_unavailable()) == str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_without_user_namespaces_nothing_runs_and_the_setting_is_told(tmp_path: Path) -> None:
    """In a namespace of its own, where the setting can be changed without harm."""
    program = "from workbench.sandbox import why_unavailable; print(why_unavailable())"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", OFF, "sh", sys.executable, program],
        capture_output=True,
        text=True,
    )
    if "Permission denied" in done.stderr:
        pytest.skip("the setting can't be changed here")
    assert "Nothing was run" in done.stdout
    assert "sysctl -w user.max_user_namespaces" in done.stdout


OFF = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$1" -c "$2"'


def test_bwrap_that_fails_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bwrap without the right to make namespaces: its own words are passed on."""
    broken = tmp_path / "bin" / "bwrap"
    broken.parent.mkdir()
    broken.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    with pytest.raises(SandboxError, match="No permissions to create new namespace"):
        run(["true"], folder=tmp_path)


def test_killed_caller_leaves_no_program_behind(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from workbench.sandbox import run\n"
        "run(['sh', '-c', 'touch started; sleep 600'], folder=pathlib.Path(sys.argv[1]),"
        " write='folder')"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) as caller:
        _until(lambda: (tmp_path / "started").exists())
        assert left_over(tmp_path) != []
        caller.send_signal(signal.SIGKILL)
    _until(lambda: left_over(tmp_path) == [])


def test_caller_killed_before_the_start_starts_nothing(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from workbench.sandbox import execution\n"
        "execution._attend = lambda *_: os.kill(os.getpid(), 9)\n"
        "execution.run(['touch', 'started'], folder=pathlib.Path(sys.argv[1]), write='folder')"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert done.returncode == -9
    _until(lambda: left_over(tmp_path) == [])
    assert list(tmp_path.iterdir()) == []


def test_interrupt_ends_the_program(tmp_path: Path) -> None:
    def interrupt() -> None:
        _until(lambda: (tmp_path / "started").exists())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", "touch started; sleep 600"], folder=tmp_path, write="folder")
    thread.join()
    assert left_over(tmp_path) == []


def test_fork_bomb_is_ended_while_it_is_small(tmp_path: Path) -> None:
    """Root has no limit on processes in the kernel: how many there were, by their numbers."""
    before = _last_process()
    bomb = ["python3", "-c", "import os\nwhile True: os.fork()"]
    assert run(bomb, folder=tmp_path, limits=Limits(processes=16)).ended == "processes"
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert (_last_process() - before) % most < 3_000


def _last_process() -> int:
    return int(Path("/proc/loadavg").read_text().split()[-1])


def test_descriptors_of_the_caller_are_closed_after_a_run(tmp_path: Path) -> None:
    run(["true"], folder=tmp_path)
    before = sorted(os.listdir("/proc/self/fd"))
    for limits in (Limits(), Limits(seconds=0.05)):
        run(["sleep", "0.1"], folder=tmp_path, write="folder", limits=limits)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_of_system_calls_are_those_of_the_kernel(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    numbers = {name: int(number) for name, number in defined}
    column, _ = seccomp.ARCHITECTURES[machine]
    modes = {name: found for name, (found, _, _) in seccomp.MODES.items()}
    for name, found in {**seccomp.REFUSED, **seccomp.ABSENT, **seccomp.ASKED, **modes}.items():
        # Headers may be older than the table, and then lack a call.
        assert numbers.get(name, found[column]) == found[column], name


def test_machine_without_a_filter_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seccomp.program("riscv64") is None
    monkeypatch.setattr(seccomp, "ARCHITECTURES", {})
    monkeypatch.setattr(seccomp.program, "__defaults__", ("riscv64",))
    with pytest.raises(SandboxError, match="can't be filtered"):
        run(["true"], folder=tmp_path)


def test_interpreter_beneath_work_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/work/venv")
    monkeypatch.setattr(sys, "base_prefix", "/opt/python")
    places = bubblewrap.interpreter()
    assert places[Path("/opt/python")] == Path("/opt/python")
    assert not places[Path("/work/venv")].is_relative_to("/work")
    assert bubblewrap.environment()["PATH"].startswith(f"{places[Path('/work/venv')]}/bin:")


def _until(happened: Callable[[], bool]) -> None:
    """Wait for it, at most half a minute."""
    latest = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < latest
        time.sleep(0.01)
