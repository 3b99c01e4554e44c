"""The files of the workspace, and no other file."""

from __future__ import annotations

import os

import pytest
from asked_tools import INJECTION, ask, refused
from examples import STRANGE_TEXTS

from workbench.tools import Context

ESCAPES = (
    "../secret.txt",
    "a/../../secret.txt",
    "/etc/passwd",
    "link.txt",
    "folder/secret.txt",
    "/proc/self/environ",
    "a\0b",
    "",
    ".",
)


@pytest.fixture
def outside(context: Context) -> str:
    secret = context.workspace.parent / "secret.txt"
    secret.write_text("secret")
    (context.workspace / "link.txt").symlink_to(secret)
    (context.workspace / "folder").symlink_to(context.workspace.parent)
    return "secret"


@pytest.mark.parametrize("name", STRANGE_TEXTS)
def test_what_is_written_is_read(name: str, context: Context) -> None:
    content = STRANGE_TEXTS[name]
    written = ask(context, "write_file", path="notes/заметка 😀.txt", content=content)
    assert written["bytes"] == len(content.encode())
    assert written["new"]
    assert (context.workspace / "notes/заметка 😀.txt").read_bytes() == content.encode()
    if len(content) < 10_000:
        read = ask(context, "read_file", path="notes/заметка 😀.txt")
        assert read["text"] == content.removesuffix("\n")
    else:
        assert (
            "characters left out" in ask(context, "read_file", path="notes/заметка 😀.txt")["text"]
        )


@pytest.mark.parametrize("path", ESCAPES)
def test_nothing_outside_is_touched(path: str, context: Context, outside: str) -> None:
    secret = context.workspace.parent / "secret.txt"
    for name, more in (
        ("read_file", {}),
        ("write_file", {"content": "x", "replace": True}),
    ):
        assert outside not in refused(context, name, path=path, **more).replace(path, "")
    if path != "link.txt":  # the link itself may be deleted
        refused(context, "delete_file", path=path)
    assert secret.read_text() == "secret"
    assert not (context.workspace.parent / "a").exists()


def test_a_file_is_replaced_only_when_asked(context: Context) -> None:
    ask(context, "write_file", path="a.txt", content="one")
    assert "Set replace to true" in refused(context, "write_file", path="a.txt", content="two")
    assert not ask(context, "write_file", path="a.txt", content="two", replace=True)["new"]
    assert (context.workspace / "a.txt").read_text() == "two"


def test_lines_are_counted_and_chosen(context: Context) -> None:
    (context.workspace / "a.txt").write_text("".join(f"line {i}\n" for i in range(1, 501)))
    read = ask(context, "read_file", path="a.txt", first_line=499)
    assert read == {
        "path": "a.txt",
        "first_line": 499,
        "total_lines": 500,
        "text": "line 499\nline 500",
    }
    assert ask(context, "read_file", path="a.txt")["text"].endswith("line 200")
    assert "has 500 lines" in refused(context, "read_file", path="a.txt", first_line=501)


def test_files_are_found_by_pattern_and_depth(context: Context) -> None:
    for name in ("a.py", "b.txt", "src/c.py", "src/deep/d.py"):
        (context.workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (context.workspace / name).write_text("x")
    top = ask(context, "list_files")["entries"]
    assert [(e["path"], e["kind"]) for e in top] == [
        ("a.py", "file"),
        ("b.txt", "file"),
        ("src", "folder"),
    ]
    found = ask(context, "list_files", pattern="*.py", depth=8)["entries"]
    assert [e["path"] for e in found] == ["a.py", "src/c.py", "src/deep/d.py"]


def test_many_entries_are_counted(context: Context) -> None:
    for number in range(300):
        (context.workspace / f"{number:03}").touch()
    listing = ask(context, "list_files")
    assert len(listing["entries"]) == 200
    assert listing["left_out"] == 100


def test_what_is_no_text_is_told(context: Context) -> None:
    (context.workspace / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    os.mkfifo(context.workspace / "pipe")
    assert "is not UTF-8 text" in refused(context, "read_file", path="image.png")
    refused(context, "read_file", path="pipe")
    refused(context, "read_file", path="missing")


def test_what_git_would_run_is_not_written(context: Context) -> None:
    (context.workspace / ".git").mkdir()
    (context.workspace / ".git" / "config").write_text("x")
    for path in (".git/config", ".git/hooks/pre-commit", "sub/.GIT/config", "./.git/config"):
        told = refused(context, "write_file", path=path, content="x", replace=True)
        assert "belongs to git" in told
        refused(context, "delete_file", path=path)
        patch = f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
        refused(context, "apply_patch", patch=patch)
    assert [p.name for p in (context.workspace / ".git").iterdir()] == ["config"]


def test_a_file_is_deleted(context: Context) -> None:
    (context.workspace / "a.txt").write_text("x")
    assert ask(context, "delete_file", path="a.txt") == {"path": "a.txt"}
    assert not (context.workspace / "a.txt").exists()
    refused(context, "delete_file", path="a.txt")


def test_orders_in_a_file_are_text(context: Context) -> None:
    (context.workspace / "a.txt").write_text(INJECTION)
    assert ask(context, "read_file", path="a.txt")["text"] == INJECTION


KEY = "LANGFUSE_SECRET_KEY=sk-lf-0123"
PRIVATE = (
    ".env",
    ".env.local",
    ".envrc",
    "sub/.ENV",
    "mcp.json",
    ".cursor/mcp.json",
    ".env.d/key",
    ".netrc",
    ".Git-Credentials",
    ".git/config",
    "sub/.git/Config.worktree",
    ".git/modules/sub/config",
)


@pytest.mark.parametrize("path", PRIVATE)
def test_a_file_that_may_hold_keys_is_neither_read_nor_written(path: str, context: Context) -> None:
    file = context.workspace / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{KEY}\n")
    for name in (path, f"./{path}"):
        assert "0123" not in refused(context, "read_file", path=name)
        refused(context, "write_file", path=name, content="x", replace=True)
        refused(context, "delete_file", path=name)
    found = ask(context, "search_logs", pattern="LANGFUSE", files="*")
    assert (found["matches"], found["skipped"]) == ([], [path])
    copy = f"diff --git a/{path} b/copy\nsimilarity index 100%\ncopy from {path}\ncopy to copy\n"
    for patch in (copy, copy.replace("copy from", "rename from").replace("copy to", "rename to")):
        assert "may hold keys" in refused(context, "apply_patch", patch=patch)
    assert not (context.workspace / "copy").exists()
    assert file.read_text() == f"{KEY}\n"


def test_names_like_those_of_key_files_are_read(context: Context) -> None:
    for path in ("environment.yml", "a.env", "env/.txt", "my-mcp.json", "mcp.json.md", "config"):
        ask(context, "write_file", path=path, content="x")
        assert ask(context, "read_file", path=path)["text"] == "x"
