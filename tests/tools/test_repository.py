"""git in a repository that names programs everywhere: none of them runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from asked_tools import INJECTION, ask, refused

from workbench.tools import Context
from workbench.tools.repository import _reading, _writing, command, filters


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(context: Context) -> Context:
    folder = context.workspace
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("one\n")
    (folder / "b.bin").write_bytes(b"\0\1")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", f"first: {INJECTION}")
    (folder / "a.txt").write_text("two\n")
    return context


def test_a_repository_is_read(repository: Context) -> None:
    def said(**arguments: Any) -> str:
        return ask(repository, "git", **arguments)["output"]

    assert INJECTION in said(command="log")
    assert "-one\n+two" in said(command="diff")
    assert "1 file changed" in said(command="diff", summary=True)
    assert " M a.txt" in said(command="status")
    assert "+one" in said(command="show", revision="HEAD")
    assert "one" in said(command="blame", path="a.txt", revision="HEAD")


@pytest.mark.parametrize("path", ["/work/a.txt", "b/../a.txt", "..", "./../work/a.txt"])
def test_a_path_leads_nowhere_else(path: str, repository: Context) -> None:
    for look in ("log", "diff", "blame"):
        assert "leads out" in refused(repository, "git", command=look, path=path)
    given = {"command": "commit", "message": "x", "paths": [path]}
    assert "leads out" in refused(repository, "git_write", **given)
    assert (
        "one" in ask(repository, "git", command="blame", path="./a.txt", revision="HEAD")["output"]
    )


def test_files_are_committed_and_branches_made(repository: Context) -> None:
    folder = repository.workspace
    (folder / "new ü.txt").write_text("x")
    (folder / "other.txt").write_text("x")
    done = ask(
        repository, "git_write", command="commit", message="Second — ü\n", paths=["new ü.txt"]
    )
    assert "Second — ü" in done["output"]
    assert git(folder, "show", "--name-only", "--format=%an", "-z", "HEAD").split("\0")[0:2] == [
        "Workbench agent",
        "\nnew ü.txt",
    ]
    ask(repository, "git_write", command="create_branch", branch="work")
    assert git(folder, "branch", "--show-current") == "work\n"
    ask(repository, "git_write", command="switch", branch="main")
    assert git(folder, "branch", "--show-current") == "main\n"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("git", {"command": "log", "revision": "--output=/tmp/x"}),
        ("git", {"command": "diff", "revision": "-O/etc/passwd"}),
        ("git", {"command": "show", "revision": "HEAD --output=x"}),
        ("git", {"command": "show", "revision": "none"}),
        ("git", {"command": "log", "revision": "\0"}),
        ("git", {"command": "blame"}),
        ("git", {"command": "blame", "path": "../x"}),
        ("git", {"command": "push"}),
        ("git", {"command": "-c alias.x=!sh"}),
        ("git_write", {"command": "commit", "message": "x"}),
        ("git_write", {"command": "commit", "message": " ", "paths": ["a.txt"]}),
        ("git_write", {"command": "commit", "message": "x", "paths": ["../x"]}),
        ("git_write", {"command": "switch", "branch": "--orphan=x"}),
        ("git_write", {"command": "switch", "branch": "none"}),
        ("git_write", {"command": "create_branch", "branch": "a..b"}),
    ],
)
def test_what_is_no_command_is_refused(
    name: str, arguments: dict[str, Any], repository: Context
) -> None:
    refused(repository, name, **arguments)


def test_a_path_that_looks_like_an_option_is_a_path(repository: Context) -> None:
    assert ask(repository, "git", command="log", path="--output=x")["output"] == ""
    assert ask(repository, "git", command="diff", path=":(exclude)a.txt")["output"] == ""
    assert not (repository.workspace / "x").exists()


def test_files_that_may_hold_keys_are_not_shown(repository: Context) -> None:
    folder = repository.workspace
    (folder / "sub").mkdir()
    private = (".env", "sub/.Env.local", "mcp.json")
    for name in private:
        (folder / name).write_text("KEY=sk-0123\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "keys and all")
    for name in (*private, "a.txt"):
        (folder / name).write_text("KEY=sk-4567\n" if name in private else "three\n")

    def said(**arguments: Any) -> str:
        return ask(repository, "git", **arguments)["output"]

    for shown in (
        said(command="show"),
        said(command="diff"),
        said(command="diff", revision="HEAD~1"),
        said(command="diff", path="sub"),
        said(command="show", revision="HEAD", path="."),
        said(command="log"),
    ):
        assert "sk-" not in shown
    assert "+three" in said(command="diff")
    assert said(command="diff", path="sub") == ""
    for name in private:
        for revision in (f"HEAD:{name}", f":{name}", f"HEAD:./{name}", f"HEAD:{name}..HEAD:a.txt"):
            for kind in ("show", "diff"):
                told = refused(repository, "git", command=kind, revision=revision)
                assert "may hold keys" in told
        for kind in ("show", "diff", "blame"):
            refused(repository, "git", command=kind, path=name)


def test_no_repository_is_one_line(context: Context) -> None:
    assert "not a git repository" in refused(context, "git", command="log")


def hostile(folder: Path, witness: Path) -> None:
    """Name a program wherever a repository can; each would touch the witness."""
    program = folder / "program"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {witness}\ncat\n")
    program.chmod(0o755)
    keys = """
        core.fsmonitor core.pager core.editor core.sshCommand core.askPass core.gitProxy
        core.alternateRefsCommand diff.external diff.x.command diff.x.textconv
        filter.x.clean filter.x.smudge filter.x.process filter.a.b=c.clean
        credential.helper gpg.program gpg.ssh.program trailer.x.command merge.x.driver
        pager.log pager.diff pager.show pager.status pager.blame alias.log alias.status
        sequence.editor interactive.diffFilter uploadpack.packObjectsHook
        remote.origin.uploadpack
    """
    for key in keys.split():
        value = f"!{program}" if key.startswith("alias") else str(program)
        git(folder, "config", key, value)
    for key in ("log.showSignature", "commit.gpgSign", "filter.x.required", "diff.x.cachetextconv"):
        git(folder, "config", key, "true")
    git(folder, "config", "core.hooksPath", str(folder / "hooks"))
    (folder / ".gitattributes").write_text("*.txt filter=x diff=x\n*.bin filter=a.b=c diff=x\n")
    for place in (folder / "hooks", folder / ".git" / "hooks"):
        place.mkdir(exist_ok=True)
        for hook in (
            *("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "post-checkout"),
            *("post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman"),
        ):
            (place / hook).unlink(missing_ok=True)
            (place / hook).symlink_to(program)


READS: tuple[Mapping[str, Any], ...] = (
    {"command": "log"},
    {"command": "log", "summary": True},
    {"command": "diff"},
    {"command": "diff", "revision": "HEAD"},
    {"command": "show", "revision": "HEAD"},
    {"command": "status"},
    {"command": "blame", "path": "a.txt"},
)
WRITES: tuple[Mapping[str, Any], ...] = (
    {"command": "commit", "message": "x", "paths": ["a.txt", "b.bin"]},
    {"command": "create_branch", "branch": "work"},
    {"command": "switch", "branch": "main"},
)


@pytest.mark.parametrize("arguments", [*READS, *WRITES], ids=str)
def test_a_hostile_repository_runs_no_program(
    arguments: Mapping[str, Any], repository: Context
) -> None:
    """Run without the sandbox, so that only the overrides stand between."""
    folder, witness = repository.workspace, repository.workspace.parent / "witness"
    (folder / "b.bin").write_bytes(b"\0\2")
    hostile(folder, witness)
    witness.unlink(missing_ok=True)
    listed = run(folder, command([], "config", "--list", "--name-only"))
    names = filters(listed.stdout)
    assert {"x", "a.b=c"} <= names
    steps = [_reading(arguments)] if arguments in READS else _writing(arguments)
    if arguments["command"] == "switch":
        run(folder, command(names, "branch", "other"))
        steps = [[*steps[0][:-1], "other"], *steps]
    for step in steps:
        done = run(folder, command(names, *step))
        assert done.returncode == 0, done.stderr
    assert not witness.exists(), witness.read_text()


def run(folder: Path, argv: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_witness_would_see_a_program(repository: Context) -> None:
    folder, witness = repository.workspace, repository.workspace.parent / "witness"
    hostile(folder, witness)
    witness.unlink(missing_ok=True)
    run(folder, ["git", "status"])
    run(folder, ["git", "diff"])
    seen = witness.read_text()
    assert seen.count("program") >= 2


def test_a_hostile_repository_is_read_in_the_sandbox(repository: Context) -> None:
    folder, witness = repository.workspace, repository.workspace.parent / "witness"
    hostile(folder, witness)
    witness.unlink(missing_ok=True)
    for arguments in READS:
        ask(repository, "git", **arguments)
    for arguments in WRITES:
        ask(repository, "git_write", **arguments)
    assert not witness.exists()
