"""The journal survives kills, torn tails, broken lines and full disks."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.journal import Journal, read, write_atomically, write_whole
from workbench.records import Message


def test_appended_records_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "j.jsonl", Message)
    messages = [Message("user", "один 🦊"), Message("assistant", "line\nbreak\r\n\u2028")]
    journal.append(*messages)
    journal.append(Message("user", "three"))
    assert list(journal) == [*messages, Message("user", "three")]
    assert read(journal.path, Message) == list(journal)


def test_what_can_not_be_read_is_one_clear_error(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "missing.jsonl", Message)) == []
    with pytest.raises(InputError, match="can't be read"):
        list(Journal(tmp_path, Message))


def test_torn_tail_is_skipped_then_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path, Message)
    journal.append(Message("user", "whole"))
    with open(path, "ab") as file:
        file.write(b'{"role": "user", "cont')
    assert list(journal) == [Message("user", "whole")]
    journal.append(Message("user", "after"))
    assert [m.content for m in journal] == ["whole", "after"]
    assert (tmp_path / "j.jsonl.torn").read_bytes() == b'{"role": "user", "cont\n'


def test_a_file_that_is_only_a_torn_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b"x" * 200_000)
    Journal(path, Message).append(Message("user", "first"))
    assert [m.content for m in Journal(path, Message)] == ["first"]


@pytest.mark.parametrize(
    "line", [b"not json", b'{"role": "user"}', b'{"role": "king", "content": ""}', b"[1]"]
)
def test_broken_line_in_the_middle_names_file_line_and_remedy(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"role": "user", "content": "a"}\n' + line + b"\n")
    with pytest.raises(InputError, match=r"j\.jsonl, line 2 is not a Message.*Mend or remove"):
        read(path, Message)


def test_missing_file_is_empty_as_a_journal_and_an_error_as_an_input(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "none", Message)) == []
    with pytest.raises(InputError, match="can't be read"):
        read(tmp_path / "none", Message)


def test_acknowledged_records_survive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    script = textwrap.dedent(f"""
        from workbench.journal import Journal
        from workbench.records import Message
        journal = Journal({str(path)!r}, Message)
        n = 0
        while True:
            journal.append(Message("user", str(n) * 500))
            print(n, flush=True)
            n += 1
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(60):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = 60 + len(process.stdout.read().split())
    process.wait()
    found = list(Journal(path, Message))
    assert acknowledged <= len(found) <= acknowledged + 1
    assert [m.content for m in found] == [str(n) * 500 for n in range(len(found))]


def test_threads_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", Message)

    def write(name: int) -> None:
        for n in range(20):
            Journal(journal.path, Message).append(Message("user", f"{name}-{n}" * 100))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(journal)) == 80


def test_disk_full_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch) -> None:
    journal = Journal(tmp_path / "j.jsonl", Message)
    journal.append(Message("user", "kept"))

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        journal.append(Message("user", "lost"))
    monkeypatch.undo()
    assert [m.content for m in journal] == ["kept"]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, set[str]]]:
    """Every inode that was forced to disk, with the names in it then if it is a folder."""
    found: list[tuple[int, set[str]]] = []
    sync = os.fsync

    def remember(descriptor: int) -> None:
        status = os.fstat(descriptor)
        names = os.listdir(descriptor) if stat.S_ISDIR(status.st_mode) else ()
        found.append((status.st_ino, set(names)))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    return found


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_the_name_of_a_new_journal_is_on_disk_with_its_first_record(tmp_path: Path, synced) -> None:
    path = tmp_path / "new" / "deep" / "j.jsonl"
    journal = Journal(path, Message)
    journal.append(Message("user", "one"))
    assert (inode(path.parent), {"j.jsonl"}) in synced
    assert (inode(tmp_path / "new"), {"deep"}) in synced
    assert (inode(tmp_path), {"new"}) in synced
    assert (inode(path), set()) in synced
    synced.clear()
    journal.append(Message("user", "two"))
    assert synced == [(inode(path), set())]


def test_a_journal_left_empty_by_a_kill_gets_its_name_to_disk(tmp_path: Path, synced) -> None:
    path = tmp_path / "j.jsonl"
    path.touch()
    Journal(path, Message).append(Message("user", "one"))
    assert (inode(tmp_path), {"j.jsonl"}) in synced


def test_the_name_of_a_file_written_whole_is_on_disk(tmp_path: Path, synced) -> None:
    path = tmp_path / "new" / "whole.txt"
    for text in ("old", "new"):
        synced.clear()
        write_whole(path, text)
        assert synced[-2:] == [(inode(path), set()), (inode(path.parent), {"whole.txt"})]


def test_a_file_system_that_syncs_no_folders_is_written_to(tmp_path: Path, monkeypatch) -> None:
    sync = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    journal = Journal(tmp_path / "new" / "j.jsonl", Message)
    journal.append(Message("user", "one"))
    assert len(list(journal)) == 1


def test_write_atomically_leaves_nothing_of_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "whole.txt"
    write_atomically(target, lambda p: p.write_text("old") and None)

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
