"""Tools that wrap a command line, by YAML manifests in a folder.

    name: count_lines
    description: Count the lines of a file.
    risk: read
    parameters:
      type: object
      properties:
        path: {type: string, description: Path below the workspace}
      required: [path]
    argv: [wc, -l, --, "{path}"]

`argv` is a list, and `{name}` within an element becomes the argument of that
name: no shell reads it, so no argument can become a second one. An argument at
the beginning of an element that begins with - is refused, unless `--` stands
before it or `may_begin_with_dash` names it: it can't become an option. `{{` and
`}}` are braces, `{manifest_folder}` is the folder of the manifests. An element
that holds an argument which was not given is left out.

Commands run in the sandbox; with risk write or execute they may change the
workspace. With risk network they run outside of it, with a time limit alone, so
they are refused unless the setting `allow_network_tools` is on. With risk read, which is not
asked about, no argument may name a file that may hold keys (`files.PRIVATE`), alone or put
together with the rest of its element; a command that goes through folders or makes names by
itself, such as `grep -r` or a shell's script, sees those too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench import sandbox
from workbench.errors import InputError, ToolError
from workbench.records import content_id
from workbench.tools.contract import Context, Definition, Risk, check, one_line, shortened
from workbench.tools.files import readable
from workbench.tools.network import run_outside
from workbench.tools.problems import Problem

_SUFFIXES = (".yaml", ".yml")
_BYTES = 16_000
_TEXT_CHARS = 12_000
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_FOLDER = "manifest_folder"
_SCALARS = {"string", "integer", "number", "boolean"}
_INTERPRETER = re.compile(r"(ba|da|z|k|fi)?sh|python[\d.]*|perl|ruby|node|php|lua|awk|gawk|env")
_NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
_BEFORE_NAME = re.compile(r"^-\w|[=:,@\s]")
"""What may stand before a file's name within an element, as in -fNAME or --file=NAME."""
_CODE = {"-c", "-e", "-lc", "-ic", "--eval", "-p"}


class ManifestLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits that differ from the program's own; None leaves one as it is."""

    seconds: float | None = None
    memory_mb: int | None = None
    processes: int | None = None
    output_bytes: int | None = None
    disk_mb: int | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A manifest as it is written; see the module for what the fields mean."""

    name: str
    description: str
    argv: list[str]
    risk: Risk
    parameters: dict[str, Any] = msgspec.field(default_factory=lambda: dict(_NO_PARAMETERS))
    result: Literal["text", "json"] = "text"
    limits: ManifestLimits = ManifestLimits()
    may_begin_with_dash: list[str] = []


class Manifests:
    """The manifests of a folder. A file that did not change gives the same definition again."""

    def __init__(self, folder: Path, *, network: bool) -> None:
        self._folder = folder
        self._network = network
        self._read: dict[Path, tuple[bytes, Definition]] = {}

    def definitions(self, problems: list[Problem]) -> Iterator[Definition]:
        """The tools of all manifests; broken ones are added to `problems`."""
        files = sorted(p for p in self._folder.glob("*") if p.suffix.lower() in _SUFFIXES)
        self._read = {path: kept for path, kept in self._read.items() if path in files}
        for path in files:
            source = f"manifest {path.name}"
            try:
                data = _bytes(path)
                known = self._read.pop(path, None)
                if known is None or known[0] != data:
                    known = (data, _definition(data, source, self._folder, self._network))
                self._read[path] = known
            except Exception as error:  # YAML may hold anything
                problems.append(Problem.of(source, error))
                continue
            yield known[1]


def _bytes(path: Path) -> bytes:
    if not path.is_file() or path.stat().st_size > _BYTES:
        raise InputError(f"It is no file of at most {_BYTES:,} bytes", "Make it shorter")
    return path.read_bytes()


def _definition(data: bytes, source: str, folder: Path, network: bool) -> Definition:
    manifest = _manifest(data)
    if manifest.risk == "network" and not network:
        raise InputError(
            f"{manifest.name} runs outside the sandbox, for its risk is network",
            "Set ALLOW_NETWORK_TOOLS=true if you trust it",
        )
    names = _names(manifest)

    def run(arguments: Mapping[str, Any], context: Context) -> Any:
        return _run(manifest, names, folder, arguments, context)

    result: dict[str, Any] = {"type": "string"} if manifest.result == "text" else {}
    definition = Definition(
        name=manifest.name,
        description=manifest.description,
        parameters=manifest.parameters,
        result=result,
        risk=manifest.risk,
        run=run,
        source=source,
        version=content_id(data),
    )
    check(definition)
    return definition


def _manifest(data: bytes) -> Manifest:
    import yaml

    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(data.decode())):
            raise InputError("It holds a YAML alias (*name)", "Write out what it stands for")
        read = yaml.safe_load(data)
        return msgspec.convert(read, Manifest)
    except UnicodeDecodeError:
        raise InputError("It is not UTF-8", "Save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "it can't be read"
        raise InputError(f"It is not YAML: {reason}{line}", "Mend it") from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"It is no manifest: {error}", "See workbench.tools.manifests") from None


def _names(manifest: Manifest) -> set[str]:
    """The arguments that `argv` holds. Raises InputError for an `argv` that is not safe."""
    if not manifest.argv or _PLACE.search(manifest.argv[0]):
        raise InputError("argv does not begin with a program", "Name the program in its place")
    properties = manifest.parameters.get("properties", {})
    found: set[str] = set()
    for before, element in zip(["", *manifest.argv], manifest.argv, strict=False):
        held = {match[1] for match in _PLACE.finditer(element) if match[1] is not None} - {_FOLDER}
        for name in held:
            schema = properties.get(name)
            if schema is None:
                raise InputError(
                    f"argv holds {{{name}}}, which is no parameter", "Declare it, or write {{ }}"
                )
            if not isinstance(schema, dict) or schema.get("type") not in _SCALARS:
                raise InputError(
                    f"The parameter {name} is in argv, but has not one plain type",
                    f"Make its type one of {', '.join(sorted(_SCALARS))}",
                )
        program = manifest.argv[0].rpartition("/")[2]
        if held and before in _CODE and _INTERPRETER.fullmatch(program):
            raise InputError(
                f"argv puts an argument into code for {program}",
                "Give it as an argument of its own, after the code",
            )
        found |= held
    return found


def _argv(manifest: Manifest, given: Mapping[str, Any], folder: Path) -> list[str]:
    """The command line for these arguments. Raises ToolError where one could be an option."""
    values = {name: _text(value) for name, value in given.items()} | {_FOLDER: str(folder)}
    argv: list[str] = []
    for element in manifest.argv:
        held = [match[1] for match in _PLACE.finditer(element) if match[1] is not None]
        if any(name not in values for name in held):
            continue
        filled = _filled(element, values)
        name = held[0] if held and element.startswith(f"{{{held[0]}}}") else None
        guarded = "--" in argv or name in manifest.may_begin_with_dash
        if name and filled.startswith("-") and not guarded:
            raise ToolError(f"{name} begins with -", "Give a value that can't be an option")
        if "\0" in filled:
            raise ToolError(f"{held} holds a null character", "Give plain text")
        argv.append(filled)
    return argv


def _check_names(manifest: Manifest, given: Mapping[str, Any]) -> None:
    """Raise InputError where an argument, or an element that holds one, names a private file."""
    values = {name: _text(value) for name, value in given.items()} | {_FOLDER: ""}
    for value in values.values():
        readable(value)
    for element in manifest.argv:
        held = {match[1] for match in _PLACE.finditer(element) if match[1] is not None}
        if held - {_FOLDER} and held <= set(values):
            for part in _BEFORE_NAME.split(_filled(element, values)):
                readable(part)


def _filled(element: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda m: values[m[1]] if m[1] is not None else m[0][0], element)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _run(
    manifest: Manifest,
    names: set[str],
    folder: Path,
    arguments: Mapping[str, Any],
    context: Context,
) -> Any:
    properties = manifest.parameters.get("properties", {})
    defaults = {n: properties[n]["default"] for n in names if "default" in properties[n]}
    given = {name: arguments[name] for name in names & set(arguments)}
    given = {**defaults, **given}
    if manifest.risk == "read":
        _check_names(manifest, given)
    argv = _argv(manifest, given, folder)
    changed = msgspec.structs.asdict(manifest.limits)
    limits = replace(context.limits, **{k: v for k, v in changed.items() if v is not None})
    if manifest.risk == "network":
        ran = run_outside(argv, context.workspace, limits)
    else:
        ran = sandbox.run(
            argv,
            folder=context.workspace,
            write="none" if manifest.risk == "read" else "folder",
            limits=limits,
            readable=[folder],
        )
    if ran.ended != "exit" or ran.exit_code != 0:
        how = f"exit code {ran.exit_code}" if ran.ended == "exit" else f"ended by {ran.ended}"
        told = one_line(ran.stderr or ran.stdout or "it said nothing")
        raise ToolError(f"{manifest.name} failed ({how}): {told}", "Try other arguments")
    if manifest.result == "text":
        return shortened(ran.stdout, _TEXT_CHARS)
    try:
        return json.loads(ran.stdout)
    except (ValueError, RecursionError):
        raise ToolError(
            f"{manifest.name} answered with something that is not JSON", "Go on without it"
        ) from None
