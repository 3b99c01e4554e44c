"""Files beneath one root."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from examples import STRANGE_TEXTS

from workbench.errors import InputError
from workbench.sandbox import Entry, Root, confined


@pytest.fixture(params=["openat2", "openat"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    """By the kernel's call, and as on a kernel that has none."""
    if request.param == "openat":
        monkeypatch.setattr(confined, "_openat2", _old_kernel)
    return Root(tmp_path)


def _old_kernel(*_: object) -> int:
    raise OSError(38, "Function not implemented")


@pytest.mark.parametrize("text", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS)
def test_what_is_written_is_read(text: str, root: Root, tmp_path: Path) -> None:
    root.write("notes/сегодня 👩🏽‍🚀.md", text.encode())
    assert root.read("notes/сегодня 👩🏽‍🚀.md") == text.encode()
    assert os.listdir(tmp_path / "notes") == ["сегодня 👩🏽‍🚀.md"]


def test_replaced_file_keeps_its_rights(root: Root, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("old")
    (tmp_path / "tool").chmod(0o750)
    root.write("tool", b"new")
    assert (tmp_path / "tool").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "tool").stat().st_mode) == 0o750


def test_failed_write_leaves_the_old_file(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.write("a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        root.write("a", b"new")
    assert os.listdir(tmp_path) == ["a"]
    assert root.read("a") == b"old"


def test_larger_file_than_asked_for_is_refused(root: Root) -> None:
    root.write("a", b"12345")
    assert root.read("a", limit=5) == b"12345"
    with pytest.raises(InputError, match="larger than 4 bytes"):
        root.read("a", limit=4)


def test_file_that_tells_no_size_is_bounded() -> None:
    with pytest.raises(InputError, match="larger than 10 bytes"):
        Root(Path("/proc/self")).read("status", limit=10)


def test_listing_names_kinds_and_sizes(root: Root, tmp_path: Path) -> None:
    root.write("b/c/d.txt", b"123")
    root.write("a.txt", b"1")
    (tmp_path / "link").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"bad\xff")).touch()
    top = [
        Entry("a.txt", "file", 1),
        Entry("b", "folder", 0),
        Entry("bad\\xff", "file", 0),
        Entry("link", "link", 0),
        Entry("pipe", "other", 0),
    ]
    assert root.list() == top
    assert root.list("b", depth=2) == [Entry("b/c", "folder", 0), Entry("b/c/d.txt", "file", 3)]
    assert [entry.name for entry in root.list(depth=3)] == [
        "a.txt", "b", "b/c", "b/c/d.txt", "bad\\xff", "link", "pipe",
    ]  # fmt: skip


def test_listing_of_very_many_is_refused(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "_MOST_ENTRIES", 10)
    for number in range(11):
        (tmp_path / str(number)).touch()
    with pytest.raises(InputError, match="more than 10 entries"):
        root.list()


def test_deleting_takes_files_links_and_empty_folders(root: Root, tmp_path: Path) -> None:
    root.write("full/a", b"")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    (tmp_path / "link").symlink_to("kept", target_is_directory=True)
    with pytest.raises(InputError, match="not empty"):
        root.delete("full")
    for name in ("full/a", "full", "link"):
        root.delete(name)
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept" / "x").exists()


def test_existence_is_of_files_and_folders(root: Root, tmp_path: Path) -> None:
    root.write("a/b", b"")
    os.mkfifo(tmp_path / "pipe")
    for name, there in {
        "a": 1,
        "a/b": 1,
        ".": 1,
        "a/c": 0,
        "c/d": 0,
        "a/b/c": 0,
        "pipe": 0,
    }.items():
        assert root.exists(name) == bool(there), name


@pytest.mark.parametrize("name", ["none", "a/none", "a/b/c"])
def test_missing_file_is_one_clear_line(name: str, root: Root, tmp_path: Path) -> None:
    root.write("a/b", b"")
    with pytest.raises(InputError) as told:
        root.read(name)
    assert name in str(told.value)
    assert str(tmp_path) not in str(told.value)


def test_name_with_control_characters_is_written_out(root: Root) -> None:
    with pytest.raises(InputError) as told:
        root.read("a\n\x1b[2J" + "x" * 200)
    assert "\n" not in str(told.value)
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize("name", [".", "deep"])
def test_folder_is_no_file(name: str, root: Root) -> None:
    root.write("deep/x", b"")
    with pytest.raises(InputError):
        root.read(name)
    with pytest.raises(InputError):
        root.write(name, b"")


def test_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be opened as a folder"):
        Root(tmp_path / "none")


def test_root_stays_the_folder_that_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    root = Root(tmp_path / "mine")
    root.write("a", b"mine")
    (tmp_path / "mine").rename(tmp_path / "moved")
    (tmp_path / "mine").symlink_to("/etc")
    assert root.read("a") == b"mine"
    assert not root.exists("passwd")
