"""`git` and `git_write`: a repository that may be hostile, looked at and committed to.

A repository's own files can name programs: hooks, filters, external diffs,
textconv, pagers, editors, a file monitor, signing, credential helpers, transports.
The model chooses a command and values for it, never options; whatever could name
a program is overridden by the environment, which wins over the repository; and
git runs in the sandbox all the same. Filters are switched off by their names,
which the first of two calls reads, so files under Git LFS look changed.

Files that may hold keys (`files.PRIVATE`) are left out of what is shown, though they be
committed. What this does not cover: a copy under another name, and a file named by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import sandbox
from workbench.errors import InputError, ToolError
from workbench.sandbox import Ran, Write
from workbench.tools.contract import Context, Definition, one_line, shortened
from workbench.tools.files import PRIVATE, readable
from workbench.tools.schemas import choice, flag, parameters, record, text, whole

_OUTPUT_CHARS = 10_000
_COMMITS = 20

_OVERRIDES = {
    "safe.directory": "*",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.pager": "cat",
    "core.editor": "true",
    "core.askPass": "true",
    "core.sshCommand": "false",
    "core.gitProxy": "",
    "core.alternateRefsCommand": "true",
    "core.attributesFile": "/dev/null",
    "core.quotePath": "false",
    "credential.helper": "",
    "protocol.allow": "never",
    "diff.external": "",
    "diff.trustExitCode": "false",
    "diff.submodule": "short",
    "diff.ignoreSubmodules": "all",
    "submodule.recurse": "false",
    "status.submoduleSummary": "false",
    "log.showSignature": "false",
    "log.mailmap": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "gpg.program": "false",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "rerere.enabled": "false",
    "color.ui": "false",
    "column.ui": "never",
    "user.name": "Workbench agent",
    "user.email": "agent@localhost",
}
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "true",
    "GIT_ATTR_NOSYSTEM": "1",
}
_HIDDEN = [f":(exclude,icase,glob)**/{name}{below}" for name in PRIVATE for below in ("", "/**")]
_PART = re.compile(r":|/|\.\.+")
"""What stands between the commits and names of a revision, such as `HEAD~1:src/a.py..main`."""
_NO_PROGRAMS = ("--no-ext-diff", "--no-textconv", "--no-color")


@dataclass(frozen=True)
class Printed:
    """What git printed."""

    output: str


def command(filters: Iterable[str], *arguments: str) -> list[str]:
    """The command line of git with every program off, and with these `filters` off by name."""
    overrides = dict(_OVERRIDES)
    for name in filters:
        for part, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")):
            overrides[f"filter.{name}.{part}"] = value
    environment = {**_ENVIRONMENT, "GIT_CONFIG_COUNT": str(len(overrides))}
    for number, (key, value) in enumerate(overrides.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    assigned = [f"{name}={value}" for name, value in environment.items()]
    return ["env", *assigned, "git", "--no-pager", "--no-optional-locks", *arguments]


def filters(listed: str) -> set[str]:
    """Names of the filters in the output of `git config --list --name-only`."""
    keys = [key for key in listed.split("\n") if key.startswith("filter.")]
    return {key.removeprefix("filter.").rpartition(".")[0] for key in keys} - {""}


def _git(arguments: Mapping[str, Any], context: Context) -> Printed:
    return Printed(_output(_reading(arguments), context, "none"))


def _git_write(arguments: Mapping[str, Any], context: Context) -> Printed:
    printed = [_output(step, context, "repository") for step in _writing(arguments)]
    return Printed("\n".join(filter(None, printed)))


def _reading(arguments: Mapping[str, Any]) -> list[str]:
    """The arguments of git for a command that only reads."""
    name = arguments["command"]
    revision, path = arguments.get("revision", ""), arguments.get("path", "")
    if revision.startswith("-") or any(c.isspace() or c == "\0" for c in revision):
        raise InputError(f"{revision!r} is no revision", "Give a commit, branch or range")
    for part in [*_PART.split(revision), path]:
        readable(part)
    where = [revision] if revision else []
    files = ["--", _plain(path)] if path else ["--"]
    if name == "status":
        return ["status", "--short", "--branch", "--ignore-submodules=all", *files]
    if name == "log":
        count = str(arguments.get("commits", _COMMITS))
        form = ["--date=iso-strict", "--decorate=short", *_NO_PROGRAMS, "--no-show-signature"]
        return ["log", "-n", count, *form, *_stat(arguments), *where, *files]
    if name == "blame":
        if not path:
            raise InputError("blame wants a path", "Name the file")
        return ["blame", "--no-textconv", "--date=short", *where, "--", path]
    options = [*_NO_PROGRAMS, "--submodule=short", "--ignore-submodules=all", *_stat(arguments)]
    if name == "show":
        return ["show", "--no-show-signature", *options, *where, *files, *_HIDDEN]
    return ["diff", *options, *where, *files, *_HIDDEN]


def _stat(arguments: Mapping[str, Any]) -> list[str]:
    return ["--stat"] if arguments.get("summary", False) else []


def _writing(arguments: Mapping[str, Any]) -> list[list[str]]:
    """The arguments of git, step by step, for a commit or a switch of branch."""
    if arguments["command"] == "commit":
        message, paths = arguments.get("message", ""), arguments.get("paths", [])
        if not message.strip() or not paths:
            raise InputError("commit wants a message and paths", "Give both")
        files = [_plain(path) for path in paths]
        commit = ["commit", "--no-verify", "--no-gpg-sign", "--quiet", "--cleanup=verbatim"]
        return [
            ["add", "--", *files],
            [*commit, f"--message={message}", "--only", "--", *files],
            ["log", "-n", "1", "--oneline", "--no-show-signature", *_NO_PROGRAMS],
        ]
    branch = arguments.get("branch", "")
    if not branch or branch.startswith("-") or any(c.isspace() or c == "\0" for c in branch):
        raise InputError(f"{branch!r} is no branch", "Name a branch")
    create = ["--create"] if arguments["command"] == "create_branch" else []
    return [["switch", "--no-guess", "--no-recurse-submodules", *create, branch]]


def _plain(path: str) -> str:
    """A path in which git reads no pattern."""
    if "\0" in path:
        raise InputError("The path holds a null character", "Give a plain path")
    if path.startswith("/") or ".." in path.split("/"):
        raise InputError(f"{path} leads out of the folder", "Give a path beneath it, without `..`")
    return f":(literal){path}"


def _output(arguments: Sequence[str], context: Context, write: Write) -> str:
    def run(*line: str, names: Iterable[str] = ()) -> Ran:
        return sandbox.run(
            command(names, *line), folder=context.workspace, write=write, limits=context.limits
        )

    listed = run("config", "--list", "--name-only")
    if listed.truncated:
        raise ToolError("The repository's configuration is too long", "Go on without git")
    ran = run(*arguments, names=filters(listed.stdout))
    if ran.ended != "exit" or ran.exit_code != 0:
        reason = one_line(ran.stderr or ran.stdout or f"it ended by {ran.ended}")
        raise ToolError(f"git {arguments[0]} failed: {reason}", "Check revision and path")
    printed = "\n".join(filter(None, (ran.stdout.rstrip(), ran.stderr.rstrip())))
    return shortened(printed, _OUTPUT_CHARS)


GIT = Definition(
    "git",
    "Look at the git repository of the workspace: log, diff, show, status or blame.",
    parameters(
        {"command": choice("What to look at", "log", "diff", "show", "status", "blame")},
        {
            "revision": text("Commit, branch or range, such as HEAD~1 or main..work"),
            "path": text("Only this file or folder"),
            "commits": whole(f"log: how many; default {_COMMITS}", 1, 200),
            "summary": flag("log, diff, show: true tells only how many lines changed per file"),
        },
    ),
    record(Printed),
    "read",
    _git,
    paths=("path",),
)
GIT_WRITE = Definition(
    "git_write",
    "Commit files of the workspace, or switch to or create a branch.",
    parameters(
        {"command": choice("What to do", "commit", "switch", "create_branch")},
        {
            "message": text("commit: the message"),
            "paths": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "maxItems": 200,
                "description": "commit: files to commit",
            },
            "branch": text("switch, create_branch: its name"),
        },
    ),
    record(Printed),
    "write",
    _git_write,
    paths=("paths",),
)
