"""Patches fit exactly or not at all, and stay in the workspace."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from pathlib import Path

import pytest
from asked_tools import ask, refused
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.sandbox import Root
from workbench.tools import Context
from workbench.tools.patch_text import patched

BEFORE = "one\ntwo\nthree\nfour\n"
PATCH = "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n"


@pytest.fixture
def there(context: Context) -> Context:
    (context.workspace / "a.txt").write_text(BEFORE)
    return context


def content(context: Context, name: str = "a.txt") -> str:
    return (context.workspace / name).read_bytes().decode()


def test_a_patch_is_applied_and_told(there: Context) -> None:
    done = ask(there, "apply_patch", patch=PATCH)
    assert done["applied"]
    assert done["changes"] == [
        {
            "path": "a.txt",
            "kind": "changed",
            "added": 1,
            "removed": 1,
            "lines": [1],
            "source": None,
        }
    ]
    assert content(there) == "one\nzwei\nthree\nfour\n"


def test_a_dry_run_changes_nothing(there: Context) -> None:
    done = ask(there, "apply_patch", patch=PATCH, dry_run=True)
    assert not done["applied"]
    assert done["changes"][0]["added"] == 1
    assert content(there) == BEFORE


def test_context_must_match_exactly(there: Context) -> None:
    assert "there is no line 'One'" in refused(
        there, "apply_patch", patch=PATCH.replace(" one", " One")
    )
    assert content(there) == BEFORE


def test_a_wrong_line_number_is_forgiven_where_the_place_is_plain(there: Context) -> None:
    done = ask(there, "apply_patch", patch=PATCH.replace("-1,3 +1,3", "-7,3 +7,3"))
    assert done["changes"][0]["lines"] == [1]
    (there.workspace / "a.txt").write_text(BEFORE * 2)
    assert "2 times" in refused(there, "apply_patch", patch=PATCH.replace("-1,3 +1,3", "-7,3 +7,3"))
    done = ask(there, "apply_patch", patch=PATCH.replace("-1,3 +1,3", "-5,3 +5,3"))
    assert content(there) == BEFORE + "one\nzwei\nthree\nfour\n"


def test_files_are_made_deleted_renamed_and_copied(there: Context) -> None:
    for name in ("gone.txt", "moved.txt", "copied.txt"):
        (there.workspace / name).write_text("x\ny\n")
    patch = (
        "diff --git a/new/ü.txt b/new/ü.txt\nnew file mode 100755\n"
        "--- /dev/null\n+++ b/new/ü.txt\n@@ -0,0 +1,2 @@\n+α\n+β\n"
        "diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n"
        "--- a/gone.txt\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-x\n-y\n"
        "diff --git a/moved.txt b/there.txt\nsimilarity index 100%\n"
        "rename from moved.txt\nrename to there.txt\n"
        "diff --git a/copied.txt b/copy.txt\nsimilarity index 50%\n"
        "copy from copied.txt\ncopy to copy.txt\n"
        "--- a/copied.txt\n+++ b/copy.txt\n@@ -1,2 +1,2 @@\n-x\n+z\n y\n"
    )
    done = ask(there, "apply_patch", patch=patch)
    assert [c["kind"] for c in done["changes"]] == ["new", "deleted", "renamed", "copied"]
    assert done["notes"] == ["The mode of new/ü.txt is not set"]
    names = {p.relative_to(there.workspace).as_posix() for p in there.workspace.rglob("*.txt")}
    assert names == {"a.txt", "new/ü.txt", "there.txt", "copied.txt", "copy.txt"}
    assert content(there, "new/ü.txt") == "α\nβ\n"
    assert content(there, "copy.txt") == "z\ny\n"
    assert content(there, "there.txt") == "x\ny\n"


def test_a_file_that_is_renamed_or_copied_keeps_its_mode(there: Context) -> None:
    for name, mode in (("run.sh", 0o755), ("copied.sh", 0o700)):
        (there.workspace / name).write_text("x\ny\n")
        (there.workspace / name).chmod(mode)
    patch = (
        "diff --git a/run.sh b/bin/run.sh\nrename from run.sh\nrename to bin/run.sh\n"
        "--- a/run.sh\n+++ b/bin/run.sh\n@@ -1,2 +1,2 @@\n-x\n+z\n y\n"
        "diff --git a/bin/run.sh b/go.sh\nrename from bin/run.sh\nrename to go.sh\n"
        "diff --git a/copied.sh b/copy.sh\ncopy from copied.sh\ncopy to copy.sh\n"
    )
    tests = ["sh", "-c", "test -x go.sh && test ! -e run.sh"]
    assert ask(there, "apply_patch", patch=patch, test_command=tests)["applied"]
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in there.workspace.glob("*.sh")}
    assert modes == {"go.sh": "0o755", "copied.sh": "0o700", "copy.sh": "0o700"}


def test_crlf_stays_crlf(there: Context) -> None:
    (there.workspace / "a.txt").write_bytes(BEFORE.replace("\n", "\r\n").encode())
    ask(there, "apply_patch", patch=PATCH)
    assert content(there) == "one\r\nzwei\r\nthree\r\nfour\r\n"
    exact = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\r\n-zwei\r\n+zwo\n"
    ask(there, "apply_patch", patch=exact)
    assert content(there) == "one\r\nzwo\nthree\r\nfour\r\n"


def test_a_file_without_a_last_newline_keeps_it_so(there: Context) -> None:
    (there.workspace / "a.txt").write_text("one\ntwo")
    mark = "\\ No newline at end of file\n"
    patch = f"--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n{mark}+zwei\n{mark}"
    ask(there, "apply_patch", patch=patch)
    assert content(there) == "one\nzwei"
    patch = f"--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-zwei\n{mark}+drei\n"
    ask(there, "apply_patch", patch=patch)
    assert content(there) == "one\ndrei\n"
    refused(there, "apply_patch", patch="--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-drei\n" + mark)


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ("hello", "changes nothing"),
        ("--- a/a.txt\n+++ b/a.txt\n", "changes nothing"),
        ("@@ -1 +1 @@\n-a\n+b\n", "can't be read"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1,9 +1,9 @@\n one\n", "Hunk is shorter"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\nBAD\n", "can't be read"),
        ("--- a/none.txt\n+++ b/none.txt\n@@ -1 +1 @@\n-a\n+b\n", "none.txt is not"),
        ("--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+x\n", "there already"),
        ("--- a/a.txt\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-two\n", "holds more"),
        ("diff --git a/a.txt b/b.txt\nBinary files a/a.txt and b/b.txt differ\n", "binary"),
        ("diff --git a/p b/p\nGIT binary patch\nliteral 3\nKcmZ\n", "binary"),
        (
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n"
            "@@ -0,0 +1 @@\n+/etc/passwd\n",
            "symbolic link",
        ),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-o\0e\n+b\n", "binary"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -4 +4,2 @@\n four\n+\\ two\n", ""),
    ],
)
def test_what_is_no_such_patch_is_one_line(patch: str, reason: str, there: Context) -> None:
    if not reason:  # a line that looks like the marker is a line
        ask(there, "apply_patch", patch=patch)
        assert content(there).endswith("four\n\\ two\n")
        return
    assert re.search(reason, refused(there, "apply_patch", patch=patch))
    assert content(there) == BEFORE


@pytest.mark.parametrize(
    "name",
    ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "link/out.txt"],
)
def test_nothing_outside_is_patched(name: str, there: Context) -> None:
    outside = there.workspace.parent / "outside"
    outside.mkdir()
    (there.workspace / "link").symlink_to(outside)
    for patch in (
        f"--- /dev/null\n+++ {name}\n@@ -0,0 +1 @@\n+x\n",
        f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n",
        f"diff --git a/a.txt b/{name}\nrename from a.txt\nrename to {name}\n",
        '--- /dev/null\n+++ "b/\\056\\056/out.txt"\n@@ -0,0 +1 @@\n+x\n',
    ):
        refused(there, "apply_patch", patch=patch)
    assert list(outside.iterdir()) == []
    assert not (there.workspace.parent / "out.txt").exists()
    assert not Path("/tmp/out.txt").exists()
    assert content(there) == BEFORE


def test_all_files_or_none(there: Context) -> None:
    (there.workspace / "b.txt").write_text("b\n")
    second = "--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-wrong\n+c\n"
    refused(there, "apply_patch", patch=PATCH + second)
    assert content(there) == BEFORE


def test_what_was_written_is_put_back_when_a_later_file_fails(there: Context) -> None:
    (there.workspace / "b.txt").write_text("b\n")
    (there.workspace / "c").write_text("a file, where a folder is wanted\n")
    second = "--- /dev/null\n+++ b/c/d.txt\n@@ -0,0 +1 @@\n+c\n"
    refused(there, "apply_patch", patch=PATCH + second)
    assert content(there) == BEFORE
    assert not any(".part" in name for name in os.listdir(there.workspace))


def test_a_file_that_is_put_back_after_its_removal_has_its_mode(
    there: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("run.sh", "stays.sh"):
        (there.workspace / name).write_text("x\n")
        (there.workspace / name).chmod(0o755)
    delete = Root.delete

    def failing(root: Root, name: str) -> None:
        if name == "stays.sh":
            raise InputError("it can't be removed", "Look why")
        delete(root, name)

    monkeypatch.setattr(Root, "delete", failing)
    patches = (f"--- a/{n}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n" for n in ("run.sh", "stays.sh"))
    assert "can't be removed" in refused(there, "apply_patch", patch="".join(patches))
    assert oct((there.workspace / "run.sh").stat().st_mode & 0o777) == "0o755"


def test_one_file_may_be_patched_twice(there: Context) -> None:
    second = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-zwei\n+deux\n"
    ask(there, "apply_patch", patch=PATCH + second)
    assert content(there) == "one\ndeux\nthree\nfour\n"


@pytest.mark.slow
def test_a_patch_stays_only_if_the_tests_pass(there: Context) -> None:
    (there.workspace / "test_a.py").write_text(
        "def test_it():\n    open('left', 'w').close()\n    assert 'zwei' in open('a.txt').read()\n"
    )
    pytest_command = ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    wrong = PATCH.replace("+zwei", "+drei")
    failed = ask(there, "apply_patch", patch=wrong, test_command=pytest_command)
    assert not failed["applied"]
    assert "1 failed" in failed["tests"]["output"]
    assert content(there) == BEFORE
    passed = ask(there, "apply_patch", patch=PATCH, test_command=pytest_command)
    assert passed["applied"]
    assert passed["tests"]["ok"]
    assert content(there) == "one\nzwei\nthree\nfour\n"
    assert not (there.workspace / "left").exists()  # the tests ran in a copy


words = st.lists(st.text("abcö\t \r", max_size=3), max_size=12)


@given(words, words)
def test_what_difflib_says_turns_one_text_into_the_other(one: list[str], two: list[str]) -> None:
    before, after = ["".join(f"{line}\n" for line in lines) for lines in (one, two)]
    diff = difflib.unified_diff(
        [f"{line}\n" for line in one], [f"{line}\n" for line in two], "a/f", "b/f"
    )
    patch = "".join(diff)
    if patch:
        files = patched(patch, {"f": before.encode()}.get).files
        assert files["f"] == after.encode()


@given(st.lists(st.sampled_from("abcd"), max_size=8), st.lists(st.sampled_from("abcd"), max_size=8))
def test_git_and_we_agree(tmp_path_factory: pytest.TempPathFactory, one, two) -> None:
    """Also without a newline at the end of either."""
    folder = tmp_path_factory.mktemp("git")
    before, after = "\n".join(one), "\n".join(two)
    (folder / "f").write_text(before)
    (folder / "g").write_text(after)
    command = ["git", "diff", "--no-index", "--no-ext-diff", "--no-color", "f", "g"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.stdout:
        files = patched(done.stdout, {"f": before.encode()}.get).files
        assert files == {"f": None, "g": after.encode()}
